"""MOVER: the interval of a weighted sum of independent estimates, recovered from their own intervals.

For sum w_i p_i with intervals (l_i, u_i):  low = sum w_i p_i - sqrt(sum d_i^2) with d_i = w_i (p_i - l_i) where w_i > 0 and
w_i (p_i - u_i) where w_i < 0, and the mirror image for the upper end. With Wilson intervals it stays valid near 0 and 1; for one difference of
two proportions it is Newcombe's hybrid score interval. Source: Zou and Donner 2008, Statistics in Medicine 27:1693; Newcombe 1998, method 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from genscope.core.errors import UsageError
from genscope.core.stats.interval import Interval


def mover(terms: Sequence[tuple[float, Interval]]) -> Interval:
    """Interval of sum(weight * estimate) over independent estimates that each have an interval; n is their total.

    Newcombe's example, 56/70 - 48/80:
    >>> from genscope.core.stats.proportion import wilson
    >>> d = mover([(1, wilson(56, 70)), (-1, wilson(48, 80))])
    >>> round(d.value, 4), round(d.low, 4), round(d.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    if not terms:
        raise UsageError("a weighted sum needs at least one estimate")
    value = below = above = 0.0
    for weight, estimate in terms:
        if estimate.low is None or estimate.high is None:
            raise UsageError(f"an estimate without an interval cannot be joined: {estimate}")
        value += weight * estimate.value
        down, up = estimate.value - estimate.low, estimate.high - estimate.value
        if weight < 0:
            down, up = up, down
        below += (weight * down) ** 2
        above += (weight * up) ** 2
    n = sum(estimate.n for _, estimate in terms)
    return Interval(value, value - math.sqrt(below), value + math.sqrt(above), n, "MOVER", terms[0][1].level)
