"""Pathways, edit distance, memorization and generalization times, routing kernel, trend correlation: known answers, by hand or by a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.measures.edit_distance import as_text, edit_distances
from genscope.measures.memorization_time import choose_eps, generalization_time, groups, memorization_time, pair_groups
from genscope.measures.pathways import Pathways, all_pairs, between, same_shape, sampled_pairs
from genscope.measures.routing_kernel import effective_dimension, relu_tangent_kernel, risk_bound, routing_kernel
from genscope.measures.trend_correlation import circular_shift_p, partial_spearman, pearson, ranked, slope


def plain_distance(one: list[int], other: list[int]) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def test_edit_distances_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, 5, rng.integers(0, 9)).tolist() for _ in range(20)]
    pairs = all_pairs(20)
    wanted = [plain_distance(lists[i], lists[j]) for i, j in pairs]
    texts = [as_text(np.array(one, dtype=int)) for one in lists]
    assert edit_distances(texts, pairs).tolist() == wanted
    longest = [max(1, len(lists[i]), len(lists[j])) for i, j in pairs]
    assert edit_distances(texts, pairs, normalize=True) == pytest.approx(np.array(wanted) / longest)
    with pytest.raises(UsageError, match="from 0"):
        as_text(np.array([-1]))


def weights(*layers: list[float]) -> np.ndarray:
    return np.array([list(layers)], dtype=float)


def test_a_list_is_the_shortest_prefix_above_tau_ties_by_index() -> None:
    g = weights([0.1, 0.4, 0.4, 0.1], [0.5, 0.25, 0.125, 0.125], [0.25, 0.25, 0.25, 0.25])
    one = Pathways(weights=g)
    assert one.lists(0) == [[1, 2], [0, 1], [0, 1, 2]]
    assert one.printed(0) == "1,2-0,1-0,1,2"
    # exactly tau does not exceed it; of equal weights the lower index comes first
    assert Pathways(weights=g, tau=0.5).lists(0) == [[1, 2], [0, 1], [0, 1, 2]]
    assert Pathways(weights=g, tau=0.49).lists(0) == [[1, 2], [0], [0, 1]]
    for bad in (0.0, 1.0, -1.0):
        with pytest.raises(UsageError, match="tau"):
            Pathways(weights=g, tau=bad)
    with pytest.raises(UsageError, match="sum to 1"):
        Pathways(weights=g * 2)


def test_distances_in_both_units_by_hand() -> None:
    # lists [0], [3] and [0], [1]: one expert differs; printed "0-3" and "0-1": one character differs
    near = np.array([[[0.9, 0.1, 0, 0], [0, 0, 0, 1.0]], [[0.9, 0.1, 0, 0], [0, 1.0, 0, 0]]])
    assert Pathways(weights=near).distances(np.array([[0, 1]]), normalize=False).tolist() == [1.0]
    assert Pathways(weights=near).distances(np.array([[0, 1]])).tolist() == [0.5]
    assert Pathways(weights=near).distances(np.array([[0, 1]]), unit="char", normalize=False).tolist() == [1.0]
    assert Pathways(weights=near).layer_distance(normalize=False).tolist() == [0.0, 1.0]
    # expert 10 against 9 is two characters by the text, one symbol by the experts
    far = np.zeros((2, 1, 11))
    far[0, 0, 10] = far[1, 0, 9] = 1
    assert Pathways(weights=far).distance(unit="char", normalize=False) == 2.0
    assert Pathways(weights=far).distance(normalize=False) == 1.0
    # the same expert in another layer is another symbol
    other = np.zeros((2, 2, 2))
    other[0] = [[1, 0], [0, 1]]
    other[1] = [[0, 1], [1, 0]]
    assert Pathways(weights=other).distance(normalize=False) == 2.0
    whole = Pathways(weights=near)
    assert between(whole.of(np.array([0])), whole.of(np.array([1])), np.array([[0, 0]]), normalize=False) == 1.0
    assert math.isnan(whole.of(np.array([0])).distance())
    with pytest.raises(UsageError, match="differ"):
        same_shape([whole, Pathways(weights=far)])


def test_smoothness_by_hand() -> None:
    # anchors: unit vectors; embeddings e1 = (1, 0), e2 = (1, 1)/2, e3 = (0, 1): cosines 1/sqrt 2 and 1/sqrt 2, so it is as smooth as can be
    anchors = np.tile(np.eye(2), (3, 1, 1))
    one = Pathways(weights=weights([1, 0], [0.5, 0.5], [0, 1]), anchors=anchors)
    assert one.mean_cos == pytest.approx([math.sqrt(0.5)])
    assert one.smoothness == pytest.approx([1.0], abs=1e-6)
    assert one.roughness == pytest.approx([0.0], abs=1e-6)
    # cosines 1 and 0: mean 1/2, largest 1
    assert Pathways(weights=weights([1, 0], [1, 0], [0, 1]), anchors=anchors).smoothness == pytest.approx([0.5], abs=1e-6)
    lost = Pathways(weights=weights([1, 0], [0, 1], [1, 0]), anchors=anchors)
    with pytest.warns(RuntimeWarning, match="1 of 1"):
        assert np.isnan(lost.roughness).all()
    with pytest.raises(UsageError, match="has one"):
        _ = Pathways(weights=weights([1, 0]), anchors=np.eye(2)[None]).smoothness
    assert Pathways(weights=weights([0.25] * 4)).entropy == pytest.approx([math.log(4)])
    assert Pathways(weights=weights([1.0, 0, 0, 0])).entropy == pytest.approx([0.0])


def test_pairs_are_different_and_drawn_by_seed() -> None:
    made = sampled_pairs(50, 100, Seed("p"))
    assert len({tuple(one) for one in made.tolist()}) == 100
    assert (made[:, 0] < made[:, 1]).all()
    assert np.array_equal(made, sampled_pairs(50, 100, Seed("p")))
    assert len(sampled_pairs(4, 100, Seed("p"))) == 6


def test_memorization_needs_a_low_loss_that_stays_where_it_is() -> None:
    losses = np.array([[0.3, 0.05, 0.1, 0.05], [0.1, 0.3, 0.12, 0.05], [0.1, 0.1, 0.02, 0.3]])
    # second: above eps in between; third: below eps, but its loss still moves by more than delta until the last; fourth: ends above eps
    assert memorization_time(losses, [1, 2, 3], 0.2).tolist() == [2.0, 3.0, 3.0, math.inf]
    found = choose_eps(np.vstack([np.linspace(0, 2, 100), np.linspace(0, 2, 100)]), [1, 2])
    assert found.inside
    assert 0.2 <= found.share <= 0.25
    assert found.value == pytest.approx(0.4)
    times = np.array([2.0, 3.0, 3.0, math.inf])
    assert {time: rows.tolist() for time, rows in groups(times).items()} == {2.0: [0], 3.0: [1, 2]}
    with pytest.raises(DataError, match="not finite"):
        memorization_time(np.array([[math.nan], [0.1]]), [1, 2], 0.2)
    with pytest.raises(UsageError, match="order"):
        memorization_time(losses, [1, 3, 2], 0.2)


def test_generalization_forgives_one_error() -> None:
    correct = np.array([[0, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
    # second: from step 1 on 5 of 6 are right, one error; third: two errors, so it is right from step 5
    assert generalization_time(correct, [1, 2, 3, 4, 5, 6]).tolist() == [2.0, 1.0, 5.0, 6.0]


def test_groups_are_paired_by_average_cosine() -> None:
    train = np.array([[1.0, 0], [2.0, 0], [0, 1.0]])
    test = np.array([[0.0, 3.0], [5.0, 0]])
    found = pair_groups(train, ["a", "a", "b"], test, ["x", "y"])
    assert sorted(found) == [("a", "y", pytest.approx(1.0)), ("b", "x", pytest.approx(1.0))]
    with pytest.raises(DataError, match="zero"):
        pair_groups(np.zeros((1, 2)), ["a"], test, ["x", "y"])


def test_the_tangent_kernel_is_that_of_a_wide_net() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 6))
    width = 200_000
    w, a = rng.standard_normal((width, 6)), rng.choice([-1.0, 1.0], width)
    hidden = np.maximum(x @ w.T, 0)
    active = (x @ w.T > 0).astype(float)
    # f = a . relu(W x) / sqrt(width): both layers' gradients
    kernel = hidden @ hidden.T / width + (active * a) @ (active * a).T / width * (x @ x.T)
    assert relu_tangent_kernel(x) == pytest.approx(kernel / 6, abs=0.02)


def test_routing_kernel_and_its_dimension() -> None:
    g = np.array([[1.0, 0], [0, 1.0], [0.5, 0.5]])
    assert routing_kernel(g, np.ones((3, 3))) == pytest.approx(g @ g.T)
    # eigenvalues 4 and 0 rescaled to trace 2: 2 and 0, so 2 / 3
    rank_one = np.full((2, 2), 2.0)
    assert effective_dimension(rank_one) == pytest.approx(2 / 3)
    assert effective_dimension(rank_one, normalize_trace=False) == pytest.approx(4 / 5)
    bound = risk_bound(np.eye(2), np.array([1.0, 1.0]), lam=1.0, noise=1.0, delta=math.exp(-1))
    assert bound == pytest.approx(1 / 2 * (2 / 4) + (1.0 + 1.0) / 2)
    with pytest.raises(UsageError, match="above 0"):
        effective_dimension(np.eye(2), 0.0)


def test_correlations_agree_with_scipy_and_two_trends_are_no_evidence() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal(30), rng.standard_normal(30)
    assert pearson(x, y) == pytest.approx(pearsonr(x, y)[0])
    assert ranked(x, y) == pytest.approx(spearmanr(x, y)[0])
    t = np.arange(24.0)
    trend, other = t + rng.standard_normal(24), -t + rng.standard_normal(24)
    assert ranked(trend, other) < -0.9
    assert abs(partial_spearman(trend, other, [t])) < 0.5
    assert slope(t, 3 - 2 * t) == pytest.approx(-2.0)
    assert circular_shift_p(np.arange(10.0), np.arange(10.0)) == pytest.approx(0.1)
    hidden = rng.standard_normal(24)
    assert partial_spearman(t + 5 * hidden, -hidden + 0.01 * t, [t]) < -0.8
    with pytest.raises(UsageError, match="at least 3"):
        pearson(np.ones(2), np.ones(2))
