"""Cheap features: what can be read off a text or a picture without understanding it, as columns of numbers with names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.tasks.dataset import Dataset
from genscope.tasks.dataset.value import number

if TYPE_CHECKING:
    import polars as pl

TOKENS_MOST = 2_000
TOKEN_ROWS = 20
"""Rows that a token must be in to be looked at."""


@dataclass(frozen=True, slots=True)
class Features:
    """names and columns [N, F] of scalar features; categories: name -> code of each row; tokens: names, and a sparse 0/1 matrix [N, T] or None."""

    names: tuple[str, ...]
    columns: np.ndarray
    categories: dict[str, np.ndarray]
    tokens: tuple[str, ...] = ()
    presence: Any = None


def of_text(data: Dataset, rows: np.ndarray) -> Features:
    """Form of each input column (length, words, capitals, digits, marks), tokens in it, the other columns, and the place in the file."""
    import polars as pl

    names: list[str] = []
    parts: list[np.ndarray] = []
    inputs = data.input_columns
    frame = gathered(data, [*inputs, *data.features], rows)
    for column in inputs:
        prefix = f"{column}: " if len(inputs) > 1 else ""
        text = pl.col(column).fill_null("")
        length = text.str.len_chars()
        shapes = {
            "length in characters": length, "length in words": text.str.count_matches(r"\S+"), "letters a word": length / (text.str.count_matches(r"\S+") + 1), "share of capitals": text.str.count_matches(r"\p{Lu}") / (length + 1),
            "share of digits": text.str.count_matches(r"\d") / (length + 1), "punctuation marks": text.str.count_matches(r"[\p{P}]"), "question marks": text.str.count_matches("?", literal=True), "line breaks": text.str.count_matches("\n", literal=True),
            "share outside ASCII": (text.str.len_bytes() - length) / (length + 1),
        }  # fmt: skip
        names += [f"{prefix}{name}" for name in shapes]
        parts.append(frame.select(shape.cast(pl.Float64).alias(name) for name, shape in shapes.items()).to_numpy())
    tokens, presence = _tokens(frame, inputs)
    others, categories = _columns(data, frame, data.features)
    names += [*others, "place in the file"]
    parts += [np.column_stack([*others.values()])] if others else []
    return Features(tuple(names), np.column_stack([*parts, rows.astype(float)]), categories, tokens, presence)


def of_table(data: Dataset, rows: np.ndarray) -> Features:
    """Each column, and the place in the file."""
    frame = gathered(data, data.input_columns, rows)
    others, categories = _columns(data, frame, data.input_columns)
    return Features((*others, "place in the file"), np.column_stack([*others.values(), rows.astype(float)]), categories)


def of_arrays(data: Dataset, rows: np.ndarray, values: int) -> Features:
    """Brightness, contrast, extremes, sharpness and where the light is; each single value where there are at most `values`; and the columns beside the arrays."""
    x = data.x[rows].astype(np.float64)
    flat = x.reshape(len(rows), -1)
    named = {
        "mean": flat.mean(1),
        "contrast (standard deviation)": flat.std(1),
        "smallest value": flat.min(1),
        "largest value": flat.max(1),
        "median": np.median(flat, 1),
    }
    if x.ndim >= 3:
        picture = x.mean(-1) if x.ndim == 4 and x.shape[-1] in (3, 4) else x.mean(1) if x.ndim == 4 and x.shape[1] in (1, 3, 4) else x
        if picture.ndim == 3 and min(picture.shape[1:]) >= 4:
            h, w = picture.shape[1] // 4, picture.shape[2] // 4
            centre = picture[:, h : picture.shape[1] - h, w : picture.shape[2] - w].mean((1, 2))
            named |= {
                "mean of the centre": centre, "mean of the border": np.concatenate([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], 1).mean(1), "corner (top left)": picture[:, :h, :w].mean((1, 2)),
                "corner (top right)": picture[:, :h, -w:].mean((1, 2)), "top minus bottom": picture[:, :h].mean((1, 2)) - picture[:, -h:].mean((1, 2)), "left minus right": picture[:, :, :w].mean((1, 2)) - picture[:, :, -w:].mean((1, 2)),
                "sharpness (mean step between neighbours)": np.abs(np.diff(picture, axis=2)).mean((1, 2)),
            }  # fmt: skip
        if x.ndim == 4 and x.shape[-1] == 3:
            named |= {f"mean of {name}": x[..., place].mean((1, 2)) for place, name in enumerate(("red", "green", "blue"))}
    names, parts = list(named), [np.column_stack([*named.values()])]
    if flat.shape[1] <= values:
        names += [f"value at {tuple(map(int, np.unravel_index(place, x.shape[1:])))}" for place in range(flat.shape[1])]
        parts.append(flat)
    if data.features and data.form == "images":
        others, _ = _columns(data, gathered(data, data.features, rows), data.features)
        names += list(others)
        parts += [np.column_stack([*others.values()])] if others else []
    return Features(tuple(names), np.column_stack(parts), {})


def gathered(data: Dataset, columns: Sequence[str], rows: np.ndarray):
    """The rows (sorted) of some columns as one frame."""
    import polars as pl

    wanted = pl.DataFrame({"row": pl.Series(rows, dtype=pl.UInt32)})
    parts = [frame.join(wanted, on="row", how="semi", maintain_order="left") for frame in data.batches(columns)]
    return pl.concat(parts)


def _columns(data: Dataset, frame: pl.DataFrame, names: Sequence[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(number columns, categories of text columns with few values)."""
    numbers, categories = {}, {}
    for name in names:
        if data.columns[name] in ("number", "true/false", "mixed") or name in ("width", "height"):
            values = frame.select(number(name)).to_series().to_numpy()
            if np.isfinite(values).any():
                numbers[f"column {name}"] = np.where(np.isinf(values), np.nan, values)
        elif data.columns[name] == "text":
            text = frame[name].fill_null("")
            if 1 < text.n_unique() <= max(20, len(frame) // 5):
                categories[f"column {name}"] = text.rank("dense").to_numpy().astype(np.int64) - 1
    return numbers, categories


def _tokens(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[tuple[str, ...], Any]:
    """The most frequent tokens (by rows), and which row has which."""
    import polars as pl
    from scipy import sparse

    parts = []
    for column in columns:
        words = frame.select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("place"),
            pl.col(column).fill_null("").str.to_lowercase().str.extract_all(r"[\p{L}\p{M}\p{N}']+|[?!.,;:]").alias("token"),
        )
        long = words.explode("token").drop_nulls().unique()
        if len(columns) > 1:
            long = long.with_columns((pl.lit(f"{column}: ") + pl.col("token")).alias("token"))
        parts.append(long)
    long = pl.concat(parts)
    counts = (
        long.group_by("token")
        .len()
        .filter((pl.col("len") >= TOKEN_ROWS) & (pl.col("len") <= len(frame) - TOKEN_ROWS))
        .sort(["len", "token"], descending=[True, False])
        .head(TOKENS_MOST)
    )
    if not len(counts):
        return (), None
    held = long.join(counts.with_row_index("code"), on="token", how="inner")
    matrix = sparse.csr_matrix(
        (np.ones(len(held), np.float32), (held["place"].to_numpy(), held["code"].to_numpy())), shape=(len(frame), len(counts))
    )
    return tuple(counts["token"].to_list()), matrix
