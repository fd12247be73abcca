"""Sample files of lm-evaluation-harness (`--log_samples`): one JSON object a line for each document, one file for each task and model.

`results/MODEL/samples_TASK_2026-01-31T12-00-00.000000.jsonl`: solver = MODEL (the folder), item = TASK/doc_id, right = the metric's field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.errors import DataError, unknown
from genscope.core.text import clean, shorten

if TYPE_CHECKING:
    import polars as pl

METRICS = ("acc", "exact_match", "em", "acc_norm", "pass@1", "pass_at_1")
"""Fields that are taken for the outcome, in this order, where none is named."""
LONGEST = 50_000_000
"""Characters of one line that are read at most."""
_NAME = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d{2}-\d{2}T[\d\-:.]+$")


def read(paths: Sequence[Path], metric: str | None = None, filter: str | None = None) -> pl.DataFrame:
    """Rows (solver, item, right) of sample files, or of all such files below the given folders.

    metric: the field of the outcome; filter: which of the task's answer filters counts, where it has several. DataError for a file without the metric,
    a document without an id, several filters and none chosen, or no file at all.
    """
    import polars as pl

    files = [file for path in paths for file in (sorted(path.rglob("samples_*.jsonl")) if path.is_dir() else [path])]
    if not files:
        raise DataError(
            f"no samples_*.jsonl under {', '.join(map(str, paths)) or 'the given paths'}. Run lm_eval with --log_samples --output_path FOLDER"
        )
    rows: dict[str, list[Any]] = {"solver": [], "item": [], "right": []}
    for file in files:
        found = _NAME.fullmatch(file.stem)
        task = clean(found["task"] if found else file.stem.removeprefix("samples_"), 200)
        solver = clean(file.parent.name, 200) or "model"
        lines = [(number, line) for number, line in _lines(file) if filter is None or line.get("filter") in (None, filter)]
        filters = sorted({str(line["filter"]) for _, line in lines if line.get("filter") is not None})
        if len(filters) > 1:
            raise DataError(f"{file}: its answers were graded by several filters ({', '.join(filters)}). Choose one with filter=NAME")
        for number, line in lines:
            if "doc_id" not in line:
                raise DataError(f"{file}, line {number}: no doc_id; these are not samples of lm-evaluation-harness")
            rows["solver"].append(solver)
            rows["item"].append(f"{task}/{line['doc_id']}")
            rows["right"].append(_outcome(line, metric, file, number))
    if not rows["solver"]:
        raise DataError(f"no sample has the filter {filter!r} in {len(files)} file(s)")
    return pl.DataFrame(rows)


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            number = 0
            while line := opened.readline(LONGEST):
                number += 1
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{file}, line {number}: not JSON: {shorten(line, 60)!r}") from error
                if not isinstance(row, dict):
                    raise DataError(f"{file}, line {number}: not an object")
                yield number, row
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error


def _outcome(line: Mapping[str, Any], metric: str | None, file: Path, number: int) -> float:
    names = (metric,) if metric is not None else METRICS
    name = next((one for one in names if one in line), None)
    numeric = [key for key, value in line.items() if isinstance(value, (int, float)) and key not in ("doc_id",)]
    if name is None:
        if metric is not None:
            raise DataError(f"{file}, line {number}: " + unknown("metric", metric, numeric))
        raise DataError(
            f"{file}, line {number}: none of the metrics {', '.join(METRICS)}. Name one with metric=; numeric fields: {', '.join(numeric) or 'none'}"
        )
    value = line[name]
    if not isinstance(value, (int, float)):
        raise DataError(f"{file}, line {number}: {name} is {shorten(str(value), 40)!r}, not a number")
    return float(value)
