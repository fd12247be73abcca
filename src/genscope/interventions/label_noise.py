"""Label noise: a share of the training labels replaced. An example counts as corrupt only when its label really changed."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed


def label_noise(
    y: Int[np.ndarray, " N"], share: float, classes: int, seed: Seed, scheme: Literal["permute", "uniform"] = "permute"
) -> tuple[Int[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """(labels, corrupt). permute: each example is chosen with probability `share` and the chosen ones' labels are permuted among themselves;
    uniform: each chosen one gets a class drawn uniformly. In both a chosen label can stay what it was: it is then not corrupt.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"label noise is a share in [0, 1], got {share}")
    if scheme not in ("permute", "uniform"):
        raise UsageError(f"scheme must be permute or uniform, got {scheme!r}")
    rng = seed.child("label noise", scheme).rng()
    chosen = np.flatnonzero(rng.random(len(y)) < share)
    noisy = np.array(y)
    noisy[chosen] = rng.permutation(noisy[chosen]) if scheme == "permute" else rng.integers(0, classes, len(chosen))
    return noisy, noisy != y


def adjusted_overfit(train_accuracy: float, test_accuracy: float, corrupt_share: float, classes: int) -> float:
    """Training accuracy above what a model that fits the clean rule alone would have (Chatterjee 2020).

    >>> round(adjusted_overfit(1.0, 0.9, 0.5, 10), 6)
    0.5
    """
    return train_accuracy - (corrupt_share / classes + (1 - corrupt_share) * test_accuracy)
