"""The page of a comparison: who is ahead on the same new questions, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genscope.pages import charts
from genscope.pages.blocks import Answer, Block, Chart, Column, Facts, Heading, Note, Table, signed
from genscope.sections.section import View
from genscope.tasks import scylla

if TYPE_CHECKING:
    from genscope.verbs.result_folder import Result


def views(result: Result) -> Mapping[str, View]:
    """The one view of a comparison."""
    about = result.about["sections"]["compare"]
    at = {(row["metric"], row["arm"], row["split"], row["level"]): row for row in result.records.to_dicts()}
    names = [model["name"] for model in result.about["models"]]
    levels = sorted({level for _, _, split, level in at if level is not None and split == "ood"})
    blocks: list[Block] = [Facts({"A": names[0], "B": names[1], **{name: str(value) for name, value in about["facts"].items()}})]
    if about["notes"]:
        blocks.append(Note(about["notes"]))
    rows = [
        {"level": "all levels" if level is None else _label(level), **_ends(at["difference", "", "ood", level])}
        for level in [*levels, None]
        if ("difference", "", "ood", level) in at
    ]
    drawn = [row for row in rows if row["low"] is not None]
    blocks.append(
        Heading(
            "The same new questions",
            "Both models answer the same questions, made of numbers that neither wrote itself; differences are paired by question.",
        )
    )
    if drawn:
        blocks.append(
            Chart(
                charts.differences(drawn, "A", "B"),
                "Difference in accuracy, B minus A.",
                "Bars are 95 % intervals; left of the line A is ahead, right of it B.",
            )
        )
    blocks.append(_table(at, [*levels, None]))
    blocks.append(_familiar(at, [*levels, None]))
    return {"compare": View(answer=_answer(at, names), blocks=blocks, facts={name: str(value) for name, value in about["facts"].items()})}


def _answer(at: Mapping[Any, Any], names: list[str]) -> Answer:
    key = ("difference", "", "ood", None)
    if key not in at:
        return Answer("No question was answered by both models.", tone="warn")
    found, a, b = at[key], at["accuracy", "a", "ood", None]["value"], at["accuracy", "b", "ood", None]["value"]
    base = f"On the same {found['n']:,} new questions {names[0]} answers {100 * a:.0f} % right and {names[1]} {100 * b:.0f} %"
    if not any(at[name, "", "ood", None]["value"] for name in ("only_a", "only_b")):
        return Answer(f"{base}; they are right on the same questions.")
    span = f"{signed(100 * found['low'], 0, False)} to {signed(100 * found['high'], 0, False)} points"
    if found["low"] > 0 or found["high"] < 0:
        low, high = sorted((abs(found["low"]), abs(found["high"])))
        return Answer(f"{base}: {names[1] if found['low'] > 0 else names[0]} is ahead by {100 * low:.0f} to {100 * high:.0f} points.")
    return Answer(f"{base}; which one generalizes better cannot be told (B minus A: {span}).")


def _table(at: Mapping[Any, Any], levels: list[int | None]) -> Table:
    columns = (
        Column("level", "level", "level"), Column("a", "A", "percent"), Column("b", "B", "percent"), Column("difference", "B − A", "points"), Column("only_a", "only A right", "count"),
        Column("only_b", "only B right", "count"), Column("both_right", "both right", "count"), Column("both_wrong", "both wrong", "count"), Column("p", "McNemar p", "text"),
    )  # fmt: skip
    rows = []
    for level in levels:
        if ("difference", "", "ood", level) not in at:
            continue
        counts = {name: at[name, "", "ood", level]["value"] for name in ("only_a", "only_b", "both_right", "both_wrong")}
        rows.append({"level": "all" if level is None else _label(level), "a": _cell(at["accuracy", "a", "ood", level]), "b": _cell(at["accuracy", "b", "ood", level]), "difference": _cell(at["difference", "", "ood", level]), "p": f"{at['mcnemar_p', '', 'ood', level]['value']:.2g}", **counts})  # fmt: skip
    return Table(columns, rows, "New (OOD) questions, paired: percent and points with 95 % intervals.", main=True)


def _familiar(at: Mapping[Any, Any], levels: list[int | None]) -> Table:
    columns = (
        Column("level", "level", "level"),
        Column("a", "A", "percent"),
        Column("b", "B", "percent"),
        Column("difference", "B − A", "points"),
    )
    rows = [
        {
            "level": "all" if level is None else _label(level),
            "a": _cell(at["accuracy", "a", "id", level]),
            "b": _cell(at["accuracy", "b", "id", level]),
            "difference": _cell(at["difference", "", "id", level]),
        }
        for level in levels
        if ("difference", "", "id", level) in at
    ]
    return Table(columns, rows, "Familiar (ID) questions: each model its own, so this interval is unpaired.")


def _cell(row: Mapping[str, Any]) -> Any:
    return row["value"], row["low"], row["high"]


def _ends(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"difference": row["value"], "low": row["low"], "high": row["high"]}


def _label(level: int) -> str:
    return scylla.LEVEL_LABELS[level]
