"""Task: renders examples as prompts and scores replies; the interface that every task family fulfils."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from genscope.core.card import Card
from genscope.core.example import Example

How = Literal["strict", "fallback", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a reply is worth.

    correct: whether the answer is right (False when unparsed); parsed: whether an answer was found at all;
    how: "strict" (where it was asked for), "fallback" (elsewhere in the reply), "none"; value: the answer that was found.
    """

    correct: bool
    parsed: bool
    how: How
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Proof that splits do not meet: sizes, and the number of shared examples and shared elements (both 0, or `ok` is False)."""

    sizes: dict[str, int]
    shared_examples: int
    shared_elements: int
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """True when nothing is shared."""
        return self.shared_examples == 0 and self.shared_elements == 0


class Task(ABC):
    """A family of examples with one parser and one scorer. Tasks are values: nothing changes after construction."""

    name: str
    title: str
    version: int
    card: Card
    level: int | None

    @abstractmethod
    def prompt(self, example: Example) -> str:
        """The question as people and language models read it, without the answer-format rule."""

    @abstractmethod
    def score(self, example: Example, reply: str) -> Score:
        """Parse and grade a reply. Never raises on any text: what cannot be read is `parsed=False`."""

    @abstractmethod
    def chance(self, example: Example) -> float:
        """Probability that a guess of the right format is correct, in [0, 1]."""
