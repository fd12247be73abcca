"""Rates, scales, profiles, the generalization matrix, reliability and the agreement of notions: answers known by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genscope.core.difficulty import (
    Difficulty,
    checked,
    difficulty_columns,
    difficulty_frame,
    difficulty_of_records,
    is_difficulty_table,
    joined,
    oriented,
    read_difficulty,
    wide,
)
from genscope.core.errors import DataError, UsageError
from genscope.core.records import Record, records_frame
from genscope.core.seeds import Seed
from genscope.measures.difficulty_agreement import agreement
from genscope.measures.difficulty_profile import accuracy_gap, area, difficulty_profile, isotonic
from genscope.measures.difficulty_rates import approximate_difficulty, difficulty_from_groups, difficulty_from_rates
from genscope.measures.difficulty_reliability import reliability, reliability_from_sd, spearman_brown
from genscope.measures.difficulty_scale import normalise, quantiles
from genscope.measures.generalization_matrix import difficulty_bins, generalization_matrix, random_bins
from genscope.tasks.attempts import simulate


def test_difficulty_from_rates() -> None:
    assert difficulty_from_rates([0.9, 0.5]) == pytest.approx([-2.56422, 0.0], abs=1e-5)
    assert float(difficulty_from_rates(0.25, 1.0, 0.8)) == pytest.approx(2.24333, abs=1e-5)
    assert float(approximate_difficulty(0.9)) == pytest.approx(-2.5930, abs=1e-4)
    assert difficulty_from_rates([0.999999, 1e-9]) == pytest.approx([-16.0, 22.0], abs=3)
    for bad in (0.0, 1.0, np.nan):
        with pytest.raises(DataError, match="only a bound"):
            difficulty_from_rates([bad])
    with pytest.raises(UsageError, match="spread"):
        difficulty_from_rates([0.5], 0.0, -1.0)


def test_one_group_is_a_rate_and_two_groups_are_joined_by_their_sizes() -> None:
    b, sd = difficulty_from_groups([[90], [25]], [[100], [100]], [0.0], [1.0])
    assert b == pytest.approx(difficulty_from_rates([0.9, 0.25]), abs=1e-6)
    slope = (difficulty_from_rates(0.9 + 1e-5) - difficulty_from_rates(0.9 - 1e-5)) / 2e-5
    assert sd[0] == pytest.approx(abs(float(slope)) * np.sqrt(0.9 * 0.1 / 100), rel=1e-3)
    both, less = difficulty_from_groups([[90, 50]], [[100, 100]], [0.0, 1.0], [1.0, 0.5])
    alone = [float(difficulty_from_rates(p, m, s)) for p, m, s in ((0.9, 0.0, 1.0), (0.5, 1.0, 0.5))]
    assert alone[0] < both[0] < alone[1]
    assert less[0] < sd[0]
    with pytest.raises(DataError, match="only bounded"):
        difficulty_from_groups([[0]], [[10]], [0.0], [1.0])


def test_the_common_scale() -> None:
    assert quantiles([5, 1, 1, 7]).tolist() == [0.625, 0.25, 0.25, 0.875]
    table = normalise(difficulty_columns("confidence", ["a", "b", "c"], [0.9, 0.1, 0.5], [0.08, 0.04, 0.0], 6))
    assert table["rating"].to_list() == pytest.approx([0.0, 1.0, 0.5])
    assert table["rating_std"].to_list() == pytest.approx([0.1, 0.05, 0.0])
    assert table["rating_quantile"].to_list() == pytest.approx([1 / 6, 5 / 6, 0.5])
    with pytest.raises(DataError, match="no scale"):
        normalise(difficulty_columns("irt", ["a", "b"], [1.0, 1.0]))
    with pytest.raises(DataError, match="one notion"):
        normalise(joined([difficulty_columns("irt", ["a"], [1.0]), difficulty_columns("loss", ["a"], [2.0])]))


def test_a_profile_finds_the_slope_and_the_middle() -> None:
    rng = Seed("profile").rng()
    d = rng.uniform(-3, 3, 3_000)
    right = (rng.random(3_000) < 1 / (1 + np.exp(-(0.5 - 1.2 * d)))).astype(float)
    found = difficulty_profile(right, d, Seed("boot"), draws=300)
    assert found.beta.value == pytest.approx(1.2, abs=0.12)
    assert found.beta.low is not None
    assert found.beta.high is not None
    assert found.beta.low < found.beta.value < found.beta.high
    assert found.beta.high - found.beta.low < 0.3
    assert found.d50 is not None
    assert found.d50.value == pytest.approx(0.5 / 1.2, abs=0.1)
    assert found.alpha == pytest.approx(0.5, abs=0.12)
    assert [one.items for one in found.bins] == [300] * 10
    assert found.bins[0].accuracy.value > 0.9 > 0.3 > found.bins[-1].accuracy.value
    assert (np.diff(found.curve[:, 1]) <= 0).all()
    assert found.auc == pytest.approx(right.mean(), abs=0.01)


def test_the_profiles_interval_covers() -> None:
    inside = 0
    for k in range(40):
        rng = Seed("cover", k).rng()
        d = rng.standard_normal(200)
        right = (rng.random(200) < 1 / (1 + np.exp(0.8 * d))).astype(float)
        beta = difficulty_profile(right, d, Seed("boot", k), draws=200).beta
        inside += beta.low is not None and beta.high is not None and beta.low < 0.8 < beta.high
    assert inside >= 34


def test_curves_and_gaps_by_hand() -> None:
    k, n, d = np.array([2.0, 0.0, 2.0, 1.0, 0.0]), np.full(5, 2.0), np.arange(5.0)
    assert isotonic(k, n, d)[:, 1].tolist() == pytest.approx([1.0, 0.5, 0.5, 0.5, 0.0])
    assert accuracy_gap(k, n, d) == 1.0
    assert area(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(0.25 * 1 + 0.5 * 0.5)
    alike = difficulty_profile(np.ones(10), np.arange(10.0), Seed("a"))
    assert alike.beta.low is None
    assert alike.d50 is None
    assert alike.auc == 1.0
    several = difficulty_profile(np.array([[1, 1, 0, np.nan], [1, 0, 1, 0]]), np.arange(4.0), Seed("s"), bins=2)
    assert several.answers == 7
    assert [one.accuracy.n for one in several.bins] == [4, 3]
    for bad, said in (
        ((np.ones(3), np.arange(3.0)), "at least 4"),
        ((np.full(5, 0.5), np.arange(5.0)), "0 or 1"),
        ((np.ones(4), np.array([0, 1, np.nan, 2])), "finite"),
    ):
        with pytest.raises(DataError, match=said):
            difficulty_profile(*bad, Seed("x"))


def test_separable_answers_keep_a_finite_slope() -> None:
    found = difficulty_profile((np.arange(40) < 20).astype(float), np.arange(40.0), Seed("sep"), draws=200)
    assert np.isfinite(found.beta.value)
    assert found.beta.low is not None
    assert found.beta.low > 0
    assert found.d50 is not None
    assert found.d50.value == pytest.approx(19.5, abs=0.5)


def test_a_matrix_by_hand() -> None:
    """A solver that can do what is at most as hard as what it was trained on."""
    d = np.arange(40.0)
    bins = difficulty_bins(d, 4)
    assert np.bincount(bins).tolist() == [10] * 4
    assert bins[0] == 0
    assert bins[-1] == 3

    def train(places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        top = bins[places].max()
        return lambda rows: bins[rows] <= top

    found = generalization_matrix(train, bins, Seed("m"))
    assert np.array_equal(found.accuracy, np.tril(np.ones((4, 4))))
    assert (found.easy_to_hard_loss, found.hard_to_easy_loss, found.diagonal_gap) == (1.0, 0.0, 0.5)
    assert all(len(np.intersect1d(a, b)) == 0 for a in found.train for b in found.test)
    assert [len(one) for one in found.train] == [5] * 4
    assert np.bincount(random_bins(41, 4, Seed("r"))).tolist() == [10, 10, 10, 11] or max(np.bincount(random_bins(41, 4, Seed("r")))) == 11
    with pytest.raises(DataError, match="a bin needs 4"):
        generalization_matrix(train, np.array([0, 0, 0, 1, 1, 1]), Seed("m"))
    with pytest.raises(UsageError, match="2 bins"):
        generalization_matrix(train, np.zeros(10, int), Seed("m"))


def test_reliability_of_halves_and_of_kin() -> None:
    record = simulate(Seed("rel"), solvers=80, items=100, sd=1.0).record
    found = reliability(record, Seed("h"), splits=4)
    assert 0.75 < found.half < 0.97
    assert found.whole == pytest.approx(spearman_brown(found.half))
    # twins on both sides make halves alike; whole families do not
    from genscope.tasks.responses import ResponseRecord

    twice = np.repeat(record.matrix()[:12], 2, axis=0)
    twins = ResponseRecord.from_matrix(twice)
    apart = reliability(twins, Seed("h"), splits=6, groups=[k // 2 for k in range(24)])
    assert reliability(twins, Seed("h"), splits=6).half > apart.half + 0.1
    with pytest.raises(DataError, match="at least 4 groups"):
        reliability(twins, Seed("h"), groups=[0, 1] * 12)
    assert reliability_from_sd(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 0.5)) == pytest.approx(1 - 0.25 / (5 / 3))
    assert reliability_from_sd(np.ones(3), np.ones(3)) == 0.0


def test_notions_agree_up_to_their_ceiling() -> None:
    rng = Seed("notions").rng()
    names, truth = [f"e{k}" for k in range(3_000)], rng.standard_normal(3_000)
    noisy = truth + rng.standard_normal(3_000)
    table = joined(
        [
            difficulty_columns("irt", names, noisy, np.ones(3_000), 5),
            difficulty_columns("confidence", names, -truth, np.full(3_000, 0.01), 5),
            difficulty_columns("help", names[:3], [1.0, 2.0, 3.0]),
        ]
    )
    first = agreement(table, Seed("a"), draws=100)[0]
    assert (first.first, first.second, first.n) == ("irt", "confidence", 3_000)
    assert first.rho == pytest.approx(0.69, abs=0.03)
    assert first.ceiling == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert first.of_ceiling == pytest.approx(1.0, abs=0.06)
    assert first.low is not None
    assert first.low < first.rho
    few = agreement(table, Seed("a"), draws=10)[1]
    assert few.rho is None
    assert few.ceiling is None
    assert few.n == 3
    told = agreement(table, Seed("a"), reliability={"irt": 0.81, "confidence": 1.0}, draws=10)[0]
    assert told.ceiling == pytest.approx(0.9)


def test_difficulty_tables(tmp_path: Path) -> None:
    table = difficulty_columns("help", ["a", "b", "c"], [0.1, np.nan, -0.2], n=3)
    assert table["example"].to_list() == ["a", "c"]
    assert table["n"].to_list() == [3, 3]
    assert oriented(table)["value"].to_list() == [-0.1, 0.2]
    both = joined([table, difficulty_columns("loss", ["c", "d"], [1.0, 2.0])])
    assert wide(both).rows() == [("a", 0.1, None), ("c", -0.2, 1.0), ("d", None, 2.0)]
    assert is_difficulty_table(both.columns)
    assert not is_difficulty_table(["example", "value"])
    for name, write in (("t.parquet", both.write_parquet), ("t.csv", both.write_csv), ("t.jsonl", both.write_ndjson)):
        write(tmp_path / name)
        assert read_difficulty(tmp_path / name).equals(both)
    records = [
        Record(source="s", metric="difficulty", value=1.5, unit="logits", n=7, factors={"example": "a", "notion": "irt", "sd": 0.3}),
        Record(source="s", metric="other", value=1.0, unit="x", n=1),
    ]
    assert difficulty_of_records(records_frame(records)).rows() == [("a", "irt", 1.5, 0.3, 7)]
    records_frame(records).write_parquet(tmp_path / "records.parquet")
    assert len(read_difficulty(tmp_path)) == 1
    assert len(difficulty_frame([])) == 0


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"example": ["a"], "value": [1.0]}), "no column notion"),
        (pl.DataFrame({"example": ["a", "a"], "notion": ["irt", "irt"], "value": [1.0, 2.0]}), "stands 2 times under 'irt'"),
        (pl.DataFrame({"example": ["a"], "notion": ["irt"], "value": [float("inf")]}), "without example, notion or a finite value"),
        (pl.DataFrame({"example": ["a"], "notion": ["irt"], "value": [1.0], "sd": [-1.0]}), "negative"),
        (pl.DataFrame({"example": ["a"], "notion": ["irt"], "value": ["high"]}), "must be numbers"),
    ],
)  # fmt: skip
def test_bad_difficulty_tables_are_refused(frame: pl.DataFrame, said: str) -> None:
    with pytest.raises(DataError, match=said):
        checked(frame)
    assert difficulty_frame([Difficulty(example="a", notion="own", value=1.0)]).row(0) == ("a", "own", 1.0, None, 1)
