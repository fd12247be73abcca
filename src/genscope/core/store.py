"""Store: what was computed once, kept under a hash of all that can change it.

A value lies in one file, written under a temporary name and renamed, with a checksum inside: two processes
may share a store, a killed one leaves no half value, and a damaged file counts as missing (and is reported).
The files are the index; there is nothing else to lose. JSON and npz, no pickle.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import canonical, digest
from genscope.core.errors import StoreError

if TYPE_CHECKING:
    import numpy as np


def home() -> Path:
    """Where genscope keeps things: `$GENSCOPE_HOME`, else `genscope` in the user's cache folder."""
    named = os.environ.get("GENSCOPE_HOME")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "genscope"


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of values. `damaged` collects the keys of files that failed their checksum in this process."""

    folder: Path
    damaged: list[str]

    @classmethod
    def open(cls, folder: Path | None = None) -> Store:
        """The store in `folder`, by default in `home()`; made at the first write."""
        return cls((folder or home()) / "store", [])

    def key(self, kind: str, parts: Any) -> str:
        """Key of a value: hash of its kind and of everything that can change it (plain JSON)."""
        return digest([kind, parts], size=20)

    def path(self, key: str) -> Path:
        """Where the value of `key` lies, whether it is there or not."""
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Any | None:
        """The value of `key`, or None when it is not there or damaged (a damaged file is removed and noted)."""
        path = self.path(key)
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}. Set GENSCOPE_HOME to a folder that you may read") from error
        try:
            held = json.loads(raw)
            if held["key"] == key and held["sum"] == digest(held["value"]):
                return held["value"]
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        self.damaged.append(key)
        path.unlink(missing_ok=True)
        return None

    def put(self, key: str, value: Any) -> None:
        """Keep `value` (plain JSON) under `key`. Raises StoreError when it cannot be written; never leaves a half file there."""
        path = self.path(key)
        text = canonical({"key": key, "sum": digest(value), "value": value})
        write_whole(path, text.encode("utf-8", "surrogatepass"))

    def put_arrays(self, key: str, arrays: Mapping[str, np.ndarray], about: Any) -> None:
        """Keep named arrays (an npz file) and plain facts under `key`."""
        import io

        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        raw = buffer.getvalue()
        write_whole(self.path(key).with_suffix(".npz"), raw)
        self.put(key, {"about": about, "arrays": hashlib.blake2b(raw).hexdigest()})

    def get_arrays(self, key: str) -> tuple[dict[str, np.ndarray], Any] | None:
        """The arrays and facts of `key`, or None when they are not there or damaged."""
        import io

        import numpy as np

        held, path = self.get(key), self.path(key).with_suffix(".npz")
        if held is None:
            return None
        raw = path.read_bytes() if path.is_file() else b""
        if hashlib.blake2b(raw).hexdigest() != held["arrays"]:
            self.damaged.append(key)
            path.unlink(missing_ok=True)
            return None
        with np.load(io.BytesIO(raw), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}, held["about"]

    def files(self) -> Iterator[Path]:
        """Every value's file, in no order."""
        return (path for kind in ("json", "npz") for path in self.folder.glob(f"??/*.{kind}"))

    def size(self) -> tuple[int, int]:
        """Number of values, and their bytes."""
        sizes = [path.stat().st_size for path in self.files()]
        return len(sizes), sum(sizes)

    def prune(self, older_than_days: float) -> tuple[int, int]:
        """Remove values not written within that many days, and temporary files left by killed runs; returns (values, bytes) removed."""
        import time

        limit = time.time() - older_than_days * 86_400
        removed = freed = 0
        for path in [*self.files(), *self.folder.glob("??/.*.tmp")]:
            facts = path.stat()
            if facts.st_mtime < limit:
                path.unlink(missing_ok=True)
                removed, freed = removed + 1, freed + facts.st_size
        return removed, freed


@cache
def _mask() -> int:
    """The user's mask for new files, which `mkstemp` ignores."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that its name never holds half of it: temporary name in the same folder, flush to disk, rename."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_mask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        why = "no space left on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
        raise StoreError(
            f"cannot write {path}: {why}. Free some space or choose another folder (GENSCOPE_HOME for the store, --out for results); "
            "what was finished before is kept, and the same command resumes"
        ) from error
