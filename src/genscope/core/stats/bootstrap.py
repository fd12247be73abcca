"""Studentised bootstrap of a mean (bootstrap-t), over items or whole clusters, within strata; and of a median.

Each draw resamples the units of every stratum with replacement and forms t* = (mean* - mean) / se*; the interval is
(mean - q(1-a/2) se, mean - q(a/2) se). The mean is the mean of the strata's means, each stratum counting alike. Units are items, or clusters where these
are given (a cluster's weight is its size: the mean stays the mean over items). Source: Efron and Tibshirani 1993, chapter 12; Davison and Hinkley 1997.
For many units: over fewer than 20 seeds use `paired_t`.
"""

# n items, u units (items or clusters), B draws

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError
from genscope.core.stats.checks import probability, sample
from genscope.core.stats.interval import Interval

DRAWS = 2_000


def bootstrap_t(
    values: Sequence[float] | np.ndarray, rng: np.random.Generator, *, clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None, draws: int = DRAWS, level: float = 0.95,
) -> Interval:  # fmt: skip
    """Interval of the mean (of stratum means). Without spread inside the strata there are no ends.

    A stratum with one unit adds no spread of its own. n counts units: clusters where given, else items.
    """
    x = sample(values, 1, "a bootstrap interval")
    parts = [_units(x[rows], clusters, rows) for rows in _strata(len(x), strata)]
    signs = [1.0 / len(parts)] * len(parts)
    return _interval(parts, signs, rng, draws, level, "studentised bootstrap")


def bootstrap_t_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, rng: np.random.Generator, *,
    clusters: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None, strata: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    draws: int = DRAWS, level: float = 0.95,
) -> Interval:  # fmt: skip
    """mean(a) - mean(b) of independent groups, each a mean of its own stratum means."""
    parts, weights = [], []
    for side, values in enumerate((a, b)):
        x = sample(values, 1, "a bootstrap interval")
        groups = _strata(len(x), None if strata is None else strata[side])
        parts += [_units(x[rows], None if clusters is None else clusters[side], rows) for rows in groups]
        weights += [(1.0 - 2.0 * side) / len(groups)] * len(groups)
    return _interval(parts, weights, rng, draws, level, "studentised bootstrap, unpaired")


def median_interval(
    values: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    *,
    clusters: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of the median over items or clusters. All alike: no ends. Meant for 20 units or more."""
    x = sample(values, 1, "a median interval")
    groups = [np.array([place]) for place in range(len(x))] if clusters is None else _strata(len(x), clusters)
    median = float(np.median(x))
    if len(groups) < 2 or np.ptp(x) == 0:
        return Interval(median, None, None, len(groups), "one unit" if len(groups) < 2 else f"all {len(x)} values equal", level)
    found = [float(np.median(x[np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])])) for _ in range(draws)]
    tail = (1 - probability(level)) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(median, float(low), float(high), len(groups), "percentile bootstrap of the median", level)


Units = tuple[Float[np.ndarray, " u"], Float[np.ndarray, " u"]]
"""Sums and sizes of a stratum's units."""


def _strata(n: int, labels: Sequence[Hashable] | None) -> list[np.ndarray]:
    if labels is None:
        return [np.arange(n)]
    if len(labels) != n:
        raise UsageError(f"labels and values must be as many: {len(labels)} and {n}")
    places: dict[Hashable, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    return [np.array(rows) for rows in places.values()]


def _units(x: np.ndarray, clusters: Sequence[Hashable] | None, rows: np.ndarray) -> Units:
    if clusters is None:
        return x, np.ones(len(x))
    groups = _strata(len(x), [clusters[row] for row in rows])
    return np.array([x[g].sum() for g in groups]), np.array([float(len(g)) for g in groups])


def _mean_and_variance(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio estimate sum/size along the last axis, and its variance by linearisation (n/(n-1) corrected)."""
    units = sums.shape[-1]
    total = sizes.sum(-1)
    mean = sums.sum(-1) / total
    residual = sums - mean[..., None] * sizes
    factor = units / (units - 1) if units > 1 else 0.0
    return mean, factor * (residual**2).sum(-1) / total**2


def _interval(
    parts: Sequence[Units], weights: Sequence[float], rng: np.random.Generator, draws: int, level: float, method: str
) -> Interval:
    n = sum(len(sums) for sums, _ in parts)
    value, variance = 0.0, 0.0
    means, variances = np.zeros(draws), np.zeros(draws)
    for (sums, sizes), weight in zip(parts, weights, strict=True):
        mean, spread = _mean_and_variance(sums, sizes)
        value, variance = value + weight * float(mean), variance + weight**2 * float(spread)
        chosen = rng.integers(0, len(sums), (draws, len(sums)))
        drawn_mean, drawn_spread = _mean_and_variance(sums[chosen], sizes[chosen])
        means, variances = means + weight * drawn_mean, variances + weight**2 * drawn_spread
    if variance <= 0:
        return Interval(value, None, None, n, f"all {n} units alike" if n > 1 else "one unit", level)
    error = np.sqrt(variance)
    # a draw without spread says nothing about t*; it counts as an infinitely far one on its side, which can only widen the interval
    t = np.divide(
        means - value, np.sqrt(variances), out=np.where(means > value, np.inf, np.where(means < value, -np.inf, 0.0)), where=variances > 0
    )
    tail = (1 - probability(level)) / 2
    low_t, high_t = np.quantile(t, [tail, 1 - tail], method="inverted_cdf")
    widest = _widest(n, tail)
    return Interval(value, value - min(float(high_t), widest) * error, value - max(float(low_t), -widest) * error, n, method, level)


def _widest(n: int, tail: float) -> float:
    """Bound on |t*| where few distinct values make draws degenerate: the t quantile at n - 1, four times over."""
    from scipy.special import stdtrit

    return 4.0 * float(stdtrit(max(1, n - 1), 1 - tail))
