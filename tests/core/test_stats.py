"""Intervals, tests and power against values worked by hand or by an independent implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from genscope.core import stats
from genscope.core.errors import UsageError
from genscope.core.seeds import Seed


def rng(*names: str | int) -> np.random.Generator:
    return Seed("test", "stats", *names).rng()


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (137, 512)])
def test_proportions_equal_scipy(k: int, n: int) -> None:
    for ours, method in ((stats.wilson(k, n), "wilson"), (stats.clopper_pearson(k, n), "exact")):
        theirs = scipy.stats.binomtest(k, n).proportion_ci(0.95, method=method)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_is_never_zero_width() -> None:
    low, high = stats.wilson(0, 32), stats.wilson(32, 32)
    assert low.low == 0
    assert low.high == pytest.approx(0.1072, abs=1e-4)
    assert high.low == pytest.approx(1 - 0.1072, abs=1e-4)


def test_paired_t_equals_scipy() -> None:
    x = [0.3, -0.1, 0.5, 0.2, 0.4, 0.1]
    ours, theirs = stats.paired_t(x), scipy.stats.ttest_1samp(x, 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_no_ends_where_seeds_agree() -> None:
    for found in (
        stats.paired_t([0.5] * 5),
        stats.paired_t([0.5]),
        stats.bootstrap_t([1.0] * 8, rng()),
        stats.median_interval([2.0] * 30, rng()),
    ):
        assert found.low is None
        assert found.high is None
    assert stats.paired_t([0.5] * 5).method == "all 5 differences equal"


def test_welch_equals_scipy() -> None:
    a, b = [3.1, 4.2, 5.0, 4.4], [1.0, 2.5, 2.2]
    ours, theirs = stats.welch_t(a, b), scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_newcombe_interval_of_a_difference() -> None:
    """56/70 - 48/80, method 10 of Newcombe (1998), table II: 0.0524 to 0.3339."""
    found = stats.mover([(1, stats.wilson(56, 70)), (-1, stats.wilson(48, 80))])
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (0.0524, 0.3339)


def test_mover_of_one_estimate_is_that_estimate() -> None:
    one = stats.wilson(3, 10)
    found = stats.mover([(1.0, one)])
    assert (found.low, found.high) == pytest.approx((one.low, one.high))


def test_bootstrap_t_on_many_normal_items_equals_the_t_interval() -> None:
    x = rng("normal").normal(2.0, 1.5, 400)
    ours, theirs = stats.bootstrap_t(x, rng("draws")), stats.paired_t(x)
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_clusters_widen_the_interval() -> None:
    values = np.repeat(rng("clusters").normal(size=40), 25)
    clusters = np.repeat(np.arange(40), 25).tolist()
    items, whole = stats.bootstrap_t(values, rng(1)), stats.bootstrap_t(values, rng(1), clusters=clusters)
    assert whole.n == 40
    assert items.low is not None
    assert whole.low is not None
    assert (whole.value - whole.low) > 3 * (items.value - items.low)


def test_strata_count_alike_whatever_their_size() -> None:
    values, strata = [1.0, 0.0] * 50 + [1.0, 1.0, 1.0, 0.0], ["a"] * 100 + ["b"] * 4
    assert stats.bootstrap_t(values, rng(), strata=strata).value == pytest.approx((0.5 + 0.75) / 2)


def test_unpaired_bootstrap_difference_equals_welch_on_many() -> None:
    a, b = rng("a").normal(1.0, 1.0, 300), rng("b").normal(0.0, 2.0, 300)
    ours, theirs = stats.bootstrap_t_difference(a, b, rng("d")), stats.welch_t(a, b)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.04)


def test_sign_flips_are_exact_for_few() -> None:
    x = [0.3, -0.1, 0.5, 0.2, 0.4, 0.1]
    theirs = scipy.stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert stats.paired_permutation(x, rng()) == pytest.approx(theirs)
    assert stats.paired_permutation([1.0] * 5, rng(), "greater") == 1 / 32


def test_spearman_equals_scipy_with_ties() -> None:
    x, y = [1, 2, 2, 3, 5, 5, 7], [3, 1, 4, 4, 6, 2, 9]
    assert stats.spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert math.isnan(stats.spearman([1, 1, 1], [1, 2, 3]))


def test_spearman_permutation_shuffles_whole_clusters() -> None:
    """Three clusters, perfectly falling: 3! = 6 orders, one as extreme, so p is about 1/6 however many rows there are."""
    x, y, clusters = np.repeat([0, 1, 2], 50), np.repeat([9.0, 5.0, 1.0], 50), np.repeat([0, 1, 2], 50).tolist()
    rho, p = stats.spearman_permutation(x, y, rng("sp"), clusters=clusters)
    assert rho == pytest.approx(-1)
    assert p == pytest.approx(1 / 6, abs=0.03)
    assert stats.spearman_permutation(x, y, rng("sp"), alternative="less")[1] < 0.001
    with pytest.raises(UsageError, match="constant inside each cluster"):
        stats.spearman_permutation([0, 1, 1], [1, 2, 3], rng(), clusters=[0, 0, 1])


def test_mcnemar_equals_the_binomial_test() -> None:
    assert stats.mcnemar(3, 12) == pytest.approx(scipy.stats.binomtest(3, 15).pvalue)
    assert stats.mcnemar(0, 0) == 1.0
    assert stats.mcnemar(4, 4) == 1.0


def test_holm_by_hand() -> None:
    assert stats.holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert stats.holm([]) == []


def test_smallest_detectable_effect_is_found_four_times_in_five() -> None:
    """Known: (1.95996 + 0.84162) standard errors; and a simulation at that effect."""
    assert stats.smallest_detectable(0.5) == pytest.approx(0.5 * (1.959964 + 0.841621), rel=1e-5)
    effect = stats.smallest_detectable_paired(1.0, 20)
    drawn = rng("power").normal(effect, 1.0, (4_000, 20))
    found = np.mean([scipy.stats.ttest_1samp(row, 0).pvalue < 0.05 for row in drawn])
    assert found == pytest.approx(0.8, abs=0.03)
    assert stats.smallest_detectable_paired(1.0, 1) == math.inf


@pytest.mark.parametrize("bad", [[1.0, math.nan], [math.inf, 1.0]])
def test_nan_is_refused_with_its_count(bad: list[float]) -> None:
    for call in (stats.paired_t, lambda x: stats.bootstrap_t(x, rng()), lambda x: stats.median_interval(x, rng())):
        with pytest.raises(UsageError, match="1 of 2 values"):
            call(bad)
    with pytest.raises(UsageError, match="at least 1 value"):
        stats.paired_t([])
    with pytest.raises(UsageError, match="0 <= k <= n"):
        stats.wilson(3, 2)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=30), st.floats(-5, 5))
def test_shifting_data_shifts_the_interval(x: list[float], shift: float) -> None:
    a, b = stats.paired_t(x), stats.paired_t([value + shift for value in x])
    if a.low is not None and b.low is not None and np.std(x) > 1e-3:
        assert b.low - a.low == pytest.approx(shift, abs=1e-6)
