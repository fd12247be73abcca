"""Preferred complexity: at which level a model behaves when a task has solutions of several complexities.

The curve level -> mean OOD accuracy over anchor tasks is fitted by the best non-increasing (isotonic) curve, made piecewise
linear and inverted at the probe task's OOD accuracy. Source: Qi et al. 2025, section 3.2.4 (arXiv 2410.01769).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class PreferredComplexity:
    """level: position on the level axis, clamped to its ends; fit_error: root mean square of measured minus fitted accuracy (fraction)."""

    level: float
    fit_error: float


def preferred_complexity(accuracy: float, levels: Float[np.ndarray, " K"], curve: Float[np.ndarray, " K"]) -> PreferredComplexity:
    """Where the anchor curve equals `accuracy`.

    On a flat stretch of the fitted curve the middle of the stretch is returned; outside the curve's range, its nearer end.
    Needs at least two levels.

    >>> preferred_complexity(0.6, np.array([0.0, 1, 2]), np.array([0.9, 0.7, 0.5])).level
    1.5
    """
    if len(levels) < 2 or len(levels) != len(curve):
        raise UsageError(f"preferred complexity needs accuracies at two levels or more, got {len(levels)}")
    from scipy.optimize import isotonic_regression

    x, y = np.asarray(levels, float), np.asarray(curve, float)
    fitted = np.asarray(isotonic_regression(y, increasing=False).x)
    error = float(np.sqrt(np.mean((y - fitted) ** 2)))
    if accuracy >= fitted[0] or accuracy <= fitted[-1]:
        end = fitted[0] if accuracy >= fitted[0] else fitted[-1]
        flat = x[np.isclose(fitted, end)]
        at = flat.mean() if np.isclose(accuracy, end) else (x[0] if accuracy > end else x[-1])
        return PreferredComplexity(float(at), error)
    hits = x[np.isclose(fitted, accuracy)]
    if len(hits):
        return PreferredComplexity(float(hits.mean()), error)
    right = int(np.argmax(fitted < accuracy))
    share = (fitted[right - 1] - accuracy) / (fitted[right - 1] - fitted[right])
    return PreferredComplexity(float(x[right - 1] + share * (x[right] - x[right - 1])), error)
