"""OOD elements: numbers that the model never wrote, from one of three universes.

paper: 0..9999 (the text of Qi et al. 2025); code: 1000..9999, distances 100..999 (the authors' code); matched: as many numbers of each digit count
as in the ID data, so that new numbers are not longer ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from genscope.core.errors import TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.tasks.scylla.algorithmic import AlgorithmicTask
from genscope.tasks.scylla.pool import Pool

Universe = Literal["paper", "code", "matched"]
_ENUMERATED = 6
"""Digit counts up to which the numbers of a length are listed; longer ones are drawn and checked."""


@dataclass(frozen=True, slots=True)
class OodElements:
    """The OOD pool, and the digit counts that had to leave the ID side because all their numbers are familiar ("matched" only)."""

    pool: Pool
    exhausted_digits: tuple[int, ...] = ()


def ood_pool(
    task: AlgorithmicTask, elements: Int[np.ndarray, " m"], universe: str, seed: Seed, also_exclude: Iterable[int] = ()
) -> OodElements:
    """A pool as large as the ID multiset, drawn uniformly from the universe without the ID elements (and `also_exclude`).

    Raises TaskError when nothing is left of the universe.
    """
    known = np.union1d(np.unique(elements), np.fromiter(also_exclude, dtype=np.int64))
    rng = seed.child(task.name, "ood pool", universe).rng()
    if universe == "matched":
        return _matched(task, elements, known, rng)
    bounds = {"paper": (0, 10_000), "code": (100, 1_000) if task.name == "tsp" else (1_000, 10_000)}.get(universe)
    if bounds is None:
        raise UsageError(f"universe must be paper, code or matched; got {universe!r}")
    left = np.setdiff1d(np.arange(*bounds), known, assume_unique=True)
    if not len(left):
        raise TaskError(
            f"{task.name}: no OOD element is left: the ID data holds every number from {bounds[0]} to {bounds[1] - 1}. Use --with scylla:universe=matched or give other ID data"
        )
    return OodElements(Pool(left[rng.integers(0, len(left), len(elements))], left))


def digit_counts(numbers: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """Number of decimal digits of each number; 0 has one."""
    return np.array([len(str(number)) for number in numbers.tolist()], dtype=np.int64)


def _matched(task: AlgorithmicTask, elements: Int[np.ndarray, " m"], known: Int[np.ndarray, " k"], rng: np.random.Generator) -> OodElements:
    parts, wider, exhausted = [], [], []
    digits = digit_counts(elements)
    for count in np.unique(digits).tolist():
        low, high = (0 if count == 1 else 10 ** (count - 1)), 10**count
        wanted = int((digits == count).sum())
        if count <= _ENUMERATED:
            left = np.setdiff1d(np.arange(low, high), known, assume_unique=True)
        else:
            left = np.setdiff1d(np.unique(rng.integers(low, high, 4 * wanted + 64)), known, assume_unique=True)
        if not len(left):
            exhausted.append(count)
            continue
        parts.append(left[rng.integers(0, len(left), wanted)])
        wider.append(left)
    if not parts:
        raise TaskError(
            f"{task.name}: no OOD element is left: the ID data holds every number with as many digits as its own. Use --with scylla:universe=paper"
        )
    return OodElements(Pool(np.concatenate(parts), np.concatenate(wider)), tuple(exhausted))
