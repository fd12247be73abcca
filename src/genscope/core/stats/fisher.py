"""Fisher's exact test of two proportions, and the exact interval of their odds ratio that goes with it.

Given both margins of the 2 x 2 table, the count k1 follows the noncentral hypergeometric distribution with weights C(n1, k) C(n2, t-k) exp(k theta), theta the
log odds ratio. The interval holds every theta that neither tail rejects at (1 - level) / 2; so it excludes 0 exactly when twice the smaller tail is below
1 - level. Sources: Fisher 1935; Cornfield 1956.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln

from genscope.core.errors import UsageError
from genscope.core.stats.checks import probability
from genscope.core.stats.interval import Interval

FARTHEST = 30.0
"""An infinite end (a table with an empty cell) is given as this many nats."""


def fisher(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> tuple[Interval, float]:
    """(log odds ratio of the first proportion against the second with its exact interval, two-sided p) of k1 of n1 and k2 of n2.

    The value is the conditional maximum likelihood estimate, in nats; p sums the tables that are no likelier than this one. Without any success, or without any
    failure, nothing is known: no ends, p = 1.

    >>> i, p = fisher(8, 9, 2, 7)
    >>> round(p, 6), round(i.value, 3)
    (0.034965, 2.739)
    """
    if min(n1, n2) < 1 or not (0 <= k1 <= n1 and 0 <= k2 <= n2):
        raise UsageError(f"fisher needs 0 <= k <= n and n >= 1 on both sides, got {k1} of {n1} and {k2} of {n2}")
    total = k1 + k2
    lowest, highest = max(0, total - n2), min(n1, total)
    if lowest == highest:
        return Interval(0.0, None, None, n1 + n2, "all outcomes alike", level), 1.0
    k = np.arange(lowest, highest + 1)
    weights = _log_choose(n1, k) + _log_choose(n2, total - k)

    def chances(theta: float) -> np.ndarray:
        logs = weights + k * theta
        raw = np.exp(logs - logs.max())
        return raw / raw.sum()

    null, tail = chances(0.0), (1 - probability(level)) / 2
    p = min(1.0, float(null[null <= null[k1 - lowest] * (1 + 1e-7)].sum()))
    low = -FARTHEST if k1 == lowest else _root(lambda theta: float(chances(theta)[k >= k1].sum()) - tail)
    high = FARTHEST if k1 == highest else _root(lambda theta: float(chances(theta)[k <= k1].sum()) - tail)
    value = -FARTHEST if k1 == lowest else FARTHEST if k1 == highest else _root(lambda theta: float(chances(theta) @ k) - k1)
    return Interval(value, low, high, n1 + n2, "Fisher's exact test; exact interval of the log odds ratio", level), p


def _root(function: object) -> float:
    return float(brentq(function, -FARTHEST, FARTHEST, xtol=1e-9))  # pyright: ignore[reportArgumentType, reportCallIssue]


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def log_odds_ratio(p1: float, p2: float) -> float:
    """Log odds ratio of two probabilities, each inside (0, 1), in nats."""
    return math.log(p1 / (1 - p1)) - math.log(p2 / (1 - p2))
