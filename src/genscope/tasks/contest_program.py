"""Programming contest problems: the reply's program is run on the problem's tests by a runner that the caller gives (a sandbox), never in this process."""

from __future__ import annotations

import re
from collections.abc import Callable

from genscope.core.card import Card
from genscope.core.example import Example
from genscope.core.text import clean
from genscope.tasks.task import Score, Task

Runner = Callable[[str, str], str | None]
"""(program, standard input) -> standard output, None where it failed, was too slow or took too much memory."""
_FENCED = re.compile(r"```(?:python|py|python3)?[ \t]*\n(.*?)```", re.DOTALL)


class ContestProgram(Task):
    """A program that must pass every test. target: [[standard input, wanted output], ...]."""

    version = 1
    level = None
    scorer: str = "program"
    card = Card(motivation="practical", type="robustness", shift="assumed", source="naturally occurring", locus="pretrain-test")

    def __init__(self, name: str, runner: Runner | None = None) -> None:
        self.name = self.title = name
        self.runner = runner

    def prompt(self, example: Example) -> str:
        """The problem with its samples."""
        return example.input["question"]

    def answer_rule(self) -> str:
        """The answer format that is asked for."""
        return "Write a Python 3 program that reads standard input and writes standard output, in one ```python block."

    def score(self, example: Example, reply: str) -> Score:
        """Right where the last fenced program passes every test; without a runner no program counts as run (parsed, not right)."""
        blocks = _FENCED.findall(clean(reply))
        if not blocks:
            return Score(correct=False, parsed=False, how="none")
        program = blocks[-1]
        if self.runner is None:
            return Score(correct=False, parsed=True, how="strict", value="not run")
        passed = 0
        for given, wanted in example.target:
            made = self.runner(program, given)
            if made is None or made.split() != wanted.split():
                return Score(correct=False, parsed=True, how="strict", value=f"passed {passed} tests")
            passed += 1
        return Score(correct=True, parsed=True, how="strict", value=f"passed {passed} tests")

    def chance(self, example: Example) -> float:
        """0: no program passes by chance."""
        return 0.0
