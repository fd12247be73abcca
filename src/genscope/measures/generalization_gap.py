"""Generalization scores over a complexity axis: ID-OOD gap, score S, generalization valley, critical complexity.

For a task t with accuracies A_ID and A_OOD (fractions):  gap_t = max(0, A_ID - A_OOD),  S_t = A_OOD - gap_t  in [-1, 1].
A level's gap and S are means over its tasks; the critical complexity is the level with the largest gap.
Source: Qi et al. 2025, "Quantifying Generalization Complexity for Large Language Models", section 2 (arXiv 2410.01769).
"""

# T tasks, K levels, B bootstrap draws

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed

Unparsed = Literal["wrong", "exclude"]
Aggregate = Literal["mean_of_tasks", "gap_of_means"]
Resample = Literal["instances", "tasks"]

PARSED_FLOOR = 0.10
"""Under `unparsed="exclude"` the accuracy is 0 when a smaller share of the replies parsed (0.50 in the second stage)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Replies to one task in one split: `right`, `wrong` (parsed, not right) and `unparsed`. Failed calls are in none of them."""

    right: int
    wrong: int
    unparsed: int = 0

    @property
    def n(self) -> int:
        """Replies that came."""
        return self.right + self.wrong + self.unparsed


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """A task's counts on both sides, its level, and its chance accuracy on either side."""

    task: str
    level: int
    id: Counts
    ood: Counts
    chance_id: float = 0.0
    chance_ood: float = 0.0


def accuracy(counts: Counts, unparsed: Unparsed = "wrong", floor: float = PARSED_FLOOR) -> float:
    """Share of right replies, in [0, 1]; nan without replies. "exclude" leaves unparsed replies out of the denominator.

    >>> accuracy(Counts(right=3, wrong=1, unparsed=4)), accuracy(Counts(right=3, wrong=1, unparsed=4), "exclude")
    (0.375, 0.75)
    """
    cells = np.array([[counts.right, counts.wrong, counts.unparsed]], dtype=float)
    return float(_accuracies(cells, unparsed, floor)[0])


def _accuracies(cells: Float[np.ndarray, "... 3"], unparsed: Unparsed, floor: float) -> Float[np.ndarray, "..."]:
    right, wrong, lost = np.moveaxis(cells, -1, 0)
    n, parsed = right + wrong + lost, right + wrong
    if unparsed == "wrong":
        return np.divide(right, n, out=np.full(n.shape, np.nan), where=n > 0)
    if unparsed == "exclude":
        share = np.divide(right, parsed, out=np.zeros(n.shape), where=parsed > 0)
        return np.where(n > 0, np.where(parsed >= floor * n, share, 0.0), np.nan)
    raise UsageError(f"unparsed must be 'wrong' or 'exclude', got {unparsed!r}")


def id_ood_gap(a_id: Float[np.ndarray, "..."], a_ood: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """max(0, A_ID - A_OOD), in [0, 1]."""
    return np.maximum(0.0, np.subtract(a_id, a_ood))


def generalization_score(a_id: Float[np.ndarray, "..."], a_ood: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """S = A_OOD - max(0, A_ID - A_OOD), in [-1, 1].

    >>> float(generalization_score(np.float64(0.55), np.float64(0.15)).round(2))
    -0.25
    """
    return np.asarray(a_ood) - id_ood_gap(a_id, a_ood)


def accuracy_ratio(a_id: float, a_ood: float) -> float:
    """A_OOD / A_ID, 1 when A_ID = 0 (the authors' convention: do not average it into a ranking)."""
    return a_ood / a_id if a_id > 0 else 1.0


def relative_gap(a_id: float, a_ood: float) -> float:
    """max(0, A_ID - A_OOD) / A_ID, 1 when A_ID = 0 (the authors' convention: do not average it into a ranking)."""
    return max(0.0, a_id - a_ood) / a_id if a_id > 0 else 1.0


def chance_corrected(a: float, chance: float) -> float:
    """(A - c) / (1 - c): 0 at chance, 1 when all is right, negative below chance; nan at chance 1."""
    return (a - chance) / (1.0 - chance) if chance < 1 else float("nan")


@dataclass(frozen=True, slots=True)
class LevelScores:
    """Scores of the levels in `levels`, and bootstrap draws of the same: arrays [K] and [B, K]."""

    levels: tuple[int, ...]
    a_id: Float[np.ndarray, " K"]
    a_ood: Float[np.ndarray, " K"]
    gap: Float[np.ndarray, " K"]
    score: Float[np.ndarray, " K"]
    gap_draws: Float[np.ndarray, "B K"]
    score_draws: Float[np.ndarray, "B K"]

    @property
    def critical(self) -> int | None:
        """Level with the largest gap; ties go to the lower level; None when every gap is 0."""
        return self.levels[int(self.gap.argmax())] if self.gap.max(initial=0.0) > 0 else None

    def p_critical(self) -> dict[int | None, float]:
        """Share of bootstrap draws in which each level is the critical one; None stands for "no gap at all"."""
        best: Int[np.ndarray, " B"] = self.gap_draws.argmax(1)
        none = self.gap_draws.max(1) <= 0
        shares: dict[int | None, float] = {level: float(np.mean((best == k) & ~none)) for k, level in enumerate(self.levels)}
        return shares | {None: float(none.mean())}

    def interval(self, quantity: Literal["gap", "score"], level: int) -> tuple[float, float] | None:
        """95 % percentile interval over draws; None where all draws agree (no zero-width interval is printed)."""
        draws = (self.gap_draws if quantity == "gap" else self.score_draws)[:, self.levels.index(level)]
        low, high = np.percentile(draws, [2.5, 97.5])
        return (float(low), float(high)) if high > low else None


def level_scores(
    outcomes: Sequence[TaskOutcome],
    seed: Seed,
    *,
    unparsed: Unparsed = "wrong",
    aggregate: Aggregate = "mean_of_tasks",
    resample: Resample = "instances",
    draws: int = 2_000,
    floor: float = PARSED_FLOOR,
) -> LevelScores:
    """Level gaps and scores with bootstrap draws.

    Each draw resamples the replies of every (task, split) with replacement, recomputes the tasks' gaps and scores and
    averages them per level; `resample="tasks"` also resamples the tasks inside a level (wider: a claim about the level, not about
    these tasks). `aggregate="gap_of_means"` averages accuracies first. Tasks without replies on either side are refused.
    """
    if not outcomes:
        raise UsageError("no anchor task has replies: levels cannot be scored. Ask at least one task that carries a level")
    empty = [outcome.task for outcome in outcomes if outcome.id.n == 0 or outcome.ood.n == 0]
    if empty:
        raise UsageError(f"no reply came for {', '.join(empty)}; leave these tasks out")
    rng = seed.rng()
    levels = tuple(sorted({outcome.level for outcome in outcomes}))
    cells = np.array([[[c.right, c.wrong, c.unparsed] for c in (o.id, o.ood)] for o in outcomes], dtype=float)  # [T, 2, 3]
    n = cells.sum(-1)
    drawn = np.stack(
        [np.stack([rng.multinomial(int(n[t, s]), cells[t, s] / n[t, s], size=draws) for s in (0, 1)], 1) for t in range(len(outcomes))], 1
    )
    observed = _accuracies(cells, unparsed, floor)  # [T, 2]
    resampled = _accuracies(drawn.astype(float), unparsed, floor)  # [B, T, 2]

    def over_levels(a: Float[np.ndarray, "N T 2"], pick: bool) -> list[Float[np.ndarray, "N K"]]:
        columns = []
        for level in levels:
            members = np.array([t for t, o in enumerate(outcomes) if o.level == level])
            chosen = rng.choice(members, size=(len(a), len(members))) if pick else np.broadcast_to(members, (len(a), len(members)))
            part = np.take_along_axis(a, chosen[:, :, None], axis=1)
            a_id, a_ood = part[..., 0], part[..., 1]
            if aggregate == "mean_of_tasks":
                gap, score = id_ood_gap(a_id, a_ood).mean(1), generalization_score(a_id, a_ood).mean(1)
            elif aggregate == "gap_of_means":
                gap, score = id_ood_gap(a_id.mean(1), a_ood.mean(1)), generalization_score(a_id.mean(1), a_ood.mean(1))
            else:
                raise UsageError(f"aggregate must be 'mean_of_tasks' or 'gap_of_means', got {aggregate!r}")
            columns.append((a_id.mean(1), a_ood.mean(1), gap, score))
        return [np.stack(column, 1) for column in zip(*columns, strict=True)]

    if resample not in ("instances", "tasks"):
        raise UsageError(f"resample must be 'instances' or 'tasks', got {resample!r}")
    a_id, a_ood, gap, score = (column[0] for column in over_levels(observed[None], False))
    _, _, gap_draws, score_draws = over_levels(resampled, resample == "tasks")
    return LevelScores(levels, a_id, a_ood, gap, score, gap_draws, score_draws)
