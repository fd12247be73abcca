"""The page of the user's own questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from genscope.core.seeds import Seed
from genscope.models.model import Description
from genscope.pages import charts
from genscope.pages.blocks import Answer, Block, Chart, Column, Facts, Note, Samples, Table, signed
from genscope.sections.section import View

SAMPLES_A_GROUP = 8


def view(records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
    """Accuracy over all, by split and level; every number comes from `records`."""
    facts = about["facts"]
    cells: dict[tuple[str, int | None], dict[str, Any]] = {}
    for row in records.to_dicts():
        cells.setdefault((row["split"], row["level"]), {})[row["metric"]] = row
    shown = {
        "model": model.sentence, "file": facts["file"], "scorer": facts["scorer"], "asked by": facts["mode"], "questions": f"{facts['n']:,}",
        "columns": ", ".join(f"{role} = {column}" for role, column in facts["columns"].items() if role != "scorer"),
    }  # fmt: skip
    blocks: list[Block] = [Facts(shown)]
    if about["notes"]:
        blocks.append(Note(about["notes"]))
    chart = _chart(cells, facts)
    blocks += [chart] if chart else []
    blocks.append(_table(cells, facts))
    return View(
        answer=_answer(cells),
        blocks=blocks,
        samples=[Samples(_samples(responses, facts))],
        facts={name: str(value) for name, value in facts.items()},
    )


def _answer(cells: Mapping[tuple[str, int | None], Mapping[str, Any]]) -> Answer:
    whole = cells.get(("", None), {})
    if "accuracy" not in whole:
        return Answer("No question was answered.", tone="warn")
    found = whole["accuracy"]
    text = (
        f"It answers {_percent(found['value'])} of {found['n']:,} questions right ({100 * found['low']:.0f} to {100 * found['high']:.0f} %)"
    )
    difference = whole.get("difference")
    if difference:
        names = json.loads(difference["factors"])
        first, second = (cells[name, None]["accuracy"]["value"] for name in (names["first"], names["second"]))
        text += f": {_percent(first)} on {names['first']}, {_percent(second)} on {names['second']} (difference {signed(100 * difference['low'], 0, False)} to {signed(100 * difference['high'], 0, False)} points)"
    detail = f"Guessing would give {_percent(whole['chance']['value'])}." if whole["chance"]["value"] > 0 else ""
    lost = {what: int(whole[what]["value"]) for what in ("unparsed", "truncated", "failed") if whole[what]["value"]}
    counts = ", ".join(f"{count} {what}" for what, count in lost.items())
    return Answer(
        text + ".",
        " ".join(part for part in (detail, f"Without an answer: {counts}." if counts else "") if part),
        "warn" if sum(lost.values()) > 0.1 * found["n"] else "plain",
    )


def _names(cells: Mapping[tuple[str, int | None], Any], facts: Mapping[str, Any]) -> list[tuple[str, int | None, str, str]]:
    """(split, level, shown split, shown level) of every cell."""
    return [
        (split, level, split or "all", "all" if level is None else facts["levels"].get(str(level), str(level))) for split, level in cells
    ]


def _chart(cells: Mapping[tuple[str, int | None], Mapping[str, Any]], facts: Mapping[str, Any]) -> Chart | None:
    named = [one for one in _names(cells, facts) if "accuracy" in cells[one[0], one[1]]]
    levelled, splits = any(level is not None for _, level, _, _ in named), any(split for split, _, _, _ in named)
    rows = []
    for split, level, split_name, level_name in named:
        if (level is not None) == levelled and bool(split) == splits:
            found = cells[split, level]
            rows.append({"level": level_name if levelled else split_name, "name": split_name, "accuracy": found["accuracy"]["value"], "low": found["accuracy"]["low"], "high": found["accuracy"]["high"], "chance": found["chance"]["value"]})  # fmt: skip
    if len(rows) < 2:
        return None
    told = " ".join(f"{row['level']}, {row['name']}: {_percent(row['accuracy'])}." for row in rows)
    return Chart(
        charts.accuracies(rows, list(dict.fromkeys(row["name"] for row in rows))),
        "Accuracy.",
        "Bars are 95 % intervals, grey dashes what guessing gives.",
        told,
    )


def _table(cells: Mapping[tuple[str, int | None], Mapping[str, Any]], facts: Mapping[str, Any]) -> Table:
    columns = (
        Column("split", "split"), Column("level", "level", "level"), Column("n", "questions", "count"), Column("accuracy", "right", "percent"),
        Column("chance", "chance", "percent"), Column("unparsed", "unparsed", "count"), Column("truncated", "truncated", "count"), Column("failed", "failed", "count"),
    )  # fmt: skip
    rows = []
    for split, level, split_name, level_name in _names(cells, facts):
        found = cells[split, level]
        accuracy = found.get("accuracy")
        rows.append(
            {
                "split": split_name, "level": level_name, "n": found["unparsed"]["n"] if "unparsed" in found else None,
                "accuracy": None if accuracy is None else (accuracy["value"], accuracy["low"], accuracy["high"]),
                "chance": found["chance"]["value"] if "chance" in found else None, **{what: found[what]["value"] for what in ("unparsed", "truncated", "failed") if what in found},
            }
        )  # fmt: skip
    return Table(columns, rows, "Accuracy by split and level, with 95 % intervals.", main=True)


def _samples(responses: pl.DataFrame, facts: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = responses.to_dicts()
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for place in Seed("profile", "samples", "questions").rng().permutation(len(rows)):
        row = rows[place]
        verdict = "failed" if row["failed"] else "right" if row["correct"] else "wrong" if row["parsed"] else "unparsed"
        level = "–" if row["level"] is None else facts["levels"].get(str(row["level"]), str(row["level"]))
        key = (level, row["split"] or "–", verdict)
        if len(groups.setdefault(key, [])) < SAMPLES_A_GROUP:
            groups[key].append({"level": key[0], "split": key[1], "task": row["task"], "verdict": verdict, **{name: str(row[name]) for name in ("prompt", "reply", "thinking", "target", "answer", "how")}})  # fmt: skip
    return [sample for key in sorted(groups) for sample in groups[key]]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
