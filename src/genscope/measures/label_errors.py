"""Suspected label errors: rows whose label a model does not believe, neither when it has not seen the row nor while it learns it.

Out of sample (confident learning, Northcutt et al. 2021): with p(j | x) from models that did not train on x, t_j the mean of p(j | x) over the rows labelled j; a row
labelled i is doubted when some other class j has p(j | x) >= t_j and p(j | x) > p(i | x). Dynamics (Swayamdipta et al. 2020): its confidence during training, on
models that did train on it, is below that of most rows. Suspected = doubted by both. Score = p(label | x), low first.
"""

# N rows, C classes

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from genscope.core.errors import DataError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelErrors:
    """rows: suspected ones, the most doubtful first; said: the class that each seems to be; score: p(label | x) out of sample of every row;
    doubted: by the out-of-sample rule alone, every row.
    """

    rows: Int[np.ndarray, " S"]
    said: Int[np.ndarray, " S"]
    score: Float[np.ndarray, " N"]
    doubted: Bool[np.ndarray, " N"]


def suspected(
    p: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"], confidence: Float[np.ndarray, " N"] | None = None, below: float = 0.5
) -> LabelErrors:
    """Suspected label errors. p: probabilities out of sample, rows sum to 1; labels: classes 0 to C - 1; confidence: of the data map (in sample), None to do without;
    below: quantile of the confidence under which a row must lie, in (0, 1].
    """
    p, y = np.asarray(p, float), np.asarray(labels)
    if p.ndim != 2 or len(p) != len(y) or not len(y):
        raise DataError(f"label errors: probabilities of shape {p.shape} and {len(y)} labels do not belong together")
    if not np.isfinite(p).all() or (p < 0).any() or (np.abs(p.sum(1) - 1) > 1e-4).any():
        raise DataError("label errors: probabilities must be >= 0 and sum to 1 in every row")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise DataError(f"label errors: labels must be 0 to {p.shape[1] - 1}, got {y.min()} to {y.max()}")
    if not 0 < below <= 1:
        raise UsageError(f"label errors: below is a quantile in (0, 1], got {below}")
    classes = p.shape[1]
    # a class without rows sets no threshold and is never proposed
    threshold = np.array([p[y == j, j].mean() if (y == j).any() else np.inf for j in range(classes)])
    score = p[np.arange(len(y)), y]
    rival = np.where((p >= threshold) & (p > score[:, None]), p, -1.0)
    rival[np.arange(len(y)), y] = -1.0
    doubted = rival.max(1) >= 0
    held = doubted if confidence is None else doubted & (np.asarray(confidence) <= np.quantile(confidence, below))
    rows = np.flatnonzero(held)
    rows = rows[np.argsort(score[rows], kind="stable")]
    return LabelErrors(rows=rows, said=rival[rows].argmax(1), score=score, doubted=doubted)
