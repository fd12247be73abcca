"""Claims on made-up records: each must come out reproduced on records made to satisfy it, not reproduced on records made to violate it, and
inconclusive on too few or when a precondition fails. A claim that no records can satisfy is found here, before anything is trained.

The means of the groups of rows that a claim compares are the unknowns of a small linear programme.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import linprog

from genscope.core.claims import Answer, Claim, Clause, Precondition, judge
from genscope.core.errors import StudyError
from genscope.core.seeds import Seed

NOISE = 1e-3
"""Standard deviation of made-up values, relative to the room that the margins leave."""
COUNTED = ("clopper_pearson", "wilson", "fisher")
EXPECTED: dict[str, Answer] = {"satisfied": "reproduced", "violated": "not reproduced", "too few": "inconclusive", "unmet": "inconclusive"}

Group = tuple[str, tuple[tuple[str, Any], ...]]
"""A metric, and the columns that its rows have."""


def check(claim: Claim) -> dict[str, str]:
    """Case -> verdict found. Cases that do not apply (no precondition) are left out."""
    n = max(claim.minimum_n, 3)
    first = claim.clauses[0]
    # rows of both sides count towards minimum_n where the sides are not paired
    sides = 2 if first.contrast is not None and all(one.test != "paired_t" for one in claim.clauses) else 1
    found = {
        "satisfied": _verdict(claim, _means(claim, None), n),
        "violated": _verdict(claim, _broken(claim), n),
        "too few": _verdict(claim, _means(claim, None), max(1, (claim.minimum_n - 1) // sides)),
    }
    if claim.preconditions:
        found["unmet"] = _verdict(claim, _means(claim, None, unmet=claim.preconditions[0]), n)
    return found


def ranks(claim: Claim) -> bool:
    """Whether a clause is on a rank correlation: then made-up group means cannot satisfy it, and the claim is checked by its own tests."""
    return any(clause.relation == "rank" or clause.test == "spearman_clusters" for clause in claim.clauses)


def wrong(claim: Claim) -> list[str]:
    """What `check` finds amiss, in words; empty when the claim judges as it should."""
    return [
        f"{claim.id}: on records that are {case} the verdict is {found}, not {EXPECTED[case]}"
        for case, found in check(claim).items()
        if found != EXPECTED[case]
    ]


def _broken(claim: Claim) -> dict[Group, float]:
    """Means that violate the first clause which the preconditions leave open to violation."""
    for clause in claim.clauses:
        with contextlib.suppress(StudyError):
            return _means(claim, clause)
    raise StudyError(f"{claim.id}: its preconditions leave no clause that could be violated")


def _group(metric: str, columns: Mapping[str, Any]) -> Group:
    return metric, tuple(sorted(columns.items()))


def _terms(clause: Clause) -> list[tuple[Group, float]]:
    """The effect as a sum of group means."""
    if clause.contrast is None:
        return [(_group(clause.metric, clause.select), 1.0)]
    column, a, b = clause.contrast
    return [(_group(clause.metric, {**clause.select, column: a}), 1.0), (_group(clause.metric, {**clause.select, column: b}), -1.0)]


def _means(claim: Claim, broken: Clause | None, unmet: Precondition | None = None) -> dict[Group, float]:
    """Group means under which every clause holds with the most room (or `broken` is violated; or `unmet` fails, whatever the clauses)."""
    groups: list[Group] = []
    rows: list[tuple[dict[Group, float], float]] = []  # sum of coefficients x means + slack <= bound

    def below(terms: Sequence[tuple[Group, float]], bound: float, sign: float) -> None:
        made: dict[Group, float] = {}
        for group, coefficient in terms:
            made[group] = made.get(group, 0.0) + sign * coefficient
            if group not in groups:
                groups.append(group)
        rows.append((made, sign * bound))

    for clause in claim.clauses:
        if ranks(claim):
            raise StudyError(f"{claim.id}: claims with a rank clause are checked by their own tests")
        terms = _terms(clause)
        low, high = _range(clause)
        if clause is broken:
            below(terms, low, 1.0) if low is not None else below(terms, high or 0.0, -1.0)
            continue
        if broken is not None or unmet is not None:
            for group, _ in terms:
                if group not in groups:
                    groups.append(group)
            continue
        if high is not None:
            below(terms, high, 1.0)
        if low is not None:
            below(terms, low, -1.0)
    for wanted in claim.preconditions:
        if wanted.reduce == "count":
            continue
        sign = (1.0 if wanted.relation == "<=" else -1.0) * (-1.0 if wanted is unmet else 1.0)
        below([(_group(wanted.metric, wanted.select), 1.0)], wanted.value, sign)
    places = {group: k for k, group in enumerate(groups)}
    matrix = np.zeros((len(rows), len(groups) + 1))
    for k, (made, _) in enumerate(rows):
        for group, coefficient in made.items():
            matrix[k, places[group]] = coefficient
    matrix[:, -1] = 1.0
    solved = linprog(
        [0.0] * len(groups) + [-1.0], A_ub=matrix, b_ub=[bound for _, bound in rows], bounds=[(-1e3, 1e3)] * len(groups) + [(2e-3, 0.2)]
    )
    if solved.status != 0:
        raise StudyError(
            f"{claim.id}: no records can make it {'not ' if broken else ''}reproduced; its clauses or preconditions contradict each other"
        )
    means = {group: float(solved.x[k]) for group, k in places.items()}
    for clause in claim.clauses:
        if clause.test in COUNTED:
            low = (clause is broken) == (clause.relation == ">")
            for group, coefficient in _terms(clause):
                means[group] = float(low != (coefficient > 0))
    return means


def _range(clause: Clause) -> tuple[float | None, float | None]:
    if isinstance(clause.margin, tuple):
        return clause.margin
    if clause.relation == "<":
        return None, clause.margin
    low = -clause.margin if clause.relation == "not worse than" else clause.margin
    return (low if clause.at_least is None else max(low, clause.at_least)), None


def _verdict(claim: Claim, means: Mapping[Group, float], n: int) -> str:
    rng = Seed("synthetic", claim.id, n).rng()
    rows: list[dict[str, Any]] = []
    counted = {group for clause in claim.clauses if clause.test in COUNTED for group, _ in _terms(clause)}
    for (metric, columns), mean in means.items():
        noise = np.zeros(n) if (metric, columns) in counted else NOISE * _scale(claim) * rng.standard_normal(n)
        half = NOISE * _scale(claim)
        rows += [
            {
                "metric": metric,
                "value": (value := mean + float(noise[seed])),
                "low": value - half,
                "high": value + half,
                "seed": seed,
                **dict(columns),
            }
            for seed in range(n)
        ]
    # every row is a unit of its own
    alone = {column for clause in claim.clauses for column in clause.cluster} - {column for row in rows for column in row}
    rows = [row | dict.fromkeys(alone, place) for place, row in enumerate(rows)]
    for wanted in claim.preconditions:
        if wanted.reduce == "count":
            rows += [{"metric": wanted.metric, "value": 1.0, "seed": k, **wanted.select} for k in range(int(wanted.value))]
    return judge(claim, pl.DataFrame(rows, infer_schema_length=None), Seed("synthetic")).verdict


def _scale(claim: Claim) -> float:
    widths = [one.margin[1] - one.margin[0] for one in claim.clauses if isinstance(one.margin, tuple)]
    return min([*widths, 1.0])
