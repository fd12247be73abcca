"""The page of a Scylla profile: from stored records and replies to the answer, the valley, the tables and the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from genscope.core.seeds import Seed
from genscope.models.model import Description
from genscope.pages import charts
from genscope.pages.blocks import Answer, Block, Chart, Column, Facts, Heading, Note, Samples, Table, signed
from genscope.sections.profile.scylla_published import among_published
from genscope.sections.section import View
from genscope.tasks import scylla

SAMPLES_A_GROUP = 3


class Numbers:
    """The records of a profile, looked up by metric and place."""

    def __init__(self, records: pl.DataFrame, condition: str = "") -> None:
        rows = records.filter(pl.col("condition") == condition).to_dicts()
        self.rows = rows
        self._at = {
            (row["metric"], row["split"], row["level"]): row
            for row in rows
            if row["metric"].startswith(("level_", "overall_", "critical", "p_no"))
        }
        self.levels = sorted({row["level"] for row in rows if row["metric"] == "level_accuracy"})

    def value(self, metric: str, level: int | None = None, split: str = "") -> Any:
        """The value of a record, None when there is none."""
        row = self._at.get((metric, split, level))
        return None if row is None else row["value"]

    def with_interval(self, metric: str, level: int | None = None, split: str = "") -> Any:
        """(value, low, high), for table cells."""
        row = self._at.get((metric, split, level))
        return None if row is None else (row["value"], row["low"], row["high"])

    @property
    def critical(self) -> int | None:
        """The level with the largest gap."""
        found = next((row["value"] for row in self.rows if row["metric"] == "critical_level"), None)
        return None if found is None else int(found)

    @property
    def significant(self) -> bool:
        """Whether the signed difference at the critical level excludes 0 from below."""
        found = None if self.critical is None else self.with_interval("level_difference", self.critical)
        return found is not None and found[1] is not None and found[1] > 0


def view(records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
    """The view; every number comes from `records`."""
    numbers, facts = Numbers(records), about["facts"]
    blocks: list[Block] = [Facts(_facts(facts, model))]
    if about["notes"]:
        blocks.append(Note(about["notes"]))
    if numbers.levels:
        blocks += _valley(numbers)
        blocks.append(_level_table(numbers))
        blocks.append(_above_chance(numbers))
        blocks += _second_stage(records)
    blocks += _tasks(records, facts)
    blocks += _likelihoods(records)
    if numbers.levels:
        blocks += among_published(numbers, facts, model)
    samples = [
        Samples(_samples(responses), lead="A seeded selection over levels, splits and verdicts; all of them are in responses.parquet.")
    ]
    return View(
        answer=answer(numbers, facts),
        blocks=blocks,
        samples=samples,
        facts={name: _plain(value) for name, value in facts.items() if value is not None and name != "id_kinds"},
    )


def answer(numbers: Numbers, facts: Mapping[str, Any]) -> Answer:
    """The profile in one sentence with its uncertainty."""
    id_, ood, gap = (
        numbers.with_interval("overall_accuracy", split="id"),
        numbers.with_interval("overall_accuracy", split="ood"),
        numbers.with_interval("overall_difference"),
    )
    if id_ is None or ood is None or gap is None:
        return Answer(
            "Only tasks without a level were asked, so there is no valley to show; the table has each task's accuracy.", tone="warn"
        )
    span = f"difference {_points(gap[1])} to {_points(gap[2])} points"
    first = f"On lists it knows {_percent(id_[0])} right, on new ones {_percent(ood[0])} ({span}); "
    critical, chance = numbers.critical, numbers.value("overall_chance", split="ood")
    if critical is None or not numbers.significant:
        last = "no level shows a drop that chance would not explain."
    else:
        share = numbers.value("level_p_critical", critical)
        last = f"it breaks at level {critical}, {_label(critical)[2:]} ({_percent(share)} sure)."
    detail = [f"Guessing would give {_percent(chance)} on the new lists."] if chance is not None else []
    if critical is not None and not numbers.significant:
        low, high = numbers.with_interval("level_difference", critical)[1:]
        detail.append(
            f"The largest gap is at level {critical}, where the difference lies between {_points(low)} and {_points(high)} points."
        )
    lost = _shares(numbers)
    detail += [lost] if lost else []
    return Answer(first + last, " ".join(detail), "warn" if lost else "plain")


def _shares(numbers: Numbers) -> str:
    """A warning when many replies are no answers."""
    counts = {
        what: sum(numbers.value(f"level_{what}", level, split) or 0 for level in numbers.levels for split in ("id", "ood"))
        for what in ("unparsed", "truncated", "failed")
    }
    total = sum(row["n"] for row in numbers.rows if row["metric"] == "overall_accuracy") + counts["failed"]
    many = [f"{_percent(count / total)} {what}" for what, count in counts.items() if total and count / total > 0.1]
    if total and counts["unparsed"] + counts["failed"] >= total:
        return "No reply could be read as an answer: the accuracies say nothing about the model."
    return f"Mind the replies without an answer: {', '.join(many)}." if many else ""


def _facts(facts: Mapping[str, Any], model: Description) -> dict[str, str]:
    asked = {
        "direct": "direct answers",
        "cot": "chain of thought",
        "likelihood": "ranking of ten answers",
        "few-shot": "eight solved examples",
        "compact": "the compact style it was trained on",
    }
    universe = {"paper": "0 to 9999", "code": "1000 to 9999", "matched": "same digit counts"}
    seeds = len(facts["seeds"])
    return {
        "model": model.sentence,
        "asked by": asked[facts["mode"]],
        "questions": f"{facts['n']} + {facts['n']} a task" + (f", {seeds} seeds" if seeds > 1 else ""),
        "new numbers": universe[facts["universe"]],
        "familiar numbers": {"prior": "0 to 99, assumed", "file of lists": "the user's lists"}.get(
            str(facts["id_source"]), "what the model wrote itself"
        ),
        "splits": "proved disjoint" if facts["certified"] else "NOT disjoint",
    }


def _valley(numbers: Numbers) -> list[Block]:
    rows, gaps = [], []
    for level in numbers.levels:
        label = scylla.SHORT_LEVELS[level]
        for split in ("id", "ood"):
            value, low, high = numbers.with_interval("level_accuracy", level, split)
            rows.append(
                {
                    "level": label,
                    "split": split,
                    "accuracy": value,
                    "low": low,
                    "high": high,
                    "chance": numbers.value("level_chance", level, split),
                }
            )
        value, low, high = numbers.with_interval("level_gap", level)
        critical = level == numbers.critical and numbers.significant
        gaps.append(
            {
                "level": label,
                "gap": value,
                "low": value if low is None else low,
                "high": value if high is None else high,
                "critical": critical,
            }
        )
    told = " ".join(f"Level {row['level']}, {row['split']}: {_percent(row['accuracy'])}." for row in rows)
    return [
        Heading("The generalization valley", "Each task is asked with numbers that the model itself wrote (ID) and with numbers it never wrote (OOD), at equal lengths. Levels go from easy to hard."),
        Chart(charts.valley(rows), "Accuracy by complexity.", "Bars are 95 % intervals, grey dashes what guessing gives.", told),
        Chart(charts.gaps(gaps), "Generalization gap by complexity.", "Mean over tasks of max(0, ID − OOD); in colour the critical level, where it is clear."),
    ]  # fmt: skip


def _level_table(numbers: Numbers) -> Table:
    columns = (
        Column("level", "level", "level"),
        Column("id", "ID", "percent", "accuracy on familiar elements"),
        Column("ood", "OOD", "percent", "accuracy on new elements"),
        Column("difference", "ID − OOD", "points", "signed difference in points"),
        Column("gap", "gap", "points", "mean over tasks of max(0, ID - OOD)"),
        Column("score", "S", "number", "generalization score: OOD - gap"),
        Column("chance", "chance", "percent", "what guessing gives on new elements"),
        Column("sure", "critical", "percent", "share of bootstrap draws in which this level has the largest gap"),
        Column("unparsed", "unparsed", "count"), Column("truncated", "truncated", "count"), Column("failed", "failed", "count"),
    )  # fmt: skip
    rows = []
    for level in numbers.levels:
        counts = {
            what: (numbers.value(f"level_{what}", level, "id") or 0) + (numbers.value(f"level_{what}", level, "ood") or 0)
            for what in ("unparsed", "truncated", "failed")
        }
        rows.append(
            {
                "level": _label(level), "id": numbers.with_interval("level_accuracy", level, "id"), "ood": numbers.with_interval("level_accuracy", level, "ood"),
                "difference": numbers.with_interval("level_difference", level), "gap": numbers.with_interval("level_gap", level),
                "score": numbers.with_interval("level_score", level), "chance": numbers.value("level_chance", level, "ood"),
                "sure": numbers.value("level_p_critical", level), **counts,
            }
        )  # fmt: skip
    return Table(columns, rows, "Levels. Percent with 95 % intervals below; differences in points; counts over both sides.", main=True)


def _above_chance(numbers: Numbers) -> Table:
    columns = (
        Column("level", "level", "level"),
        Column("id", "ID", "percent", "(accuracy - chance) / (1 - chance), mean of the tasks: 0 at chance, 100 % when all is right"),
        Column("ood", "OOD", "percent", "the same on new elements"),
        Column("gap", "ID − OOD", "points"),
        Column("ratio", "OOD / ID", "number", "ratio of the accuracies; 1 by convention where ID is 0"),
        Column("relative", "relative gap", "number", "gap / ID; 1 by convention where ID is 0"),
    )
    rows = []
    for level in numbers.levels:
        id_, ood = (numbers.value("level_chance_corrected_accuracy", level, split) for split in ("id", "ood"))
        gap = None if id_ is None or ood is None else id_ - ood
        rows.append({"level": _label(level), "id": id_, "ood": ood, "gap": gap, "ratio": numbers.value("level_ratio", level), "relative": numbers.value("level_relative_gap", level)})  # fmt: skip
    return Table(columns, rows, "Above chance: accuracies corrected for guessing, and the authors' ratios.", folded=True)


def _second_stage(records: pl.DataFrame) -> list[Block]:
    numbers = Numbers(records, "second stage")
    if not numbers.levels:
        return []
    columns = (
        Column("level", "level", "level"),
        Column("id", "ID", "percent"),
        Column("ood", "OOD", "percent"),
        Column("score", "S", "number"),
    )
    rows = [{"level": _label(level), "id": numbers.with_interval("level_accuracy", level, "id"), "ood": numbers.with_interval("level_accuracy", level, "ood"), "score": numbers.with_interval("level_score", level)} for level in numbers.levels]  # fmt: skip
    return [Table(columns, rows, 'Second stage: the exchange fed back with "Therefore, the answer is", graded apart.', folded=True)]


def _tasks(records: pl.DataFrame, facts: Mapping[str, Any]) -> list[Block]:
    rows = records.filter(pl.col("condition") == "").to_dicts()
    import json

    by_task: dict[str, dict[tuple[str, str], Any]] = {}
    for row in rows:
        factors = json.loads(row["factors"])
        if "task" in factors:
            by_task.setdefault(factors["task"], {})[row["metric"], row["split"]] = row
    table = []
    for name in scylla.NAMES:
        found = by_task.get(name)
        if not found or ("accuracy", "id") not in found:
            continue
        count = {what: sum(int(found[what, split]["value"]) for split in ("id", "ood")) for what in ("unparsed", "truncated", "failed")}
        preferred = found.get(("preferred_complexity", "ood"))
        table.append(
            {
                "task": scylla.task(name).title, "level": "probe" if scylla.task(name).level is None else str(scylla.task(name).level),
                "id": _cell(found["accuracy", "id"]), "ood": _cell(found["accuracy", "ood"]), "chance": found["chance", "ood"]["value"],
                "distinct": found["id_distinct", "id"]["value"] if ("id_distinct", "id") in found else None,
                "source": facts["id_kinds"].get(f"{name}/{facts['seeds'][0]}", "–"), "preferred": None if preferred is None else preferred["value"], **count,
            }
        )  # fmt: skip
    columns = [
        Column("task", "task"), Column("level", "level", "level"), Column("id", "ID", "percent"), Column("ood", "OOD", "percent"), Column("chance", "chance", "percent"),
        Column("distinct", "ID numbers", "count", "different numbers that the model wrote"), Column("source", "ID data", "text", "the model's own examples, or drawn from its elements"),
        Column("unparsed", "unparsed", "count"), Column("truncated", "truncated", "count"), Column("failed", "failed", "count"),
    ]  # fmt: skip
    if any(row["preferred"] is not None for row in table):
        columns.insert(5, Column("preferred", "like level", "number", "for probe tasks: the level whose anchor tasks it does as well on"))
    caption = "Tasks. Probe tasks carry no level: they can be solved at several complexities."
    errors = [json.loads(row["factors"])["fit_error"] for row in rows if row["metric"] == "preferred_complexity"]
    if errors:
        caption += f" The level that one is like is read off the falling curve of the other tasks' accuracy (fit error {_points(errors[0])} points)."
    return [
        Heading("Task by task"),
        Table(columns, table, caption),
    ]


def _likelihoods(records: pl.DataFrame) -> list[Block]:
    rows = records.filter(
        pl.col("metric").is_in(
            [
                "gold_probability",
                "gold_perplexity",
                "min_k_probability",
                "memorization_normalised_accuracy",
                "kl_divergence",
                "js_divergence",
            ]
        )
    ).to_dicts()
    if not rows:
        return []
    import json

    table = [
        {
            "what": row["metric"].replace("_", " "),
            "split": row["split"] or "both",
            "k": str(json.loads(row["factors"]).get("k", "")),
            "value": row["value"],
        }
        for row in rows
    ]
    return [
        Table(
            (Column("what", "score"), Column("split", "split", "text"), Column("k", "K %", "text"), Column("value", "value", "number")),
            table,
            "Likelihood scores of the right answers.",
            folded=True,
        )
    ]


def _samples(responses: pl.DataFrame) -> list[dict[str, str]]:
    """A seeded selection: up to three of each level, split and verdict, then of the probe; level by level."""
    rows = responses.filter(pl.col("kind") == "answer").to_dicts()
    order = Seed("profile", "samples").rng().permutation(len(rows))
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for place in order:
        row = rows[place]
        level = "probe task" if row["level"] is None else _label(row["level"])
        key = (level, row["split"].upper(), _verdict(row))
        if len(groups.setdefault(key, [])) < SAMPLES_A_GROUP:
            groups[key].append(_sample(row, *key))
    levels = [*scylla.LEVEL_LABELS, "probe task"]
    chosen = [sample for key in sorted(groups, key=lambda k: (levels.index(k[0]), k[1], k[2])) for sample in groups[key]]
    probes = responses.filter(pl.col("kind") == "probe").to_dicts()
    picked = Seed("profile", "samples", "probe").rng().permutation(len(probes))[: 2 * SAMPLES_A_GROUP]
    return [*chosen, *(_sample(probes[place], "ID probe", "–", "asked to invent inputs") for place in sorted(picked))]


def _sample(row: Mapping[str, Any], level: str, split: str, verdict: str) -> dict[str, str]:
    return {
        "level": level,
        "split": split,
        "task": scylla.task(row["task"]).title,
        "verdict": verdict,
        **{name: str(row[name]) for name in ("prompt", "reply", "thinking", "target", "answer", "how")},
    }


def _verdict(row: Mapping[str, Any]) -> str:
    if row["failed"]:
        return "failed"
    return "right" if row["correct"] else "wrong" if row["parsed"] else "unparsed"


def _cell(row: Mapping[str, Any]) -> Any:
    return row["value"], row["low"], row["high"]


def _label(level: int) -> str:
    return scylla.LEVEL_LABELS[level]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _points(value: float) -> str:
    return signed(100 * value, 0, plus=False)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return ", ".join(map(str, value)) or "none" if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
