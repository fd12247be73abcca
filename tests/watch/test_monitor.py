"""The monitor never changes the run, and what goes wrong around it is said and survived."""

from __future__ import annotations

import errno
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genscope.core.errors import StoreError, UsageError
from genscope.watch import writer as writer_module
from genscope.watch.measure import Sample, Seen
from genscope.watch.monitor import Monitor
from genscope.watch.record import read
from tests.watch import digits


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [one.detach().clone() for one in [*model.parameters(), *model.buffers()]]


class Rude:
    """A measure that does all that it should not: draws, trains, leaves gradients and another mode."""

    name = "rude"

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        self.looked = 0

    def look(self, net: nn.Module, step: int) -> Seen:
        random.random()
        np.random.rand(3)
        torch.rand(3)
        net.train()
        net(torch.rand(8, 64)).sum().backward()
        for one in net.parameters():
            one.grad = None
        self.looked += 1
        return Seen(values={"rude": 1.0})


class Noisy(nn.Module):
    """A net with batch norm and dropout: buffers and random draws in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_weights_after_200_steps_are_bit_for_bit_those_without_a_monitor(tmp_path: Path, batch_norm: bool) -> None:
    x, y, order, _ = digits.data(0.2)
    sample = {"train": (x[order[:64]], y[order[:64]]), "test": (x[order[64:128]], y[order[64:128]])}

    def trained(folder: Path | None) -> tuple[list[torch.Tensor], float, float]:
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        model = Noisy() if batch_norm else digits.net(32, dropout=0.2)
        measures: list[Any] = ["losses", "weight_distance", Rude()] + ([] if batch_norm else ["coherence"])
        made = torch.optim.Adam(model.parameters())
        settings = {"sample": sample, "every": 7, "measures": measures}
        digits.train(folder, model, made, x, y, order, 200, 32, **(settings if folder else {}))
        assert all(one.training for one in model.modules())
        return weights(model), random.random(), float(np.random.rand())

    (without, *draws), (under, *others) = trained(None), trained(tmp_path)
    assert all(torch.equal(one, two) for one, two in zip(without, under, strict=True))
    assert draws == others
    held = read(tmp_path)
    assert [look.step for look in held.looks] == [*range(0, 200, 7), 200]
    assert held.looks[-1].values["rude"] == 1
    assert not held.notes


def test_gradients_that_wait_for_the_next_step_stay(tmp_path: Path) -> None:
    x, y, _, _ = digits.data()
    model = digits.net(8)
    monitor = Monitor(tmp_path, model, sample=(x[:32], y[:32]), every=1)
    nn.functional.cross_entropy(model(x[:16]), y[:16]).backward()
    before = [None if one.grad is None else one.grad.clone() for one in model.parameters()]
    monitor.step()
    after = [one.grad for one in model.parameters()]
    assert all(one is not None and two is not None and torch.equal(one, two) for one, two in zip(before, after, strict=True))
    monitor.close()


def test_a_resumed_run_goes_on_with_its_record_and_its_start(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y, order, _ = digits.data()
    model = digits.net(16)
    made = torch.optim.SGD(model.parameters(), lr=0.1)
    settings: dict[str, Any] = {"sample": (x[order[:64]], y[order[:64]]), "every": 10}
    digits.train(tmp_path / "r", model, made, x, y, order, 25, 32, **settings)
    with pytest.raises(UsageError, match="resume=True"):
        Monitor(tmp_path / "r", model, **settings)
    whole = read(tmp_path / "r").series("weight_distance")[1]
    with Monitor(tmp_path / "r", model, resume=True, **settings) as monitor:
        assert monitor.at == 25
        monitor.look()
        for _ in range(10):
            monitor.step(batch=32)
    held = read(tmp_path / "r")
    assert [look.step for look in held.looks] == [0, 10, 20, 25, 30, 35]
    # nothing was trained: the distance is still counted from the first start
    assert held.series("weight_distance")[1][-1] == pytest.approx(whole[-1], rel=1e-5)
    assert whole[-1] > 0
    assert any("resumed at step 25" in one["text"] for one in held.notes)
    with pytest.raises(UsageError, match="not those of the run's start"):
        Monitor(tmp_path / "r", digits.net(17), resume=True, **settings)


def test_two_monitors_do_not_write_into_one_record(tmp_path: Path) -> None:
    first = Monitor(tmp_path, digits.net(8), every=10)
    with pytest.raises(UsageError, match="resume=True"):
        Monitor(tmp_path, digits.net(8))
    with pytest.raises(UsageError, match="another process writes"):
        Monitor(tmp_path, digits.net(8), resume=True)
    first.close()
    Monitor(tmp_path, digits.net(8), resume=True).close()


def test_a_full_disk_stops_the_record_and_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A file on a disk that is full for a while."""

        full = False

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            if Full.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    opened = writer_module.open_file
    monkeypatch.setattr(writer_module, "open_file", lambda path: Full(opened(path)))
    with Monitor(tmp_path, digits.net(8), every=1) as monitor:
        monitor.step()
        Full.full = True
        for _ in range(3):
            monitor.step()
        Full.full = False
        monitor.step()
    held = read(tmp_path)
    assert [look.step for look in held.looks] == [0, 1, 5]
    assert any("3 lines are missing here" in one["text"] for one in held.notes)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        Monitor(tmp_path / "file" / "run", digits.net(8))


def test_what_cannot_be_measured_is_refused_at_the_start_with_names(tmp_path: Path) -> None:
    x, y, _, _ = digits.data()
    sample = (x[:16], y[:16])
    frozen = digits.net(8).requires_grad_(False)
    with pytest.raises(UsageError, match="no parameter requires a gradient"):
        Monitor(tmp_path / "a", frozen, sample=sample)
    with pytest.raises(UsageError, match=r"inner\.1"):
        Monitor(tmp_path / "b", Noisy(), sample=sample)
    for given, said in ((None, "sample"), ({}, "split ->"), ((x[:3], y[:4]), "one row an example"), ({"train": 3}, "named tensors")):
        with pytest.raises(UsageError, match=said):
            Monitor(tmp_path / "c", digits.net(8), sample=given, measures=["losses"])  # pyright: ignore[reportArgumentType]
    for measures, said in ((["lossses"], "Did you mean losses"), ([3], "begin")):
        with pytest.raises(UsageError, match=said):
            Monitor(tmp_path / "d", digits.net(8), sample=sample, measures=measures)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="at least 1"):
        Monitor(tmp_path / "e", digits.net(8), every=0)
    with pytest.raises(UsageError, match="one value an example"):
        Monitor(tmp_path / "f", digits.net(8), sample=sample, judge=lambda net, data: (net(data["x"]).sum(), None))
    # nothing is left that would keep a second try from starting
    Monitor(tmp_path / "f", digits.net(8), sample=sample).close()


def test_a_measure_that_fails_later_is_left_out_and_said(tmp_path: Path) -> None:
    class Failing(Rude):
        name = "failing"

        def look(self, net: nn.Module, step: int) -> Seen:
            if step == 2:
                raise RuntimeError("\x1b[31mout of memory")
            return Seen(values={"fine": 1.0})

    with Monitor(tmp_path, digits.net(8), measures=[Failing(), "weight_distance"], every=1) as monitor:
        for _ in range(4):
            monitor.step()
    held = read(tmp_path)
    assert [look.values.get("fine") for look in held.looks] == [1, 1, None, None, None]
    assert all("weight_distance" in look.values for look in held.looks)
    assert [one["text"] for one in held.notes] == ["failing failed and is left out from here on: out of memory"]


def test_training_that_breaks_off_leaves_a_record_that_says_so(tmp_path: Path) -> None:
    def run_out() -> None:
        with Monitor(tmp_path, digits.net(8), every=2) as monitor:
            loader = iter(range(3))
            while True:
                next(loader)
                monitor.step()

    with pytest.raises(StopIteration):
        run_out()
    held = read(tmp_path)
    assert not held.ended
    assert [look.step for look in held.looks] == [0, 2]
    assert "training stopped: StopIteration" in held.notes[-1]["text"]


def test_tied_weights_compiled_nets_wrappers_and_mixed_precision(tmp_path: Path) -> None:
    class Tied(nn.Module):
        """An embedding that is the output layer too."""

        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(20, 8)
            self.out = nn.Linear(8, 20, bias=False)
            self.out.weight = self.words.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.words(x).mean(1))

    torch.manual_seed(0)
    x, y = torch.randint(0, 20, (32, 5)), torch.randint(0, 20, (32,))
    for number, wrap in enumerate((lambda one: one, lambda one: torch.compile(one, backend="eager"), nn.DataParallel)):
        model = Tied()
        wrapped: Any = wrap(model)
        made = torch.optim.SGD(model.parameters(), lr=0.5)
        with Monitor(tmp_path / str(number), wrapped, sample=(x, y), every=2) as monitor:
            for _ in range(4):
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = nn.functional.cross_entropy(wrapped(x), y)
                made.zero_grad()
                loss.backward()
                made.step()
                monitor.step(batch=32)
        held = read(tmp_path / str(number))
        assert not held.notes
        assert held.header["parameters"] == 160
        assert held.series("weight_distance")[1][-1] > 0
        assert 0 < held.series("coherence")[1][-1] <= 32


def test_accumulated_batches_are_one_step_and_repeated_rows_are_counted(tmp_path: Path) -> None:
    with Monitor(tmp_path, digits.net(8), every=1) as monitor:
        monitor.step(rows=[1, 2, 3, 4])
        monitor.step(rows=torch.tensor([3, 4, 5, 6]))
        monitor.step(rows=["a", "b"])
    assert read(tmp_path).series("repeated")[1].tolist() == [0.0, 0.5, 0.0]
    assert read(tmp_path).series("batch")[1].tolist() == [4, 4, 2]


def test_a_dtype_of_half_the_size_is_looked_at_as_it_is(tmp_path: Path) -> None:
    x, y, _, _ = digits.data()
    model = digits.net(8).to(torch.bfloat16)
    with Monitor(tmp_path, model, sample=(x[:32].to(torch.bfloat16), y[:32]), every=1) as monitor:
        monitor.step()
    assert read(tmp_path).looks[0].values["train/loss"] is not None
    assert json.loads((tmp_path / "record.jsonl").read_text().splitlines()[0])["kind"] == "run"


def test_a_long_run_is_thinned_in_memory_and_whole_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genscope.watch import monitor as module

    monkeypatch.setattr(module, "REMEMBERED", 20)
    x, y, _, _ = digits.data()
    with Monitor(tmp_path, digits.net(4), sample=(x[:8], y[:8]), measures=["losses"], every=1) as monitor:
        for _ in range(60):
            monitor.step()
        assert sum(bool(look.examples) for look in monitor.run.looks) <= 20
        assert monitor.run.looks[-1].examples
        assert len(monitor.run.looks) == 61
    assert all("loss" in look.examples["train"] for look in read(tmp_path).looks)


def test_parameters_without_data_are_named(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3, device="meta"))
    with pytest.raises(UsageError, match=r"2 parameters have no data here \(device meta.*the first is 1\.weight"):
        Monitor(tmp_path / "r", net, measures=["weight_distance"])
    assert not (tmp_path / "r").exists()
