"""Words of any script: runs of letters, combining marks and digits of NFC text, with their offsets.

`\\w` of the standard library leaves out combining marks, which cuts every word of Hindi or Bengali at its vowel signs; here they belong to the word,
and so do the joiners (ZWNJ, ZWJ) and an apostrophe or hyphen inside a word.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache


def folded(text: str) -> str:
    """Text as it is matched: NFC, lower case, NFC again (lower-casing can leave a composable pair). Accents and marks stay.

    >>> folded("E\\u0301te\\u0301")
    'été'
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


@cache
def pattern() -> re.Pattern[str]:
    """A word: letters, marks, digits and joiners, with single apostrophes or hyphens inside it."""
    marks = "".join(_ranges([code for code in range(0x300, sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]))
    unit = f"[\\w{marks}\u200c\u200d]"
    return re.compile(f"{unit}+(?:['’-]{unit}+)*")


def words(text: str) -> list[tuple[str, int, int]]:
    """(word, begin, end) in order.

    >>> words("The hard-working baker's dog.")
    [('The', 0, 3), ('hard-working', 4, 16), ("baker's", 17, 24), ('dog', 25, 28)]
    """
    return [(found.group(), found.start(), found.end()) for found in pattern().finditer(text)]


def _ranges(codes: list[int]) -> list[str]:
    made, start = [], 0
    for place in range(1, len(codes) + 1):
        if place == len(codes) or codes[place] != codes[place - 1] + 1:
            made.append(f"{chr(codes[start])}-{chr(codes[place - 1])}")
            start = place
    return made
