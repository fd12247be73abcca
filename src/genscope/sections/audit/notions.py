"""Notions of difficulty on the same examples: a difficulty table (example, notion, value, sd, n) as data; several files in a folder are one table.

Human label, IRT, Glicko-2, loss, data-map confidence, coherence help, learning time: how far they agree, what noise alone would leave of the agreement,
and which examples they disagree about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from genscope.core.difficulty import checked, is_difficulty_table, oriented, wide
from genscope.core.records import Record
from genscope.measures.difficulty_agreement import Agreement, agreement, reliabilities
from genscope.measures.difficulty_scale import quantiles
from genscope.sections.audit.notion_tables import agreement_table, examples_table
from genscope.sections.audit_section import AuditCost, AuditLab, AuditOutcome, AuditSection, Finding
from genscope.tasks.dataset import Dataset

if TYPE_CHECKING:
    import polars as pl

SOURCE = "audit/notions"
FEW = 30


class NotionsSection(AuditSection):
    """Agreement of the notions in a difficulty table."""

    name = "notions"
    question = "Do the notions of difficulty agree on the same examples?"
    kinds: ClassVar = frozenset({"text", "table"})

    def fits(self, data: Dataset) -> bool:
        return super().fits(data) and is_difficulty_table(data.columns)

    def lacks(self, data: Dataset) -> str:
        return super().lacks(data) or (
            ""
            if is_difficulty_table(data.columns)
            else "reads a difficulty table (columns example, notion, value, and sd and n where known)"
        )

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=1, seconds=1 + data.rows / 50e3, memory=200 * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        table = _table(lab.data)
        rows = agreement(table, lab.seed)
        ranks = _ranks(table)
        examples, notions = len(ranks), [name for name in ranks.columns if name not in ("example", "mean", "spread")]
        known = reliabilities(table)
        records = [
            Record(source=SOURCE, metric="agreement", value=one.rho, unit="correlation", n=one.n, low=one.low, high=one.high, factors={"first": one.first, "second": one.second, "ceiling": one.ceiling}, provenance="Spearman; bootstrap over examples")
            for one in rows
        ]  # fmt: skip
        records += [
            Record(
                source=SOURCE,
                metric="reliability",
                value=value,
                unit="fraction",
                n=examples,
                condition=name,
                provenance="1 - mean sd^2 / variance",
            )
            for name, value in known.items()
        ]
        tables = [
            agreement_table(rows),
            examples_table(ranks, "The hardest examples by the mean of their notions (quantiles: 0 easiest, 1 hardest).", by="mean"),
        ]
        if len(notions) > 1:
            tables.append(
                examples_table(ranks, "Examples that the notions disagree about most: one calls easy what another calls hard.", by="spread")
            )
        return AuditOutcome(
            findings=_against(rows), records=records, tables=tables, facts={"examples": examples, "notions": ", ".join(notions)}, answer=_answer(examples, notions, rows),
            notes=["Notions made from one record of answers, or from one training run, share its noise and may agree beyond the ceiling."],
        )  # fmt: skip


def _table(data: Dataset) -> pl.DataFrame:
    import polars as pl

    names = [name for name in ("example", "notion", "value", "sd", "n") if name in data.columns]
    parts = [frame.select(names) for frame in data.batches(names)]
    text = pl.concat(parts)
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in ("value", "sd") if name in names]
    counts = [pl.col("n").cast(pl.Float64, strict=False).cast(pl.Int64).fill_null(1)] if "n" in names else []
    return checked(text.with_columns(*numbers, *counts), data.name)


def _ranks(table: pl.DataFrame) -> pl.DataFrame:
    """Quantile of each example by each notion, with their mean and their spread (null where fewer than two know it)."""
    import polars as pl

    turned = oriented(table)
    parts = [
        part.with_columns(value=pl.Series(quantiles(part["value"].to_numpy())))
        for part in turned.partition_by("notion", maintain_order=True)
    ]
    columns = wide(pl.concat(parts))
    names = [name for name in columns.columns if name != "example"]
    known = pl.sum_horizontal(*[pl.col(name).is_not_null().cast(pl.Int64) for name in names])
    spread = pl.max_horizontal(*names) - pl.min_horizontal(*names)
    return columns.with_columns(mean=pl.mean_horizontal(*names), spread=pl.when(known > 1).then(spread))


def _against(rows: list[Agreement]) -> list[Finding]:
    return [
        Finding(kind="difficulty", what=f"{one.first} and {one.second} rank the examples against each other (rank correlation {one.rho:.2f}, at most {one.high:.2f})", count=one.n, of=one.n, severity="low", unit="examples",
                size=abs(one.rho), advice="one of the two may be upside down (is more of it harder?), or the two measure different things")
        for one in rows if one.rho is not None and one.high is not None and one.high < 0 and one.n >= FEW
    ]  # fmt: skip


def _answer(examples: int, notions: list[str], rows: list[Agreement]) -> str:
    known = [one for one in rows if one.rho is not None]
    if not known:
        return f"{examples:,} examples with {len(notions)} notion{'s' if len(notions) != 1 else ''} of difficulty; there are no two to compare."
    best, worst = max(known, key=lambda one: one.rho or 0.0), min(known, key=lambda one: one.rho or 0.0)
    middle = float(np.median([one.rho for one in known if one.rho is not None]))
    return f"{len(notions)} notions of difficulty on {examples:,} examples: median rank correlation {middle:.2f}, from {worst.rho:.2f} ({worst.first} and {worst.second}) to {best.rho:.2f} ({best.first} and {best.second})."
