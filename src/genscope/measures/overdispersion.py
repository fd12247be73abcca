"""Over-dispersion: do the rates of groups differ by more than binomial chance? Likelihood ratio of the beta-binomial to the binomial.

k_g ~ BetaBinomial(n_g, mu / rho - mu, ...): mean mu and intra-group correlation rho; rho = 0 is the binomial and lies on the edge of the parameter
space, so p is half of the chi-square tail with one degree of freedom. Sources: Williams 1975; Self and Liang 1987.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy.optimize import minimize
from scipy.special import betaln, chdtrc, expit, logit

from genscope.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdispersion:
    """mean rate and correlation rho of the best beta-binomial, twice the gain in log-likelihood (nats), and p (half chi-square, 1 df)."""

    mean: float
    rho: float
    statistic: float
    p: float
    groups: int


def overdispersion(n: Int[np.ndarray, " g"], k: Int[np.ndarray, " g"]) -> Overdispersion:
    """Test on groups with n rows, k of them positive. No or only positives, or one group: statistic 0, p 1."""
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    if n.shape != k.shape or n.ndim != 1 or not len(n) or (n < 1).any() or (k < 0).any() or (k > n).any():
        raise UsageError("over-dispersion needs groups with n >= 1 rows and 0 <= k <= n")
    mean = float(k.sum() / n.sum())
    if mean in (0.0, 1.0) or len(n) < 2:
        return Overdispersion(mean=mean, rho=0.0, statistic=0.0, p=1.0, groups=len(n))
    binomial = float((k * np.log(mean) + (n - k) * np.log1p(-mean)).sum())

    def loss(x: np.ndarray) -> float:
        mu, rho = float(expit(x[0])), float(expit(x[1]))
        a, b = mu * (1 - rho) / rho, (1 - mu) * (1 - rho) / rho
        return -float((betaln(k + a, n - k + b) - betaln(a, b)).sum())

    starts = [np.array([logit(mean), logit(rho)]) for rho in (0.01, 0.1)]
    bounds = [(-15.0, 15.0), (-12.0, 8.0)]
    best = min((minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts), key=lambda one: one.fun)
    statistic = max(0.0, 2 * (-float(best.fun) - binomial))
    p = 1.0 if statistic == 0 else 0.5 * float(chdtrc(1, statistic))
    return Overdispersion(mean=float(expit(best.x[0])), rho=float(expit(best.x[1])), statistic=statistic, p=p, groups=len(n))


def homogeneity(n: Int[np.ndarray, " g"], k: Int[np.ndarray, " g"]) -> tuple[float, float]:
    """(chi-square, p) that all groups have one rate, g - 1 degrees of freedom.

    >>> homogeneity(np.array([10, 10]), np.array([8, 2]))[0]  # expected 5 in each of four cells: 4 x 9 / 5
    7.2
    """
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    mean = k.sum() / n.sum()
    if len(n) < 2 or mean in (0.0, 1.0):
        return 0.0, 1.0
    statistic = float(((k - n * mean) ** 2 / (n * mean * (1 - mean))).sum())
    return round(statistic, 12), float(chdtrc(len(n) - 1, statistic))
