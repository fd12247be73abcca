"""Universal adversarial perturbations, and how much of a perturbation's length lies on a block.

SVD form: the first right singular vector of per-row perturbations, applied to every row with the sign of its class. SGD form: one shared
perturbation, raised on minibatches. Source: Shah et al. 2020 (arXiv 2006.07710), section 6; Moosavi-Dezfooli et al. 2017.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError

# N rows, D coordinates


def perturbation_share(
    delta: Float[np.ndarray, "N D"], columns: tuple[int, ...], rotation: Float[np.ndarray, "D D"] | None = None
) -> float:
    """Mean over rows of ||delta_S|| / ||delta|| (l_2 norms, unrotated frame), a fraction; rows that are zero are left out, NaN when all are.

    >>> perturbation_share(np.array([[3.0, 4.0]]), (0,))
    0.6
    """
    plain = delta if rotation is None else delta @ rotation.T
    length = np.linalg.norm(plain, axis=1)
    moved = length > 0
    if not moved.any():
        return float("nan")
    return float((np.linalg.norm(plain[moved][:, list(columns)], axis=1) / length[moved]).mean())


def svd_direction(deltas: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " D"]:
    """First right singular vector of the perturbations (rows as they are, not normalised), of length 1."""
    if not np.any(deltas):
        raise UsageError("a universal direction needs at least one perturbation that is not zero")
    return np.linalg.svd(deltas, full_matrices=False)[2][0]


def universal_accuracy(
    predict: Callable[[np.ndarray], np.ndarray],
    x: Float[np.ndarray, "N D"],
    y: Int[np.ndarray, " N"],
    direction: Float[np.ndarray, " D"],
    eps: float,
) -> float:
    """Accuracy when every row is moved by +-eps (2y - 1) direction, with the better (for the attacker) of the two global signs."""
    signs = (2 * y - 1)[:, None] * direction[None, :] * eps
    return min(float((predict((x + s * signs).astype(x.dtype)).argmax(1) == y).mean()) for s in (1.0, -1.0))


def sgd_direction(
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: Float[np.ndarray, "N D"],
    y: Int[np.ndarray, " N"],
    eps: float,
    rng: np.random.Generator,
    *,
    step: float,
    batch: int = 256,
    iterations: int = 200,
) -> Float[np.ndarray, " D"]:
    """One shared direction v raised on minibatches: rows are x + (2y - 1) v, `slope(x, y)` gives the loss's gradient of each row. Returned with length <= eps."""  # fmt: skip
    v = np.zeros(x.shape[1])
    for _ in range(iterations):
        rows = rng.integers(0, len(x), batch)
        sign = (2 * y[rows] - 1)[:, None]
        g = (sign * slope((x[rows] + sign * v).astype(x.dtype), y[rows])).mean(0)
        v = v + step * g / (np.linalg.norm(g) + 1e-10)
        v *= min(1.0, eps / max(float(np.linalg.norm(v)), 1e-12))
    return v
