"""Distance of weights and its growth laws: planted laws are found, a random walk goes like sqrt t, and bad input is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.growth_fit import best, fit_growth
from genscope.measures.weight_distance import log_spaced, potential_exponent, random_walk, snapshot, weight_distance, weight_distances

T = np.array(log_spaced(10, 2_000, 60))
PLANTED = {"log": 3 + 2 * np.log(T), "sqrt": 1 + 0.5 * np.sqrt(T), "linear": 4 + 0.01 * T, "power": 0.7 * T**0.3}
PARAMETERS = {"log": (3, 2), "sqrt": (1, 0.5), "linear": (4, 0.01), "power": (0.7, 0.3)}


@pytest.mark.parametrize("law", list(PLANTED))
def test_a_planted_law_is_found_with_its_parameters(law: str) -> None:
    fits = fit_growth(T, PLANTED[law])
    assert (fits[law].a, fits[law].b) == pytest.approx(PARAMETERS[law], rel=1e-4)
    assert fits[law].r2 == pytest.approx(1.0, abs=1e-9)
    assert fits[law].error < 1e-9
    assert fits[law].at(T) == pytest.approx(PLANTED[law], rel=1e-4)
    assert best(fits, tuple(PLANTED)) == law
    noisy = PLANTED[law] * (1 + 0.002 * Seed("noise", law).rng().standard_normal(len(T)))
    assert best(fit_growth(T, noisy)) == (law if law != "power" else best(fit_growth(T, PLANTED[law])))


def test_fits_agree_with_least_squares_and_errors_with_a_loop_over_blocks() -> None:
    d = 2 + np.log(T) + 0.1 * Seed("d").rng().standard_normal(len(T))
    fit = fit_growth(T, d, blocks=4)["log"]
    design = np.stack([np.ones(len(T)), np.log(T)], axis=1)
    (a, b), residual, _, _ = np.linalg.lstsq(design, d)
    assert (fit.a, fit.b) == pytest.approx((a, b))
    assert fit.r2 == pytest.approx(1 - residual[0] / ((d - d.mean()) ** 2).sum())
    squares = []
    for block in range(4):
        out = np.arange(len(T)) * 4 // len(T) == block
        held = np.linalg.lstsq(design[~out], d[~out])[0]
        squares += list((d[out] - design[out] @ held) ** 2)
    assert fit.error == pytest.approx(np.mean(squares))


def test_the_fit_is_of_the_first_phase_only() -> None:
    late = np.where(T > 500, 100.0, 3 + 2 * np.log(T))
    assert fit_growth(T, late, last=500)["log"].b == pytest.approx(2.0)
    early = np.concatenate([[1, 2, 5], T])
    assert fit_growth(early, np.concatenate([[50, 50, 50], PLANTED["log"]]))["log"].b == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("t", "d", "settings", "said"),
    [
        (T[:7], T[:7], {}, "at least 8"), (T, T, {"last": 15}, "at least 8"), (T, T[:-1], {}, "one distance for each step"), (T[::-1], T, {}, "must grow"),
        (T, np.where(T > 100, np.nan, 1.0), {}, "finite"), (T, T, {"blocks": 1}, "blocks must be 2"),
    ],
)  # fmt: skip
def test_bad_points_are_refused(t: np.ndarray, d: np.ndarray, settings: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fit_growth(t, d, **settings)  # pyright: ignore[reportArgumentType]


def test_no_growth_has_no_explained_variance() -> None:
    assert np.isnan(fit_growth(T, np.ones(len(T)))["log"].r2)


def test_distance_is_euclidean_over_trainable_tensors_and_copies() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    net[1].bias.requires_grad_(False)
    start = snapshot(net.named_parameters())
    assert set(start) == {"0.weight", "0.bias", "1.weight"}
    with torch.no_grad():
        net[0].weight += 1.0
        net[1].weight -= 2.0
    now = snapshot(net.named_parameters())
    assert weight_distances(now, start) == pytest.approx({"0.weight": 6**0.5, "0.bias": 0.0, "1.weight": 8**0.5}, rel=1e-6)
    assert weight_distance(now, start) == pytest.approx(14**0.5, rel=1e-6)
    half = snapshot([("w", torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)))])
    assert half["w"].dtype == np.float32
    for p in net.parameters():
        p.requires_grad_(False)
    with pytest.raises(UsageError, match="no parameter requires a gradient"):
        snapshot(net.named_parameters())
    with pytest.raises(UsageError, match="different: 0.bias"):
        weight_distance({name: value for name, value in now.items() if name != "0.bias"}, start)


def test_a_random_walk_goes_like_sqrt_t_and_equals_one_in_all_coordinates() -> None:
    norms = np.ones(2_000)
    ends = np.array([random_walk(norms, 500, Seed("walk", k))[[99, 1_999]] for k in range(200)])
    assert (ends**2).mean(0) == pytest.approx([100, 2_000], rel=0.03)
    # the spread too is that of a walk whose every coordinate is drawn
    rng, drawn = Seed("all").rng(), []
    for _ in range(300):
        u = rng.standard_normal((50, 8))
        drawn.append(np.linalg.norm((u / np.linalg.norm(u, axis=1, keepdims=True)).sum(0)))
    short = [random_walk(np.ones(50), 8, Seed("eight", k))[-1] for k in range(300)]
    assert np.mean(short) == pytest.approx(np.mean(drawn), rel=0.06)
    assert np.std(short) == pytest.approx(np.std(drawn), rel=0.25)
    walk = random_walk(np.random.default_rng(0).permutation(np.linspace(2, 0.5, 2_000)), 150_000, Seed("random order"))
    fits = fit_growth(T, walk[T - 1])
    assert best(fits) == "sqrt"
    assert fits["log"].r2 < 0.95
    # falling norms, t^-1/2, give log growth by themselves
    falling = fit_growth(T, random_walk(np.arange(1, 2_001) ** -0.5, 150_000, Seed("falling"))[T - 1])
    assert best(falling) == "log"
    assert falling["log"].r2 > 0.99
    for bad in (np.empty(0), np.array([-1.0]), np.array([np.nan])):
        with pytest.raises(UsageError, match="norms"):
            random_walk(bad, 10, Seed("b"))


@pytest.mark.parametrize(("power", "alpha"), [(1.0, 2.0), (2.0, 4.0), (0.5, 1.0)])
def test_the_exponent_of_a_planted_potential(power: float, alpha: float) -> None:
    slope = Seed("slope").rng().standard_normal(30)

    def loss_at(moved: np.ndarray) -> float:
        far = float(np.linalg.norm(moved))
        return 5.0 + (float(moved @ slope) * far ** (power - 1) if far else 0.0)

    found, spread = potential_exponent(loss_at, 30, (0.1, 1.0, 10.0), 40, Seed("p"))
    assert found == pytest.approx(alpha)
    assert spread[1.0] == pytest.approx(np.linalg.norm(slope) / np.sqrt(30), rel=0.4)
    assert np.isnan(potential_exponent(lambda _: 1.0, 30, (0.1, 1.0), 5, Seed("flat"))[0])
    with pytest.raises(UsageError, match="at least 2 radii"):
        potential_exponent(loss_at, 30, (1.0,), 40, Seed("p"))


def test_log_spaced_steps() -> None:
    assert len(log_spaced(10, 2_000, 60)) == 60
    assert log_spaced(1, 3, 50) == [1, 2, 3]
    with pytest.raises(UsageError, match="1 <= first"):
        log_spaced(0, 10, 5)
