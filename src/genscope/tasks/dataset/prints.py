"""Fingerprints: one fixed-size row a row of the data, from one pass over it; what duplicates, conflicts, leaks and counts are found with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genscope.tasks.dataset.value import HASHED, VALUES_MOST, joined

if TYPE_CHECKING:
    import polars as pl

KEPT = ("label", "split", "group")
"""Roles whose different values are kept as text."""


def columns_needed(inputs: Sequence[str], roles: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that fingerprints are made of."""
    return tuple(dict.fromkeys([*inputs, *(roles[role] for role in HASHED if role in roles)]))


def survey(
    frames: Iterable[pl.DataFrame], inputs: Sequence[str], roles: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, dict[int, str]]]:
    """(prints, values) of a stream that holds the columns of `columns_needed`."""
    import polars as pl

    parts: list[pl.DataFrame] = []
    values: dict[str, dict[int, str]] = {role: {} for role in KEPT if role in roles}
    marks = [role for role in HASHED if role in roles]
    for frame in frames:
        made = frame.select(*_input(inputs), *[_mark(roles[role]).alias(role) for role in marks])
        parts.append(made)
        for role, held in values.items():
            if len(held) < VALUES_MOST:
                different = pl.DataFrame({"hash": made[role], "text": frame[roles[role]]}).unique("hash").drop_nulls()
                held.update(zip(different["hash"].to_list(), different["text"].to_list(), strict=True))
    schema = {"input": pl.UInt64, "input2": pl.UInt64, "length": pl.UInt32, "blank": pl.Boolean, **dict.fromkeys(marks, pl.UInt64)}
    return (pl.concat(parts, rechunk=True) if parts else pl.DataFrame(schema=schema)), values


def _input(names: Sequence[str]) -> list[pl.Expr]:
    import polars as pl

    if not names:
        return [
            *[pl.repeat(0, pl.len(), dtype=pl.UInt64).alias(name) for name in ("input", "input2")],
            pl.repeat(0, pl.len(), dtype=pl.UInt32).alias("length"),
            pl.repeat(False, pl.len(), dtype=pl.Boolean).alias("blank"),
        ]
    text = joined(names)
    blank = pl.all_horizontal([pl.col(name).fill_null("").str.strip_chars().str.len_bytes() == 0 for name in names])
    return [
        text.hash(1).alias("input"),
        text.hash(2).alias("input2"),
        text.str.len_chars().cast(pl.UInt32).alias("length"),
        blank.alias("blank"),
    ]


def _mark(name: str) -> pl.Expr:
    import polars as pl

    filled = pl.col(name).is_not_null() & (pl.col(name).str.len_bytes() > 0)
    return pl.when(filled).then(pl.col(name).hash(3))


def of_arrays(
    rows: Iterable[np.ndarray], columns: pl.DataFrame, roles: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, dict[int, str]]]:
    """(prints, values) of arrays: the hash of each row's bytes, and the marks of the small columns beside them."""
    import polars as pl

    hashes = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
    pairs = np.frombuffer(b"".join(hashes), "<u8").reshape(-1, 2)
    marks, values = survey([columns], (), roles)
    made = pl.DataFrame({"input": pairs[:, 0].copy(), "input2": pairs[:, 1].copy()})
    return pl.concat([made, marks.drop("input", "input2")], how="horizontal"), values
