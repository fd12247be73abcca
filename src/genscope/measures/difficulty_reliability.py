"""Reliability of difficulties: how far they would come out the same with other solvers. It bounds every correlation with them: |rho| <= sqrt(r r').

Split halves: the solvers are halved at random, difficulty is estimated in each, r = Spearman between the two, and Spearman-Brown's 2r/(1+r) is that of the
whole pool. From standard deviations: 1 - mean(sd^2)/variance.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import spearman
from genscope.tasks.responses import ResponseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """half: mean Spearman of two halves; whole: by Spearman-Brown; splits: halvings; items: in both halves, on average."""

    half: float
    whole: float
    splits: int
    items: float


def reliability(
    record: ResponseRecord, seed: Seed, *, estimate: Callable[[ResponseRecord], np.ndarray] | None = None, splits: int = 10,
    groups: Sequence[Hashable] | None = None,
) -> Reliability:  # fmt: skip
    """Split-half reliability over solvers. estimate: record -> difficulty of its items, by default b of the 1PL.

    groups: of each solver; whole groups (model families) go to one half, which tells how far difficulty is the same for another kind of solver:
    kin on both sides make halves too alike. DataError with fewer than 4 solvers or groups.
    """
    names = list(range(len(record.solvers))) if groups is None else list(groups)
    if len(names) != len(record.solvers):
        raise UsageError(f"{len(names)} groups for {len(record.solvers)} solvers")
    member = np.unique(np.array([str(name) for name in names]), return_inverse=True)[1]
    units = int(member.max()) + 1
    if units < 4:
        raise DataError(f"split halves need at least 4 {'solvers' if groups is None else 'groups of solvers'}, got {units}")
    estimate = estimate or _one_parameter
    found, items = [], []
    for k in range(splits):
        first = (seed.child(k).rng().permutation(units) < units // 2)[member]
        halves = [record.take(first[record.solver]), record.take(~first[record.solver])]
        values = [dict(zip(half.items, estimate(half), strict=True)) for half in halves]
        both = [item for item in values[0] if item in values[1]]
        if len(both) < 3:
            raise DataError("split halves share fewer than 3 items; this record is too thin to tell its reliability")
        found.append(spearman(*([value[item] for item in both] for value in values)))
        items.append(len(both))
    half = float(np.nanmean(found))
    return Reliability(half=half, whole=spearman_brown(half), splits=splits, items=float(np.mean(items)))


def _one_parameter(record: ResponseRecord) -> np.ndarray:
    import warnings

    from genscope.measures.irt import NotConverged, difficulty_irt

    with warnings.catch_warnings():
        # halves of a few solvers may leave the slope without end; their ranks are there long before
        warnings.simplefilter("ignore", NotConverged)
        return difficulty_irt(record, "1pl", errors=False, allow_disconnected=True, most=200).b


def spearman_brown(half: float) -> float:
    """2r/(1+r): reliability of a pool twice as large.

    >>> round(spearman_brown(0.6), 2)
    0.75
    """
    return 2 * half / (1 + half) if half > -1 else -1.0


def reliability_from_sd(values: np.ndarray, sd: np.ndarray) -> float:
    """1 - mean(sd^2) / variance, in [0, 1]; 0 where the standard deviations explain all spread.

    >>> round(reliability_from_sd(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 0.5)), 4)
    0.85
    """
    spread = float(np.var(values, ddof=1)) if len(values) > 1 else 0.0
    return 0.0 if spread == 0 else float(np.clip(1 - np.mean(np.asarray(sd) ** 2) / spread, 0.0, 1.0))
