"""System 31: known answers of the data, the measure and the attacks, and the study's own parts."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genscope.core.errors import DataError, MissingError, TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.interventions.ensemble import average, linear_stack, net_stack
from genscope.measures.block_randomization import Columns, Region, auc, block_randomized_scores, dependence_profile, positive_scores, scores
from genscope.measures.linear_margin import linear_margin
from genscope.measures.perturbation import perturbation_share, sgd_direction, svd_direction, universal_accuracy
from genscope.studies import simplicity_bias
from genscope.tasks import slabs
from genscope.tasks.dominoes import Dominoes
from genscope.tasks.images import mnist_test, read_idx

SUPPORT = {  # (B = 1, g = 0.1): slabs of |x| for class 1 and class 0, from the sheet's check values
    "linear": ([(0.1, 1.0)], [(0.1, 1.0)]),
    "slab3": ([(0.46667, 1.0)], [(0.0, 0.26667)]),
    "slab5": ([(0.32, 0.56)], [(0.0, 0.12), (0.76, 1.0)]),
    "slab7": ([(0.25714, 0.37143), (0.88571, 1.0)], [(0.0, 0.05714), (0.57143, 0.68571)]),
}


@pytest.mark.parametrize("kind", list(SUPPORT))
def test_slabs_lie_where_they_should(kind: slabs.Kind) -> None:
    y = np.repeat([1, 0], 20_000)
    x = slabs.slab_feature(kind, y, 1, Seed("t", kind).rng())[:, 0]
    for label, intervals in zip((1, 0), SUPPORT[kind], strict=True):
        values = np.abs(x[y == label])
        inside = [((values >= low - 1e-5) & (values <= high + 1e-5)) for low, high in intervals]
        assert np.any(inside, axis=0).all()
        for (low, high), held in zip(intervals, inside, strict=True):
            assert values[held].min() < low + 0.01
            assert values[held].max() > high - 0.01
    if kind == "linear":
        assert ((x > 0) == (y == 1)).all()


@pytest.mark.parametrize(("kind", "label", "shares"), [("slab5", 0, (0.75, 0.25)), ("slab7", 1, (0.875, 0.125)), ("slab7", 0, (0.5, 0.5))])
def test_slabs_have_the_papers_probabilities(kind: slabs.Kind, label: int, shares: tuple[float, float]) -> None:
    x = np.abs(slabs.slab_feature(kind, np.full(200_000, label), 1, Seed("p").rng())[:, 0])
    low, high = SUPPORT[kind][0 if label == 1 else 1][0]
    assert abs(((x >= low - 1e-5) & (x <= high + 1e-5)).mean() - shares[0]) < 0.005


@pytest.mark.parametrize("kind", ["slab5", "slab7"])
def test_moments_say_nothing_about_the_label(kind: slabs.Kind) -> None:
    y = np.repeat([1, 0], 400_000)
    x = slabs.slab_feature(kind, y, 1, Seed("m").rng())[:, 0]
    first, second = ([float((x[y == c] ** power).mean()) for c in (0, 1)] for power in (1, 2))
    assert abs(first[0] - first[1]) < 0.006
    assert abs(second[0] - second[1]) < 0.003


def test_margin_noise_caps_a_linear_classifier_at_one_minus_half_p() -> None:
    task = slabs.lms(7, 5, noise={0: 0.1}, train_rows=50_000, test_rows=50_000, rotate=False)
    data = task.make(Seed("noise"))
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert abs(float(((x[:, 0] > 0) == (y == 1)).mean()) - 0.95) < 0.005


def test_sign_noise_caps_a_linear_classifier_at_one_minus_p_and_keeps_the_margin() -> None:
    task = slabs.lms(7, 5, noise={0: 0.1}, noise_model="sign", train_rows=50_000, test_rows=50_000, rotate=False)
    data = task.make(Seed("noise"))
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert abs(float(((x[:, 0] > 0) == (y == 1)).mean()) - 0.9) < 0.005
        assert np.abs(x[:, 0]).min() >= 0.1 - 1e-6


def test_margin_of_the_linear_coordinate_is_the_margin_of_the_data() -> None:
    data = slabs.lms(5, 6, train_rows=20_000, test_rows=100).make(Seed("margin"))
    alone = np.eye(6)[0]
    assert linear_margin(3 * alone, 0.0, data.train_x, data.train_y, data.rotation) == pytest.approx(0.1, abs=1e-3)
    assert linear_margin(3 * alone, 0.15, data.train_x, data.train_y, data.rotation) == pytest.approx(0.05, abs=1e-3)
    assert linear_margin(-alone, 0.0, data.train_x, data.train_y, data.rotation) == pytest.approx(-1.0, abs=1e-3)
    with pytest.raises(UsageError, match="length above 0"):
        linear_margin(0 * alone, 0.0, data.train_x, data.train_y)


def test_a_neutral_block_keeps_its_law_and_loses_the_label() -> None:
    made = [slabs.lms(5, 4, neutral=neutral, train_rows=20_000, test_rows=100, rotate=False).make(Seed("n")) for neutral in ((), (0,))]
    assert abs(np.corrcoef(made[1].train_x[:, 0], made[1].train_y)[0, 1]) < 0.03
    assert np.corrcoef(made[0].train_x[:, 0], made[0].train_y)[0, 1] > 0.8
    assert (
        np.abs(np.quantile(made[0].train_x[:, 0], [0.1, 0.5, 0.9]) - np.quantile(made[1].train_x[:, 0], [0.1, 0.5, 0.9]))[[0, 2]].max()
        < 0.03
    )
    assert (made[0].train_x[:, 1:] == made[1].train_x[:, 1:]).all()


def test_rotation_is_orthogonal_and_undone_by_its_transpose() -> None:
    task = slabs.lms(5, 6, train_rows=200, test_rows=100)
    turned, plain = (task_.make(Seed("r")) for task_ in (task, slabs.lms(5, 6, train_rows=200, test_rows=100, rotate=False)))
    assert np.allclose(turned.rotation @ turned.rotation.T, np.eye(6), atol=1e-12)
    assert np.allclose(turned.train_x @ turned.rotation.T, plain.train_x, atol=1e-5)


def test_data_depends_on_its_seed_alone_and_splits_share_no_row() -> None:
    task = slabs.ms57(5, train_rows=500, test_rows=500)
    assert (task.make(Seed(1)).train_x == task.make(Seed(1)).train_x).all()
    assert not (task.make(Seed(1)).train_x[:, 0] == task.make(Seed(2)).train_x[:, 0]).any()
    assert task.certify(Seed(1)).ok


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"margin": 0.0}, "margin must be in"), ({"margin": 0.3}, "leaves no room for 5 slabs"), ({"neutral": (2,)}, "block 2 does not exist"), ({"width": -1.0}, "width must be above 0"),
        ({"noise": {1: 0.1}}, "noise is for a linear block"), ({"noise_model": "flip"}, "margin or sign"), ({"blocks": (("slab4", 2),)}, "slabs must be 3, 5 or 7"), ({"train_rows": 1}, "at least 2"), ({"noise": {0: 2.0}}, "fraction"),
    ],
)  # fmt: skip
def test_bad_slabs_are_refused(settings_: dict[str, object], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        slabs.Slabs(**settings_)  # pyright: ignore[reportArgumentType]


def test_auc_counts_pairs_and_halves_ties() -> None:
    score, y = np.array([0.3, 0.3, 0.1, 0.9, 0.5]), np.array([1, 0, 0, 1, 0])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(score[y == 1], score[y == 0])]
    assert auc(score, y) == pytest.approx(np.mean(pairs))
    with pytest.raises(UsageError, match="both classes"):
        auc(score, np.ones(5, int))
    with pytest.raises(UsageError, match="two outputs"):
        scores(np.zeros((5, 3)), y)
    with pytest.raises(UsageError, match="finite"):
        auc(np.array([np.nan, 0.0]), np.array([0, 1]))


def _linear_reader(rotation: np.ndarray, column: int = 0):
    """A model that reads one unrotated coordinate."""
    return lambda x: np.stack([-(x @ rotation.T)[:, column], (x @ rotation.T)[:, column]], axis=1)


def test_a_model_of_one_coordinate_is_seen_to_rely_on_it() -> None:
    data = slabs.lms(5, 6, train_rows=10, test_rows=4_000).make(Seed("reader"))
    predict, block = _linear_reader(data.rotation), Columns((0,), data.rotation)
    found = block_randomized_scores(predict, data.test_x, data.test_y, block, Seed("s"))
    assert (found.standard_auc, found.rest_auc) == (1.0, 1.0)
    assert abs(found.block_auc - 0.5) < 0.02
    assert len({one["block_auc"] for one in found.repeats}) == 5
    swapped = block_randomized_scores(predict, data.test_x, data.test_y, block, Seed("s"), mode="swap")
    assert swapped.block_auc == 0.0
    values = [one["block_auc"] for one in found.repeats]
    spread = found.interval("block_auc")
    half = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) / np.sqrt(5)
    assert (spread.low, spread.high) == pytest.approx((np.mean(values) - half, np.mean(values) + half))
    with pytest.raises(UsageError, match="no 'auc'; there are block_auc"):
        found.interval("auc")
    positive = positive_scores(predict, data.test_x, data.test_y, block, Seed("q"))
    # logit_1 - logit_0 = 2 x_0, uniform on [0.2, 2] for class 1; with the block of any row half of them are negative
    assert positive["standard"] == pytest.approx([0.29, 0.65, 1.1, 1.55, 1.91], abs=0.05)
    assert positive["rest"] == pytest.approx(positive["standard"])
    assert positive["block"] == pytest.approx([-1.82, -1.1, 0, 1.1, 1.82], abs=0.35)
    profile = dependence_profile(predict, data.test_x, data.test_y, data.rotation, Seed("d"))
    assert abs(profile[0][0] - 0.5) < 0.03
    assert [one for one, _ in profile[1:]] == [1.0] * 5


def test_the_empty_block_changes_nothing_and_the_whole_one_everything() -> None:
    data = slabs.lms(5, 6, train_rows=10, test_rows=4_000).make(Seed("edge"))
    predict = _linear_reader(data.rotation)
    empty = block_randomized_scores(predict, data.test_x, data.test_y, Columns((), data.rotation), Seed("s"))
    whole = block_randomized_scores(predict, data.test_x, data.test_y, Columns(tuple(range(6)), data.rotation), Seed("s"))
    assert empty.block_auc == empty.standard_auc
    assert abs(empty.rest_auc - 0.5) < 0.02
    assert abs(whole.block_auc - 0.5) < 0.02


@given(st.integers(1, 4), st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_a_block_and_its_complement_together_are_the_donor(size: int, number: int) -> None:
    rng = Seed("both", number).rng()
    x, donor, rotation = rng.standard_normal((7, 5)), rng.standard_normal((7, 5)), slabs.random_rotation(5, rng)
    block = Columns(tuple(range(size)), rotation)
    inside, outside = block.replace(x, donor), block.replace_rest(x, donor)
    assert np.allclose(inside + outside, x + donor)
    image, other = rng.random((3, 4, 4)), rng.random((3, 4, 4))
    mask = rng.random((4, 4)) < 0.5
    region = Region(mask)
    assert np.array_equal(region.replace(image, other) + region.replace_rest(image, other), image + other)


def test_bad_blocks_and_modes_are_refused() -> None:
    x, y = np.zeros((4, 3)), np.array([0, 1, 0, 1])
    for block, said in ((Columns((3,)), "column 3 does not exist"), (Columns((0,), np.eye(2)), "rotation is")):
        with pytest.raises(UsageError, match=said):
            block.replace(x, x)
    with pytest.raises(UsageError, match="permute or swap"):
        block_randomized_scores(lambda r: r[:, :2], x, y, Columns((0,)), Seed("s"), mode="other")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="at least 2 rows"):
        block_randomized_scores(lambda r: r[:, :2], x[:1], y[:1], Columns((0,)), Seed("s"))


def test_budget_share_of_a_spread_and_of_a_single_coordinate() -> None:
    assert perturbation_share(np.ones((3, 50)), (0,)) == pytest.approx(1 / np.sqrt(50))
    rotation = slabs.random_rotation(4, Seed("share").rng())
    assert perturbation_share(rotation[:1], (0,), rotation) == pytest.approx(1.0)
    assert np.isnan(perturbation_share(np.zeros((2, 3)), (0,)))


def test_universal_perturbations_of_a_linear_model_are_its_weights() -> None:
    rng = Seed("uap").rng()
    w = np.array([3.0, 4.0, 0.0]) / 5
    x = rng.standard_normal((2_000, 3))
    y = (x @ w > 0).astype(int)
    predict = lambda rows: np.stack([-(rows @ w), rows @ w], axis=1)  # noqa: E731
    assert abs(svd_direction(np.where(y == 1, -1.0, 1.0)[:, None] * w) @ w) == pytest.approx(1.0)
    assert universal_accuracy(predict, x, y, w, 10.0) == 0.0
    found = sgd_direction(lambda rows, labels: np.where(labels == 1, -1.0, 1.0)[:, None] * w, x, y, 2.0, rng, step=0.2)
    assert np.linalg.norm(found) == pytest.approx(2.0)
    assert abs(found @ w) == pytest.approx(2.0)


def test_pgd_stays_in_its_ball_and_its_range_and_flips_a_linear_model() -> None:
    import torch

    from genscope.training.attacks import Attack, paper_l2

    net = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    x, y = torch.tensor([[0.5, 0.2], [-0.5, 0.1]]), torch.tensor([1, 0])
    for norm, size in (("l2", lambda d: d.norm(dim=1)), ("linf", lambda d: d.abs().amax(1))):
        delta = Attack(norm=norm, eps=0.6, step=0.1, iterations=20, low=-1.0, high=1.0).delta(net, x, y)  # pyright: ignore[reportArgumentType]
        assert (size(delta) <= 0.6 + 1e-6).all()
        assert ((x + delta).abs() <= 1 + 1e-6).all()
        assert (net(x + delta).argmax(1) != y).all()
    assert net.weight.grad is None
    assert paper_l2(-2.0, 2.0).eps == 2.0
    assert paper_l2(-2.0, 2.0).step == pytest.approx(0.2)
    with pytest.raises(UsageError, match="l2 or linf"):
        Attack(norm="l1", eps=1, step=1, iterations=1, low=0, high=1)  # pyright: ignore[reportArgumentType]


def test_ensembles_average_and_stack() -> None:
    rng = Seed("ensemble").rng()
    y = rng.integers(0, 2, 2_000)
    x = np.stack([y + 0.1 * rng.standard_normal(2_000) - 0.5, rng.standard_normal(2_000)], axis=1)
    members = [lambda r, k=k: np.stack([-r[:, k], r[:, k]], axis=1) for k in (0, 1)]
    assert np.array_equal(average(members)(x), (members[0](x) + members[1](x)) / 2)
    assert scores(average(members)(x), y)[1] < 0.8 < 0.99 < scores(linear_stack(members, x, y)(x), y)[1]
    with pytest.raises(UsageError, match="at least one"):
        average([])
    # a label that no weighting of the members gives: the sign of their product
    x = rng.standard_normal((2_000, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    product = [lambda r, k=k: np.stack([-r[:, k], r[:, k]], axis=1) for k in (0, 1)]
    assert scores(linear_stack(product, x, y)(x), y)[1] < 0.6
    stacked = net_stack(product, x, y, Seed("net"))
    fresh = rng.standard_normal((2_000, 2))
    assert scores(stacked(fresh), (fresh[:, 0] * fresh[:, 1] > 0).astype(int))[1] > 0.95
    assert np.array_equal(stacked(fresh), net_stack(product, x, y, Seed("net"))(fresh))


def test_dominoes_agree_as_told_and_share_no_image() -> None:
    labels = np.repeat([0, 1, 7, 9], 100)
    images = np.zeros((400, 4, 4))
    images += labels[:, None, None]
    for agreement in (1.0, 0.5):
        splits = Dominoes(agreement=agreement).make(images, labels, Seed("dominoes"))
        assert {name: len(x) for name, (x, _) in splits.items()} == {"train": 120, "validation": 30, "test": 50}
        x, y = splits["train"]
        assert ((x[:, 4:, 0].mean(1) == 9) == (y == 1)).all()
        agree = float(((x[:, 0, 0] == 1) == (y == 1)).mean())
        assert agree == 1.0 if agreement == 1.0 else abs(agree - 0.5) < 0.15
    assert Dominoes().certify(labels, Seed("dominoes")).ok
    with pytest.raises(TaskError, match="two different classes"):
        Dominoes(top=(1, 1))
    with pytest.raises(TaskError, match="at least 8"):
        Dominoes().make(images[:101], labels[:101], Seed("d"))


def test_the_papers_own_data_and_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    import torch

    from genscope.models.nets import ResNet

    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    for name in ("mnist", "cifar-10"):
        (tmp_path / name).mkdir()
    rng, digits = Seed("files").rng(), np.repeat([0, 1], 20).astype(np.uint8)
    pixels = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    header = b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in pixels.shape)
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pixels.tobytes()))
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(b"\x00\x00\x08\x01" + (40).to_bytes(4, "big") + digits.tobytes())
    rows = np.concatenate([np.repeat([1, 9], 20).astype(np.uint8)[:, None], rng.integers(0, 256, (40, 3_072), dtype=np.uint8)], axis=1)
    for number in range(1, 6):
        rows.tofile(tmp_path / "cifar-10" / f"data_batch_{number}.bin")
    images, labels, below = simplicity_bias._pictures(simplicity_bias.SIZES["paper"])
    assert images.shape == (40, 3, 32, 32)
    assert below is not None
    assert np.array_equal(below[0][0, 0], rows[0, 1:1_025].reshape(32, 32).astype(np.float32) / 255)
    x, y = Dominoes(bottom=(1, 9)).make(images, labels, Seed("d"), below)["train"]
    assert x.shape == (24, 3, 64, 32)
    assert np.array_equal(x[:, 0, 2:30, 2:30], x[:, 2, 2:30, 2:30])
    net = ResNet(depths=(1, 1), widths=(16, 32)).build(Seed("r")).eval()
    assert net(torch.from_numpy(x[:4])).shape == (4, 2)
    assert y.sum() == 12
    (tmp_path / "cifar-10" / "data_batch_3.bin").write_bytes(b"short")
    with pytest.raises(DataError, match="multiple of 3,073"):
        simplicity_bias._pictures(simplicity_bias.SIZES["paper"])


def test_idx_files_are_read_and_bad_ones_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "a.idx"
    good.write_bytes(b"\x00\x00\x08\x02" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + bytes(range(6)))
    assert read_idx(good).tolist() == [[0, 1, 2], [3, 4, 5]]
    for content, said in ((b"\x00\x00\x08\x02" + bytes(8) + b"1", "promises"), (b"PNG-data", "not an IDX"), (b"", "0 bytes")):
        bad = tmp_path / "bad.idx"
        bad.write_bytes(content)
        with pytest.raises(DataError, match=said):
            read_idx(bad)
    monkeypatch.setenv("GENSCOPE_DATA", "")
    with pytest.raises(MissingError, match="GENSCOPE_DATA"):
        mnist_test()


def test_a_chain_of_recipes_trains_each_link_once_and_goes_on_from_its_weights() -> None:
    import torch

    from genscope.core.store import Store
    from genscope.engine.lab import Lab
    from genscope.models.nets import MLP
    from genscope.training.recipe import Optimizer, Recipe

    asked: list[str] = []

    def rows(data: str) -> tuple[np.ndarray, np.ndarray]:
        asked.append(data)
        x = Seed(data).rng().standard_normal((64, 3)).astype(np.float32)
        return x, (x[:, 0] > 0).astype(int)

    def link(data: str, updates: int, after: Recipe | None = None) -> Recipe:
        return Recipe(
            net=MLP(inputs=3, width=4, depth=1),
            data=data,
            optimizer=Optimizer(lr=0.1),
            updates=updates,
            batch=16,
            seed=Seed("chain"),
            after=after,
        )

    lab, first = Lab(Store.open(), "code"), link("first", 20)
    start = lab.train(first, rows)
    unmoved = lab.train(link("second", 0, first), rows)
    tuned = lab.train(link("third", 20, first), rows)
    assert asked == ["first", "second", "third"]
    assert all(torch.equal(a, b) for a, b in zip(start.net.parameters(), unmoved.net.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(start.net.parameters(), tuned.net.parameters(), strict=True))
    with pytest.raises(UsageError, match="do not fit"):
        Recipe(net=MLP(inputs=4), data="x", optimizer=Optimizer(), updates=1, seed=Seed("x"), after=first)
