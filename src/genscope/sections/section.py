"""Section: one part of a profile, from the questions it asks to the page it draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genscope.core.records import Record
from genscope.core.response import Response
from genscope.models.ask import Asker
from genscope.models.model import Ability, Description, Model
from genscope.pages.blocks import Answer, Block

if TYPE_CHECKING:
    import polars as pl

Scale = Literal["smoke", "standard", "extended", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "standard", "extended", "paper")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePlan:
    """What the user asked of `profile`. None means: as the section's scale says. `options` holds each section's own settings."""

    scale: Scale = "standard"
    tasks: tuple[str, ...] | None = None
    levels: tuple[str, ...] | None = None
    n: int | None = None
    mode: str = "auto"
    id_source: str = "auto"
    seeds: tuple[int, ...] = (0,)
    data: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Estimated size of a section's run: requests, tokens in, and tokens out at most."""

    requests: int
    tokens_in: int
    tokens_out: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            requests=self.requests + other.requests,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
        )

    def times(self, count: int) -> Cost:
        """The cost of `count` such things."""
        return Cost(requests=self.requests * count, tokens_in=self.tokens_in * count, tokens_out=self.tokens_out * count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a section found: rows asked, numbers measured, claims judged (board form), and plain facts and notes for the page."""

    responses: Sequence[Response] = ()
    records: Sequence[Record] = ()
    claims: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A section on the page: its answer in one sentence, and the blocks below it."""

    answer: Answer
    blocks: Sequence[Block]
    samples: Sequence[Block] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


class Section(ABC):
    """A part of `genscope profile`. Made once, without arguments; holds no state."""

    name: str
    question: str
    needs: frozenset[Ability]

    @abstractmethod
    def fits(self, plan: ProfilePlan) -> bool:
        """Whether the section runs when the user does not name it."""

    @abstractmethod
    def check(self, model: Model, plan: ProfilePlan) -> None:
        """Raise where the plan cannot be carried out (unknown task, missing file, wrong column). All sections are checked before any asks."""

    @abstractmethod
    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        """Estimated size of the run."""

    @abstractmethod
    def preview(self, model: Model, plan: ProfilePlan) -> str:
        """One prompt as the model would get it, for `--dry-run`."""

    @abstractmethod
    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        """Ask the model and measure. Whatever is asked goes through `asker`, so that it is kept and resumed."""

    @abstractmethod
    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        """The page of the section, from stored numbers only; `about` is the section's entry of result.json (facts, notes, claims)."""
