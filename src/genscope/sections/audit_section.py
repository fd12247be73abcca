"""Audit section: one part of `genscope audit`, from the rows it reads to the findings it ranks.

    class Lengths(AuditSection):
        name = "lengths"
        question = "Are there rows that are far longer than the rest?"
        kinds = frozenset({"text"})                # what the rows must be
        roles = frozenset({"label"})               # columns it cannot do without ("text" goes without saying for kind "text")
        options = {"most": Option("2000", "characters of a row that is called long")}

        def run(self, lab): ...                    # -> AuditOutcome(findings, records, facts, notes, tables)

Add the file to the table AUDIT in `sections/__init__.py`. `view` is drawn from findings and tables; override it for charts. A section that trains needs its extra
named in `extra` and imports torch inside `run`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from genscope.core.errors import UsageError, unknown
from genscope.core.progress import Progress
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.core.stats import wilson
from genscope.pages.blocks import Answer, Block, Note, Table
from genscope.sections.section import View
from genscope.tasks.dataset import Dataset, Kind

if TYPE_CHECKING:
    import polars as pl

Severity = Literal["high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low", "info")
"""high: a figure measured on this data is wrong or meaningless; medium: it is biased or its interval too narrow; low: worth a look; info: a fact, nothing to mend."""
EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting of a section, `--with NAME:key=value`: its default and what it means."""

    default: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One example of a finding: the rows that show it (one, or the two that clash), and a note without any text of the data ("labels a and b")."""

    rows: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that an audit found.

    kind: one word for `--fail-on` ("leak", "conflict", "duplicate", ...); what: a sentence without any text of the data; count of `of` units; low, high: 95 % interval of the share,
    None where the share is no estimate (the data are the population); unit: "rows" or what is counted; severity: see SEVERITIES; size: orders findings of one severity (0 to 1,
    by default the share); rows: flagged rows; partners: for each flagged row the row it clashes with, or -1; scores: for each flagged row a number for the table, or none;
    cases: examples, three at most; advice: what to do; remove: rows that `--fix` leaves out.
    """

    kind: str
    what: str
    count: int
    of: int
    severity: Severity
    advice: str
    unit: str = "rows"
    low: float | None = None
    high: float | None = None
    size: float | None = None
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    partners: np.ndarray | None = None
    scores: np.ndarray | None = None
    cases: Sequence[Case] = ()
    remove: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def share(self) -> float:
        """count / of; 0 of nothing is 0."""
        return self.count / self.of if self.of else 0.0

    @property
    def rank(self) -> tuple[int, float]:
        """Sorting key: what matters most first."""
        return SEVERITIES.index(self.severity), -(self.share if self.size is None else self.size)


def counted(kind: str, what: str, count: int, of: int, severity: Severity, advice: str, **more: Any) -> Finding:
    """A finding whose rows are a sample of what the data stand for: the share gets Wilson's interval."""
    held = wilson(count, of) if 0 <= count <= of and of else None
    return Finding(
        kind=kind,
        what=what,
        count=count,
        of=of,
        severity=severity,
        advice=advice,
        low=held.low if held else None,
        high=held.high if held else None,
        **more,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCost:
    """Estimated cost of a section: passes over the file, seconds on one core, bytes of memory beyond the fingerprints."""

    passes: float = 0
    seconds: float = 0
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOutcome:
    """What a section found: findings, numbers, plain facts and notes for the page, and tables (plain rows under columns)."""

    findings: Sequence[Finding] = ()
    records: Sequence[Record] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    answer: str = ""
    """One sentence for the page where there is no finding, or a better one than the count of findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLab:
    """What a section works with: the data, its own options, a seed, the progress display."""

    data: Dataset
    options: Mapping[str, str]
    seed: Seed
    progress: Progress

    def number(self, name: str, least: float, most: float) -> float:
        """An option as a number within its range."""
        text = self.options[name]
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise UsageError(f"--with ...:{name}={text}: {name} must be a number from {least:g} to {most:g}")
        return value

    def whole(self, name: str, least: int, most: int) -> int:
        """An option as a whole number within its range."""
        value = self.number(name, least, most)
        if value != int(value):
            raise UsageError(f"--with ...:{name}={self.options[name]}: {name} must be a whole number")
        return int(value)

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """An option as one of the allowed words."""
        if self.options[name] not in allowed:
            raise UsageError(f"--with ...:{name}: " + unknown("value", self.options[name], allowed))
        return self.options[name]


class AuditSection(ABC):
    """A part of `genscope audit`. Made once, without arguments; holds no state."""

    name: ClassVar[str]
    question: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]]
    roles: ClassVar[frozenset[str]] = frozenset()
    people: ClassVar[bool] = False
    """About people: examples are row ids only, whatever `--show-text` says."""
    default: ClassVar[bool] = True
    """Runs where it fits without being named."""
    extra: ClassVar[str] = ""
    """The extra that must be installed, "" for none."""
    version: ClassVar[int] = 1
    """Part of the key under which the outcome is stored: change it with the section's results."""
    options: ClassVar[Mapping[str, Option]] = {}

    def fits(self, data: Dataset) -> bool:
        """Whether the section has what it needs: the kind of data and the roles."""
        return data.kind in self.kinds and data.has(*self.roles)

    def lacks(self, data: Dataset) -> str:
        """Why it does not fit, in words; "" if it does."""
        if data.kind not in self.kinds:
            return f"reads {' or '.join(sorted(self.kinds))}, and this is {data.kind}"
        missing = sorted(role for role in self.roles if not data.has(role))
        return f"needs a column for {' and '.join(missing)} ({', '.join(f'--{role}' for role in missing)})" if missing else ""

    def cost(self, data: Dataset) -> AuditCost:
        """Estimated cost, for `--dry-run`."""
        return AuditCost(passes=1, seconds=data.size / 100e6)

    @abstractmethod
    def run(self, lab: AuditLab) -> AuditOutcome:
        """Look at the data, which stays as it is."""

    def view(self, records: pl.DataFrame, about: Mapping[str, Any]) -> View:
        """The section on the page, from stored numbers only; `about` is its entry of result.json (answer, facts, notes, tables, findings)."""
        blocks: list[Block] = [plain_table(one) for one in about["tables"]]
        blocks += [Note(list(about["notes"]))] if about["notes"] else []
        return View(answer=Answer(about["answer"]), blocks=blocks, facts={name: str(value) for name, value in about["facts"].items()})


def plain_table(held: Mapping[str, Any]) -> Table:
    """A table from result.json."""
    from genscope.pages.blocks import Column

    rows = [{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()} for row in held["rows"]]
    return Table([Column(**column) for column in held["columns"]], rows, held["caption"], held["main"], held["folded"])
