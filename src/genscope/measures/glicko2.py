"""Glicko-2 ratings of solvers and items: an attempt is a game that the item wins when the solver fails.

Scale mu = (r - 1500)/173.7178, phi = RD/173.7178. All games of a rating period use what the opponents were before it:
g = 1/sqrt(1 + 3 phi^2/pi^2), E = 1/(1 + exp(-g (mu - mu_k))), v = 1/sum g^2 E (1 - E), Delta = v sum g (s - E); the volatility solves f(x) = 0 by the
Illinois method; phi*^2 = phi^2 + sigma'^2, phi' = 1/sqrt(1/phi*^2 + 1/v), mu' = mu + phi'^2 sum g (s - E). A player without a game: phi' = sqrt(phi^2 + sigma^2).
Source: Glickman 2012, revised 2022, "Example of the Glicko-2 system".
"""

# P players, G games of a period

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.tasks.responses import ResponseRecord

if TYPE_CHECKING:
    import polars as pl

SCALE = 173.7178
GAMES_A_PERIOD = 12
"""Mean games of a player in one period where the record names none: "at least 10-15 games per player", Glickman."""
CAP = 0.3
"""Highest volatility: without a cap a row of upsets at a tau above 1 throws a rating to -14634."""
ENOUGH = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Glicko:
    """Constants. tau: how fast volatility may change (0.3 to 1.2); rating, rd, volatility: of a new player; cap: highest volatility."""

    tau: float = 0.5
    rating: float = 1500.0
    rd: float = 350.0
    volatility: float = 0.06
    cap: float = CAP

    def __post_init__(self) -> None:
        for name in ("tau", "rd", "volatility", "cap"):
            if not getattr(self, name) > 0:
                raise UsageError(f"Glicko-2: {name} must be above 0, got {getattr(self, name)}")


@dataclass(slots=True)
class Players:
    """Ratings of P players on the inner scale: mu, phi, sigma; played: the last period each one's phi is of."""

    mu: np.ndarray
    phi: np.ndarray
    sigma: np.ndarray
    played: np.ndarray

    @classmethod
    def new(cls, count: int, constants: Glicko) -> Players:
        return cls(
            np.full(count, (constants.rating - 1500) / SCALE),
            np.full(count, constants.rd / SCALE),
            np.full(count, constants.volatility),
            np.full(count, -1),
        )

    @classmethod
    def given(cls, rating: np.ndarray, rd: np.ndarray, volatility: np.ndarray) -> Players:
        """Players with these ratings and deviations (outer scale)."""
        mu = (np.asarray(rating, float) - 1500) / SCALE
        return cls(mu, np.asarray(rd, float) / SCALE, np.array(volatility, float), np.full(len(mu), -1))

    @property
    def rating(self) -> np.ndarray:
        """r, points."""
        return SCALE * self.mu + 1500

    @property
    def rd(self) -> np.ndarray:
        """Rating deviation, points."""
        return SCALE * self.phi

    def rest(self, who: np.ndarray, period: int) -> None:
        """Let the periods before `period` pass for players who did not play in them."""
        idle = np.maximum(period - self.played[who] - 1, 0)
        self.phi[who] = np.sqrt(self.phi[who] ** 2 + idle * self.sigma[who] ** 2)
        self.played[who] = period - 1


def play(players: Players, first: np.ndarray, second: np.ndarray, score: np.ndarray, constants: Glicko, period: int = 0) -> None:
    """One rating period: games of `first` against `second` (places), score of the first in [0, 1]. Both sides are updated from ratings before the period."""
    who = np.concatenate([first, second])
    against = np.concatenate([second, first])
    s = np.concatenate([score, 1.0 - score])
    active = np.flatnonzero(np.bincount(who, minlength=len(players.mu)))
    players.rest(active, period)
    g = 1 / np.sqrt(1 + 3 * players.phi**2 / np.pi**2)
    g_k = g[against]
    e = 1 / (1 + np.exp(-g_k * (players.mu[who] - players.mu[against])))
    size = {"minlength": len(players.mu)}
    gain = np.bincount(who, g_k * (s - e), **size)[active]
    v = 1 / np.maximum(np.bincount(who, g_k**2 * e * (1 - e), **size)[active], 1e-300)
    phi, sigma = players.phi[active], players.sigma[active]
    sigma = np.minimum(_volatility(v * gain, phi, v, sigma, constants.tau), constants.cap)
    phi_new = 1 / np.sqrt(1 / (phi**2 + sigma**2) + 1 / v)
    players.mu[active] += phi_new**2 * gain
    players.phi[active], players.sigma[active], players.played[active] = phi_new, sigma, period


def _volatility(delta: np.ndarray, phi: np.ndarray, v: np.ndarray, sigma: np.ndarray, tau: float) -> np.ndarray:
    """New volatilities: the root of f by the Illinois variant of regula falsi, for all players at once."""
    a, square, variance = np.log(sigma**2), delta**2, phi**2 + v

    def f(x: np.ndarray) -> np.ndarray:
        e = np.exp(x)
        return e * (square - variance - e) / (2 * (variance + e) ** 2) - (x - a) / tau**2

    A = a.copy()
    above = square > variance
    B = np.where(above, np.log(np.where(above, square - variance, 1.0)), a - tau)
    f_b = f(B)
    low = ~above & (f_b < 0)
    while low.any():
        B = np.where(low, B - tau, B)
        f_b = f(B)
        low &= f_b < 0
    f_a = f(A)
    for _ in range(100):
        if (np.abs(B - A) <= ENOUGH).all():
            break
        open_ = np.abs(B - A) > ENOUGH
        bottom = np.where(f_b == f_a, 1.0, f_b - f_a)
        C = np.where(f_b == f_a, A, A + (A - B) * f_a / bottom)
        f_c = f(C)
        crossed = f_c * f_b <= 0
        A, f_a = np.where(open_ & crossed, B, A), np.where(open_, np.where(crossed, f_b, f_a / 2), f_a)
        B, f_b = np.where(open_, C, B), np.where(open_, f_c, f_b)
    return np.exp(A / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Ratings after all periods, in the record's order. Items: high = hard; solvers: high = able. how: where the periods came from."""

    record: ResponseRecord
    item_rating: np.ndarray
    item_rd: np.ndarray
    item_volatility: np.ndarray
    solver_rating: np.ndarray
    solver_rd: np.ndarray
    solver_volatility: np.ndarray
    periods: int
    how: str

    def items(self) -> pl.DataFrame:
        """Table: item, rating, rd, volatility, n_obs."""
        import polars as pl

        count = np.bincount(self.record.item, minlength=len(self.item_rating))
        return pl.DataFrame(
            {"item": self.record.items, "rating": self.item_rating, "rd": self.item_rd, "volatility": self.item_volatility, "n_obs": count}
        )

    def difficulty(self) -> pl.DataFrame:
        """The items as a difficulty table (notion "glicko2")."""
        from genscope.core.difficulty import difficulty_columns

        return difficulty_columns(
            "glicko2", self.record.items, self.item_rating, self.item_rd, np.bincount(self.record.item, minlength=len(self.item_rating))
        )


def difficulty_glicko2(
    record: ResponseRecord, *, constants: Glicko | None = None, periods: np.ndarray | None = None, seed: Seed | None = None
) -> Ratings:
    """Rate a record in one pass over its periods.

    periods: a period an answer (else the record's own); without any the answers are dealt at random into periods in which a player has
    `GAMES_A_PERIOD` games on average, solvers and items counted alike: one giant period and one game a period both distort. Weights of answers are not used.
    """
    constants = constants or Glicko()
    given = periods if periods is not None else record.period
    if given is not None and len(given) != len(record):
        raise UsageError(f"Glicko-2: {len(given)} periods for {len(record)} answers")
    if given is None:
        count = max(1, round(2 * len(record) / (len(record.solvers) + len(record.items)) / GAMES_A_PERIOD))
        period = (seed or Seed("glicko2")).rng().permutation(len(record)) % count
        how = f"answers dealt at random into {count} periods"
    else:
        names, period = np.unique(given, return_inverse=True)
        count, how = len(names), "periods as given"
    order = np.argsort(period, kind="stable")
    ends = np.searchsorted(period[order], np.arange(count + 1))
    n = len(record.solvers)
    players = Players.new(n + len(record.items), constants)
    for k in range(count):
        rows = order[ends[k] : ends[k + 1]]
        play(players, record.solver[rows], n + record.item[rows], record.right[rows], constants, k)
    players.rest(np.arange(len(players.mu)), count)
    return Ratings(
        record=record, item_rating=players.rating[n:], item_rd=players.rd[n:], item_volatility=players.sigma[n:], solver_rating=players.rating[:n],
        solver_rd=players.rd[:n], solver_volatility=players.sigma[:n], periods=count, how=how,
    )  # fmt: skip
