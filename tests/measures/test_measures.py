"""Gap, score, critical complexity, preferred complexity and likelihood scores: known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.generalization_gap import (
    Counts,
    TaskOutcome,
    accuracy,
    accuracy_ratio,
    chance_corrected,
    id_ood_gap,
    level_scores,
    relative_gap,
)  # fmt: skip
from genscope.measures.likelihood import min_k_prob, perplexity, score_divergence, sequence_probability
from genscope.measures.preferred_complexity import preferred_complexity

SEED = Seed("test", "measures")


def outcome(task: str, level: int, right_id: int, right_ood: int, n: int = 100, unparsed: int = 0) -> TaskOutcome:
    def counts(right: int) -> Counts:
        return Counts(right=right, wrong=n - right - unparsed, unparsed=unparsed)

    return TaskOutcome(task=task, level=level, id=counts(right_id), ood=counts(right_ood))


def test_tasks_are_scored_first_and_then_averaged() -> None:
    """Two tasks, gaps +.2 and -.2: mean of tasks gives gap .1, gap of means gives 0."""
    outcomes = [outcome("a", 0, 60, 40), outcome("b", 0, 40, 60)]
    first, second = (level_scores(outcomes, SEED, draws=50, aggregate=how) for how in ("mean_of_tasks", "gap_of_means"))
    assert (first.gap[0], first.score[0]) == pytest.approx((0.1, 0.4))
    assert (second.gap[0], second.score[0]) == pytest.approx((0.0, 0.5))


def test_critical_level_ties_go_down_and_no_gap_is_none() -> None:
    assert level_scores([outcome("a", 1, 50, 30), outcome("b", 3, 60, 40)], SEED, draws=50).critical == 1
    assert level_scores([outcome("a", 1, 30, 50), outcome("b", 3, 40, 40)], SEED, draws=50).critical is None


def test_probabilities_of_levels_sum_to_one_and_find_a_clear_peak() -> None:
    scores = level_scores([outcome("a", 0, 90, 88), outcome("b", 1, 90, 20), outcome("c", 2, 10, 9)], SEED)
    assert sum(scores.p_critical().values()) == pytest.approx(1)
    assert scores.p_critical()[1] == 1.0
    low, high = scores.interval("gap", 1) or (0, 0)
    assert low < 0.7 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.9 * 0.1 / 100 + 0.2 * 0.8 / 100), rel=0.1)


def test_draws_that_agree_print_no_interval() -> None:
    assert level_scores([outcome("a", 0, 100, 0)], SEED, draws=50).interval("gap", 0) is None


def test_resampling_tasks_is_wider() -> None:
    outcomes = [outcome(str(k), 0, 90, right, 2_000) for k, right in enumerate((0, 900, 1_800))]
    plain, tasks = (level_scores(outcomes, SEED, resample=how).interval("score", 0) for how in ("instances", "tasks"))
    assert plain
    assert tasks
    assert tasks[1] - tasks[0] > 5 * (plain[1] - plain[0])


def test_unparsed_replies_and_the_floor() -> None:
    counts = Counts(right=4, wrong=4, unparsed=92)
    assert accuracy(counts) == 0.04
    assert accuracy(counts, "exclude") == 0.0  # 8 % parsed, below 10 %
    assert accuracy(Counts(right=6, wrong=6, unparsed=88), "exclude") == 0.5
    assert accuracy(Counts(right=30, wrong=10, unparsed=60), "exclude", floor=0.5) == 0.0
    assert math.isnan(accuracy(Counts(right=0, wrong=0)))
    with pytest.raises(UsageError, match="unparsed must be"):
        accuracy(counts, "drop")  # pyright: ignore[reportArgumentType]


def test_conventions_at_zero() -> None:
    assert accuracy_ratio(0.0, 0.0) == relative_gap(0.0, 0.3) == 1.0
    assert accuracy_ratio(0.5, 0.25) == relative_gap(0.5, 0.25) == 0.5
    assert float(id_ood_gap(np.float64(0.2), np.float64(0.5))) == 0.0
    assert chance_corrected(0.25, 0.25) == 0.0
    assert chance_corrected(1.0, 0.25) == 1.0


def test_empty_input_is_refused() -> None:
    with pytest.raises(UsageError, match="no anchor task"):
        level_scores([], SEED)
    with pytest.raises(UsageError, match="no reply came for a"):
        level_scores([outcome("a", 0, 0, 0, n=0)], SEED)


@pytest.mark.parametrize(
    ("accuracy_", "level"),
    [(0.9, 0.0), (0.99, 0.0), (0.8, 0.5), (0.7, 1.0), (0.4, 2.5), (0.05, 4.0), (0.0, 4.0)],
)
def test_preferred_complexity_inverts_the_curve(accuracy_: float, level: float) -> None:
    found = preferred_complexity(accuracy_, np.arange(5), np.array([0.9, 0.7, 0.5, 0.3, 0.1]))
    assert found.level == pytest.approx(level)
    assert found.fit_error == pytest.approx(0)


def test_a_curve_that_rises_is_fitted_first() -> None:
    found = preferred_complexity(0.6, np.arange(3), np.array([0.9, 0.5, 0.7]))
    assert found.level == pytest.approx(1.5)  # pooled to 0.9, 0.6, 0.6
    assert found.fit_error == pytest.approx(math.sqrt(2 * 0.01 / 3))


def test_likelihood_scores() -> None:
    logs = [math.log(p) for p in (0.5, 0.25, 0.125)]
    assert sequence_probability(logs) == pytest.approx(0.25)
    assert perplexity(logs) == pytest.approx(4.0)
    assert min_k_prob(logs, 10) == pytest.approx(0.125)
    assert min_k_prob(logs, 70) == pytest.approx(math.sqrt(0.25 * 0.125))
    with pytest.raises(UsageError, match="without tokens"):
        sequence_probability([])


def test_divergence_of_two_normals() -> None:
    """KL(N(0,1) || N(1,1)) = 1/2; kernel densities widen both, so a little less. The grid does not matter; JS is at most ln 2."""
    rng = SEED.rng()
    a, b = rng.normal(0, 1, 4_000), rng.normal(1, 1, 4_000)
    kl, js = score_divergence(a, b)
    assert kl == pytest.approx(0.47, abs=0.06)
    assert score_divergence(a, b, points=100)[0] == pytest.approx(kl, rel=0.02)
    assert score_divergence(a, a + 100)[1] == pytest.approx(math.log(2), abs=1e-3)
    assert 0 < js < kl
    assert score_divergence(a, a)[0] == pytest.approx(0, abs=1e-9)
    assert math.isnan(score_divergence([1, 1, 1], [1, 2, 3])[0])
