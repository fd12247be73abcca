"""Arrays: NPZ and NPY files, IDX files and arrays in memory, as rows of numbers with labels and splits. Nothing is unpickled; sizes are checked before they are read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from genscope.core.errors import DataError
from genscope.core.text import shorten
from genscope.tasks.images import read_idx

LARGEST = 8 << 30
"""Bytes of arrays that are read into memory at most."""
INPUTS = ("x", "images", "image", "data", "features", "inputs", "input")
LABELS = ("y", "labels", "label", "targets", "target")
GROUPS = ("group", "groups", "patient", "patient_id", "subject")
SPLITS = ("train", "val", "valid", "validation", "dev", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """x [N, ...] and what stands beside it, one value a row: label, split, group (any may be missing). `keys`: where each part came from, for a cleaned copy."""

    x: np.ndarray
    label: np.ndarray | None = None
    split: np.ndarray | None = None
    group: np.ndarray | None = None
    keys: tuple[tuple[str, str, str], ...] = ()
    """(split, name of x, name of y) of each part, in row order."""


def read_npz(path: Path, named: Mapping[str, str]) -> Arrays:
    """An NPZ file with x and y, or images and labels, for one split or several (train_images, test_images, ...); `named`: role -> key."""
    _check_zip(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return from_mapping({name: file[name] for name in file.files}, named, str(path))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: cannot be read as NPZ ({shorten(str(error))}). Arrays of numbers or fixed-length text can be read, objects (pickles) never"
        ) from error


def read_npy(path: Path) -> Arrays:
    """One array without labels."""
    try:
        with path.open("rb") as file:
            _check_header(file, path, path.name)
        return Arrays(x=np.load(path, allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read as NPY ({shorten(str(error))})") from error


def _check_zip(path: Path) -> None:
    """Sum the sizes that the headers of the members promise, before anything is unpacked: neither the archive nor an array may be a bomb."""
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    total += _check_header(file, path, member.filename)
                if total > LARGEST or member.file_size > LARGEST:
                    raise DataError(
                        f"{path}: unpacks to {max(total, member.file_size):,} bytes; at most {LARGEST:,} are read. Give a part of it"
                    )
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path}: not an NPZ file ({shorten(str(error))})") from error


def _check_header(file: IO[bytes], path: Path, name: str) -> int:
    """Bytes that an array's header promises."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except ValueError as error:
        raise DataError(f"{path}: {name} is no array of NumPy ({shorten(str(error))})") from error
    if dtype.hasobject:
        raise DataError(f"{path}: {name} holds Python objects, which are never unpickled. Save numbers or fixed-length text")
    size = dtype.itemsize
    for length in shape:
        size *= int(length)
    if size > LARGEST:
        raise DataError(f"{path}: {name} promises {size:,} bytes; at most {LARGEST:,} are read. Give a part of it")
    return size


def from_mapping(arrays: Mapping[str, np.ndarray], named: Mapping[str, str], where: str) -> Arrays:
    """Arrays from named ones: pairs of inputs and labels, one pair a split."""
    lower = {name.lower(): name for name in arrays}
    if "text" in named or "label" in named:
        for role in ("text", "label", "group"):
            if named.get(role, "none") not in {*arrays, "none"}:
                raise DataError(f"{where}: no array {named[role]!r} (--{role}). Arrays: {', '.join(arrays)}")
    pairs: list[tuple[str, str, str]] = []
    for split in ("", *SPLITS):
        x = named.get("text") if not split else None
        x = x or next((lower[name] for name in _forms(split, INPUTS) if name in lower), None)
        y = named.get("label") if not split else None
        y = y or next((lower[name] for name in _forms(split, LABELS) if name in lower), "")
        if x is not None:
            pairs.append((split, x, "" if y == "none" else y))
    if not pairs:
        raise DataError(
            f"{where}: cannot tell which array holds the inputs. Arrays: {', '.join(f'{name} {array.shape}' for name, array in arrays.items())}. Name it with --text, the labels with --label"
        )
    xs = [np.atleast_1d(arrays[x]) for _, x, _ in pairs]
    shapes = {x.shape[1:] for x in xs}
    if len(shapes) > 1:
        raise DataError(f"{where}: the splits' inputs have different shapes: {', '.join(map(str, shapes))}")
    labels = [arrays[y] if y else None for _, _, y in pairs]
    for (_, x_name, y_name), x, y in zip(pairs, xs, labels, strict=True):
        if y is not None and len(np.atleast_1d(y)) != len(x):
            raise DataError(f"{where}: {x_name} has {len(x)} rows and {y_name} {len(np.atleast_1d(y))}")
    several = len(pairs) > 1 or pairs[0][0] != ""
    split = np.concatenate([np.full(len(x), name) for (name, _, _), x in zip(pairs, xs, strict=True)]) if several else None
    label = np.concatenate([_flat(y, where) for y in labels if y is not None]) if all(y is not None for y in labels) else None
    key = named.get("group") or next((lower[name] for name in GROUPS if name in lower), None)
    group = _flat(arrays[key], where) if key and not several and len(arrays[key]) == len(xs[0]) else None
    return Arrays(x=np.concatenate(xs), label=label, split=split, group=group, keys=tuple(pairs))


def _forms(split: str, names: Sequence[str]) -> list[str]:
    return [form for name in names for form in ((f"{split}_{name}", f"{name}_{split}") if split else (name,))]


def _flat(y: np.ndarray, where: str) -> np.ndarray:
    """One label a row; rows of 0 and 1 with one 1 (one-hot) become its place."""
    y = np.atleast_1d(y)
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim == 2 and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        return y.argmax(1)
    if y.ndim != 1:
        raise DataError(f"{where}: labels have the shape {y.shape}; one label a row is read (or one-hot rows)")
    return y


def idx_pairs(path: Path) -> list[tuple[str, Path, Path | None]]:
    """(split, images, labels) of an IDX file, or of all in a folder: `train-images-idx3-ubyte(.gz)` goes with `train-labels-idx1-ubyte(.gz)`."""
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.is_file() and "-ubyte" in one.name)
    pairs = []
    for file in files:
        if "labels" in file.name and path.is_dir():
            continue
        split = file.name.split("-")[0].replace("t10k", "test") if "-" in file.name else ""
        other = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1"))
        packed = other.with_name(other.name.removesuffix(".gz")) if other.name.endswith(".gz") else other.with_name(other.name + ".gz")
        label = next((one for one in (other, packed) if one != file and one.is_file()), None)
        pairs.append((split, file, label))
    return pairs


def read_idx_files(path: Path) -> Arrays:
    """IDX files of unsigned bytes with their labels."""
    pairs = idx_pairs(path)
    if not pairs:
        raise DataError(f"{path}: no IDX file of images (such as train-images-idx3-ubyte.gz)")
    arrays: dict[str, np.ndarray] = {}
    for split, images, labels in pairs:
        name = split if split in SPLITS else ""
        prefix = f"{name}_" if name and len(pairs) > 1 else ""
        arrays[f"{prefix}images"] = read_idx(images)
        if labels is not None:
            arrays[f"{prefix}labels"] = read_idx(labels)
    return from_mapping(arrays, {}, str(path))
