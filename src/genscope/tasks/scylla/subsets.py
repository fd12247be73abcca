"""Subsets with a given sum, or with a sum in a range. Level O(2^N)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import Answer, Built, Input, ListTask, is_sub_multiset
from genscope.tasks.scylla.combinations import (
    choose_true,
    differs_from_neighbours,
    masks_of_sizes,
    members,
    popcount,
    sorted_with_names,
    subset_sums,
)
from genscope.tasks.scylla.sums import orders

LEAST, MOST = 4, 6
"""Sizes of a subset that may be the answer."""
_ROWS = 32
"""Rows whose subset sums are held in memory at once (32 x 65,536 at n = 16)."""


class SubsetTask(ListTask):
    """An answer of one or more entries, order free; the stored one has 4 to 6."""

    lengths = (6, 16)
    direct_tokens = 48
    answer_rule = "<ANSWER> is a list of numbers in square brackets, separated by commas"

    def fits(self, asked: Input, total: int) -> bool:
        """Whether a sum is what is asked for."""
        return total == asked["k"]

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        return len(answer) > 0 and is_sub_multiset(answer, asked["l"]) and self.fits(asked, sum(answer))

    def same(self, answer: Answer, target: Answer) -> bool:
        return sorted(answer) == sorted(target)

    def gold_answers(self, example: Example, rng: np.random.Generator, most: int = 6) -> list[Answer]:
        return orders(example.target, rng, most)

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        """A subset drawn uniformly among those of 4 to 6 entries."""
        masks = masks_of_sizes(len(asked["l"]), LEAST, MOST)
        return members(int(masks[rng.integers(len(masks))]), list(asked["l"]))

    def chance(self, example: Example) -> float:
        """1 / number of subsets with 4 to 6 entries."""
        n = len(example.input["l"])
        return 1 / sum(math.comb(n, size) for size in range(LEAST, MOST + 1))

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        parts = [self.finish_few(rows[start : start + _ROWS], rng) for start in range(0, len(rows), _ROWS)]
        return [built for part in parts for built in part]

    def finish_few(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        """As `finish`, for so few rows that all their subset sums fit in memory."""
        raise TypeError(f"{self.name} has no generator")

    def solve(self, asked: Input) -> Answer:
        """By reachable sums: for each (size, sum) one way to reach it, entry by entry; sizes above 6 are not needed."""
        ways: dict[tuple[int, int], list[int]] = {(0, 0): []}
        for entry in asked["l"]:
            for (size, total), chosen in list(ways.items()):
                if size < MOST:
                    ways.setdefault((size + 1, total + entry), [*chosen, entry])
        return next((chosen for (size, total), chosen in sorted(ways.items()) if size >= LEAST and self.fits(asked, total)), None)


class SubsetSum(SubsetTask):
    """Entries with sum k, produced by exactly one subset of any size."""

    name, title, level = "subset_sum", "subset sum", 4
    description = (
        "You are given a list of numbers $l$ and a number $k$. Find entries of the list, at different positions, whose sum is exactly $k$."
    )

    def why_invalid(self, asked: Input) -> str | None:
        reached = {0: 1}
        for entry in asked["l"]:
            for total, count in list(reached.items()):
                reached[total + entry] = min(2, reached.get(total + entry, 0) + count)
        found = reached.get(asked["k"], 0)
        return super().why_invalid(asked) or (
            None if found == 1 else f"subset_sum: {found or 'no'} subset(s) have the sum {asked['k']}; it must be one"
        )

    def finish_few(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        sums = subset_sums(rows)[:, 1:]
        ordered, masks = sorted_with_names(sums, np.arange(1, sums.shape[1] + 1))
        sizes = popcount(masks)
        column, good = choose_true(differs_from_neighbours(ordered) & (sizes >= LEAST) & (sizes <= MOST), rng)
        each = np.arange(len(rows))
        found = zip(rows.tolist(), ordered[each, column].tolist(), masks[each, column].tolist(), good.tolist(), strict=True)
        return [({"l": row, "k": total}, members(mask, row)) if fine else None for row, total, mask, fine in found]


class SubsetSumInRange(SubsetTask):
    """Entries with a < sum < b, where one subset of 4 to 6 entries lies in the open interval."""

    name, title, level = "subset_sum_in_range", "subset sum in a range", 4
    description = (
        "You are given a list of numbers $l$ and two numbers $a$ and $b$. Find entries of the list, at different positions, "
        "whose sum is greater than $a$ and less than $b$."
    )

    def fits(self, asked: Input, total: int) -> bool:
        return asked["a"] < total < asked["b"]

    def why_invalid(self, asked: Input) -> str | None:
        rows = np.array([asked["l"]])
        sums = subset_sums(rows)[0, masks_of_sizes(rows.shape[1], LEAST, MOST)]
        found = int(((sums > asked["a"]) & (sums < asked["b"])).sum())
        return super().why_invalid(asked) or (
            None if found == 1 else f"{self.name}: {found} subsets of 4 to 6 lie in the range; it must be one"
        )

    def finish_few(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        names = masks_of_sizes(rows.shape[1], LEAST, MOST)
        ordered, masks = sorted_with_names(subset_sums(rows)[:, names], names)
        inner = differs_from_neighbours(ordered)
        inner[:, [0, -1]] = False
        column, good = choose_true(inner, rng)
        each = np.arange(len(rows))
        before, after = (
            ordered[each, np.maximum(column - 1, 0)].tolist(),
            ordered[each, np.minimum(column + 1, ordered.shape[1] - 1)].tolist(),
        )
        found = zip(rows.tolist(), before, after, masks[each, column].tolist(), good.tolist(), strict=True)
        return [({"l": row, "a": a, "b": b}, members(mask, row)) if fine else None for row, a, b, mask, fine in found]
