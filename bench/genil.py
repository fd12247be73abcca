"""GeniL's sparse model on all rows: reading, mentions, counts, training on 80 % and scoring 20 % of all nine languages, in one process.

Run as `python bench/genil.py`, or as the part `genil` of bench/run.py. Needs GeniL in $GENSCOPE_DATA. Prints one JSON object: no text of the rows.
"""

from __future__ import annotations

import json
import resource
import sys
import time


def measure() -> dict[str, float]:
    """Seconds of each step and of all (wall and processor), rows read, and peak memory in MB."""
    began, spent = time.perf_counter(), time.process_time()
    from genscope.core.seeds import Seed
    from genscope.measures.average_precision import average_precision
    from genscope.models.genil import sparse
    from genscope.models.genil.counts import count
    from genscope.tasks import genil

    steps: dict[str, float] = {}

    def step(name: str, start: float) -> float:
        now = time.perf_counter()
        steps[name] = now - start
        return now

    rows = genil.load()
    at = step("read", began)
    marks = [genil.mark(*one) for one in zip(rows.sentence, rows.identity, rows.attribute, strict=True)]
    at = step("mark", at)
    counts = count(marks, rows.language, sparse.LEAST_ROWS)
    at = step("count", at)
    split = genil.split(rows, "unseen-pair", Seed("bench"))
    model = sparse.fit(rows, counts, split.train)
    at = step("fit", at)
    scores = model.scores(rows, counts, split.test)
    step("score", at)
    return {
        **steps, "seconds": time.perf_counter() - began, "processor": time.process_time() - spent, "rows": rows.found["rows_read"], "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "average_precision": average_precision(rows.generalizing[split.test], scores),
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: round(value, 3) for name, value in measure().items()}) + "\n")
