"""Lexicon of groups and attributes, and the places where a text has one of each in a sentence.

Terms are found as whole words, longest first, or with up to three letters more at the end ("bakers" for "baker"). Groups and attributes of GeniL come
from its rows at the time of use: the data of others is not part of this package. A lexicon of the user's own is a CSV with columns kind and term.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from genscope.core.errors import DataError, UsageError, unknown
from genscope.tasks.genil.mentions import mark
from genscope.tasks.genil.rows import LANGUAGES, MISSING, Rows
from genscope.tasks.words import folded, words

KINDS = ("identity", "attribute")
LARGEST = 5_000_000
"""Bytes that a lexicon may have."""
LONGEST = 1_000
"""Characters of a sentence; a longer one is cut and counted. The rows that the classifier was trained on have 400."""
SUFFIX, STEM = 3, 4
SCRIPTS = {"ar": "ARABIC", "bn": "BENGALI", "hi": "DEVANAGARI"}
_ENDS = re.compile(r"(?<=[.!?\u0964\u061f\u06d4])\s+|\n+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Terms of one language, as they are written; looked up folded."""

    language: str
    identities: tuple[str, ...]
    attributes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise UsageError(unknown("GeniL language", self.language, LANGUAGES))
        if not self.identities or not self.attributes:
            raise DataError(f"a lexicon needs groups and attributes, got {len(self.identities)} and {len(self.attributes)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoOccurrences:
    """rows: one a sentence and pair (labels 0, not known); source: number of the text that each comes from; met: texts, empty, other_script, sentences, cut."""

    rows: Rows
    source: Int[np.ndarray, " n"]
    met: dict[str, int] = field(default_factory=dict)


def lexicon_of(rows: Rows, language: str) -> Lexicon:
    """Groups and attributes of these rows in that language."""
    if language not in LANGUAGES:
        raise UsageError(unknown("GeniL language", language, LANGUAGES))
    at = [place for place, one in enumerate(rows.language) if one == language]
    return Lexicon(
        language=language, identities=_distinct(rows.identity[k] for k in at), attributes=_distinct(rows.attribute[k] for k in at)
    )  # fmt: skip


def read_lexicon(path: Path, language: str) -> Lexicon:
    """A CSV with columns kind ("identity" or "attribute") and term."""
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: more than {LARGEST:,} bytes; a lexicon is a list of terms")
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a lexicon ({error}). Write a CSV with columns kind and term, in UTF-8") from error
    terms: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for number, line in enumerate(lines):
        kind, term = (line.get("kind") or "").strip(), (line.get("term") or "").strip()
        if kind not in KINDS or not term:
            raise DataError(f"{path}: row {number} needs a kind ({' or '.join(KINDS)}) and a term")
        terms[kind].append(term)
    return Lexicon(language=language, identities=_distinct(terms["identity"]), attributes=_distinct(terms["attribute"]))


def co_occurrences(texts: Iterable[tuple[int, str]], lexicon: Lexicon) -> CoOccurrences:
    """Sentences with a group and an attribute of the lexicon; texts are (number, text)."""
    met: dict[str, int] = dict.fromkeys(("texts", "empty", "other_script", "sentences", "cut"), 0)
    found: list[tuple[int, str, str, str]] = []
    tables = [_table(terms) for terms in (lexicon.identities, lexicon.attributes)]
    for number, raw in texts:
        met["texts"] += 1
        text = unicodedata.normalize("NFC", raw).strip()
        if not text:
            met["empty"] += 1
            continue
        if not in_script(text, lexicon.language):
            met["other_script"] += 1
            continue
        for sentence in filter(None, map(str.strip, _ENDS.split(text))):
            met["sentences"] += 1
            met["cut"] += len(sentence) > LONGEST
            sentence = sentence[:LONGEST]
            sequence = [word for word, _, _ in words(folded(sentence))]
            here = [_terms(sequence, table) for table in tables]
            for identity in here[0]:
                for attribute in here[1]:
                    placed = mark(sentence, identity, attribute)
                    if placed.identity and placed.attribute:
                        found.append((number, sentence, identity, attribute))
    count = len(found)
    rows = Rows(
        language=(lexicon.language,) * count, number=np.arange(count), sentence=tuple(one[1] for one in found), identity=tuple(one[2] for one in found),
        attribute=tuple(one[3] for one in found), generalizing=np.zeros(count, dtype=np.int8), promoting=np.full(count, MISSING, dtype=np.int8),
    )  # fmt: skip
    return CoOccurrences(rows=rows, source=np.array([one[0] for one in found], dtype=np.int64), met=met)


def in_script(text: str, language: str) -> bool:
    """Whether at least half of the letters are of the language's script."""
    letters = [one for one in text[:600] if one.isalpha()][:200]
    wanted = SCRIPTS.get(language, "LATIN")
    return 2 * sum(unicodedata.name(one, "").startswith(wanted) for one in letters) >= len(letters)


def _distinct(terms: Iterable[str]) -> tuple[str, ...]:
    """One spelling a term: the first of those that differ in case only."""
    held: dict[str, str] = {}
    for term in terms:
        held.setdefault(folded(term), term)
    return tuple(held[name] for name in sorted(held))


def _table(terms: Sequence[str]) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """First word -> (all words, term), longest first."""
    table: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for term in terms:
        sequence = tuple(word for word, _, _ in words(folded(term)))
        if sequence:
            table.setdefault(sequence[0], []).append((sequence, term))
    for held in table.values():
        held.sort(key=lambda one: -len(one[0]))
    return table


def _terms(sequence: Sequence[str], table: dict[str, list[tuple[tuple[str, ...], str]]]) -> list[str]:
    found: dict[str, None] = {}
    place = 0
    while place < len(sequence):
        step = 1
        for term_words, term in table.get(sequence[place], ()):
            if tuple(sequence[place : place + len(term_words)]) == term_words:
                found[term] = None
                step = len(term_words)
                break
        else:
            stems = (sequence[place][:-k] for k in range(1, SUFFIX + 1))
            hit = next(
                (term for stem in stems if len(stem) >= STEM for term_words, term in table.get(stem, ()) if len(term_words) == 1), None
            )
            if hit:
                found[hit] = None
        place += step
    return list(found)
