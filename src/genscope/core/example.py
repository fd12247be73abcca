"""Example: one question of a task, with an id that depends on what is asked and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genscope.core.canonical import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One instance of a task.

    task: name of the task; input: what is asked, as plain JSON; target: one stored right answer, as plain JSON;
    level: complexity level (index) or None; split: "id", "ood" or the user's own name;
    index: place in the seeded stream, so that instance i is the same however many are asked for;
    factors: named facts about it that are no part of the question ("n": 5, "optimum": 95).
    """

    task: str
    input: Mapping[str, Any]
    target: Any
    level: int | None = None
    split: str = ""
    index: int = 0
    factors: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Hash of task and input: the same question has the same id in every split, run and process."""
        return example_id(self.task, self.input)


def example_id(task: str, input: Mapping[str, Any]) -> str:
    """The id of an example: 16 hex digits of the hash of its canonical form."""
    return digest([task, input], size=8)
