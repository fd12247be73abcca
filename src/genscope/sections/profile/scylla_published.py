"""A profile beside the 28 published models: ranked with them only where the protocol is theirs, else drawn apart with what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genscope.models.model import Description
from genscope.pages import charts
from genscope.pages.blocks import Block, Chart, Column, Heading, Table
from genscope.tasks import scylla
from genscope.tasks.scylla.published import GENERALIZATION_SCORES

if TYPE_CHECKING:
    from genscope.sections.profile.scylla_view import Numbers

PAPER_N = 256


def other_protocol(facts: Mapping[str, Any]) -> list[str]:
    """What a run did otherwise than Qi et al. 2025, in words; empty where their models may be compared with it."""
    missing = len(set(scylla.ANCHORS) - set(facts["tasks"]))
    asked = {"direct": "answers were direct", "likelihood": "answers were ranked", "few-shot": "solved examples were continued"}
    told = [
        (facts["mode"] != "cot", f"{asked.get(facts['mode'], facts['mode'])}, not a chain of thought"),
        (facts["n"] != PAPER_N, f"{facts['n']} + {facts['n']} questions a task, not {PAPER_N} + {PAPER_N}"),
        (facts["universe"] not in ("paper", "code"), "new numbers with the digits of the familiar ones"),
        (missing, f"{missing} of the {len(scylla.ANCHORS)} tasks left out"),
        (facts["probe"] is None, "familiar numbers that the model was not asked for"),
    ]
    return [text for differs, text in told if differs]


def among_published(numbers: Numbers, facts: Mapping[str, Any], model: Description) -> list[Block]:
    """The scores by level beside the published ones; with the table that ranks them where the protocol is the same."""
    different = other_protocol(facts)
    others = [
        {"model": one.model, "level": scylla.SHORT_LEVELS[level], "score": one.scores[level]}
        for one in GENERALIZATION_SCORES
        for level in numbers.levels
    ]
    mine = [
        {"model": model.name, "level": scylla.SHORT_LEVELS[level], "score": numbers.value("level_score", level)} for level in numbers.levels
    ]
    if different:
        lead = f"Other protocol than that of the 28 models of Qi et al. (2025), so this run is drawn apart (dashed) and not ranked: {'; '.join(different)}."
    else:
        lead = "Drawn with the 28 models that Qi et al. (2025) measured by the same protocol."
    chart = Chart(
        charts.among_published(others, mine, not different),
        "Generalization score S by complexity.",
        "Grey: published models; colour: this one.",
    )
    return [Heading("Among published models", lead), chart, *([] if different else [_published_table(numbers, model)])]


def _published_table(numbers: Numbers, model: Description) -> Table:
    rows = [
        {"model": one.model, "critical": str(one.critical), **{f"s{level}": one.scores[level] for level in range(5)}}
        for one in GENERALIZATION_SCORES
    ]
    rows.append(
        {
            "model": f"{model.name} (this run)",
            "critical": str(numbers.critical),
            **{f"s{level}": numbers.value("level_score", level) for level in range(5)},
        }
    )
    rows.sort(key=lambda row: -sum(row[f"s{level}"] for level in range(5)))
    columns = (
        Column("model", "model"),
        *(Column(f"s{level}", f"level {level}", "number") for level in range(5)),
        Column("critical", "critical level", "level"),
    )
    return Table(columns, rows, "S by level, sorted by its mean.", folded=True)
