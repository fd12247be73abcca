"""Fisher's exact test, rank intervals over clusters, and the estimators without an interval: known answers."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import fisher_exact
from scipy.stats.contingency import odds_ratio

from genscope.core.claims import Claim, Clause, judge
from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import fisher, spearman_bootstrap
from genscope.engine.synthetic import wrong

SEED = Seed("exact tests")


@pytest.mark.parametrize("table", [(8, 9, 2, 7), (30, 100, 5, 100), (120, 500, 20, 500), (3, 8, 5, 8)])
def test_fisher_equals_scipy(table: tuple[int, int, int, int]) -> None:
    found, p = fisher(*table, level=0.99)
    counts = [[table[0], table[1] - table[0]], [table[2], table[3] - table[2]]]
    theirs = odds_ratio(counts)
    ends = theirs.confidence_interval(0.99)
    assert p == pytest.approx(fisher_exact(counts).pvalue, rel=1e-9)
    assert [found.value, found.low, found.high] == pytest.approx(
        [math.log(one) for one in (theirs.statistic, ends.low, ends.high)], abs=1e-6
    )


def test_fishers_tea() -> None:
    """Three of four cups right: p = 34/70."""
    assert fisher(3, 4, 1, 4)[1] == pytest.approx(34 / 70)
    assert fisher(4, 4, 0, 4)[1] == pytest.approx(2 / 70)


def test_fisher_at_its_ends() -> None:
    found, p = fisher(0, 5, 0, 7)
    assert (found.value, found.low, p) == (0.0, None, 1.0)
    found, _ = fisher(5, 5, 0, 7)
    assert found.high == found.value == 30.0
    assert found.low is not None
    assert found.low > 0
    with pytest.raises(UsageError, match="0 <= k <= n"):
        fisher(6, 5, 0, 7)


def test_rank_interval_counts_clusters() -> None:
    x, rng = np.repeat(np.arange(12.0), 3), SEED.rng()
    found = spearman_bootstrap(x, x + rng.normal(0, 0.1, 36), SEED.rng(), clusters=np.repeat(np.arange(12), 3).tolist())
    assert found.n == 12
    assert found.low is not None
    assert found.low > 0.9
    noise = rng.normal(size=12)
    narrow = spearman_bootstrap(np.arange(60.0) % 12, np.tile(noise, 5), SEED.rng())
    wide = spearman_bootstrap(np.arange(60.0) % 12, np.tile(noise, 5), SEED.rng(), clusters=(np.arange(60) % 12).tolist())
    assert (wide.high or 0) - (wide.low or 0) > 1.7 * ((narrow.high or 0) - (narrow.low or 0))
    assert spearman_bootstrap(np.ones(5), np.arange(5.0), SEED.rng()).low is None
    assert spearman_bootstrap([1.0, 2.0], [1.0, 2.0], SEED.rng()).method == "too few units"


def frame(**metrics: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"metric": name, "value": value, "side": "a" if k % 2 == 0 else "b"}
            for name, values in metrics.items()
            for k, value in enumerate(values)
        ]
    )


def claim(clause: Clause) -> Claim:
    return Claim(id="X", kind="instrument", sentence="x", minimum_n=2, clauses=(clause,))


def test_every_row_must_hold() -> None:
    values = frame(x=[1.0, 2.0, 3.0])
    for test, relation, margin, wanted in (
        ("minimum", ">", 0.5, "reproduced"), ("minimum", ">", 1.5, "not reproduced"), ("maximum", "<", 3.5, "reproduced"), ("maximum", "<", 2.5, "not reproduced"),
    ):  # fmt: skip
        made = claim(Clause(metric="x", relation=relation, margin=margin, test=test))  # pyright: ignore[reportArgumentType]
        assert judge(made, values, SEED).verdict == wanted
        assert wrong(made) == []


def test_a_sign_clause_reads_the_estimate_alone() -> None:
    made = claim(Clause(metric="x", contrast=("side", "a", "b"), relation=">", margin=0.0, test="estimate"))
    assert judge(made, frame(x=[1.0, 0.0, -3.0, -3.5]), SEED).verdict == "reproduced"
    assert judge(made, frame(x=[1.0, 2.0, -3.0, -3.5]), SEED).verdict == "not reproduced"


def test_a_fisher_clause_holds_when_p_is_below_alpha() -> None:
    made = claim(Clause(metric="x", contrast=("side", "a", "b"), relation=">", margin=0.0, test="fisher", alpha=0.001))
    strong = frame(x=[float(k % 2 == 0 or k < 12) for k in range(60)])
    found = judge(made, strong, SEED)
    assert (found.verdict, found.clauses[0].estimate.p or 1) == ("reproduced", pytest.approx(fisher(30, 30, 6, 30)[1]))
    weak = frame(x=[float(k % 2 == 0 or k < 50) for k in range(60)])
    assert judge(made, weak, SEED).verdict == "inconclusive"
    assert judge(made, frame(x=[float(k % 2) for k in range(60)]), SEED).verdict == "not reproduced"
    with pytest.raises(UsageError, match="neither 0 nor 1"):
        judge(made, frame(x=[0.5, 1.0]), SEED)
    assert wrong(Claim(id="F", kind="phenomenon", sentence="f", minimum_n=60, clauses=made.clauses)) == []
