"""Small image sets of others, found in $GENSCOPE_DATA: IDX files (MNIST)."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError, MissingError

MNIST = "31-simplicity-bias"
LARGEST = 1 << 30
"""Bytes that an unpacked IDX file may have."""


def data_folder(name: str, what: str, where: str) -> Path:
    """The folder of a data set of others; MissingError (exit code 3) tells where to get it."""
    root = os.environ.get("GENSCOPE_DATA", "")
    folder = Path(root).expanduser() / name
    if not root or not folder.is_dir():
        raise MissingError(
            f"{what} is not here. Get it from {where}, put it in a folder {name} and set GENSCOPE_DATA to the folder that holds {name}"
        )
    return folder


def mnist_test() -> tuple[Float[np.ndarray, "N 28 28"], Int[np.ndarray, " N"]]:
    """The 10,000 images of MNIST's test set, values in [0, 1], and their digits."""
    folder = data_folder(
        MNIST, "MNIST's test set", "https://yann.lecun.com/exdb/mnist (t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz; CC BY-SA 3.0)"
    )
    images, labels = read_idx(folder / "t10k-images-idx3-ubyte.gz"), read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    if images.ndim != 3 or len(images) != len(labels):
        raise DataError(f"{folder}: {images.shape} images and {labels.shape} labels do not belong together")
    return images.astype(np.float32) / 255, labels.astype(np.int64)


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes, gzipped or not: header magic 0x0800 + dimensions, sizes, then the values."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if len(raw) < 4 or len(raw) > LARGEST:
        raise DataError(f"{path}: {len(raw)} bytes; an IDX file has 4 to {LARGEST}")
    zero, kind, dims = struct.unpack(">HBB", raw[:4])
    if zero != 0 or kind != 8 or not 1 <= dims <= 4 or len(raw) < 4 + 4 * dims:
        raise DataError(f"{path}: not an IDX file of unsigned bytes (it begins {raw[:4].hex()})")
    shape = struct.unpack(f">{dims}I", raw[4 : 4 + 4 * dims])
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * dims)
    if len(values) != int(np.prod(shape)):
        raise DataError(f"{path}: the header promises {shape}, the file has {len(values)} values")
    return values.reshape(shape)
