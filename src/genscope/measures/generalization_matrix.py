"""Generalization matrix: train on items of one difficulty, test on held-out items of another. A[i, j]: accuracy on bin j after training on bin i.

Bins hold as many items (quantiles of difficulty, or drawn at random), each is split half train, half test, and every training set has the same size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.measures.difficulty_scale import quantiles

Trained = Callable[[np.ndarray], np.ndarray]
"""Places of items -> whether each is answered right (0 or 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralizationMatrix:
    """accuracy: [train bin, test bin], easiest first; train, test: places of the items of each bin."""

    accuracy: np.ndarray
    train: tuple[np.ndarray, ...]
    test: tuple[np.ndarray, ...]

    @property
    def diagonal_gap(self) -> float:
        """Mean of the diagonal minus mean off it, in [-1, 1]."""
        own = np.eye(len(self.accuracy), dtype=bool)
        return float(self.accuracy[own].mean() - self.accuracy[~own].mean())

    @property
    def easy_to_hard_loss(self) -> float:
        """A[last, last] - A[first, last]: what training on easy instead of hard items costs on the hard ones."""
        return float(self.accuracy[-1, -1] - self.accuracy[0, -1])

    @property
    def hard_to_easy_loss(self) -> float:
        """A[first, first] - A[last, first]."""
        return float(self.accuracy[0, 0] - self.accuracy[-1, 0])


def difficulty_bins(difficulty: np.ndarray, count: int) -> np.ndarray:
    """Bin of each item, 0 = easiest, by quantiles (ties by place, so that bins are of equal size)."""
    order = np.argsort(np.asarray(difficulty, float), kind="stable")
    place = np.empty(len(order), int)
    place[order] = np.minimum((np.arange(len(order)) + 0.5) / len(order) * count, count - 1).astype(int)
    return place


def random_bins(items: int, count: int, seed: Seed) -> np.ndarray:
    """Bins of equal size drawn at random over the items."""
    return difficulty_bins(quantiles(seed.rng().permutation(items)), count)


def generalization_matrix(train: Callable[[np.ndarray], Trained], bins: Sequence[int] | np.ndarray, seed: Seed) -> GeneralizationMatrix:
    """`train(places)` fits on these items and returns the trained answerer. bins: bin of each item, from 0; a bin needs at least 4 items."""
    where = np.asarray(bins, int)
    count = int(where.max()) + 1
    if count < 2:
        raise UsageError("a generalization matrix needs at least 2 bins of difficulty")
    sizes = np.bincount(where, minlength=count)
    if sizes.min() < 4:
        raise DataError(
            f"bin {int(sizes.argmin())} has {int(sizes.min())} item(s); a bin needs 4, half to train on and half to test. Take fewer bins"
        )
    half = int(sizes.min()) // 2
    learn, held = [], []
    for b in range(count):
        shuffled = seed.child("halves", b).rng().permutation(np.flatnonzero(where == b))
        learn.append(shuffled[:half])
        held.append(shuffled[half:])
    accuracy = np.empty((count, count))
    for i in range(count):
        answer = train(learn[i])
        for j in range(count):
            accuracy[i, j] = float(np.mean(answer(held[j])))
    return GeneralizationMatrix(accuracy=accuracy, train=tuple(learn), test=tuple(held))
