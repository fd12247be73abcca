"""Shortcuts: how well one cheap feature alone tells the label, on rows that neither chose the feature nor fitted it.

A label that the length of the text, one word, or the brightness of a picture gives away can be learnt without the task; figures on such data say little about the
skill that they name. Sources: Shah et al. 2020 (arXiv 2006.07710); Gururangan et al. 2018 (partial-input baselines).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.records import Record
from genscope.core.text import clean, many, shorten
from genscope.measures.one_feature import Skill, best_features, best_tokens, category_skill
from genscope.pages.blocks import Block, Column, Table
from genscope.sections.audit import cheap_features
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option, Severity
from genscope.sections.section import View
from genscope.tasks.dataset import Dataset

if TYPE_CHECKING:
    import polars as pl

CLASSES_MOST = 50
LEAST = 10
"""Rows of a class that each half must have; smaller classes are left out."""
TOLD = 0.05
"""Skill that must be exceeded by three standard errors to be a finding."""
FINDINGS = 6


class ShortcutsSection(AuditSection):
    """One cheap feature against the label."""

    name = "shortcuts"
    question = "Does one cheap feature give the label away?"
    kinds = frozenset({"text", "table", "arrays"})
    roles = frozenset({"label"})
    options = {  # noqa: RUF012
        "rows": Option(default="20000", help="rows that are looked at, drawn at random"),
        "values": Option(default="1024", help="arrays of at most this many values: each value is a feature too"),
    }

    def cost(self, data: Dataset) -> AuditCost:
        rows = min(data.rows, 20_000)
        return AuditCost(passes=1, seconds=data.size / 150e6 + rows / 4_000, memory=2_000 * rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        data = lab.data
        y, classes, note = _classes(data)
        if y is None:
            return AuditOutcome(notes=[note], answer="Not measured.")
        half = _half(data)
        usable = y >= 0
        for c in range(classes):
            if min((usable & (y == c) & (half == side)).sum() for side in (0, 1)) < LEAST:
                usable &= y != c
        rows = np.flatnonzero(usable)
        most = lab.whole("rows", 100, 10_000_000)
        if len(rows) > most:
            rows = np.sort(lab.seed.child("rows").rng().permutation(rows)[:most])
        kept, target = np.unique(y[rows], return_inverse=True)
        if len(kept) < 2 or any(min(((target == c) & (half[rows] == side)).sum() for side in (0, 1)) < 2 for c in range(len(kept))):
            return AuditOutcome(
                notes=[f"fewer than two classes have {2 * LEAST} rows or more; skill is not measured"], answer="Not measured."
            )
        found = _skills(data, rows, target, half[rows], lab)
        return _outcome(data, found, len(rows), len(kept), [note] if note else [], classes)

    def view(self, records: pl.DataFrame, about: Mapping[str, Any]) -> View:
        """A chart of the best features above the table."""
        from genscope.pages.study_charts import skills

        base = super().view(records, about)
        rows = [
            {"name": row["condition"], "value": row["value"], "low": row["low"], "high": row["high"]}
            for row in records.to_dicts()
            if row["metric"] == "skill"
        ][:10]
        blocks: list[Block] = (
            [
                skills(
                    rows,
                    "Skill of one feature alone",
                    "0: as good as guessing; 1: it decides the label. Bars are 95 % intervals on rows that did not fit it.",
                )
            ]
            if rows
            else []
        )
        return View(answer=base.answer, blocks=[*blocks, *base.blocks], facts=base.facts)


def _classes(data: Dataset) -> tuple[np.ndarray | None, int, str]:
    """(class of each row or -1, number of classes, note): the labels, or a number label cut at its median."""
    if len(data.values["label"]) > CLASSES_MOST:
        import polars as pl

        value = data.column("label").str.strip_chars().cast(pl.Float64, strict=False).to_numpy()
        if np.isfinite(value).mean() < 0.9:
            return (
                None,
                0,
                f"the label has more than {CLASSES_MOST} different values and is no number: there are no classes that a feature could tell",
            )
        middle = float(np.nanmedian(value[np.isfinite(value)]))
        return (
            np.where(np.isfinite(value), (value > middle).astype(np.int64), -1),
            2,
            f"the label is a number: what is told is whether it is above its median, {middle:g}",
        )
    code, names = data.codes("label")
    return code, len(names), ""


def _half(data: Dataset) -> np.ndarray:
    """0 or 1 a row: equal inputs, and rows of one group, are in the same half."""
    role = "group" if data.has("group") and data.prints["group"].n_unique() >= 20 else "input"
    return ((data.prints[role].fill_null(0).to_numpy() >> np.uint64(17)) & np.uint64(1)).astype(np.int64)


Found = tuple[str, Skill, tuple[Case, ...]]
"""Name of a feature, its skill, and rows that show it."""


def _skills(data: Dataset, rows: np.ndarray, y: np.ndarray, half: np.ndarray, lab: AuditLab) -> list[Found]:
    if data.kind == "text":
        made = cheap_features.of_text(data, rows)
    elif data.kind == "table":
        made = cheap_features.of_table(data, rows)
    else:
        made = cheap_features.of_arrays(data, rows, lab.whole("values", 0, 100_000))
    found = [(made.names[place], skill, _spread(made.columns[:, place], rows, y)) for place, skill in best_features(made.columns, y, half)]
    if made.presence is not None:
        held = made.presence.tocsc()
        for place, skill in best_tokens(made.presence, y, half):
            with_it = held.indices[held.indptr[place] : held.indptr[place + 1]]
            found.append(
                (
                    f"token {clean(made.tokens[place], 40)}",
                    skill,
                    tuple(Case(rows=(int(rows[k]),), note=f"has the token, class {y[k]}") for k in np.sort(with_it)[:EXAMPLES]),
                )
            )
    for name, codes in made.categories.items():
        common = np.flatnonzero(codes == np.bincount(codes).argmax())[:EXAMPLES]
        found.append(
            (
                name,
                category_skill(codes, y, half),
                tuple(Case(rows=(int(rows[k]),), note=f"the most frequent category, class {y[k]}") for k in common),
            )
        )
    return sorted(found, key=lambda pair: (-pair[1].value, pair[0]))


def _spread(values: np.ndarray, rows: np.ndarray, y: np.ndarray) -> tuple[Case, ...]:
    """The rows with the smallest, the middle and the largest value."""
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    picks = dict.fromkeys(int(order[place]) for place in (0, len(order) // 2, len(order) - 1)) if len(order) else {}
    return tuple(Case(rows=(int(rows[k]),), note=f"value {values[k]:.4g}, class {y[k]}") for k in picks)


def _outcome(data: Dataset, found: list[Found], rows: int, kept: int, notes: list[str], classes: int) -> AuditOutcome:
    records = [
        Record(source="audit/shortcuts", metric="skill", value=skill.value, low=skill.low, high=skill.high, unit="fraction", n=skill.n, condition=shorten(name, 80), factors={"pieces": skill.pieces, "balanced_accuracy": skill.accuracy}, provenance="(balanced accuracy - 1/C) / (1 - 1/C) on the half that did not fit it")
        for name, skill, _ in found
    ]  # fmt: skip
    findings, places = [], 0
    for name, skill, cases in found:
        error = (skill.high - skill.low) / 3.92
        places += name.startswith("value at")
        if skill.value - 3 * error <= TOLD or len(findings) >= FINDINGS or (name.startswith("value at") and places > 1):
            continue
        findings.append(
            Finding(
                kind="shortcut", what=f"{shorten(name, 60)} alone tells the label with balanced accuracy {skill.accuracy:.2f} (guessing: {1 / kept:.2f})", count=round(skill.value * skill.n), of=skill.n, low=max(0.0, skill.low), high=min(1.0, skill.high),
                severity=_severity(data, name, skill), size=skill.value, unit="rows beyond guessing", advice=_advice(data, name), cases=cases,
            )
        )  # fmt: skip
    table = Table(
        (Column("name", "feature"), Column("skill", "skill", "percent"), Column("accuracy", "balanced accuracy", "number"), Column("pieces", "pieces", "count", "runs of the feature's range with one answer each: 2 is linear")),
        [{"name": shorten(name, 80), "skill": (skill.value, skill.low, skill.high), "accuracy": skill.accuracy, "pieces": skill.pieces} for name, skill, _ in found[:15]],
        "Features that tell most about the label, measured on rows that did not choose or fit them",
    )  # fmt: skip
    if kept < classes:
        notes.append(f"{many(classes - kept, 'class', 'classes')} with fewer than {2 * LEAST} rows left out")
    best = (
        f"The best of them, {shorten(found[0][0], 60)}, reaches {100 * found[0][1].value:.0f} % of the way from guessing to certainty."
        if found
        else "No feature could be measured."
    )
    return AuditOutcome(
        findings=findings,
        records=records,
        notes=notes,
        tables=[table] if found else [],
        facts={"rows": f"{rows:,}", "classes": kept},
        answer=best,
    )


def _severity(data: Dataset, name: str, skill: Skill) -> Severity:
    """A column of a table may well tell the label; that a text's form or a picture's brightness does is worse. The order of rows is mended by shuffling."""
    if name == "place in the file":
        return "low"
    high, medium = (0.95, 0.8) if data.kind == "table" or name.startswith("value at") else (0.5, 0.25)
    return "high" if skill.value >= high else "medium" if skill.value >= medium else "low"


def _advice(data: Dataset, name: str) -> str:
    if name == "place in the file":
        return "the rows are sorted by label: shuffle before you split or batch"
    if data.kind == "table":
        return "ask whether the column is known when the prediction is made; if it is made from the label, leave it out"
    return "measure your model on rows where the feature points the wrong way, or balance it, before you call its accuracy a skill"
