"""Difficulty profile of a solver: its accuracy as a function of item difficulty.

Quantile bins with Wilson intervals; a logistic fit logit P = alpha - beta d with bootstrap intervals over items (d50 = alpha/beta, the difficulty at which
it is right half of the time); an isotonic (non-increasing) curve; and the area under that curve over difficulty quantiles, in [0, 1].
Source: Ding et al. 2024 (arXiv 2409.18433).
"""

# J items, D draws

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import Interval, wilson
from genscope.measures.difficulty_scale import quantiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

DRAWS = 1_000
RIDGE = 1e-3
"""Precision of the weak prior on the standardised slope: keeps it finite where difficulty separates right from wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Items between two difficulties (both included) and the accuracy on them."""

    low: float
    high: float
    items: int
    accuracy: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """beta: fall of the log-odds per unit of difficulty (> 0: harder items are answered worse); d50: None where beta may be 0; curve: (difficulty,
    isotonic accuracy) of every item, easiest first; auc: area under it over difficulty quantiles; gap: accuracy of the easiest minus the hardest fifth.
    """

    items: int
    answers: int
    bins: tuple[Bin, ...]
    alpha: float
    beta: Interval
    d50: Interval | None
    curve: np.ndarray
    auc: float
    gap: float


def difficulty_profile(
    right: ArrayLike, difficulty: ArrayLike, seed: Seed, *, bins: int = 10, draws: int = DRAWS, clusters: Sequence[Hashable] | None = None
) -> Profile:
    """Profile of one solver (right: [J]) or of several together (right: [solvers, J], NaN where there is no answer), right in {0, 1}.

    clusters: items that belong together (twins, a template) are resampled together. DataError: fewer than 4 items, one difficulty only.
    """
    answers = np.atleast_2d(np.asarray(right, float))
    d = np.asarray(difficulty, float)
    if answers.shape[1] != len(d):
        raise DataError(f"{answers.shape[1]} answers for {len(d)} difficulties")
    if not np.isfinite(d).all():
        raise DataError(f"{int((~np.isfinite(d)).sum())} difficulties are no finite numbers; leave these items out")
    seen = ~np.isnan(answers)
    if not np.isin(answers[seen], (0.0, 1.0)).all():
        raise DataError("answers must be 0 or 1")
    k, n = np.where(seen, answers, 0.0).sum(0), seen.sum(0).astype(float)
    kept = n > 0
    k, n, d = k[kept], n[kept], d[kept]
    if len(d) < 4 or np.ptp(d) == 0:
        raise DataError(
            f"a difficulty profile needs at least 4 answered items of different difficulty, got {len(d)} with {len(np.unique(d))} difficulties"
        )
    if bins < 2:
        raise UsageError(f"a profile needs at least 2 bins, got {bins}")
    labels = None if clusters is None else [name for name, keep in zip(clusters, kept, strict=True) if keep]
    alpha, beta, d50 = _logistic(k, n, d, seed, draws, labels)
    curve = isotonic(k, n, d)
    return Profile(
        items=len(d), answers=int(n.sum()), bins=_bins(k, n, d, bins), alpha=alpha, beta=beta, d50=d50, curve=curve,
        auc=area(curve), gap=accuracy_gap(k, n, d),
    )  # fmt: skip


def accuracy_gap(k: np.ndarray, n: np.ndarray, d: np.ndarray) -> float:
    """Accuracy on the easiest fifth of the items minus that on the hardest."""
    order = np.argsort(d, kind="stable")
    fifth = max(1, len(d) // 5)
    easy, hard = order[:fifth], order[-fifth:]
    return float(k[easy].sum() / n[easy].sum() - k[hard].sum() / n[hard].sum())


def _bins(k: np.ndarray, n: np.ndarray, d: np.ndarray, count: int) -> tuple[Bin, ...]:
    """Bins of equal quantile width; items of one difficulty stand in one bin, so that there may be fewer."""
    place = np.minimum((quantiles(d) * count).astype(int), count - 1)
    return tuple(
        Bin(low=float(d[place == b].min()), high=float(d[place == b].max()), items=int((place == b).sum()), accuracy=wilson(int(k[place == b].sum()), int(n[place == b].sum())))
        for b in range(count) if (place == b).any()
    )  # fmt: skip


def isotonic(k: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Non-increasing accuracy over difficulty (pool adjacent violators, weighted by answers): rows (difficulty, accuracy), easiest first."""
    from scipy.optimize import isotonic_regression

    _, where = np.unique(d, return_inverse=True)
    right, seen = np.bincount(where, k), np.bincount(where, n)
    fitted = isotonic_regression(right / seen, weights=seen, increasing=False).x
    order = np.argsort(d, kind="stable")
    return np.stack([d[order], fitted[where[order]]], 1)


def area(curve: np.ndarray) -> float:
    """Area under the isotonic curve over difficulty quantiles, from 0 to 1, flat beyond the outermost items."""
    q = np.concatenate([[0.0], quantiles(curve[:, 0]), [1.0]])
    y = np.concatenate([curve[:1, 1], curve[:, 1], curve[-1:, 1]])
    return float(np.trapezoid(y, q))


def _logistic(
    k: np.ndarray, n: np.ndarray, d: np.ndarray, seed: Seed, draws: int, clusters: Sequence[Hashable] | None
) -> tuple[float, Interval, Interval | None]:
    centre, scale = float(d.mean()), float(d.std())
    x = (d - centre) / scale
    if k.sum() in (0, n.sum()):
        # nothing to fit: every answer is alike
        return (np.inf if k.sum() else -np.inf), Interval(0.0, None, None, len(x), "all answers alike", 0.95), None
    intercept, slope = (one[0] for one in _fit(k, n, x, np.ones((1, len(x)))))
    beta, alpha = -slope / scale, float(intercept - slope * centre / scale)
    units = np.arange(len(x)) if clusters is None else np.unique(np.array([str(name) for name in clusters]), return_inverse=True)[1]
    count = int(units.max()) + 1
    if count < 2:
        return alpha, Interval(float(beta), None, None, count, "one unit", 0.95), None
    rng, parts = seed.rng(), []
    step = max(1, int(4e6 / len(x)))
    for start in range(0, draws, step):
        weights = rng.multinomial(count, np.full(count, 1 / count), min(step, draws - start)).astype(float)
        parts.append(np.stack(_fit(k, n, x, weights[:, units])))
    drawn = np.concatenate(parts, 1)
    betas, alphas = -drawn[1] / scale, drawn[0] - drawn[1] * centre / scale
    low, high = (float(one) for one in np.quantile(betas, [0.025, 0.975]))
    found = Interval(
        float(beta), low, high, count, "percentile bootstrap over items" if clusters is None else "percentile bootstrap over clusters", 0.95
    )
    if low <= 0:
        return alpha, found, None
    ends = np.quantile(alphas / betas, [0.025, 0.975])
    return alpha, found, Interval(alpha / float(beta), float(ends[0]), float(ends[1]), count, found.method, 0.95)


def _fit(k: np.ndarray, n: np.ndarray, x: np.ndarray, weights_DJ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(intercepts, slopes) [D] of weighted logistic regressions of k of n on x, by Newton steps on all draws at once."""
    share = (weights_DJ @ k + 0.5) / (weights_DJ @ n + 1.0)
    u, s = np.log(share / (1 - share)), np.zeros(len(weights_DJ))
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(u[:, None] + s[:, None] * x, -35, 35)))
        residual = weights_DJ * (k - n * p)
        spread = weights_DJ * n * p * (1 - p)
        g_u, g_s = residual.sum(1) - 1e-9 * u, residual @ x - RIDGE * s
        h_uu, h_us, h_ss = spread.sum(1) + 1e-9, spread @ x, spread @ x**2 + RIDGE
        determinant = np.maximum(h_uu * h_ss - h_us**2, 1e-12)
        step_u, step_s = (h_ss * g_u - h_us * g_s) / determinant, (h_uu * g_s - h_us * g_u) / determinant
        shrink = np.minimum(1.0, 3.0 / np.maximum(np.maximum(np.abs(step_u), np.abs(step_s)), 1e-12))
        u, s = u + shrink * step_u, s + shrink * step_s
        if max(np.abs(step_u).max(), np.abs(step_s).max()) < 1e-8:
            break
    return u, s
