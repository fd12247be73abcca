"""What every estimator checks first: numbers, no NaN, enough of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError


def sample(values: Sequence[float] | np.ndarray, least: int, what: str) -> Float[np.ndarray, " n"]:
    """The values as floats; UsageError when there are fewer than `least`, or when some are not finite (their number is named)."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or len(array) < least:
        raise UsageError(f"{what} needs at least {least} value(s) in one row, got shape {array.shape}")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise UsageError(f"{what}: {bad} of {len(array)} values are NaN or infinite; count them and leave them out first")
    return array


def probability(level: float) -> float:
    """A confidence level, in (0, 1)."""
    if not 0 < level < 1:
        raise UsageError(f"a confidence level lies between 0 and 1, got {level}")
    return level
