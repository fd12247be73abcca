"""Tables in which notions of difficulty meet: rank correlations beside their ceiling, and the examples themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genscope.core.text import clean
from genscope.measures.difficulty_agreement import Agreement
from genscope.pages.blocks import Column, Table

if TYPE_CHECKING:
    import polars as pl

SHOWN = 15


def agreement_table(rows: Sequence[Agreement]) -> Table:
    """Pairs of notions, the best agreement first."""
    columns = (
        Column("first", "notion"), Column("second", "another"), Column("n", "examples", "count"), Column("rho", "rank correlation", "number", "Spearman, both turned so that more is harder; 95 % bootstrap over examples"),
        Column("ceiling", "ceiling", "number", "sqrt of the product of the two reliabilities: what two equal truths could show"), Column("of", "share of the ceiling", "number"),
    )  # fmt: skip
    order = sorted(rows, key=lambda one: -2.0 if one.rho is None else -one.rho)
    table = [
        {"first": clean(one.first, 60), "second": clean(one.second, 60), "n": one.n, "rho": None if one.rho is None else (one.rho, one.low, one.high), "ceiling": one.ceiling, "of": one.of_ceiling}
        for one in order
    ]  # fmt: skip
    return Table(columns, table, "Notions of difficulty on the same examples: rank correlations and their reliability ceiling.", main=True)


def examples_table(quantiles: pl.DataFrame, caption: str, *, by: str, descending: bool = True) -> Table:
    """The first examples of a wide table of difficulty quantiles (0 = easiest, 1 = hardest), sorted by one of its columns."""
    names = [name for name in quantiles.columns if name not in ("example", "mean", "spread")]
    columns = (
        Column("example", "example"),
        *(Column(name, clean(name, 40), "number") for name in names),
        Column("mean", "mean", "number"),
        Column("spread", "spread", "number", "largest minus smallest quantile"),
    )
    rows: list[dict[str, Any]] = quantiles.sort(by, descending=descending, nulls_last=True).head(SHOWN).to_dicts()
    return Table(columns, [{**row, "example": clean(row["example"], 100)} for row in rows], caption, folded=True)
