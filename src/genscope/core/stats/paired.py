"""Student's t intervals: of paired differences, and of two independent groups (Welch). The choice for fewer than 20 seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr, stdtrit

from genscope.core.stats.checks import probability, sample
from genscope.core.stats.interval import Interval


def paired_t(differences: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """mean -+ t sd / sqrt(n) over n >= 1 paired differences.

    One difference, or all alike: no ends (a zero-width interval would be a false certainty).

    >>> i = paired_t([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> round(i.low, 4), round(i.high, 4)
    (1.0368, 4.9632)
    """
    x = sample(differences, 1, "a paired t interval")
    n, mean = len(x), float(np.mean(x))
    if n == 1 or np.ptp(x) == 0:
        return Interval(mean, None, None, n, "one pair" if n == 1 else f"all {n} differences equal", level)
    half = float(stdtrit(n - 1, 0.5 + probability(level) / 2)) * float(np.std(x, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, "paired t", level)


def t_beyond(differences: Sequence[float] | np.ndarray, margin: float, above: bool = True) -> float | None:
    """One-sided p of the t test that the mean is above (below) `margin`; None for fewer than two differences or all alike.

    >>> round(t_beyond([1.0, 2.0, 3.0, 4.0, 5.0], 1.0), 4)
    0.0237
    >>> round(t_beyond([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, above=False), 4)
    0.5
    """
    x = sample(differences, 1, "a t test")
    if len(x) < 2 or np.ptp(x) == 0:
        return None
    t = (float(np.mean(x)) - margin) / (float(np.std(x, ddof=1)) / math.sqrt(len(x)))
    return float(stdtr(len(x) - 1, -t if above else t))


def welch_t(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """mean(a) - mean(b) with Welch's degrees of freedom; each group needs one value, and without spread in both there are no ends.

    >>> i = welch_t([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    >>> round(i.low, 4), round(i.high, 4)
    (-0.267, 4.267)
    """
    x, y = sample(a, 1, "a Welch interval"), sample(b, 1, "a Welch interval")
    difference, n = float(x.mean() - y.mean()), len(x) + len(y)
    if min(len(x), len(y)) < 2 or np.ptp(x) + np.ptp(y) == 0:
        return Interval(difference, None, None, n, "no spread to estimate from", level)
    u, v = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    freedom = (u + v) ** 2 / (u * u / (len(x) - 1) + v * v / (len(y) - 1))
    half = float(stdtrit(freedom, 0.5 + probability(level) / 2)) * math.sqrt(u + v)
    return Interval(difference, difference - half, difference + half, n, "Welch t", level)
