"""Area under the ROC curve with row weights, and its mean over strata: pooled rows of strata with different base rates have a higher AUC than any stratum.

AUC = P(score of a positive > score of a negative) + P(tie) / 2. The mean over strata compares rows inside a stratum only (Simpson's trap).
"""

# n rows, B draws

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from genscope.core.errors import UsageError


def drawn_auc(y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "B n"]) -> Float[np.ndarray, " B"]:
    """AUC under each row of weights, ties counted half; NaN where a class has no weight.

    >>> drawn_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.ones((1, 4))).tolist()
    [0.75]
    """
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    if not len(y) or weights.shape[1:] != y.shape or score.shape != y.shape:
        raise UsageError(f"an AUC needs rows with scores and weights, got {y.shape}, {score.shape} and {weights.shape}")
    order = np.argsort(score, kind="stable")
    y, score = y[order], score[order]
    w = np.asarray(weights, dtype=float)[:, order]
    starts = np.flatnonzero(np.append(True, np.diff(score) != 0))
    positive, negative = (np.add.reduceat(w * (y == label), starts, axis=1) for label in (1, 0))
    below = np.cumsum(negative, axis=1) - negative
    won = (positive * (below + negative / 2)).sum(1)
    whole = positive.sum(1) * negative.sum(1)
    return np.divide(won, whole, out=np.full(len(w), np.nan), where=whole > 0)


def mean_auc(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], strata: Sequence[Hashable], weights: Float[np.ndarray, "B n"]
) -> Float[np.ndarray, " B"]:
    """Mean over strata of the AUC inside each; a stratum with one class only is left out."""
    found = [drawn_auc(y[at], score[at], weights[:, at]) for at in _members(strata)]
    held = np.stack(found, 1)
    counted = np.isfinite(held)
    return np.divide(np.where(counted, held, 0.0).sum(1), counted.sum(1), out=np.full(len(held), np.nan), where=counted.any(1))


def mean_auc_p(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], strata: Sequence[Hashable], rng: np.random.Generator, permutations: int = 999
) -> float:
    """One-sided p that the mean AUC inside strata exceeds chance: labels permuted inside strata, +1 correction."""
    total = np.zeros(permutations)
    observed = 0.0
    for at in _members(strata):
        labels, ranks = np.asarray(y)[at], rankdata(np.asarray(score)[at])
        ones, zeros = int((labels == 1).sum()), int((labels == 0).sum())
        if not ones or not zeros:
            continue
        drawn = rng.permuted(np.broadcast_to(labels, (permutations, len(labels))), axis=1)
        total += (drawn * ranks).sum(1) / (ones * zeros)
        observed += float((labels * ranks).sum()) / (ones * zeros)
    return float((1 + (total >= observed - 1e-12).sum()) / (permutations + 1))


def _members(strata: Sequence[Hashable]) -> list[np.ndarray]:
    places: dict[Hashable, list[int]] = {}
    for place, name in enumerate(strata):
        places.setdefault(name, []).append(place)
    return [np.array(rows) for rows in places.values()]
