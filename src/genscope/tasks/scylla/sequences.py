"""Probe tasks with solutions of very different complexity: increasing subsequence, consecutive run, common block."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import AlgorithmicTask, Answer, Built, Input, ListTask, is_sub_multiset
from genscope.tasks.scylla.pool import Pool

_RULE = "<ANSWER> is a list of numbers in square brackets, separated by commas"


class LongestIncreasingSubsequence(ListTask):
    """A longest strictly increasing subsequence; best N log N, brute force 2^N."""

    name, title, level = "longest_increasing_subsequence", "finding the longest increasing subsequence", None
    description = "You are given a list of numbers. Find a longest strictly increasing subsequence: entries in their order in the list, each larger than the one before."
    answer_rule = _RULE
    lengths = (2, 32)
    direct_tokens = 96

    def solve(self, asked: Input) -> Answer:
        """By quadratic dynamic programming."""
        entries = asked["l"]
        best: list[list[int]] = []
        for place, entry in enumerate(entries):
            before = max((best[i] for i in range(place) if entries[i] < entry), key=len, default=[])
            best.append([*before, entry])
        return max(best, key=len)

    def optimum(self, asked: Input) -> int | None:
        """Length of a longest one, by patience sorting."""
        return _patience(asked["l"])

    def why_invalid(self, asked: Input) -> str | None:
        return super().why_invalid(asked) or (None if _patience(asked["l"]) >= 2 else f"{self.name}: no entry is larger than one before it")

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        if len(answer) != (_patience(asked["l"]) if optimum is None else optimum) or any(b <= a for a, b in itertools.pairwise(answer)):
            return False
        rest = iter(asked["l"])
        return all(item in rest for item in answer)

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        n = len(asked["l"])
        places = np.sort(rng.permutation(n)[: _patience(asked["l"])])
        return [asked["l"][place] for place in places]

    def chance(self, example: Example) -> float:
        """Share of the position sets of the right size that are increasing."""
        entries, size = example.input["l"], example.factors["optimum"]
        ways = np.zeros((len(entries), size + 1))
        for place, entry in enumerate(entries):
            ways[place, 1] = 1
            earlier = [i for i in range(place) if entries[i] < entry]
            ways[place, 2:] = ways[earlier, 1:-1].sum(0) if earlier else 0
        return float(ways[:, size].sum()) / math.comb(len(entries), size)

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        return [({"l": row}, self.solve({"l": row})) if _patience(row) >= 2 else None for row in rows.tolist()]


class LongestConsecutiveElements(ListTask):
    """The longest run of consecutive integers present in the list; best N, brute force 2^N."""

    name, title, level = "longest_consecutive_elements", "finding the longest consecutive elements", None
    description = (
        "You are given a list of numbers. Find the longest run of consecutive integers (such as 4, 5, 6) that are all in the list, "
        "in any positions, and give the run in ascending order."
    )
    answer_rule = _RULE
    lengths = (2, 32)
    direct_tokens = 96

    def solve(self, asked: Input) -> Answer:
        """By the length of the run that ends at each number of the sorted list."""
        best: list[int] = []
        run: list[int] = []
        for number in sorted(set(asked["l"])):
            run = [*run, number] if run and number == run[-1] + 1 else [number]
            best = run if len(run) > len(best) else best
        return best

    def optimum(self, asked: Input) -> int | None:
        return _longest_run(asked["l"])

    def why_invalid(self, asked: Input) -> str | None:
        return super().why_invalid(asked) or (None if _longest_run(asked["l"]) >= 2 else f"{self.name}: no two entries are consecutive")

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        steps = all(b == a + 1 for a, b in itertools.pairwise(answer))
        return len(answer) == (_longest_run(asked["l"]) if optimum is None else optimum) and steps and is_sub_multiset(answer, asked["l"])

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        distinct = sorted(set(asked["l"]))
        first = distinct[int(rng.integers(len(distinct)))]
        return list(range(first, first + _longest_run(asked["l"])))

    def chance(self, example: Example) -> float:
        """Number of longest runs over number of distinct entries to begin at."""
        present = set(example.input["l"])
        size = example.factors["optimum"]
        return sum(all(first + step in present for step in range(size)) for first in present) / len(present)

    def build(self, shapes: Sequence[int], pool: Pool, rng: np.random.Generator, like: Sequence[Input] | None) -> list[Built | None]:
        """Plant one run and keep all others shorter; an OOD instance has a run of its ID sibling's length."""
        wanted = [None] * len(shapes) if like is None else [_longest_run(sibling["l"]) for sibling in like]
        return [self._plant(int(n), size, pool, rng) for n, size in zip(shapes, wanted, strict=True)]

    def _plant(self, n: int, size: int | None, pool: Pool, rng: np.random.Generator) -> Built | None:
        most = min(n, int(pool.run_ends.max(initial=1)))
        if most < 2:
            return None
        size = int(rng.integers(2, max(3, min(most, n // 2 + 1) + 1))) if size is None else min(size, most)
        starts = pool.reservoir[pool.run_ends >= size]
        if not len(starts):
            return None
        first = int(starts[rng.integers(len(starts))])
        for _ in range(20):
            others = pool.draw((n - size,), rng)
            others = others[(others < first - 1) | (others > first + size)]
            while len(others) < n - size:
                more = pool.draw((n,), rng)
                more = more[(more < first - 1) | (more > first + size)]
                if not len(more):
                    return None
                others = np.concatenate([others, more])[: n - size]
            row = rng.permutation(np.concatenate([np.arange(first, first + size), others])).tolist()
            if _longest_run(others.tolist()) < size:
                return {"l": row}, list(range(first, first + size))
        return None

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        return [({"l": row}, self.solve({"l": row})) if _longest_run(row) >= 2 else None for row in rows.tolist()]

    def repair(self, value: Any, rng: np.random.Generator) -> Built | None:
        """Append e + 1 or e - 1 for a random half of the entries."""
        half = rng.permutation(value)[: max(1, len(value) // 2)]
        near = np.maximum(0, half + rng.choice([-1, 1], len(half)))
        return self.from_lists([*value, *near.tolist()], rng)


class LongestCommonSubarray(AlgorithmicTask):
    """The longest contiguous block common to two lists; best N^2, brute force 2^N."""

    name, title, level = "longest_common_subarray", "finding the longest common subarray", None
    description = "You are given two lists of numbers $l_1$ and $l_2$. Find the longest block of adjacent entries that appears, in the same order, in both lists."
    answer_rule = _RULE
    lengths = (2, 32)
    direct_tokens = 96

    def prompt(self, example: Example) -> str:
        return ", ".join(f"$l_{which}$ = {' '.join(map(str, example.input[f'l{which}']))}" for which in (1, 2))

    def shape(self, asked: Input) -> Any:
        return len(asked["l1"]), len(asked["l2"])

    def solve(self, asked: Input) -> Answer:
        """By trying every block of the first list, longest first."""
        first, second = asked["l1"], asked["l2"]
        blocks = {tuple(second[i:j]) for i in range(len(second)) for j in range(i + 1, len(second) + 1)}
        for size in range(min(len(first), len(second)), 0, -1):
            for start in range(len(first) - size + 1):
                if tuple(first[start : start + size]) in blocks:
                    return first[start : start + size]
        return []

    def optimum(self, asked: Input) -> int | None:
        return len(_common(asked["l1"], asked["l2"])[0])

    def why_invalid(self, asked: Input) -> str | None:
        block, unique = _common(asked["l1"], asked["l2"])
        if not all(self.lengths[0] <= len(asked[name]) <= self.lengths[1] for name in ("l1", "l2")):
            return f"{self.name}: each list needs {self.lengths[0]} to {self.lengths[1]} entries"
        return None if block and unique else f"{self.name}: the longest common block must exist and be unique"

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        size = self.optimum(asked) if optimum is None else optimum
        return len(answer) == size and all(_holds(asked[name], answer) for name in ("l1", "l2"))

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        size = self.optimum(asked) or 1
        start = int(rng.integers(len(asked["l1"]) - size + 1))
        return list(asked["l1"][start : start + size])

    def chance(self, example: Example) -> float:
        """Share of the first list's blocks of the right length that are the common one."""
        first, size = example.input["l1"], example.factors["optimum"]
        blocks = [first[start : start + size] for start in range(len(first) - size + 1)]
        return sum(block == example.target for block in blocks) / len(blocks)

    def build(self, shapes: Sequence[Any], pool: Pool, rng: np.random.Generator, like: Sequence[Input] | None) -> list[Built | None]:
        """Plant one block at random places and keep every other match shorter; an OOD instance has its ID sibling's block length."""
        sizes = [None] * len(shapes) if like is None else [self.optimum(sibling) for sibling in like]
        return [self._plant(shape, size, pool, rng) for shape, size in zip(shapes, sizes, strict=True)]

    def _plant(self, shape: tuple[int, int], size: int | None, pool: Pool, rng: np.random.Generator) -> Built | None:
        shortest = min(shape)
        size = int(rng.integers(min(2, shortest), max(2, shortest // 2 + 1) + 1)) if size is None else size
        size = min(size, shortest)
        for _ in range(20):
            first, second = (pool.draw((n,), rng).tolist() for n in shape)
            here, there = (int(rng.integers(n - size + 1)) for n in shape)
            second[there : there + size] = first[here : here + size]
            block, unique = _common(first, second)
            if unique and len(block) == size:
                return {"l1": first, "l2": second}, block
        return None

    def from_lists(self, value: Any, rng: np.random.Generator) -> Built | None:
        first, second = value
        asked = {"l1": list(first), "l2": list(second)}
        return None if self.why_invalid(asked) else (asked, _common(first, second)[0])

    def repair(self, value: Any, rng: np.random.Generator) -> Built | None:
        """Increment random entries, at most 50 times."""
        pair = [list(part) for part in value]
        for _ in range(50):
            part = pair[int(rng.integers(2))]
            part[int(rng.integers(len(part)))] += 1
            built = self.from_lists(pair, rng)
            if built is not None:
                return built
        return None


def _patience(entries: Sequence[int]) -> int:
    tops: list[int] = []
    for entry in entries:
        place = bisect_left(tops, entry)
        tops[place : place + 1] = [entry]
    return len(tops)


def _longest_run(entries: Sequence[int]) -> int:
    present, best = set(entries), 0
    for number in present:
        if number - 1 not in present:
            end = number
            while end in present:
                end += 1
            best = max(best, end - number)
    return best


def _common(first: Sequence[int], second: Sequence[int]) -> tuple[list[int], bool]:
    """The longest common block, and whether it is the only one of its length (as a block of numbers)."""
    ends: dict[tuple[int, ...], bool] = {}
    best, row = 0, [0] * (len(second) + 1)
    for i, entry in enumerate(first):
        new = [0] * (len(second) + 1)
        for j, other in enumerate(second):
            if entry == other:
                new[j + 1] = size = row[j] + 1
                if size >= best:
                    ends = ends if size == best else {}
                    best = size
                    ends[tuple(first[i + 1 - size : i + 1])] = True
        row = new
    return (list(next(iter(ends))), len(ends) == 1) if ends else ([], False)


def _holds(entries: Sequence[int], block: Sequence[int]) -> bool:
    size = len(block)
    return any(list(entries[start : start + size]) == list(block) for start in range(len(entries) - size + 1))
