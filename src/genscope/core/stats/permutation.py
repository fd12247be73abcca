"""Permutation tests: sign flips of paired differences, Spearman's correlation with labels shuffled over clusters, and McNemar's exact test."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import product
from typing import Literal

import numpy as np
from scipy.special import bdtr

from genscope.core.errors import UsageError
from genscope.core.stats.checks import sample

Alternative = Literal["less", "greater", "two-sided"]
DRAWS = 5_000


def paired_permutation(
    differences: Sequence[float] | np.ndarray, rng: np.random.Generator, alternative: Alternative = "two-sided", draws: int = DRAWS
) -> float:
    """p of the mean difference under sign flips; exact up to 12 differences, else Monte Carlo with the +1 correction.

    >>> paired_permutation([1.0, 2.0, 3.0, 4.0, 5.0], np.random.default_rng(0), "greater")
    0.03125
    """
    x = sample(differences, 1, "a permutation test")
    if len(x) <= 12:
        signs = np.array(list(product((1.0, -1.0), repeat=len(x))))
        return float(np.mean(_as_extreme(signs @ x, float(x.sum()), alternative)))
    signs = rng.choice((1.0, -1.0), (draws, len(x)))
    return float((1 + _as_extreme(signs @ x, float(x.sum()), alternative).sum()) / (draws + 1))


def spearman(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation with average ranks, in [-1, 1]; nan when one side is constant.

    >>> spearman([1, 2, 3, 4], [10, 9, 8, 7])
    -1.0
    """
    a, b = _ranks(sample(x, 2, "a rank correlation")), _ranks(sample(y, 2, "a rank correlation"))
    if len(a) != len(b):
        raise UsageError(f"a rank correlation needs pairs, got {len(a)} and {len(b)} values")
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return round(float(a @ b) / scale, 15) if scale > 0 else float("nan")


def spearman_permutation(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, rng: np.random.Generator, *, clusters: Sequence[Hashable] | None = None,
    alternative: Alternative = "less", draws: int = DRAWS,
) -> tuple[float, float]:  # fmt: skip
    """(rho, p): x is a label of the cluster (constant within it), and the permutation shuffles labels over clusters.

    Without clusters each row is its own. +1 correction. A label that changes inside a cluster is refused.
    """
    a, b = sample(x, 2, "a rank correlation"), _ranks(sample(y, 2, "a rank correlation"))
    rho = spearman(a, b)
    names = list(range(len(a))) if clusters is None else list(dict.fromkeys(clusters))
    where = {name: place for place, name in enumerate(names)}
    member = np.array([where[name] for name in (clusters if clusters is not None else range(len(a)))])
    labels = np.array([a[member == place][0] for place in range(len(names))])
    if (labels[member] != a).any():
        raise UsageError("the label must be constant inside each cluster; give clusters that nest in it")
    if np.isnan(rho):
        return rho, 1.0
    drawn = _permuted_correlations(labels, member, b, rng, draws)
    return rho, float((1 + _as_extreme(drawn, rho, alternative).sum()) / (draws + 1))


def _permuted_correlations(labels: np.ndarray, member: np.ndarray, b: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Rank correlations under shuffled labels, from sums over clusters: rows of one label share its average rank."""
    size = np.bincount(member).astype(float)
    total = np.bincount(member, weights=b - b.mean())
    spread = float(((b - b.mean()) ** 2).sum())
    _, code = np.unique(labels, return_inverse=True)
    shuffled = rng.permuted(np.broadcast_to(code, (draws, len(code))), axis=1)  # [draws, clusters]
    rows = np.stack([(size * (shuffled == which)).sum(1) for which in range(code.max() + 1)], 1)  # rows under each label
    ranks = np.cumsum(rows, 1) - (rows - 1) / 2.0
    of_cluster = np.take_along_axis(ranks, shuffled, 1) - (len(b) + 1) / 2.0
    deviation = np.sqrt((of_cluster**2 * size).sum(1) * spread)
    return (of_cluster * total).sum(1) / deviation


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p that either of two models is likelier to be the only one right; 1 when neither ever is.

    >>> round(mcnemar(1, 9), 6)
    0.021484
    """
    n, k = only_a + only_b, min(only_a, only_b)
    return 1.0 if n == 0 else min(1.0, 2.0 * float(bdtr(k, n, 0.5)))


def _as_extreme(drawn: np.ndarray, observed: float, alternative: Alternative) -> np.ndarray:
    slack = 1e-12 * max(1.0, abs(observed))
    if alternative == "greater":
        return drawn >= observed - slack
    if alternative == "less":
        return drawn <= observed + slack
    return np.abs(drawn) >= abs(observed) - slack


def _ranks(x: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
