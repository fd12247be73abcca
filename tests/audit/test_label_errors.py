"""Suspected label errors: the rule by hand, planted errors found in numbers and in texts, and data that allow no verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from torch import nn

from genscope.core.difficulty import read_difficulty
from genscope.core.errors import DataError
from genscope.core.seeds import Seed
from genscope.interventions.label_noise import label_noise
from genscope.measures.coherence import coherence
from genscope.measures.cross_fit import CrossFit, _of_net, _of_regression, cross_fit_arrays
from genscope.measures.label_errors import suspected
from genscope.measures.layer_help import layer_help
from genscope.measures.training_dynamics import Dynamics
from genscope.tasks.digits import digits
from genscope.verbs.audit import audit

OTHERS = ["duplicates", "near_duplicates", "repeats", "inductive_bias", "conflicts", "imbalance", "shortcuts", "bad_values"]


def test_the_rule_by_hand() -> None:
    """Thresholds: mean p of the own label, .547 for class 0 (rows 0, 1, 4) and .85 for class 1 (rows 2, 3)."""
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9], [0.14, 0.86]])
    found = suspected(p, np.array([0, 0, 1, 1, 0]))
    assert found.rows.tolist() == [4]  # p(1) = .86 reaches the threshold of class 1
    assert found.said.tolist() == [1]
    assert found.score.tolist() == [0.9, 0.6, 0.8, 0.9, 0.14]
    almost = p.copy()
    almost[4] = [0.16, 0.84]
    assert suspected(almost, np.array([0, 0, 1, 1, 0])).rows.tolist() == []
    assert suspected(p, np.array([0, 0, 1, 1, 0]), confidence=np.array([0.5, 0.1, 0.1, 0.1, 0.9])).rows.tolist() == []
    for bad, labels, said in (
        (p[:, :1], [0] * 5, "sum to 1"),
        (p, [0, 0, 1, 2, 0], "labels must be 0 to 1"),
        (p[:2], [0] * 5, "do not belong together"),
    ):
        with pytest.raises(DataError, match=said):
            suspected(bad, np.array(labels))


def test_every_row_is_judged_by_models_that_did_not_see_it() -> None:
    x, y = digits()
    x, y = x[:300], y[:300]
    shuffled = Seed("random labels").rng().permutation(y)
    fit = cross_fit_arrays(x, shuffled, Seed("f"), epochs=30)
    assert fit.accuracy < 0.2
    assert fit.dynamics.right[-1].mean() > 0.6
    assert fit.p.sum(1) == pytest.approx(1)
    with pytest.raises(DataError, match="smallest class has 0"):
        cross_fit_arrays(x, np.where(y == 3, 4, y), Seed("f"))


def test_help_of_a_net_and_of_regressions_is_that_of_their_gradients() -> None:
    """Against torch, which differentiates the same losses."""
    x, y = (part[:80] for part in digits())
    for classes in (10, 2):
        labels = y if classes == 10 else (y > 4).astype(int)
        net = MLPClassifier((5,), random_state=1, max_iter=1).partial_fit(x, labels, classes=np.arange(classes))
        twin = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, classes if classes > 2 else 1)).double()
        _take(twin[0], net.coefs_[0].T, net.intercepts_[0])
        _take(twin[2], net.coefs_[1].T, net.intercepts_[1])
        wanted = coherence(twin, _softmax if classes > 2 else _one_against_rest, _data(x, labels, classes), per_example=True).help
        assert layer_help(_of_net(net, x, labels)) == pytest.approx(wanted, rel=1e-5)
        line = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=1).partial_fit(
            x, labels, classes=np.arange(classes)
        )
        twin = nn.Linear(64, len(line.coef_)).double()
        _take(twin, line.coef_, line.intercept_)
        wanted = coherence(twin, _one_against_rest, _data(x, labels, classes), per_example=True).help
        for rows in (x, csr_matrix(x)):
            assert layer_help(_of_regression(line, rows, labels)) == pytest.approx(wanted, rel=1e-5)
    assert (wanted < 0).any()
    assert (wanted > 0).any()
    rows = np.array([[1.0], [1.0], [1.0]])
    assert np.isnan(layer_help([(rows, np.array([[1.0], [1.0], [1e-3]]))], 1e-3)).tolist() == [False, False, True]


def _take(layer: Any, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        layer.bias.copy_(torch.from_numpy(bias))


def _data(x: np.ndarray, y: np.ndarray, classes: int) -> dict[str, torch.Tensor]:
    given = torch.from_numpy(y)
    return {
        "x": torch.from_numpy(x.astype(float)),
        "y": given,
        "wanted": (given[:, None] == torch.arange(classes)).double() if classes > 2 else given[:, None].double(),
    }


def _softmax(net: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(net(batch["x"]), batch["y"], reduction="none")


def _one_against_rest(net: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(net(batch["x"]), batch["wanted"], reduction="none").sum(1)


def test_rows_of_a_difficulty_table_by_hand() -> None:
    right = np.array([[True, False, False], [False, False, True], [True, False, True]])
    dynamics = Dynamics(ids=("0", "1", "2"), gold=np.full((3, 3), 0.5), right=right, epochs=(1, 2, 3))
    fit = CrossFit(p=np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]), dynamics=dynamics, accuracy=1.0, help=np.array([0.5, np.nan, -1.0]))
    held = fit.difficulty(np.array([0, 0, 0]))
    found = {notion: part["value"].to_list() for (notion,), part in held.group_by("notion")}
    assert found["learning time"] == [3, 4, 2]
    assert found["loss"] == pytest.approx([np.log(2), np.log(4), 0])
    assert found["help"] == [0.5, -1.0]


def run(tmp_path: Path, source: Any, **settings: Any) -> dict[str, Any]:
    kept = [name for name in OTHERS if name in settings.pop("drop", OTHERS)]
    return audit(source, out=tmp_path / "out", without=kept, **settings).plain()


def flagged(held: dict[str, Any]) -> tuple[str, int]:
    (one,) = [finding for finding in held["findings"] if finding["kind"] == "mislabel"]
    return one["severity"], one["count"]


def test_flipped_digits_are_found(tmp_path: Path) -> None:
    x, y = digits()
    labels, flipped = label_noise(y, 0.05 / 0.9, 10, Seed("flips"), "uniform")
    np.savez(tmp_path / "d.npz", x=x, y=labels)
    held = run(tmp_path, tmp_path / "d.npz")
    severity, count = flagged(held)
    assert severity == "medium"
    assert 0.5 * flipped.sum() < count < 1.2 * flipped.sum()
    table = pl.read_parquet(tmp_path / "out" / "flagged.parquet")
    rows = table.filter(pl.col("kind") == "mislabel")["row"].to_numpy()
    assert flipped[rows].mean() > 0.8
    notions = read_difficulty(tmp_path / "out" / "difficulty.parquet")
    assert sorted(notions["notion"].unique().to_list()) == ["confidence", "correctness", "help", "learning time", "loss", "variability"]
    assert len(notions) == 6 * 1_797
    # a flipped digit gets less help from the common step, is learned later, and costs more
    for notion, sign in (("help", -1), ("learning time", 1), ("loss", 1)):
        of = notions.filter(pl.col("notion") == notion).sort(pl.col("example").cast(int))["value"].to_numpy()
        assert sign * (of[flipped].mean() - of[~flipped].mean()) > 0.7 * of.std(), notion
    page = Path(held["page"]).read_text()
    assert "Data map" in page
    assert held["sections"]["label_errors"]["answer"].endswith("%).")


def test_flipped_texts_are_found_and_noise_is_not_doubted(tmp_path: Path) -> None:
    rng = Seed("texts").rng()
    truth = rng.integers(0, 2, 800)
    texts = [" ".join(["the", *rng.choice([f"{'ab'[k]}{n}" for n in range(30)], 6)]) + f" {row}" for row, k in enumerate(truth)]
    flips = rng.random(800) < 0.05
    labels = np.where(flips, 1 - truth, truth)
    held = run(tmp_path, pl.DataFrame({"text": texts, "label": [("no", "yes")[k] for k in labels]}), label="label", text="text")
    _, count = flagged(held)
    assert 0.7 * flips.sum() < count < 1.3 * flips.sum()
    told = next(one for one in held["findings"] if one["kind"] == "mislabel")["examples"]
    assert "labelled" in str(told)
    noise = run(
        tmp_path, pl.DataFrame({"text": texts, "label": [("no", "yes")[k] for k in rng.integers(0, 2, 800)]}), label="label", text="text"
    )
    assert not [one for one in noise["findings"] if one["kind"] == "mislabel"]
    assert "no better than" in " ".join(noise["sections"]["label_errors"]["notes"])


def test_too_little_and_mixed_data(tmp_path: Path) -> None:
    few = run(tmp_path, pl.DataFrame({"text": ["a b", "c d"] * 20, "label": ["x", "y"] * 20}), label="label", text="text")
    assert "40 usable rows in 2 classes" in few["sections"]["label_errors"]["answer"]
    mixed = pl.DataFrame(
        {"a": [float(k) for k in range(120)], "b": [f"w{k % 7} and more words" for k in range(120)], "label": [k % 2 for k in range(120)]}
    )
    with pytest.raises(DataError, match="name its text with --text|reads"):
        audit(mixed, label="label", text="none", with_=["label_errors"], out=tmp_path / "m")
