"""Known answers of the measures of system 12, by hand and from independent packages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import auc as trapezoid
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from genscope.core.claims import Clause
from genscope.core.errors import UsageError
from genscope.core.estimators import estimate
from genscope.core.seeds import Seed
from genscope.core.stats.grouped import GroupDraws, basic, percentile
from genscope.measures.adjusted_count import adjusted_count, adjusted_rate
from genscope.measures.average_precision import average_precision, drawn_average_precision, prevalence
from genscope.measures.generalization_rate import generalization_rates, prior_weight
from genscope.measures.language_rates import language_rates
from genscope.measures.language_scores import Drawn, language_scores
from genscope.measures.net_spread import net_spread
from genscope.measures.overdispersion import homogeneity, overdispersion
from genscope.measures.weighted_auc import drawn_auc, mean_auc, mean_auc_p


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_scikit_learns_with_weights_and_ties(ties: bool) -> None:
    rng = Seed("ap", int(ties)).rng()
    y = (rng.random(400) < 0.1).astype(int)
    score = rng.standard_normal(400) + y
    score = np.round(score) if ties else score
    weight = rng.integers(1, 5, 400).astype(float)
    assert average_precision(y, score) == pytest.approx(average_precision_score(y, score))
    assert average_precision(y, score, weight) == pytest.approx(average_precision_score(y, score, sample_weight=weight))
    # a weight of k is k copies, and of 0 none
    times = rng.integers(0, 4, 400)
    at = np.repeat(np.arange(400), times)
    assert drawn_average_precision(y, score, times[None, :])[0] == pytest.approx(average_precision_score(y[at], score[at]))
    precision, recall, _ = precision_recall_curve(y, score)
    assert not math.isclose(average_precision(y, score), trapezoid(recall, precision), rel_tol=1e-6)


def test_average_precision_at_its_edges() -> None:
    y = np.array([0, 1, 0, 0])
    assert average_precision(y, np.array([1.0, 2.0, 0.0, 0.0])) == 1.0
    assert average_precision(y, np.array([3.0, 0.0, 2.0, 1.0])) == 0.25
    assert average_precision(np.ones(3, int), np.arange(3.0)) == 1.0
    with pytest.warns(RuntimeWarning, match="without a positive"):
        assert math.isnan(average_precision(np.zeros(3, int), np.arange(3.0)))
    for bad, said in ((np.array([0.0, np.nan, 1.0, 2.0]), "finite"), (np.zeros(3), "as many")):
        with pytest.raises(UsageError, match=said):
            average_precision(y, bad)
    with pytest.raises(UsageError, match="0 or 1"):
        average_precision(np.array([0, 2]), np.zeros(2))
    assert prevalence(y, np.array([1.0, 3.0, 1.0, 1.0])) == 0.5


def test_weights_undo_the_sampling_of_negatives() -> None:
    rng = Seed("sampled").rng()
    y = (rng.random(60_000) < 0.06).astype(int)
    score = rng.standard_normal(60_000) + 1.5 * y
    kept = (y == 1) | (rng.random(60_000) < 0.25)
    whole = average_precision(y, score)
    assert average_precision(y[kept], score[kept], np.where(y[kept] == 1, 1.0, 4.0)) == pytest.approx(whole, abs=0.015)
    assert average_precision(y[kept], score[kept]) > whole + 0.15


def test_grouped_draws_keep_groups_whole_and_order_does_not_matter() -> None:
    groups = ["a", "b", "a", "c", "b"]
    draws = GroupDraws.of(groups, Seed("g"), 50)
    weights = draws.weights()
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert (draws.times.sum(1) == 3).all()
    turned = GroupDraws.of(groups[::-1], Seed("g"), 50)
    assert np.array_equal(weights, turned.weights()[:, ::-1])
    assert draws.groups(np.array([0, 2])) == 1
    alike = percentile(0.5, np.full(9, 0.5), 3)
    assert (alike.low, alike.high) == (None, None)
    drawn = np.append(np.linspace(0, 1, 1_001), np.nan)
    assert percentile(0.6, drawn, 9).low == pytest.approx(0.025)
    assert basic(0.6, drawn, 9).low == pytest.approx(0.225)


def test_the_grouped_bootstrap_covers_a_mean_of_clusters() -> None:
    hits, runs = 0, 200
    for run in range(runs):
        rng = Seed("coverage", run).rng()
        x = np.repeat(rng.standard_normal(40), 5) + rng.standard_normal(200)
        draws = GroupDraws.of(np.repeat(np.arange(40), 5).tolist(), Seed("draws", run), 400)
        weights = draws.weights()
        found = percentile(float(x.mean()), (weights * x).sum(1) / weights.sum(1), 40)
        hits += not found.excludes(0.0)
    assert 0.89 <= hits / runs <= 0.98
    rows_alone = np.std([np.random.default_rng(k).choice(x, 200).mean() for k in range(200)])  # pyright: ignore[reportPossiblyUnboundVariable]
    assert (found.high - found.low) / 3.92 > 1.4 * rows_alone  # pyright: ignore[reportPossiblyUnboundVariable, reportOperatorIssue]


def test_rates_shrink_by_the_spread_of_the_groups() -> None:
    y = np.array([1] * 5 + [0] * 5 + [0] * 40)
    found = generalization_rates(y, ["a"] * 10 + ["b"] * 40)
    assert [(one.n, one.k, one.inflation) for one in found] == [(10, 5, 2.0), (40, 0, float("inf"))]
    assert found[0].rate.low == pytest.approx(0.2366, abs=1e-4)
    assert found[1].shrunken == pytest.approx((0 + 10 * 0.1) / 50)  # two groups: m = 10, base rate 5 / 50
    assert prior_weight(np.full(20, 10), np.array([10, 0] * 10)) == pytest.approx(0.0)
    assert prior_weight(np.full(20, 10), np.full(20, 3)) == 10.0
    rng = Seed("moments").rng()
    rates = rng.beta(2, 6, 4_000)  # m = 2 + 6
    assert prior_weight(np.full(4_000, 20), rng.binomial(20, rates)) == pytest.approx(8.0, rel=0.1)
    with pytest.raises(UsageError, match="0 or 1"):
        generalization_rates(np.array([2]), ["a"])


def test_overdispersion_finds_what_was_put_in() -> None:
    rng = Seed("beta-binomial").rng()
    n = rng.integers(5, 60, 3_000)
    spread = overdispersion(n, rng.binomial(n, rng.beta(1.0, 9.0, 3_000)))  # rho = 1 / (1 + 1 + 9)
    assert spread.mean == pytest.approx(0.1, abs=0.006)
    assert spread.rho == pytest.approx(1 / 11, abs=0.012)
    assert spread.p < 1e-100
    n = n[:300]
    p = [overdispersion(n, Seed("null", k).rng().binomial(n, 0.1)).p for k in range(80)]
    assert np.mean(np.array(p) < 0.05) <= 0.11
    # the likelihood itself, from scipy's beta-binomial
    k = np.array([0, 3, 10])
    one = overdispersion(np.full(3, 10), k)
    a, b = (part * (1 - one.rho) / one.rho for part in (one.mean, 1 - one.mean))
    gain = scipy_stats.betabinom.logpmf(k, 10, a, b).sum() - scipy_stats.binom.logpmf(k, 10, k.sum() / 30).sum()
    assert one.statistic == pytest.approx(2 * gain, rel=1e-4)
    assert overdispersion(np.array([5, 5]), np.array([0, 0])).p == 1.0
    with pytest.raises(UsageError, match="0 <= k <= n"):
        overdispersion(np.array([2]), np.array([3]))


def test_homogeneity_is_scipys_chi_square() -> None:
    n, k = np.array([100, 80, 60]), np.array([5, 12, 3])
    found = scipy_stats.chi2_contingency(np.stack([k, n - k]), correction=False)
    assert homogeneity(n, k) == (pytest.approx(found.statistic), pytest.approx(found.pvalue))


def test_adjusted_count_removes_the_bias_of_the_share_above_threshold() -> None:
    assert adjusted_rate(0.6, 0.6, 0.1) == 1.0
    assert adjusted_rate(0.05, 0.6, 0.1) == 0.0
    assert math.isnan(adjusted_rate(0.3, 0.5, 0.48))
    covered, raw = 0, []
    for run in range(100):
        rng = Seed("count", run).rng()

        def flags(y: np.ndarray, rng: np.random.Generator = rng) -> np.ndarray:
            return (rng.random(len(y)) < np.where(y == 1, 0.6, 0.08)).astype(int)

        held, asked = ((rng.random(size) < rate).astype(int) for size, rate in ((3_000, 0.06), (1_000, 0.03)))
        seen = flags(asked)
        found = adjusted_count(seen, held, flags(held), Seed("draws", run), draws=400)
        covered += not found.excludes(0.03)
        raw.append(seen.mean())
    assert covered >= 88
    assert np.mean(raw) > 0.09  # three times the truth
    held, seen = np.repeat([1, 0], 500), np.repeat([1, 0, 1, 0], [300, 200, 50, 450])  # TPR .6, FPR .1
    none = adjusted_count(np.zeros(5), held, seen, Seed("none"))
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high is not None
    assert 0.3 < none.high < 0.8  # (.38 - .1) / .5, .38 being the 97.5 % point of Beta(.5, 5.5)
    beyond = adjusted_count(np.ones(50), held, seen, Seed("beyond"))
    assert (beyond.value, beyond.low, beyond.high) == (1.0, None, None)
    with pytest.raises(UsageError, match="both labels"):
        adjusted_count(np.ones(3), np.zeros(3), np.zeros(3), Seed("x"))


def test_auc_with_weights_is_scikit_learns_and_within_strata_avoids_simpsons_trap() -> None:
    rng = Seed("auc").rng()
    y, score = rng.integers(0, 2, 200), np.round(rng.standard_normal(200), 1)
    weight = rng.integers(0, 3, 200)
    assert drawn_auc(y, score, weight[None, :])[0] == pytest.approx(roc_auc_score(y, score, sample_weight=weight))
    strata = np.repeat(["a", "b"], 1_000)
    y = (rng.random(2_000) < np.where(strata == "a", 0.2, 0.8)).astype(int)
    score = rng.standard_normal(2_000) + 3 * (strata == "b")
    ones = np.ones((1, 2_000))
    assert drawn_auc(y, score, ones)[0] > 0.75
    assert mean_auc(y, score, strata.tolist(), ones)[0] == pytest.approx(0.5, abs=0.04)
    assert mean_auc_p(y, score, strata.tolist(), Seed("p").rng()) > 0.01
    assert mean_auc_p(y, score + 0.5 * y, strata.tolist(), Seed("p").rng()) == 0.001
    assert math.isnan(drawn_auc(np.ones(3, int), np.zeros(3), np.ones((1, 3)))[0])


def test_scores_by_language_and_differences_within_a_draw() -> None:
    rng = Seed("languages").rng()
    n = 900
    spoken = np.repeat(["en", "fr", "hi"], 300).tolist()
    y = (rng.random(n) < 0.2).astype(int)
    y[600:] = 0
    strong, weak = rng.standard_normal(n) + 2 * y, rng.standard_normal(n) + 0.3 * y
    draws = GroupDraws.of(list(range(n)), Seed("d"), 200)
    with pytest.warns(RuntimeWarning, match="hi: left out"):
        found = [language_scores(y, score, spoken, draws.weights(), draws.member) for score in (strong, weak)]
    assert found[0].left_out == ("hi",)
    assert found[0].pooled.value == pytest.approx(average_precision_score(y, strong))
    assert found[0].macro.value == pytest.approx(
        np.mean([average_precision_score(y[:300], strong[:300]), average_precision_score(y[300:600], strong[300:600])])
    )
    gain = found[0].pooled.less(found[1].pooled)
    assert gain.value == pytest.approx(found[0].pooled.value - found[1].pooled.value)
    assert gain.interval.low is not None
    assert gain.interval.low > 0
    same = found[0].pooled.less(found[0].pooled).interval
    assert (same.value, same.low) == (0.0, None)
    half = Drawn(value=0.2, draws=np.array([0.2, 0.3]), n=9)
    assert Drawn(value=0.4, draws=np.array([0.4, 0.4]), n=9).relative_drop_to(half).value == pytest.approx(0.5)


def test_spread_is_net_of_what_noise_gives() -> None:
    rng = Seed("spread").rng()
    n = 3_000
    tags = np.array(["a", "b", "c"])[rng.integers(0, 3, n)]
    y = (rng.random(n) < 0.15).astype(int)
    draws = GroupDraws.of(list(range(n)), Seed("sd"), 200)
    uneven = rng.standard_normal(n) + y * np.where(tags == "a", 3.0, 0.3)
    even = rng.standard_normal(n) + 1.5 * y
    found = {
        name: net_spread(y, score, tags.tolist(), draws.weights(), Seed("p"), permutations=99, groups=n)
        for name, score in (("uneven", uneven), ("even", even))
    }
    assert found["uneven"].by_group["a"] == pytest.approx(average_precision_score(y[tags == "a"], uneven[tags == "a"]))
    assert found["uneven"].spread == pytest.approx(np.ptp(list(found["uneven"].by_group.values())))
    assert found["uneven"].net.low is not None
    assert found["uneven"].net.low > 0.2
    assert found["even"].chance > 0.01
    assert abs(found["even"].net.value) < 0.08
    assert found["even"].net.low is not None
    assert found["even"].net.low < 0.0


def test_recorded_intervals_are_averaged_and_a_t_interval_over_split_seeds_would_be_shorter() -> None:
    import polars as pl

    rows = pl.DataFrame(
        {"metric": ["m"] * 3, "value": [0.1, 0.2, 0.3], "low": [0.0, 0.1, None], "high": [0.2, 0.3, None], "seed": [0, 1, 2]}
    )
    clause = Clause(metric="m", relation=">", margin=0.0, test="recorded")
    found = estimate(clause, rows, Seed("r"))
    assert (found.effect, found.low, found.high, found.n) == (pytest.approx(0.2), pytest.approx(0.4 / 3), pytest.approx(0.8 / 3), 3)
    bare = estimate(clause, rows.with_columns(low=pl.lit(None), high=pl.lit(None)), Seed("r"))
    assert (bare.low, bare.high) == (None, None)
    with pytest.raises(UsageError, match="low and high"):
        estimate(clause, rows.drop("low"), Seed("r"))


def test_rates_by_language_with_intervals_over_groups() -> None:
    rng = Seed("rates").rng()
    languages = ["en"] * 2_000 + ["fr"] * 2_000
    groups = [f"{language} {k % 200}" for k, language in enumerate(languages)]
    y = (rng.random(4_000) < np.repeat([0.02, 0.10], 2_000)).astype(int)
    found = language_rates(y, languages, groups, GroupDraws.of(groups, Seed("rd"), 400))
    assert found.overall.value == y.mean()
    assert found.highest.value == y[2_000:].mean()
    assert found.ratio.value == pytest.approx(y[2_000:].mean() / y[:2_000].mean())
    assert found.highest.high == found.by_language["fr"].high
    width = found.by_language["fr"].high - found.by_language["fr"].low  # pyright: ignore[reportOperatorIssue]
    assert width == pytest.approx(3.92 * np.sqrt(0.1 * 0.9 / 2_000), rel=0.2)
    p = scipy_stats.chi2_contingency(
        [[y[:2_000].sum(), y[2_000:].sum()], [2_000 - y[:2_000].sum(), 2_000 - y[2_000:].sum()]], correction=False
    ).pvalue
    assert found.log10_p == pytest.approx(np.log10(p))
    assert all(one.p > 0.001 for one in found.dispersion.values())
    tight = language_rates(np.zeros(4, int), ["en", "en", "fr", "fr"], ["a"] * 4, GroupDraws.of(list("abcd"), Seed("z"), 20))
    assert math.isinf(tight.ratio.value)
    assert tight.highest.high is None
