"""Exact duplicates: rows whose inputs are equal, inside a split and across splits.

Two inputs are equal if two 64-bit hashes are (a false match among n rows has probability about n^2 / 2^129). Equal inputs on both sides of a split let a model
answer the test by heart (a leak); inside a split they weigh some rows twice and make intervals too narrow.
"""

from __future__ import annotations

import numpy as np

from genscope.core.records import Record
from genscope.core.text import many
from genscope.sections.audit.equal_rows import equal_rows
from genscope.sections.audit.splits import training_first
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, counted
from genscope.tasks.dataset import Dataset


class DuplicatesSection(AuditSection):
    """Rows with the same input."""

    name = "duplicates"
    question = "Do rows repeat exactly, inside a split or across splits?"
    kinds = frozenset({"text", "table", "arrays"})

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=0, seconds=data.rows / 3e6, memory=32 * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        data = lab.data
        groups = equal_rows(data)
        if not len(groups.rows):
            records = [_record("duplicate_groups", 0, data.rows), _record("duplicate_rows", 0, data.rows)]
            return AuditOutcome(records=records, answer=f"No two of {data.rows:,} rows have the same input.")
        split, names = data.codes("split") if data.has("split") else (np.zeros(data.rows, np.int64), ("",))
        findings = _inside(data, groups.rows, groups.group, split)
        if len(names) > 1:
            findings += _across(data, groups.rows, groups.group, split, names)
        count = int(groups.group[-1]) + 1
        records = [
            _record("duplicate_groups", count, data.rows),
            _record("duplicate_rows", len(groups.rows), data.rows),
            _record("largest_group", int(np.bincount(groups.group).max()), data.rows),
        ]
        return AuditOutcome(
            findings=findings, records=records, answer=f"{len(groups.rows):,} rows fall into {count:,} groups of equal inputs."
        )


def _inside(data: Dataset, rows: np.ndarray, group: np.ndarray, split: np.ndarray) -> list[Finding]:
    """Repeats of a row inside its own split: every row but the first of each (group, split)."""
    pair = group.astype(np.int64) * (int(split.max()) + 2) + split[rows] + 1
    order = np.lexsort((rows, pair))
    pair, rows = pair[order], rows[order]
    first = np.r_[True, pair[1:] != pair[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    again, partner = rows[~first], rows[start[~first]]
    if not len(again):
        return []
    keep = np.argsort(again)
    again, partner = again[keep], partner[keep]
    return [
        counted(
            "duplicate", f"{many(len(again), 'row repeats', 'rows repeat')} an earlier row of {'their split' if data.has('split') else 'the data'} exactly", len(again), data.rows, "medium" if len(again) >= 0.01 * data.rows else "low",
            "keep one of each, or give each a weight; repeats count as independent rows in every interval", rows=again, partners=partner,
            cases=[Case(rows=(int(partner[k]), int(again[k])), note="equal inputs") for k in range(min(EXAMPLES, len(again)))], remove=again,
        )
    ]  # fmt: skip


def _across(data: Dataset, rows: np.ndarray, group: np.ndarray, split: np.ndarray, names: tuple[str, ...]) -> list[Finding]:
    """Rows of a later split (validation, test) that also stand in an earlier one (training); one finding a pair of splits."""
    order = training_first(names)
    findings = []
    present = {code: np.unique(group[split[rows] == code]) for code in range(len(names))}
    for later in range(1, len(order)):
        for earlier in range(later):
            train, test = order[earlier], order[later]
            shared = np.intersect1d(present[train], present[test])
            if not len(shared):
                continue
            inside = np.isin(group, shared)
            left, right = rows[inside & (split[rows] == train)], rows[inside & (split[rows] == test)]
            first = dict(zip(group[inside & (split[rows] == train)][::-1].tolist(), left[::-1].tolist(), strict=True))
            partner = np.array([first[one] for one in group[inside & (split[rows] == test)].tolist()])
            of = int((split == test).sum())
            findings.append(
                counted(
                    "leak", f"{len(right):,} of {of:,} rows of split {names[test]} also stand in split {names[train]}", len(right), of, "high",
                    f"take them out of {names[train]}, then train again; until then the figures on {names[test]} are partly recall", rows=right, partners=partner,
                    cases=[Case(rows=(int(partner[k]), int(right[k])), note=f"equal inputs in {names[train]} and {names[test]}") for k in range(min(EXAMPLES, len(right)))], remove=left,
                )
            )  # fmt: skip
    return findings


def _record(metric: str, value: int, of: int) -> Record:
    return Record(
        source="audit/duplicates", metric=metric, value=float(value), unit="count", n=of, provenance="equal 128-bit hashes of the input"
    )
