"""Randomness by name: a seed is a path of names, hashed; there is no global seed and no seed arithmetic.

    rng = Seed("profile", 0).child("find_minimum", "ood", "block", 3).rng()

A draw is named, so adding one never shifts another, and two paths share nothing but chance.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, init=False)
class Seed:
    """A node of the seed tree. `Seed("a", 1)` and `Seed("a", "1")` are different nodes."""

    path: tuple[str | int, ...]

    def __init__(self, *path: str | int) -> None:
        object.__setattr__(self, "path", path)

    def child(self, *names: str | int) -> Seed:
        """The node below this one that `names` leads to."""
        return Seed(*self.path, *names)

    def digest(self, size: int = 16) -> bytes:
        """`size` bytes that depend on every name of the path and on nothing else."""
        return hashlib.blake2b(repr(self.path).encode(), digest_size=size, person=b"genscope.seed").digest()

    def integer(self, bits: int = 63) -> int:
        """A whole number in [0, 2**bits), 1 <= bits <= 128, for libraries that want an integer seed."""
        return int.from_bytes(self.digest(16), "big") >> (128 - bits)

    def rng(self) -> np.random.Generator:
        """A fresh NumPy generator (PCG64) for this node; two calls give the same stream."""
        import numpy as np

        return np.random.Generator(np.random.PCG64(int.from_bytes(self.digest(32), "big")))
