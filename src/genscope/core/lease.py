"""Lease: a lock among machines that share nothing but named objects.

The holder creates an object that must not exist yet and renews it; a waiter that sees the same content for `PATIENCE` seconds of its own
clock takes the holder for dead, removes the object and tries to create it. No clocks are compared. Where a store cannot create exclusively, or a
holder sleeps longer than the patience, two may hold the lease: then a value is computed twice, and nothing is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

PATIENCE = 60.0
"""Seconds without a renewal after which a holder counts as dead; it renews four times as often."""
TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "conditionNotMet")
"""How object stores say that an object is there already, where fsspec has no error of its own for it."""
SHORTEST, LONGEST = 0.05, 2.0
"""Seconds between two looks of a waiter, growing from the one to the other."""


@contextmanager
def lease(files: Any, path: str, *, exclusive_put: bool, failed: Callable[[Exception], Exception]) -> Iterator[None]:
    """Hold the object `path` on an fsspec file system; `failed` makes the error for a store that cannot be written."""
    owner = uuid4().hex
    seen, since, pause = b"", time.monotonic(), SHORTEST
    while not _create(files, path, f"{owner} 0".encode(), exclusive_put, failed):
        now = _content(files, path)
        if now is None:
            continue
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            with suppress(OSError):
                files.rm_file(path)
            continue
        time.sleep(pause)
        pause = min(LONGEST, 1.5 * pause)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(files, path, owner, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        if (_content(files, path) or b"").startswith(owner.encode()):
            with suppress(OSError):
                files.rm_file(path)


def _create(files: Any, path: str, content: bytes, exclusive_put: bool, failed: Callable[[Exception], Exception]) -> bool:
    try:
        if exclusive_put:
            files.pipe_file(path, content, mode="create")
        else:
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with files.open(path, "xb") as file:
                file.write(content)
    except FileExistsError:
        return False
    except Exception as error:  # each backend raises classes of its own
        if any(word in str(error) for word in TAKEN):
            return False
        raise failed(error) from error
    return True


def _content(files: Any, path: str) -> bytes | None:
    try:
        return files.cat_file(path)
    except Exception:  # gone, or unreadable for a moment: the next try to create it tells
        return None


def _renew(files: Any, path: str, owner: str, ended: threading.Event) -> None:
    number = 0
    while not ended.wait(PATIENCE / 4):
        number += 1
        with suppress(Exception):  # a renewal that fails is tried again; at worst the lease is lost
            if not (_content(files, path) or b"").startswith(owner.encode()):
                return
            files.pipe_file(path, f"{owner} {number}".encode())
