"""Intervals of a proportion: Wilson's score interval, and the exact one of Clopper and Pearson.

Wilson: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), mean coverage near nominal. Clopper-Pearson: quantiles of the beta distribution,
never below nominal; for outcomes that are all-or-nothing per seed. Sources: Wilson 1927; Clopper and Pearson 1934; Brown, Cai, DasGupta 2001.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv, ndtri

from genscope.core.errors import UsageError
from genscope.core.stats.checks import probability
from genscope.core.stats.interval import Interval


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval of k successes in n trials, n >= 1; never zero-width.

    >>> i = wilson(8, 10)
    >>> round(i.low, 4), round(i.high, 4)
    (0.4902, 0.9433)
    """
    _check(k, n)
    z = float(ndtri(0.5 + probability(level) / 2))
    p, scale = k / n, 1 + z * z / n
    centre, half = (p + z * z / (2 * n)) / scale, z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return Interval(p, 0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half, n, "Wilson", level)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact interval of k successes in n trials, n >= 1.

    >>> i = clopper_pearson(5, 5)
    >>> round(i.low, 4), i.high
    (0.4782, 1.0)
    """
    _check(k, n)
    tail = (1 - probability(level)) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Interval(k / n, low, high, n, "Clopper-Pearson", level)


def _check(k: int, n: int) -> None:
    if n < 1 or not 0 <= k <= n:
        raise UsageError(f"a proportion needs 0 <= k <= n and n >= 1, got k = {k}, n = {n}")
