"""Growth laws: does a distance grow like log t (ultra-slow diffusion), sqrt t (ordinary diffusion), t, or a power of t?

Least squares of D_t = a + b f(t), f = ln, sqrt or identity, and of a t^b; compared by blocked cross-validation: contiguous blocks of points are held out
in turn. Points should be spaced evenly in log t, or the tail has all the weight. Source: Hoffer, Hubara & Soudry 2017 (arXiv 1705.08741), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from genscope.core.errors import UsageError

Curve = tuple[float, float]
LEAST = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class GrowthFit:
    """A law on data. a, b: D = a + b f(t), or a t^b for the power law (units of D; t in updates); r2: explained variance, at most 1; error: mean squared error on
    held-out blocks (units of D squared).
    """

    law: str
    a: float
    b: float
    r2: float
    error: float

    def at(self, t: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """The law's distances at updates t."""
        return _LAWS[self.law][1]((self.a, self.b), np.asarray(t, dtype=float))


def fit_growth(steps: ArrayLike, distance: ArrayLike, *, first: float = 10, last: float = np.inf, blocks: int = 5) -> dict[str, GrowthFit]:
    """Law -> its fit on the points with first <= t <= last (the phase of constant learning rate); UsageError for fewer than 8 of them.

    >>> t = np.geomspace(10, 2000, 60)
    >>> log = fit_growth(t, 3 + 2 * np.log(t))["log"]
    >>> round(log.a, 6), round(log.b, 6), round(log.r2, 6)
    (3.0, 2.0, 1.0)
    """
    t, d = np.asarray(steps, dtype=float), np.asarray(distance, dtype=float)
    if t.shape != d.shape or t.ndim != 1:
        raise UsageError(f"growth fit: one distance for each step is needed, got shapes {t.shape} and {d.shape}")
    kept = (t >= max(first, 1)) & (t <= last)
    t, d = t[kept], d[kept]
    if len(t) < LEAST:
        raise UsageError(
            f"growth fit: {len(t)} points between updates {max(first, 1):g} and {last:g}, at least {LEAST} are needed; look at the run more often"
        )
    if not np.isfinite(d).all() or (np.diff(t) <= 0).any():
        raise UsageError("growth fit: steps must grow and distances be finite numbers")
    if not 2 <= blocks <= len(t) // 2:
        raise UsageError(f"growth fit: blocks must be 2 to {len(t) // 2} for {len(t)} points, got {blocks}")
    held = np.array_split(np.arange(len(t)), blocks)
    spread = float(((d - d.mean()) ** 2).sum())
    found = {}
    for law, (fit, curve) in _LAWS.items():
        a, b = fit(t, d)
        squares = float(((d - curve((a, b), t)) ** 2).sum())
        misses = [(d[out] - curve(fit(np.delete(t, out), np.delete(d, out)), t[out])) ** 2 for out in held]
        found[law] = GrowthFit(
            law=law, a=a, b=b, r2=1 - squares / spread if spread else float("nan"), error=float(np.concatenate(misses).mean())
        )
    return found


def best(fits: dict[str, GrowthFit], among: Sequence[str] = ("log", "sqrt", "linear")) -> str:
    """The law with the smallest error on held-out blocks. The power law has a free exponent and is not among them unless named."""
    return min(among, key=lambda law: fits[law].error)


def _straight(
    f: Callable[[np.ndarray], np.ndarray],
) -> tuple[Callable[[np.ndarray, np.ndarray], Curve], Callable[[Curve, np.ndarray], np.ndarray]]:
    def fit(t: np.ndarray, d: np.ndarray) -> Curve:
        b, a = np.polyfit(f(t), d, 1)
        return float(a), float(b)

    return fit, lambda found, t: found[0] + found[1] * f(t)


def _power_fit(t: np.ndarray, d: np.ndarray) -> Curve:
    """Least squares of a t^b: the best a for each b in closed form, b by search in [-2, 3]."""
    scaled = np.log(t / t[-1])

    def best_a(b: float) -> float:
        curve = np.exp(b * scaled)
        return float(curve @ d / (curve @ curve))

    def squares(b: float) -> float:
        return float(((d - best_a(b) * np.exp(b * scaled)) ** 2).sum())

    grid = np.linspace(-2, 3, 51)
    near = grid[int(np.argmin([squares(b) for b in grid]))]
    b = float(minimize_scalar(squares, bounds=(near - 0.1, near + 0.1), method="bounded", options={"xatol": 1e-9}).x)  # pyright: ignore[reportAttributeAccessIssue]
    return best_a(b) / float(t[-1]) ** b, b


_LAWS = {
    "log": _straight(np.log), "sqrt": _straight(np.sqrt), "linear": _straight(lambda t: t),
    "power": (_power_fit, lambda found, t: found[0] * t ** found[1]),
}  # fmt: skip
