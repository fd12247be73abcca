"""Margin of a linear classifier: the distance of the nearest row from its boundary. Source: Shah et al. 2020 (arXiv 2006.07710), section 3."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError

# N rows, D coordinates


def linear_margin(
    weights: Float[np.ndarray, " D"],
    bias: float,
    x: Float[np.ndarray, "N D"],
    y: Int[np.ndarray, " N"],
    rotation: Float[np.ndarray, "D D"] | None = None,
) -> float:
    """min over rows of s f(x) / ||w||, with f(x) = w . x + bias and s = +1 for class 1, -1 for class 0; negative when a row is misclassified.

    rotation: W of X_rotated = X W, where x is rotated and the weights belong to the unrotated frame. In units of the coordinates.

    >>> linear_margin(np.array([3.0, 4.0]), -5.0, np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 3.0]]), np.array([1, 0, 1]))
    1.0
    """
    if weights.ndim != 1 or x.ndim != 2 or x.shape[1] != len(weights) or len(y) != len(x) or not len(x):
        raise UsageError(
            f"a linear margin needs one weight a coordinate and one label a row, got {weights.shape}, {x.shape} and {np.shape(y)}"
        )
    length = float(np.linalg.norm(weights))
    if not length or not np.isfinite(length):
        raise UsageError(f"a linear margin needs weights of a length above 0, got {length}")
    plain = x if rotation is None else x @ rotation.T
    return float((np.where(y == 1, 1.0, -1.0) * (plain @ weights + bias)).min() / length)
