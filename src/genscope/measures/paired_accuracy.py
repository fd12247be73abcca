"""Two models on the same questions: accuracies, their paired difference per level, and who was right where.

OOD questions are paired by example: the difference of each task has Newcombe's paired interval, and their mean is joined by MOVER; McNemar's exact
test counts the questions that only one of the two got right. ID questions are each model's own: that interval is unpaired (MOVER).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from genscope.core.records import Record
from genscope.core.stats import Interval, mcnemar, wilson
from genscope.core.stats.mover import mover
from genscope.core.stats.proportion import paired_difference

SOURCE = "compare"


def paired_records(a: pl.DataFrame, b: pl.DataFrame) -> Iterable[Record]:
    """Records of two models' responses: per level and over all anchor tasks, OOD paired and ID unpaired; b minus a throughout."""
    rows = [_anchors(frame) for frame in (a, b)]
    ood = [frame.filter(pl.col("split") == "ood") for frame in rows]
    joined = (
        ood[0]
        .join(ood[1], on=("task", "seed", "index", "example"), suffix="_b")
        .filter((pl.col("failed") == "") & (pl.col("failed_b") == ""))
    )
    levels = sorted(joined["level"].unique())
    for level in [*levels, None]:
        part = joined if level is None else joined.filter(pl.col("level") == level)
        yield from _paired(part, level)
        yield from _unpaired(
            [frame.filter((pl.col("split") == "id") & (True if level is None else pl.col("level") == level)) for frame in rows], level
        )


def _anchors(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter((pl.col("kind") == "answer") & pl.col("level").is_not_null())


def _paired(part: pl.DataFrame, level: int | None) -> Iterable[Record]:
    if not len(part):
        return
    first, second = part["correct"].to_numpy(), part["correct_b"].to_numpy()
    common = {"source": SOURCE, "split": "ood", "level": level, "n": len(part)}
    for arm, column in (("a", "correct"), ("b", "correct_b")):
        mean = _mean_of_tasks(part, column)
        yield Record(
            metric="accuracy",
            arm=arm,
            value=mean.value,
            low=mean.low,
            high=mean.high,
            unit="fraction",
            provenance="mean of the tasks; MOVER",
            **common,
        )
    interval = mover([(1 / part["task"].n_unique(), _difference(rows)) for _, rows in part.group_by("task", maintain_order=True)])
    yield Record(metric="difference", value=interval.value, low=interval.low, high=interval.high, unit="fraction", provenance="b minus a, paired by question: mean of the tasks; Newcombe's paired interval, MOVER", **common)  # fmt: skip
    for name, which in (
        ("both_right", first & second),
        ("only_a", first & ~second),
        ("only_b", ~first & second),
        ("both_wrong", ~first & ~second),
    ):
        yield Record(metric=name, value=int(np.sum(which)), unit="count", **common)
    yield Record(
        metric="mcnemar_p",
        value=mcnemar(int(np.sum(first & ~second)), int(np.sum(~first & second))),
        unit="p",
        provenance="exact",
        **common,
    )


def _difference(rows: pl.DataFrame) -> Interval:
    first, second = rows["correct"].to_numpy(), rows["correct_b"].to_numpy()
    counts = (first & second, first & ~second, ~first & second, ~first & ~second)
    return paired_difference(*(int(np.sum(which)) for which in counts))


def _unpaired(parts: Sequence[pl.DataFrame], level: int | None) -> Iterable[Record]:
    came = [part.filter(pl.col("failed") == "") for part in parts]
    if not all(len(part) for part in came):
        return
    means = [_mean_of_tasks(part, "correct") for part in came]
    for arm, mean, part in zip("ab", means, came, strict=True):
        yield Record(source=SOURCE, metric="accuracy", arm=arm, value=mean.value, low=mean.low, high=mean.high, unit="fraction", n=len(part), split="id", level=level, provenance="mean of the tasks; MOVER")  # fmt: skip
    found = mover([(1, means[1]), (-1, means[0])])
    yield Record(source=SOURCE, metric="difference", value=found.value, low=found.low, high=found.high, unit="fraction", n=found.n, split="id", level=level, provenance="b minus a, each on its own questions: unpaired; MOVER")  # fmt: skip


def _mean_of_tasks(part: pl.DataFrame, column: str) -> Interval:
    tasks = part.group_by("task", maintain_order=True).agg(pl.col(column).sum().alias("k"), pl.len().alias("n"))
    return mover([(1 / len(tasks), wilson(k, n)) for k, n in zip(tasks["k"], tasks["n"], strict=True)])
