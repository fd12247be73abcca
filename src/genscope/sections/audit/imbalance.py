"""Imbalance: rare and single classes, label mixes that differ between splits, and groups that hold most rows.

The distance between two mixes is total variation, half the sum of |difference of shares|, in [0, 1]; whether it could be chance is asked of the chi-squared test of homogeneity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genscope.core.errors import DataError
from genscope.core.records import Record
from genscope.core.stats import wilson
from genscope.core.text import many, shorten
from genscope.pages.blocks import Column, Table
from genscope.sections.audit.splits import training_first
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, counted
from genscope.tasks.dataset import Dataset

CLASSES_MOST = 200
"""More different labels than this are free answers or numbers, not classes."""
RARE = 20
"""Rows below which a class is called rare: the 95 % interval of its accuracy is then wider than 0.4."""


class ImbalanceSection(AuditSection):
    """How labels and groups are spread over rows and splits."""

    name = "imbalance"
    question = "Are labels and groups spread evenly, and alike in every split?"
    kinds = frozenset({"text", "table", "arrays"})

    def fits(self, data: Dataset) -> bool:
        return super().fits(data) and (data.has("label") or data.has("group"))

    def lacks(self, data: Dataset) -> str:
        return super().lacks(data) or (
            "" if data.has("label") or data.has("group") else "needs a column for the label or the group (--label, --group)"
        )

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=0, seconds=data.rows / 1e7, memory=16 * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        data = lab.data
        findings: list[Finding] = []
        records: list[Record] = []
        tables: list[Table] = []
        notes: list[str] = []
        if data.has("label"):
            if len(data.values["label"]) > CLASSES_MOST:
                notes.append(
                    f"the label has more than {CLASSES_MOST} different values: taken for free answers or numbers, and not counted as classes"
                )
            else:
                findings, records, tables = _labels(data)
        if data.has("group"):
            findings += _groups(data, records)
        return AuditOutcome(findings=findings, records=records, tables=tables, notes=notes)


def _labels(data: Dataset) -> tuple[list[Finding], list[Record], list[Table]]:
    code, names = data.codes("label")
    counts = np.bincount(code[code >= 0], minlength=len(names))
    total = int(counts.sum())
    findings = []
    if len(names) <= 1:
        findings.append(Finding(kind="imbalance", what="all rows have the same label" if names else "no row has a label", count=data.rows, of=data.rows, severity="high", advice="a classifier of one class has nothing to learn; check --label"))  # fmt: skip
    else:
        top = int(counts.argmax())
        if counts[top] >= 0.8 * total:
            findings.append(
                counted(
                    "imbalance",
                    f"label {shorten(names[top], 40)} holds {100 * counts[top] / total:.0f} % of the rows",
                    int(counts[top]),
                    total,
                    "low",
                    "report balanced accuracy or average precision: always giving this label is right that often",
                )
            )
        rare = np.flatnonzero((counts > 0) & (counts < RARE))
        if len(rare):
            rows = np.flatnonzero(np.isin(code, rare))
            findings.append(
                Finding(
                    kind="imbalance", what=f"{many(len(rare), 'class', 'classes')} of {len(names)} have fewer than {RARE} rows", count=len(rare), of=len(names), unit="classes", severity="low",
                    advice="merge them, collect more, or leave them out of averages over classes", rows=rows, cases=[Case(rows=(int(np.flatnonzero(code == one)[0]),), note=f"a class of {many(int(counts[one]), 'row')}") for one in rare[:EXAMPLES]],
                )
            )  # fmt: skip
    records = []
    for name, count in zip(names, counts.tolist(), strict=True):
        held = wilson(count, total)
        records.append(Record(source="audit/imbalance", metric="label_share", value=held.value, low=held.low, high=held.high, unit="fraction", n=total, condition=shorten(name, 60), provenance="share of labelled rows; Wilson"))  # fmt: skip
    if not data.has("split"):
        return findings, records, [_table(names, {"rows": counts})]
    split, splits = data.codes("split")
    by = {splits[place]: np.bincount(code[(code >= 0) & (split == place)], minlength=len(names)) for place in training_first(splits)}
    if len(names) > 1 and len(by) > 1:
        findings += _shift(by, names, records, lambda label, name: _first((code == label) & (split == splits.index(name)), f"split {name}"))
    return findings, records, [_table(names, by)]


def _first(mask: np.ndarray, note: str) -> list[Case]:
    return [Case(rows=(int(row),), note=note) for row in np.flatnonzero(mask)[:EXAMPLES]]


def _shift(
    by: dict[str, np.ndarray], names: tuple[str, ...], records: list[Record], first: Callable[[int, str], list[Case]]
) -> list[Finding]:
    """Label mixes that differ between the first split and each other one."""
    from scipy.stats import chi2_contingency

    findings = []
    reference, *others = by
    for other in others:
        a, b = by[reference], by[other]
        if not a.sum() or not b.sum():
            continue
        distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
        seen = (a + b) > 0
        p = float(chi2_contingency(np.stack([a[seen], b[seen]]), correction=False).pvalue) if seen.sum() > 1 else 1.0  # pyright: ignore[reportAttributeAccessIssue]
        records.append(Record(source="audit/imbalance", metric="label_shift", value=distance, unit="fraction", n=int(a.sum() + b.sum()), condition=f"{reference} and {other}", factors={"p": p}, provenance="total variation; chi-squared test of homogeneity"))  # fmt: skip
        absent = int(((a == 0) & (b > 0)).sum())
        if absent:
            findings.append(Finding(kind="imbalance", what=f"{many(absent, 'class', 'classes')} of split {other} never occur in split {reference}", count=absent, of=len(names), unit="classes", severity="medium", advice="no model trained on the one can give them on the other"))  # fmt: skip
        if p < 0.001 and distance >= 0.05:
            worst = int(np.abs(a / a.sum() - b / b.sum()).argmax())
            moved = round(distance * int(b.sum()))
            findings.append(
                Finding(
                    kind="imbalance", what=f"splits {reference} and {other} mix the labels differently: {shorten(names[worst], 30)} is {100 * a[worst] / a.sum():.0f} % of the one and {100 * b[worst] / b.sum():.0f} % of the other",
                    count=moved, of=int(b.sum()), unit="rows to move", severity="low", advice="compare balanced accuracy, and calibrate thresholds on the mix that counts", cases=first(worst, other),
                )
            )  # fmt: skip
    return findings


def _groups(data: Dataset, records: list[Record]) -> list[Finding]:
    """Groups that hold a large part of the rows."""
    sizes = data.prints["group"].drop_nulls().value_counts(sort=True)
    if not len(sizes):
        raise DataError(f"{data.name}: the group column {data.roles['group']} is empty. Name another with --group, or --group none")
    count, most, total = len(sizes), int(sizes["count"][0]), int(sizes["count"].sum())
    effective = float(total**2 / (sizes["count"].cast(float) ** 2).sum())
    records.append(
        Record(
            source="audit/imbalance",
            metric="effective_groups",
            value=effective,
            unit="count",
            n=count,
            provenance="(sum of sizes)^2 / sum of squared sizes",
        )
    )
    if count > 1 and effective < 0.5 * count and most > 1:
        name = data.values["group"].get(int(sizes["group"][0]), "?") if len(data.values["group"]) <= 50 else "the largest"
        return [counted("imbalance", f"rows are spread over {count:,} groups as unevenly as over {effective:,.0f} equal ones; {shorten(name, 40)} holds {100 * most / total:.0f} %", most, total, "low", "cluster intervals by group, and report means over groups too")]  # fmt: skip
    return []


def _table(names: tuple[str, ...], by: dict[str, np.ndarray]) -> Table:
    columns = [Column("label", "label")]
    rows = [{"label": shorten(name, 60)} for name in names]
    for place, (split, counts) in enumerate(by.items()):
        columns += [Column(f"n{place}", split, "count"), Column(f"p{place}", "share", "percent")]
        total = int(counts.sum())
        for row, count in zip(rows, counts.tolist(), strict=True):
            held = wilson(count, total) if total else None
            row |= {f"n{place}": count, f"p{place}": (held.value, held.low, held.high) if held else None}
    return Table(columns, rows[:60], "Labels, with 95 % intervals of their shares", folded=len(names) > 12)
