"""ID data: what a model writes when it is asked to invent inputs, or lists that the user gives.

Every balanced [...] span of the replies is read as JSON. All whole numbers in them are ID elements (a multiset, repetitions count);
spans that are valid instances, or that a repair makes valid, are ID examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from genscope.core.canonical import canonical
from genscope.core.errors import TaskError
from genscope.core.text import shorten
from genscope.tasks.scylla.algorithmic import AlgorithmicTask, Built

LARGEST = 10**9
"""Elements above this are no elements."""
_SPAN = 20_000
"""Longest span that is decoded, in characters."""
_PRIOR = range(100)
_PRIOR_LENGTHS = range(4, 17)


@dataclass(frozen=True)
class IdSource:
    """A model's familiar inputs for one task.

    elements: multiset; completion: which reply each element came from; shapes: length of every list read (pairs of lengths, numbers of
    cities), valid or not, with shape_completion; examples: (input, answer) of the valid and repaired ones, without repetitions;
    spans, repaired, skipped: how many spans were read, instances repaired, and values that are no elements.
    """

    elements: Int[np.ndarray, " m"]
    completion: Int[np.ndarray, " m"]
    shapes: tuple[Any, ...] = ()
    shape_completion: Int[np.ndarray, " s"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    examples: tuple[Built, ...] = ()
    spans: int = 0
    repaired: int = 0
    skipped: int = 0

    @classmethod
    def prior(cls, task: AlgorithmicTask) -> IdSource:
        """Numbers 0..99 in lists of 4 to 16, where models' own inputs mostly lie (Qi et al. 2025, section 3.2.2)."""
        lengths = [n for n in _PRIOR_LENGTHS if task.lengths[0] <= n <= task.lengths[1]]
        shapes = [(n, n) for n in lengths] if task.name == "longest_common_subarray" else lengths
        elements = np.array(_PRIOR)
        return cls(elements, np.zeros_like(elements), tuple(shapes), np.zeros(len(shapes), dtype=np.int64))

    @classmethod
    def from_lists(cls, task: AlgorithmicTask, lists: Sequence[Any]) -> IdSource:
        """The user's own lists. Negative, fractional or other values are refused with the list that holds them."""
        for number, one in enumerate(lists, 1):
            bad = next((leaf for leaf in _leaves(one) if not _is_element(leaf)), None)
            if bad is not None:
                raise TaskError(f"list {number}: {shorten(repr(bad), 40)} is no element; elements are whole numbers from 0 to {LARGEST:,}")
        from genscope.core.seeds import Seed

        reader = _Reader(task, Seed("scylla", "lists", task.name).rng())
        for number, one in enumerate(lists):
            reader.read(one, number)
        return reader.source(len(lists))


def extract(task: AlgorithmicTask, completions: Sequence[str], rng: np.random.Generator, examples: bool = True) -> IdSource:
    """Read ID data from replies to the probe prompt. Linear in their length; what cannot be decoded is passed over.

    `examples=False` reads elements and lengths only, without trying to make instances.
    """
    reader, spans = _Reader(task, rng, examples), 0
    for number, text in enumerate(completions):
        for span in outermost_spans(text):
            try:
                value = json.loads(span)
            except (ValueError, RecursionError):
                continue
            spans += 1
            reader.read(value, number)
    return reader.source(spans)


def outermost_spans(text: str) -> Iterator[str]:
    """Balanced [...] spans that lie in no other balanced span, in order; an unclosed bracket hides nothing.

    >>> list(outermost_spans("[oops [1, 2] and [[3], [4]] ]]"))
    ['[oops [1, 2] and [[3], [4]] ]']
    >>> list(outermost_spans("[open [1, 2] [3"))
    ['[1, 2]']
    """
    open_: list[int] = []
    pairs: list[tuple[int, int]] = []
    for place, character in enumerate(text):
        if character == "[":
            open_.append(place)
        elif character == "]" and open_:
            pairs.append((open_.pop(), place))
    end = -1
    for first, last in sorted(pairs):
        if first > end and last - first < _SPAN:
            end = last
            yield text[first : last + 1]


class _Reader:
    """Collects elements, shapes and examples of one task."""

    def __init__(self, task: AlgorithmicTask, rng: np.random.Generator, wanted: bool = True) -> None:
        self.task, self.rng, self.wanted = task, rng, wanted
        self.elements: list[int] = []
        self.completion: list[int] = []
        self.shapes: list[Any] = []
        self.shape_completion: list[int] = []
        self.examples: dict[str, Built] = {}
        self.repaired = self.skipped = 0

    def read(self, value: Any, number: int) -> None:
        for leaf in _leaves(value):
            if _is_element(leaf):
                self.elements.append(leaf)
                self.completion.append(number)
            else:
                self.skipped += 1
        for unit in _units(self.task, value):
            self._unit(unit, number)

    def _unit(self, unit: Any, number: int) -> None:
        if not unit or not all(_is_element(leaf) for leaf in _leaves(unit)):
            return
        self.shapes.append((len(unit[0]), len(unit[1])) if self.task.name == "longest_common_subarray" else len(unit))
        self.shape_completion.append(number)
        if not self.wanted:
            return
        built = self.task.from_lists(unit, self.rng)
        if built is None:
            built = self.task.repair(unit, self.rng)
            self.repaired += built is not None
        if built is not None and self.task.why_invalid(built[0]) is None:
            self.examples.setdefault(canonical(built[0]), built)

    def source(self, spans: int) -> IdSource:
        whole = np.int64
        return IdSource(
            np.array(self.elements, dtype=whole), np.array(self.completion, dtype=whole), tuple(self.shapes), np.array(self.shape_completion, dtype=whole),
            tuple(self.examples.values()), spans, self.repaired, self.skipped,
        )  # fmt: skip


def _units(task: AlgorithmicTask, value: Any) -> Iterator[Any]:
    """The instances that a decoded span states: itself, or the items of a list of them."""
    # Differs from the paper: a span that is a list of instances counts as its items.
    if not isinstance(value, list) or not value:
        return
    flat = all(not isinstance(item, list) for item in value)
    rows = all(isinstance(item, list) and item and all(not isinstance(x, list) for x in item) for item in value)
    if task.name == "longest_common_subarray":
        if rows and len(value) == 2:
            yield value
            return
    elif task.name == "tsp":
        if rows and all(len(row) == len(value) for row in value):
            yield value
            return
    elif flat:
        yield value
        return
    for item in value:
        if isinstance(item, list):
            yield from _units(task, item)


def _leaves(value: Any) -> Iterator[Any]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        else:
            yield item


def _is_element(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST
