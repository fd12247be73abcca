"""When examples are memorized and when test items generalize, from their losses and answers at checkpoints; groups of the same time, and their pairing.

Memorization time: the earliest checkpoint from which on l(t) <= eps and |l(t) - l(T)| <= delta. Generalization time: the earliest checkpoint at which the item is
right, with mean correctness above 0.8 from there on and at most one error after it. Source: Li, Fan, Zhou 2025 (arXiv 2506.21551).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError, UsageError

# C checkpoints, N examples, G groups, D width
DELTA = 0.05
"""Nats by which a memorized example's loss may still move."""


def memorization_time(
    losses: Float[np.ndarray, "C N"], steps: Sequence[float], eps: float, delta: float = DELTA
) -> Float[np.ndarray, " N"]:
    """Step of memorization of every example (nats a token); infinite where its last loss is above eps. The last step where only the last checkpoint fits.

    >>> memorization_time(np.array([[0.9, 0.1], [0.1, 2.0], [0.1, 0.1]]), [10, 20, 30], 0.2)
    array([20., 30.])
    """
    held = _losses(losses, steps)
    fits = (held <= eps) & (np.abs(held - held[-1]) <= delta)
    return _since(fits, steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eps:
    """A threshold of memorization (nats), and the share of examples that it finds memorized before the last checkpoint."""

    value: float
    share: float
    inside: bool
    """Whether the share lies in the wanted band; where no step of the scan does, the value is that with the nearest share."""


def choose_eps(
    losses: Float[np.ndarray, "C N"],
    steps: Sequence[float],
    *,
    low: float = 0.20,
    high: float = 0.25,
    step: float = 0.1,
    delta: float = DELTA,
) -> Eps:
    """The paper's eps of a domain: the first of step, 2 step, ... under which between `low` and `high` of the examples are memorized before the last checkpoint."""
    if not 0 <= low <= high <= 1 or step <= 0:
        raise UsageError(f"a band 0 <= low <= high <= 1 and a step above 0 are needed, got {low}, {high} and {step}")
    held = _losses(losses, steps)
    best: Eps | None = None
    for count in range(1, int(np.ceil(held.max() / step)) + 2):
        eps = count * step
        share = float((memorization_time(held, steps, eps, delta) < steps[-1]).mean())
        if low <= share <= high:
            return Eps(value=eps, share=share, inside=True)
        if best is None or max(low - share, share - high) < max(low - best.share, best.share - high):
            best = Eps(value=eps, share=share, inside=False)
    if best is None:
        raise DataError("losses must be at least 0 nats to choose eps")
    return best


def generalization_time(correct: Int[np.ndarray, "C N"], steps: Sequence[float], *, least: float = 0.8) -> Float[np.ndarray, " N"]:
    """Step from which a test item is generalized to; infinite when it never is.

    >>> generalization_time(np.array([[1, 0], [1, 1], [0, 1], [1, 1], [1, 0], [1, 1], [1, 0]]), [1, 2, 3, 4, 5, 6, 7])
    array([ 1., inf])
    """
    held = np.asarray(correct, float)
    _checked(held, steps)
    if not np.isin(held, (0, 1)).all():
        raise UsageError("correctness is 0 or 1 for every checkpoint and item")
    after = np.arange(len(held), 0, -1)[:, None]  # checkpoints from here on
    right = held[::-1].cumsum(0)[::-1]
    fits = (held == 1) & (right / after > least) & (after - right <= 1)
    return np.where(fits.any(0), np.asarray(steps, float)[fits.argmax(0)], np.inf)


def groups(times: Float[np.ndarray, " N"]) -> dict[float, Int[np.ndarray, " M"]]:
    """Time -> the places of the examples with that time, in order of time; those without one are left out."""
    return {float(time): np.flatnonzero(times == time) for time in np.unique(times[np.isfinite(times)])}


def pair_groups(
    train: Float[np.ndarray, "N D"], train_groups: Sequence[Hashable], test: Float[np.ndarray, "M D"], test_groups: Sequence[Hashable]
) -> list[tuple[Any, Any, float]]:
    """(training group, test group, similarity), one-to-one, with the largest total; similarity: average cosine over all pairs of a training and a test example.

    The average cosine is the inner product of the groups' mean unit vectors: O(N D), not O(N M D).
    """
    from scipy.optimize import linear_sum_assignment

    names, means = zip(*(_means(*one) for one in ((train, train_groups), (test, test_groups))), strict=True)
    similarity = means[0] @ means[1].T
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return [(names[0][row], names[1][column], float(similarity[row, column])) for row, column in zip(rows, columns, strict=True)]


def _means(embeddings: Float[np.ndarray, "N D"], labels: Sequence[Hashable]) -> tuple[list[Hashable], Float[np.ndarray, "G D"]]:
    if len(embeddings) != len(labels) or not len(labels):
        raise UsageError(f"every embedding has its group, at least one; got {len(embeddings)} embeddings and {len(labels)} groups")
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise DataError("an embedding is zero or not finite, and has no cosine to others; leave that example out")
    names = list(dict.fromkeys(labels))
    place = np.array([names.index(one) for one in labels])
    return names, np.stack([(embeddings / norms)[place == k].mean(0) for k in range(len(names))])


def _since(fits: np.ndarray, steps: Sequence[float]) -> Float[np.ndarray, " N"]:
    """The first step from which all later ones fit; infinite where the last does not."""
    at = np.append(np.asarray(steps, float), np.inf)
    broken = ~fits
    return at[np.where(broken.any(0), len(fits) - broken[::-1].argmax(0), 0)]


def _losses(losses: np.ndarray, steps: Sequence[float]) -> Float[np.ndarray, "C N"]:
    held = np.asarray(losses, float)
    _checked(held, steps)
    if not np.isfinite(held).all():
        raise DataError(
            f"{int((~np.isfinite(held)).sum())} of {held.size} losses are not finite; a run that diverged has no memorization times"
        )
    return held


def _checked(held: np.ndarray, steps: Sequence[float]) -> None:
    if held.ndim != 2 or len(held) != len(steps) or not held.size:
        raise UsageError(f"one row a checkpoint and one column an example are needed; got {held.shape} for {len(steps)} checkpoints")
    if any(b <= a for a, b in itertools.pairwise(steps)):
        raise UsageError(f"checkpoints must come in the order of their steps, got {list(steps)}")
