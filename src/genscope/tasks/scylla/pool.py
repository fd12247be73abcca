"""Pool: the numbers that instances of one split are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Pool:
    """elements: multiset to draw from, repetitions count; reservoir: all numbers that may appear (the distinct elements by default)."""

    elements: Int[np.ndarray, " m"]
    wider: Int[np.ndarray, " r"] | None = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Int[np.ndarray, ...]:
        """Independent draws with replacement."""
        return self.elements[rng.integers(0, len(self.elements), shape)]

    @cached_property
    def distinct(self) -> Int[np.ndarray, " d"]:
        """The different elements, ascending."""
        return np.unique(self.elements)

    @cached_property
    def reservoir(self) -> Int[np.ndarray, " r"]:
        """Numbers that may appear in this split, ascending: for planted runs, which a small multiset may lack."""
        return self.distinct if self.wider is None else np.unique(self.wider)

    @cached_property
    def by_residue(self) -> tuple[Int[np.ndarray, " m"], ...]:
        """Elements by residue mod 10."""
        return tuple(self.elements[self.elements % 10 == residue] for residue in range(10))

    @cached_property
    def run_ends(self) -> Int[np.ndarray, " r"]:
        """For each number of the reservoir, how many consecutive numbers begin there (1 = it stands alone)."""
        values = self.reservoir
        lengths = np.ones(len(values), dtype=int)
        for place in range(len(values) - 2, -1, -1):
            if values[place + 1] == values[place] + 1:
                lengths[place] = lengths[place + 1] + 1
        return lengths

    def different(self, count: int, rng: np.random.Generator) -> Int[np.ndarray, " c"] | None:
        """`count` different elements in random order; None when there are not so many."""
        if count > len(self.distinct):
            return None
        if 3 * count > len(self.distinct):
            return rng.permutation(self.distinct)[:count]
        while True:
            places = rng.integers(0, len(self.distinct), 2 * count)
            _, first = np.unique(places, return_index=True)
            if len(first) >= count:
                return self.distinct[places[np.sort(first)[:count]]]
