"""Near duplicates: pairs of texts whose sets of word runs overlap, found by MinHash and locality-sensitive hashing and confirmed exactly.

The share of equal MinHash values of two sets estimates their Jaccard similarity J. BANDS bands of ROWS values: a pair becomes a candidate with probability
1 - (1 - J^ROWS)^BANDS (.994 at J = .8, .9999 at .9, .33 at .5 with 13 x 5). Every candidate's J is then computed from the sets themselves. Broder 1997; Leskovec et al. 2014, ch. 3.
"""

# N texts, b bands, r rows of a band

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from genscope.measures.words import shingles, word_hashes

BANDS, ROWS = 13, 5
RUN = 3
"""Words of a run (shingle)."""
LEADERS = 8
"""Rows of a bucket that every other row of it is compared with."""
BYTES_A_ROW = 8 * BANDS + 8


@dataclass(slots=True)
class Bands:
    """Band hashes of texts, added batch by batch; 112 bytes a text. run: words of a shingle."""

    run: int = RUN
    rows: list[np.ndarray] = field(default_factory=list)
    hashes: list[np.ndarray] = field(default_factory=list)

    def add(self, rows: np.ndarray, texts: list[str]) -> None:
        """Texts and their row numbers; texts without a word are left out."""
        from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]

        runs, starts = shingles(*word_hashes(texts), self.run)
        filled = np.flatnonzero(np.diff(starts) > 0)
        if not len(filled):
            return
        offsets = np.r_[starts[:-1][filled], starts[-1]].astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(runs, offsets, BANDS * ROWS, 1)
        values = np.fromiter(chain.from_iterable(matrix.to_rows()), np.uint64, count=BANDS * ROWS * len(filled)).reshape(-1, BANDS, ROWS)
        mixed = np.zeros(values.shape[:2], np.uint64)
        for k in range(ROWS):
            mixed = (mixed ^ values[:, :, k]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(32)
        self.rows.append(rows[filled])
        self.hashes.append(mixed)

    def candidates(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(leader, other) rows that share a band, band by band."""
        if not self.rows:
            return
        rows, hashes = np.concatenate(self.rows), np.concatenate(self.hashes)
        for band in range(BANDS):
            order = np.argsort(hashes[:, band], kind="stable")
            value = hashes[order, band]
            first = np.r_[True, value[1:] != value[:-1]]
            start = np.flatnonzero(first)[np.cumsum(first) - 1]
            place = np.arange(len(value))
            size = np.r_[np.flatnonzero(first)[1:], len(value)][np.cumsum(first) - 1] - start
            for step in range(min(LEADERS, int(size.max()) - 1)):
                pair = place > start + step
                if pair.any():
                    yield rows[order[start[pair] + step]], rows[order[place[pair]]]


def near_pairs(
    bands: Bands, texts_of: Callable[[np.ndarray], Iterable[tuple[np.ndarray, list[str]]]], threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first, second, J) of the pairs with J >= threshold, first < second, each once. `texts_of(rows)` gives batches of those rows with their texts (a second pass)."""
    seen: set[int] = set()
    pairs: list[np.ndarray] = []
    for a, b in bands.candidates():
        low, high = np.minimum(a, b), np.maximum(a, b)
        keys = np.unique((low << 32) | high)
        fresh = keys[[key not in seen for key in keys.tolist()]] if seen else keys
        seen.update(fresh.tolist())
        pairs.append(fresh)
    keys = np.concatenate(pairs) if pairs else np.empty(0, np.int64)
    first, second = keys >> 32, keys & 0xFFFFFFFF
    sets = _sets(np.unique(np.concatenate([first, second])), texts_of, bands.run) if len(keys) else {}
    value = np.array([jaccard(sets[int(a)], sets[int(b)]) for a, b in zip(first, second, strict=True)])
    close = value >= threshold if len(value) else np.empty(0, bool)
    order = np.lexsort((first[close], second[close]))
    return first[close][order], second[close][order], value[close][order]


def _sets(rows: np.ndarray, texts_of: Callable[[np.ndarray], Iterable[tuple[np.ndarray, list[str]]]], run: int) -> dict[int, np.ndarray]:
    held = {}
    for numbers, texts in texts_of(rows):
        runs, starts = shingles(*word_hashes(texts), run)
        for place, row in enumerate(numbers.tolist()):
            held[row] = np.unique(runs[starts[place] : starts[place + 1]])
    return held


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """|A and B| / |A or B| of two sorted sets; 0 of two empty ones.

    >>> jaccard(np.array([1, 2, 3]), np.array([2, 3, 4]))
    0.5
    """
    both = len(np.intersect1d(a, b, assume_unique=True))
    either = len(a) + len(b) - both
    return both / either if either else 0.0


def clusters(first: np.ndarray, second: np.ndarray) -> dict[int, int]:
    """Row -> first row of its cluster (union of pairs)."""
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        parent.setdefault(row, row)
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {row: root(row) for row in parent}
