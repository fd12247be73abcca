"""System 1, the formula: every worked value of the sheet, its pieces by hand, its clamps, and the exact value on the circle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ncx2

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.inductive_bias import (
    control_complexity,
    few_shot_complexity,
    harmonics_degree,
    inductive_bias_complexity,
    log_harmonics,
    model_information,
    support_sets,
    union_complexity,
)
from genscope.measures.inductive_bias_exact import bound_on_circle, exact_on_circle, fitted_information, log_noncentral_chi2, saddlepoint
from genscope.studies.inductive_bias_complexity import PAPER_BITS, _paper_tasks

IMAGENET = {"n": 1_280_901, "m": 48, "n_classes": 1_000, "eps": 0.1, "radius": 943.5923, "delta": 65}


def test_the_released_formula_at_the_papers_parameters() -> None:
    found = _paper_tasks()
    assert set(found) == set(PAPER_BITS)
    for name, wanted in PAPER_BITS.items():
        assert found[name].bits == pytest.approx(wanted, rel=0.005), name


def test_intermediate_values_for_mnist() -> None:
    found = inductive_bias_complexity(60_000, 14, 10, 0.001, radius=17.179045827183984, delta=2.3987084824335305)
    wanted = {
        "cutoff": 44.99885,
        "degree": 38.96586,
        "transport": 15.96718,
        "lipschitz": 6.80467,
        "dim_free": 7.43321e14,
        "log_ratio": 19.97527,
    }
    for name, value in wanted.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-5), name
    assert math.exp(log_harmonics(14, found.degree)) == pytest.approx(4.12956e12, rel=1e-5)
    assert found.log2_bits == pytest.approx(math.log2(found.bits))
    assert found.log10_bits == pytest.approx(math.log10(found.bits))


def test_small_cases_worked_by_hand() -> None:
    one = inductive_bias_complexity(10, 1, 2, 0.1, radius=1, delta=0.5)
    assert (one.cutoff, one.degree) == (pytest.approx(4 * math.pi), pytest.approx(4 * math.pi))
    assert one.dim_hypotheses == pytest.approx(2 * 1 * 2 * (8 * math.pi + 1))
    assert one.dim_free == pytest.approx(94.53096, rel=1e-6)
    assert one.log_ratio == pytest.approx(6.510511, rel=1e-6)
    assert one.bits == pytest.approx(615.4449, rel=1e-6)
    assert inductive_bias_complexity(100, 2, 2, 0.01, radius=1, delta=0.25).bits == pytest.approx(25_236.03, rel=1e-6)
    for eps, wanted in ((0.1, 2.5415e10), (0.01, 3.2160e10), (0.001, 3.8904e10)):
        assert inductive_bias_complexity(1_797, 8, 10, eps, radius=4.806002, delta=1.179248).bits == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"n": 100}, 3.62e41), ({"n": 1e17}, 3.48e41), ({"m": 60}, 5.02e44), ({"m": 80}, 1.47e48), ({"m": 99}, 1.09e50), ({"delta": 30}, 1.90e57),
        ({"delta": 119}, 9.98e29), ({"n_classes": 10}, 1.90e37), ({"n_classes": 100}, 2.84e39),
    ],
)  # fmt: skip
def test_sweeps_of_imagenet(change: dict[str, float], wanted: float) -> None:
    assert inductive_bias_complexity(**{**IMAGENET, **change}).bits == pytest.approx(wanted, rel=0.005)  # pyright: ignore[reportArgumentType]


def test_reacher_gains_the_same_for_each_decade_of_error() -> None:
    values = [control_complexity(1e6, 6, 2, 0.001, 10.0**-k).bits for k in range(1, 9)]
    assert values[0] == pytest.approx(2.07e25, rel=0.003)
    assert values[-1] == pytest.approx(5.03e25, rel=0.003)
    assert np.diff(values) == pytest.approx([0.4225e25] * 7, rel=0.01)


def test_few_shot_barely_depends_on_the_number_of_support_sets() -> None:
    for n in (1e20, 1e35, 1e50):
        found = few_shot_complexity(n, within=22, across=29, radius=49.4064773081425, delta=5.477225575051661)
        assert found.bits == pytest.approx(1.79e145, rel=0.005)
    assert support_sets([20, 10]) == pytest.approx(2 * 20.0**20)
    assert support_sets([22]) == pytest.approx(231 * 20.0**20)


def test_a_union_is_the_closed_form_with_summed_dimensions() -> None:
    found = union_complexity((10, 20), (1, 2), (3.0, 4.0), (2, 3), 0.5, 0.1)
    assert found == inductive_bias_complexity(200, 3, 2, 0.1, radius=5.0, delta=0.5, output_dim=2, copies=6)
    assert found.bits > inductive_bias_complexity(10, 1, 2, 0.1, radius=3.0, delta=0.5).bits


def test_clamps_are_flagged_and_large_dimensions_do_not_overflow() -> None:
    enough = inductive_bias_complexity(1_000, 1, 2, 0.01, radius=1, delta=1)
    assert (enough.bits, enough.log10_bits, enough.flags) == (0.0, -math.inf, ("data_sufficient",))
    assert enough.dim_free == pytest.approx(4 * (4 * math.pi + 1) - 1_000)
    trivial = inductive_bias_complexity(2, 1, 2, 90.0, cutoff=3.0, output_dim=1)
    assert (trivial.bits, trivial.flags) == (0.0, ("target_trivial",))
    huge = inductive_bias_complexity(100, 3_000, 10, 0.01, radius=1, delta=0.0001)
    assert huge.bits == math.inf
    assert huge.log10_bits > 308
    assert huge.log2_bits == pytest.approx(huge.log10_bits * math.log2(10))


def test_the_radius_enters_through_the_cutoff_only() -> None:
    one = inductive_bias_complexity(50, 3, 4, 0.05, radius=1.0, delta=0.1)
    assert inductive_bias_complexity(50, 3, 4, 0.05, radius=7.0, delta=0.7).log_ratio == pytest.approx(one.log_ratio)
    assert inductive_bias_complexity(50, 3, 4, 0.05, cutoff=one.cutoff).bits == pytest.approx(one.bits)


def test_degree_solves_its_equation_and_harmonics_of_the_two_sphere_are_squares() -> None:
    for m, cutoff in ((1.0, 5.0), (2.0, 5.0), (7.3, 41.0)):
        k = harmonics_degree(m, cutoff)
        assert k * (k + m - 1) == pytest.approx(cutoff**2)
    assert [round(math.exp(log_harmonics(2, k)), 6) for k in (1, 2, 3)] == [4, 9, 16]


def test_what_a_model_brought_is_the_bits_at_its_error() -> None:
    assert model_information(100, 2, 2, 0.03, radius=1, delta=0.25) == inductive_bias_complexity(100, 2, 2, 0.03, radius=1, delta=0.25)
    with pytest.raises(UsageError, match="infinitely many bits"):
        model_information(100, 2, 2, 0.0, radius=1, delta=0.25)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 0}, "n must be"), ({"m": -1}, "m must be"), ({"eps": 0}, "eps must be"), ({"eps": 1.0}, "error rate"), ({"delta": 0}, "delta must be"),
        ({"n_classes": 1}, "at least 2 classes"), ({"radius": None}, "either radius and delta"), ({"n": math.nan}, "finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        inductive_bias_complexity(**{**IMAGENET, **change})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("degree", "bounds"), [(4, (91, 65, 37)), (8, (214, 170, 122)), (16, (492, 414, 330))])
def test_the_bound_on_the_circle(degree: int, bounds: tuple[int, ...]) -> None:
    # the sheet prints whole numbers, some of them cut
    assert [bound_on_circle(degree, n, 0.1) for n in (2, 4, 8)] == pytest.approx(bounds, abs=1.0)


def test_the_exact_value_on_the_circle() -> None:
    wanted = {(4, 2): 24, (4, 4): 17, (4, 8): 2.7, (8, 2): 52, (8, 4): 44, (8, 8): 29, (16, 2): 105, (16, 4): 97, (16, 8): 81}
    for (degree, n), bits in wanted.items():
        draws = [exact_on_circle(degree, n, 0.1, Seed("circle", degree, n, k)) for k in range(60)]
        assert abs(np.mean(draws) - bits) < 4 * np.std(draws) / math.sqrt(60) + 2, (degree, n)
    assert exact_on_circle(4, 9, 0.1, Seed("full")) == 0.0
    with pytest.raises(UsageError, match="degree >= 1"):
        exact_on_circle(0, 2, 0.1, Seed("x"))


def test_the_exact_value_is_a_frequency() -> None:
    """Where the probability is large it can be counted: one free dimension, a wide error."""
    seed, degree, n, eps = Seed("count"), 2, 4, 0.6
    rng = seed.rng()
    truth, angles = rng.standard_normal(5), rng.uniform(0, 2 * math.pi, n)
    k = np.arange(1, 3)
    design = np.concatenate(
        [np.ones((n, 1)), math.sqrt(2) * np.cos(angles[:, None] * k), math.sqrt(2) * np.sin(angles[:, None] * k)], axis=1
    )
    start = np.linalg.lstsq(design, design @ truth, rcond=None)[0]
    null = np.linalg.svd(design)[2][n:]
    z = Seed("z").rng().standard_normal((200_000, 1))
    errors = ((start + z @ null - truth) ** 2).sum(1) / 5
    assert exact_on_circle(degree, n, eps, seed) == pytest.approx(-math.log2((errors <= eps**2).mean()), abs=0.02)


@pytest.mark.parametrize(("x", "df", "noncentrality"), [(0.5, 10, 5.0), (0.09, 7, 3.0), (0.05, 20, 30.0), (2.0, 3, 40.0)])
def test_the_saddlepoint_agrees_with_the_series_where_that_works(x: float, df: int, noncentrality: float) -> None:
    assert saddlepoint(x, df, noncentrality) == pytest.approx(float(ncx2.logcdf(x, df, noncentrality)), abs=0.05)


def test_the_left_tail_does_not_underflow() -> None:
    far = log_noncentral_chi2(1e-4, 200, 100.0)
    # for x -> 0 the noncentral chi-square is exp(-noncentrality / 2) times the central one
    central = 100 * math.log(1e-4 / 2) - math.lgamma(101)
    assert far == pytest.approx(central - 50, rel=0.001)
    assert log_noncentral_chi2(3.0, 4, 0.0) == pytest.approx(math.log(1 - math.exp(-1.5) * 2.5))


def test_information_fitted_to_errors_of_networks_is_that_of_their_distribution() -> None:
    df, noncentrality, scale = 12.0, 4.0, 0.01
    errors = scale * Seed("nets").rng().noncentral_chisquare(df, noncentrality, 4_000)
    eps = 0.06
    wanted = -math.log2(float(ncx2.cdf(eps / scale, df, noncentrality)))
    assert fitted_information(errors, eps) == pytest.approx(wanted, rel=0.05)
    with pytest.raises(UsageError, match="at least 20"):
        fitted_information(errors[:5], eps)
