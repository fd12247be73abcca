"""Two, three or four entries with a given sum, or with a sum in a range. Levels O([N,N^2]) to O([N^3,N^4])."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import Answer, Built, Input, ListTask, is_sub_multiset
from genscope.tasks.scylla.combinations import choose_true, differs_from_neighbours, position_sets, set_sums, sorted_with_names

_WORDS = {2: "two", 3: "three", 4: "four"}


class SizedTask(ListTask):
    """An answer of exactly `size` entries, order free."""

    size: int

    def solve(self, asked: Input) -> Answer:
        """The first combination in lexicographic order that fulfils the task; a table of pair sums would be faster and harder to check."""
        for chosen in combinations(asked["l"], self.size):
            if self.fits(asked, sum(chosen)):
                return list(chosen)
        return None

    def fits(self, asked: Input, total: int) -> bool:
        """Whether a sum is what is asked for."""
        return total == asked["k"]

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        return len(answer) == self.size and is_sub_multiset(answer, asked["l"]) and self.fits(asked, sum(answer))

    def same(self, answer: Answer, target: Answer) -> bool:
        return sorted(answer) == sorted(target)

    def gold_answers(self, example: Example, rng: np.random.Generator, most: int = 6) -> list[Answer]:
        return orders(example.target, rng, most)

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        places = rng.permutation(len(asked["l"]))[: self.size]
        return [asked["l"][place] for place in np.sort(places)]

    def chance(self, example: Example) -> float:
        """1 / C(n, size): exactly one combination of positions is right."""
        return 1 / math.comb(len(example.input["l"]), self.size)


class SumTask(SizedTask):
    """`size` entries with sum k, produced by exactly one combination of positions."""

    def why_invalid(self, asked: Input) -> str | None:
        found = Counter(sum(chosen) for chosen in combinations(asked["l"], self.size))[asked["k"]]
        return super().why_invalid(asked) or (
            None if found == 1 else f"{self.name}: {found} combinations have the sum {asked['k']}; it must be one"
        )

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        places = position_sets(rows.shape[1], self.size)
        ordered, names = sorted_with_names(set_sums(rows, self.size), np.arange(len(places)))
        column, good = choose_true(differs_from_neighbours(ordered), rng)
        each = np.arange(len(rows))
        totals, chosen = ordered[each, column].tolist(), places[names[each, column]]
        answers = np.take_along_axis(rows, chosen, 1).tolist()
        return [
            ({"l": row, "k": total}, answer) if fine else None
            for row, total, answer, fine in zip(rows.tolist(), totals, answers, good.tolist(), strict=True)
        ]


class RangeTask(SizedTask):
    """`size` entries with a < sum < b, where one combination's sum lies in the open interval."""

    def fits(self, asked: Input, total: int) -> bool:
        return asked["a"] < total < asked["b"]

    def why_invalid(self, asked: Input) -> str | None:
        found = sum(self.fits(asked, sum(chosen)) for chosen in combinations(asked["l"], self.size))
        return super().why_invalid(asked) or (None if found == 1 else f"{self.name}: {found} combinations lie in the range; it must be one")

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        places = position_sets(rows.shape[1], self.size)
        ordered, names = sorted_with_names(set_sums(rows, self.size), np.arange(len(places)))
        inner = differs_from_neighbours(ordered)
        inner[:, [0, -1]] = False
        column, good = choose_true(inner, rng)
        each = np.arange(len(rows))
        before, after = (
            ordered[each, np.maximum(column - 1, 0)].tolist(),
            ordered[each, np.minimum(column + 1, ordered.shape[1] - 1)].tolist(),
        )
        answers = np.take_along_axis(rows, places[names[each, column]], 1).tolist()
        return [
            ({"l": row, "a": a, "b": b}, answer) if fine else None
            for row, a, b, answer, fine in zip(rows.tolist(), before, after, answers, good.tolist(), strict=True)
        ]


def orders(answer: Answer, rng: np.random.Generator, most: int) -> list[Answer]:
    """The answer and other orders of it, all different, at most `most`."""
    found = {tuple(answer): list(answer)}
    for _ in range(4 * most):
        if len(found) >= most:
            break
        other = rng.permutation(answer).tolist()
        found.setdefault(tuple(other), other)
    return list(found.values())


def _rule(size: int) -> str:
    return f"<ANSWER> is a list of exactly {_WORDS[size]} numbers in square brackets, separated by commas"


def _sum_text(size: int) -> str:
    return f"You are given a list of numbers $l$ and a number $k$. Find {_WORDS[size]} entries of the list, at different positions, whose sum is exactly $k$."


def _range_text(size: int) -> str:
    return (
        f"You are given a list of numbers $l$ and two numbers $a$ and $b$. Find {_WORDS[size]} entries of the list, at different positions, "
        "whose sum is greater than $a$ and less than $b$."
    )


class TwoSum(SumTask):
    """Two entries with sum k."""

    name, title, level, size = "two_sum", "two sum", 1, 2
    description, answer_rule, lengths = _sum_text(2), _rule(2), (3, 64)


class ThreeSum(SumTask):
    """Three entries with sum k."""

    name, title, level, size = "three_sum", "three sum", 2, 3
    description, answer_rule, lengths = _sum_text(3), _rule(3), (4, 16)


class FourSum(SumTask):
    """Four entries with sum k."""

    name, title, level, size = "four_sum", "four sum", 3, 4
    description, answer_rule, lengths = _sum_text(4), _rule(4), (5, 16)


class ThreeSumInRange(RangeTask):
    """Three entries with a < sum < b."""

    name, title, level, size = "three_sum_in_range", "three sum in a range", 2, 3
    description, answer_rule, lengths = _range_text(3), _rule(3), (4, 16)


class FourSumInRange(RangeTask):
    """Four entries with a < sum < b."""

    # Differs from the paper: the range is drawn from the multiset of sums, so that one combination fits; the authors remove equal sums first.
    name, title, level, size = "four_sum_in_range", "four sum in a range", 3, 4
    description, answer_rule, lengths = _range_text(4), _rule(4), (5, 16)
