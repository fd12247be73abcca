"""Writing a training record: one line at a time, whole, by one process; a full disk stops the record and not the training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from genscope.core.errors import StoreError, UsageError


class Writer:
    """Appends lines to a record. A line that could not be written is counted in `lost`, and said in the record once there is room again.

    The file is held by a lock until `close`, so that two monitors cannot write into one record.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] | None = open_file(path)
        except OSError as error:
            raise StoreError(f"{path}: the training record cannot be written ({error.strerror})") from error
        if not _locked(self._file):
            self._file.close()
            raise UsageError(f"{path}: another process writes this record. Give each run a folder of its own")
        self._torn = _ends_torn(path)

    def write(self, plain: Mapping[str, Any]) -> bool:
        """Append one object; False where it could not be written."""
        if self._file is None:
            return False
        if self.lost and not self._put({"kind": "note", "step": plain.get("step", 0), "text": f"{self.lost} lines are missing here: the disk was full or the file could not be written"}):  # fmt: skip
            self.lost += 1
            return False
        self.lost = 0
        if not self._put(plain):
            self.lost = 1
            return False
        return True

    @property
    def open(self) -> bool:
        """Whether lines can still be written."""
        return self._file is not None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, plain: Mapping[str, Any]) -> bool:
        data = (
            (b"\n" if self._torn else b"")
            + json.dumps(finite(plain), separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
            + b"\n"
        )
        try:
            written = self._file.write(data) if self._file else 0
        except OSError:
            written = 0
        self._torn = self._torn if not written else written < len(data)
        return written == len(data)


def open_file(path: Path) -> IO[bytes]:
    """The record, to append to; every write goes to the file at once."""
    return path.open("ab", buffering=0)


def _ends_torn(path: Path) -> bool:
    """Whether the file ends within a line: its writer was killed there."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return False
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def finite(value: Any) -> Any:
    """A copy in which numbers that are none are None and floats have six digits."""
    if isinstance(value, Mapping):
        return {str(name): finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _locked(file: IO[bytes]) -> bool:
    try:
        import fcntl
    except ImportError:  # no locks of this kind on Windows: two monitors on one file are not noticed there
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
