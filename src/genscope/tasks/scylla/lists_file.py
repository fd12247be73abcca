"""Reads the user's own lists of numbers (what a model was trained on), one a line, as ID data instead of a probe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genscope.core.errors import DataError
from genscope.core.text import shorten

LARGEST = 50_000_000
"""Bytes of a lists file that are read at most."""


def read_lists(path: Path) -> list[Any]:
    """Lists from a file: a line is a JSON list ([3, 1, 2]; pairs and matrices are nested) or numbers with spaces or commas (3 1 2).

    Raises DataError with the line when it is neither, when the file is missing, empty or above 50 MB.
    """
    if not path.is_file():
        raise DataError(
            f"--id-source {path}: no such file. Give auto, examples, elements, prior, or a file with one list of whole numbers a line"
        )
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes; at most {LARGEST:,} are read. Give a sample of the lists")
    lists = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if line.strip():
            lists.append(_read_line(line.strip(), f"{path}, line {number}"))
    if not lists:
        raise DataError(f"{path}: no list in it. Give one list of whole numbers a line, such as [3, 1, 2]")
    return lists


def _read_line(line: str, place: str) -> Any:
    try:
        value = json.loads(line) if line.startswith("[") else [int(word) for word in line.replace(",", " ").split()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not a list of whole numbers: {shorten(line, 60)!r}. Write [3, 1, 2] or 3 1 2") from error
    return value
