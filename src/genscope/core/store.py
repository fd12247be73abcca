"""Store: what was computed once, kept under a hash of all that can change it.

A value is one blob with a checksum inside, written whole or not at all: any number of processes may share a store, a killed one leaves no
half value, and a damaged blob counts as missing (and is reported). The names are the index; there is nothing else to lose. JSON and npz, no
pickle. `$GENSCOPE_HOME` is a folder, or a URL for fsspec.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import canonical, digest
from genscope.core.errors import StoreError
from genscope.core.place import Folder, Place, write_whole

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Store", "home", "write_whole"]


def home() -> Path:
    """The folder in which genscope keeps things: `$GENSCOPE_HOME`, else `genscope` in the user's cache folder.

    Where `$GENSCOPE_HOME` is a URL, values go there and what belongs to one machine (converted weights, trained runs, hashes of files) stays in the cache.
    """
    named = os.environ.get("GENSCOPE_HOME")
    if named and "://" not in named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "genscope"


@dataclass(frozen=True, slots=True)
class Store:
    """Values in a place. `damaged` collects the keys of blobs that failed their checksum in this process."""

    place: Place
    damaged: list[str]

    @classmethod
    def open(cls, folder: Path | None = None) -> Store:
        """The store in `folder`, by default where `$GENSCOPE_HOME` says, else in `home()`; made at the first write."""
        named = os.environ.get("GENSCOPE_HOME", "")
        if folder is None and "://" in named:
            from genscope.core.objects import Objects

            return cls(Objects(f"{named.rstrip('/')}/store"), [])
        return cls(Folder((folder or home()) / "store"), [])

    def key(self, kind: str, parts: Any) -> str:
        """Key of a value: hash of its kind and of everything that can change it (plain JSON)."""
        return digest([kind, parts], size=20)

    def path(self, key: str) -> Path:
        """The file of `key`'s value in a store that is a folder, whether it is there or not."""
        if not isinstance(self.place, Folder):
            raise StoreError(f"{self.place} is no folder: its values have no files")
        return self.place.folder / _name(key)

    def has(self, key: str) -> bool:
        """Whether something lies under `key`; only `get` finds out whether it is whole."""
        return self.place.has(_name(key))

    def alone(self, key: str) -> AbstractContextManager[None]:
        """Only one process at a time holds a key; the lock goes with its process, however that ends."""
        return self.place.alone(key)

    def get(self, key: str) -> Any | None:
        """The value of `key`, or None when it is not there or damaged (a damaged file is removed and noted)."""
        raw = self.place.read(_name(key))
        if raw is None:
            return None
        try:
            held = json.loads(raw)
            if held["key"] == key and held["sum"] == digest(held["value"]):
                return held["value"]
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        self._drop(key, _name(key))
        return None

    def put(self, key: str, value: Any) -> None:
        """Keep `value` (plain JSON) under `key`. Raises StoreError when it cannot be written; never leaves a half file there."""
        text = canonical({"key": key, "sum": digest(value), "value": value})
        self.place.write(_name(key), text.encode("utf-8", "surrogatepass"))

    def put_arrays(self, key: str, arrays: Mapping[str, np.ndarray], about: Any) -> None:
        """Keep named arrays (an npz file) and plain facts under `key`."""
        import io

        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        raw = buffer.getvalue()
        self.place.write(_name(key, "npz"), raw)
        self.put(key, {"about": about, "arrays": hashlib.blake2b(raw).hexdigest()})

    def get_arrays(self, key: str) -> tuple[dict[str, np.ndarray], Any] | None:
        """The arrays and facts of `key`, or None when they are not there or damaged."""
        import io

        import numpy as np

        held = self.get(key)
        if held is None:
            return None
        raw = self.place.read(_name(key, "npz")) or b""
        if hashlib.blake2b(raw).hexdigest() != held["arrays"]:
            self._drop(key, _name(key, "npz"))
            return None
        with np.load(io.BytesIO(raw), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}, held["about"]

    def _drop(self, key: str, name: str) -> None:
        """Note a damaged blob and remove it, where this store lets us."""
        self.damaged.append(key)
        with suppress(StoreError):
            self.place.remove(name)

    def size(self) -> tuple[int, int]:
        """Number of values, and their bytes."""
        sizes = [blob.size for blob in self.place.blobs() if blob.value]
        return len(sizes), sum(sizes)

    def prune(self, older_than_days: float) -> tuple[int, int]:
        """Remove values not written within that many days, and temporary files left by killed runs; returns (values, bytes) removed."""
        import time

        limit = time.time() - older_than_days * 86_400
        old = [blob for blob in self.place.blobs() if blob.written < limit]
        for blob in old:
            self.place.remove(blob.name)
        return len(old), sum(blob.size for blob in old)


def _name(key: str, kind: str = "json") -> str:
    return f"{key[:2]}/{key}.{kind}"
