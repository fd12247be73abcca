"""Generalization rate: share of rows that generalize, by group, beside the number of co-occurrences that it is a share of.

rate = k / n with Wilson's interval; for small groups also the empirical-Bayes estimate (k + m r) / (n + m), r the rate of all rows and m the
weight that fits the spread of the groups (beta-binomial, by moments). Co-occurrence inflation = 1 / rate: mentions of group and attribute
together for each one that generalizes. Source: Davani et al. 2024; Kleinman 1973 for the moments.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from genscope.core.errors import UsageError
from genscope.core.stats import Interval, wilson

WEIGHT = 10.0
"""m where the groups do not tell it (fewer than three groups, or no more spread than chance gives)."""
MOST = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRate:
    """A group's rows (n) and those that generalize (k), the rate with its interval, its shrunken estimate, and 1 / rate (inf without any)."""

    group: Hashable
    n: int
    k: int
    rate: Interval
    shrunken: float
    inflation: float


def generalization_rates(y: Int[np.ndarray, " n"], groups: Sequence[Hashable]) -> list[GroupRate]:
    """Rates by group, in the order of first appearance.

    >>> [one.k / one.n for one in generalization_rates(np.array([1, 0, 0, 0]), ["a", "a", "b", "b"])]
    [0.5, 0.0]
    """
    n, k, names = tallies(y, groups)
    base, m = float(k.sum() / n.sum()), prior_weight(n, k)
    return [
        GroupRate(
            group=name, n=int(size), k=int(hits), rate=wilson(int(hits), int(size)), shrunken=float((hits + m * base) / (size + m)),
            inflation=float(size / hits) if hits else float("inf"),
        )
        for name, size, hits in zip(names, n, k, strict=True)
    ]  # fmt: skip


def tallies(y: Int[np.ndarray, " n"], groups: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray, list[Hashable]]:
    """(n, k, names) of the groups."""
    y = np.asarray(y)
    if len(y) != len(groups) or not len(y):
        raise UsageError(f"rates need labels with their groups, got {len(y)} and {len(groups)}")
    if not np.isin(y, (0, 1)).all():
        raise UsageError("rates need labels 0 or 1")
    names: dict[Hashable, int] = {}
    member = np.array([names.setdefault(group, len(names)) for group in groups])
    return np.bincount(member), np.bincount(member, weights=y), list(names)


def prior_weight(n: Int[np.ndarray, " g"], k: Int[np.ndarray, " g"]) -> float:
    """m = (1 - rho) / rho of a beta-binomial, rho by moments (analysis of variance of binary data); in [0, 10,000].

    Groups of ten, half of them all 1 and half all 0, have rho = 1 and m = 0; groups without more spread than chance give `WEIGHT`.
    """
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    total, groups = n.sum(), len(n)
    if groups < 3 or total <= groups:
        return WEIGHT
    p, whole = k / n, k.sum() / total
    between = float((n * (p - whole) ** 2).sum() / (groups - 1))
    within = float((n * p * (1 - p)).sum() / (total - groups))
    size = float((total - (n**2).sum() / total) / (groups - 1))
    rho = (between - within) / (between + (size - 1) * within) if between + (size - 1) * within > 0 else 0.0
    return WEIGHT if rho <= 0 else min(MOST, (1 - rho) / rho)
