"""How early and how steadily a group of parameters settles, from its L2 norm at checkpoints.

Changes = |difference of neighbouring norms| / mean norm; speed = mean change of the first half minus that of the second; stability = 1 / sd of the changes.
Source: Li, Fan, Zhou 2025 (arXiv 2506.21551, table 3), which says it in words only; population sd here, the middle change of an odd number counts to the second half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Convergence:
    """speed: positive where a group settles; stability: infinite where every change is equal."""

    speed: float
    stability: float


def convergence(norms: Float[np.ndarray, " C"]) -> Convergence:
    """Of at least 3 checkpoints.

    >>> convergence(np.array([1.0, 3.0, 4.0, 4.0]))
    Convergence(speed=0.5, stability=3.6742346141747673)
    """
    held = np.asarray(norms, float)
    if len(held) < 3 or not np.isfinite(held).all() or held.mean() <= 0:
        raise UsageError(f"convergence needs finite norms at 3 or more checkpoints, got {held.tolist()}")
    changes = np.abs(np.diff(held)) / held.mean()
    half, spread = len(changes) // 2, float(changes.std())
    return Convergence(float(changes[:half].mean() - changes[half:].mean()), 1 / spread if spread > 0 else float("inf"))
