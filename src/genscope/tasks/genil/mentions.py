"""Where a sentence mentions a group and an attribute: whole words, longest match first, with fallbacks for inflected forms.

A term is looked for as whole words; else inside a word ("iran" in "iranian": the whole word is the mention); else as the longest common prefix, of four
characters at least, with the words at some place; else it has no position. The longer of the two terms is placed first and its characters are taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from genscope.tasks.words import folded, words

Match = Literal["exact", "inside", "prefix", "none"]
PREFIX = 4
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A folded sentence, both folded terms, the spans of both in it (by offset, empty without a position), and how each was found."""

    text: str
    terms: tuple[str, str]
    identity: tuple[Span, ...]
    attribute: tuple[Span, ...]
    identity_match: Match
    attribute_match: Match


def mark(sentence: str, identity: str, attribute: str) -> Marked:
    """Find both terms.

    >>> found = mark("Bakers from Iran are quick; Iranians bake.", "Iran", "quick")
    >>> found.identity, found.attribute, found.identity_match
    (((12, 16),), ((21, 26),), 'exact')
    >>> mark("The Iranians bake.", "Iran", "quick").identity, mark("The Iranians bake.", "Iran", "quick").attribute_match
    (((4, 12),), 'none')
    """
    text = folded(sentence)
    spans = [(begin, end) for _, begin, end in words(text)]
    terms = {"identity": folded(identity).strip(), "attribute": folded(attribute).strip()}
    taken: list[Span] = []
    found: dict[str, tuple[tuple[Span, ...], Match]] = {}
    for name in sorted(terms, key=lambda one: -len(terms[one])):
        found[name] = _find(text, terms[name], spans, taken)
        taken += found[name][0]
    return Marked(
        text=text, terms=(terms["identity"], terms["attribute"]), identity=found["identity"][0], attribute=found["attribute"][0],
        identity_match=found["identity"][1], attribute_match=found["attribute"][1],
    )  # fmt: skip


def _find(text: str, term: str, spans: list[Span], taken: list[Span]) -> tuple[tuple[Span, ...], Match]:
    if not term:
        return (), "none"
    raw = [(hit.start(), hit.end()) for hit in re.finditer(re.escape(term), text)]
    begins, ends = {begin for begin, _ in spans}, {end for _, end in spans}
    whole = [hit for hit in raw if _edge(hit[0], begins, spans) and _edge(hit[1], ends, spans) and _free(hit, taken)]
    if whole:
        return tuple(whole), "exact"
    inside = [widened for widened in dict.fromkeys(_widened(hit, spans) for hit in raw) if _free(widened, taken)]
    if inside:
        return tuple(inside), "inside"
    best, places = PREFIX - 1, []
    for begin, _ in spans:
        length = _common(text, begin, term)
        if length < PREFIX or length < best:
            continue
        span = _widened((begin, begin + length), spans)
        if not _free(span, taken):
            continue
        if length > best:
            best, places = length, []
        places.append(span)
    return (tuple(places), "prefix") if places else ((), "none")


def _edge(at: int, edges: set[int], spans: list[Span]) -> bool:
    """Whether a term may begin or end here: at the edge of a word, or outside every word (a term that begins with a sign)."""
    return at in edges or not any(begin < at < end for begin, end in spans)


def _widened(hit: Span, spans: list[Span]) -> Span:
    touched = [span for span in spans if span[0] < hit[1] and hit[0] < span[1]]
    return (min(hit[0], touched[0][0]), max(hit[1], touched[-1][1])) if touched else hit


def _free(hit: Span, taken: list[Span]) -> bool:
    return all(hit[1] <= begin or end <= hit[0] for begin, end in taken)


def _common(text: str, begin: int, term: str) -> int:
    length = 0
    while length < len(term) and begin + length < len(text) and text[begin + length] == term[length]:
        length += 1
    return length
