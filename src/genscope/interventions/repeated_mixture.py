"""Repeated mixture: a stream of documents in which a fraction f of the tokens are repeats of a small subset, at a fixed number of tokens.

    T total tokens;  f repeated fraction;  E repeats;  R = f T / E tokens in the subset;  (1 - f) T unique tokens, each seen once

"0.1 % of the data, 100 times" is f = 10 %: f counts tokens of training, R / T = f / E is the share of different text. A larger E at the same f is a smaller subset.
Repeats are shuffled over the whole run; every window of the stream holds the fraction f. Hernandez et al. 2022 (arXiv 2205.10487).
"""

# D documents of the stream, R documents of the subset

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Int

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed


class Source(Protocol):
    """Documents of one length by number."""

    @property
    def count(self) -> int | None:
        """How many there are, None for no end."""
        ...

    @property
    def document_tokens(self) -> int:
        """Tokens of a document."""
        ...

    def take(self, indices: Int[np.ndarray, " N"]) -> Int[np.ndarray, "N T"]:
        """The documents of these numbers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a mixture really is, after rounding to whole documents: f and E as they come out, and documents and tokens of each kind."""

    fraction: float
    repeats: float
    total_documents: int
    subset_documents: int
    unique_documents: int
    document_tokens: int

    @property
    def total_tokens(self) -> int:
        """T."""
        return self.total_documents * self.document_tokens

    @property
    def subset_tokens(self) -> int:
        """R."""
        return self.subset_documents * self.document_tokens

    @property
    def unique_tokens(self) -> int:
        """(1 - f) T."""
        return self.unique_documents * self.document_tokens

    @property
    def share_repeated(self) -> float:
        """R / T = f / E: the different text that is repeated, as a share of the stream."""
        return self.subset_documents / self.total_documents

    @property
    def expected_count(self) -> float:
        """Times that a document of the subset is seen: E, some of them once less and some once more where E is no whole number."""
        return self.repeats


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedMixture:
    """The mixture as a value: iterate over it for (document numbers, which are repeats) of the whole stream.

    fraction: f in [0, 1); repeats: E >= 1 (E = 1: all is seen once); total_tokens: T; reserved: documents of the source that must be left over (a test set taken from it);
    fresh: 0, or the number of a draw of the placebo, in which a new document stands in place of every repeat (E is then only a name).
    Unique documents are the same whatever E is, and subsets are nested, so that arms of one seed differ by what is repeated only.
    """

    source: Source
    fraction: float
    repeats: float
    total_tokens: int
    seed: Seed
    reserved: int = 0
    fresh: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.fraction < 1:
            raise UsageError(f"the repeated fraction f must be in [0, 1), got {self.fraction}")
        if self.repeats < 1:
            raise UsageError(f"repeats E must be at least 1, got {self.repeats}")
        size = self.source.document_tokens
        if self.total_tokens < size:
            raise UsageError(f"total_tokens must hold one document ({size} tokens), got {self.total_tokens}")
        slots = self._repeated_slots()
        if slots and slots < self.repeats:
            raise UsageError(
                f"f = {self.fraction} of {self.total_tokens:,} tokens repeated E = {self.repeats:g} times leaves a subset of less than one document ({size} tokens). "
                f"E can be at most {slots:,} here, or f at least {self.repeats * size / self.total_tokens:.2g}"
            )
        if self.fraction > 0 and not slots:
            raise UsageError(
                f"f = {self.fraction} of {self.total_tokens:,} tokens is less than one document ({size} tokens); f must be at least {size / self.total_tokens:.2g}"
            )
        plan = self.plan()
        needed = plan.unique_documents + (slots * (self.fresh + 1) if self.fresh else plan.subset_documents) + self.reserved
        if self.source.count is not None and self.source.count < needed:
            raise DataError(
                f"the source has {self.source.count:,} documents; (1 - f) T + R{' + test' if self.reserved else ''} needs {needed:,}. "
                f"Train on fewer tokens (at most about {self.source.count * self.total_tokens // needed:,}), or bring more data"
            )

    def _documents(self) -> int:
        return self.total_tokens // self.source.document_tokens

    def _repeated_slots(self) -> int:
        return int(np.floor(self._documents() * self.fraction + 1e-9))

    def plan(self) -> Plan:
        """f, E, R and the rest as they come out in whole documents."""
        documents, slots = self._documents(), self._repeated_slots()
        subset = max(1, round(slots / self.repeats)) if slots else 0
        return Plan(
            fraction=slots / documents, repeats=slots / subset if subset else 1.0, total_documents=documents, subset_documents=subset,
            unique_documents=documents - slots, document_tokens=self.source.document_tokens,
        )  # fmt: skip

    @property
    def unique(self) -> Int[np.ndarray, " U"]:
        """Numbers of the unique documents, in the order in which they are seen."""
        return self._pool(0, self.plan().unique_documents)

    @property
    def repeated_subset(self) -> Int[np.ndarray, " R"]:
        """Numbers of the documents that are repeated (of the placebo: as many of those that stand in their place)."""
        plan = self.plan()
        first = plan.unique_documents + self.fresh * self._repeated_slots()
        return self._pool(first, first + plan.subset_documents)

    def _pool(self, start: int, stop: int) -> np.ndarray:
        """Documents of an endless source by number; of a finite one in an order drawn by seed, so that both parts are random draws from it."""
        if self.source.count is None:
            return np.arange(start, stop)
        return self.seed.child("pool").rng().permutation(self.source.count)[start:stop]

    def order(self) -> tuple[Int[np.ndarray, " D"], Bool[np.ndarray, " D"]]:
        """(document numbers, which are repeats) of the whole stream. Every window holds the fraction f to within one document; which repeat comes when is shuffled over the run."""
        plan = self.plan()
        slots = plan.total_documents - plan.unique_documents
        place = np.arange(plan.total_documents + 1)
        repeated = np.diff((place * slots) // plan.total_documents) > 0
        numbers = np.empty(plan.total_documents, np.int64)
        numbers[~repeated] = self.unique
        if slots and self.fresh:
            first = plan.unique_documents + self.fresh * slots
            numbers[repeated] = self._pool(first, first + slots)
        elif slots:
            # each document floor(E) or ceil(E) times
            numbers[repeated] = self.seed.child("repeats").rng().permutation(np.resize(self.repeated_subset, slots))
        return numbers, repeated

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        numbers, repeated = self.order()
        return iter(zip(numbers.tolist(), repeated.tolist(), strict=True))

    def batches(self, size: int, *, unique_only: bool = False) -> Iterator[Int[np.ndarray, "B T"]]:
        """Batches of `size` documents, whole ones only. unique_only: the same steps without the repeats, the control that tells whether repeats are worse than nothing."""
        if size < 1:
            raise UsageError(f"a batch has at least one document, got {size}")
        numbers, repeated = self.order()
        for start in range(0, len(numbers) - size + 1, size):
            chosen = numbers[start : start + size]
            if unique_only:
                chosen = chosen[~repeated[start : start + size]]
            yield self.source.take(chosen)
