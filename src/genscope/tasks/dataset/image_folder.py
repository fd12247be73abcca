"""Image folders: a folder a class (and above it, where there is one, a folder a split), as small thumbnails with what each picture is.

Sizes are read from the header before a picture is decoded; what is too large, no picture, or a link out of the folder is counted and left out. Folders are walked
without following links, so a loop cannot be entered.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genscope.core.errors import DataError, missing_extra
from genscope.tasks.dataset.arrays import SPLITS
from genscope.tasks.dataset.lines import Met

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SIDE = 32
"""Pixels of a thumbnail's side."""
PIXELS_MOST = 50_000_000
"""Pixels of a picture that is decoded at most."""
FILES_MOST = 2_000_000


@dataclass(frozen=True, slots=True)
class Pictures:
    """x: thumbnails [N, SIDE, SIDE, 3]; paths, labels, splits; hashes of the files' bytes; width and height in pixels."""

    x: np.ndarray
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    hashes: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]


def picture_files(folder: Path) -> list[Path]:
    """Every picture below the folder, by name; links are not followed."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        found += [Path(place) / name for name in sorted(names) if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        if len(found) > FILES_MOST:
            raise DataError(f"{folder}: more than {FILES_MOST:,} pictures. Give a part of the folder")
    return found


def read_pictures(folder: Path, met: Met) -> Pictures:
    """Decode every picture to a thumbnail; `met` counts those left out."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise missing_extra("Reading pictures needs Pillow", "image") from error
    links = sum(1 for place, folders, _ in os.walk(folder) for name in folders if (Path(place) / name).is_symlink())
    if links:
        met.add("link", -1, links)
    rows: list[tuple[np.ndarray, str, bytes, tuple[int, int]]] = []
    for path in picture_files(folder):
        if path.is_symlink():
            met.add("link", -1)
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with Image.open(path) as picture:
                    size = picture.size
                    if size[0] * size[1] > PIXELS_MOST:
                        met.add("too large", -1)
                        continue
                    small = picture.convert("RGB").resize((SIDE, SIDE))
            rows.append((np.asarray(small, np.uint8), str(path.relative_to(folder)), _hash(path), size))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
            met.add("no picture", -1)
    if not rows:
        raise DataError(
            f"{folder}: no picture could be read ({', '.join(f'{count} {kind}' for kind, (count, _) in met.faults.items()) or 'there is none'})"
        )
    places = [_place(Path(name).parts[:-1]) for _, name, _, _ in rows]
    return Pictures(
        np.stack([row[0] for row in rows]),
        tuple(row[1] for row in rows),
        tuple(label for _, label in places),
        tuple(split for split, _ in places),
        tuple(row[2] for row in rows),
        tuple(row[3] for row in rows),
    )


def _place(folders: tuple[str, ...]) -> tuple[str, str]:
    """(split, class) from the folders above a picture: a folder named train, val, test, ... is a split, the last other one the class."""
    splits = [name for name in folders if name.lower() in SPLITS]
    classes = [name for name in folders if name.lower() not in SPLITS]
    return (splits[0] if splits else ""), (classes[-1] if classes else "")


def _hash(path: Path) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            state.update(part)
    return state.digest()


def roles_of(pictures: Pictures, named: Mapping[str, str]) -> dict[str, list[str | None]]:
    """The small columns beside the thumbnails: id (the path), label and split where the folders tell them, width and height."""
    columns: dict[str, list[str | None]] = {"id": list(pictures.paths)}
    if len(set(pictures.labels)) > 1 and named.get("label") != "none":
        columns["label"] = [label or None for label in pictures.labels]
    if len(set(pictures.splits)) > 1 and named.get("split") != "none":
        columns["split"] = [split or None for split in pictures.splits]
    columns["width"] = [str(width) for width, _ in pictures.sizes]
    columns["height"] = [str(height) for _, height in pictures.sizes]
    return columns
