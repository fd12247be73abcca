"""Dataset: rows that an audit reads, streamed column by column, with the column that plays each role and a fingerprint of every row.

A row is numbered from 0 in file order (blank lines are no rows). Everything a counting audit needs stands in `prints`, one fixed-size row a row of the data
(`PRINT_BYTES` at most), made in the same pass that counts the rows; texts are streamed again where a section needs them.
"""

# N rows, D features

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genscope.core.errors import DataError
from genscope.core.text import clean

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["text", "table", "arrays", "responses"]
ROLES = ("text", "label", "split", "id", "group", "solver", "item", "correct", "count")
HASHED = ("label", "split", "id", "group")
PRINT_BYTES = 56
"""Bytes of a row's fingerprint, at most: two hashes of the input, one each of label, split, id and group, its length, and whether it is blank."""
VALUES_MOST = 200_000
"""Different labels, splits or groups whose text is kept."""
JOIN = "\x1f"
"""Between the columns of an input made of several (unit separator)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong that the reader met and went on from: what (in words), how many rows, the first of them, and what to do."""

    kind: str
    what: str
    count: int
    rows: tuple[int, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Rows of a user's data.

    kind: what the rows are; form: the file form ("jsonl", "npz", ...); source: file or folder, None for a frame in memory; rows: how many;
    columns: name -> "text", "number", "true/false", "nested" or "mixed", as seen in the first rows; roles: role -> column (for `text` several columns by commas);
    guessed: roles that nobody named; faults: what was wrong in the file; identity: hash of the content; size: bytes of the source;
    stream: column names -> frames in order; prints: fingerprints (see `Dataset.prints` below); values: role -> hash -> text;
    array: the inputs of kind "arrays", [N, ...]; origin: form-specific facts that a cleaned copy needs.

    prints has the columns input, input2 (64-bit hashes of the input; together they say whether two inputs are equal), length (characters; features for arrays),
    blank (no input), and label, split, id, group (64-bit hashes, null where empty) for the roles that are there.
    """

    name: str
    kind: Kind
    form: str
    source: Path | None
    rows: int
    columns: Mapping[str, str]
    roles: Mapping[str, str]
    guessed: frozenset[str]
    faults: tuple[Fault, ...]
    identity: str
    size: int
    stream: Callable[[Sequence[str]], Iterator[pl.DataFrame]]
    prints: pl.DataFrame
    values: Mapping[str, Mapping[int, str]]
    array: np.ndarray | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def has(self, *roles: str) -> bool:
        """Whether every one of these roles has a column."""
        return all(role in self.roles for role in roles)

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The columns that make an input: of text, the named ones; of a table, every column without another role."""
        if "text" in self.roles:
            return tuple(self.roles["text"].split(","))
        return () if self.kind in ("arrays", "responses") else self.features

    @property
    def features(self) -> tuple[str, ...]:
        """Columns without a role, in file order."""
        taken = {column for name in self.roles.values() for column in name.split(",")}
        return tuple(column for column in self.columns if column not in taken)

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The named columns as text, a bounded number of rows at a time, with their number in a column `row`."""
        missing = [column for column in columns if column not in self.columns]
        if missing:
            raise DataError(f"{self.name}: no column {missing[0]!r}. Columns: {', '.join(self.columns) or 'none'}")
        start = 0
        for frame in self.stream(tuple(dict.fromkeys(columns))):
            yield frame.with_row_index("row", offset=start)
            start += len(frame)

    def inputs(self) -> Iterator[pl.DataFrame]:
        """Batches with `row` and `text`: the input of each row as one text ("" where it is empty). Not for arrays."""
        names = self.input_columns
        for frame in self.batches(names):
            yield frame.select("row", joined(names))

    def column(self, name: str) -> pl.Series:
        """A whole column, in memory; a role's name stands for its column."""
        import polars as pl

        wanted = self.roles.get(name, name)
        parts = [frame[wanted] for frame in self.batches([wanted])]
        return pl.concat(parts) if parts else pl.Series(wanted, [], dtype=pl.String)

    def codes(self, role: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """(code of each row, names in sorted order) of label, split or group; -1 where it is empty."""
        import polars as pl

        held = self.values.get(role, {})
        if len(held) >= VALUES_MOST:
            raise DataError(
                f"{self.name}: more than {VALUES_MOST:,} different values in {role} ({self.roles[role]}). Name another column with --{role}"
            )
        names = sorted(set(held.values()), key=natural)
        place = {text: number for number, text in enumerate(names)}
        key = pl.Series(list(held), dtype=pl.UInt64)
        code = pl.Series([place[text] for text in held.values()], dtype=pl.Int64)
        if not held:
            return np.full(self.rows, -1), ()
        found = self.prints[role].replace_strict(key, code, default=-1, return_dtype=pl.Int64)
        return found.fill_null(-1).to_numpy().copy(), tuple(names)

    @property
    def x(self) -> np.ndarray:
        """The inputs as numbers: the array itself, or [N, D] of a table's number columns (NaN where a cell is no number)."""
        import polars as pl

        if self.array is not None:
            return self.array
        names = [name for name in self.input_columns if self.columns[name] in ("number", "true/false")]
        if not names:
            raise DataError(f"{self.name}: no column of numbers. Columns: {', '.join(self.columns)}")
        parts = [frame.select(number(name) for name in names).to_numpy() for frame in self.batches(names)]
        return np.concatenate(parts) if parts else pl.DataFrame(schema=dict.fromkeys(names, pl.Float64)).to_numpy()

    @property
    def y(self) -> np.ndarray:
        """Class of each row as a whole number, in the sorted order of the labels' texts; -1 where it is empty."""
        return self.codes("label")[0]

    def ids(self, rows: Iterable[int]) -> dict[int, str]:
        """Row -> its id: the text of the id column where there is one, else the row's number."""
        wanted = sorted({int(row) for row in rows})
        if not self.has("id"):
            return {row: str(row) for row in wanted}
        found = self._pick(wanted, (self.roles["id"],))
        return {row: clean(str(found[row][0] if found[row][0] is not None else ""), 200) for row in wanted}

    def texts(self, rows: Iterable[int]) -> dict[int, str]:
        """Row -> its input as text, cut to 2,000 characters. Arrays have none."""
        names = self.input_columns
        found = self._pick(sorted({int(row) for row in rows}), names) if names else {}
        labelled = len(names) > 1
        return {
            row: clean(
                " | ".join(
                    f"{name}: {cell}" if labelled else str(cell) for name, cell in zip(names, cells, strict=True) if cell is not None
                ),
                2_000,
            )
            for row, cells in found.items()
        }

    def responses(self) -> pl.DataFrame:
        """Kind "responses" as a long frame: solver, item (text), correct (0 to 1, null = no answer), weight (how many such solvers)."""
        from genscope.tasks.dataset.responses import long_frame

        return long_frame(self)

    def _pick(self, wanted: Sequence[int], names: Sequence[str]) -> dict[int, tuple[Any, ...]]:
        """Cells of the wanted rows; the stream is left as soon as the last one was met."""
        import polars as pl

        found: dict[int, tuple[Any, ...]] = {}
        if not wanted:
            return found
        keys = pl.Series(wanted, dtype=pl.UInt32)
        for frame in self.batches(names):
            for row, *cells in frame.filter(pl.col("row").is_in(keys.implode())).select("row", *names).iter_rows():
                found[row] = tuple(cells)
            if len(frame) and frame["row"][-1] >= wanted[-1]:
                break
        return found


def joined(names: Sequence[str]) -> pl.Expr:
    """Several columns as one text."""
    import polars as pl

    if len(names) == 1:
        return pl.col(names[0]).fill_null("").alias("text")
    return pl.concat_str([pl.col(name).fill_null("") for name in names], separator=JOIN).alias("text")


def number(name: str) -> pl.Expr:
    """A column of text as numbers; what is none becomes NaN, true and false 1 and 0."""
    import polars as pl

    text = pl.col(name).str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})
    return text.cast(pl.Float64, strict=False).fill_null(float("nan")).alias(name)


def natural(text: str) -> tuple[int, float, str]:
    """Sorting key: numbers by value first, then texts."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
