"""Combinations of positions and their sums, for all rows of a block at once. Two equal values at different places are different combinations."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from jaxtyping import Int

# m rows, n entries, c combinations


@cache
def position_sets(n: int, size: int) -> Int[np.ndarray, "c s"]:
    """All sets of `size` positions out of n, in lexicographic order."""
    return np.array(list(combinations(range(n), size)), dtype=np.int64).reshape(-1, size)


@cache
def masks_of_sizes(n: int, least: int, most: int) -> Int[np.ndarray, " c"]:
    """All subsets of n positions with `least` to `most` members, as bit masks."""
    masks = np.arange(1, 1 << n, dtype=np.int64)
    sizes = popcount(masks)
    return masks[(sizes >= least) & (sizes <= most)]


def popcount(masks: Int[np.ndarray, " c"]) -> Int[np.ndarray, " c"]:
    """Number of members of each mask."""
    return np.bitwise_count(masks).astype(np.int64)


def set_sums(rows: Int[np.ndarray, "m n"], size: int) -> Int[np.ndarray, "m c"]:
    """Sums over every set of `size` positions."""
    places = position_sets(rows.shape[1], size)
    sums = rows[:, places[:, 0]].copy()
    for column in range(1, size):
        sums += rows[:, places[:, column]]
    return sums


def subset_sums(rows: Int[np.ndarray, "m n"]) -> Int[np.ndarray, "m s"]:
    """Sums over every subset; column i belongs to the bit mask i (column 0, the empty set, is 0)."""
    sums = np.zeros((len(rows), 1), dtype=np.int64)
    for place in range(rows.shape[1]):
        sums = np.concatenate([sums, sums + rows[:, place : place + 1]], axis=1)
    return sums


def sorted_with_names(sums: Int[np.ndarray, "m c"], names: Int[np.ndarray, " c"]) -> tuple[Int[np.ndarray, "m c"], Int[np.ndarray, "m c"]]:
    """Each row's sums ascending, and the name (below 2**20) of the combination behind each."""
    packed = np.sort((sums << 20) | names, axis=1)
    return packed >> 20, packed & ((1 << 20) - 1)


def differs_from_neighbours(ordered: Int[np.ndarray, "m c"]) -> np.ndarray:
    """Where an ascending row's value differs from both neighbours; the ends have one neighbour."""
    step = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((len(ordered), 1), dtype=bool)
    return np.concatenate([edge, step], 1) & np.concatenate([step, edge], 1)


def choose_true(allowed: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each row a uniformly chosen column among the true ones, and whether there was any."""
    counts = allowed.sum(1)
    wanted = (rng.random(len(allowed)) * counts).astype(np.int64) + 1
    return (allowed.cumsum(1) >= wanted[:, None]).argmax(1), counts > 0


def members(mask: int, entries: list[int]) -> list[int]:
    """The entries whose positions are in the bit mask, in order."""
    return [entry for place, entry in enumerate(entries) if mask >> place & 1]
