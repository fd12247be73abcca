"""Judged quality of explanations: ratings by any judges of rules by people and by a model, and the abstract's sentences of Saha et al. 2022 as claims on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.claims import Claim, Clause
from genscope.core.errors import DataError
from genscope.measures.judges import DIMENSIONS, SCALE, Case, Dimension, Judge, Ratings

if TYPE_CHECKING:
    import polars as pl

HUMAN, MODEL = "human", "model"


def _paired(dimension: Dimension, hardness: str, relation: Any, margin: Any) -> Clause:
    return Clause(
        metric=f"{dimension}_human_less_model", select={"hardness": hardness}, relation=relation, margin=margin, test="bootstrap_t"
    )


JUDGED_CLAIMS = (
    Claim(
        id="J1", kind="phenomenon", minimum_n=50, clauses=tuple(_paired("grammar", hardness, "within", (-0.05, 0.05)) for hardness in ("easy", "hard")),
        sentence="Grammar does not differ between people and the model, at any hardness.",
    ),
    Claim(
        id="J2", kind="phenomenon", minimum_n=50, clauses=(_paired("support", "hard", ">", 0.0), _paired("generality", "hard", ">", 0.0)),
        sentence="On hard examples people's rules support the label better and are more general.",
    ),
    Claim(
        id="J3", kind="phenomenon", minimum_n=50,
        clauses=(Clause(metric="support_human_less_model", contrast=("hardness", "hard", "easy"), relation=">", margin=0.0, test="bootstrap_t"),),
        sentence="From easy to hard the model's rules lose more support than people's.",
    ),
)  # fmt: skip
"""Full scale: judged ratings from 0 to 1 (an endpoint as explainer, judges of any kind). Placebo: the tags human and model swapped at random within the pairs."""


def explanation_quality(
    cases: Mapping[str, Mapping[str, Sequence[Case]]], judges: Sequence[Judge], dimensions: Sequence[Dimension] = tuple(DIMENSIONS)
) -> tuple[pl.DataFrame, list[Ratings]]:
    """(ratings, one a case and dimension: the mean over the judges that rated it, scaled to [0, 1]; each judge's own ratings).

    cases: hardness -> "human" and "model" -> cases, paired by place. Judges see all of them mixed, without these tags.
    """
    import polars as pl

    tags, flat = [], []
    for hardness, sides in cases.items():
        if set(sides) != {HUMAN, MODEL} or len(sides[HUMAN]) != len(sides[MODEL]):
            raise DataError(f"explanation quality: {hardness} needs as many human as model explanations, paired by place")
        for who in (HUMAN, MODEL):
            tags += [(hardness, who, place) for place in range(len(sides[who]))]
            flat += list(sides[who])
    ratings = [judge.rate(flat, list(dimensions)) for judge in judges]
    rows = []
    for dimension in dimensions:
        held = np.stack([one.values[dimension] for one in ratings])
        rated = np.isfinite(held).sum(0)
        mean = np.where(rated > 0, np.nansum(held, 0) / np.maximum(rated, 1), np.nan)
        scaled = (mean - SCALE[0]) / (SCALE[1] - SCALE[0])
        rows += [
            {"hardness": hardness, "explainer": who, "item": place, "dimension": dimension, "rating": value if rated_by else None, "judges": rated_by}
            for (hardness, who, place), value, rated_by in zip(tags, scaled.tolist(), rated.tolist(), strict=True)
        ]  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None), ratings


def judged_rows(ratings: pl.DataFrame) -> pl.DataFrame:
    """Paired differences human - model, one row an item and dimension, as JUDGED_CLAIMS read them; pairs without both ratings are left out."""
    import polars as pl

    sides = [
        ratings.filter((pl.col("explainer") == who) & pl.col("rating").is_not_null()).rename({"rating": who}).drop("explainer", "judges")
        for who in (HUMAN, MODEL)
    ]
    joined = sides[0].join(sides[1], on=["hardness", "item", "dimension"], maintain_order="left")
    return joined.select(
        "hardness", "item", metric=pl.col("dimension") + "_human_less_model", value=pl.col(HUMAN) - pl.col(MODEL)
    )  # fmt: skip
