"""Leaks by group or id: a patient, author or document whose rows stand on both sides of a split, and ids that return."""

from __future__ import annotations

import numpy as np

from genscope.core.records import Record
from genscope.core.text import many
from genscope.sections.audit.splits import training_first
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, counted
from genscope.tasks.dataset import Dataset


class LeaksSection(AuditSection):
    """Groups and ids on both sides of a split. Equal and nearly equal inputs across splits are the concern of `duplicates` and `near_duplicates`."""

    name = "leaks"
    question = "Does a group or an id stand on both sides of a split?"
    kinds = frozenset({"text", "table", "arrays"})
    roles = frozenset({"split"})

    def fits(self, data: Dataset) -> bool:
        return super().fits(data) and (data.has("group") or data.has("id"))

    def lacks(self, data: Dataset) -> str:
        found = super().lacks(data)
        return found or ("" if data.has("group") or data.has("id") else "needs a column for the group or the id (--group, --id)")

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=0, seconds=data.rows / 3e6, memory=24 * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        data = lab.data
        findings: list[Finding] = []
        records: list[Record] = []
        for role in ("group", "id"):
            # ids that are pictures' paths or numbers counted anew in each split say nothing
            if data.has(role) and data.form != "images":
                some, numbers = _across(data, role)
                findings, records = findings + some, records + numbers
        told = " and ".join(role for role in ("group", "id") if data.has(role))
        return AuditOutcome(findings=findings, records=records, answer="" if findings else f"No {told} stands in two splits.")


def _across(data: Dataset, role: str) -> tuple[list[Finding], list[Record]]:
    """One finding a pair of splits that share values of the role; rows of the later split are flagged."""
    split, names = data.codes("split")
    marks = data.prints[role]
    filled = marks.is_not_null().to_numpy()
    mark = marks.fill_null(0).to_numpy()
    order = training_first(names)
    held = {code: np.unique(mark[filled & (split == code)]) for code in range(len(names))}
    if role == "id" and _counted_anew(held):
        return [], []
    findings, records = [], []
    for later in range(1, len(order)):
        for earlier in range(later):
            train, test = order[earlier], order[later]
            shared = np.intersect1d(held[train], held[test])
            records.append(
                Record(
                    source="audit/leaks",
                    metric=f"shared_{role}s",
                    value=float(len(shared)),
                    unit="count",
                    n=len(held[test]),
                    condition=f"{names[train]} and {names[test]}",
                    provenance="equal hashes",
                )
            )
            if not len(shared):
                continue
            inside = filled & np.isin(mark, shared)
            rows, left = np.flatnonzero(inside & (split == test)), np.flatnonzero(inside & (split == train))
            first = {int(mark[row]): int(row) for row in left[::-1]}
            partner = np.array([first[int(mark[row])] for row in rows])
            of = int((split == test).sum())
            word = "groups" if role == "group" else "ids"
            findings.append(
                counted(
                    "leak", f"{many(len(rows), 'row')} of split {names[test]} belong to {len(shared):,} of its {len(held[test]):,} {word} that also stand in split {names[train]}", len(rows), of,
                    "high" if role == "group" else "medium", f"split by {role}: put all rows of a {role} on one side" if role == "group" else f"check whether they are the same rows; if so take them out of {names[train]}",
                    rows=rows, partners=partner, cases=[Case(rows=(int(partner[k]), int(rows[k])), note=f"same {role} in {names[train]} and {names[test]}") for k in range(min(EXAMPLES, len(rows)))],
                    remove=left if role == "group" else np.empty(0, np.int64),
                )
            )  # fmt: skip
    return findings, records


def _counted_anew(held: dict[int, np.ndarray]) -> bool:
    """Whether every split's ids are those of the largest one, as when each split counts its rows from 0."""
    largest = max(held.values(), key=len)
    return len(held) > 1 and all(np.isin(one, largest).mean() > 0.98 for one in held.values() if len(one))
