"""Result folder: what a verb leaves behind, and how it is read again.

index.html the page; records.parquet every number; responses.parquet every question and reply; result.json what was run and found;
run.json times, machine and versions, kept out of the page so that its bytes depend on the records only.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.errors import DataError, UsageError
from genscope.core.records import records_frame
from genscope.core.response import responses_frame
from genscope.core.store import write_whole

if TYPE_CHECKING:
    import polars as pl

    from genscope.sections.section import Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """A result folder in memory. `about` is result.json; `records` and `responses` are polars frames."""

    folder: Path
    about: dict[str, Any]
    records: pl.DataFrame
    responses: pl.DataFrame

    @property
    def page(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "index.html"

    @property
    def headline(self) -> str:
        """The answer, in one sentence."""
        return self.about["headline"]

    def plain(self) -> dict[str, Any]:
        """As plain JSON: what `--json` prints."""
        return {**self.about, "folder": str(self.folder), "page": str(self.page), "records": self.records.to_dicts()}

    def _repr_html_(self) -> str:
        from genscope.verbs.result_page import notebook

        return notebook(self)


def write(folder: Path, about: dict[str, Any], outcomes: Mapping[str, Outcome], run: Mapping[str, Any]) -> Result:
    """Write a result folder, the page last, each file whole."""
    from genscope.verbs.result_page import views

    records = records_frame(record for outcome in outcomes.values() for record in outcome.records)
    responses = responses_frame(row for outcome in outcomes.values() for row in outcome.responses)
    result = Result(folder, about, records, responses)
    about["headline"] = " ".join(view.answer.sentence for view in views(result).values())
    return save(result, run)


def save(result: Result, run: Mapping[str, Any]) -> Result:
    """Write the files of a result, and draw its page from them."""
    from genscope.verbs.result_page import page

    folder = result.folder
    write_whole(folder / "records.parquet", _parquet(result.records))
    write_whole(folder / "responses.parquet", _parquet(result.responses))
    write_whole(folder / "result.json", (json.dumps(result.about, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode())
    write_whole(folder / "run.json", (json.dumps({**run, "machine": machine()}, indent=2) + "\n").encode())
    write_whole(folder / "index.html", page(result).encode("utf-8", "replace"))
    return result


def check_out(out: str | Path | None) -> None:
    """UsageError, before anything is asked, when the result folder cannot be one."""
    folder = None if out is None else Path(out).expanduser()
    if folder is None:
        return
    taken = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if taken is not None:
        raise UsageError(f"--out {out}: {taken} is a file, not a folder. Name a folder; it is made when it is not there")


def read(folder: Path) -> Result:
    """The result that `folder` holds; DataError says what is missing."""
    import polars as pl

    missing = [name for name in ("result.json", "records.parquet", "responses.parquet") if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{folder}: not a result folder of genscope, {', '.join(missing)} missing. Make one with: genscope profile MODEL --out {folder}"
        )
    try:
        about = json.loads((folder / "result.json").read_text("utf-8"))
        return Result(folder, about, pl.read_parquet(folder / "records.parquet"), pl.read_parquet(folder / "responses.parquet"))
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{folder}: a file of this result folder is damaged ({error}). Run the profile again; it asks nothing twice"
        ) from error


def machine() -> dict[str, str]:
    """Python, platform, and the versions of what can change a reply."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("genscope", "torch", "transformers", "openai", "inspect-ai", "numpy", "polars", "altair"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()
