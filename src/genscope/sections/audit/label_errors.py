"""Suspected label errors and the data map: small models are trained on the data; rows whose label they do not believe are listed, the most doubtful first (system 17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from genscope.core.records import Record
from genscope.core.text import clean
from genscope.measures.cross_fit import CrossFit
from genscope.measures.label_errors import LabelErrors, suspected
from genscope.pages.blocks import Block, Column, Table
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option, counted
from genscope.sections.section import View
from genscope.tasks.dataset import Dataset

if TYPE_CHECKING:
    import polars as pl

SOURCE = "audit/label_errors"
LEAST = 100
"""Rows below which nothing is trained."""
CLASSES = 100
SHOWN = 600
"""Points of the chart."""


class LabelErrorsSection(AuditSection):
    """Rows whose label looks wrong, by models trained on the data itself."""

    name = "label_errors"
    question = "Which labels look wrong, and which examples are easy, hard or ambiguous?"
    kinds = frozenset({"text", "arrays", "table"})
    roles = frozenset({"label"})
    extra = "train"
    options: ClassVar[Mapping[str, Option]] = {
        "rows": Option(default="20000", help="rows that are used at most, drawn at random"),
        "epochs": Option(default="10", help="passes over the data"),
        "folds": Option(default="5", help="models; each row is judged by the one that did not see it"),
    }

    def fits(self, data: Dataset) -> bool:
        return super().fits(data) and not self.lacks(data)

    def lacks(self, data: Dataset) -> str:
        said = super().lacks(data)
        if not said and data.kind == "table" and any(data.columns[name] not in ("number", "true/false") for name in data.input_columns):
            return "reads texts or numbers, and this table mixes them; name its text with --text"
        return said

    def cost(self, data: Dataset) -> AuditCost:
        rows = min(data.rows, 20_000)
        return AuditCost(passes=1, seconds=2 + rows / 250, memory=4_000 * rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        rows, y, names, notes = _rows(lab)
        folds = lab.whole("folds", 2, 20)
        if len(rows) < LEAST or len(names) < 2:
            return AuditOutcome(answer=f"Not measured: {len(rows):,} usable rows in {len(names)} classes; at least {LEAST} rows in 2 are needed.", notes=notes)  # fmt: skip
        fit = _fit(lab, rows, y, folds, lab.whole("epochs", 2, 200))
        found = suspected(fit.p, y, fit.dynamics.confidence)
        chance = float(np.bincount(y).max() / len(y))
        believed = fit.accuracy > chance + 2 * np.sqrt(chance * (1 - chance) / len(y))
        if not believed:
            notes.append("The small models do no better than always giving the most frequent label, so their doubts say nothing; no label is suspected.")  # fmt: skip
        ids = lab.data.ids(rows.tolist())
        findings = _findings(lab.data, rows, y, names, fit, found) if believed else []
        share = len(found.rows) / len(rows)
        answer = f"{len(found.rows):,} of {len(rows):,} labels look wrong ({100 * share:.1f} %)." if believed else "Small models cannot tell the labels; none is suspected."  # fmt: skip
        return AuditOutcome(
            findings=findings, records=_records(fit, y, found, rows, ids), notes=notes, answer=answer, tables=[_map_table(fit, rows, lab), _help_table(fit, rows, y, names)],
            facts={"rows used": f"{len(rows):,}", "classes": len(names), "accuracy out of sample": f"{fit.accuracy:.3f}", "most frequent label": f"{chance:.3f}", "models": folds},
        )  # fmt: skip

    def view(self, records: pl.DataFrame, about: Mapping[str, Any]) -> View:
        from genscope.pages.scatter import data_map

        plain = super().view(records, {**about, "tables": []})
        points = about["tables"][0]["rows"] if about["tables"] else []
        caption = "Confidence and variability of the label's probability over the epochs of small models trained on these data. Hard to learn: often a wrong label."
        blocks: list[Block] = [data_map(points, caption=caption)] if points else []
        return View(answer=plain.answer, blocks=[*blocks, *plain.blocks], facts=plain.facts)


def _rows(lab: AuditLab) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """(rows that are used, class of each as 0, 1, ..., the classes' names, notes). Classes with fewer rows than two a fold are left out."""
    data = lab.data
    code, names = data.codes("label")
    usable, notes = code >= 0, []
    if data.kind == "text":
        usable = usable & ~data.prints["blank"].to_numpy()
    else:
        usable = usable & np.isfinite(data.x.reshape(data.rows, -1).astype(np.float64, copy=False)).all(1) if data.rows else usable
    rows = np.flatnonzero(usable)
    most = lab.whole("rows", LEAST, 1_000_000)
    if len(rows) > most:
        notes.append(f"Measured on {most:,} of {len(rows):,} rows, drawn at random (option rows).")
        rows = np.sort(lab.seed.child("rows").rng().choice(rows, most, replace=False))
    counts = np.bincount(code[rows], minlength=len(names)) if len(rows) else np.zeros(len(names), int)
    kept = np.flatnonzero(counts >= 2 * lab.whole("folds", 2, 20))
    if len(kept) > CLASSES:
        notes.append(f"The label has {len(kept)} classes; small models are trained for {CLASSES} at most.")
        return np.empty(0, np.int64), np.empty(0, np.int64), [], notes
    rare = int((counts > 0).sum() - len(kept))
    if rare:
        notes.append(f"{rare} classes with fewer than {2 * lab.whole('folds', 2, 20)} rows were left out.")
    rows = rows[np.isin(code[rows], kept)]
    return rows, np.searchsorted(kept, code[rows]), [names[k] for k in kept], notes


def _fit(lab: AuditLab, rows: np.ndarray, y: np.ndarray, folds: int, epochs: int) -> CrossFit:
    from genscope.measures.cross_fit import cross_fit_arrays, cross_fit_texts

    with lab.progress.work("small models on the labels", folds * epochs) as advance:
        if lab.data.kind == "text":
            wanted = set(rows.tolist())
            texts = [text for frame in lab.data.inputs() for row, text in frame.select("row", "text").iter_rows() if row in wanted]
            return cross_fit_texts(texts, y, lab.seed, folds=folds, epochs=epochs, advance=advance)
        return cross_fit_arrays(lab.data.x[rows], y, lab.seed, folds=folds, epochs=epochs, advance=advance)


def _findings(data: Dataset, rows: np.ndarray, y: np.ndarray, names: list[str], fit: CrossFit, found: LabelErrors) -> list[Finding]:
    made = []
    if len(found.rows):
        cases = [
            Case(rows=(int(rows[row]),), note=clean(f"labelled {names[y[row]]}, looks like {names[said]}", 200))
            for row, said in zip(found.rows[:EXAMPLES], found.said, strict=False)
        ]
        made.append(
            counted(
                "mislabel", f"{len(found.rows):,} labels look wrong: models that did not see the row prefer another class, and those that did learned it late or never", len(found.rows), len(rows),
                "medium" if len(found.rows) >= 0.01 * len(rows) else "low", "look at the listed rows, the most doubtful first; hard rows with right labels are among them, so remove none unseen",
                rows=rows[found.rows], scores=found.score[found.rows], cases=cases,
            )
        )  # fmt: skip
    region = fit.dynamics.regions()
    hard = np.flatnonzero(region == "hard")
    hard = hard[np.argsort(fit.dynamics.confidence[hard], kind="stable")]
    if len(hard):
        made.append(
            counted(
                "difficulty", f"{len(hard):,} rows are hard to learn: low and steady probability of their label over {len(fit.dynamics.epochs)} epochs", len(hard), len(rows), "info",
                "report results with and without them; hard and mislabelled rows look alike here", rows=rows[hard], scores=fit.dynamics.confidence[hard],
                cases=[Case(rows=(int(rows[k]),), note=f"confidence {fit.dynamics.confidence[k]:.2f}") for k in hard[:EXAMPLES]],
            )
        )  # fmt: skip
    return made


def _map_table(fit: CrossFit, rows: np.ndarray, lab: AuditLab) -> Table:
    """Points of the data map: all of them, or a drawn sample."""
    shown = np.arange(len(rows))
    if len(shown) > SHOWN:
        shown = np.sort(lab.seed.child("points").rng().choice(shown, SHOWN, replace=False))
    region = fit.dynamics.regions()
    points = [
        {"example": int(rows[k]), "confidence": round(float(fit.dynamics.confidence[k]), 4), "variability": round(float(fit.dynamics.variability[k]), 4), "region": str(region[k])}
        for k in shown
    ]  # fmt: skip
    columns = [
        Column("example", "row", "count"),
        Column("confidence", "confidence", "fine"),
        Column("variability", "variability", "fine"),
        Column("region", "region"),
    ]
    return Table(columns, points, f"Data map of {len(shown):,} of {len(rows):,} rows.", folded=True)


def _help_table(fit: CrossFit, rows: np.ndarray, y: np.ndarray, names: list[str]) -> Table:
    """The rows that a training step on all rows helps least (system 14)."""
    least = np.argsort(np.nan_to_num(fit.help, nan=np.inf), kind="stable")[:12]
    lines = [
        {"example": int(rows[k]), "label": clean(names[y[k]], 80), "help": round(float(fit.help[k]), 4)}
        for k in least
        if np.isfinite(fit.help[k])
    ]
    hurt = int((fit.help < 0).sum())
    columns = (Column("example", "row", "count"), Column("label", "label"), Column("help", "help", "fine", "g_z . mean g / |g_z|² after the first epoch; negative: the step on all rows makes it worse"))  # fmt: skip
    return Table(
        columns, lines, f"Helped least by a training step on all rows; {hurt:,} of {len(rows):,} rows are hurt by it.", folded=True
    )


def _records(fit: CrossFit, y: np.ndarray, found: LabelErrors, rows: np.ndarray, ids: Mapping[int, str]) -> list[Record]:
    def made(metric: str, value: float, unit: str, n: int, **factors: Any) -> Record:
        return Record(source=SOURCE, metric=metric, value=value, unit=unit, n=n, factors=factors)

    records = [
        made("suspected_share", len(found.rows) / len(rows), "fraction", len(rows)), made("doubted_share", float(found.doubted.mean()), "fraction", len(rows)),
        made("accuracy_out_of_sample", fit.accuracy, "fraction", len(rows)),
    ]  # fmt: skip
    names = [ids[int(row)] for row in rows]
    if len(set(names)) < len(names):
        names = [str(int(row)) for row in rows]
    for row in fit.difficulty(y).iter_rows(named=True):
        records.append(
            made(
                "difficulty",
                row["value"],
                "as its notion",
                row["n"],
                example=names[int(row["example"])],
                notion=row["notion"],
                sd=row["sd"],
            )
        )
    return records
