"""Grouped bootstrap for any statistic that takes row weights: whole groups are drawn with replacement, and a row weighs as often as its group was drawn.

One matrix of weights serves every statistic on the same rows, so that two models, or two test sets that share groups, are compared within a draw.
Percentile ends for most statistics; basic ends (2 x - q) for one that noise pushes up, such as the range of several estimates, whose
draws lie above the estimate as the estimate lies above the truth. Source: Davison and Hinkley 1997, sections 2.4, 5.2 and 3.8. For 20 groups or more.
"""

# n rows, G groups, B draws

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.core.stats.checks import probability
from genscope.core.stats.interval import Interval


@dataclass(frozen=True, slots=True)
class GroupDraws:
    """How often each group was drawn in each draw. member: group of each row; times [B, G]."""

    member: Int[np.ndarray, " n"]
    times: Int[np.ndarray, "B G"]

    @classmethod
    def of(cls, groups: Sequence[Hashable], seed: Seed, draws: int = 1_000) -> GroupDraws:
        """Draws over the groups of these rows; the order of rows does not change them."""
        if not len(groups) or draws < 1:
            raise UsageError(f"a grouped bootstrap needs rows and draws, got {len(groups)} and {draws}")
        names = {name: place for place, name in enumerate(sorted(set(groups), key=repr))}
        times = seed.rng().multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        return cls(np.array([names[name] for name in groups]), times.astype(np.int32))

    @property
    def draws(self) -> int:
        return len(self.times)

    def weights(self, rows: np.ndarray | slice = slice(None), draws: slice = slice(None)) -> Int[np.ndarray, "B n"]:
        """Weights of these rows in these draws."""
        return self.times[draws][:, self.member[rows]]

    def groups(self, rows: np.ndarray | slice = slice(None)) -> int:
        """Number of different groups among these rows."""
        return len(np.unique(self.member[rows]))


def percentile(value: float, drawn: Float[np.ndarray, " B"], n: int, level: float = 0.95) -> Interval:
    """Percentile ends of the draws; draws that are no number are left out. All draws alike: no ends.

    >>> i = percentile(0.5, np.linspace(0, 1, 1001), 30)
    >>> round(float(i.low), 3), round(float(i.high), 3)
    (0.025, 0.975)
    """
    low, high = _quantiles(drawn, level)
    return Interval(value, low, high, n, "percentile bootstrap over groups", level)


def basic(value: float, drawn: Float[np.ndarray, " B"], n: int, level: float = 0.95) -> Interval:
    """Basic ends, 2 x value - quantile.

    >>> i = basic(0.4, np.linspace(0, 1, 1001), 30)
    >>> round(float(i.low), 3), round(float(i.high), 3)
    (-0.175, 0.775)
    """
    low, high = _quantiles(drawn, level)
    if low is None or high is None:
        return Interval(value, None, None, n, "basic bootstrap over groups", level)
    return Interval(value, 2 * value - high, 2 * value - low, n, "basic bootstrap over groups", level)


def _quantiles(drawn: np.ndarray, level: float) -> tuple[float | None, float | None]:
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < 2 or np.ptp(kept) == 0:
        return None, None
    tail = (1 - probability(level)) / 2
    low, high = np.quantile(kept, [tail, 1 - tail])
    return float(low), float(high)
