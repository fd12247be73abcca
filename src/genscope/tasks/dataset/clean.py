"""A cleaned copy of a data set: the rows that are left, in the form of the original, beside it and never over it.

Written under a temporary name in the same folder and renamed, so that its final name never holds half of it. JSONL keeps the bytes of each kept line;
CSV keeps every cell, with quotes only where they are needed.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.errors import DataError, StoreError
from genscope.tasks.dataset import lines

if TYPE_CHECKING:
    from genscope.tasks.dataset.value import Dataset


def clean_name(data: Dataset) -> Path:
    """Where the copy goes: NAME.clean.SUFFIX beside the original. DataError if something is there already, StoreError if the folder cannot be written."""
    source = data.source
    if source is None:
        raise DataError("--fix writes beside a file; a frame in memory has none. Filter it by the flagged rows, or save it first")
    target = source.with_name(f"{source.name}.clean") if source.is_dir() else _beside(source)
    for path in (target, removed_name(target)):
        if path.exists() or path.is_symlink():
            raise DataError(f"{path}: is already there, and --fix writes over nothing. Move it away first")
    if not os.access(source.parent, os.W_OK):
        raise StoreError(
            f"cannot write {target}: no permission to write in {source.parent}. Copy the data to a folder of yours and audit it there"
        )
    return target


def _beside(source: Path) -> Path:
    name = source.name
    for packed in (".gz", ""):
        if name.lower().endswith(packed):
            stem = name[: len(name) - len(packed)] if packed else name
            head, dot, suffix = stem.rpartition(".")
            return source.with_name(f"{head}.clean.{suffix}{packed}" if dot else f"{stem}.clean{packed}")
    return source.with_name(f"{name}.clean")


def removed_name(target: Path) -> Path:
    """The list of what a copy leaves out."""
    return target.with_name(f"{target.name.split('.clean')[0]}.removed.csv")


def write_clean(data: Dataset, drop: np.ndarray, target: Path) -> None:
    """Write the rows whose numbers are not in `drop`."""
    keep = np.ones(data.rows, bool)
    keep[drop] = False
    if data.form == "images":
        _tree(data, keep, target, _pictures)
    elif data.source is not None and data.source.is_dir():
        _tree(data, keep, target, _files)
    else:
        with _whole(target) as path:
            _file(data, data.source or target, path, keep)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A temporary file beside the target, which gets the name at the end."""
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        # a hard link fails where the name exists: nothing is ever written over
        os.link(temporary, target)
    except OSError as error:
        raise StoreError(
            f"cannot write {target}: {error.strerror or error}. Free some space, or copy the data to a folder of yours"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _tree(data: Dataset, keep: np.ndarray, target: Path, fill: Any) -> None:
    """A folder, filled under a temporary name and renamed."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        fill(data, keep, temporary)
        temporary.chmod(0o755)
        os.rename(temporary, target)
    except OSError as error:
        raise StoreError(
            f"cannot write {target}: {error.strerror or error}. Free some space, or copy the data to a folder of yours"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _pictures(data: Dataset, keep: np.ndarray, folder: Path) -> None:
    source = data.source or folder
    for row, name in enumerate(data.column("id").to_list()):
        if keep[row]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, folder / name)


def _files(data: Dataset, keep: np.ndarray, folder: Path) -> None:
    """Each file of a folder for itself; their rows follow one another."""
    from dataclasses import replace

    from genscope.tasks.dataset.read import rows_of

    source, start = data.source or folder, 0
    for name in data.origin["files"]:
        rows = rows_of(source / name, data.form, data.origin["header"], data.origin["longest"])
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _file(replace(data, source=source / name), source / name, folder / name, keep[start : start + rows])
        start += rows


def _file(data: Dataset, source: Path, path: Path, keep: np.ndarray) -> None:
    """One file, in its own form."""
    import polars as pl

    packed = source.suffix.lower() == ".gz"
    if data.form == "jsonl" and _is_array(source):
        import json

        held = json.loads(source.read_bytes().decode("utf-8-sig", "replace"))
        path.write_text(json.dumps([row for row, kept in zip(held, keep, strict=True) if kept], ensure_ascii=False, indent=1), "utf-8")
    elif data.form == "jsonl":
        _lines(source, path, keep, packed, data.origin.get("longest"))
    elif data.form == "csv":
        _csv(source, path, keep, packed, data.origin["header"], data.origin.get("longest"))
    elif data.form == "parquet":
        pl.scan_parquet(source, glob=False).filter(pl.Series(keep)).sink_parquet(path)
    elif data.form == "arrow":
        from genscope.tasks.dataset.tables import arrow_frame

        arrow_frame(source).filter(pl.Series(keep)).write_ipc_stream(path)
    elif data.form in ("npz", "npy"):
        _arrays(source, path, keep, data)
    else:
        raise DataError(f"--fix cannot write the form {data.form}. Use the list of flagged rows, flagged.parquet")


def _is_array(source: Path) -> bool:
    if source.suffix.lower() != ".json":
        return False
    with source.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _open(path: Path, packed: bool) -> Any:
    import gzip

    return gzip.open(path, "wb") if packed else path.open("wb")


def _lines(source: Path, path: Path, keep: np.ndarray, packed: bool, longest: int | None) -> None:
    row = 0
    with _open(path, packed) as file:
        for block in lines.blocks(source, longest=longest):
            held = lines.records(block)
            file.writelines(line + b"\n" for line, kept in zip(held, keep[row : row + len(held)], strict=True) if kept)
            row += len(held)


def _csv(source: Path, path: Path, keep: np.ndarray, packed: bool, header: bool, longest: int | None) -> None:
    dialect = lines.csv_dialect(source, "yes" if header else "no", longest)
    row, first = 0, header
    with _open(path, packed) as file:
        for block in lines.blocks(source, quote=dialect.quote, longest=longest):
            held = lines.csv_records(block, dialect)
            kept = [True] * (first and bool(held)) + keep[row : row + len(held) - (first and bool(held))].tolist()
            row += len(held) - (first and bool(held))
            first = first and not held
            text = io.StringIO(newline="")
            rows = (cells for cells, stays in zip(held, kept, strict=True) if stays)
            if dialect.quote:
                csv.writer(text, delimiter=dialect.separator, lineterminator="\n").writerows(rows)
            else:
                text.writelines(dialect.separator.join(cells) + "\n" for cells in rows)
            file.write(text.getvalue().encode())


def _arrays(source: Path, path: Path, keep: np.ndarray, data: Dataset) -> None:
    """Every array of an NPZ file that has the length of its split is filtered; others are kept as they are."""
    if data.form == "npy":
        with path.open("wb") as file:
            np.save(file, data.x[keep], allow_pickle=False)
        return
    start = 0
    with np.load(source, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    for split, x, _ in data.origin["keys"]:
        rows = len(arrays[x])
        mask = keep[start : start + rows]
        for name, array in arrays.items():
            belongs = name.lower().startswith(f"{split}_") or name.lower().endswith(f"_{split}") if split else True
            if belongs and array.ndim and len(array) == rows and len(mask) == rows:
                arrays[name] = array[mask]
        start += rows
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
