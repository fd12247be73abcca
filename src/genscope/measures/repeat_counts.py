"""How often the text of a data set repeats: documents grouped by what they say, passages by their words, and the words under each number of repeats.

A repeat is counted as the law of the danger zone counts it: E times the same text. f = share of the words in groups with E >= 2; R = words of one copy of each.
"""

# G groups, W runs of words

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt

from genscope.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Bucket:
    """Groups whose repeats lie from `least` to `most`. once: words of one copy of each; words: words of all copies."""

    least: int
    most: int
    groups: int
    once: float
    words: float


def by_repeats(repeats: Int[np.ndarray, " G"], words: Float[np.ndarray, " G"]) -> list[Bucket]:
    """Buckets 1, 2, 3-4, 5-8, 9-16, ... that hold any group; `words` are those of all copies of a group.

    >>> by_repeats(np.array([1, 1, 3, 4]), np.array([10.0, 20.0, 30.0, 40.0]))
    [Bucket(least=1, most=1, groups=2, once=30.0, words=30.0), Bucket(least=3, most=4, groups=2, once=20.0, words=70.0)]
    """
    if len(repeats) != len(words) or (len(repeats) and repeats.min() < 1):
        raise UsageError("each group has the number of its repeats (at least 1) and its words")
    place = np.ceil(np.log2(np.maximum(repeats, 1)) - 1e-12).astype(int)
    made = []
    for one in np.unique(place).tolist():
        inside = place == one
        least = 1 if one == 0 else 2 ** (one - 1) + 1
        made.append(Bucket(least, 2**one, int(inside.sum()), float((words[inside] / repeats[inside]).sum()), float(words[inside].sum())))
    return made


def effective_fraction(repeats: Int[np.ndarray, " G"], words: Float[np.ndarray, " G"]) -> float:
    """f: share of the words in groups with two copies or more; 0 of nothing.

    >>> effective_fraction(np.array([1, 100]), np.array([900.0, 100.0]))
    0.1
    """
    total = float(words.sum())
    return float(words[repeats >= 2].sum()) / total if total else 0.0


def share_between(repeats: Float[np.ndarray, " G"], words: Float[np.ndarray, " G"], low: float, high: float) -> float:
    """Share of the words whose repeats lie in [low, high] and are two or more: text that is seen once is no repeat, whatever the zone says."""
    total = float(words.sum())
    inside = (repeats >= np.maximum(low, 2)) & (repeats <= high)
    return float(words[inside].sum()) / total if total else 0.0


class Passages:
    """Runs of words counted over a whole data set, in bounded memory: beyond `most` runs only those whose hash falls into a share 1/modulus of the hash space are kept.

    All copies of a run are kept or none, so the share of runs with a number of repeats stays an unbiased estimate.
    """

    def __init__(self, words: int, most: int) -> None:
        self.words, self.most, self.modulus = words, most, 1
        self._hashes: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._held = 0

    def add(self, rows: Int[np.ndarray, " N"], hashes: UInt[np.ndarray, " W"], starts: Int[np.ndarray, " N+1"]) -> None:
        """Texts by their word hashes."""
        from genscope.measures.words import windows

        runs = windows(hashes, self.words)
        row = np.repeat(rows, np.diff(starts))[: len(runs)]
        end = np.repeat(starts[1:], np.diff(starts))[: len(runs)]
        kept = (np.arange(len(runs)) + self.words <= end) & (runs % np.uint64(self.modulus) == 0)
        self._hashes.append(runs[kept])
        self._rows.append(row[kept].astype(np.uint32))
        self._held += int(kept.sum())
        while self._held > self.most:
            self.modulus *= 2
            masks = [one % np.uint64(self.modulus) == 0 for one in self._hashes]
            self._hashes = [one[mask] for one, mask in zip(self._hashes, masks, strict=True)]
            self._rows = [one[mask] for one, mask in zip(self._rows, masks, strict=True)]
            self._held = sum(len(one) for one in self._hashes)

    def counts(self) -> tuple[Int[np.ndarray, " W"], Int[np.ndarray, " W"]]:
        """(how often each kept run occurs, its row), one entry an occurrence."""
        if not self._hashes:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        _, place, count = np.unique(np.concatenate(self._hashes), return_inverse=True, return_counts=True)
        return count[place], np.concatenate(self._rows).astype(np.int64)
