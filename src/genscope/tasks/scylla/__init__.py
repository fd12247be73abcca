"""Scylla: twenty algorithmic tasks over five complexity levels, with in-distribution and out-of-distribution elements.

Source: Qi et al. 2025, "Quantifying Generalization Complexity for Large Language Models" (arXiv 2410.01769).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from genscope.core.errors import TaskError, unknown
from genscope.tasks.scylla.algorithmic import AlgorithmicTask, Built
from genscope.tasks.scylla.id_source import IdSource, extract
from genscope.tasks.scylla.multiple_ten import FourSumMultipleTen, SubsetSumMultipleTen, ThreeSumMultipleTen
from genscope.tasks.scylla.ordering import RemoveDuplicateNumbers, SortNumbers
from genscope.tasks.scylla.prompts import SECOND_STAGE, answer_opening, few_shot, probe_opening, probe_prompt, solve_prompt
from genscope.tasks.scylla.sampler import Sampler
from genscope.tasks.scylla.selection import FindMaximum, FindMinimum, FindMode, FindTopk
from genscope.tasks.scylla.sequences import LongestCommonSubarray, LongestConsecutiveElements, LongestIncreasingSubsequence
from genscope.tasks.scylla.subsets import SubsetSum, SubsetSumInRange
from genscope.tasks.scylla.sums import FourSum, FourSumInRange, ThreeSum, ThreeSumInRange, TwoSum
from genscope.tasks.scylla.tour import TSP
from genscope.tasks.scylla.universe import ood_pool

LEVELS = ("O(N)", "O([N,N^2])", "O([N^2,N^3])", "O([N^3,N^4])", "O(2^N)")
"""Time complexity of the algorithms that solve a level's tasks, in order; a level's index is its place."""
LEVEL_LABELS = ("0 O(N)", "1 O([N,N²])", "2 O([N²,N³])", "3 O([N³,N⁴])", "4 O(2ᴺ)")
"""Levels as pages show them."""
SHORT_LEVELS = ("0 N", "1 N–N²", "2 N²–N³", "3 N³–N⁴", "4 2ᴺ")
"""Levels as narrow charts show them."""

_ALL: tuple[AlgorithmicTask, ...] = (
    FindMinimum(), FindMaximum(), FindMode(),
    FindTopk(), TwoSum(), SortNumbers(), RemoveDuplicateNumbers(),
    ThreeSum(), ThreeSumInRange(), ThreeSumMultipleTen(),
    FourSum(), FourSumInRange(), FourSumMultipleTen(),
    SubsetSum(), SubsetSumInRange(), SubsetSumMultipleTen(), TSP(),
    LongestIncreasingSubsequence(), LongestConsecutiveElements(), LongestCommonSubarray(),
)  # fmt: skip
_BY_NAME = {one.name: one for one in _ALL}
NAMES = tuple(_BY_NAME)
ANCHORS = tuple(one.name for one in _ALL if one.level is not None)
PROBES = tuple(one.name for one in _ALL if one.level is None)

__all__ = [
    "ANCHORS",
    "LEVELS",
    "LEVEL_LABELS",
    "NAMES",
    "PROBES",
    "SECOND_STAGE",
    "SHORT_LEVELS",
    "AlgorithmicTask",
    "Built",
    "IdSource",
    "Sampler",
    "answer_opening",
    "extract",
    "few_shot",
    "ood_pool",
    "probe_opening",
    "probe_prompt",
    "select",
    "solve_prompt",
    "task",
]


def task(name: str) -> AlgorithmicTask:
    """The task of that name: find_minimum, find-minimum and FindMinimum mean the same.

    >>> task("ThreeSumInRange").name, task("TSP").name
    ('three_sum_in_range', 'tsp')
    """
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()).replace("-", "_").replace(" ", "_").lower()
    if plain not in _BY_NAME:
        raise TaskError(unknown("task", name, NAMES))
    return _BY_NAME[plain]


def select(tasks: Sequence[str] | None = None, levels: Sequence[str | int] | None = None) -> tuple[AlgorithmicTask, ...]:
    """The named tasks, or all; of these the ones on the named levels (0..4 or their text), or all. Order and repetitions do not matter."""
    chosen = {task(name).name for name in tasks} if tasks is not None else set(NAMES)
    if levels is not None:
        wanted = {_level(level) for level in levels}
        chosen = {name for name in chosen if _BY_NAME[name].level in wanted}
    if not chosen:
        raise TaskError(
            f"no task is left: tasks {', '.join(tasks or ['all'])} on levels {', '.join(map(str, levels or ['all']))}. `genscope list tasks` shows each task's level"
        )
    return tuple(one for one in _ALL if one.name in chosen)


def _level(level: str | int) -> int:
    text = str(level).replace(" ", "")
    if text in LEVELS:
        return LEVELS.index(text)
    if text.isdigit() and int(text) < len(LEVELS):
        return int(text)
    raise TaskError(f"level must be 0 to {len(LEVELS) - 1} or one of {', '.join(LEVELS)}; got {level!r}")
