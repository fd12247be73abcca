"""Claims: what a paper says, as clauses on records, judged with one of three verdicts.

Reproduced: every clause holds at its interval's bound. Not reproduced: some clause is refuted at its bound. Else inconclusive, with
the smallest effect that the data could have shown. A claim is hashed before the run; a claim edited after it has another hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from genscope.core.canonical import digest
from genscope.core.errors import UsageError
from genscope.core.estimators import Estimate, estimate
from genscope.core.seeds import Seed
from genscope.core.stats import holm, smallest_detectable

if TYPE_CHECKING:
    import polars as pl

Relation = Literal[">", "<", "within", "not worse than", "rank"]
Outcome = Literal["holds", "refuted", "open"]
Answer = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One comparison.

    metric: rows of the records it reads; select: column -> value that rows must have; contrast: (column, a, b), the effect is a - b (for relation "rank":
    (column, "falls" | "rises", "")); pair: columns that name a paired unit; cluster: columns whose rows belong together; strata: columns inside which is resampled;
    relation and margin: ">" effect above margin, "<" below, "within" margin = (low, high), "not worse than" above -margin, "rank" a monotone trend beyond
    margin; at_least: the estimate itself must also reach this value (for ">"); test: estimator (core/estimators.py); alpha: two-sided error of the interval.
    """

    metric: str
    relation: Relation
    margin: float | tuple[float, float]
    test: str
    select: Mapping[str, Any] = field(default_factory=dict)
    contrast: tuple[str, Any, Any] | None = None
    pair: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    at_least: float | None = None
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation):
            raise UsageError(f"clause on {self.metric}: relation must be one of {', '.join(get_args(Relation))}; got {self.relation!r}")
        if (self.relation == "within") != isinstance(self.margin, tuple):
            raise UsageError(
                f"clause on {self.metric}: the margin of 'within' is a pair (low, high), of all others one number; got {self.margin!r}"
            )
        if self.at_least is not None and self.relation != ">":
            raise UsageError(f"clause on {self.metric}: at_least goes with the relation '>', got {self.relation!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Precondition:
    """What must be true of the run before a claim can be judged: `reduce` of the metric's values stands in `relation` to `value`."""

    metric: str
    relation: Literal[">=", "<="]
    value: float
    sentence: str
    reduce: Literal["mean", "min", "max", "count"] = "mean"
    select: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A claim of a paper. kind: "instrument" (known answer) or "phenomenon"; minimum_n: units (paired seeds, or rows under the first clause) that there must be, else inconclusive."""

    id: str
    kind: Literal["instrument", "phenomenon"]
    sentence: str
    clauses: tuple[Clause, ...]
    minimum_n: int
    preconditions: tuple[Precondition, ...] = ()

    def __post_init__(self) -> None:
        if not self.clauses:
            raise UsageError(f"claim {self.id}: a claim has at least one clause")

    @property
    def hash(self) -> str:
        """Canonical hash of every field: fixed before the run, stored with the verdict."""
        return digest(asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class ClauseResult:
    """A clause on data: its estimate, whether it holds, and the smallest effect it could have shown."""

    clause: Clause
    estimate: Estimate
    outcome: Outcome
    adjusted_p: float | None
    smallest_detectable: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A claim on data. rows: the units that minimum_n counts; unmet: sentences of preconditions that failed."""

    claim: Claim
    verdict: Answer
    reason: str
    clauses: tuple[ClauseResult, ...]
    preconditions: tuple[dict[str, Any], ...]
    rows: int

    def plain(self) -> dict[str, Any]:
        """The board's form. effect and ci are those of the first clause that does not hold, else of the first."""
        clause = next((one for one in self.clauses if one.outcome != "holds"), self.clauses[0] if self.clauses else None)
        shown = clause.estimate if clause else None
        return {
            "id": self.claim.id, "kind": self.claim.kind, "sentence": self.claim.sentence, "hash": self.claim.hash,
            "effect": shown.effect if shown else None, "ci": None if shown is None or shown.low is None else [shown.low, shown.high],
            "n": self.rows, "smallest_detectable": clause.smallest_detectable if clause else None,
            "preconditions": list(self.preconditions), "verdict": self.verdict, "reason": self.reason,
            "clauses": [_plain_clause(one) for one in self.clauses],
        }  # fmt: skip


def judge_all(claims: Sequence[Claim], records: pl.DataFrame, seed: Seed) -> list[Verdict]:
    """Judge claims together: p values of all their clauses are corrected by Holm.

    `records` is a long frame with columns metric, value and whatever the clauses name; a column `claim` restricts a row to one claim.
    """
    checked = [_preconditions(claim, _of(claim, records)) for claim in claims]
    estimates = [_estimates(claim, _of(claim, records), seed.child(claim.id)) for claim in claims]
    with_p = [(c, k) for c, made in enumerate(estimates) for k, one in enumerate(made) if one.p is not None]
    adjusted = dict(zip(with_p, holm([estimates[c][k].p or 0.0 for c, k in with_p]), strict=True))
    verdicts = []
    for c, claim in enumerate(claims):
        results = tuple(
            _judge_clause(clause, made, adjusted.get((c, k)))
            for k, (clause, made) in enumerate(zip(claim.clauses, estimates[c], strict=bool(estimates[c])))
        )
        verdicts.append(_verdict(claim, results, checked[c], _units(claim, results, _of(claim, records))))
    return verdicts


def judge(claim: Claim, records: pl.DataFrame, seed: Seed) -> Verdict:
    """Judge one claim by itself."""
    return judge_all([claim], records, seed)[0]


def with_placebo(verdict: Verdict, placebo: Verdict, kind: str) -> dict[str, Any]:
    """The board's entry of a claim beside its placebo. A placebo whose preconditions fail is void, and one that is reproduced shows
    that the test does not see the mechanism: in both cases the claim is inconclusive, whatever its own records say.
    """
    entry, control = verdict.plain(), placebo.plain()
    void = [one["sentence"] for one in placebo.preconditions if not one["met"]]
    answer = "void" if void else placebo.verdict
    entry["placebo"] = {
        "kind": kind, "effect": control["effect"], "ci": control["ci"], "n": control["n"], "verdict": answer, "reason": control["reason"], "clauses": control["clauses"],
    }  # fmt: skip
    if verdict.verdict == "reproduced" and answer in ("void", "reproduced"):
        why = f"its placebo is void ({'; '.join(void)})" if void else "its placebo is reproduced too"
        entry |= {"verdict": "inconclusive", "reason": f"the claim's own records satisfy it, but {why}"}
    return entry


def _of(claim: Claim, records: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return records.filter(pl.col("claim") == claim.id) if "claim" in records.columns else records


def _chosen(what: Clause | Precondition, records: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    lacking = sorted({"metric", "value", *what.select} - set(records.columns))
    if lacking:
        raise UsageError(f"records without the column {', '.join(lacking)}; a claim needs metric, value and what its clauses select by")
    rows = records.filter(pl.col("metric") == what.metric)
    for column, value in what.select.items():
        rows = rows.filter(pl.col(column) == value)
    return rows


def _units(claim: Claim, results: Sequence[ClauseResult], records: pl.DataFrame) -> int:
    """What `minimum_n` counts: paired units (seeds) where the clauses pair them, else rows under the first clause."""
    paired = [one.estimate.n for one in results if one.clause.test == "paired_t"]
    return min(paired) if paired else len(_chosen(claim.clauses[0], records))


def _estimates(claim: Claim, records: pl.DataFrame, seed: Seed) -> list[Estimate]:
    """One estimate a clause; none at all when some clause has no rows (the claim is then inconclusive)."""
    parts = [_chosen(clause, records) for clause in claim.clauses]
    sides = [_has_sides(clause, part) for clause, part in zip(claim.clauses, parts, strict=True)]
    if not all(len(part) for part in parts) or not all(sides):
        return []
    return [
        estimate(clause, part, seed.child("clause", number)) for number, (clause, part) in enumerate(zip(claim.clauses, parts, strict=True))
    ]


def _has_sides(clause: Clause, rows: pl.DataFrame) -> bool:
    if clause.contrast is None or clause.relation == "rank" or clause.test == "spearman_clusters" or clause.contrast[0] not in rows.columns:
        return True
    present = set(rows[clause.contrast[0]].to_list())
    return {clause.contrast[1], clause.contrast[2]} <= present


def _preconditions(claim: Claim, records: pl.DataFrame) -> tuple[dict[str, Any], ...]:
    results = []
    for wanted in claim.preconditions:
        values = _chosen(wanted, records)["value"]
        found = {"count": float(len(values)), "mean": values.mean(), "min": values.min(), "max": values.max()}[wanted.reduce]
        number = None if found is None else float(found)  # pyright: ignore[reportArgumentType]
        met = number is not None and (number >= wanted.value if wanted.relation == ">=" else number <= wanted.value)
        results.append({"sentence": wanted.sentence, "value": number, "wanted": f"{wanted.relation} {wanted.value:g}", "met": met})
    return tuple(results)


def _short(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


def _judge_clause(clause: Clause, found: Estimate, adjusted: float | None) -> ClauseResult:
    outcome = _outcome(clause, found, adjusted)
    error, scale = found.standard_error, None
    if error is not None:
        scale = smallest_detectable(error, found.df, clause.alpha)
    return ClauseResult(clause=clause, estimate=found, outcome=outcome, adjusted_p=adjusted, smallest_detectable=scale)


def _outcome(clause: Clause, found: Estimate, adjusted: float | None) -> Outcome:
    low, high = found.low, found.high
    if low is None or high is None:
        # no interval: all units alike, or one unit. Alike and many, the value itself decides; a single unit decides nothing.
        if found.n < 2 or clause.relation == "rank":
            return "open"
        low = high = found.effect
    if clause.relation == "within" and isinstance(clause.margin, tuple):
        least, most = clause.margin
        return "holds" if least <= low and high <= most else "refuted" if high < least or low > most else "open"
    margin = float(clause.margin)  # pyright: ignore[reportArgumentType]
    if clause.relation == "rank":
        sign = -1.0 if clause.contrast and clause.contrast[1] == "falls" else 1.0
        far = max(sign * low, sign * high)
        return (
            "holds"
            if adjusted is not None and adjusted < clause.alpha and sign * found.effect > margin
            else "refuted"
            if far < margin
            else "open"
        )
    if clause.relation == "<":
        return "holds" if high < margin else "refuted" if low > margin else "open"
    bound = -margin if clause.relation == "not worse than" else margin
    reached = clause.at_least is None or found.effect >= clause.at_least
    floor = bound if clause.at_least is None else max(bound, clause.at_least)
    return "holds" if low > bound and reached else "refuted" if high < floor else "open"


def _verdict(claim: Claim, results: tuple[ClauseResult, ...], preconditions: tuple[dict[str, Any], ...], rows: int) -> Verdict:
    def made(verdict: Answer, reason: str) -> Verdict:
        return Verdict(claim=claim, verdict=verdict, reason=reason, clauses=results, preconditions=preconditions, rows=rows)

    unmet = [one for one in preconditions if not one["met"]]
    if unmet:
        return made(
            "inconclusive",
            "a precondition does not hold: " + "; ".join(f"{one['sentence']} (found {_short(one['value'])})" for one in unmet),
        )
    if rows < claim.minimum_n:
        return made("inconclusive", f"too little data: n = {rows}, at least {claim.minimum_n} are needed")
    if not results:
        return made("inconclusive", "some clause has no rows")
    refuted = [one for one in results if one.outcome == "refuted"]
    if refuted:
        return made("not reproduced", f"refuted at the interval's bound: {_said(refuted[0])}")
    open_ = [one for one in results if one.outcome == "open"]
    if open_:
        return made("inconclusive", f"neither shown nor refuted: {_said(open_[0])}")
    return made("reproduced", "every clause holds at its interval's bound")


def _said(result: ClauseResult) -> str:
    found = result.estimate
    interval = "no interval" if found.low is None or found.high is None else f"{found.low:.3g} to {found.high:.3g}"
    p = f", p = {result.adjusted_p:.2g} after Holm" if result.adjusted_p is not None else ""
    return f"{result.clause.metric} {result.clause.relation} {result.clause.margin}: {found.effect:.3g} ({interval}){p}"


def _plain_clause(result: ClauseResult) -> dict[str, Any]:
    found, clause = result.estimate, result.clause
    return {
        "metric": clause.metric, "relation": clause.relation, "margin": list(clause.margin) if isinstance(clause.margin, tuple) else clause.margin,
        "at_least": clause.at_least, "test": clause.test, "effect": found.effect, "ci": None if found.low is None else [found.low, found.high], "n": found.n,
        "p": found.p, "adjusted_p": result.adjusted_p, "outcome": result.outcome, "method": found.method, "smallest_detectable": result.smallest_detectable,
    }  # fmt: skip
