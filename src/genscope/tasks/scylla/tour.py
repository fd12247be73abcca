"""Travelling salesman on 4 to 10 cities. Level O(2^N)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import AlgorithmicTask, Answer, Built, Input
from genscope.tasks.scylla.pool import Pool

# m matrices, n cities

_FAR = 1 << 50


def held_karp(distances: Int[np.ndarray, "m n n"]) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"], Int[np.ndarray, "m n"]]:
    """Length of the shortest closed tours, how many directed ones there are, and one of them from city 0, for all matrices at once.

    Held and Karp 1962: best[mask, j] over tours 0 -> ... -> j through the cities of mask; O(2^n n^2) per matrix.
    """
    m, n, _ = distances.shape
    full = (1 << (n - 1)) - 1
    best = np.full((m, full + 1, n - 1), _FAR, dtype=np.int64)
    ways = np.zeros((m, full + 1, n - 1), dtype=np.int64)
    inner = distances[:, 1:, 1:]
    for city in range(n - 1):
        best[:, 1 << city, city], ways[:, 1 << city, city] = distances[:, 0, city + 1], 1
    for mask in range(1, full + 1):
        if mask & (mask - 1) == 0:
            continue
        for city in range(n - 1):
            if mask >> city & 1:
                reach = best[:, mask ^ (1 << city), :] + inner[:, :, city]
                shortest = reach.min(1)
                best[:, mask, city] = shortest
                ways[:, mask, city] = np.where(reach == shortest[:, None], ways[:, mask ^ (1 << city), :], 0).sum(1)
    closed = best[:, full, :] + distances[:, 1:, 0]
    length = closed.min(1)
    count = np.where(closed == length[:, None], ways[:, full, :], 0).sum(1)
    tours = np.zeros((m, n), dtype=np.int64)
    each, mask, city = np.arange(m), np.full(m, full), closed.argmin(1)
    for place in range(n - 1, 0, -1):
        tours[:, place] = city + 1
        left = mask ^ (1 << city)
        reach = best[each, left, :] + inner[each, :, city]
        mask, city = left, reach.argmin(1)
    return length, count, tours


class TSP(AlgorithmicTask):
    """A shortest closed tour from city 0; exactly two are optimal, one and its reverse."""

    name, title, level = "tsp", "the travelling salesman problem", 4
    description = (
        "You are given the number of cities $n$ and the symmetric matrix $D$ of their distances. Find the shortest tour that starts at city 0, "
        "visits every other city exactly once and returns to city 0. Cities are numbered from 0."
    )
    answer_rule = "<ANSWER> is the tour as a list of cities in square brackets, separated by commas, that starts and ends with 0"
    lengths = (4, 10)
    direct_tokens = 48

    def prompt(self, example: Example) -> str:
        rows = r" \\ ".join(" & ".join(map(str, row)) for row in example.input["D"])
        return rf"$n$ = {example.input['n']}, $D$ = \begin{{bmatrix}} {rows} \end{{bmatrix}}"

    def shape(self, asked: Input) -> Any:
        return asked["n"]

    def why_invalid(self, asked: Input) -> str | None:
        matrix = np.array(asked["D"])
        n = asked["n"]
        if not self.lengths[0] <= n <= self.lengths[1]:
            return f"tsp: n must be 4 to 10 cities, got {n}"
        if matrix.shape != (n, n) or (matrix != matrix.T).any() or matrix.diagonal().any() or (matrix < 0).any():
            return "tsp: D must be a symmetric n x n matrix of non-negative whole numbers with a zero diagonal"
        count = int(held_karp(matrix[None])[1][0])
        return None if count == 2 else f"tsp: {count} directed tours are shortest; it must be two (one and its reverse)"

    def solve(self, asked: Input) -> Answer:
        """By branch and bound over all tours, which shares nothing with the generator's dynamic programme."""
        matrix, n = asked["D"], asked["n"]
        best: tuple[float, list[int]] = (math.inf, [])

        def extend(tour: list[int], length: int) -> None:
            nonlocal best
            if length >= best[0]:
                return
            if len(tour) == n:
                total = length + matrix[tour[-1]][0]
                best = min(best, (total, [*tour, 0]))
                return
            for city in sorted(set(range(1, n)) - set(tour), key=lambda c: matrix[tour[-1]][c]):
                extend([*tour, city], length + matrix[tour[-1]][city])

        extend([0], 0)
        return best[1]

    def optimum(self, asked: Input) -> int | None:
        """Length of the shortest tour."""
        return int(held_karp(np.array([asked["D"]]))[0][0])

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        n, matrix = asked["n"], asked["D"]
        if len(answer) != n + 1 or answer[0] != 0 or answer[-1] != 0 or sorted(answer[:-1]) != list(range(n)):
            return False
        length = sum(matrix[int(a)][int(b)] for a, b in itertools.pairwise(answer))
        return length == (self.optimum(asked) if optimum is None else optimum)

    def same(self, answer: Answer, target: Answer) -> bool:
        return answer in (target, target[::-1])

    def gold_answers(self, example: Example, rng: np.random.Generator, most: int = 6) -> list[Answer]:
        return [example.target, example.target[::-1]][:most]

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        return [0, *(rng.permutation(asked["n"] - 1) + 1).tolist(), 0]

    def chance(self, example: Example) -> float:
        """2 / (n - 1)!: two of the directed tours are optimal."""
        return 2 / math.factorial(example.input["n"] - 1)

    def build(self, shapes: Sequence[int], pool: Pool, rng: np.random.Generator, like: Sequence[Input] | None) -> list[Built | None]:
        built: list[Built | None] = [None] * len(shapes)
        sizes = np.asarray(shapes)
        for n in np.unique(sizes):
            places = np.flatnonzero(sizes == n)
            upper = np.triu(pool.draw((len(places), n, n), rng), 1)
            for place, one in zip(places, _finish(upper + upper.transpose(0, 2, 1)), strict=True):
                built[place] = one
        return built

    def from_lists(self, value: Any, rng: np.random.Generator) -> Built | None:
        if not self.lengths[0] <= len(value) <= self.lengths[1] or any(len(row) != len(value) for row in value):
            return None
        matrix = np.array(value)
        return None if (matrix != matrix.T).any() or matrix.diagonal().any() else _finish(matrix[None])[0]

    def repair(self, value: Any, rng: np.random.Generator) -> Built | None:
        """A symmetric matrix of the same n, rebuilt from the entries found; at most 10 tries."""
        n = len(value)
        found = np.array([number for row in value for number in row if number > 0])
        if not self.lengths[0] <= n <= self.lengths[1] or not len(found):
            return None
        for _ in range(10):
            upper = np.triu(rng.choice(found, (1, n, n)), 1)
            built = _finish(upper + upper.transpose(0, 2, 1))[0]
            if built is not None:
                return built
        return None


def _finish(matrices: Int[np.ndarray, "m n n"]) -> list[Built | None]:
    _, counts, tours = held_karp(matrices)
    found = zip(matrices.tolist(), counts.tolist(), tours.tolist(), strict=True)
    return [({"n": len(matrix), "D": matrix}, [*tour, 0]) if count == 2 else None for matrix, count, tour in found]
