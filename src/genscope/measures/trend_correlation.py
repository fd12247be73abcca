"""Correlation of two series along a run, guarded against the trap that any two trends correlate: partial rank correlation, and circular shifts as the null.

Partial Spearman: ranks of x and y, freed of what ranks of the controls explain linearly, then Pearson. Circular shifts keep each series' own trend and roughness.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from genscope.core.errors import UsageError

# T points


def pearson(x: Float[np.ndarray, " T"], y: Float[np.ndarray, " T"]) -> float:
    """Pearson's r; NaN where one side is constant. UsageError for fewer than 3 points.

    >>> round(pearson(np.array([1.0, 2, 3]), np.array([2.0, 4, 7])), 4)
    0.9934
    """
    a, b = (np.asarray(one, float) for one in (x, y))
    if len(a) != len(b) or len(a) < 3:
        raise UsageError(f"a correlation along a run needs at least 3 checkpoints, got {len(a)} and {len(b)}")
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def ranked(x: Float[np.ndarray, " T"], y: Float[np.ndarray, " T"]) -> float:
    """Spearman's rho (mean ranks for ties)."""
    return pearson(rankdata(x), rankdata(y))


def partial_spearman(
    x: Float[np.ndarray, " T"],
    y: Float[np.ndarray, " T"],
    controls: Sequence[Float[np.ndarray, " T"]],
    groups: Sequence[Hashable] | None = None,
) -> float:
    """Rank correlation of x and y at fixed controls. groups: points of each group are first centred on its mean, in every series. NaN where nothing is left of a side.

    >>> t = np.arange(6.0)
    >>> round(partial_spearman(t, -t, [np.array([0.0, 1, 0, 1, 0, 1])]), 3)
    -1.0
    """
    series = [np.asarray(one, float) for one in (x, y, *controls)]
    if groups is not None:
        names = np.array([str(name) for name in groups])
        series = [one - np.array([one[names == name].mean() for name in names]) for one in series]
    ranks = [rankdata(one.round(12)) for one in series]
    basis = np.stack([np.ones(len(ranks[0])), *ranks[2:]], axis=1)
    left = [one - basis @ np.linalg.lstsq(basis, one, rcond=None)[0] for one in ranks[:2]]
    if min(float(np.abs(one).max()) for one in left) < 1e-9 * len(ranks[0]):
        return float("nan")
    return pearson(left[0], left[1])


def circular_shift_p(x: Float[np.ndarray, " T"], y: Float[np.ndarray, " T"]) -> float:
    """Share of the T rotations of y (none included) whose |Pearson r| with x is at least that of y itself: a p value of at least 1 / T."""
    own = abs(pearson(x, y))
    if np.isnan(own):
        return 1.0
    return float(np.mean([abs(pearson(x, np.roll(y, shift))) >= own - 1e-12 for shift in range(len(y))]))


def slope(x: Float[np.ndarray, " T"], y: Float[np.ndarray, " T"]) -> float:
    """Least-squares slope of y on x; UsageError for fewer than 3 points."""
    a, b = np.asarray(x, float), np.asarray(y, float)
    if len(a) < 3 or len(a) != len(b):
        raise UsageError(f"a slope along a run needs at least 3 checkpoints, got {len(a)}")
    a = a - a.mean()
    return float(a @ b / (a @ a))
