"""Distance of the weights from their start, D_t = |w_t - w_0|_2 over all trainable parameters, and what a random walk with the same steps would give.

Source: Hoffer, Hubara & Soudry 2017 (arXiv 1705.08741), section 3. With weight decay, or where batch norm makes scale free, shrinkage is mixed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed

Weights = Mapping[str, np.ndarray]


def log_spaced(first: int, last: int, count: int) -> list[int]:
    """About `count` whole steps from `first` to `last`, evenly spaced in log t (fewer where whole numbers repeat).

    >>> log_spaced(1, 1000, 7)
    [1, 3, 10, 32, 100, 316, 1000]
    """
    if not 1 <= first <= last or count < 2:
        raise UsageError(f"log-spaced steps need 1 <= first <= last and count >= 2; got {first}, {last} and {count}")
    return sorted({round(float(step)) for step in np.geomspace(first, last, count)})


def snapshot(parameters: Iterable[tuple[str, Any]]) -> dict[str, np.ndarray]:
    """A copy of the trainable parameters, by name: of `net.named_parameters()` those that require a gradient; of arrays all. UsageError where there is none."""
    held = {name: _array(value) for name, value in parameters if getattr(value, "requires_grad", True)}
    if not held:
        raise UsageError(
            "weight distance: no parameter requires a gradient, so no weight can move; unfreeze some, or leave this measure out"
        )
    return held


def weight_distances(now: Weights, start: Weights) -> dict[str, float]:
    """|w_t - w_0|_2 of every tensor."""
    if now.keys() != start.keys():
        apart = sorted(now.keys() ^ start.keys())
        raise UsageError(f"weight distance: the parameters are not those of the start; different: {', '.join(apart[:5])}")
    return {name: float(np.linalg.norm((now[name].astype(float) - start[name]).ravel())) for name in start}


def weight_distance(now: Weights, start: Weights) -> float:
    """D_t over all tensors.

    >>> weight_distance({"a": np.array([3.0]), "b": np.array([[4.0]])}, {"a": np.array([0.0]), "b": np.array([[0.0]])})
    5.0
    """
    return float(np.sqrt(sum(one**2 for one in weight_distances(now, start).values())))


def random_walk(norms: Float[np.ndarray, " T"], dimension: int, seed: Seed) -> Float[np.ndarray, " T"]:
    """Distance from the start after each step of a walk whose steps have these norms, in this order, and random directions in `dimension` coordinates.

    Only the angle to the way already gone matters: D_t^2 = D_(t-1)^2 + s_t^2 + 2 D_(t-1) s_t cos, where cos is distributed as one coordinate of a random unit
    vector. So the walk has exactly the law of one in all coordinates. For norms all 1 the mean of D_t^2 is t.
    """
    if dimension < 2 or not len(norms) or not (np.isfinite(norms).all() and (np.asarray(norms) >= 0).all()):
        raise UsageError(
            f"random walk: finite norms >= 0 and a dimension of at least 2 are needed, got {len(norms)} norms and dimension {dimension}"
        )
    half = (dimension - 1) / 2
    cos = 2 * seed.rng().beta(half, half, len(norms)) - 1
    squared, path = 0.0, np.empty(len(norms))
    for t, (s, c) in enumerate(zip(np.asarray(norms, dtype=float), cos, strict=True)):
        squared = max(0.0, squared + s * s + 2 * np.sqrt(squared) * s * c)
        path[t] = np.sqrt(squared)
    return path


def potential_exponent(
    loss_at: Callable[[np.ndarray], float], dimension: int, radii: Iterable[float], directions: int, seed: Seed
) -> tuple[float, dict[float, float]]:
    """(alpha, radius z -> standard deviation of L(w_0 + z u) - L(w_0) over random unit directions u). alpha is twice the log-log slope of the standard deviation
    in z: 2 where it grows linearly with the distance, as the theory behind log growth supposes (E D_t^2 ~ (ln t)^(4 / alpha)).

    loss_at takes the displacement z u, `dimension` coordinates. The same directions serve every radius. At least 2 radii and 3 directions.
    """
    z = [float(one) for one in radii]
    if len(set(z)) < 2 or min(z) <= 0 or directions < 3:
        raise UsageError(f"potential: at least 2 radii above 0 and 3 directions are needed, got {z} and {directions}")
    rng, here = seed.rng(), loss_at(np.zeros(dimension))
    changes = np.empty((directions, len(z)))
    for row in changes:
        u = rng.standard_normal(dimension)
        u /= np.linalg.norm(u)
        row[:] = [loss_at(one * u) - here for one in z]
    spread = changes.std(axis=0, ddof=1)
    if not (spread > 0).all():
        return float("nan"), dict(zip(z, spread.tolist(), strict=True))
    return 2 * float(np.polyfit(np.log(z), np.log(spread), 1)[0]), dict(zip(z, spread.tolist(), strict=True))


def _array(value: Any) -> np.ndarray:
    """A copy as a NumPy array; tensors of PyTorch come from their device, half precision as float32 (NumPy has no bfloat16)."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.element_size() < 4 else value).numpy()
    return np.array(value)
