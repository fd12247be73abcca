"""Tables that polars reads: Parquet files, Hugging Face data set folders (Arrow), and frames in memory, streamed as columns of text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.errors import DataError
from genscope.core.text import shorten

if TYPE_CHECKING:
    import polars as pl

CHUNK = 20_000
"""Rows streamed at a time."""
Stream = Callable[[Sequence[str]], "Iterator[pl.DataFrame]"]


def column_type(dtype: Any) -> str:
    """A polars type in the words of `Dataset.columns`."""
    import polars as pl

    if dtype == pl.Boolean:
        return "true/false"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Binary or (isinstance(dtype, pl.Struct) and any(field.dtype == pl.Binary for field in dtype.fields)):
        return "binary"
    return "nested" if dtype.is_nested() else "text"


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Every column as text; null stays null, NaN is "NaN", nested values are JSON."""
    import polars as pl

    def one(series: pl.Series) -> pl.Series:
        kind = column_type(series.dtype)
        if kind in ("nested", "binary"):
            return pl.Series(
                series.name,
                [None if value is None else json.dumps(value, default=_plain, ensure_ascii=False) for value in series.to_list()],
                dtype=pl.String,
            )
        if series.dtype == pl.Object:
            return pl.Series(series.name, [None if value is None else str(value) for value in series.to_list()], dtype=pl.String)
        return series.cast(pl.String)

    return pl.DataFrame([one(series) for series in frame.get_columns()])


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def frame_stream(frame: pl.DataFrame) -> Stream:
    """A frame in memory."""

    def stream(columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        chosen = frame.select(columns or frame.columns[:1])
        for start in range(0, len(chosen), CHUNK):
            yield as_text(chosen.slice(start, CHUNK))

    return stream


def parquet_stream(path: Path) -> tuple[dict[str, str], Stream]:
    """(column types, stream) of a Parquet file; a row group is in memory at a time."""
    import polars as pl

    try:
        schema = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {shorten(str(error))}") from error

    def stream(columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        try:
            for batch in pl.scan_parquet(path, glob=False).select(columns or list(schema)[:1]).collect_batches(chunk_size=CHUNK):
                if len(batch):
                    yield as_text(batch)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {shorten(str(error))}") from error

    return {name: column_type(dtype) for name, dtype in schema.items()}, stream


def arrow_stream(paths: Sequence[Path]) -> tuple[dict[str, str], Stream]:
    """(column types, stream) of Arrow stream files in order, as `Dataset.save_to_disk` writes them; a file (500 MB at most by default) is in memory at a time."""
    first = arrow_frame(paths[0], rows=0)
    kinds = {name: column_type(dtype) for name, dtype in first.schema.items()}

    def stream(columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        for path in paths:
            yield from frame_stream(arrow_frame(path, list(columns or kinds)))(columns)

    return kinds, stream


def arrow_frame(path: Path, columns: list[str] | None = None, rows: int | None = None) -> pl.DataFrame:
    """An Arrow stream or file, in memory."""
    import polars as pl

    try:
        try:
            return pl.read_ipc_stream(path, columns=columns, n_rows=rows)
        except pl.exceptions.ComputeError:
            return pl.read_ipc(path, columns=columns, n_rows=rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as Arrow: {shorten(str(error))}") from error


def joined_stream(parts: Sequence[tuple[str, Stream]], column: str) -> Stream:
    """Several streams one after the other, with a column that names each row's part; columns a part lacks are empty there."""

    def stream(columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        import polars as pl

        inner = [name for name in columns if name != column]
        for label, one in parts:
            for frame in one(inner):
                yield frame.with_columns(pl.lit(label, pl.String).alias(column)).select(columns or frame.columns[:1])

    return stream


def plain_frame(value: Any) -> pl.DataFrame:
    """A polars frame from a polars, pandas or Hugging Face table, a mapping of columns, or a list of rows."""
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, pl.DataFrame):
        return value
    module = type(value).__module__.split(".")[0]
    if module == "pandas":
        return pl.DataFrame([_pandas_series(str(name), value[name]) for name in value.columns])
    if module == "datasets" and isinstance(value, Mapping):
        parts = [plain_frame(one).with_columns(pl.lit(str(name)).alias("split")) for name, one in value.items()]
        return pl.concat(parts, how="diagonal_relaxed")
    if module == "datasets":
        found = value.with_format("polars")[:]
        return found if isinstance(found, pl.DataFrame) else pl.DataFrame(found)
    if isinstance(value, (Mapping, list, tuple)):
        try:
            return pl.DataFrame(value, strict=False)
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise DataError(f"a table cannot be made of this {type(value).__name__}: {shorten(str(error))}") from error
    raise DataError(
        f"audit takes a path, a polars or pandas frame, a Hugging Face Dataset, arrays (x, y) or a mapping of arrays; got {type(value).__name__}"
    )


def _pandas_series(name: str, column: Any) -> pl.Series:
    """Without pyarrow, which polars would ask for: missing cells (NaN in a column of texts, NaT, NA) become null."""
    import polars as pl

    if column.dtype.kind in "iufb":
        return pl.Series(name, column.to_numpy())
    missing = column.isna().to_numpy()
    return pl.Series(name, [None if gone else _scalar(value) for value, gone in zip(column.tolist(), missing, strict=True)], strict=False)


def _scalar(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else str(value)
