"""Spread of a score over groups, net of chance: largest minus smallest average precision, less its mean when group tags are permuted over the rows.

The largest minus the smallest of nine noisy estimates is wide by itself, whatever the groups are; the permutation says how wide.
"""

# n rows, B draws

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.seeds import Seed
from genscope.core.stats.grouped import basic
from genscope.core.stats.interval import Interval
from genscope.measures.average_precision import drawn_average_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """by_group: AP by group (NaN without positives: left out); spread; chance: mean spread of permuted tags; net: spread - chance, basic bootstrap."""

    by_group: dict[str, float]
    spread: float
    chance: float
    net: Interval


def net_spread(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], tags: Sequence[str], weights: Int[np.ndarray, "B n"], seed: Seed, *, permutations: int = 999, groups: int = 0,
) -> Spread:  # fmt: skip
    """weights: bootstrap weights of the rows (core/stats/grouped.py); groups: number of independent units under them, for the interval's n."""
    names, code = np.unique(np.asarray(tags), return_inverse=True)
    order = np.argsort(-score, kind="stable")
    y, score, code, weights = y[order], score[order], code[order], weights[:, order]
    rows = [np.flatnonzero(code == k) for k in range(len(names))]
    each = [float(drawn_average_precision(y[at], score[at], np.ones((1, len(at))))[0]) for at in rows]
    spread = _range(np.array(each)[None, :])[0]
    rng = seed.rng()
    permuted = []
    for _ in range(permutations):
        shuffled = rng.permutation(code)
        permuted.append([_sorted_ap(y[shuffled == k], score[shuffled == k]) for k in range(len(names))])
    chance = float(np.nanmean(_range(np.array(permuted))))
    drawn = _range(np.stack([drawn_average_precision(y[at], score[at], weights[:, at]) for at in rows], 1))
    found = basic(float(spread), drawn, groups or len(y))
    net = Interval(
        float(spread) - chance, None if found.low is None else found.low - chance, None if found.high is None else found.high - chance, found.n,
        f"spread less its mean over {permutations} permutations of the tags; {found.method}", found.level,
    )  # fmt: skip
    return Spread(by_group=dict(zip(names.tolist(), each, strict=True)), spread=float(spread), chance=chance, net=net)


def _range(values: Float[np.ndarray, "B k"]) -> Float[np.ndarray, " B"]:
    held = np.isfinite(values)
    enough = held.sum(1) >= 2
    highest = np.where(held, values, -np.inf).max(1)
    lowest = np.where(held, values, np.inf).min(1)
    return np.where(enough, highest - np.where(enough, lowest, 0.0), np.nan)


def _sorted_ap(y: np.ndarray, score: np.ndarray) -> float:
    """AP of rows that are sorted by falling score already."""
    hits = np.cumsum(y)
    if not len(y) or not hits[-1]:
        return float("nan")
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    gained = np.diff(hits[ends], prepend=0)
    return float((gained * hits[ends] / (ends + 1)).sum() / hits[-1])
