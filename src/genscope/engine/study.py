"""Study: an executable paper. Its file says what is run, what is claimed, and the placebo in which each claim must fail; the engine does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from genscope.core.card import Card
from genscope.core.claims import Claim
from genscope.core.errors import StudyError, unknown
from genscope.core.records import Record

if TYPE_CHECKING:
    import polars as pl

    from genscope.engine.lab import Lab

Scale = Literal["smoke", "standard", "extended", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "standard", "extended", "paper")
CLAIM_ARM = "claim"


@dataclass(frozen=True, slots=True)
class Paper:
    """Where the claims are from. number: the study's number in the collection."""

    number: int
    arxiv: str
    title: str
    year: int
    authors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One unit of work: a condition of a part, in an arm, with a seed. settings: everything else that `run` needs (plain JSON).

    arms: where its records count; a cell that serves the claim and a placebo alike is run once.
    """

    part: str
    condition: str
    seed: int
    arms: tuple[str, ...] = (CLAIM_ARM,)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"{self.part}/{self.condition} ({' + '.join(self.arms)}), seed {self.seed}"

    def record(
        self,
        metric: str,
        value: float | None,
        unit: str = "fraction",
        n: int = 1,
        *,
        step: int | None = None,
        condition: str | None = None,
        **factors: Any,
    ) -> Record:
        """A number of this cell."""
        return Record(
            source="", metric=metric, value=value, unit=unit, n=n, condition=condition or self.condition, seed=self.seed, step=step, factors=factors
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """How a claim's mechanism is removed. kind: in words; arm: the arm whose records the claim is judged on."""

    kind: str
    arm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a study that is judged by itself. sentence: what it is; claims: ids; data: folders of $GENSCOPE_DATA that it needs; command: set when another
    command judges its claims, on a user's model: such a part has no cells.
    """

    sentence: str
    claims: tuple[str, ...]
    data: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A number of the paper beside ours. metric and condition name our records; text: as the paper prints it."""

    what: str
    text: str
    metric: str
    condition: str


class Study(ABC):
    """An executable paper. Made without arguments; holds no state."""

    name: str
    paper: Paper
    question: str
    answer: str
    card: Card
    extra: str
    parts: Mapping[str, Part]
    claims: tuple[Claim, ...]
    placebos: Mapping[str, Placebo]
    deviations: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    calibration: str = "none"
    published: tuple[Published, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    fields: frozenset[str] = frozenset()
    """Words by which `genscope papers` finds the study beside its texts."""

    @abstractmethod
    def cells(self, scale: Scale, seeds: Sequence[int]) -> Sequence[Cell]:
        """Conditions x seeds, as values, in a fixed order."""

    @abstractmethod
    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        """Do one cell's work and return its numbers. What is trained goes through `lab`, so that it is kept and shared."""

    def certify(self, scale: Scale) -> Mapping[str, int]:
        """Split name -> number of shared examples; the engine refuses to run when one is not 0."""
        return {}

    def figures(self, records: pl.DataFrame) -> Sequence[Any]:
        """Charts and tables of the study's page (blocks of genscope.pages.blocks), from its records."""
        return ()

    def own_parts(self) -> tuple[str, ...]:
        """The parts that the study itself runs and judges."""
        return tuple(name for name, part in self.parts.items() if not part.command)

    def judged_elsewhere(self) -> dict[str, tuple[str, ...]]:
        """Command -> the claims that it judges."""
        return {part.command: part.claims for part in self.parts.values() if part.command}

    def claim(self, name: str) -> Claim:
        """The claim with that id."""
        found = next((claim for claim in self.claims if claim.id == name), None)
        if found is None:
            raise StudyError(unknown("claim", name, [claim.id for claim in self.claims]))
        return found

    def part_of(self, claim: str) -> str:
        """The part that a claim belongs to."""
        return next(name for name, part in self.parts.items() if claim in part.claims)
