"""From replies to the numbers of a Scylla profile: accuracies, gaps, scores, critical level, each with its interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.core.stats import Interval, wilson
from genscope.core.stats.mover import mover
from genscope.measures.generalization_gap import (
    PARSED_FLOOR,
    Counts,
    LevelScores,
    TaskOutcome,
    accuracy_ratio,
    chance_corrected,
    level_scores,
    relative_gap,
)
from genscope.measures.likelihood import min_k_prob, score_divergence, sequence_probability
from genscope.measures.preferred_complexity import preferred_complexity
from genscope.sections.profile.scylla_plan import ScyllaConfig

SOURCE = "profile/scylla"
SPLITS = ("id", "ood")
SECOND_FLOOR = 0.50
MIN_K = (10, 30, 50, 70, 90)


def measure(responses: pl.DataFrame, config: ScyllaConfig) -> list[Record]:
    """Every number of the profile from its rows alone: per task, per level, over all anchors, and for the probe tasks."""
    records = [*_probe_records(responses.filter(pl.col("kind") == "probe"))]
    for kind, floor in (("answer", PARSED_FLOOR), ("second", SECOND_FLOOR)):
        rows = responses.filter(pl.col("kind") == kind)
        if len(rows):
            records += _graded_records(rows, config, floor, "" if kind == "answer" else "second stage")
    return records


def _graded_records(rows: pl.DataFrame, config: ScyllaConfig, floor: float, condition: str) -> Iterable[Record]:
    groups = {(task, split): part for (task, split), part in rows.group_by("task", "split", maintain_order=True)}
    names = list(dict.fromkeys(rows["task"]))
    cells = {}
    for task in names:
        for split in SPLITS:
            part = groups.get((task, split), rows.clear())
            cells[task, split] = cell = _Cell.of(part, config, floor)
            yield from cell.records(task, split, condition)
    outcomes = [
        _outcome(task, cells) for task in names if cells[task, "id"].level is not None and all(cells[task, s].counts.n for s in SPLITS)
    ]
    if outcomes:
        scores = level_scores(
            outcomes, Seed("profile", "scylla", "bootstrap", condition), unparsed=config.unparsed, aggregate=config.aggregate,
            resample=config.resample, draws=config.draws, floor=floor,
        )  # fmt: skip
        yield from _level_records(scores, outcomes, cells, condition)
        yield from _probe_task_records(names, cells, scores, condition)
    yield from _likelihood_records(rows, condition)


# --- a task on one side


class _Cell:
    """Counts, accuracy and chance of one task in one split."""

    def __init__(self, level: int | None, counts: Counts, failed: int, truncated: int, chance: float, accuracy: Interval | None) -> None:
        self.level, self.counts, self.failed, self.truncated, self.chance, self.accuracy = (
            level,
            counts,
            failed,
            truncated,
            chance,
            accuracy,
        )

    @classmethod
    def of(cls, part: pl.DataFrame, config: ScyllaConfig, floor: float) -> _Cell:
        came = part.filter(pl.col("failed") == "")
        right = int(came["correct"].sum())
        unparsed = int((~came["parsed"]).sum())
        counts = Counts(right=right, wrong=len(came) - right - unparsed, unparsed=unparsed)
        below = config.unparsed == "exclude" and counts.n - unparsed < floor * counts.n
        base = counts.n if config.unparsed == "wrong" or below else counts.n - unparsed
        interval = wilson(0 if below else right, base) if base else None
        chance = float(came["chance"].mean()) if len(came) else 0.0  # pyright: ignore[reportArgumentType]
        level = part["level"][0] if len(part) else None
        return cls(level, counts, len(part) - len(came), int(came["truncated"].sum()), chance, interval)

    def records(self, task: str, split: str, condition: str) -> Iterable[Record]:
        def record(metric: str, value: float | None, unit: str, interval: Interval | None = None, how: str = "") -> Record:
            low, high = (interval.low, interval.high) if interval else (None, None)
            return Record(
                source=SOURCE, metric=metric, value=value, unit=unit, n=self.counts.n, low=low, high=high, condition=condition, split=split,
                level=self.level, factors={"task": task}, provenance=how,
            )  # fmt: skip

        yield record(
            "accuracy", self.accuracy.value if self.accuracy else None, "fraction", self.accuracy, "Wilson interval over instances"
        )
        yield record("chance", self.chance, "fraction")
        if self.accuracy:
            yield record("chance_corrected_accuracy", chance_corrected(self.accuracy.value, self.chance), "fraction")
        yield record("unparsed", self.counts.unparsed, "count")
        yield record("truncated", self.truncated, "count")
        yield record("failed", self.failed, "count")


def _outcome(task: str, cells: dict[tuple[str, str], _Cell]) -> TaskOutcome:
    id_, ood = cells[task, "id"], cells[task, "ood"]
    return TaskOutcome(task=task, level=id_.level or 0, id=id_.counts, ood=ood.counts, chance_id=id_.chance, chance_ood=ood.chance)


# --- levels, and all anchors together


def _level_records(
    scores: LevelScores, outcomes: Sequence[TaskOutcome], cells: dict[tuple[str, str], _Cell], condition: str
) -> Iterable[Record]:
    shares = scores.p_critical()
    for place, level in enumerate(scores.levels):
        tasks = [outcome.task for outcome in outcomes if outcome.level == level]

        def record(metric: str, value: float | None, unit: str = "fraction", interval: object = None, split: str = "", how: str = "", *, at: int = level, of: Sequence[str] = tasks) -> Record:  # fmt: skip
            ends = (
                (interval.low, interval.high)
                if isinstance(interval, Interval)
                else interval
                if isinstance(interval, tuple)
                else (None, None)
            )
            n = sum(cells[task, s].counts.n for task in of for s in ((split,) if split else SPLITS))
            return Record(source=SOURCE, metric=f"level_{metric}", value=value, unit=unit, n=n, low=ends[0], high=ends[1], condition=condition, split=split, level=at, factors={"tasks": len(of)}, provenance=how)  # fmt: skip

        for split in SPLITS:
            mean = mover([(1 / len(tasks), _accuracy(cells, task, split)) for task in tasks])
            chance = float(np.mean([cells[task, split].chance for task in tasks]))
            corrected = float(np.mean([chance_corrected(_accuracy(cells, task, split).value, cells[task, split].chance) for task in tasks]))
            yield record("accuracy", mean.value, interval=mean, split=split, how="mean of the tasks; Wilson intervals joined by MOVER")
            yield record("chance", chance, split=split)
            yield record("chance_corrected_accuracy", corrected, split=split)
            for what in ("unparsed", "truncated", "failed"):
                yield record(what, sum(_count(cells[task, split], what) for task in tasks), "count", split=split)
        difference = mover(_difference_terms(tasks, cells))
        yield record("difference", difference.value, interval=difference, how="ID minus OOD, signed; MOVER")
        yield record("gap", float(scores.gap[place]), interval=scores.interval("gap", level), how="mean of the tasks' max(0, ID - OOD); percentile bootstrap over instances")  # fmt: skip
        yield record("score", float(scores.score[place]), interval=scores.interval("score", level), how="S = OOD - gap; percentile bootstrap over instances")  # fmt: skip
        yield record("p_critical", shares[level], how="share of bootstrap draws in which this level has the largest gap")
        yield record("ratio", accuracy_ratio(float(scores.a_id[place]), float(scores.a_ood[place])), "ratio")
        yield record("relative_gap", relative_gap(float(scores.a_id[place]), float(scores.a_ood[place])))
    yield from _overall_records(scores, outcomes, cells, condition, shares)


def _overall_records(
    scores: LevelScores,
    outcomes: Sequence[TaskOutcome],
    cells: dict[tuple[str, str], _Cell],
    condition: str,
    shares: dict[int | None, float],
) -> Iterable[Record]:
    tasks = [outcome.task for outcome in outcomes]
    n = sum(outcome.id.n + outcome.ood.n for outcome in outcomes)
    common = {"source": SOURCE, "condition": condition, "factors": {"tasks": len(tasks)}}
    for split in SPLITS:
        mean = mover([(1 / len(tasks), _accuracy(cells, task, split)) for task in tasks])
        of_split = sum(cells[task, split].counts.n for task in tasks)
        chance = float(np.mean([cells[task, split].chance for task in tasks]))
        yield Record(metric="overall_accuracy", value=mean.value, low=mean.low, high=mean.high, unit="fraction", n=of_split, split=split, provenance="mean of all anchor tasks; MOVER", **common)  # fmt: skip
        yield Record(metric="overall_chance", value=chance, unit="fraction", n=of_split, split=split, **common)
    difference = mover(_difference_terms(tasks, cells))
    yield Record(metric="overall_difference", value=difference.value, low=difference.low, high=difference.high, unit="fraction", n=n, provenance="ID minus OOD, mean of all anchor tasks; MOVER", **common)  # fmt: skip
    critical = scores.critical
    yield Record(
        metric="critical_level", value=critical, unit="level", n=n, level=critical, provenance="level with the largest gap", **common
    )
    yield Record(
        metric="p_no_gap", value=shares[None], unit="fraction", n=n, provenance="share of bootstrap draws without any gap", **common
    )


def _accuracy(cells: dict[tuple[str, str], _Cell], task: str, split: str) -> Interval:
    interval = cells[task, split].accuracy
    return interval if interval is not None else wilson(0, 1)


def _count(cell: _Cell, what: str) -> int:
    return {"unparsed": cell.counts.unparsed, "truncated": cell.truncated, "failed": cell.failed}[what]


def _difference_terms(tasks: Sequence[str], cells: dict[tuple[str, str], _Cell]) -> list[tuple[float, Interval]]:
    return [(sign / len(tasks), _accuracy(cells, task, split)) for task in tasks for sign, split in ((1, "id"), (-1, "ood"))]


# --- probe tasks, likelihoods, the probe itself


def _probe_task_records(names: Sequence[str], cells: dict[tuple[str, str], _Cell], scores: LevelScores, condition: str) -> Iterable[Record]:
    if len(scores.levels) < 2:
        return
    for task in names:
        cell = cells[task, "ood"]
        if cell.level is None and cell.accuracy is not None:
            found = preferred_complexity(cell.accuracy.value, np.array(scores.levels, float), scores.a_ood)
            factors = {"task": task, "fit_error": round(found.fit_error, 6)}
            yield Record(source=SOURCE, condition=condition, metric="preferred_complexity", value=found.level, unit="level", n=cell.counts.n, split="ood", factors=factors, provenance="isotonic curve of the anchors' OOD accuracy, inverted")  # fmt: skip


def _likelihood_records(rows: pl.DataFrame, condition: str) -> Iterable[Record]:
    scored = rows.filter((pl.col("mode") == "likelihood") & (pl.col("failed") == ""))
    if not len(scored):
        return
    logprobs = {
        split: [json.loads(text)["gold_logprobs"] for text in scored.filter(pl.col("split") == split)["factors"]] for split in SPLITS
    }
    probabilities = {split: [sequence_probability(one) for one in many] for split, many in logprobs.items()}
    for split in SPLITS:
        values, n = probabilities[split], len(probabilities[split])
        if not n:
            continue
        common = {"source": SOURCE, "condition": condition, "n": n, "split": split}
        right = float(scored.filter(pl.col("split") == split)["correct"].mean())  # pyright: ignore[reportArgumentType]
        yield Record(metric="gold_probability", value=float(np.mean(values)), unit="probability", **common)
        yield Record(metric="gold_perplexity", value=float(np.exp(-np.mean(np.log(np.maximum(values, 1e-300))))), unit="perplexity", provenance="geometric mean over instances", **common)  # fmt: skip
        for k in MIN_K:
            memory = float(np.mean([min_k_prob(one, k) for one in logprobs[split]]))
            yield Record(metric="min_k_probability", value=memory, unit="probability", factors={"k": k}, **common)
            yield Record(metric="memorization_normalised_accuracy", value=right / memory if memory > 0 else math.nan, unit="ratio", factors={"k": k}, provenance="accuracy / Min-K%", **common)  # fmt: skip
    kl, js = score_divergence(probabilities["id"], probabilities["ood"])
    for metric, value in (("kl_divergence", kl), ("js_divergence", js)):
        yield Record(source=SOURCE, condition=condition, metric=metric, value=value, unit="nats", n=len(scored), provenance="ID to OOD gold probabilities, normalised kernel densities")  # fmt: skip


def _probe_records(rows: pl.DataFrame) -> Iterable[Record]:
    for (task,), part in rows.group_by("task", maintain_order=True):
        failed = int((part["failed"] != "").sum())
        yield Record(source=SOURCE, metric="probe_replies", value=len(part), unit="count", n=len(part), factors={"task": task})
        yield Record(source=SOURCE, metric="probe_failed", value=failed, unit="count", n=len(part), factors={"task": task})
