"""Difficulty table: how hard each example is, by one or more notions of difficulty, each value with its standard deviation.

A row: example (id), notion, value (in the notion's own unit), sd (standard deviation of the value, null when unknown), n (answers, epochs or
people behind it). Notions that people and papers use differ in sign; `oriented` turns all of them so that more is harder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genscope.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

COLUMNS = ("example", "notion", "value", "sd", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notion:
    """A published notion of difficulty. hard: at which end of its values the hard examples are; unit and meaning: in words."""

    hard: str
    unit: str
    meaning: str


NOTIONS: Mapping[str, Notion] = {
    "human": Notion(hard="high", unit="as given", meaning="a level or rating that people or the data set gave"),
    "irt": Notion(hard="high", unit="logits", meaning="difficulty b of item response theory, from who answered what"),
    "glicko2": Notion(hard="high", unit="rating points", meaning="Glicko-2 rating of the item, which wins when a solver fails"),
    "rate": Notion(hard="high", unit="fraction", meaning="share of wrong answers"),
    "loss": Notion(hard="high", unit="nats", meaning="a model's loss on the example"),
    "confidence": Notion(hard="low", unit="fraction", meaning="data map: mean probability of the label over training epochs"),
    "variability": Notion(hard="high", unit="fraction", meaning="data map: standard deviation of that probability (ambiguous examples are high)"),
    "correctness": Notion(hard="low", unit="fraction", meaning="data map: share of epochs in which the example is classified right"),
    "help": Notion(hard="low", unit="fraction", meaning="coherence: how much the common gradient step lowers the example's loss"),
    "learning time": Notion(hard="high", unit="steps", meaning="training step from which the example stays right"),
}  # fmt: skip
"""Known notions. Any other name is allowed and counts as harder when its value is higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """One example by one notion."""

    example: str
    notion: str
    value: float
    sd: float | None = None
    n: int = 1


def difficulty_frame(rows: Iterable[Difficulty]) -> pl.DataFrame:
    """Rows as a checked polars frame with the columns example, notion, value, sd, n."""
    import polars as pl

    return checked(pl.DataFrame([asdict(row) for row in rows], schema=_schema()))


def difficulty_columns(
    notion: str,
    examples: Sequence[str],
    values: Sequence[float] | np.ndarray,
    sd: Sequence[float] | np.ndarray | None = None,
    n: Sequence[int] | np.ndarray | int = 1,
) -> pl.DataFrame:
    """A difficulty table of one notion from columns (lists or arrays) in the same order; a value that is no finite number leaves its row out."""
    import polars as pl

    count = len(examples)
    numbers = [n] * count if isinstance(n, int) else [int(one) for one in n]
    frame = pl.DataFrame(
        {
            "example": [str(one) for one in examples],
            "notion": [notion] * count,
            "value": [float(one) for one in values],
            "sd": [None] * count if sd is None else [float(one) if math.isfinite(float(one)) else None for one in sd],
            "n": numbers,
        },
        schema=_schema(),
    )
    return checked(frame.filter(pl.col("value").is_finite()))


def checked(frame: pl.DataFrame, where: str = "difficulty table") -> pl.DataFrame:
    """The frame with exactly the table's columns and types (sd and n are added where missing).

    DataError: a missing column, a value that is no finite number, a negative sd, or an example that stands twice under one notion.
    """
    import polars as pl

    lacking = [name for name in ("example", "notion", "value") if name not in frame.columns]
    if lacking:
        raise DataError(
            f"{where}: no column {', '.join(lacking)}. A difficulty table has {', '.join(COLUMNS)} (sd and n may be left out); columns: {', '.join(frame.columns) or 'none'}"
        )
    added = [pl.lit(None, pl.Float64).alias("sd")] * ("sd" not in frame.columns) + [pl.lit(1, pl.Int64).alias("n")] * (
        "n" not in frame.columns
    )
    try:
        made = frame.with_columns(added).select(pl.col(name).cast(kind) for name, kind in _schema().items())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{where}: value, sd and n must be numbers: {str(error).splitlines()[0]}") from error
    bad = made.filter(pl.col("value").is_null() | ~pl.col("value").is_finite() | pl.col("example").is_null() | pl.col("notion").is_null())
    if len(bad):
        raise DataError(
            f"{where}: {len(bad)} row(s) without example, notion or a finite value, the first: {bad.row(0)}. Leave such rows out"
        )
    if len(made.filter(pl.col("sd") < 0)):
        raise DataError(f"{where}: a standard deviation is negative: {made.filter(pl.col('sd') < 0).row(0)}")
    twice = made.filter(pl.struct("example", "notion").is_duplicated())
    if len(twice):
        raise DataError(
            f"{where}: example {twice['example'][0]!r} stands {len(made.filter((pl.col('example') == twice['example'][0]) & (pl.col('notion') == twice['notion'][0])))} times under {twice['notion'][0]!r}; one row for each example and notion"
        )
    return made


def joined(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Several difficulty tables as one."""
    import polars as pl

    parts = [checked(table) for table in tables]
    return checked(pl.concat(parts)) if parts else difficulty_frame([])


def oriented(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with every notion turned so that more is harder."""
    import polars as pl

    low = [name for name, notion in NOTIONS.items() if notion.hard == "low"]
    return checked(frame).with_columns(value=pl.when(pl.col("notion").is_in(low)).then(-pl.col("value")).otherwise(pl.col("value")))


def wide(frame: pl.DataFrame) -> pl.DataFrame:
    """One row an example, one column a notion (null where a notion says nothing of it), in the order of first appearance."""
    return checked(frame).pivot(on="notion", index="example", values="value", maintain_order=True)


def is_difficulty_table(columns: Iterable[str]) -> bool:
    """Whether these columns are those of a difficulty table."""
    return {"example", "notion", "value"} <= set(columns)


def difficulty_of_records(records: pl.DataFrame) -> pl.DataFrame:
    """The difficulty table inside a frame of records: rows of the metric "difficulty" with example, notion and sd among their factors."""
    import json

    import polars as pl

    rows = records.filter((pl.col("metric") == "difficulty") & pl.col("value").is_not_null())
    named = [json.loads(text) for text in rows["factors"]]
    return difficulty_frame(
        Difficulty(example=one["example"], notion=one["notion"], value=value, sd=one.get("sd"), n=n)
        for one, value, n in zip(named, rows["value"], rows["n"], strict=True)
        if "example" in one and "notion" in one
    )


def read_difficulty(path: Path) -> pl.DataFrame:
    """A difficulty table from a Parquet, CSV or JSONL file, or from the records of a result folder (an audit of a response matrix)."""
    import polars as pl

    if path.is_dir():
        if not (path / "records.parquet").is_file():
            raise DataError(f"difficulty table {path}: a folder without records.parquet. Give a file, or the result folder of an audit")
        found = difficulty_of_records(pl.read_parquet(path / "records.parquet"))
        if not len(found):
            raise DataError(
                f"difficulty table {path}: this result folder holds no difficulties. Audit a response matrix first: genscope audit responses.csv"
            )
        return found

    readers = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".ndjson": pl.read_ndjson}
    if not path.is_file():
        raise DataError(f"difficulty table {path}: no such file. Give a Parquet, CSV or JSONL file with the columns {', '.join(COLUMNS)}")
    if path.suffix.lower() not in readers:
        raise DataError(f"difficulty table {path}: unknown kind of file {path.suffix!r}. Give {', '.join(readers)}")
    try:
        frame = readers[path.suffix.lower()](path)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise DataError(f"difficulty table {path} cannot be read: {str(error).splitlines()[0]}") from error
    return checked(frame, f"difficulty table {path}")


def _schema() -> dict[str, type[pl.DataType]]:
    import polars as pl

    return {"example": pl.String, "notion": pl.String, "value": pl.Float64, "sd": pl.Float64, "n": pl.Int64}
