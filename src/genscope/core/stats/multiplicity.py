"""Holm's correction, and the smallest effect that a design could have detected."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtrit

from genscope.core.errors import UsageError


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979), in the order given: reject where the adjusted value is at most alpha.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    bad = [p for p in p_values if not 0 <= p <= 1]
    if bad:
        raise UsageError(f"p values lie in [0, 1], got {bad}")
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for step, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def smallest_detectable(standard_error: float, df: float | None = None, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true effect that a two-sided test at `alpha` finds with probability `power`: (t or z quantiles of 1 - alpha/2 and power) times the error.

    In the unit of the standard error; inf without degrees of freedom.

    >>> round(smallest_detectable(1.0), 4)
    2.8016
    """
    if df is not None and df < 1:
        return math.inf
    quantile = (lambda q: float(ndtri(q))) if df is None else (lambda q: float(stdtrit(df, q)))
    return (quantile(1 - alpha / 2) + quantile(power)) * standard_error


def smallest_detectable_paired(sd: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest detectable mean difference of n pairs whose differences have standard deviation `sd`; inf below two pairs."""
    return math.inf if n < 2 else smallest_detectable(sd / math.sqrt(n), n - 1, alpha, power)
