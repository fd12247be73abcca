"""Difficulty of the items of a response matrix: item response theory and Glicko-2, with standard deviations, reliability, and the items that look wrong.

An item that able solvers get wrong more often than weak ones has a wrong key or an ambiguous question. Source: Ding et al. 2024 (arXiv 2409.18433).
"""

# N solvers, J items

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from genscope.core.difficulty import difficulty_columns, difficulty_of_records, joined
from genscope.core.errors import DataError
from genscope.core.records import Record
from genscope.core.text import clean
from genscope.measures.difficulty_agreement import agreement
from genscope.measures.difficulty_reliability import Reliability, reliability
from genscope.measures.glicko2 import Glicko, difficulty_glicko2
from genscope.measures.irt import IRT, NotConverged, difficulty_irt, likelihood_ratio
from genscope.measures.irt.answers import check_connected
from genscope.pages import charts
from genscope.pages.blocks import Block, Chart, Column, Table, signed
from genscope.sections.audit.notion_tables import agreement_table
from genscope.sections.audit_section import AuditCost, AuditLab, AuditOutcome, AuditSection, Finding, Option, counted
from genscope.sections.section import View
from genscope.tasks.dataset import Dataset
from genscope.tasks.responses import ResponseRecord

if TYPE_CHECKING:
    import polars as pl

SOURCE = "audit/difficulty"
MOST = 50_000_000
"""Answers at most, solvers that a count column multiplies included."""
ENOUGH = 0.7
"""Reliability below which correlations with these difficulties say little."""
SURE = 3.0
"""Standard errors by which an item's answers must fall with ability before its key is doubted (J items are tried)."""
ENDS = 10


class DifficultySection(AuditSection):
    """Items of a response matrix from easy to hard."""

    name = "difficulty"
    question = "How hard is each item, and which items look wrong?"
    kinds: ClassVar = frozenset({"responses"})
    options: ClassVar = {
        "model": Option(default="1pl", help="1pl, 2pl (a slope an item) or 3pl (with guessing)"),
        "tau": Option(default="0.5", help="Glicko-2: how fast volatility may change, 0.3 to 1.2"),
        "threshold": Option(default="none", help="score from which an answer counts as right, where answers are not 0 and 1"),
        "duplicates": Option(default="error", help="repeated answers of a solver to an item: error, majority or mean"),
    }

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=1, seconds=2 + data.size / 20e6, memory=60 * data.size // 10)

    def run(self, lab: AuditLab) -> AuditOutcome:
        import warnings

        record = _record_of(lab)
        parts = check_connected(record, True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NotConverged)
            fit = difficulty_irt(record, lab.choice("model", ("1pl", "2pl", "3pl")), allow_disconnected=True)  # pyright: ignore[reportArgumentType]
            other = _other(record, fit)
        notes = [clean(str(one.message), 300) for one in caught if issubclass(one.category, NotConverged)]
        rating = difficulty_glicko2(record, constants=Glicko(tau=lab.number("tau", 0.1, 2.0)), seed=lab.seed.child("periods"))
        wrong = record.wrong_rate()
        counts = np.bincount(record.item, minlength=len(record.items))
        table = joined(
            [
                fit.difficulty(),
                rating.difficulty(),
                difficulty_columns("rate", record.items, wrong, np.sqrt(wrong * (1 - wrong) / counts), counts),
            ]
        )
        halves = reliability(record, lab.seed.child("halves"), splits=5) if len(record.solvers) >= 4 else None
        rows = agreement(table, lab.seed.child("notions"), reliability={} if halves is None else {"irt": halves.whole})
        doubted = _doubted(record, fit)
        findings = _findings(record, fit, parts, halves, doubted)
        spread = f"from {signed(fit.b.min(), 2, False)} to {signed(fit.b.max(), 2, False)} logits"
        told = (
            ""
            if halves is None
            else f" Reliability {halves.whole:.2f}: correlations with them cannot exceed {np.sqrt(max(halves.whole, 0)):.2f}."
        )
        return AuditOutcome(
            findings=findings, records=_records(table, fit, halves), notes=[*notes, "IRT, Glicko-2 and the rate share the noise of one record, so that they may agree beyond the ceiling."],
            facts={"model": fit.model, "estimation": fit.method, "standard errors": fit.errors, "solvers": len(record.solvers), "items": len(record.items), "answered": f"{100 * record.share:.1f} %", "periods of Glicko-2": rating.how},
            tables=[*_tables(record, fit, doubted), _models(fit, other), agreement_table(rows)], answer=f"Difficulties of {len(record.items):,} items {spread}, from {len(record.solvers):,} solvers.{told}",
        )  # fmt: skip

    def view(self, records: pl.DataFrame, about: Mapping[str, Any]) -> View:
        plain = super().view(records, about)
        table = difficulty_of_records(records)
        values = table.filter(table["notion"] == "irt")["value"].to_numpy()
        blocks: list[Block] = [_histogram(values)] if len(values) > 1 and np.ptp(values) > 0 else []
        return View(answer=plain.answer, blocks=[*blocks, *plain.blocks], facts=plain.facts)


def _record_of(lab: AuditLab) -> ResponseRecord:
    """The record; a solver that stands for several (count column) is put in as often."""
    import polars as pl

    frame = lab.data.responses().drop_nulls("correct")
    if not len(frame):
        raise DataError(f"{lab.data.name}: no answer at all. Answers are 0, 1 or empty")
    times = frame["weight"]
    if float(times.sum()) > MOST:
        raise DataError(
            f"{lab.data.name}: {float(times.sum()):,.0f} answers; at most {MOST:,} are fitted here. Give a sample of the solvers, or fit in Python: irt.difficulty_irt(record, method='map')"
        )
    if (times != 1).any():
        if ((times < 1) | (times != times.round())).any():
            raise DataError(f"{lab.data.name}: counts of solvers must be whole numbers of at least 1")
        frame = (
            frame.with_columns(copy=pl.int_ranges(times.cast(pl.Int64))).explode("copy")
            .with_columns(solver=pl.concat_str("solver", pl.lit(" #"), "copy"))
        )  # fmt: skip
    text = lab.options["threshold"]
    threshold = None if text == "none" else lab.number("threshold", -1e9, 1e9)
    duplicates: Any = lab.choice("duplicates", ("error", "majority", "mean"))
    return ResponseRecord.from_triples(
        frame["solver"].to_numpy(), frame["item"].to_numpy(), frame["correct"].to_numpy(), threshold=threshold, duplicates=duplicates
    )


def _other(record: ResponseRecord, fit: IRT) -> IRT | None:
    """The 1PL's larger or the 2PL's smaller neighbour, for the likelihood ratio; none for the 3PL or where solvers are few."""
    if fit.model == "3pl" or len(record.solvers) < 30:
        return None
    return difficulty_irt(record, "2pl" if fit.model == "1pl" else "1pl", errors=False, allow_disconnected=True)


def _doubted(record: ResponseRecord, fit: IRT) -> np.ndarray:
    """Standard errors by which each item's answers correlate with ability (negative: able solvers fail)."""
    count = np.bincount(record.item, minlength=len(record.items)).astype(float)
    x, y = record.right, fit.eap[record.solver]
    mean = [np.bincount(record.item, one, minlength=len(count)) / count for one in (x, y, x * y, x * x, y * y)]
    spread = np.sqrt(np.maximum((mean[3] - mean[0] ** 2) * (mean[4] - mean[1] ** 2), 1e-12))
    return np.where(count >= 10, (mean[2] - mean[0] * mean[1]) / spread * np.sqrt(count), 0.0)


def _findings(record: ResponseRecord, fit: IRT, parts: int, halves: Reliability | None, doubted: np.ndarray) -> list[Finding]:
    found, items = [], len(record.items)
    if parts > 1:
        found.append(Finding(kind="difficulty", what=f"the record falls into {parts} parts that share neither solver nor item", count=parts, of=parts, severity="high", unit="parts",
                             advice="add linking answers; until then difficulties of different parts are comparable only if their solvers are alike"))  # fmt: skip
    wrong = int((doubted < -SURE).sum())
    if wrong:
        found.append(
            counted(
                "mislabel",
                f"{wrong} item(s) that able solvers get wrong more often than weak ones",
                wrong,
                items,
                "medium",
                "check the key and the wording of these items (see the table), then fit again",
                unit="items",
            )
        )
    for which, what in ((fit.record.wrong_rate() == 1, "nobody got right"), (fit.record.wrong_rate() == 0, "everybody got right")):
        if which.any():
            found.append(
                counted(
                    "difficulty",
                    f"{int(which.sum())} item(s) that {what}: their difficulty is only bounded",
                    int(which.sum()),
                    items,
                    "low",
                    "kept, with a N(0, 3²) prior and a wide standard deviation; to place them add weaker or abler solvers",
                    unit="items",
                )
            )
    if halves is not None and halves.whole < ENOUGH:
        found.append(Finding(kind="difficulty", what=f"difficulties have a reliability of {halves.whole:.2f}: half the pool would rank the items otherwise", count=items, of=items, severity="medium", unit="items", size=0.01,
                             advice="add solvers of different ability before these difficulties are used"))  # fmt: skip
    return found


def _records(table: pl.DataFrame, fit: IRT, halves: Reliability | None) -> list[Record]:
    def made(metric: str, value: float | None, unit: str, n: int, **factors: Any) -> Record:
        return Record(source=SOURCE, metric=metric, value=value, unit=unit, n=n, factors=factors)

    records = [
        made("loglik", fit.loglik, "nats", len(fit.eap), model=fit.model), made("aic", fit.aic, "nats", len(fit.eap)), made("bic", fit.bic, "nats", len(fit.eap)), made("converged", float(fit.converged), "flag", 1),
    ]  # fmt: skip
    if halves is not None:
        records += [
            made("split_half", halves.half, "correlation", int(halves.items)),
            made("reliability", halves.whole, "correlation", int(halves.items)),
        ]
    return [
        *records,
        *[
            made(
                "difficulty",
                row["value"],
                "as its notion",
                row["n"],
                example=clean(row["example"], 200),
                notion=row["notion"],
                sd=row["sd"],
            )
            for row in table.to_dicts()
        ],
    ]


def _tables(record: ResponseRecord, fit: IRT, doubted: np.ndarray) -> list[Table]:
    count, wrong = np.bincount(record.item, minlength=len(record.items)), record.wrong_rate()
    columns = (
        Column("item", "item"),
        Column("b", "difficulty b", "number", "logits at the model's slope, with a 95 % interval"),
        Column("right", "right", "percent"),
        Column("n", "answers", "count"),
        Column("a", "slope a", "number"),
        Column("flag", "remark"),
    )

    def rows(places: Iterable[int]) -> list[dict[str, Any]]:
        return [
            {"item": clean(record.items[k], 100), "b": (float(fit.b[k]), float(fit.b[k] - 1.96 * fit.b_sd[k]), float(fit.b[k] + 1.96 * fit.b_sd[k])), "right": float(1 - wrong[k]), "n": int(count[k]), "a": float(fit.a[k]), "flag": fit.flags[k]}
            for k in places
        ]  # fmt: skip

    order = np.argsort(fit.b)
    found = [
        Table(columns, rows(order[::-1][:ENDS]), f"The {min(ENDS, len(order))} hardest items.", main=True),
        Table(columns, rows(order[:ENDS]), f"The {min(ENDS, len(order))} easiest items.", folded=True),
    ]
    odd = np.flatnonzero(doubted < -SURE)
    if len(odd):
        found.insert(
            0,
            Table(
                columns,
                rows(odd[np.argsort(doubted[odd])][: 2 * ENDS]),
                "Items that able solvers get wrong more often than weak ones: check their keys.",
            ),
        )
    return found


def _models(fit: IRT, other: IRT | None) -> Table:
    columns = (
        Column("model", "model"),
        Column("parameters", "parameters", "count"),
        Column("loglik", "log-likelihood", "number"),
        Column("aic", "AIC", "number"),
        Column("bic", "BIC", "number"),
        Column("test", "likelihood ratio"),
    )
    rows = [
        {"model": one.model.upper(), "parameters": one.parameters, "loglik": one.loglik, "aic": one.aic, "bic": one.bic, "test": ""}
        for one in (fit, other)
        if one is not None
    ]
    if other is not None:
        small, large = sorted((fit, other), key=lambda one: one.parameters)
        statistic, df, p = likelihood_ratio(small, large)
        rows[-1]["test"] = f"{large.model.upper()} against {small.model.upper()}: {statistic:.2f} on {df} degrees of freedom, p = {p:.2g}"
    return Table(columns, rows, "Models of the record; smaller AIC and BIC are better.", folded=True)


def _histogram(values: np.ndarray) -> Chart:
    counts, edges = np.histogram(values, bins=min(30, max(5, int(np.sqrt(len(values))))))
    rows = [
        {"low": float(low), "high": float(high), "count": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    told = json.dumps([[round(row["low"], 2), row["count"]] for row in rows])
    return Chart(charts.histogram(rows, "difficulty b, logits"), "Items by difficulty.", "", f"Counts of items by difficulty: {told}")
