"""Exact inductive bias on the circle, where hypotheses are random trigonometric polynomials and the condition on the data is linear.

f(t) = sum_j a_j b_j(t) / sqrt(2K+1), with 2K+1 orthonormal functions b (1, sqrt2 cos kt, sqrt2 sin kt), a ~ N(0, I): f has unit variance. Given agreement
with the truth a* at n angles, the rest of a lives in the null space N of the n x (2K+1) design matrix, r = 2K+1-n dimensions. The test error is the mean
square over the circle, |z - N'a*|^2 / (2K+1) with z ~ N(0, I_r), so that

    I = -log2 Pr( chi2_r(noncentrality |N'a*|^2) <= eps^2 (2K+1) )

Source: the set-up of Boopathy et al. 2023; the idea of an exact value from their follow-up (arXiv 2406.15941).
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.optimize import brentq
from scipy.stats import ncx2

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.inductive_bias import inductive_bias_complexity

UNDERFLOW = -500.0
"""Natural log of the probability below which the saddlepoint takes over."""


def exact_on_circle(degree: int, n: int, eps: float, seed: Seed) -> float:
    """Bits for one drawn truth and one draw of n angles; 0 when n >= 2 degree + 1 (the data fix the hypothesis)."""
    if degree < 1 or n < 1 or not eps > 0:
        raise UsageError(f"the circle needs degree >= 1, n >= 1 and eps > 0; got {degree}, {n}, {eps}")
    functions, rng = 2 * degree + 1, seed.rng()
    truth, angles = rng.standard_normal(functions), rng.uniform(0, 2 * math.pi, n)
    if n >= functions:
        return 0.0
    k = np.arange(1, degree + 1)
    design = np.concatenate(
        [np.ones((n, 1)), math.sqrt(2) * np.cos(angles[:, None] * k), math.sqrt(2) * np.sin(angles[:, None] * k)], axis=1
    )
    _, _, rows = np.linalg.svd(design)
    outside = rows[n:] @ truth
    return -log_noncentral_chi2(eps**2 * functions, functions - n, float(outside @ outside)) / math.log(2)


def bound_on_circle(degree: int, n: int, eps: float) -> float:
    """The closed form for the same task: m = 1, one output, cutoff = degree.

    >>> round(bound_on_circle(4, 2, 0.1), 1)
    90.9
    """
    return inductive_bias_complexity(n, 1, 2, eps, cutoff=degree, output_dim=1, copies=1).bits


def log_noncentral_chi2(x: float, df: float, noncentrality: float) -> float:
    """Natural log of Pr(chi2_df(noncentrality) <= x), x > 0, in the left tail too, where the usual series underflows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = float(ncx2.logcdf(x, df, noncentrality)) if noncentrality > 0 else _central(x, df)
    return found if math.isfinite(found) and found > UNDERFLOW else saddlepoint(x, df, noncentrality)


def _central(x: float, df: float) -> float:
    from scipy.stats import chi2

    return float(chi2.logcdf(x, df))


def saddlepoint(x: float, df: float, noncentrality: float) -> float:
    """Lugannani and Rice's approximation of the same logarithm, for x far below the mean df + noncentrality (relative error of the probability a few per cent).

    Cumulants: K(s) = noncentrality s / (1 - 2s) - df/2 log(1 - 2s); the saddlepoint solves K'(s) = x.
    """

    def slope(v: float) -> float:  # v = 1 - 2s > 1 on the left
        return noncentrality / v**2 + df / v - x

    v = float(brentq(slope, 1.0, (df + noncentrality + 1) / x + 1))  # pyright: ignore[reportArgumentType]
    s = (1 - v) / 2
    k = noncentrality * s / v - 0.5 * df * math.log(v)
    curvature = 4 * noncentrality / v**3 + 2 * df / v**2
    w, u = -math.sqrt(2 * (s * x - k)), s * math.sqrt(curvature)
    # Phi(w) + phi(w)(1/w - 1/u) in logs: both w and u are negative, and phi(w)/|w| bounds Phi(w)
    log_phi = -0.5 * w * w - 0.5 * math.log(2 * math.pi)
    mills = float(_mills(-w))
    inner = mills + 1 / w - 1 / u
    return log_phi + math.log(inner)


def _mills(t: float) -> float:
    """(1 - Phi(t)) / phi(t)."""
    from scipy.special import erfcx

    return math.sqrt(math.pi / 2) * float(erfcx(t / math.sqrt(2)))


def fitted_information(errors: np.ndarray, eps: float) -> float:
    """Bits from the test errors of many networks that all fit the data: -log2 of a scaled noncentral chi-square, fitted by maximum likelihood, at eps.

    errors: mean squared test errors, >= 20 of them, all above 0. Source: arXiv 2406.15941.
    """
    x = np.asarray(errors, float)
    if x.ndim != 1 or len(x) < 20 or not (np.isfinite(x).all() and (x > 0).all()):
        raise UsageError(f"the fit needs at least 20 finite test errors above 0, got shape {x.shape}")
    if not eps > 0:
        raise UsageError(f"eps must be above 0, got {eps}")
    df, noncentrality, scale = _fit(x)
    return -log_noncentral_chi2(eps / scale, df, noncentrality) / math.log(2)


def _fit(x: np.ndarray) -> tuple[float, float, float]:
    """(degrees of freedom, noncentrality, scale) of largest likelihood, from the moments of a scaled central chi-square."""
    from scipy.optimize import minimize

    mean, variance = float(x.mean()), float(x.var())
    start = np.log([2 * mean**2 / variance, 0.1, variance / (2 * mean)])

    def loss(p: np.ndarray) -> float:
        df, noncentrality, scale = np.exp(np.clip(p, -20, 20))
        with np.errstate(all="ignore"):
            value = -float(np.sum(ncx2.logpdf(x / scale, df, noncentrality) - math.log(scale)))
        return value if math.isfinite(value) else 1e12

    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 2_000, "xatol": 1e-5, "fatol": 1e-7})
    df, noncentrality, scale = (float(one) for one in np.exp(found.x))
    return df, noncentrality, scale
