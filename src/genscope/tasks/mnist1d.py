"""MNIST-1D (Greydanus & Kobak 2020, arXiv 2011.14439): ten digit-like signals of 40 values, padded, scaled, shifted, sheared and noisy. Made, not downloaded.

The published generator's rule (package mnist1d 0.0.2, Apache-2.0) written anew, number for number: the same draws of NumPy's legacy generator in the same order,
from a generator of its own instead of the global one.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

from genscope.core.card import Card
from genscope.core.errors import TaskError
from genscope.core.seeds import Seed
from genscope.tasks.task import Certificate

CLASSES, LENGTH = 10, 40
CARD = Card(motivation="intrinsic", type="robustness", shift="assumed", source="fully generated", locus="train-test")
_TEMPLATE, _PADDED, _LONG = 12, (36, 60), 72
_SCALE, _SHIFT, _CORRELATED, _INDEPENDENT, _SHEAR = 0.4, 48, 0.25, 0.02, 0.75
_DIGITS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5), (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5), (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5), (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5), (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5), (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)  # fmt: skip


def mnist1d(samples: int, number: int) -> tuple[Float[np.ndarray, "N 40"], Int[np.ndarray, " N"]]:
    """(signals, classes), shuffled, mean 0 and standard deviation 1 over all values; `samples` // 10 of each class. number: the package's seed, in [0, 2^32)."""
    if samples < CLASSES:
        raise TaskError(f"mnist1d: at least {CLASSES} samples (one a class) are needed, got {samples}")
    if not 0 <= number < 2**32:
        raise TaskError(f"mnist1d: the generator's seed is in [0, 2^32), got {number}")
    each, templates, rng = samples // CLASSES, _templates(), np.random.RandomState(number)
    long, correlated, independent, shears = [np.empty((each * CLASSES, size)) for size in (_LONG, _LONG, _LONG, 1)]
    places = np.linspace(0, 1, _LONG)
    for row in range(each * CLASSES):
        padding = _PADDED[0] + int(rng.rand() * (_PADDED[1] - _PADDED[0] + 1))
        padded = np.concatenate([templates[row // each] + 1e-8, np.zeros(padding)])
        dilated = np.interp(places, np.linspace(0, 1, len(padded)), padded) * (1 + _SCALE * (rng.rand() - 0.5))
        long[row] = np.roll(dilated, rng.choice(_SHIFT))
        correlated[row], independent[row] = rng.randn(_LONG), rng.randn(_LONG)
        shears[row] = _SHEAR * (rng.rand() - 0.5)
    signal = long != 0
    long = signal * long + (1 - signal) * gaussian_filter1d(_CORRELATED * correlated, 2, axis=1)
    long = long + _INDEPENDENT * independent - shears * np.linspace(-0.5, 0.5, _LONG)
    order, grid = rng.permutation(len(long)), np.linspace(0, 1, LENGTH)
    x = np.stack([np.interp(grid, places, one) for one in long])[order]
    return (x - x.mean()) / x.std(), np.repeat(np.arange(CLASSES), each)[order]


def mnist1d_splits(train: int, test: int, seed: Seed) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(train x, train y, test x, test y) of one draw: the first `train` rows and the `test` rows after them; float32."""
    if train < 1 or test < 1:
        raise TaskError(f"mnist1d: at least 1 training and 1 test row, got {train} and {test}")
    x, y = mnist1d(-(-(train + test) // CLASSES) * CLASSES, seed.child("mnist1d").integer(32))
    x, y, end = x.astype(np.float32), y.astype(np.int64), train + test
    return x[:train], y[:train], x[train:end], y[train:end]


def certify(train: int, test: int, seed: Seed) -> Certificate:
    """Count signals that training and test share (none, or a study is refused)."""
    x, _, other, _ = mnist1d_splits(train, test, seed)
    shared = len({row.tobytes() for row in x} & {row.tobytes() for row in other})
    return Certificate(sizes={"train": train, "test": test}, shared_examples=shared, shared_elements=0)


def _templates() -> Float[np.ndarray, "10 12"]:
    x = np.array(_DIGITS, dtype=float)
    x -= x.mean(1, keepdims=True)
    x /= x.std(1, keepdims=True)
    x -= x[:, :1]
    return x / 6.0
