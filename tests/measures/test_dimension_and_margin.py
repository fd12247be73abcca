"""System 1, the estimators: neighbours equal the slow way, dimension and margin of known data, and data that they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from genscope.core.errors import DataError, TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.measures import neighbours
from genscope.measures.class_margin import class_margin, classes, extreme_margin, radius
from genscope.measures.inductive_bias import inductive_bias_complexity
from genscope.measures.intrinsic_dimension import intrinsic_dimension
from genscope.tasks.digits import digits
from genscope.tasks.manifolds import Bandlimited, rotated, sphere, torus, union


def slow_distances(x: np.ndarray) -> np.ndarray:
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(2))


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_neighbours_equal_the_slow_way_whatever_the_block(shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = Seed("neighbours").rng().standard_normal((120, 4)) + shift
    x[50:60] = x[40:50] + 1e-7  # nearer than single precision can tell apart
    slow = slow_distances(x)
    np.fill_diagonal(slow, np.inf)
    for size in (neighbours.BLOCK_BYTES, 4 * 120 * 7):
        monkeypatch.setattr(neighbours, "BLOCK_BYTES", size)
        found, places = neighbours.nearest(x, np.arange(120), 5)
        assert np.array_equal(found, np.sort(slow, axis=1)[:, :5])
        assert np.array_equal(np.take_along_axis(slow, places, 1), found)


def test_dimension_of_three_points_by_hand() -> None:
    """On a line at 0, 1, 3: T1, T2 are (1, 3), (1, 2), (2, 3); the mean of log(T2 / T1) is (ln 3 + ln 2 + ln 1.5) / 3 = ln 9 / 3."""
    found = intrinsic_dimension(np.array([[0.0], [1.0], [3.0]]), k=2)
    assert found.value == pytest.approx(3 / math.log(9))


def test_dimension_of_the_digits() -> None:
    x, y = digits()
    found = intrinsic_dimension(x, k=10)
    assert found.value == pytest.approx(7.420, abs=5e-4)
    assert found.per_k[5] == pytest.approx(8.109948, abs=1e-6)
    assert found.per_k[3] == pytest.approx(8.776, abs=5e-4)
    assert radius(x) == pytest.approx(4.806002, abs=1e-6)
    margin = class_margin(x, y)
    assert margin.value == pytest.approx(1.179248, abs=1e-6)
    a, b = margin.pair
    assert y[a] != y[b]
    assert float(np.linalg.norm(x[a].astype(float) - x[b])) == pytest.approx(margin.value)
    assert margin.n_pairs == (1_797**2 - (np.bincount(y) ** 2).sum()) // 2
    assert inductive_bias_complexity(1_797, round(found.per_k[5]), 10, 0.01, radius=radius(x), delta=margin.value).bits == pytest.approx(3.2160e10, rel=1e-4)  # fmt: skip


def test_queries_copies_and_scale() -> None:
    x = rotated(sphere(1_500, 3, Seed("s")), 10, Seed("s"))
    found = intrinsic_dimension(x)
    assert found.value == pytest.approx(3, rel=0.06)
    assert intrinsic_dimension(1e6 * x + 5).value == pytest.approx(found.value, rel=1e-6)
    assert intrinsic_dimension(x.reshape(1_500, 5, 2)).value == found.value
    doubled = intrinsic_dimension(np.concatenate([x, x[:200], -0.0 * x[:1] + x[:1]]))
    assert (doubled.value, doubled.n_dropped, doubled.n) == (found.value, 201, 1_500)
    some = intrinsic_dimension(x, n_query=300, seed=Seed("q"))
    assert (some.n_query, some.n) == (300, 1_500)
    assert some.value == pytest.approx(found.value, rel=0.1)


@pytest.mark.parametrize(
    ("x", "words", "said"),
    [
        (np.ones((9, 3)), {}, "of 9 rows 1 are distinct"), (np.eye(4), {}, "more than 5 distinct rows"), (np.full((8, 2), np.nan), {}, "8 of 8 rows hold NaN"),
        (np.ones(5), {}, "shape \\(5,\\)"), (np.array([["a"], ["b"]]), {}, "values of type"), (np.empty((0, 3)), {}, "shape \\(0, 3\\)"), (np.eye(9), {"k": 1}, "k is at least 2"),
    ],
)  # fmt: skip
def test_dimension_refuses(x: np.ndarray, words: dict[str, int], said: str) -> None:
    with pytest.raises((DataError, UsageError), match=said):
        intrinsic_dimension(x, **words)


def test_margin_equals_the_slow_way_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Seed("margin").rng()
    x, y = rng.standard_normal((150, 3)) + 1e3, rng.integers(0, 3, 150)
    slow = slow_distances(x)
    slow[y[:, None] == y] = np.inf
    for size in (neighbours.BLOCK_BYTES, 4 * 150 * 11):
        monkeypatch.setattr(neighbours, "BLOCK_BYTES", size)
        assert class_margin(x, y).value == slow.min()
    assert class_margin(x, np.array(list("abc"))[y]).value == slow.min()
    least = float(np.sort(slow[np.isfinite(slow)])[8]) * 1.0001
    far = class_margin(x, y, min_distance=least)
    assert far.value == slow[slow >= least].min()
    assert far.n_close == (slow < least).sum() // 2
    assert class_margin(x, y, "sample", n_sample=60).value >= slow.min()
    assert class_margin(x, y, "sample", n_sample=150).value == slow.min()


def test_equal_inputs_with_different_labels_are_label_noise() -> None:
    x, y = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [3.0, 0.0]]), np.array([0, 0, 1, 1])
    for method in ("exact", "sample"):
        with pytest.raises(DataError, match="rows 0 and 2"):
            class_margin(x, y, method)
    with pytest.raises(DataError, match="label noise|different labels"):
        class_margin(x, y, "evt", draws=400, top=10)
    found = class_margin(x, y, min_distance=0.5)
    assert (found.value, found.n_close) == (1.0, 1)
    with pytest.raises(DataError, match="no pair of different class"):
        class_margin(x, y, min_distance=10.0)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.zeros(4, int), "at least 2 classes"), (np.zeros(3, int), "do not belong together"), (np.array([0.0, np.nan, 1, 1]), "1 labels are NaN"),
        (np.array([0, "a", 1, 2], dtype=object), "mixed type: int, str"),
    ],
)  # fmt: skip
def test_margin_refuses(y: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        class_margin(np.eye(4), y)


def reference_extreme(s: np.ndarray, a: float) -> float:
    """The released rule, line by line."""
    u = np.log(s[:-1] / s[-1])
    m1, m2 = u.mean(), (u**2).mean()
    gamma = m1 + 1 - 0.5 / (1 - m1**2 / m2)
    q = (a**gamma - 1) / gamma * s[-1] * m1 + s[-1]
    return min(1 / q, 1 / s[0])


def test_extreme_value_margin() -> None:
    s = np.sort(1 + Seed("pareto").rng().pareto(4.0, 500))[::-1]
    assert extreme_margin(s, 1e5) == pytest.approx(reference_extreme(s, 1e5))
    # inverse distances of a Pareto tail with index 1/4 grow with the fourth root of the number of pairs
    assert extreme_margin(s, 1e8) / extreme_margin(s, 1e4) == pytest.approx(0.1, rel=0.35)
    alone = np.exp(np.full(5, 1.0))
    alone[-1] = 1.0
    assert extreme_margin(alone, 100.0) == pytest.approx(math.exp(-1))
    x, y = digits()
    found = class_margin(x, y, "evt", draws=200_000, top=500, seed=Seed("evt"))
    assert found.value == pytest.approx(1.179, rel=0.15)
    with pytest.raises(UsageError, match="top must be"):
        class_margin(x, y, "evt", draws=100, top=50)
    with pytest.raises(UsageError, match="margin method"):
        class_margin(x, y, "nearest")  # pyright: ignore[reportArgumentType]


def test_labels_of_one_kind_become_numbers() -> None:
    assert classes(np.array(["b", "a", "b"])).tolist() == [1, 0, 1]


def test_manifolds_lie_where_they_should_and_are_as_fine_as_told() -> None:
    x = sphere(2_000, 2, Seed("m"))
    assert np.linalg.norm(x, axis=1) == pytest.approx(1)
    assert abs(x.mean(0)).max() < 0.06
    flat = torus(500, 3, Seed("m"))
    assert flat.shape == (500, 6)
    assert flat[:, 0] ** 2 + flat[:, 3] ** 2 == pytest.approx(1)
    turned = rotated(x[:50], 9, Seed("m"))
    assert slow_distances(turned) == pytest.approx(slow_distances(x[:50]))
    task: Any = Bandlimited(m=1, delta=0.25, train=50, test=60)
    label = task.labeller(Seed("l"))
    assert np.linalg.norm(label.waves, axis=1) == pytest.approx(np.pi / 0.25)
    angles = np.linspace(0, 2 * np.pi, 20_000)
    for delta, crossings in ((1.0, (1, 8)), (0.1, (20, 63))):
        circle = np.stack([np.cos(angles), np.sin(angles)], 1)
        flips = np.abs(np.diff(Bandlimited(m=1, delta=delta).labeller(Seed("flip")) (circle))).sum()  # fmt: skip
        assert crossings[0] <= flips <= crossings[1]
    made = task.make(Seed("t"))
    assert {name: rows.shape for name, (rows, _) in made.items()} == {"train": (50, 2), "test": (60, 2)}
    assert np.array_equal(task.make(Seed("t"))["test"][0], made["test"][0])
    assert task.certify(Seed("t")) == 0
    for words, said in (({"m": 0, "delta": 1}, "m >= 1"), ({"m": 1, "delta": 1, "kind": "cube"}, "sphere or torus")):
        with pytest.raises(TaskError, match=said):
            Bandlimited(**words)


def test_a_union_pairs_inputs_and_keeps_the_first_labels() -> None:
    a, b = (Bandlimited(m=m, delta=0.5, train=40, test=30).make(Seed("u", m)) for m in (1, 2))
    made = union(a, b, Seed("pairs"))
    assert made["train"][0].shape == (40, 5)
    assert np.array_equal(made["train"][0][:, :2], a["train"][0])
    assert np.array_equal(made["test"][1], a["test"][1])
    rows = {row.tobytes() for row in b["train"][0]}
    assert all(row.tobytes() in rows for row in np.ascontiguousarray(made["train"][0][:, 2:]))
    with pytest.raises(TaskError, match="no split 'test'"):
        union(a, {"train": b["train"]}, Seed("pairs"))
