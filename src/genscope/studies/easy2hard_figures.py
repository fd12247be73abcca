"""Figures of the study easy2hard: rank correlations, profiles of held-out families, the train-by-test matrix, and the agreement of notions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.core.stats import paired_t
from genscope.pages.blocks import Block, Column, Table
from genscope.pages.study_charts import arms_by_condition, curves

if TYPE_CHECKING:
    import polars as pl


def figures(records: pl.DataFrame) -> Sequence[Block]:
    """Charts and tables of the study's page, from its records."""
    import polars as pl

    own = records.filter(pl.col("arm") == "claim")
    truth = {"irt_truth": "IRT (1PL)", "glicko2_truth": "Glicko-2", "raw_truth": "share of wrong answers"}
    blocks: list[Block] = [
        arms_by_condition(
            records, truth, title="Who tried what decides how well difficulty is found", value="rank correlation with the true difficulty", domain=None,
            caption="Complete: everybody answers everything. Attempts: people try what is near their level; in its placebo as many attempts, at random. Small points are seeds.",
        )
    ]  # fmt: skip
    blocks += [_profiles(own)] if len(own.filter(pl.col("metric") == "bin_accuracy")) else []
    blocks += [_matrix(own)] if len(own.filter((pl.col("metric") == "accuracy") & (pl.col("condition") == "matrix"))) else []
    blocks += [_notions(own)] if len(own.filter(pl.col("metric") == "agreement")) else []
    return blocks


def _rows(records: pl.DataFrame, metric: str) -> list[dict[str, Any]]:
    import polars as pl

    return [{**json.loads(row["factors"]), **row} for row in records.filter(pl.col("metric") == metric).to_dicts()]


def _means(rows: Sequence[Mapping[str, Any]], *names: str) -> dict[tuple[Any, ...], tuple[float, float | None, float | None]]:
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if row["value"] is not None:
            groups.setdefault(tuple(row[name] for name in names), []).append(row["value"])
    found = {key: paired_t(values) for key, values in groups.items()}
    return {key: (one.value, one.low, one.high) for key, one in found.items()}


def _profiles(own: pl.DataFrame) -> Block:
    means = _means(_rows(own, "bin_accuracy"), "family", "bin")
    rows = [{"x": 10 * place + 5, "y": value[0], "name": family, "detail": family} for (family, place), value in means.items()]
    return curves(
        rows,
        title="Accuracy of families that took no part in the estimate",
        x="difficulty, percentile of the items",
        y="accuracy",
        caption="Mean over seeds.",
    )


def _matrix(own: pl.DataFrame) -> Block:
    means = _means([row for row in _rows(own, "accuracy") if row["condition"] == "matrix"], "train", "test")
    count = max(train for train, _ in means)
    columns = (Column("train", "trained on"), *(Column(f"test{j}", _bin(j, count), "percent") for j in range(1, count + 1)))
    rows = [{"train": _bin(i, count), **{f"test{j}": means[i, j] for j in range(1, count + 1)}} for i in range(1, count + 1)]
    return Table(
        columns,
        rows,
        "Accuracy after training on items of one quarter of difficulty (rows), tested on held-out items of each (columns); means with 95 % intervals over seeds.",
    )


def _bin(place: int, count: int) -> str:
    return "easiest quarter" if place == 1 else "hardest quarter" if place == count else f"quarter {place}"


def _notions(own: pl.DataFrame) -> Block:
    rows = _rows(own, "agreement")
    means, ceilings = _means(rows, "first", "second"), _means([{**row, "value": row["ceiling"]} for row in rows], "first", "second")
    table = [
        {"first": first, "second": second, "rho": value, "ceiling": ceilings[first, second][0] if (first, second) in ceilings else None}
        for (first, second), value in sorted(means.items(), key=lambda one: -one[1][0])
    ]
    columns = (
        Column("first", "notion"),
        Column("second", "another"),
        Column("rho", "rank correlation", "number"),
        Column("ceiling", "ceiling", "number", "sqrt of the product of the two reliabilities"),
    )
    return Table(
        columns,
        table,
        "Notions of difficulty on the same digits, each turned so that more is harder: IRT, Glicko-2 and wrong rate from the solver pool, the others from networks in training.",
    )
