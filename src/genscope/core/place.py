"""Place: where a store's values lie, as named blobs: a folder, or whatever fsspec reaches (genscope.core.objects).

A blob is written whole or not at all, whoever is killed meanwhile. `alone` keeps two processes from computing the same value; it saves
work and guards no data: where a lock fails, the same value is computed twice and written twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from genscope.core.errors import StoreError


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob: its name, size in bytes, and when it was written (seconds since 1970)."""

    name: str
    size: int
    written: float

    @property
    def value(self) -> bool:
        """Whether it is a value: no lock, and nothing that a killed process left."""
        return not self.name.startswith("locks/") and not self.name.endswith(".tmp")


class Place(ABC):
    """Named blobs. Names are relative, with forward slashes, such as "ab/abcd.json"."""

    shared: bool
    """Whether other processes see what is written here."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The blob, or None when there is none; StoreError when it cannot be read."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Keep a blob, whole or not at all; StoreError when it cannot be written."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a blob."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a blob, if it is there; StoreError when it cannot be removed."""

    @abstractmethod
    def blobs(self) -> Iterator[Blob]:
        """Every blob, in no order, locks and what killed processes left included."""

    @abstractmethod
    def alone(self, name: str) -> AbstractContextManager[None]:
        """While it is held, no other process that asks holds the same name; freed when its process ends, however that ends."""


@dataclass(frozen=True, slots=True)
class Folder(Place):
    """A folder, on this machine or on a network path; locks are those of the file system (flock)."""

    folder: Path
    shared = True

    def __str__(self) -> str:
        return str(self.folder)

    def read(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}. Set GENSCOPE_HOME to a folder that you may read") from error

    def write(self, name: str, content: bytes) -> None:
        write_whole(self.folder / name, content)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def remove(self, name: str) -> None:
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.folder / name, error) from error

    def blobs(self) -> Iterator[Blob]:
        for pattern in ("??/*.json", "??/*.npz", "??/.*.tmp", "locks/*"):
            for path in self.folder.glob(pattern):
                facts = path.stat()
                yield Blob(path.relative_to(self.folder).as_posix(), facts.st_size, facts.st_mtime)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        path = self.folder / "locks" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
        except OSError as error:
            raise _unwritable(path, error) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


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
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreError:
    why = "no space left on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
    return StoreError(
        f"cannot write {path}: {why}. Free some space or choose another folder (GENSCOPE_HOME for the store, --out for results); "
        "what was finished before is kept, and the same command resumes"
    )
