"""Entries whose sum is a multiple of ten, with exactly one combination of positions that works. Levels O([N^2,N^3]) to O(2^N).

Only residues mod 10 matter. Vectors of residues with one qualifying combination are found by hill climbing on the count, kept, and filled
with elements of those residues; positions are shuffled, so that no position tells the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Int

from genscope.core.example import Example
from genscope.core.seeds import Seed
from genscope.tasks.scylla.algorithmic import Answer, Built, Input, ListTask, is_sub_multiset
from genscope.tasks.scylla.combinations import masks_of_sizes
from genscope.tasks.scylla.pool import Pool
from genscope.tasks.scylla.subsets import LEAST, MOST
from genscope.tasks.scylla.sums import orders

KEPT = 256
"""Residue vectors kept for each (sizes, n)."""
_FILE = Path(__file__).with_name("residues.npz")
_CLIMBERS = 512
_ENUMERATED = 8
"""Entries up to which all combinations of a row are tried at once."""
_MOVES = 300
"""Moves before a climber starts anew."""

# m rows, n entries, w kept vectors


def qualifying(residues: Int[np.ndarray, "m n"], least: int, most: int) -> Int[np.ndarray, " m"]:
    """Number of position sets of `least` to `most` entries whose residues sum to 0 mod 10, by a table over (size, residue)."""
    ways = np.zeros((len(residues), most + 1, 10), dtype=np.int64)
    ways[:, 0, 0] = 1
    each = np.arange(len(residues))[:, None]
    for place in range(residues.shape[1]):
        source = (np.arange(10)[None, :] - residues[:, place : place + 1]) % 10
        for size in range(min(most, place + 1), 0, -1):
            ways[:, size] += ways[each, size - 1, source]
    return ways[:, least:, 0].sum(1)


@cache
def vectors(n: int, least: int, most: int) -> Int[np.ndarray, "w n"]:
    """At least 200 residue vectors of length n with exactly one qualifying combination, from the file that `search` made."""
    with np.load(_FILE, allow_pickle=False) as held:
        return held[f"{least}-{most}-{n}"].astype(np.int64)


def search(n: int, least: int, most: int) -> Int[np.ndarray, "w n"]:
    """Find residue vectors by hill climbing: change one residue, keep what brings the count of combinations nearer to one, and 2 % of the rest.

    A function of its arguments only. `python -m genscope.tasks.scylla.multiple_ten` writes them all to the package's file.
    """
    rng = Seed("scylla", "residues", n, least, most).rng()
    found: dict[bytes, np.ndarray] = {}
    state, count, moves = _start(_CLIMBERS, n, least, most, rng)
    while len(found) < KEPT:
        place = rng.integers(0, n, _CLIMBERS)
        trial = state.copy()
        trial[np.arange(_CLIMBERS), place] = rng.integers(0, 10, _CLIMBERS)
        new = qualifying(trial, least, most)
        better = (np.abs(new - 1) <= np.abs(count - 1)) | (rng.random(_CLIMBERS) < 0.02)
        state[better], count[better] = trial[better], new[better]
        moves += 1
        for row in np.flatnonzero(count == 1):
            found.setdefault(state[row].tobytes(), state[row].copy())
        stale = (count == 1) | (moves > _MOVES)
        if stale.any():
            state[stale], count[stale], moves[stale] = _start(int(stale.sum()), n, least, most, rng)
    return np.array(list(found.values())[:KEPT])


def _start(count: int, n: int, least: int, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fresh climbers: one common residue with a few others, from where a single combination is near."""
    common = rng.integers(0, 10, (count, 1))
    state = np.where(rng.random((count, n)) < rng.random((count, 1)), rng.integers(0, 10, (count, n)), common)
    return state, qualifying(state, least, most), np.zeros(count, dtype=int)


class MultipleTenTask(ListTask):
    """An answer of `least` to `most` entries whose sum is a multiple of ten, order free."""

    least: int
    most: int

    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        sized = len(answer) == self.least or (self.least < self.most and len(answer) > 0)  # a subset may have any size
        return sized and is_sub_multiset(answer, asked["l"]) and sum(answer) % 10 == 0

    def same(self, answer: Answer, target: Answer) -> bool:
        return sorted(answer) == sorted(target)

    def gold_answers(self, example: Example, rng: np.random.Generator, most: int = 6) -> list[Answer]:
        return orders(example.target, rng, most)

    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        n = len(asked["l"])
        weights = np.array([math.comb(n, size) for size in range(self.least, self.most + 1)], float)
        size = int(rng.choice(np.arange(self.least, self.most + 1), p=weights / weights.sum()))
        return [asked["l"][place] for place in np.sort(rng.permutation(n)[:size])]

    def chance(self, example: Example) -> float:
        """1 / number of position sets of the allowed sizes."""
        n = len(example.input["l"])
        return 1 / sum(math.comb(n, size) for size in range(self.least, self.most + 1))

    def solve(self, asked: Input) -> Answer:
        for size in range(self.least, self.most + 1):
            for chosen in combinations(asked["l"], size):
                if sum(chosen) % 10 == 0:
                    return list(chosen)
        return None

    def why_invalid(self, asked: Input) -> str | None:
        count = int(qualifying(np.array([asked["l"]]) % 10, self.least, self.most)[0])
        return super().why_invalid(asked) or (
            None if count == 1 else f"{self.name}: {count} combinations sum to a multiple of ten; it must be one"
        )

    def entries(self, n: int, count: int, pool: Pool, rng: np.random.Generator) -> Int[np.ndarray, "m n"] | None:
        """Choose kept vectors (or their multiples by 3, 7, 9, which keep zero sums) that the pool can serve, shuffle, fill with elements."""
        kept = vectors(n, self.least, self.most)
        kept = np.concatenate([kept * unit % 10 for unit in (1, 3, 7, 9)])
        there = np.array([len(part) > 0 for part in pool.by_residue])
        served = kept[there[kept].all(1)]
        if not len(served):
            return None
        chosen = rng.permuted(served[rng.integers(0, len(served), count)], axis=1)
        rows = np.empty_like(chosen)
        for residue in np.flatnonzero(there):
            where = chosen == residue
            part = pool.by_residue[residue]
            rows[where] = part[rng.integers(0, len(part), int(where.sum()))]
        return rows

    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        residues = rows % 10
        good = qualifying(residues, self.least, self.most) == 1
        members = iter(_ones(residues[good], self.least, self.most))
        return [
            ({"l": row}, [entry for entry, chosen in zip(row, next(members), strict=True) if chosen]) if fine else None
            for row, fine in zip(rows.tolist(), good.tolist(), strict=True)
        ]

    def repair(self, value: Sequence[int], rng: np.random.Generator) -> Built | None:
        """None qualifies: increment random entries; more than one: overwrite random entries by one repeated value; at most 100 tries."""
        if not self.lengths[0] <= len(value) <= self.lengths[1]:
            return None
        row = list(value)
        filler = int(rng.choice([number for number in value if number % 10] or [1]))
        for _ in range(100):
            count = _count_up_to_two([number % 10 for number in row], self.least, self.most)
            if count == 1:
                return self.finish(np.array([row]), rng)[0]
            place = int(rng.integers(len(row)))
            row[place] = row[place] + 1 if count == 0 else filler
        return None


def _count_up_to_two(residues: Sequence[int], least: int, most: int) -> int:
    """As `qualifying` for one vector, counting no further than two."""
    ways = [[0] * 10 for _ in range(most + 1)]
    ways[0][0] = 1
    for place, residue in enumerate(residues):
        for size in range(min(most, place + 1), 0, -1):
            before, here = ways[size - 1], ways[size]
            for total in range(10):
                if before[total]:
                    here[(total + residue) % 10] = min(2, here[(total + residue) % 10] + before[total])
    return min(2, sum(ways[size][0] for size in range(least, most + 1)))


def _ones(residues: Int[np.ndarray, "m n"], least: int, most: int) -> list[list[bool]]:
    """For each row, where its one qualifying combination lies: by trying all combinations of short rows, else one row after the other."""
    if residues.shape[1] > _ENUMERATED:
        return [_one(tuple(row), least, most) for row in residues.tolist()]
    members_CN = masks_of_sizes(residues.shape[1], least, most)[:, None] >> np.arange(residues.shape[1]) & 1
    return members_CN[(residues @ members_CN.T % 10 == 0).argmax(1)].astype(bool).tolist()


def _one(residues: tuple[int, ...], least: int, most: int) -> list[bool]:
    """Where the one qualifying combination lies: entries whose removal leaves no way, found by a table over (size, residue)."""
    ways: dict[tuple[int, int], int] = {(0, 0): 0}
    for place, residue in enumerate(residues):
        for (size, total), mask in list(ways.items()):
            if size < most:
                ways.setdefault((size + 1, (total + residue) % 10), mask | 1 << place)
    mask = next(mask for (size, total), mask in ways.items() if size >= least and total == 0)
    return [bool(mask >> place & 1) for place in range(len(residues))]


_TEXT = "You are given a list of numbers. Find {} entries of the list, at different positions, whose sum is a multiple of 10."
_RULE = "<ANSWER> is a list of {}numbers in square brackets, separated by commas"


class ThreeSumMultipleTen(MultipleTenTask):
    """Three entries."""

    name, title, level, least, most, lengths = "three_sum_multiple_ten", "three sum to a multiple of ten", 2, 3, 3, (4, 16)
    description, answer_rule = _TEXT.format("three"), _RULE.format("exactly three ")


class FourSumMultipleTen(MultipleTenTask):
    """Four entries."""

    name, title, level, least, most, lengths = "four_sum_multiple_ten", "four sum to a multiple of ten", 3, 4, 4, (5, 16)
    description, answer_rule = _TEXT.format("four"), _RULE.format("exactly four ")


class SubsetSumMultipleTen(MultipleTenTask):
    """A subset; exactly one of 4 to 6 entries qualifies."""

    name, title, level, least, most, lengths = "subset_sum_multiple_ten", "subset sum to a multiple of ten", 4, LEAST, MOST, (6, 16)
    description, answer_rule = _TEXT.format("some"), _RULE.format("")
    direct_tokens = 48


def write_file() -> None:
    """Search all vectors anew and write the package's file."""
    tasks = (ThreeSumMultipleTen, FourSumMultipleTen, SubsetSumMultipleTen)
    found = {
        f"{task.least}-{task.most}-{n}": search(n, task.least, task.most).astype(np.uint8)
        for task in tasks
        for n in range(task.lengths[0], task.lengths[1] + 1)
    }
    np.savez_compressed(_FILE, allow_pickle=False, **found)


if __name__ == "__main__":
    write_file()
