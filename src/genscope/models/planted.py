"""The planted solver: a made-up model with a known generalization valley, to check the whole pipeline and to show what a page looks like.

It reads prompts and writes replies like any model. It answers rightly with probability `P_ID[level]` when all numbers of a question
are in its familiar set 0..99, else with `P_OOD[level]`; its wrong replies are well formed; `unparsable` of all replies hold no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from genscope.core.canonical import digest
from genscope.core.example import Example
from genscope.core.reply import GenerateJob, OnReplies, Reply, Request, Sampling
from genscope.core.seeds import Seed
from genscope.models.model import Description, Model
from genscope.tasks import scylla

P_ID = (0.98, 0.90, 0.55, 0.20, 0.06)
P_OOD = (0.95, 0.70, 0.15, 0.10, 0.05)
P_PROBE_TASKS = (0.80, 0.60)
"""Right answers to the three probe tasks, which carry no level."""
UNPARSABLE = 0.05
FAMILIAR = 99
"""The largest familiar number."""


class PlantedSolver(Model):
    """Named `demo` on the command line. Synthetic: every page of it says so."""

    name = "demo"
    abilities = frozenset({"generate", "sample", "chat"})
    block = 16
    spends = False

    def __init__(self, p_id: Sequence[float] = P_ID, p_ood: Sequence[float] = P_OOD, unparsable: float = UNPARSABLE) -> None:
        self.p_id, self.p_ood, self.unparsable = tuple(p_id), tuple(p_ood), unparsable

    def identity(self) -> dict[str, Any]:
        return {"kind": "planted", "version": 1, "p_id": list(self.p_id), "p_ood": list(self.p_ood), "unparsable": self.unparsable}

    def describe(self) -> Description:
        facts = {"planted ID accuracy by level": _percents(self.p_id), "planted OOD accuracy by level": _percents(self.p_ood)}
        return Description(
            name="demo", sentence="Synthetic: a planted solver with a known valley at level 2, not a real model", facts=facts
        )

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            if stop():
                return
            done(place, [self._reply(request, job.sampling, job.repeat, row) for row, request in enumerate(job.requests)])

    def _reply(self, request: Request, sampling: Sampling, repeat: int, row: int) -> Reply:
        text = next(
            message.content for message in reversed(request.messages) if message.role == "user" and message.content != scylla.SECOND_STAGE
        )
        sampled = [sampling.seed, repeat, row] if sampling.temperature else []
        rng = Seed("planted", digest([text, sampled])).rng()
        read = read_question(text)
        answer = self._probe(text, rng) if read is None else self._answer(*read, rng)
        return Reply(text=answer, tokens_in=len(text) // 4, tokens_out=len(answer) // 4)

    def _answer(self, task: scylla.AlgorithmicTask, asked: Mapping[str, Any], rng: np.random.Generator) -> str:
        if rng.random() < self.unparsable:
            return "I would rather not say."
        familiar = max(_numbers(asked)) <= FAMILIAR
        chances = (self.p_id if familiar else self.p_ood) if task.level is not None else P_PROBE_TASKS
        p = chances[task.level] if task.level is not None else chances[0 if familiar else 1]
        right = task.solve(asked)
        example = Example(task=task.name, input=asked, target=right, factors={"optimum": task.optimum(asked)})
        answer = right if rng.random() < p else task.wrong_answers(example, 1, rng)[0]
        return f"I look at the numbers one by one. The answer is {task.answer_text(answer)}."

    def _probe(self, text: str, rng: np.random.Generator) -> str:
        name = _task_named(text)
        if name == "tsp":
            return "\n".join(str(_matrix(int(rng.integers(4, 9)), rng)) for _ in range(4))
        if name == "longest_common_subarray":
            return "\n".join(str([_list(rng), _list(rng)]) for _ in range(6))
        return "Here are some test inputs:\n" + "\n".join(f"- {_list(rng)}" for _ in range(8))


def read_question(text: str) -> tuple[scylla.AlgorithmicTask, dict[str, Any]] | None:
    """The task and input that a solve prompt states; None for a text without an instance (a probe prompt)."""
    found: dict[str, str] = dict(_ASSIGNMENT.findall(text))
    asked: dict[str, Any] = {}
    for name, value in found.items():
        numbers = [int(word) for word in re.findall(r"\d+", value)]
        asked[name.replace("_", "")] = numbers if name.startswith("l") else numbers[0] if numbers else 0
    matrix = _MATRIX.search(text)
    if matrix:
        rows = [[int(word) for word in re.findall(r"\d+", row)] for row in matrix[1].split("\\\\") if row.strip()]
        asked = {"n": len(rows), "D": rows}
    elif not asked:
        bare = _BARE.findall(text)
        if not bare:
            return None
        asked = {"l": [int(word) for word in bare[-1].split()]}
    name = _task_named(text)
    return None if name is None else (scylla.task(name), asked)


_ASSIGNMENT = re.compile(r"\$(l|k|a|b|l_1|l_2)\$ = ([\d ]+)")
_MATRIX = re.compile(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", re.DOTALL)
_BARE = re.compile(r"^(\d+(?: \d+)+)$", re.MULTILINE)


def _task_named(text: str) -> str | None:
    """The task whose title the text holds; the longest title wins, since some are parts of others."""
    low = text.lower()
    held = [task for task in map(scylla.task, scylla.NAMES) if task.title.lower() in low]
    return max(held, key=lambda task: len(task.title)).name if held else None


def _numbers(value: Any) -> list[int]:
    if isinstance(value, Mapping):
        return [n for name, item in value.items() if name in ("l", "l1", "l2", "D") for n in _numbers(item)]
    return [n for item in value for n in _numbers(item)] if isinstance(value, (list, tuple)) else [int(value)]


def _list(rng: np.random.Generator) -> list[int]:
    return rng.integers(0, FAMILIAR + 1, rng.integers(6, 11)).tolist()


def _matrix(n: int, rng: np.random.Generator) -> list[list[int]]:
    half = np.triu(rng.integers(1, FAMILIAR + 1, (n, n)), 1)
    return (half + half.T).tolist()


def _percents(values: Sequence[float]) -> str:
    return ", ".join(f"{100 * value:.0f} %" for value in values)
