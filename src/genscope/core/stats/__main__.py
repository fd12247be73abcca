"""`python -m genscope.core.stats FILE`: measure every interval's coverage and write the table into the file, between its two marks."""

from __future__ import annotations

import sys
from pathlib import Path

from genscope.core.stats.coverage import table

BEGIN, END = "<!-- coverage: made by `make coverage` -->", "<!-- end of coverage -->"


def main() -> None:
    """Replace what stands between the marks."""
    made = table()
    if len(sys.argv) < 2:
        sys.stdout.write(made + "\n")
        return
    path = Path(sys.argv[1])
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}", "utf-8")


main()
