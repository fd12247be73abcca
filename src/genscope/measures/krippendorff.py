"""Krippendorff's alpha: agreement of raters beyond chance, with missing ratings, for nominal, ordinal or interval scales.

alpha = 1 - observed / expected disagreement, over pairs of ratings of one unit, and of all. 1: perfect; 0: as by chance; below: systematic disagreement.
Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
"""

# R raters, U units, V values

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError, unknown

Scale = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: Float[np.ndarray, "R U"], scale: Scale = "ordinal") -> float:
    """Alpha of ratings with NaN where a rater gave none; units with fewer than two ratings say nothing. nan when no unit has two, or all ratings are alike.

    >>> round(krippendorff_alpha(np.array([[1.0, 2, 3, 3], [1, 2, 3, 2]]), "nominal"), 4)
    0.6667
    """
    x = np.asarray(ratings, float)
    if x.ndim != 2:
        raise UsageError(f"ratings must be raters x units, got shape {x.shape}")
    if scale not in ("nominal", "ordinal", "interval"):
        raise UsageError(unknown("scale", str(scale), ("nominal", "ordinal", "interval")))
    x = x[:, np.isfinite(x).sum(0) >= 2]
    values = np.unique(x[np.isfinite(x)])
    if len(values) < 2:
        return float("nan")
    counts_UV = np.stack([(x == one).sum(0) for one in values], axis=1).astype(float)
    size_U = counts_UV.sum(1)
    coincidence = (counts_UV.T @ (counts_UV / (size_U - 1)[:, None])) - np.diag((counts_UV / (size_U - 1)[:, None]).sum(0))
    totals = coincidence.sum(0)
    apart = _distance(values, totals, scale)
    expected = (np.outer(totals, totals) * apart).sum() / (totals.sum() - 1)
    return float(1 - (coincidence * apart).sum() / expected)


def _distance(values: np.ndarray, totals: np.ndarray, scale: Scale) -> np.ndarray:
    """Squared difference of two values on the scale."""
    if scale == "nominal":
        return 1.0 - np.eye(len(values))
    if scale == "interval":
        return (values[:, None] - values) ** 2
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle) ** 2
