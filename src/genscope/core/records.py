"""Record: a number that a user may see, with its unit, its interval and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import canonical

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A measured value.

    source: verb or study and section ("profile/scylla"); condition: what was varied (mode, model); arm: "" or the arm of a study;
    seed, split, level, step: where it was measured, None where it does not apply; factors: further named places ("task": ...);
    unit: "fraction", "count", "bits", ...; n: units under it; low, high: ends of its 95 % interval, None without one;
    provenance: the estimator, in words.
    """

    source: str
    metric: str
    value: float | None
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    condition: str = ""
    arm: str = ""
    seed: int | None = None
    split: str = ""
    level: int | None = None
    step: int | None = None
    factors: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = ""


_SCHEMA = (
    "source",
    "condition",
    "arm",
    "seed",
    "split",
    "level",
    "factors",
    "step",
    "metric",
    "value",
    "unit",
    "n",
    "low",
    "high",
    "provenance",
)


def plain_record(record: Record) -> dict[str, Any]:
    """A record as plain values: NaN and infinities become None, which JSON can hold."""
    plain: dict[str, Any] = asdict(record)
    for name in ("value", "low", "high"):
        if plain[name] is not None:
            plain[name] = float(plain[name]) if math.isfinite(plain[name]) else None
    return plain


def records_frame(records: Iterable[Record]) -> pl.DataFrame:
    """Records as a polars frame with a fixed schema (factors as canonical JSON), in the order given. NaN and infinities become null."""
    import polars as pl

    def row(record: Record) -> dict[str, Any]:
        plain = plain_record(record) | {"factors": canonical(dict(record.factors))}
        return {name: plain[name] for name in _SCHEMA}

    text, whole, real = pl.String, pl.Int64, pl.Float64
    types = {"seed": whole, "level": whole, "step": whole, "n": whole, "value": real, "low": real, "high": real}
    return pl.DataFrame([row(record) for record in records], schema={name: types.get(name, text) for name in _SCHEMA})
