"""Groups of rows with equal inputs, from the fingerprints: 32 bytes a row of memory while sorting; blank inputs are in no group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genscope.tasks.dataset import Dataset


@dataclass(frozen=True, slots=True)
class EqualRows:
    """Rows that share their input with another row, and the number of each one's group (0, 1, ... in order of the groups' first rows), sorted by (group, row)."""

    rows: np.ndarray
    group: np.ndarray


def equal_rows(data: Dataset) -> EqualRows:
    """Every group of two rows or more."""
    import polars as pl

    prints = data.prints.select("input", "input2", "blank").with_row_index("row").filter(~pl.col("blank"))
    # nearly all inputs stand alone: only hashes that occur twice go through the grouping by both
    seen = prints["input"].is_duplicated()
    twice = prints.filter(seen)
    first = pl.col("row").min().over("input", "input2")
    size = pl.len().over("input", "input2")
    held = twice.select("row", first.alias("first"), size.alias("size")).filter(pl.col("size") > 1).sort("first", "row")
    start = held["first"].to_numpy()
    group = np.cumsum(np.r_[False, start[1:] != start[:-1]]) if len(held) else np.empty(0, np.int64)
    return EqualRows(held["row"].to_numpy().astype(np.int64), group.astype(np.int64))


def different_inputs(data: Dataset) -> np.ndarray:
    """True for the first row of each different input that is not blank."""
    import polars as pl

    pair = pl.struct("input", "input2")
    return data.prints.select(pair.is_first_distinct() & ~pl.col("blank")).to_series().to_numpy()


def texts_in(data: Dataset, mask: np.ndarray) -> Iterator[tuple[np.ndarray, list[str]]]:
    """(rows, texts) of the rows in the mask, batch by batch."""
    import polars as pl

    for frame in data.inputs():
        kept = frame.filter(pl.Series(mask[frame["row"][0] : frame["row"][0] + len(frame)])) if len(frame) else frame
        if len(kept):
            yield kept["row"].to_numpy().astype(np.int64), kept["text"].to_list()
