"""What is counted in marked sentences, once for all splits: character n-grams by token, words, and what stands around the mentions.

Counting knows no label and no split. Which columns a classifier uses, and their weights, are taken from training rows alone (genscope.models.genil.sparse):
choosing columns of these counts by training rows gives the same matrix as counting the training rows alone.

The tokens that hold a mention are kept apart from the others, so that the context of one row can be joined with the pair of another (the placebo of
claim C2) without reading a sentence again. What is joined are the pair's bare terms: the token of a mention also carries context, such as a full stop.
"""

# n rows, t tokens, g character n-grams, w words and word pairs, c relational features

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genscope.tasks.genil.mentions import Marked
from genscope.tasks.words import words

if TYPE_CHECKING:
    from scipy.sparse import csr_array

GRAMS = (2, 3, 4)
NEAR = 3
"""Words on each side of a mention that are named with their offset."""
BETWEEN = 8
"""Words between the mentions are named up to so many."""
FAR = 15
"""Distances beyond count as this one."""
IDENTITY, ATTRIBUTE, NOWHERE = "\x01identity", "\x01attribute", "NOPOS"
_TOKEN = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of rows. context, mentions [n, t] (tokens outside and inside mentions); pair [n, t] (both terms by themselves); spelling [t, g]; marked [n, w]; relations [n, c], 0 or 1; with their names."""

    context: csr_array
    mentions: csr_array
    pair: csr_array
    spelling: csr_array
    marked: csr_array
    relations: csr_array
    grams: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    around: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.marked.indptr) - 1

    def characters(self, places: np.ndarray, context_of: np.ndarray | None = None) -> csr_array:
        """Character n-gram counts [len(places), g] of these rows; context_of: rows that lend their context, one for each place (its pair stays)."""
        if context_of is None:
            return (self.context[places] + self.mentions[places]) @ self.spelling
        return (self.context[context_of] + self.pair[places]) @ self.spelling


def count(rows: Sequence[Marked], languages: Sequence[str], least: int = 1) -> Counts:
    """Count marked sentences. least: words and relations in fewer rows are left out (training rows are fewer still, so nothing they need is lost)."""
    tokens = _Columns()
    context, mentions, pair, marked, around = _Cells(), _Cells(), _Cells(), _Columns(), _Columns()
    marked_cells, around_cells = _Cells(), _Cells()
    for row, language in zip(rows, languages, strict=True):
        spans = (*row.identity, *row.attribute)
        inside, outside = [], []
        for found in _TOKEN.finditer(row.text):
            touches = any(found.start() < end and begin < found.end() for begin, end in spans)
            (inside if touches else outside).append(tokens.place(found.group()))
        context.add(outside)
        mentions.add(inside)
        pair.add([tokens.place(token) for term in row.terms for token in term.split()])
        sequence = marked_words(row)
        marked_cells.add([marked.place(name) for name in _grams_of_words(sequence)])
        around_cells.add(sorted({around.place(f"{language} {name}") for name in surroundings(row, sequence)}))
    held_words, kept_words = _frequent(marked_cells.matrix(len(marked)), len(marked), least)
    held_around, kept_around = _frequent(around_cells.matrix(len(around)), len(around), least)
    spelling, grams = _spelling(tokens.names)
    term_names, around_names = marked.names, around.names
    return Counts(
        context=context.matrix(len(tokens)), mentions=mentions.matrix(len(tokens)), pair=pair.matrix(len(tokens)), spelling=spelling, marked=held_words, relations=held_around,
        grams=tuple(grams), terms=tuple(term_names[k] for k in kept_words), around=tuple(around_names[k] for k in kept_around),
    )  # fmt: skip


def marked_words(row: Marked) -> list[tuple[str, int]]:
    """(word or marker, offset) in order; a mention is one marker."""
    marks = [*[(span, IDENTITY) for span in row.identity], *[(span, ATTRIBUTE) for span in row.attribute]]
    plain = [(word, begin) for word, begin, end in words(row.text) if not any(begin < span[1] and span[0] < end for span, _ in marks)]
    return sorted([*plain, *[(name, span[0]) for span, name in marks]], key=lambda one: one[1])


def surroundings(row: Marked, sequence: Sequence[tuple[str, int]]) -> list[str]:
    """Names of what stands around the nearest two mentions: neighbours with offset, words between, the exact span, distance, order, counts.

    >>> from genscope.tasks.genil.mentions import mark
    >>> row = mark("All bakers are quick today", "bakers", "quick")
    >>> surroundings(row, marked_words(row))
    ['identity=exact', 'attribute=exact', 'identities=1', 'attributes=1', 'i-1=all', 'i+1=are', 'i+3=today', 'a-3=all', 'a-1=are', 'a+1=today', 'distance=2', 'first=identity', 'between=are', 'span=are']
    """
    names = [word for word, _ in sequence]
    at = {which: [k for k, name in enumerate(names) if name == which] for which in (IDENTITY, ATTRIBUTE)}
    made = [
        f"identity={row.identity_match}", f"attribute={row.attribute_match}",
        f"identities={min(3, len(at[IDENTITY]))}", f"attributes={min(3, len(at[ATTRIBUTE]))}",
    ]  # fmt: skip
    both = [(i, a) for i in at[IDENTITY] for a in at[ATTRIBUTE]]
    i, a = min(both, key=lambda pair: abs(pair[0] - pair[1])) if both else (next(iter(at[IDENTITY]), None), next(iter(at[ATTRIBUTE]), None))
    for letter, place in (("i", i), ("a", a)):
        if place is None:
            made.append(f"{letter}={NOWHERE}")
            continue
        for offset in (*range(-NEAR, 0), *range(1, NEAR + 1)):
            if 0 <= place + offset < len(names) and names[place + offset] not in (IDENTITY, ATTRIBUTE):
                made.append(f"{letter}{offset:+d}={names[place + offset]}")
    if i is not None and a is not None:
        low, high = min(i, a), max(i, a)
        made += [f"distance={min(FAR, high - low)}", f"first={'identity' if i < a else 'attribute'}"]
        if high - low - 1 <= BETWEEN:
            between = names[low + 1 : high]
            made += [*[f"between={word}" for word in dict.fromkeys(between)], f"span={' '.join(between)}"]
    return made


def character_grams(token: str) -> list[str]:
    """Character n-grams of a token padded with a space on each side, as scikit-learn's `char_wb` has them.

    >>> character_grams("ab")
    [' a', 'ab', 'b ', ' ab', 'ab ', ' ab ']
    """
    padded, made = f" {token} ", []
    for n in GRAMS:
        if len(padded) <= n:
            made.append(padded)
            break
        made += [padded[k : k + n] for k in range(len(padded) - n + 1)]
    return made


def _grams_of_words(sequence: Sequence[tuple[str, int]]) -> Iterable[str]:
    names = [word for word, _ in sequence]
    yield from names
    for first, second in itertools.pairwise(names):
        yield f"{first} {second}"


def _spelling(tokens: Sequence[str]) -> tuple[csr_array, list[str]]:
    columns, cells = _Columns(), _Cells()
    for token in tokens:
        cells.add([columns.place(gram) for gram in character_grams(token)])
    return cells.matrix(len(columns)), columns.names


class _Columns:
    """Names in the order of their first appearance."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, name: str) -> int:
        return self._places.setdefault(name, len(self._places))

    def __len__(self) -> int:
        return len(self._places)

    @property
    def names(self) -> list[str]:
        return list(self._places)


class _Cells:
    """Rows of a sparse matrix, one after the other."""

    def __init__(self) -> None:
        self._columns: list[np.ndarray] = []
        self._ends = [0]

    def add(self, columns: Sequence[int]) -> None:
        self._columns.append(np.asarray(columns, dtype=np.int32))
        self._ends.append(self._ends[-1] + len(columns))

    def matrix(self, width: int) -> csr_array:
        from scipy.sparse import csr_array

        columns = np.concatenate(self._columns) if self._columns else np.zeros(0, dtype=np.int32)
        made = csr_array(
            (np.ones(len(columns), dtype=np.float32), columns, np.array(self._ends, dtype=np.int32)), shape=(len(self._ends) - 1, width)
        )
        made.sum_duplicates()
        return made


def _frequent(matrix: csr_array, width: int, least: int) -> tuple[csr_array, np.ndarray]:
    kept = np.flatnonzero(np.bincount(matrix.indices, minlength=width) >= least)
    return (matrix if len(kept) == width else matrix[:, kept].tocsr()), kept


MATRICES = ("context", "mentions", "pair", "spelling", "marked", "relations")


def packed(counts: Counts) -> dict[str, np.ndarray]:
    """The matrices as plain arrays, for the store; names are left out."""
    made = {}
    for name in MATRICES:
        matrix: csr_array = getattr(counts, name)
        made |= {
            f"{name}.data": matrix.data,
            f"{name}.indices": matrix.indices,
            f"{name}.indptr": matrix.indptr,
            f"{name}.shape": np.array(matrix.shape),
        }
    return made


def unpacked(arrays: Mapping[str, np.ndarray]) -> Counts:
    """The counts that `packed` took apart, without names."""
    from scipy.sparse import csr_array

    context, mentions, pair, spelling, marked, relations = (
        csr_array((arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"]), shape=tuple(arrays[f"{name}.shape"]))
        for name in MATRICES
    )
    return Counts(context=context, mentions=mentions, pair=pair, spelling=spelling, marked=marked, relations=relations)
