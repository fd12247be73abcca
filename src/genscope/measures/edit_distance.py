"""Edit distance (Levenshtein 1966) between sequences of symbols, many pairs at once: insertions, deletions and substitutions cost 1 each.

The inner loop is rapidfuzz's; here symbols become characters, equal pairs are computed once, and the result may be divided by the longer length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from genscope.core.errors import UsageError

FIRST = 0xE000
"""Code of symbol 0: behind the surrogates, which no string may hold; room for a million symbols."""
MOST = 0x110000 - FIRST


def as_text(symbols: Int[np.ndarray, " T"]) -> str:
    """A sequence of symbols (whole numbers from 0) as a string with one character each.

    >>> len(as_text(np.array([0, 70_000, 3])))
    3
    """
    codes = np.asarray(symbols, dtype=np.int64)
    if len(codes) and not 0 <= codes.min() <= codes.max() < MOST:
        raise UsageError(f"symbols must be whole numbers from 0 to {MOST - 1}, got {codes.min()} to {codes.max()}")
    return (codes + FIRST).astype("<u4").tobytes().decode("utf-32-le")


def edit_distances(texts: Sequence[str], pairs: Int[np.ndarray, "P 2"], *, normalize: bool = False) -> Float[np.ndarray, " P"]:
    """Distance of each pair (rows of places in `texts`): a count of edits, or a fraction of the longer length (0 where both are empty).

    O(length^2 / 64) a different pair; pairs of equal content are computed once.

    >>> edit_distances(["kitten", "sitting", ""], np.array([[0, 1], [0, 2], [2, 2]])).tolist()
    [3.0, 6.0, 0.0]
    """
    if not len(pairs):
        return np.zeros(0)
    names = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    kinds = list(names)
    of_text = np.array([names[text] for text in texts])
    ends = np.sort(of_text[np.asarray(pairs)], axis=1)
    different, place = np.unique(ends[:, 0] * len(kinds) + ends[:, 1], return_inverse=True)
    first, second = np.divmod(different, len(kinds))
    found = cpdist([kinds[k] for k in first], [kinds[k] for k in second], scorer=Levenshtein.distance, dtype=np.int32).astype(float)
    if normalize:
        lengths = np.array([len(text) for text in kinds])
        found /= np.maximum(1, np.maximum(lengths[first], lengths[second]))
    return found[place.reshape(-1)]
