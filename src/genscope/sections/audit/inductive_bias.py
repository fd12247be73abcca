"""Inductive bias: how hard labelled arrays are to generalize on, in bits, before any model is chosen (system 1), and what the number hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from genscope.core.errors import DataError
from genscope.core.records import Record
from genscope.measures.class_margin import Margin, class_margin, radius
from genscope.measures.inductive_bias import Bits, inductive_bias_complexity
from genscope.measures.intrinsic_dimension import intrinsic_dimension
from genscope.pages.blocks import Column, Table
from genscope.sections.audit_section import AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option
from genscope.tasks.dataset import Dataset

LEAST = 50
"""Rows below which nothing is estimated."""


class InductiveBiasSection(AuditSection):
    """Bits of inductive bias of a classification task on numbers."""

    name = "inductive_bias"
    question = "How hard is this task to generalize on, whatever the model?"
    kinds = frozenset({"arrays", "table"})
    roles = frozenset({"label"})
    options: ClassVar[Mapping[str, Option]] = {
        "eps": Option(default="0.01", help="wanted error rate, above 0 and below 1"),
        "k": Option(default="5", help="neighbours for the intrinsic dimension"),
        "rows": Option(default="10000", help="rows that are used at most, drawn at random"),
    }

    def fits(self, data: Dataset) -> bool:
        return super().fits(data) and not self.lacks(data)

    def lacks(self, data: Dataset) -> str:
        said = super().lacks(data)
        if not said and data.kind == "table" and any(data.columns[name] not in ("number", "true/false") for name in data.input_columns):
            return "reads numbers, and some input columns are text"
        return said

    def cost(self, data: Dataset) -> AuditCost:
        rows = min(data.rows, int(self.options["rows"].default))
        width = 1 if data.array is None else max(1, data.array[0].size if len(data.array) else 1)
        return AuditCost(passes=1, seconds=1e-11 * rows * rows * (50 + 4 * width), memory=256 << 20)

    def run(self, lab: AuditLab) -> AuditOutcome:
        eps, k = lab.number("eps", 1e-12, 1 - 1e-12), lab.whole("k", 2, 100)
        x, y, places, notes = _rows(lab.data, lab.whole("rows", LEAST, 1_000_000), lab)
        classes = len(np.unique(y))
        if len(x) < max(LEAST, k + 2) or classes < 2:
            return AuditOutcome(answer=f"Not measured: {len(x):,} usable rows in {classes} classes; at least {max(LEAST, k + 2)} rows in 2 are needed.", notes=notes)  # fmt: skip
        try:
            dimension = intrinsic_dimension(x, k=k)
            margin = _margin(x, y, notes)
        except DataError as error:
            return AuditOutcome(answer="Not measured: the rows do not allow it.", notes=[*notes, str(error)])
        size, m = radius(x), dimension.value
        if dimension.n_dropped:
            notes.append(f"{dimension.n_dropped:,} copies of other rows were left out of the dimension.")

        def bits(n: float = len(x), m: float = m, delta: float = margin.value) -> Bits:
            return inductive_bias_complexity(n, m, classes, eps, radius=size, delta=delta)

        found = bits()
        rows = [
            {"change": "as it is", "bits": _power(found)}, {"change": "class margin halved", "bits": _power(bits(delta=margin.value / 2))},
            {"change": "twice the rows", "bits": _power(bits(n=2 * len(x)))}, {"change": "one dimension more", "bits": _power(bits(m=m + 1))},
        ]  # fmt: skip
        table = Table([Column("change", "what changes"), Column("bits", "bits of inductive bias")], rows, "What the number hangs on. Each line changes one thing.", main=True)  # fmt: skip
        notes.append(
            "An upper bound, relative to all functions that the class margin can resolve: good for comparing tasks, not the size of any model. "
            "The dimension rises and the margin falls with the number of rows; compare data sets at the same number."
        )
        records = [
            _record("bits_log10", None if found.flags else found.log10_bits, "decades", len(x)), _record("intrinsic_dimension", m, "dimensions", dimension.n),
            _record("class_margin", margin.value, "distance", len(x)), _record("radius", size, "distance", len(x)), _record("cutoff", found.cutoff, "ratio", len(x)),
        ]  # fmt: skip
        facts = {
            "rows used": f"{len(x):,}", "classes": classes, "intrinsic dimension": f"{m:.2f}", "class margin": f"{margin.value:.4g}", "radius": f"{size:.4g}", "wanted error": f"{eps:g}",
        }  # fmt: skip
        return AuditOutcome(
            findings=[_finding(found, len(x), m, margin, places)],
            records=records,
            facts=facts,
            notes=notes,
            tables=[table],
            answer=_answer(found, m, eps),
        )


def _rows(data: Dataset, most: int, lab: AuditLab) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Inputs, classes and row numbers of at most `most` usable rows, and what was left out."""
    y = data.y
    x = data.x.reshape(data.rows, -1) if data.rows else np.empty((0, 1))
    usable = np.flatnonzero((y >= 0) & np.isfinite(x.astype(np.float64, copy=False)).all(1)) if data.rows else np.empty(0, np.int64)
    notes = [f"{data.rows - len(usable):,} rows without a label or with values that are no finite numbers were left out."] if len(usable) < data.rows else []  # fmt: skip
    if len(usable) > most:
        notes.append(f"Measured on {most:,} of {len(usable):,} rows, drawn at random (option rows).")
        usable = np.sort(lab.seed.rng().choice(usable, most, replace=False))
    return x[usable].astype(np.float64), y[usable], usable, notes


def _margin(x: np.ndarray, y: np.ndarray, notes: list[str]) -> Margin:
    """The class margin; where equal inputs have different labels, that of the other pairs, with a note."""
    try:
        return class_margin(x, y)
    except DataError as error:
        if "different labels" not in str(error):
            raise
        found = class_margin(x, y, min_distance=1e-9 * radius(x))
        notes.append(f"{found.n_close:,} pairs of equal inputs have different labels, so the true class margin is 0 and the task cannot be solved exactly; the margin here is that of all other pairs.")  # fmt: skip
        return found


def _power(found: Bits) -> str:
    return "0" if found.flags else f"10^{found.log10_bits:.2f}"


def _answer(found: Bits, m: float, eps: float) -> str:
    if "data_sufficient" in found.flags:
        return f"The data alone fix the answer at this resolution: no inductive bias is needed (intrinsic dimension {m:.1f})."
    if "target_trivial" in found.flags:
        return f"An error of {eps:g} needs no inductive bias: whatever fits the data reaches it."
    return f"About {_power(found)} bits of inductive bias are needed for an error of {eps:g}; intrinsic dimension {m:.1f}."


def _finding(found: Bits, n: int, m: float, margin: Margin, places: np.ndarray) -> Finding:
    a, b = (int(places[one]) for one in margin.pair)
    advice = (
        "more rows hardly help; lower the dimension (crop, align, embed by a pretrained model) or put the invariances into the model"
        if not found.flags
        else "a generic learner should do; if it does not, look at the nearest pairs of different class"
    )
    return Finding(
        kind="difficulty", what=f"inductive bias needed: {_power(found)} bits (dimension {m:.1f}, class margin {margin.value:.3g})",
        count=n, of=n, severity="info", advice=advice, cases=[Case(rows=(a, b), note="the nearest two of different class")],
    )  # fmt: skip


def _record(metric: str, value: float | None, unit: str, n: int) -> Record:
    return Record(source="audit/inductive_bias", metric=metric, value=value, unit=unit, n=n, provenance="Boopathy et al. 2023")
