"""CIFAR-10 as training and test set: the five batches and the test batch of its binary version, standardised by the training images' channels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from genscope.tasks.images import cifar10, data_folder, read_cifar


def cifar10_splits() -> tuple[Float[np.ndarray, "N 3 32 32"], Int[np.ndarray, " N"], Float[np.ndarray, "M 3 32 32"], Int[np.ndarray, " M"]]:
    """(train x, train y, test x, test y): 50,000 and 10,000 images, float32, channels of mean 0 and standard deviation 1 over the training images."""
    folder = data_folder("cifar-10", "CIFAR-10", "https://www.cs.toronto.edu/~kriz/cifar.html (binary version, with test_batch.bin)")
    (x, y), (test_x, test_y) = cifar10(), read_cifar(folder / "test_batch.bin")
    mean, std = x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)
    return ((x - mean) / std).astype(np.float32), y, ((test_x - mean) / std).astype(np.float32), test_y
