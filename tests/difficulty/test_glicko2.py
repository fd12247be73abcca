"""Glicko-2: Glickman's example and the cases that it does not see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import spearman
from genscope.measures.glicko2 import Glicko, Players, difficulty_glicko2, play
from genscope.tasks.attempts import simulate
from genscope.tasks.responses import ResponseRecord


def after(player: tuple[float, float, float], games: list[tuple[float, float, float]], **constants: float) -> tuple[float, float, float]:
    """(r, RD, sigma) of a player after one period of games (opponent's r, opponent's RD, score)."""
    players = Players.given([player[0], *[g[0] for g in games]], [player[1], *[g[1] for g in games]], [player[2]] + [0.06] * len(games))  # pyright: ignore[reportArgumentType]
    play(players, np.zeros(len(games), int), np.arange(1, len(games) + 1), np.array([g[2] for g in games], float), Glicko(**constants))
    return float(players.rating[0]), float(players.rd[0]), float(players.sigma[0])


@pytest.mark.parametrize(
    ("player", "games", "wanted"),
    [
        ((1500, 200, 0.06), [(1400, 30, 1), (1550, 100, 0), (1700, 300, 0)], (1464.0507, 151.5165, 0.0599960)),
        ((1500, 350, 0.06), [(2000, 70, 0)], (1467.5878, 318.6618, 0.05999946)),
        ((1500, 350, 0.06), [(2000, 70, 1)], (2038.2177, 318.6618, 0.06000728)),
        ((2000, 50, 0.06), [(1200, 50, 0)] * 10, (1854.2445, 50.9004, 0.0613375)),
    ],
)
def test_known_answers(
    player: tuple[float, float, float], games: list[tuple[float, float, float]], wanted: tuple[float, float, float]
) -> None:
    found = after(player, games)
    assert found[:2] == pytest.approx(wanted[:2], abs=1e-4)
    assert found[2] == pytest.approx(wanted[2], abs=1e-7)


def test_one_player_agrees_with_the_formulas_done_slowly() -> None:
    r, rd, sigma, tau = 1620.0, 120.0, 0.08, 0.7
    games = [(1500.0, 60.0, 1.0), (1800.0, 200.0, 0.5), (1650.0, 350.0, 0.0), (1400.0, 90.0, 0.0)]
    mu, phi = (r - 1500) / 173.7178, rd / 173.7178
    g = [1 / math.sqrt(1 + 3 * (d / 173.7178) ** 2 / math.pi**2) for _, d, _ in games]
    e = [1 / (1 + math.exp(-gk * (mu - (rk - 1500) / 173.7178))) for gk, (rk, _, _) in zip(g, games, strict=True)]
    v = 1 / sum(gk**2 * ek * (1 - ek) for gk, ek in zip(g, e, strict=True))
    gain = sum(gk * (s - ek) for gk, ek, (_, _, s) in zip(g, e, games, strict=True))

    def f(x: float) -> float:
        return (
            math.exp(x) * ((v * gain) ** 2 - phi**2 - v - math.exp(x)) / (2 * (phi**2 + v + math.exp(x)) ** 2)
            - (x - math.log(sigma**2)) / tau**2
        )

    low, high = math.log(sigma**2) - 5, math.log(sigma**2) + 5
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    new = math.exp(low / 2)
    phi_new = 1 / math.sqrt(1 / (phi**2 + new**2) + 1 / v)
    wanted = (173.7178 * (mu + phi_new**2 * gain) + 1500, 173.7178 * phi_new, new)
    assert after((r, rd, sigma), games, tau=tau) == pytest.approx(wanted, rel=1e-7)


def test_a_player_without_games_grows_uncertain() -> None:
    players = Players.given([1500.0, 1500.0], [200.0, 200.0], [0.06, 0.06])  # pyright: ignore[reportArgumentType]
    players.rest(np.array([0]), 1)
    assert players.rd[0] == pytest.approx(200.2714, abs=1e-4)
    players.rest(np.array([1]), 3)
    assert players.phi[1] == pytest.approx(math.sqrt((200 / 173.7178) ** 2 + 3 * 0.06**2))


def test_opponents_count_as_they_were_before_the_period() -> None:
    """Two players who beat each other in one period stay where they are; order of games does not matter."""
    players = Players.new(2, Glicko())
    play(players, np.array([0, 0]), np.array([1, 1]), np.array([1.0, 0.0]), Glicko())
    assert players.rating == pytest.approx([1500, 1500])
    games = np.array([0, 1, 2, 0]), np.array([3, 3, 4, 4]), np.array([1.0, 0.0, 1.0, 0.0])
    results = []
    for order in (np.arange(4), np.array([2, 0, 3, 1])):
        fresh = Players.new(5, Glicko())
        play(fresh, *(part[order] for part in games), Glicko())
        results.append(fresh.rating)
    assert results[0] == pytest.approx(results[1])


def test_a_row_of_upsets_does_not_explode() -> None:
    rating, _, sigma = after((2000, 50, 0.06), [(1200, 50, 0)] * 20, tau=1.2)
    assert sigma <= 0.3
    assert 1200 < rating < 2000


def test_an_item_that_nobody_solves_is_the_hardest() -> None:
    made = simulate(Seed("glicko"), solvers=60, items=40)
    cells = made.record.matrix()
    cells[:, 0], cells[:, 1] = 0.0, 1.0
    cells[5] = 1.0
    found = difficulty_glicko2(ResponseRecord.from_matrix(cells))
    assert (int(np.argmax(found.item_rating)), int(np.argmin(found.item_rating))) == (0, 1)
    assert int(np.argmax(found.solver_rating)) == 5
    assert spearman(found.item_rating[2:], made.difficulty[2:]) > 0.92


def test_periods_are_those_of_the_record_in_order() -> None:
    solvers, items, right, periods = ["a", "a", "a", "b"], ["x", "y", "z", "x"], [1, 0, 1, 0], [2021, 2019, 2021, 2019]
    record = ResponseRecord.from_triples(solvers, items, right, periods=periods)
    found = difficulty_glicko2(record)
    assert found.periods == 2
    assert found.how == "periods as given"
    by_hand = Players.new(5, Glicko())
    play(by_hand, np.array([0, 1]), np.array([3, 2]), np.array([0.0, 0.0]), Glicko(), 0)
    play(by_hand, np.array([0, 0]), np.array([2, 4]), np.array([1.0, 1.0]), Glicko(), 1)
    by_hand.rest(np.arange(5), 2)
    assert np.r_[found.solver_rating, found.item_rating] == pytest.approx(by_hand.rating)
    assert np.r_[found.solver_rd, found.item_rd] == pytest.approx(by_hand.rd)
    with pytest.raises(UsageError, match="2 periods for 4 answers"):
        difficulty_glicko2(record, periods=np.array([0, 1]))
    with pytest.raises(UsageError, match="tau must be above 0"):
        Glicko(tau=0.0)
