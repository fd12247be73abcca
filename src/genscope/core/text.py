"""Hostile text made harmless: model replies, data files and server messages are untrusted."""

from __future__ import annotations

import re

REPLY_CHARACTERS = 64_000
"""Longest reply that is kept, in characters; what is longer is cut, marked, and counted as truncated."""

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[\x1b\x9b][\[\]()#;?]*(?:[0-9]{1,4}(?:;[0-9]{0,4})*)?[0-9A-PR-TZcf-nq-uy=><~]"  # CSI and two-byte forms
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_KEYS = re.compile(
    r"(?i)\bbearer\s+\S+|\bsk[-_][A-Za-z0-9_\-]{8,}|\b(?:key|token)[-_ ](?=[A-Za-z_\-]*[0-9])[A-Za-z0-9_\-]{8,}"
)  # "key provided" is none


def clean(text: str, limit: int = REPLY_CHARACTERS) -> str:
    """Text without terminal escapes, control and direction-changing characters and lone surrogates, at most `limit` characters.

    >>> clean("a\\x1b[31mred\\x1b[0m\\x00b")
    'aredb'
    """
    text = text[: 4 * limit]
    text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _ESCAPES.sub("", text)))
    return text[:limit]


def without_keys(text: str, *secrets: str) -> str:
    """Text in which the given secrets, and whatever looks like a key, are blotted out.

    >>> without_keys("401: bad key abc123xyz", "abc123xyz")
    '401: bad key [key]'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    return _KEYS.sub("[key]", text)


def shorten(text: str, limit: int = 200) -> str:
    """One line of at most `limit` characters, for messages."""
    line = " ".join(clean(text, 10 * limit).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def many(count: int, one: str, more: str = "") -> str:
    """A count with its noun, or with a noun and its verb.

    >>> many(1, "row"), many(2000, "row"), many(0, "class", "classes"), many(1, "row has", "rows have")
    ('1 row', '2,000 rows', '0 classes', '1 row has')
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def large(value: float) -> str:
    """A large number in words, three digits.

    >>> large(8e8), large(1.1e9), large(65956), large(1e11)
    ('800 million', '1.1 billion', '66,000', '100 billion')
    """
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 1_000 else f"{value:.3g}"
