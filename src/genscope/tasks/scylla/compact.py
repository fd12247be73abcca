"""The compact style of the Scylla tasks: for small models trained from scratch, with a word for each number and each task.

    find_topk 5 70 8 9 k 2 >      is answered      9 EoS
    sort_numbers 5 70 8 9 >       is answered      5 8 9 70 EoS

The reply's words, with the end left out, follow "The answer is" and go through the task's own parser and scorer, as any model's reply does.
"""

from __future__ import annotations

from genscope.core.errors import TaskError, unknown
from genscope.tasks.scylla.algorithmic import AlgorithmicTask, Answer, Input

LARGEST = 399
"""The largest number that has a word: the sum of four entries below 100 and a little more."""
END, ASK, PARAMETER = "EoS", ">", "k"
YES, NO = "yes", "no"
KNOWLEDGE = ("larger_of", "successor_of", "sum_of", "in_list")
"""What is known of numbers before any task: the larger of two, the next one, the sum of two, whether k is in a list."""
TASKS = (
    "find_minimum", "find_maximum", "find_mode",
    "find_topk", "two_sum", "sort_numbers", "remove_duplicate_numbers",
    "three_sum", "three_sum_multiple_ten",
    "four_sum", "four_sum_multiple_ten",
    "subset_sum", "subset_sum_multiple_ten",
)  # fmt: skip
"""Tasks that have a compact form: those on one list with at most one parameter, up to three a level."""
MOST = 8
"""Words of an answer at most: six entries and the end, and one to spare."""
LEAD = "The answer is "
"""What stands before a compact reply when it is parsed."""


def words() -> tuple[str, ...]:
    """The vocabulary, numbers last."""
    return (END, ASK, PARAMETER, YES, NO, *KNOWLEDGE, *TASKS, *map(str, range(LARGEST + 1)))


def known(asked: Input) -> bool:
    """Whether every number of an input has a word.

    >>> known({"l": [1, 2], "k": 399}), known({"l": [1, 2], "k": 400})
    (True, False)
    """
    return asked.get("k", 0) <= LARGEST and max(asked["l"]) <= LARGEST


def prompt(name: str, asked: Input) -> str:
    """A question in words; TaskError for a task without a compact form.

    >>> prompt("find_topk", {"l": [5, 70, 8, 9], "k": 2})
    'find_topk 5 70 8 9 k 2 >'
    """
    if name not in TASKS and name not in KNOWLEDGE:
        raise TaskError(unknown("task with a compact form:", name, TASKS))
    parameter = [PARAMETER, str(asked["k"])] if "k" in asked else []
    return " ".join([name, *map(str, asked["l"]), *parameter, ASK])


def answer(task: AlgorithmicTask, target: Answer) -> str:
    """An answer in words, its end included."""
    return f"{task.answer_text(target, 'plain')} {END}"
