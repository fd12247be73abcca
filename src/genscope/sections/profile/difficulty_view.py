"""The section difficulty on the page: how accuracy falls with difficulty, as a chart, a table of bins and one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genscope.models.model import Description
from genscope.pages import charts
from genscope.pages.blocks import Answer, Block, Chart, Column, Facts, Note, Table, signed
from genscope.sections.section import View

if TYPE_CHECKING:
    import polars as pl


def view(records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
    """Every number comes from `records`."""
    rows = [{**row, "factors": json.loads(row["factors"])} for row in records.to_dicts()]
    whole = {row["metric"]: row for row in rows if row["level"] is None and row["metric"] != "curve"}
    bins = sorted((row for row in rows if row["metric"] == "bin_accuracy"), key=lambda row: row["level"])
    facts = about["facts"]
    shown = {
        "model": model.sentence,
        "file": facts["file"],
        "items": f"{facts['items']:,}",
        "difficulty": facts["difficulty"],
        "asked by": facts["mode"],
        "scorer": facts["scorer"],
    }
    blocks: list[Block] = [Facts(shown)]
    blocks += [Note(list(about["notes"]))] if about["notes"] else []
    blocks += [_chart(rows, bins, whole, facts), _table(bins), _summary(whole)]
    return View(answer=_answer(whole, bins), blocks=blocks, facts={name: str(value) for name, value in facts.items()})


def _answer(whole: Mapping[str, Any], bins: list[dict[str, Any]]) -> Answer:
    first, last, beta, d50 = bins[0], bins[-1], whole["beta"], whole["d50"]
    text = f"It is right on {_percent(first['value'])} of the easiest and {_percent(last['value'])} of the hardest items"
    if beta["low"] is None or beta["low"] <= 0:
        return Answer(f"{text}: no fall with difficulty is shown.", _slope(beta), "warn")
    half = ""
    if d50["value"] is not None and bins[0]["factors"]["low"] <= d50["value"] <= bins[-1]["factors"]["high"]:
        half = f" Right half of the time at difficulty {signed(d50['value'], 2, False)} ({signed(d50['low'], 2, False)} to {signed(d50['high'], 2, False)})."
    return Answer(f"{text}.", f"{_slope(beta)}{half}")


def _slope(beta: Mapping[str, Any]) -> str:
    if beta["low"] is None:
        return "All answers are alike, so that there is no slope to estimate."
    ends = f" ({signed(beta['low'], 2, False)} to {signed(beta['high'], 2, False)})"
    return f"The log-odds of a right answer fall by {signed(beta['value'], 2, False)} a unit of difficulty{ends}."


def _chart(rows: list[dict[str, Any]], bins: list[dict[str, Any]], whole: Mapping[str, Any], facts: Mapping[str, Any]) -> Chart:
    points = [
        {"difficulty": (row["factors"]["low"] + row["factors"]["high"]) / 2, "accuracy": row["value"], "low": row["low"], "high": row["high"], "items": row["factors"]["items"]}
        for row in bins
    ]  # fmt: skip
    curve = [{"difficulty": row["factors"]["difficulty"], "accuracy": row["value"]} for row in rows if row["metric"] == "curve"]
    told = " ".join(f"difficulty {point['difficulty']:.2f}: {_percent(point['accuracy'])}." for point in points)
    spec = charts.difficulty_curve(points, curve, whole["chance"]["value"] or 0.0, f"difficulty: {facts['difficulty']}")
    return Chart(
        spec,
        "Accuracy against difficulty.",
        "Points are bins of as many items, with 95 % intervals; the line is the best non-increasing curve; dashes are what guessing gives.",
        told,
    )


def _table(bins: list[dict[str, Any]]) -> Table:
    columns = (
        Column("from", "difficulty from", "fine"),
        Column("to", "to", "fine"),
        Column("items", "items", "count"),
        Column("accuracy", "right", "percent"),
    )
    rows = [
        {
            "from": row["factors"]["low"],
            "to": row["factors"]["high"],
            "items": row["factors"]["items"],
            "accuracy": (row["value"], row["low"], row["high"]),
        }
        for row in bins
    ]
    return Table(columns, rows, "Accuracy by difficulty, with 95 % intervals.", main=True)


def _summary(whole: Mapping[str, Any]) -> Table:
    columns = (Column("what", "what"), Column("value", "value", "fine"), Column("help", "meaning"))
    names = (
        ("beta", "slope", "fall of the log-odds a unit of difficulty"),
        ("d50", "half right at", "difficulty at which half of the answers are right"),
        ("auc", "area under the curve", "over difficulty quantiles, 1 = always right"),
        ("gap", "easiest minus hardest fifth", "difference of accuracies"),
    )
    rows = [
        {
            "what": label,
            "value": (whole[name]["value"], whole[name]["low"], whole[name]["high"]) if whole[name]["value"] is not None else None,
            "help": text,
        }
        for name, label, text in names
    ]
    return Table(columns, rows, "The profile in four numbers.", folded=True)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
