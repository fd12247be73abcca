"""Words of many texts as 64-bit hashes, in one sweep over their bytes; the ground of near duplicates and repeated spans.

A word is a run of letters, digits and bytes outside ASCII, in lower case; a Chinese, Japanese or Thai character is a word of its own. The hash of the bytes from s to e is
(C(e) - C(s)) r^-s with C(i) = sum of byte_j r^j below i, modulo 2^64: differences of one cumulative sum, whatever the words are.
"""

# N texts, W words, n bytes

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Int, UInt

_R = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_MIX = np.uint64(0xD6E8FEB86659FD93)


def word_hashes(texts: list[str]) -> tuple[UInt[np.ndarray, " W"], Int[np.ndarray, " N+1"]]:
    """(hash of each word, where each text's words begin).

    >>> hashes, starts = word_hashes(["Good morning", "good  MORNING!", ""])
    >>> bool((hashes[:2] == hashes[2:]).all()), starts.tolist()
    (True, [0, 2, 4, 4])
    """
    whole = "\n".join(texts)
    plain = whole.isascii()
    raw = np.frombuffer((whole if plain else whole.lower()).encode("utf-8", "replace"), np.uint8)
    lengths = (
        np.array([len(text) for text in texts], np.int64)
        if plain
        else np.array([len(text.lower().encode("utf-8", "replace")) for text in texts], np.int64)
    )
    ends = np.cumsum(lengths + 1)
    data = _lower()[raw]
    inside = _is_word()[data]
    alone = np.zeros(len(data), bool) if plain else _alone(data, inside)
    before = np.r_[False, inside[:-1]]
    starts = np.flatnonzero(inside & (~before | alone))
    stops = np.flatnonzero(np.r_[before, False][: len(data) + 1] & np.r_[~inside | alone, True])
    # a character of its own also ends where the next byte that begins something else stands
    hashes = _spans(data, starts, _ends(starts, stops, len(data)))
    return hashes, np.r_[0, np.searchsorted(starts, ends)].astype(np.int64)


def shingles(
    hashes: UInt[np.ndarray, " W"], starts: Int[np.ndarray, " N+1"], words: int
) -> tuple[UInt[np.ndarray, " S"], Int[np.ndarray, " N+1"]]:
    """Hashes of every run of `words` words inside a text, and where each text's begin; a shorter text with any word has one run, of all its words."""
    count = np.diff(starts)
    runs = windows(hashes, words)
    usable = np.maximum(count - words + 1, 0)
    short = np.flatnonzero((count > 0) & (usable == 0))
    total = np.where(count > 0, np.maximum(usable, 1), 0)
    begin = np.r_[0, np.cumsum(total)]
    made = np.empty(int(begin[-1]), np.uint64)
    whole = np.flatnonzero(usable > 0)
    at = _ranges(begin[:-1][whole], usable[whole])
    made[at] = runs[_ranges(starts[:-1][whole], usable[whole])]
    for size in range(1, words):
        some = short[count[short] == size]
        value = np.zeros(len(some), np.uint64)
        for k in range(size):
            value = (value + hashes[starts[:-1][some] + k]) * _MIX
        made[begin[:-1][some]] = value
    return made, begin.astype(np.int64)


def windows(hashes: UInt[np.ndarray, " W"], words: int) -> UInt[np.ndarray, " W-words+1"]:
    """Hash of every run of `words` words, ends of texts notwithstanding: h_1 m^w + ... + h_w m, modulo 2^64."""
    length = max(0, len(hashes) - words + 1)
    value = np.zeros(length, np.uint64)
    for k in range(words):
        value = (value + hashes[k : k + length]) * _MIX
    return value ^ (value >> np.uint64(31))


def text_hashes(hashes: UInt[np.ndarray, " W"], starts: Int[np.ndarray, " N+1"]) -> UInt[np.ndarray, " N"]:
    """Hash of each text's words in their order: equal for texts that differ in case, spaces and punctuation only; 0 without a word.

    >>> found = text_hashes(*word_hashes(["Good morning!", "good  morning", "morning good", ""]))
    >>> bool(found[0] == found[1]), bool(found[0] == found[2]), int(found[3])
    (True, False, 0)
    """
    count = np.diff(starts)
    place = np.arange(len(hashes)) - np.repeat(starts[:-1], count)
    power, _ = _powers(1 << max(16, int(count.max(initial=0)).bit_length()))
    total = np.r_[np.uint64(0), np.cumsum((hashes ^ (hashes >> np.uint64(31))) * power[place])]
    value = (total[starts[1:]] - total[starts[:-1]] + count.astype(np.uint64)) * _MIX
    return np.where(count > 0, value ^ (value >> np.uint64(31)), np.uint64(0))


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """starts[0], starts[0]+1, ..., for each length, one after the other."""
    if not len(lengths):
        return np.empty(0, np.int64)
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1])) + np.repeat(starts - (ends - lengths), lengths)


def _ends(starts: np.ndarray, stops: np.ndarray, n: int) -> np.ndarray:
    """End of each word: the first stop after its start."""
    place = np.searchsorted(stops, starts, side="right")
    return np.r_[stops, n][place]


def _alone(data: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Bytes that begin a character which is a word of its own; general and CJK punctuation leaves `inside`."""
    second = np.r_[data[1:], 0]
    marks = np.flatnonzero(((data == 0xE2) & (second == 0x80)) | ((data == 0xE3) & (second == 0x80)))
    for step in range(3):
        inside[np.minimum(marks + step, len(data) - 1)] = False
    own = ((data >= 0xE3) & (data <= 0xE9)) | ((data == 0xE0) & ((second == 0xB8) | (second == 0xB9)))
    return own & inside


def _spans(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    power, inverse = _powers(1 << max(16, len(data).bit_length()))
    total = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * power[: len(data)], out=total[1:])
    value = (total[ends] - total[starts]) * inverse[starts]
    value = (value ^ (value >> np.uint64(29))) * _MIX
    return value ^ (value >> np.uint64(32))


@cache
def _powers(n: int) -> tuple[np.ndarray, np.ndarray]:
    """r^i and r^-i modulo 2^64 for i below n."""

    def table(base: int) -> np.ndarray:
        return np.cumprod(np.r_[np.uint64(1), np.full(n - 1, base, np.uint64)], dtype=np.uint64)

    return table(_R), table(pow(_R, -1, 1 << 64))


@cache
def _lower() -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    table[65:91] += 32
    return table


@cache
def _is_word() -> np.ndarray:
    return np.array([byte >= 128 or chr(byte).isalnum() for byte in range(256)])
