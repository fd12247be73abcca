"""What is said to the model: the probe for familiar inputs, the question in each mode, the solved examples for base models."""

from __future__ import annotations

from collections.abc import Sequence

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import AlgorithmicTask

SECOND_STAGE = "Therefore, the answer is"
"""The trigger of the second stage of a chain of thought."""

_INVENT = {
    "longest_common_subarray": "random pairs of lists of numbers as test inputs for this task ({title}). Write each pair as one list that holds two lists",
    "tsp": "random symmetric matrices of distances with a zero diagonal, for more than 3 cities, as test inputs for this task ({title}). "
    "Write each matrix as one list of its rows",
}
_LISTS = "random lists of numbers as test inputs for this task ({title}). Write each list in square brackets"
_OPENINGS = {"longest_common_subarray": "[[", "tsp": "[[0,"}


def probe_prompt(task: AlgorithmicTask) -> str:
    """Asks the model to invent inputs for a program that solves the task; its numbers are what it finds familiar."""
    things = _INVENT.get(task.name, _LISTS).format(title=task.title)
    return (
        f"{task.description}\n\nWrite {things}, one on each line. Use non-negative whole numbers. None may be empty, and none should be too long. "
        "No outputs, no code, no explanations. Write as many as you can."
    )


def probe_opening(task: AlgorithmicTask) -> str:
    """How a reply to the probe begins, forced where the model can: the first list is opened, so that small models write lists at all."""
    return f"Here are the test inputs:\n{_OPENINGS.get(task.name, '[')}"


def answer_opening(task: AlgorithmicTask) -> str:
    """How a direct answer begins, forced where the model can; a list answer's bracket is opened."""
    return "The answer is" if task.answer_kind == "number" else "The answer is ["


def solve_prompt(task: AlgorithmicTask, example: Example, mode: str) -> str:
    """The question in mode "cot" (ends with an opener), "direct" or "likelihood" (asks for the answer at once)."""
    question = f"Here is a task: {task.title}.\n{task.description}\n\nInput:\n{task.prompt(example)}\n\n"
    if mode == "cot":
        rule = f'Solve the task for this input. End your reply with "The answer is <ANSWER>", where {task.answer_rule}.'
        return f"{question}{rule}\n\nLet's think step by step."
    return f'{question}Reply with "The answer is <ANSWER>" and nothing else, where {task.answer_rule}.'


def few_shot(task: AlgorithmicTask, demonstrations: Sequence[Example], example: Example, description: bool = True) -> str:
    """Solved instances and the open one, for models that continue text; list answers without brackets."""
    head = [f"{task.description}\n"] if description else []
    solved = [f"Input: {task.prompt(one)}\nOutput: {task.answer_text(one.target, 'plain')}\n" for one in demonstrations]
    return "\n".join([*head, *solved, f"Input: {task.prompt(example)}\nOutput:"])
