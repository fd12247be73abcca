"""Answers in free text: a number, or a list of numbers, and how they were found.

Looked for, in this order: after the last "answer is", "answer:", "answer to the task is" (for lists also "numbers are", "numbers:"),
then anywhere. All patterns are linear in the length of the text. Source: Qi et al. 2025, answer extraction, without its defects
(newlines become spaces, thousands commas and signs are read).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from genscope.tasks.task import How

_PHRASES = ("answer is", "answer:", "answer to the task is")
_LIST_PHRASES = (*_PHRASES, "numbers are", "numbers:")
_DROPPED = re.compile(r"```[a-zA-Z]{0,12}|[`\"$]|\*\*|__|\\boxed|\\text|\\left|\\right|\\[\[\]()]|\\,")
_SPACES = re.compile(r"[\r\n\t\u00a0\u202f]")
_NUMBER = re.compile(r"(?<![\d.])[-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_ITEMS = re.compile(r"[-+−]?\d+(?:\.\d+)?")
_ONLY_NUMBERS = re.compile(r"[\s,;]*(?:[-+−]?\d+(?:\.\d+)?[\s,;]*)*")
_RUN = re.compile(r"[\s:=({<]{0,16}((?:[-+−]?\d+(?:\.\d+)?)(?:(?:\s*(?:,|;|->|→|–|and\b)\s*|\s+)(?:and\s+)?[-+−]?\d+(?:\.\d+)?)*)")
_MOST_MATCHES = 16
"""How many occurrences of a phrase are tried, from the last."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """value: int, float or list of them, None when nothing was found; how: "strict" after a phrase, "fallback" elsewhere, "none"."""

    value: Any
    how: How


_NOTHING = Parsed(None, "none")


def plain(text: str) -> str:
    """The reply without code fences, quotes, bold marks and LaTeX wrappers; line ends become spaces."""
    return _SPACES.sub(" ", _DROPPED.sub(" ", text))


def parse_number(reply: str) -> Parsed:
    """The number a reply gives as its answer; the last number anywhere when no phrase leads to one.

    >>> parse_number("So the ANSWER is **1,234**.")
    Parsed(value=1234, how='strict')
    >>> parse_number("3 or 4, I think 4.0")
    Parsed(value=4, how='fallback')
    """
    text = plain(reply)
    for tail in _tails(text, _PHRASES):
        found = _NUMBER.search(tail)
        if found:
            return Parsed(_number(found[0]), "strict")
    anywhere = _NUMBER.findall(text)
    return Parsed(_number(anywhere[-1]), "fallback") if anywhere else _NOTHING


def parse_list(reply: str, lenient: bool = True) -> Parsed:
    """The list a reply gives: the last bracketed one after the phrase; `lenient` takes a bare run of numbers there too.

    >>> parse_list("The answer is [3, 5].")
    Parsed(value=[3, 5], how='strict')
    >>> parse_list("the numbers are 3, 5 and 8")
    Parsed(value=[3, 5, 8], how='strict')
    """
    text = plain(reply)
    for tail in _tails(text, _LIST_PHRASES):
        value = _last_list(tail)
        if value is None and lenient:
            run = _RUN.match(tail)
            value = [_number(item) for item in _ITEMS.findall(run[1])] if run else None
        if value is not None:
            return Parsed(value, "strict")
    value = _last_list(text)
    return _NOTHING if value is None else Parsed(value, "fallback")


def _tails(text: str, phrases: tuple[str, ...]) -> list[str]:
    """What follows each phrase, phrases in order, each one's last occurrence first."""
    low, tails = text.lower(), []
    if len(low) != len(text):  # a character whose lower case has another length: places would not match
        low = text = low
    for phrase in phrases:
        end = len(low)
        for _ in range(_MOST_MATCHES):
            place = low.rfind(phrase, 0, end)
            if place < 0:
                break
            tails.append(text[place + len(phrase) :])
            end = place
    return tails


def _last_list(text: str) -> list[int | float] | None:
    for inner in reversed(_BRACKETS.findall(text)):
        if _ONLY_NUMBERS.fullmatch(inner):
            items = _ITEMS.findall(inner)
            if items:
                return [_number(item) for item in items]
    return None


def _number(text: str) -> int | float:
    plain_text = text.replace(",", "").replace("−", "-")
    if len(plain_text) > 18:  # longer than any entry: keep it comparable, never huge
        return float(plain_text[:300])
    value = float(plain_text)
    return int(value) if value == int(value) else value
