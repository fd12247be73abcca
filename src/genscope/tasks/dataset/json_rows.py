"""Types of columns, and rows of a .json file that holds one array: what JSON says of itself before polars reads it."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

LARGEST_JSON = 500 << 20
"""Bytes of a .json file that holds one array."""


def json_array(path: Path) -> list[Any] | None:
    """The rows of a .json file that holds one array; None where it is JSON lines."""
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"["):
        return None
    if path.stat().st_size > LARGEST_JSON:
        raise DataError(
            f"{path}: one JSON array of {path.stat().st_size:,} bytes; at most {LARGEST_JSON:,} are read. Save it as JSONL, which is streamed"
        )
    try:
        held = json.loads(path.read_bytes().decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not all(isinstance(row, dict) for row in held):
        raise DataError(f"{path}: an array whose entries are no objects. Write [{{...}}, {{...}}]")
    return held


def json_frame(rows: list[Any], kinds: Mapping[str, str]) -> pl.DataFrame:
    """The rows as a frame of texts."""
    import polars as pl

    text = "\n".join(json.dumps(row, default=str) for row in rows).encode()
    return (
        pl.read_ndjson(io.BytesIO(text), schema=dict.fromkeys(kinds, pl.String))
        if rows
        else pl.DataFrame(schema=dict.fromkeys(kinds, pl.String))
    )


def json_kinds(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """(type of each column, types seen in it with their counts)."""
    seen: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.items():
            seen.setdefault(str(name), Counter())[_kind(value)] += 1
    kinds = {}
    for name, counts in seen.items():
        known = [kind for kind in counts if kind != "empty"]
        kinds[name] = known[0] if len(known) == 1 else "mixed" if known else "text"
    return kinds, seen


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "nested"


def text_kind(texts: Sequence[str | None]) -> str:
    """Type of a column that is written as text, such as one of CSV."""
    filled = [text.strip().lower() for text in texts if text and text.strip()]
    numbers = sum(_is_number(text) for text in filled)
    if filled and all(text in ("true", "false") for text in filled):
        return "true/false"
    # a stray word among numbers does not make a column of texts
    return "number" if filled and numbers >= 0.9 * len(filled) else "text"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
