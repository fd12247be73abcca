"""Canonical JSON and its hash: the one form behind example ids, store keys and claim hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, text as it is; NaN and infinities are refused (ValueError).

    >>> canonical({"b": [1, 2], "a": "é"})
    '{"a":"é","b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, size: int = 16) -> str:
    """Hex hash (blake2b, `size` bytes) of the canonical JSON of `value`.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.blake2b(canonical(value).encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
