"""Three domains of real text as characters: novels, plays, and the Python source of the interpreter's own library; each with a part that is held out.

Novels and plays are the public-domain texts of tasks/packed_text.py; the source is read in place (PSF licence) and is that of the Python that runs.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genscope.core.errors import DataError, UsageError
from genscope.tasks.packed_text import Blocks, characters, prose

NAMES = ("novels", "plays", "Python source")
HELD_OUT = 0.1
"""Share of a text, at its end, that is held out."""
_LEFT_OUT = frozenset({"site-packages", "dist-packages", "test", "tests", "__pycache__", "lib2to3", "idlelib"})


@dataclass(frozen=True, slots=True)
class TextDomain:
    """A domain in blocks of characters: the beginning of its text to train on, its end held out."""

    name: str
    train: Blocks
    held_out: Blocks


def text_domains(length: int, count: int) -> list[TextDomain]:
    """The three domains in blocks of `length`, with the same number of training characters each: at most `count`, and what the shortest text has. Blocks that also stand in the
    held-out part (licence headers) are not trained on.

    MissingError where novels and plays are not in $GENSCOPE_DATA.
    """
    if count < 20 * length:
        raise UsageError(f"text_domains needs at least {20 * length:,} characters a domain for blocks of {length}, got {count:,}")
    wanted = round(count / (1 - HELD_OUT)) + 1
    texts = [prose("prose_train")[:wanted], prose("drama_ood")[:wanted], python_source(wanted)]
    size = min(map(len, texts))
    cut = round(size * (1 - HELD_OUT)) // length * length
    return [
        _divided(name, characters(text[:cut], length), characters(text[cut:size], length)) for name, text in zip(NAMES, texts, strict=True)
    ]


def _divided(name: str, train: Blocks, held_out: Blocks) -> TextDomain:
    kept = {row.tobytes() for row in held_out.take(np.arange(held_out.count))}
    own = [row for row in train.take(np.arange(train.count)) if row.tobytes() not in kept]
    return TextDomain(name, replace(train, tokens=np.concatenate(own).astype(train.tokens.dtype)), held_out)


def python_source(count: int) -> str:
    """The first `count` characters of the library's modules, in the order of their paths, without tests."""
    parts, size = [], 0
    for path in _modules(Path(sysconfig.get_path("stdlib"))):
        try:
            parts.append(path.read_text("utf-8", "replace"))
        except OSError:
            continue
        size += len(parts[-1]) + 1
        if size >= count:
            break
    if not parts:
        raise DataError(f"no Python source in {sysconfig.get_path('stdlib')}; this interpreter comes without that of its library")
    return "\n".join(parts)[:count]


def _modules(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        if not _LEFT_OUT & set(path.relative_to(folder).parts):
            yield path
