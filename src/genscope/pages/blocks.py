"""Blocks: what a page is made of, as values. Sections return them; this package draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Tone = Literal["plain", "good", "warn"]
CellKind = Literal["text", "percent", "points", "number", "fine", "count", "level"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The opening sentence, large; `detail` stands below it, smaller."""

    sentence: str
    detail: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of small named facts."""

    items: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the second order, and a sentence below it."""

    text: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs."""

    paragraphs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Note:
    """Remarks that a reader must not miss."""

    items: Sequence[str]
    title: str = "Notes"
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    kind: "percent" (fraction shown as whole percent), "points" (fraction shown as signed points), "number" (2 digits), "fine" (3 digits), "count", "level", "text". A cell is a value, None
    (shown as a dash), or (value, low, high), shown with its interval.
    """

    name: str
    label: str
    kind: CellKind = "text"
    help: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; `main` marks the table that the terminal shows too."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    caption: str
    main: bool = False
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A Vega-Lite specification with its title, a sentence on how to read it, and a description for who cannot see it."""

    spec: Mapping[str, Any]
    title: str
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Samples:
    """Questions and replies to browse. Each row: split, level, task, verdict, prompt, reply, thinking, target, answer, how; all hostile text."""

    rows: Sequence[Mapping[str, str]]
    title: str = "Questions and replies"
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Claims in the board's form."""

    claims: Sequence[Mapping[str, Any]]
    title: str = "Claims judged on this run"


@dataclass(frozen=True, slots=True)
class Card:
    """One of several things told alike: a tag with its tone, a sentence, small facts, what to do, and a folded table."""

    tag: str
    text: str
    tone: Tone = "plain"
    facts: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards, numbered from 1."""

    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the numbers come from: groups of named facts."""

    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


Block = Answer | Facts | Heading | Prose | Note | Table | Chart | Samples | Verdicts | Cards | Provenance


_DIGITS = {"number": 2, "fine": 3}


def cell_text(kind: CellKind, value: Any) -> str:
    """A cell as text, without its interval.

    >>> cell_text("percent", 0.624), cell_text("points", 0.05), cell_text("points", -0.05), cell_text("number", None)
    ('62 %', '+5', '−5', '–')
    """
    if isinstance(value, tuple):
        value = value[0]
    if value is None or value != value:
        return "–"
    if kind == "percent":
        return f"{100 * value:.0f} %"
    if kind == "points":
        return signed(100 * value, 0)
    if kind in _DIGITS:
        return signed(value, _DIGITS[kind], plus=False)
    if kind == "count":
        return f"{int(value):,}"
    return str(value)


def interval_text(kind: CellKind, value: Any) -> str:
    """The interval of a cell, "" without one.

    >>> interval_text("percent", (0.5, 0.41, 0.592)), interval_text("points", (0.0, -0.07, 0.02))
    ('41–59', '−7 to +2')
    """
    if not isinstance(value, tuple) or value[1] is None or value[2] is None:
        return ""
    low, high = value[1], value[2]
    if kind == "percent":
        return f"{100 * low:.0f}–{100 * high:.0f}"
    if kind == "points":
        return f"{signed(100 * low, 0)} to {signed(100 * high, 0)}"
    digits = _DIGITS.get(kind, 2)
    return f"{signed(low, digits, plus=False)} to {signed(high, digits, plus=False)}"


def signed(value: float, digits: int, plus: bool = True) -> str:
    """A number with a real minus sign, and a plus where asked; never "−0"."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("−" if value < 0 else "+" if plus else "") + text
