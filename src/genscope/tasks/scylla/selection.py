"""Picking one entry: smallest, largest, most frequent, k-th largest. Levels O(N) and O([N,N^2])."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import Answer, Built, Input, ListTask
from genscope.tasks.scylla.pool import Pool


class _Pick(ListTask):
    answer_kind = "number"
    answer_rule = "<ANSWER> is a single number"
    direct_tokens = 16

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        return answer == (self.solve(asked) if optimum is None else optimum)

    def optimum(self, asked: Input) -> int | None:
        return self.solve(asked)

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        distinct = sorted(set(asked["l"]))
        return distinct[int(rng.integers(len(distinct)))]

    def chance(self, example: Example) -> float:
        """1 / number of distinct entries."""
        return 1 / len(set(example.input["l"]))


class FindMinimum(_Pick):
    """The smallest number."""

    name, title, level = "find_minimum", "finding minimum", 0
    description = "You are given a list of numbers. Find the smallest number in it."

    def solve(self, asked: Input) -> Answer:
        return min(asked["l"])

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        return [({"l": row}, answer) for row, answer in zip(rows.tolist(), rows.min(1).tolist(), strict=True)]


class FindMaximum(_Pick):
    """The largest number."""

    name, title, level = "find_maximum", "finding maximum", 0
    description = "You are given a list of numbers. Find the largest number in it."

    def solve(self, asked: Input) -> Answer:
        return max(asked["l"])

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        return [({"l": row}, answer) for row, answer in zip(rows.tolist(), rows.max(1).tolist(), strict=True)]


class FindMode(_Pick):
    """The most frequent number, which must be unique."""

    name, title, level = "find_mode", "finding mode", 0
    description = "You are given a list of numbers. Find the number that appears most often in it."
    keeps_profile = True

    def solve(self, asked: Input) -> Answer:
        return Counter(asked["l"]).most_common(1)[0][0]

    def why_invalid(self, asked: Input) -> str | None:
        top = Counter(asked["l"]).most_common(2)
        if len(top) == 2 and top[0][1] == top[1][1]:
            return f"find_mode: {top[0][0]} and {top[1][0]} appear equally often ({top[0][1]} times); the mode must be unique"
        return super().why_invalid(asked)

    def entries(self, n: int, count: int, pool: Pool, rng: np.random.Generator) -> Int[np.ndarray, "m n"] | None:
        """Plant a mode: one value at m >= 2 random places; `finish` refuses rows in which another value reaches m."""
        rows = pool.draw((count, n), rng)
        value = pool.draw((count, 1), rng)
        times = rng.integers(2, max(3, n + 1 if n < 4 else n), count)
        chosen = rng.random((count, n)).argsort(1).argsort(1) < times[:, None]
        return np.where(chosen, value, rows)

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        counts = (rows[:, :, None] == rows[:, None, :]).sum(2)
        best = counts.argmax(1)
        value = np.take_along_axis(rows, best[:, None], 1)
        top = counts.max(1)
        unique = (counts == top[:, None]).sum(1) == top
        return [
            ({"l": row}, mode) if good else None
            for row, mode, good in zip(rows.tolist(), value[:, 0].tolist(), unique.tolist(), strict=True)
        ]

    def repair(self, value: Any, rng: np.random.Generator) -> Built | None:
        """Append 2 to 8 copies of one current mode and shuffle."""
        counts = Counter(value)
        top = max(counts.values())
        modes = [number for number, times in counts.items() if times == top]
        longer = [*value, *[modes[rng.integers(len(modes))]] * int(rng.integers(2, 9))]
        return self.from_lists(rng.permutation(longer).tolist(), rng)


class FindTopk(_Pick):
    """The k-th largest number, duplicates counted."""

    name, title, level = "find_topk", "finding the k-th largest number", 1
    description = (
        "You are given a list of numbers $l$ and an integer $k$. Sort the list from largest to smallest, keeping duplicates, "
        "and give the number at position $k$, counted from 1."
    )
    lengths = (4, 64)

    def solve(self, asked: Input) -> Answer:
        return sorted(asked["l"], reverse=True)[asked["k"] - 1]

    def why_invalid(self, asked: Input) -> str | None:
        if not 2 <= asked["k"] <= len(asked["l"]) // 2:
            return f"find_topk: k must be 2 to half the length ({len(asked['l']) // 2}), got {asked['k']}"
        return super().why_invalid(asked)

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        n = rows.shape[1]
        k = rng.integers(2, n // 2 + 1, len(rows))
        answers = np.take_along_axis(np.sort(rows, 1), (n - k)[:, None], 1)[:, 0]
        return [({"l": row, "k": which}, answer) for row, which, answer in zip(rows.tolist(), k.tolist(), answers.tolist(), strict=True)]
