"""Interval of Spearman's correlation when whole clusters (tasks, items) are the units: percentile bootstrap, the rows of a cluster stay together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from genscope.core.errors import UsageError
from genscope.core.stats.checks import probability, sample
from genscope.core.stats.interval import Interval
from genscope.core.stats.permutation import spearman

DRAWS = 2_000


def spearman_bootstrap(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, rng: np.random.Generator, *, clusters: Sequence[Hashable] | None = None,
    draws: int = DRAWS, level: float = 0.95,
) -> Interval:  # fmt: skip
    """rho of the pairs (x, y) with ends; n counts clusters (pairs without any). No ends where one side is constant, or for fewer than 3 clusters."""
    a, b = sample(x, 2, "a rank correlation"), sample(y, 2, "a rank correlation")
    if len(a) != len(b) or (clusters is not None and len(clusters) != len(a)):
        raise UsageError(f"a rank correlation needs pairs, each with its cluster; got {len(a)} and {len(b)} values")
    rho = spearman(a, b)
    groups: dict[Hashable, list[int]] = {}
    for place, name in enumerate(clusters if clusters is not None else range(len(a))):
        groups.setdefault(name, []).append(place)
    if np.isnan(rho) or len(groups) < 3:
        return Interval(
            0.0 if np.isnan(rho) else rho,
            None,
            None,
            len(groups),
            "no spread in one of the two" if np.isnan(rho) else "too few units",
            level,
        )
    members = [np.array(places) for places in groups.values()]
    found = []
    for _ in range(draws):
        chosen = np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        found.append(spearman(a[chosen], b[chosen]))
    tail = (1 - probability(level)) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return Interval(rho, float(low), float(high), len(groups), "Spearman; percentile bootstrap over whole clusters", level)
