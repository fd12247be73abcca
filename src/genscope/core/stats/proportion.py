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


def paired_difference(both: int, only_first: int, only_second: int, neither: int, level: float = 0.95) -> Interval:
    """Interval of (share right by the second) - (share right by the first) on the same items, from the four counts: Newcombe's method 10 for paired proportions.

    Wilson ends of the two shares, joined with their correlation phi. Source: Newcombe 1998, Statistics in Medicine 17:2635.

    >>> i = paired_difference(8, 6, 1, 1)
    >>> i.value, round(i.low, 4), round(i.high, 4)
    (-0.3125, -0.5602, 0.0005)
    """
    n = both + only_first + only_second + neither
    _check(both, n)
    first, second = wilson(both + only_first, n, level), wilson(both + only_second, n, level)
    product = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    excess = both * neither - only_first * only_second
    phi = 0.0 if product == 0 else (max(excess - n / 2, 0.0) if excess > 0 else excess) / math.sqrt(product)
    ends = [(one.value - (one.low or 0.0), (1.0 if one.high is None else one.high) - one.value) for one in (first, second)]
    (down1, up1), (down2, up2) = ends
    value = second.value - first.value
    below = math.sqrt(max(0.0, down2**2 - 2 * phi * down2 * up1 + up1**2))
    above = math.sqrt(max(0.0, up2**2 - 2 * phi * up2 * down1 + down1**2))
    return Interval(value, value - below, value + above, n, "Newcombe, paired", level)


def _check(k: int, n: int) -> None:
    if n < 1 or not 0 <= k <= n:
        raise UsageError(f"a proportion needs 0 <= k <= n and n >= 1, got k = {k}, n = {n}")
