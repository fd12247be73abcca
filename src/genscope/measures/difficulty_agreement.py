"""Agreement of notions of difficulty on the same examples: rank correlations, each beside the ceiling that the two notions' reliabilities allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from genscope.core.seeds import Seed
from genscope.measures.difficulty_reliability import reliability_from_sd

if TYPE_CHECKING:
    import polars as pl

DRAWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two notions on the examples that both know, both turned so that more is harder.

    rho: Spearman, None with fewer than 4 shared examples or no spread; low, high: 95 % bootstrap over examples; ceiling: sqrt(r r'), the highest correlation
    that two equal truths could show with these reliabilities, None where one is unknown; below_ceiling: rho / ceiling.
    """

    first: str
    second: str
    n: int
    rho: float | None
    low: float | None
    high: float | None
    ceiling: float | None

    @property
    def of_ceiling(self) -> float | None:
        """rho / ceiling: correlation without the noise of measurement (may exceed 1 by chance)."""
        return None if self.rho is None or not self.ceiling else self.rho / self.ceiling


def reliabilities(table: pl.DataFrame) -> dict[str, float]:
    """Notion -> reliability, of those whose values all have standard deviations."""
    import polars as pl

    found = {}
    for notion in table["notion"].unique(maintain_order=True):
        part = table.filter(pl.col("notion") == notion)
        if len(part) > 2 and part["sd"].null_count() == 0:
            found[notion] = reliability_from_sd(part["value"].to_numpy(), part["sd"].to_numpy())
    return found


def agreement(table: pl.DataFrame, seed: Seed, *, reliability: Mapping[str, float] | None = None, draws: int = DRAWS) -> list[Agreement]:
    """Every pair of notions of a difficulty table, in the table's order. reliability: notion -> its reliability (split half over solvers, say);
    where none is given the standard deviations of the values tell it.
    """
    import polars as pl

    from genscope.core.difficulty import oriented, wide

    known = {**reliabilities(table), **(reliability or {})}
    columns = wide(oriented(table))
    found = []
    for first, second in combinations([name for name in columns.columns if name != "example"], 2):
        both = columns.filter(pl.col(first).is_not_null() & pl.col(second).is_not_null())
        x, y = both[first].to_numpy(), both[second].to_numpy()
        ceiling = math.sqrt(known[first] * known[second]) if first in known and second in known else None
        if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
            found.append(Agreement(first=first, second=second, n=len(x), rho=None, low=None, high=None, ceiling=ceiling))
            continue
        rng = seed.child(first, second).rng()
        drawn = [_rho(x[rows], y[rows]) for rows in (rng.integers(0, len(x), len(x)) for _ in range(draws))]
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        found.append(Agreement(first=first, second=second, n=len(x), rho=_rho(x, y), low=float(low), high=float(high), ceiling=ceiling))
    return found


def _rho(x: np.ndarray, y: np.ndarray) -> float:
    a, b = rankdata(x), rankdata(y)
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else float("nan")
