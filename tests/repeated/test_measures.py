"""Copying, prefix matching, memorization, danger zone and effective size against answers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.copying import copying_of
from genscope.measures.danger_zone import danger_zone, fitted_range
from genscope.measures.effective_size import effective_size
from genscope.measures.memorization import crossing, half_maximum_region, memorization_ratio
from genscope.measures.prefix_matching import PrefixMatching, chance_level, prefix_scores, repeated_blocks, targets

BLOCKS = repeated_blocks(range(1, 200), Seed("blocks"), block=25, copies=4, sequences=3, bos=0)


def head(offset: int, tokens: np.ndarray, block: int) -> np.ndarray:
    """Attention of a head that gives all of its weight to the position `offset` after the last earlier occurrence of the token (to BOS where there is none)."""
    b, t = tokens.shape
    made = np.zeros((b, 1, t, t))
    for query in range(t):
        made[:, 0, query, query - block + offset if query > block else 0] = 1.0
    return made


def test_only_the_token_after_an_earlier_occurrence_counts() -> None:
    assert BLOCKS.shape == (3, 101)
    first = 26
    assert prefix_scores(head(1, BLOCKS, 25), BLOCKS, first) == pytest.approx([1.0])  # induction
    assert prefix_scores(head(0, BLOCKS, 25), BLOCKS, first) == pytest.approx([0.0])  # duplicate-token
    assert prefix_scores(head(2, BLOCKS, 25), BLOCKS, first) == pytest.approx([0.0])  # one too far
    assert prefix_scores(head(-1, BLOCKS, 25), BLOCKS, first) == pytest.approx([0.0])


def test_targets_of_a_sequence_by_hand() -> None:
    # BOS a b a b: the second a may look at b (2); the second b at the a after the first b (3)
    assert np.argwhere(targets(np.array([[0, 1, 2, 1, 2]]))[0]).tolist() == [[3, 2], [4, 3]]
    # a repeated token has itself as its follower: j + 1 = t is allowed
    assert np.argwhere(targets(np.array([[7, 7, 7]]))[0]).tolist() == [[1, 1], [2, 1], [2, 2]]


def test_uniform_attention_scores_the_chance_level() -> None:
    tokens = BLOCKS
    t = tokens.shape[1]
    uniform = np.tril(np.ones((t, t))) / np.arange(1, t + 1)[:, None]
    scores = prefix_scores(np.broadcast_to(uniform, (3, 2, t, t)), tokens, 26)
    assert scores == pytest.approx([chance_level(tokens, 26)] * 2)
    # block b = 1, 2, 3 after the first has b targets among t + 1 positions
    by_hand = np.mean([1 + (place - 1) // 25 - 1 for place in range(26, 101)] / np.arange(27, 102))
    assert chance_level(tokens, 26) == pytest.approx(by_hand)
    assert chance_level(tokens, 26) == pytest.approx(0.0307, abs=0.0001)
    short = repeated_blocks(range(1, 65), Seed("b"), block=15, bos=0)
    assert short.shape == (8, 61)
    assert chance_level(short, 16) == pytest.approx(0.05, abs=0.003)


def test_weights_on_several_targets_are_summed_and_queries_averaged() -> None:
    tokens = repeated_blocks(range(1, 50), Seed("c"), block=5, copies=3, sequences=1, bos=None)
    t = 15
    half = np.zeros((1, 1, t, t))
    for query in range(10, t):  # the last block: half on each of its two targets; the middle block attends to itself
        half[0, 0, query, [query - 4, query - 9]] = 0.5
    for query in range(10):
        half[0, 0, query, query] = 1.0
    assert prefix_scores(half, tokens, 5) == pytest.approx([0.5])


def test_aggregates_of_heads() -> None:
    found = PrefixMatching(np.array([[0.1, 0.9], [0.5, 0.3]]), 0.05)
    assert (found.highest, found.mean) == pytest.approx((0.9, 0.45))
    assert found.top3 == pytest.approx((0.9 + 0.5 + 0.3) / 3)


def test_blocks_have_different_tokens_where_there_are_enough() -> None:
    assert all(len(set(row[1:26].tolist())) == 25 for row in BLOCKS)
    assert (BLOCKS[:, 1:26] == BLOCKS[:, 76:]).all()
    assert repeated_blocks([3, 4], Seed("d"), block=9).shape == (8, 36)
    with pytest.raises(UsageError, match="two different tokens"):
        repeated_blocks([3, 3], Seed("d"))
    with pytest.raises(UsageError, match="two copies"):
        repeated_blocks(range(9), Seed("d"), copies=1)


def test_copying_of_losses_by_hand() -> None:
    losses = np.array([[3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]])
    with_bos = copying_of(losses, tokens=3, copies=3, bos=True)
    assert (with_bos.whole, with_bos.first, with_bos.later, with_bos.gain) == pytest.approx((1.5, 3.0, 0.75, 2.25))
    without = copying_of(losses[:, 1:], tokens=3, copies=3, bos=False)
    assert (without.first, without.later) == pytest.approx((3.0, 0.75))
    with pytest.raises(UsageError, match="are not those of 3 copies"):
        copying_of(losses, tokens=3, copies=3, bos=False)


def test_memorization_ratio_and_crossing() -> None:
    assert memorization_ratio(2.0, 2.0) == 0
    assert memorization_ratio(0.0, 2.0) == 1
    assert memorization_ratio(2.2, 2.0) == pytest.approx(-0.1)
    # the sheet's pilot: M crosses 0.5 at E = 42
    grid, m = (4, 16, 64, 256, 1024, 4096), (0.02, 0.14, 0.66, 0.91, 0.97, 0.98)
    assert crossing(grid, m, 0.5).repeats == pytest.approx(16 * 4 ** (0.36 / 0.52), rel=1e-9)
    assert round(crossing(grid, m, 0.5).repeats) == 42
    assert not crossing(grid, [0.6] * 6, 0.5).inside
    assert crossing(grid, [0.6] * 6, 0.5).repeats == 4
    with pytest.raises(UsageError, match="rising"):
        crossing((4, 4), (0.0, 1.0), 0.5)
    with pytest.raises(UsageError, match="test loss above 0"):
        memorization_ratio(0.1, 0.0)


def test_half_maximum_region_of_the_pilot() -> None:
    grid, harm = (4, 16, 64, 256, 1024, 4096), (0.005, 0.05, 0.299, 0.261, 0.09, 0.055)
    found = half_maximum_region(grid, harm)
    assert (found.peak, found.harm, found.closed) == (64.0, 0.299, (True, True))
    assert found.low == pytest.approx(16 * 4 ** ((0.1495 - 0.05) / 0.249))
    assert found.high == pytest.approx(256 * 4 ** ((0.261 - 0.1495) / 0.171))
    opened = half_maximum_region((1, 10), (0.9, 1.0))
    assert (opened.low, opened.high) == pytest.approx((1.0, 10.0))
    assert opened.closed == (False, False)
    with pytest.raises(UsageError, match="did harm"):
        half_maximum_region((1, 10), (-0.1, 0.0))


@pytest.mark.parametrize(("n", "low", "high"), [(8e8, 43, 1800), (1e9, 38, 1613), (1.75e11, 2.1, 122)])
def test_danger_zone_at_the_check_values(n: float, low: float, high: float) -> None:
    zone = danger_zone(n)
    assert zone.low == pytest.approx(low, rel=0.015)
    assert zone.high == pytest.approx(high, rel=0.005)
    assert zone.holds((low * high) ** 0.5)
    assert not zone.holds(low / 1.1)
    assert not zone.holds(high * 1.1)


def test_danger_zone_says_where_it_was_fitted() -> None:
    assert not danger_zone(8.05e8).extrapolated
    assert danger_zone(1e9).extrapolated
    assert danger_zone(1e6).extrapolated
    assert "100 billion tokens" in fitted_range()
    assert "10 %" in fitted_range()
    with pytest.raises(UsageError, match="got 0"):
        danger_zone(0)


def test_effective_size_on_a_known_curve() -> None:
    sizes = np.array([1e6, 4e6, 1.6e7, 6.4e7])
    losses = (1e9 / sizes) ** 0.076
    for size in (1e6, 3e6, 6.4e7):
        found = effective_size(sizes, losses, (1e9 / size) ** 0.076)
        assert found.size == pytest.approx(size, rel=1e-6)
        assert found.slope == pytest.approx(-0.076)
        assert (found.extrapolated, found.monotone) == (False, True)
    # half the size is a multiplier of a half; order of the sizes does not matter
    found = effective_size(sizes[::-1], losses[::-1], (1e9 / 2e6) ** 0.076)
    assert found.multiplier(4e6) == pytest.approx(0.5)
    beyond = effective_size(sizes, losses, (1e9 / 1e5) ** 0.076)
    assert beyond.size == pytest.approx(1e5, rel=1e-6)
    assert beyond.extrapolated


def test_effective_size_by_power_laws() -> None:
    sizes = np.array([1e4, 3e4, 1e5, 3e5, 1e6])
    pure = (1e8 / sizes) ** 0.2
    assert effective_size(sizes, pure, (1e8 / 5e4) ** 0.2, "power").size == pytest.approx(5e4, rel=1e-6)
    floored = pure + 1.3
    assert effective_size(sizes, floored, (1e8 / 5e4) ** 0.2 + 1.3, "power with floor").size == pytest.approx(5e4, rel=1e-2)
    # forgetting the floor is not a small mistake
    assert abs(effective_size(sizes, floored, (1e8 / 2e6) ** 0.2 + 1.3, "power").size / 2e6 - 1) > 0.1
    with pytest.raises(UsageError, match="above the fitted floor"):
        effective_size(sizes, floored, 1.0, "power with floor")


def test_a_baseline_that_is_not_monotone_is_made_so_and_marked() -> None:
    found = effective_size([1e3, 1e4, 1e5, 1e6], [4.0, 2.0, 2.2, 1.0], 2.5)
    assert not found.monotone
    pooled = np.exp(np.mean(np.log([2.0, 2.2])))
    slope = np.log(pooled / 4.0) / np.log(10**1.5)
    assert found.size == pytest.approx(1e3 * np.exp(np.log(2.5 / 4.0) / slope))
    with pytest.raises(UsageError, match="does not fall with size"):
        effective_size([1e3, 1e4, 1e5, 1e6], [1.0, 2.0, 3.0, 4.0], 2.0)
    with pytest.raises(UsageError, match="at least 4 sizes"):
        effective_size([1e3, 1e4, 1e5], [3.0, 2.0, 1.0], 2.0)
    with pytest.raises(UsageError, match="unknown method"):
        effective_size([1e3, 1e4, 1e5, 1e6], [4.0, 3.0, 2.0, 1.0], 2.0, "spline")  # type: ignore[arg-type]


@given(value=st.floats(0.3, 8.0), factor=st.floats(0.5, 0.99))
def test_a_lower_loss_is_never_a_smaller_size(value: float, factor: float) -> None:
    sizes, losses = [1e3, 1e4, 1e5, 1e6], [4.0, 2.5, 2.0, 0.7]
    assert effective_size(sizes, losses, value * factor).size > effective_size(sizes, losses, value).size
