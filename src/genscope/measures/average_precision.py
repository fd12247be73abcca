"""Average precision: AP = sum over ranks of (R_n - R_(n-1)) P_n, the step version, not the trapezoid, which is optimistic.

Rows of equal score are taken together. A random score has AP = prevalence in the mean, so APs of sets with different prevalence are not comparable:
show the prevalence beside it. On subsampled rows pass weights 1 / sampling rate. Sources: Davis and Goadrich 2006; Boyd, Eng and Page 2013.
"""

# n rows, B draws of weights

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError

CELLS = 4_000_000
"""Weights that are worked on at once."""


def average_precision(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], sample_weight: Float[np.ndarray, " n"] | None = None
) -> float:
    """AP in [0, 1]; without a positive row NaN, with a warning.

    >>> round(average_precision(np.array([1, 0, 1, 0]), np.array([4.0, 3.0, 2.0, 1.0])), 4)  # (1/1 + 2/3) / 2
    0.8333
    >>> average_precision(np.array([1, 0, 1, 0]), np.zeros(4))  # all tied: the prevalence
    0.5
    """
    y, score = _checked(y, score)
    if not (y == 1).any():
        warnings.warn(f"average precision of {len(y)} rows without a positive one is not defined (NaN)", RuntimeWarning, stacklevel=2)
        return float("nan")
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    return float(drawn_average_precision(y, score, weight[None, :])[0])


def drawn_average_precision(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "B n"]
) -> Float[np.ndarray, " B"]:
    """AP under each row of weights; NaN where no positive row has weight. O(B n) after one sort."""
    y, score = _checked(y, score)
    if weights.ndim != 2 or weights.shape[1] != len(y):
        raise UsageError(f"weights must be draws x {len(y)} rows, got shape {weights.shape}")
    order = np.argsort(-score, kind="stable")
    positive = (y[order] == 1).astype(float)
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(y) else np.zeros(0, dtype=int)
    found = np.full(len(weights), np.nan)
    step = max(1, CELLS // max(1, len(y)))
    for start in range(0, len(weights), step):
        w = weights[start : start + step][:, order].astype(float)
        seen = np.cumsum(w, axis=1)[:, ends]
        hit = np.cumsum(w * positive, axis=1)[:, ends]
        gained = np.diff(hit, axis=1, prepend=0.0)
        precision = np.divide(hit, seen, out=np.zeros_like(hit), where=seen > 0)
        whole = hit[:, -1] if len(ends) else np.zeros(len(w))
        found[start : start + step] = np.divide((gained * precision).sum(1), whole, out=np.full(len(w), np.nan), where=whole > 0)
    return found


def prevalence(y: Int[np.ndarray, " n"], sample_weight: Float[np.ndarray, " n"] | None = None) -> float:
    """Weighted share of positive rows: the AP of chance, and of a detector that says yes to every row."""
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    return float((weight * (np.asarray(y) == 1)).sum() / weight.sum()) if weight.sum() > 0 else float("nan")


def _checked(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    if y.shape != score.shape or y.ndim != 1:
        raise UsageError(f"labels and scores must be as many: {y.shape} and {score.shape}")
    if not np.isin(y, (0, 1)).all():
        raise UsageError("average precision needs labels 0 or 1")
    if not np.isfinite(score).all():
        raise UsageError(f"average precision needs finite scores; {int((~np.isfinite(score)).sum())} of {len(score)} are not")
    return y, score
