"""Verdicts of a study: each claim on its own records and in its placebo, and the power that the first seeds promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.claims import Claim, Clause, judge_all, with_placebo
from genscope.core.estimators import unit_values
from genscope.core.seeds import Seed
from genscope.core.stats import smallest_detectable
from genscope.engine.study import CLAIM_ARM, Study

if TYPE_CHECKING:
    import polars as pl


def judge_study(study: Study, records: pl.DataFrame, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """The board's entries of these claims: Holm over the study's clauses, each claim beside its placebo."""
    import polars as pl

    seed = Seed("study", study.name)
    own = records.filter(pl.col("arm") == CLAIM_ARM)
    entries = []
    for verdict in judge_all(claims, own, seed.child("verdict")):
        claim = verdict.claim
        placebo = study.placebos.get(claim.id)
        if placebo is None:
            entries.append({**verdict.plain(), "placebo": None})
            continue
        control = judge_all([claim], records.filter(pl.col("arm") == placebo.arm), seed.child("placebo"))[0]
        entries.append(with_placebo(verdict, control, placebo.kind))
    return entries


def preflight(study: Study, records: pl.DataFrame, claims: Sequence[Claim], seeds: int) -> dict[str, dict[str, Any]]:
    """What `seeds` seeds could show, from the variance of the seeds in `records` pooled over arms; means are not looked at.

    Claim -> {"metric", "smallest_detectable", "room", "enough"} of its weakest clause on paired seeds; room: |margin|, or half the width of a `within`.
    """
    import polars as pl

    arms = [part for _, part in records.group_by("arm", maintain_order=True)]
    found = {}
    for claim in claims:
        worst: dict[str, Any] | None = None
        for clause in claim.clauses:
            if clause.test != "paired_t":
                continue
            variances = []
            for arm in arms:
                rows = arm.filter(pl.col("metric") == clause.metric)
                for column, value in clause.select.items():
                    rows = rows.filter(pl.col(column) == value)
                values = unit_values(clause, rows)
                if len(values) > 1:
                    variances.append(float(np.var(values, ddof=1)))
            if not variances:
                continue
            least = smallest_detectable(float(np.sqrt(np.mean(variances) / seeds)), seeds - 1, clause.alpha)
            room = _room(clause)
            one = {"metric": clause.metric, "smallest_detectable": least, "room": room, "enough": not room or least <= room}
            if worst is None or (room and least / room > worst["smallest_detectable"] / (worst["room"] or np.inf)):
                worst = one
        if worst:
            found[claim.id] = worst
    return found


def _room(clause: Clause) -> float:
    return (clause.margin[1] - clause.margin[0]) / 2 if isinstance(clause.margin, tuple) else abs(clause.margin)


def exit_code(entries: Sequence[dict[str, Any]], scale: str, failed: int, changed: bool, not_run: int = 0) -> int:
    """0 all reproduced (smoke: plumbing holds), 1 some claim not reproduced, 4 some inconclusive or not run (its data is missing) and none refuted, 5 a claim
    was edited after its run."""
    if changed:
        return 5
    if scale == "smoke":
        return 1 if failed else 0
    verdicts = {entry["verdict"] for entry in entries}
    return 1 if "not reproduced" in verdicts else 4 if "inconclusive" in verdicts or not_run or (failed and not entries) else 0
