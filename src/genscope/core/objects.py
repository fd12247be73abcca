"""Objects: a store on an object store or a remote file system, through fsspec (s3://bucket/path, gs://, sftp://, file://, memory://).

An object store shows a new object only when all of it is there, so a value is one put. Other file systems get the value under a
temporary name, which is then moved. fsspec is imported here only, and only when a URL was named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from genscope.core.errors import MissingError, StoreError, UsageError, missing_extra
from genscope.core.lease import lease
from genscope.core.place import Blob, Place

WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory")
"""Protocols whose puts are atomic."""


class Objects(Place):
    """Blobs below a URL. Credentials are found as fsspec's backends find them (environment, profiles), never in a record."""

    def __init__(self, url: str) -> None:
        self.protocol = url.partition("://")[0]
        self.url = public(url.rstrip("/"))
        self.shared = self.protocol != "memory"
        self.whole = self.protocol in WHOLE
        self.files, self.root = _opened(url.rstrip("/"), self.protocol)

    def __str__(self) -> str:
        return self.url

    def read(self, name: str) -> bytes | None:
        try:
            return self.files.cat_file(f"{self.root}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # each backend raises classes of its own
            raise self._failed("read", name, error) from error

    def write(self, name: str, content: bytes) -> None:
        path = f"{self.root}/{name}"
        try:
            if self.whole:
                self.files.pipe_file(path, content)
                return
            parent, _, last = path.rpartition("/")
            temporary = f"{parent}/.{last}.{uuid4().hex[:12]}.tmp"
            self.files.makedirs(parent, exist_ok=True)
            self.files.pipe_file(temporary, content)
            self.files.mv(temporary, path)
        except Exception as error:  # each backend raises classes of its own
            raise self._failed("write", name, error) from error

    def has(self, name: str) -> bool:
        try:
            return bool(self.files.isfile(f"{self.root}/{name}"))
        except Exception as error:  # each backend raises classes of its own
            raise self._failed("read", name, error) from error

    def remove(self, name: str) -> None:
        try:
            self.files.rm_file(f"{self.root}/{name}")
        except FileNotFoundError:
            return
        except Exception as error:  # each backend raises classes of its own
            raise self._failed("remove", name, error) from error

    def blobs(self) -> Iterator[Blob]:
        try:
            found = self.files.find(self.root, detail=True)
            for path, facts in found.items():
                name = path[path.index(self.root) + len(self.root) :].lstrip("/")
                yield Blob(name, int(facts.get("size") or 0), self.files.modified(path).timestamp())
        except FileNotFoundError:
            return
        except Exception as error:  # each backend raises classes of its own
            raise self._failed("list", "", error) from error

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        with lease(
            self.files, f"{self.root}/locks/{name}", exclusive_put=self.whole, failed=lambda e: self._failed("write", f"locks/{name}", e)
        ):
            yield

    def _failed(self, what: str, name: str, error: Exception) -> StoreError:
        said = public(str(error).strip().split("\n")[0][:300]) or type(error).__name__
        return StoreError(
            f"cannot {what} {self.url}/{name}: {said}. Look at the address in GENSCOPE_HOME, its credentials and its space; "
            "what was finished before is kept, and the same command resumes"
        )


def _opened(url: str, protocol: str) -> tuple[Any, str]:
    """(file system, root path) of a URL."""
    try:
        import fsspec
    except ImportError as error:
        raise missing_extra(f"GENSCOPE_HOME={public(url)} is reached through fsspec", "shared") from error
    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingError(f"GENSCOPE_HOME={public(url)}: {error}") from error
    except Exception as error:  # an unknown protocol is a ValueError, a wrong address whatever its backend raises
        raise UsageError(f"GENSCOPE_HOME={public(url)}: {error}. Name a folder, or a URL such as s3://bucket/genscope") from error
    return files, root.rstrip("/")


def public(text: str) -> str:
    """A text without the user and password of addresses in it.

    >>> public("sftp://me:secret@host/genscope")
    'sftp://host/genscope'
    """
    return re.sub(r"://[^/@\s]*@", "://", text)
