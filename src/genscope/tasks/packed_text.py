"""Packed text: a long text, as characters or as a file of tokens, cut into blocks of one length that serve as documents; the real text of the repeated-data study.

blocks = characters(prose("prose_train"), 128)          # War and Peace and Middlemarch, a character a token
blocks = token_file(Path("openwebtext.bin"), 2048)      # tokens as uint16, as nanoGPT's scripts write them; read in place, not loaded
"""

# N blocks, T tokens of a block

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from genscope.core.errors import DataError
from genscope.tasks.images import data_folder

PROSE = "30-repeated-data"
ALPHABET = "\n" + "".join(chr(code) for code in range(32, 127))
"""Characters that are tokens: printable ASCII and the newline, in this order; what is none becomes a question mark."""
LARGEST = 1 << 28
"""Characters that an unpacked text may have."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A text in blocks; a source for `RepeatedMixture`. The tokens that do not fill a last block are left out."""

    tokens: Int[np.ndarray, " n"]
    document_tokens: int
    vocabulary: int

    def __post_init__(self) -> None:
        if self.document_tokens < 2 or self.count < 1:
            raise DataError(f"a text of {len(self.tokens):,} tokens has no block of {self.document_tokens} (at least 2) tokens")

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.tokens) // self.document_tokens

    def take(self, indices: Int[np.ndarray, " N"]) -> Int[np.ndarray, "N T"]:
        """The blocks of these numbers."""
        starts = np.asarray(indices, np.int64) * self.document_tokens
        if len(starts) and (starts.min() < 0 or starts.max() + self.document_tokens > len(self.tokens)):
            raise DataError(f"blocks are numbered from 0 to {self.count - 1}")
        return self.tokens[starts[:, None] + np.arange(self.document_tokens)].astype(np.int64)


def as_tokens(text: str) -> Int[np.ndarray, " n"]:
    """A text as numbers of `ALPHABET`.

    >>> as_tokens("A\\nb").tolist()
    [34, 0, 67]
    """
    table = np.full(256, ALPHABET.index("?"), np.uint8)
    table[[ord(one) for one in ALPHABET]] = np.arange(len(ALPHABET))
    return table[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]


def characters(text: str, length: int) -> Blocks:
    """A text in blocks of `length` characters."""
    return Blocks(as_tokens(text), length, len(ALPHABET))


def token_file(path: Path, length: int, vocabulary: int = 1 << 16) -> Blocks:
    """A file of tokens in blocks: `.npy` (one dimension, whole numbers) or raw uint16 (`.bin`), read in place."""
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=False) if path.suffix == ".npy" else np.memmap(path, np.uint16, "r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no file of tokens can be read there ({error}). It is a .npy of whole numbers, or raw uint16") from error
    if tokens.ndim != 1 or tokens.dtype.kind not in "ui":
        raise DataError(f"{path}: tokens are whole numbers in one dimension, got {tokens.dtype} of shape {tokens.shape}")
    return Blocks(tokens, length, vocabulary)


def prose(name: str) -> str:
    """One of the public-domain texts: prose_train, prose_test, novel_ood, drama_ood. MissingError where they are not in $GENSCOPE_DATA."""
    folder = data_folder(
        PROSE, "The prose of the repeated-data study", "the repositories named in its README (Project Gutenberg texts, public domain)"
    )
    path = folder / f"{name}.txt.xz"
    if not path.is_file():
        raise DataError(f"{path} is not there; the folder holds {', '.join(sorted(one.name for one in folder.glob('*.xz'))) or 'no texts'}")
    with lzma.open(path) as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise DataError(f"{path} unpacks to more than {LARGEST:,} bytes")
    return raw.decode("ascii", "replace")
