"""Difficulty from rates alone, where only the share of a group that solved an item is public (contests): b with E[sigmoid(theta - b)] = p, theta ~ N(mean, sd^2).

Several groups for one item: the b of the largest binomial likelihood. Scale: the Rasch scale (slope 1) of the groups' abilities.
"""

# J items, G groups, Q nodes

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genscope.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NODES = 61


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.hermite_e.hermegauss(NODES)
    return x, w / w.sum()


def difficulty_from_rates(p: ArrayLike, mean: ArrayLike = 0.0, sd: ArrayLike = 1.0) -> np.ndarray:
    """b of each item from the share p of a group N(mean, sd^2) that solved it, by root finding on quadrature nodes. p in (0, 1).

    >>> difficulty_from_rates([0.9, 0.5]).round(5) + 0.0
    array([-2.56422,  0.     ])
    """
    shares, means, sds = np.broadcast_arrays(np.asarray(p, float), np.asarray(mean, float), np.asarray(sd, float))
    if not ((shares > 0) & (shares < 1)).all():
        bad = shares[~((shares > 0) & (shares < 1))].ravel()[0]
        raise DataError(
            f"a rate of {bad} gives no difficulty: only a bound. Give counts to difficulty_from_groups, which needs some right and some wrong answers over all groups, or leave the item out"
        )
    if not (sds >= 0).all():
        raise UsageError("the spread of a group's ability must be 0 or more")
    x, w = _nodes()
    theta = means[..., None] + sds[..., None] * x
    b = approximate_difficulty(shares, means, sds)
    low, high = b - 20.0, b + 20.0
    for _ in range(200):
        s = 1 / (1 + np.exp(np.clip(b[..., None] - theta, -500, 500)))
        error, slope = s @ w - shares, (s * (1 - s)) @ w
        low, high = np.where(error > 0, b, low), np.where(error > 0, high, b)
        step = b + error / np.maximum(slope, 1e-300)
        new = np.where((step > low) & (step < high), step, (low + high) / 2)
        if np.abs(new - b).max(initial=0.0) < 1e-12:
            break
        b = new
    return b


def approximate_difficulty(p: ArrayLike, mean: ArrayLike = 0.0, sd: ArrayLike = 1.0) -> np.ndarray:
    """Quick approximation: mean - sqrt(1 + pi sd^2 / 8) logit(p).

    >>> round(float(approximate_difficulty(0.9)), 4)
    -2.593
    """
    shares = np.asarray(p, float)
    return np.asarray(mean, float) - np.sqrt(1 + np.pi * np.asarray(sd, float) ** 2 / 8) * np.log(shares / (1 - shares))


def difficulty_from_groups(right: ArrayLike, n: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(b, its standard error) of each item from right answers and people in several groups: arrays [J, G] (n = 0 where a group did not meet the item),
    mean and sd of each group's ability [G]. An item that all or none solved is an error: its difficulty is only bounded.
    """
    k, count = np.atleast_2d(np.asarray(right, float)), np.atleast_2d(np.asarray(n, float))
    if k.shape != count.shape or (k < 0).any() or (k > count).any():
        raise DataError(f"groups need 0 <= right <= n in tables of one shape, got {k.shape} and {count.shape}")
    total = k.sum(1) / np.maximum(count.sum(1), 1)
    if not ((total > 0) & (total < 1)).all():
        place = int(np.flatnonzero(~((total > 0) & (total < 1)))[0])
        raise DataError(
            f"item {place}: {int(k[place].sum())} of {int(count[place].sum())} right over all groups; its difficulty is only bounded. Leave it out"
        )
    x, w = _nodes()
    means, sds = np.asarray(mean, float), np.asarray(sd, float)
    theta_GQ = means[:, None] + sds[:, None] * x
    b = difficulty_from_rates(total, means.mean(), sds.mean())
    information = np.ones_like(b)
    for _ in range(100):
        s = 1 / (1 + np.exp(np.clip(b[:, None, None] - theta_GQ, -500, 500)))
        p = np.clip(s @ w, 1e-12, 1 - 1e-12)
        slope = -((s * (1 - s)) @ w)
        score = ((k - count * p) / (p * (1 - p)) * slope).sum(1)
        information = (count * slope**2 / (p * (1 - p))).sum(1)
        step = np.clip(score / information, -1.0, 1.0)
        b = b + step
        if np.abs(step).max() < 1e-10:
            break
    return b, 1 / np.sqrt(information)
