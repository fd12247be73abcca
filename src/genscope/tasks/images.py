"""Small image sets of others, found in $GENSCOPE_DATA: IDX files (MNIST) and the binary version of CIFAR-10."""

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


def mnist_train() -> tuple[Float[np.ndarray, "N 28 28"], Int[np.ndarray, " N"]]:
    """The 60,000 training images of MNIST, values in [0, 1], and their digits; from a folder `mnist`."""
    folder = data_folder(
        "mnist",
        "MNIST's training set",
        "https://yann.lecun.com/exdb/mnist (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz; CC BY-SA 3.0)",
    )
    images, labels = (_first(folder, f"train-{part}-ubyte") for part in ("images-idx3", "labels-idx1"))
    if images.ndim != 3 or len(images) != len(labels):
        raise DataError(f"{folder}: {images.shape} images and {labels.shape} labels do not belong together")
    return images.astype(np.float32) / 255, labels.astype(np.int64)


def cifar10(batches: int = 5) -> tuple[Float[np.ndarray, "N 3 32 32"], Int[np.ndarray, " N"]]:
    """CIFAR-10's training images, values in [0, 1], and their classes (1 automobile, 9 truck); from data_batch_*.bin in a folder `cifar-10`."""
    folder = data_folder(
        "cifar-10", "CIFAR-10", "https://www.cs.toronto.edu/~kriz/cifar.html (binary version: data_batch_1.bin to data_batch_5.bin)"
    )
    found = [read_cifar(folder / f"data_batch_{number}.bin") for number in range(1, batches + 1)]
    return np.concatenate([images for images, _ in found]), np.concatenate([labels for _, labels in found])


def read_cifar(path: Path) -> tuple[Float[np.ndarray, "N 3 32 32"], Int[np.ndarray, " N"]]:
    """A file of CIFAR-10's binary version: rows of one class byte and 3 x 32 x 32 pixel bytes."""
    try:
        raw = np.fromfile(path, np.uint8, count=LARGEST)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not len(raw) or len(raw) % 3_073:
        raise DataError(f"{path}: {len(raw)} bytes; a CIFAR-10 file has a multiple of 3,073")
    rows = raw.reshape(-1, 3_073)
    if rows[:, 0].max() > 9:
        raise DataError(f"{path}: class {rows[:, 0].max()}; CIFAR-10 has 0 to 9")
    return rows[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255, rows[:, 0].astype(np.int64)


def _first(folder: Path, name: str) -> np.ndarray:
    plain, packed = folder / name, folder / f"{name}.gz"
    return read_idx(plain if plain.is_file() else packed)


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
