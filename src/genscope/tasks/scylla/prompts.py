"""What is said to the model: the probe for familiar inputs, the question in each mode, the solved examples for base models."""

from __future__ import annotations

from collections.abc import Sequence

from genscope.core.example import Example
from genscope.tasks.scylla.algorithmic import AlgorithmicTask

SECOND_STAGE = "Therefore, the answer is"
"""The trigger of the second stage of a chain of thought."""

_INVENT = {
    "longest_common_subarray": "random pairs of lists of numbers; write each pair as one list that holds two lists, such as [[..., ...], [..., ...]]",
    "tsp": "random symmetric matrices of distances with a zero diagonal, for more than 3 cities; write each matrix as a list of rows, such as [[0, ...], [...]]",
}


def probe_prompt(task: AlgorithmicTask) -> str:
    """Asks the model to invent inputs for a program that solves the task; its numbers are what it finds familiar."""
    things = _INVENT.get(task.name, "random lists of numbers")
    return (
        f"I have written a program that does {task.title}. This is what it does: {task.description}\n\n"
        f"Invent test inputs for it: {things}. Put each one in square brackets, with commas between the numbers. Use whole numbers that are not negative. "
        "No list may be empty, and none should be too long. Give the inputs only: no outputs, no code, no explanations. "
        "Write as many test inputs as you can, one on each line."
    )


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
