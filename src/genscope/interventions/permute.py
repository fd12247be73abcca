"""Permutations inside groups: labels that lose their tie to the row but keep each group's rate, and rows that lend each other what surrounds them.

Interventions for placebos: the mechanism goes, base rates and group sizes stay.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Int

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed


def permuted_within(labels: np.ndarray, names: Sequence[Hashable], seed: Seed) -> np.ndarray:
    """Labels permuted inside groups of one name; the order of groups does not matter.

    >>> permuted_within(np.array([1, 2, 3]), ["a", "b", "c"], Seed("alone")).tolist()
    [1, 2, 3]
    """
    made = np.array(labels)
    for name, at in _groups(names):
        made[at] = seed.child(repr(name)).rng().permutation(made[at])
    return made


def exchanged_within(places: Int[np.ndarray, " n"], names: Sequence[Hashable], seed: Seed) -> Int[np.ndarray, " n"]:
    """For each place another one of the same name, each used once: a random cycle through every group. A group of one keeps its own.

    >>> exchanged_within(np.array([4, 7]), ["a", "a"], Seed("two")).tolist()
    [7, 4]
    """
    lender = np.array(places)
    for name, at in _groups(names):
        turn = seed.child(repr(name)).rng().permutation(at)
        lender[turn] = places[np.roll(turn, 1)]
    return lender


def _groups(names: Sequence[Hashable]) -> list[tuple[Hashable, np.ndarray]]:
    found: dict[Hashable, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    if not found:
        raise UsageError("a permutation inside groups needs rows")
    return [(name, np.array(at)) for name, at in found.items()]
