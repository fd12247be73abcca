"""Memorization of a repeated subset, and where on a grid of repeats it and its harm set in.

    M = 1 - L_rep / L_test      0: repeated documents are no easier than new ones, 1: known by heart

Hernandez et al. 2022 (arXiv 2205.10487): the worst number of repeats is the one at which the loss on the repeated documents approaches zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genscope.core.errors import UsageError


def memorization_ratio(repeated_loss: float, test_loss: float) -> float:
    """1 - L_rep / L_test.

    >>> memorization_ratio(0.5, 2.0)
    0.75
    """
    if not (test_loss > 0 and repeated_loss >= 0):
        raise UsageError(
            f"losses are nats a token: the test loss above 0, the repeated one at least 0; got {test_loss} and {repeated_loss}"
        )
    return 1 - repeated_loss / test_loss


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a curve over repeats reaches a height. repeats: the place, or the end of the grid where the curve does not reach it inside; inside: whether it does."""

    repeats: float
    inside: bool


def crossing(repeats: Sequence[float], values: Sequence[float], height: float) -> Crossing:
    """The first place where the curve rises to `height`, linear in ln E between grid points.

    A curve that is there already at the first point crosses at that point, and one that never gets there at the last: both are marked as not inside.

    >>> round(crossing([4, 16, 64], [0.0, 0.25, 0.75], 0.5).repeats, 6)
    32.0
    >>> crossing([4, 16, 64], [0.0, 0.1, 0.2], 0.5)
    Crossing(repeats=64.0, inside=False)
    """
    e, y = _grid(repeats, values)
    if y[0] >= height:
        return Crossing(float(repeats[0]), False)
    above = np.flatnonzero(y >= height)
    if not len(above):
        return Crossing(float(repeats[-1]), False)
    return Crossing(float(np.exp(_between(e, y, int(above[0]) - 1, height))), True)


@dataclass(frozen=True, slots=True)
class HarmRegion:
    """Repeats at which the harm is at least half of its greatest. low, high: its ends; closed: whether each end was met inside the grid."""

    peak: float
    harm: float
    low: float
    high: float
    closed: tuple[bool, bool]


def half_maximum_region(repeats: Sequence[float], harm: Sequence[float]) -> HarmRegion:
    """The region around the greatest harm (L_test(E) - L_base) in which it is at least half as great, linear in ln E between grid points.

    >>> half_maximum_region([1, 10, 100, 1000], [0.0, 1.0, 0.0, 0.0]).closed
    (True, True)
    >>> round(half_maximum_region([1, 10, 100], [0.0, 1.0, 0.0]).low, 4)  # 10 ** 0.5
    3.1623
    """
    e, y = _grid(repeats, harm)
    top = int(np.argmax(y))
    half = y[top] / 2
    if y[top] <= 0:
        raise UsageError(f"no repeats did harm (greatest: {y[top]:.3g}), so there is no region of half of it")
    left, right = top, top
    while left > 0 and y[left - 1] >= half:
        left -= 1
    while right < len(y) - 1 and y[right + 1] >= half:
        right += 1
    low = e[0] if left == 0 else _between(e, y, left - 1, half)
    high = e[-1] if right == len(y) - 1 else _between(e, y, right, half)
    return HarmRegion(float(repeats[top]), float(y[top]), float(np.exp(low)), float(np.exp(high)), (left > 0, right < len(y) - 1))


def _grid(repeats: Sequence[float], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    e, y = np.log(np.asarray(repeats, float)), np.asarray(values, float)
    if len(e) < 2 or len(e) != len(y) or (np.diff(e) <= 0).any() or not np.isfinite(y).all():
        raise UsageError(
            f"a curve over repeats has at least two rising numbers of repeats and as many finite values; got {list(repeats)} and {list(values)}"
        )
    return e, y


def _between(e: np.ndarray, y: np.ndarray, left: int, height: float) -> float:
    return float(e[left] + (height - y[left]) / (y[left + 1] - y[left]) * (e[left + 1] - e[left]))
