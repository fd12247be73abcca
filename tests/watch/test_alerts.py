"""Every alert on a run where it must come, and on one where it must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genscope.core.seeds import Seed
from genscope.models.tiny_gpt import TinyGPT
from genscope.tasks.copy_markov import BOS, CopyMarkov
from genscope.training.document_lm import next_token_losses
from genscope.watch.alerts import EVIDENCE, RULES, corrupt_like
from genscope.watch.measure import Sample, Seen
from genscope.watch.measures.copying import Copying
from genscope.watch.monitor import Monitor
from tests.watch import digits


def run(folder: Path, wrong: float, rows: int, steps: int, seed: int = 0, everywhere: bool = False, kind: str = "adam") -> Monitor:
    torch.manual_seed(seed)
    x, y, order, _ = digits.data(wrong, seed, everywhere)
    train, test = order[:rows], order[1200:1600]
    model = digits.net()
    made = torch.optim.Adam(model.parameters(), lr=1e-3) if kind == "adam" else torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sample = {"train": (x[train[:256]], y[train[:256]]), "test": (x[test], y[test])}
    found = digits.train(folder, model, made, x, y, train, steps, 64, sample=sample, every=20)
    assert found is not None
    return found


def names(monitor: Monitor) -> set[str]:
    return {one.name for one in monitor.alerts}


@pytest.mark.parametrize(("wrong", "kind"), [(0.1, "adam"), (0.4, "adam"), (0.2, "sgd")])
def test_memorizing_is_seen_before_the_test_set_could_tell(tmp_path: Path, wrong: float, kind: str) -> None:
    found = run(tmp_path, wrong, 1200, 400, kind=kind)
    (one,) = [one for one in found.alerts if one.name == "memorizing"]
    steps, accuracy = found.run.series("test/accuracy")
    assert accuracy[steps <= one.step].max() > 0.85
    # the test accuracy has not fallen yet: nothing there tells it
    assert accuracy[steps <= one.step].max() - accuracy[steps == one.step][0] < 0.04
    assert one.numbers["gradient_share"] >= 0.6
    assert abs(one.numbers["corrupt_like"] - wrong) < 0.12
    assert "wrong" in one.sentence
    assert one.evidence


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_clean_labels_give_no_alert(tmp_path: Path, kind: str) -> None:
    assert names(run(tmp_path, 0.0, 1200, 400, kind=kind)) == set()


def test_the_rows_that_look_wrong_are_the_wrong_ones(tmp_path: Path) -> None:
    _, _, order, flipped = digits.data(0.2, 3)
    found = {int(one) for one in run(tmp_path, 0.2, 1200, 300, seed=3).run.corrupt_like()}
    wrong = set(np.flatnonzero(flipped[order[:256]]).tolist())
    assert len(found & wrong) >= 0.9 * len(wrong)
    assert len(found & wrong) >= 0.7 * len(found)


def test_overfitting_needs_a_rise_beyond_noise(tmp_path: Path) -> None:
    found = run(tmp_path / "a", 0.2, 300, 450, everywhere=True)
    (one,) = [one for one in found.alerts if one.name == "overfitting"]
    assert one.numbers["rise"] > 3 * one.numbers["standard_error"]
    assert one.numbers["best_step"] < one.step
    assert "overfitting" not in names(run(tmp_path / "b", 0.0, 300, 450, everywhere=True))


@pytest.mark.parametrize(("scale", "decay", "comes"), [(8.0, 2.0, True), (1.0, 0.01, False)])
def test_generalization_that_comes_late_is_told(tmp_path: Path, scale: float, decay: float, comes: bool) -> None:
    torch.manual_seed(0)
    x, y, order, _ = digits.data()
    model = digits.net(scale=scale)
    made = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)
    train, test = order[:200], order[200:600]
    found = digits.train(tmp_path, model, made, x, y, train, 500, 200, sample={"train": (x[train], y[train]), "test": (x[test], y[test])}, every=50, measures=["losses"])  # fmt: skip
    assert found is not None
    assert ("still coming" in names(found)) is comes


@pytest.mark.parametrize(("batch", "fires"), [(32, False), (64, False), (512, True)])
def test_a_batch_past_its_useful_size(tmp_path: Path, batch: int, fires: bool) -> None:
    torch.manual_seed(0)
    x, y, order, _ = digits.data()
    model = digits.net(64)
    made = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    found = digits.train(tmp_path, model, made, x, y, order, 100, batch, sample=(x[order[:256]], y[order[:256]]), every=5)
    assert found is not None
    assert ("batch too large" in names(found)) is fires


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y, order, _ = digits.data()
    model = digits.net(16)
    made = torch.optim.SGD(model.parameters(), lr=1e30)
    found = digits.train(tmp_path, model, made, x, y, order, 10, 64, sample=(x[:64], y[:64]), every=2)
    assert found is not None
    assert "not finite" in names(found)
    from genscope.watch.record import read

    held = read(tmp_path)
    assert held.ended
    assert any("coherence failed and is left out" in one["text"] for one in held.notes)
    assert held.looks[-1].step == 10


class Planted:
    """A measure that reads its numbers off a list."""

    name = "planted"

    def __init__(self, copying: list[float]) -> None:
        self.copying = copying

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        self.left = list(self.copying)

    def look(self, net: nn.Module, step: int) -> Seen:
        return Seen(values={"copying": self.left.pop(0)})


@pytest.mark.parametrize(("repeated", "copying", "fires"), [(True, [0.1, 0.5, 0.6, 0.3, 0.3, 0.3], True), (True, [0.1, 0.5, 0.6, 0.6, 0.55, 0.6], False), (False, [0.1, 0.5, 0.6, 0.3, 0.3, 0.3], False)])  # fmt: skip
def test_repeats_hurt_copying_where_it_falls_on_repeated_rows(tmp_path: Path, repeated: bool, copying: list[float], fires: bool) -> None:
    with Monitor(tmp_path, digits.net(8), measures=[Planted(copying)], every=1) as monitor:
        for step in range(5):
            monitor.step(rows=[0, 1, 2, 3] if repeated else range(4 * step, 4 * step + 4))
    assert ("repeats hurt copying" in names(monitor)) is fires


def language_model(folder: Path, kept: int | None) -> Monitor:
    """A small decoder on a language of copies: 250 updates on documents that are all new, then 250 on `kept` of them again and again, or on new ones."""
    task = CopyMarkov(seed=Seed("copying alert"))
    net = TinyGPT(vocab_size=task.tokens).build(Seed("copying alert", "weights"))
    optimizer, rng = torch.optim.AdamW(net.parameters(), lr=1e-2, betas=(0.9, 0.98)), np.random.default_rng(0)
    with Monitor(folder, net, measures=[Copying(block=15, leave_out=1, bos=BOS, sequences=32)], every=50) as monitor:
        for step in range(500):
            rows = np.arange(32 * step, 32 * step + 32) if kept is None or step < 250 else rng.integers(0, kept, 32)
            loss = next_token_losses(net, torch.from_numpy(task.documents("train", rows).tokens)).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            monitor.step(rows=rows)
    return monitor


def test_repeats_hurt_the_copying_of_a_language_model(tmp_path: Path) -> None:
    found = language_model(tmp_path / "again", 64)
    (one,) = [one for one in found.alerts if one.name == "repeats hurt copying"]
    assert one.step > 250
    assert one.numbers["best"] > 0.8
    assert one.numbers["repeated"] == 1.0
    assert "repeats hurt copying" not in names(language_model(tmp_path / "new", None))


def test_a_row_counts_as_corrupt_like_after_three_looks_and_until_three_right_ones() -> None:
    predicted = np.array([[1, 1, 0], [1, 2, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]])
    found = corrupt_like(predicted, np.array([0, 0, 0]))
    assert found.T.tolist() == [[False, False, True, True, True, False], [False] * 4 + [True] * 2, [False] * 6]


def test_every_rule_says_how_far_to_trust_it() -> None:
    assert set(EVIDENCE) == set(RULES)
    held: Any = {one: text for one, text in EVIDENCE.items() if len(text) < 10}
    assert not held
