"""Charts and tables of the study scylla: the valley by level on both sides with the placebo beside it, gaps raw and above chance, and the kept models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from genscope.core.stats import paired_t
from genscope.pages.blocks import Chart, Column, Heading, Table
from genscope.pages.charts import valley
from genscope.pages.study_charts import arms_by_condition
from genscope.tasks import scylla

ARMS = (("claim", "practised on familiar numbers"), ("all numbers", "placebo: practised on all numbers"))


def figures(records: pl.DataFrame) -> list[Any]:
    """The blocks of the page."""
    own = records.filter(pl.col("part") == "from scratch") if "part" in records.columns else records
    blocks: list[Any] = []
    for size in dict.fromkeys(own.filter(pl.col("metric") == "valley")["condition"].to_list()):
        of_size = own.filter(pl.col("condition") == size)
        blocks.append(
            Heading(f"Size {size}", "Means over seeds with 95 % paired-t intervals; grey ticks: chance of a guess of the right format.")
        )
        for arm, said in ARMS:
            rows = _sides(of_size.filter(pl.col("arm") == arm))
            if rows:
                blocks.append(Chart(valley(rows), f"{size}, {said}", "Raw accuracy.", alt=f"Accuracy of {size} by level, {said}, on familiar and on new numbers"))  # fmt: skip
        labels = pl.col("level").replace_strict(dict(enumerate(scylla.LEVEL_LABELS)), return_dtype=pl.String, default=None)
        gaps = of_size.filter(pl.col("metric").is_in(["level_gap", "level_skill_gap"]) & pl.col("arm").is_in([arm for arm, _ in ARMS]))
        blocks.append(
            arms_by_condition(
                gaps.with_columns(condition=labels).sort("level", maintain_order=True), {"level_gap": "raw gap", "level_skill_gap": "gap above chance"},
                title=f"{size}: gap between familiar and new numbers", value="gap (fraction)", domain=None,
                caption="A point a seed, with mean and interval. A raw gap may come from chance levels; the claim is judged on gaps above chance.",
            )
        )  # fmt: skip
        blocks.append(_levels(of_size, size))
    return [*blocks, _knowledge(own), _runs(own)]


def _mean(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean with its interval; of shares, which lie in [0, 1], the part of it that is possible."""
    found = paired_t(list(values))
    if found.low is None or found.high is None:
        return found.value, None, None
    return found.value, max(0.0, found.low), min(1.0, found.high)


def _values(rows: pl.DataFrame, metric: str, level: int, split: str = "") -> list[float]:
    chosen = rows.filter((pl.col("metric") == metric) & (pl.col("level") == level) & (pl.col("split") == split))
    return chosen["value"].drop_nulls().to_list()


def _sides(rows: pl.DataFrame) -> list[dict[str, Any]]:
    made = []
    for level, label in enumerate(scylla.SHORT_LEVELS):
        for split in ("id", "ood"):
            values = _values(rows, "level_accuracy", level, split)
            if values:
                value, low, high = _mean(values)
                chance = _mean(_values(rows, "level_chance", level, split))[0]
                ends = {"low": value, "high": value} if low is None or high is None else {"low": low, "high": high}
                made.append({"level": label, "split": split, "accuracy": value, "chance": chance, **ends})
    return made


def _levels(rows: pl.DataFrame, size: str) -> Table:
    columns = (
        Column("level", "level", "level"),
        Column("id", "familiar", "percent", "accuracy on familiar numbers"),
        Column("ood", "new", "percent", "accuracy on new numbers"),
        Column("chance", "chance", "percent", "accuracy of a guess of the right format, familiar side"),
        Column("raw", "raw gap", "points"),
        Column("above", "gap above chance", "points"),
        Column("placebo", "placebo's", "points", "gap above chance when the tasks are practised on all numbers"),
        Column("kept", "familiar replies", "percent", "share of replies to questions on new numbers that hold familiar numbers only"),
        Column("lost", "unparsed", "percent", "share of replies to questions on new numbers without an answer"),
    )
    claim, placebo = (rows.filter(pl.col("arm") == arm) for arm, _ in ARMS)
    made = []
    for level, label in enumerate(scylla.LEVEL_LABELS):
        cells = {
            "id": (claim, "level_accuracy", "id"), "ood": (claim, "level_accuracy", "ood"), "chance": (claim, "level_chance", "id"), "raw": (claim, "level_gap", ""),
            "above": (claim, "level_skill_gap", ""), "placebo": (placebo, "level_skill_gap", ""), "kept": (claim, "level_familiar_replies", "ood"), "lost": (claim, "level_unparsed", "ood"),
        }  # fmt: skip
        values = {name: _values(part, metric, level, split) for name, (part, metric, split) in cells.items()}
        made.append({"level": label, **{name: _mean(one) if one else None for name, one in values.items()}})
    return Table(columns, made, f"{size}, level by level", main=True)


def _knowledge(records: pl.DataFrame) -> Table:
    rows = records.filter((pl.col("metric") == "knowledge") & pl.col("arm").is_in([arm for arm, _ in ARMS]))
    kinds = rows.with_columns(kind=pl.col("factors").str.json_path_match("$.kind"))
    made = []
    for (size, arm), part in kinds.group_by("condition", "arm", maintain_order=True):
        shares = {str(kind): _mean(one["value"].to_list()) for (kind,), one in part.group_by("kind", maintain_order=True)}
        made.append({"size": size, "arm": dict(ARMS)[str(arm)], **shares})
    named = list(dict.fromkeys(kinds["kind"].drop_nulls().to_list()))
    columns = (Column("size", "size"), Column("arm", "tasks"), *(Column(kind, kind.replace("_", " "), "percent") for kind in named))
    return Table(
        columns, made, "What the models know of the numbers 0 to 99 (facts asked again, some of them seen in training)", folded=True
    )


def _runs(records: pl.DataFrame) -> Table:
    rows = records.filter(pl.col("metric") == "parameters").with_columns(run=pl.col("factors").str.json_path_match("$.run"))
    arms = {**dict(ARMS), "same size": "placebo of SCY-3: a second run"}
    made, seen = [], set()
    for row in rows.iter_rows(named=True):
        if row["run"] not in seen:
            seen.add(row["run"])
            made.append(
                {"run": f"run:{row['run']}", "tasks": arms.get(row["arm"], row["arm"]), "seed": row["seed"], "parameters": row["value"]}
            )
    columns = (
        Column("run", "model"),
        Column("seed", "seed", "count"),
        Column("tasks", "tasks"),
        Column("parameters", "parameters", "count"),
    )
    said = "Kept models. Each can be profiled: genscope profile run:ID --id-source RUNS/ID/familiar.txt --with scylla:universe=matched"
    return Table(columns, made, said, folded=True)
