"""Whole-list answers: sort, and remove duplicates. Level O([N,N^2])."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import Answer, Built, Input, ListTask


class SortNumbers(ListTask):
    """The list in ascending order."""

    name, title, level = "sort_numbers", "sorting numbers", 1
    description = "You are given a list of numbers. Sort it in ascending order, keeping duplicates."
    answer_rule = "<ANSWER> is a list of numbers in square brackets, separated by commas"
    lengths = (2, 32)
    direct_tokens = 96

    def solve(self, asked: Input) -> Answer:
        return sorted(asked["l"])

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        return answer == sorted(asked["l"])

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        return rng.permutation(asked["l"]).tolist()

    def chance(self, example: Example) -> float:
        """1 / number of different orders of the entries."""
        entries = example.input["l"]
        return math.prod(math.factorial(times) for times in Counter(entries).values()) / math.factorial(len(entries))

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        return [({"l": row}, answer) for row, answer in zip(rows.tolist(), np.sort(rows, 1).tolist(), strict=True)]


class RemoveDuplicateNumbers(ListTask):
    """First occurrences, in the original order."""

    name, title, level = "remove_duplicate_numbers", "removing duplicate numbers", 1
    description = "You are given a list of numbers. Remove duplicates: keep the first occurrence of each number, in the original order."
    answer_rule = "<ANSWER> is a list of numbers in square brackets, separated by commas"
    lengths = (2, 32)
    direct_tokens = 96
    keeps_profile = True

    def solve(self, asked: Input) -> Answer:
        return list(dict.fromkeys(asked["l"]))

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        return answer == list(dict.fromkeys(asked["l"]))

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        return rng.permutation(list(dict.fromkeys(asked["l"]))).tolist()

    def chance(self, example: Example) -> float:
        """1 / number of orders of the distinct entries."""
        return 1 / math.factorial(len(set(example.input["l"])))

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        return [({"l": row}, list(dict.fromkeys(row))) for row in rows.tolist()]
