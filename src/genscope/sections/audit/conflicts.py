"""Contradictory labels: rows with equal inputs and different labels. No model can be right on all of them.

The least error that any deterministic answer must make on them is sum over groups (size - most frequent label) / rows.
"""

from __future__ import annotations

import numpy as np

from genscope.core.records import Record
from genscope.core.stats import wilson
from genscope.core.text import many
from genscope.sections.audit.equal_rows import EqualRows, equal_rows
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, counted
from genscope.tasks.dataset import Dataset


class ConflictsSection(AuditSection):
    """Equal inputs with different labels."""

    name = "conflicts"
    question = "Do equal inputs carry different labels?"
    kinds = frozenset({"text", "table", "arrays"})
    roles = frozenset({"label"})

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=0, seconds=data.rows / 3e6, memory=32 * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        data = lab.data
        clash, unavoidable, groups = conflicts(data, equal_rows(data))
        least = wilson(unavoidable, data.rows)
        records = [
            Record(source="audit/conflicts", metric="conflict_rows", value=float(len(clash.rows)), unit="count", n=data.rows, provenance="rows of equal input with at least two labels"),
            Record(source="audit/conflicts", metric="least_error", value=least.value, low=least.low, high=least.high, unit="fraction", n=data.rows, provenance="(size - most frequent label) summed over groups, by rows; Wilson"),
        ]  # fmt: skip
        if not len(clash.rows):
            return AuditOutcome(records=records, answer="Equal inputs always carry the same label.")
        share = len(clash.rows) / data.rows
        first = np.r_[True, clash.group[1:] != clash.group[:-1]]
        start = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
        label = data.prints["label"].to_numpy()
        differs = np.flatnonzero(~first & (label[clash.rows] != label[clash.rows[start]]))
        _, leading = np.unique(clash.group[differs], return_index=True)
        cases = [
            Case(rows=(int(clash.rows[start[k]]), int(clash.rows[k])), note=_labels(data, int(clash.rows[start[k]]), int(clash.rows[k])))
            for k in differs[leading[:EXAMPLES]]
        ]
        finding = counted(
            "conflict", f"{many(len(clash.rows), 'row')} in {many(groups, 'group has', 'groups have')} an input that also stands with another label", len(clash.rows), data.rows, "high" if share >= 0.01 else "medium",
            f"look at them and settle the label, or leave them out; on this data no classifier can be right on more than {100 * (1 - least.value):.2f} % of the rows",
            rows=clash.rows, partners=np.where(first, -1, clash.rows[start]), cases=cases, remove=np.sort(clash.rows),
        )  # fmt: skip
        return AuditOutcome(findings=[finding], records=records, facts={"least possible error": f"{100 * least.value:.2f} %"})


def conflicts(data: Dataset, equal: EqualRows) -> tuple[EqualRows, int, int]:
    """(rows of the groups with two labels or more, errors that nobody can avoid on them, number of such groups); an empty label is no label."""
    import polars as pl

    label = data.prints["label"].gather(pl.Series(equal.rows, dtype=pl.UInt32)) if len(equal.rows) else data.prints["label"].head(0)
    frame = pl.DataFrame({"row": equal.rows, "group": equal.group, "label": label}).drop_nulls("label")
    sizes = frame.group_by("group", "label").len()
    mixed = (
        sizes.group_by("group")
        .agg(pl.len().alias("labels"), pl.col("len").sum().alias("size"), pl.col("len").max().alias("most"))
        .filter(pl.col("labels") > 1)
    )
    held = frame.join(mixed, on="group", how="semi").sort("group", "row")
    unavoidable = int((mixed["size"] - mixed["most"]).sum() or 0)
    return EqualRows(held["row"].to_numpy().astype(np.int64), held["group"].to_numpy().astype(np.int64)), unavoidable, len(mixed)


def _labels(data: Dataset, a: int, b: int) -> str:
    """The two labels; a note shows labels only where they are classes, since a free answer is text of the data."""
    if len(data.values["label"]) > 50:
        return "different labels"
    one, other = (data.values["label"].get(int(data.prints["label"][int(row)]), "?") for row in (a, b))
    return f"labels {one} and {other}"
