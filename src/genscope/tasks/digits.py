"""Handwritten digits that ship with scikit-learn (1,797 images of 8 x 8, BSD licence), as rows of 64 values in [0, 1]."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import TaskError, missing_extra
from genscope.core.seeds import Seed

ROWS = 1_797


def digits() -> tuple[Float[np.ndarray, "1797 64"], Int[np.ndarray, " 1797"]]:
    """All images and their classes, in the order of the package."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise missing_extra("The digits come with scikit-learn", "train") from error
    x, y = (np.asarray(part) for part in load_digits(return_X_y=True))
    return (x / 16).astype(np.float32), y.astype(np.int64)


def digit_splits(train: int, seed: Seed) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(train x, train y, test x, test y): a random split of all images, no image in both."""
    if not 0 < train < ROWS:
        raise TaskError(f"digits: training rows must be 1 to {ROWS - 1}, got {train}")
    x, y = digits()
    order = seed.child("digits split").rng().permutation(ROWS)
    return x[order[:train]], y[order[:train]], x[order[train:]], y[order[train:]]
