"""Effective model size: the size at which models trained without the treatment reach the same value of a metric.

    N_eff: baseline(N_eff) = y        multiplier = N_eff / N  (below 1: harm)

Between baseline sizes ln(metric) is taken as linear in ln N; beyond them the last segment is prolonged and the result marked. Or by a power law
L = (N_c / N)^a + L_inf. Hernandez et al. 2022 (arXiv 2205.10487), section 2.
"""

# K sizes

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from genscope.core.errors import UsageError, unknown

LEAST_SIZES = 4
Method = Literal["interpolate", "power", "power with floor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSize:
    """size: N_eff; slope: d ln(metric) / d ln N of the baseline there (near 0: the number means little); extrapolated: outside the measured range;
    monotone: whether the baseline fell with every size (else it was made to by an isotonic fit, for "interpolate").
    """

    size: float
    slope: float
    extrapolated: bool
    monotone: bool

    def multiplier(self, parameters: float) -> float:
        """N_eff / N."""
        return self.size / parameters


def effective_size(sizes: ArrayLike, values: ArrayLike, value: float, method: Method = "interpolate") -> EffectiveSize:
    """N_eff of a run whose metric (a loss: the lower the better) is `value`, on the baseline of `values` at `sizes`.

    >>> found = effective_size([1e3, 1e4, 1e5, 1e6], [4.0, 2.0, 1.0, 0.5], 2.0 ** 0.5)
    >>> round(found.size), found.extrapolated, round(found.multiplier(1e5), 6)
    (31623, False, 0.316228)
    """
    n, y = np.asarray(sizes, float), np.asarray(values, float)
    if len(n) < LEAST_SIZES or len(n) != len(y):
        raise UsageError(
            f"a baseline has at least {LEAST_SIZES} sizes and a value for each; got {len(n)} and {len(y)}. Train baselines of more sizes"
        )
    order = np.argsort(n)
    n, y = n[order], y[order]
    if (np.diff(n) <= 0).any() or n[0] <= 0 or not (y > 0).all() or not np.isfinite(y).all() or not value > 0:
        raise UsageError(f"sizes are positive and different, and values positive; got {n.tolist()}, {y.tolist()} and {value}")
    monotone = bool((np.diff(y) < 0).all())
    if method == "interpolate":
        return _interpolated(np.log(n), np.log(y), float(np.log(value)), monotone)
    if method not in ("power", "power with floor"):
        raise UsageError(unknown("method", method, ("interpolate", "power", "power with floor")))
    return _power(n, y, value, monotone, method == "power with floor")


def _interpolated(n: np.ndarray, y: np.ndarray, value: float, monotone: bool) -> EffectiveSize:
    """On logarithms."""
    if not monotone:
        n, y = _falling(n, y)
        if len(n) < 2:
            raise UsageError(
                "the baseline does not fall with size at all, so no size belongs to a value. Train larger or smaller baselines, or longer"
            )
    # segment whose ends enclose the value; outside, the nearest one
    segment = int(np.clip(np.searchsorted(-y, -value, side="left") - 1, 0, len(n) - 2))
    slope = (y[segment + 1] - y[segment]) / (n[segment + 1] - n[segment])
    size = float(np.exp(n[segment] + (value - y[segment]) / slope))
    return EffectiveSize(size=size, slope=float(slope), extrapolated=not y[-1] <= value <= y[0], monotone=monotone)


def _falling(n: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The falling curve nearest to the values: neighbours that do not fall become one point at their means (pool adjacent violators)."""
    pools: list[list[float]] = []
    for one, other in zip(n.tolist(), y.tolist(), strict=True):
        pools.append([one, other, 1.0])
        while len(pools) > 1 and pools[-1][1] >= pools[-2][1]:
            a, b = pools.pop(), pools.pop()
            weight = a[2] + b[2]
            pools.append([(a[0] * a[2] + b[0] * b[2]) / weight, (a[1] * a[2] + b[1] * b[2]) / weight, weight])
    return np.array([pool[0] for pool in pools]), np.array([pool[1] for pool in pools])


def _power(n: np.ndarray, y: np.ndarray, value: float, monotone: bool, with_floor: bool) -> EffectiveSize:
    from scipy.optimize import minimize_scalar

    def fitted(floor: float) -> tuple[float, float, float]:
        """(slope, intercept, squared error) of ln(L - floor) over ln N."""
        left = np.log(y - floor)
        slope, intercept = np.polyfit(np.log(n), left, 1)
        error = float(((np.exp(slope * np.log(n) + intercept) + floor - y) ** 2).sum())
        return float(slope), float(intercept), error

    floor = 0.0
    if with_floor:
        least = float(y.min())
        found: Any = minimize_scalar(
            lambda one: fitted(one)[2], bounds=(0.0, 0.999 * least), method="bounded", options={"xatol": 1e-9 * least}
        )
        floor = float(found.x)
    slope, intercept, _ = fitted(floor)
    if slope >= 0:
        raise UsageError("the baseline does not fall with size, so no power law belongs to it")
    if value <= floor:
        raise UsageError(f"the value {value:.4g} is not above the fitted floor {floor:.4g}: no size reaches it")
    size = float(np.exp((np.log(value - floor) - intercept) / slope))
    return EffectiveSize(size=size, slope=slope * (value - floor) / value, extrapolated=not n[0] <= size <= n[-1], monotone=monotone)
