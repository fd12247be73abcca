"""System 16: the study's cells serve every claim and placebo, and a placebo differs from its claim in the mechanism only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genscope.core.store import Store
from genscope.engine.lab import Lab
from genscope.engine.study import CLAIM_ARM
from genscope.studies import large_batch
from genscope.studies.large_batch import CLAIMS, CONSTANT, GBN, LB, LR, RA, SB, SIZES, LargeBatch, Run, _arms, _grid, _regime, _removed

STUDY = LargeBatch()
STANDARD = SIZES["standard"]


def named(claim: Any) -> set[str]:
    """Conditions that a claim's clauses and preconditions read."""
    found = {one.select["condition"] for one in (*claim.clauses, *claim.preconditions) if "condition" in one.select}
    return found | {name for clause in claim.clauses if clause.contrast for name in clause.contrast[1:]}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_and_placebo_has_the_cells_it_reads(claim: Any) -> None:
    cells = STUDY.cells("standard", (0, 1))
    for arm in (CLAIM_ARM, STUDY.placebos[claim.id].arm):
        there = [cell.condition for cell in cells if cell.part == STUDY.part_of(claim.id) and arm in cell.arms and cell.seed == 0]
        assert named(claim) <= set(there), arm
        assert len(there) == len(set(there)), arm


def test_a_placebo_differs_from_its_claim_in_the_mechanism_only() -> None:
    arms, removed = _arms(STANDARD), _removed(STANDARD)
    assert removed["small twice"][LB] == replace(arms[SB], order="again")
    assert removed["factor 1"][LR] == replace(arms[LB], order="again")
    assert removed["few updates"][RA] == replace(arms[RA], same_updates=False, accumulate=16)
    assert removed["ghost size 2"][GBN] == replace(arms[GBN], ghost=2)
    assert {replace(run, order="") for run in _grid(STANDARD, True, "again")} == set(_grid(STANDARD, True, ""))


def test_updates_epochs_and_learning_rates_are_those_of_the_design() -> None:
    arms, removed = _arms(STANDARD), _removed(STANDARD)
    for name, updates, lr, drop in (
        (SB, 2_560, 0.1, 1_280),
        (LB, 160, 0.1, 80),
        (LR, 160, 0.4, 80),
        (GBN, 160, 0.4, 80),
        (RA, 2_560, 0.4, 1_280),
    ):
        regime = _regime(STANDARD, arms[name])
        assert (regime.total, regime.settings(0)["lr"]) == (updates, pytest.approx(lr)), name
        assert regime.settings(drop)["lr"] == pytest.approx(lr / 10)
        assert regime.settings(drop - 1)["lr"] == pytest.approx(lr)
    # as many rows pass as with regime adaptation, in as few updates as without
    control = removed["few updates"][RA]
    assert _regime(STANDARD, control) == _regime(STANDARD, arms[GBN])
    assert (
        _regime(STANDARD, control).total * control.accumulate * control.batch
        == _regime(STANDARD, arms[RA]).total * arms[RA].batch
        == 640 * 4_096
    )
    assert [_regime(STANDARD, run).total for run in _grid(STANDARD, True, "")] == [2_560] * 3
    assert [_regime(STANDARD, run).total for run in _grid(STANDARD, False, "")] == [2_560, 640, 160]


def test_sixteen_batches_averaged_are_one_step_on_their_mean_gradient() -> None:
    from torch.nn.functional import cross_entropy

    size = replace(SIZES["smoke"], images=False)
    draws = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 40, generator=draws), torch.randint(0, 10, (64,), generator=draws)
    nets = [large_batch._net(size, 0, 0) for _ in range(2)]
    steps = []
    updates = [
        large_batch._update(net, torch.optim.SGD(net.parameters(), lr=0.1), Run(batch=batch, accumulate=count), size, large_batch.Seed("s"), lambda: steps.append(1))
        for net, batch, count in zip(nets, (16, 64), (4, 1), strict=True)
    ]  # fmt: skip
    start = torch.nn.utils.parameters_to_vector(nets[0].parameters()).detach()
    for part, labels in zip(x.split(16), y.split(16), strict=True):
        updates[0](part, labels)
    assert len(steps) == 1
    reference = nets[1]
    torch.stack([cross_entropy(reference(part), labels) for part, labels in zip(x.split(16), y.split(16), strict=True)]).mean().backward()
    torch.nn.utils.clip_grad_norm_(reference.parameters(), 5.0)
    expected = start - 0.1 * torch.cat([p.grad.flatten() for p in reference.parameters()])
    assert torch.allclose(torch.nn.utils.parameters_to_vector(nets[0].parameters()).detach(), expected, atol=1e-6)


def test_smoke_cells_record_what_claims_read(tmp_path: Path) -> None:
    lab = Lab(Store.open(tmp_path), "code")
    cells = [cell for cell in STUDY.cells("smoke", (0,)) if cell.part == "distance"]
    found = {(cell.condition, *cell.arms): list(STUDY.run(cell, lab)) for cell in cells}
    claim = {record.metric: record.value for record in found[CONSTANT, "claim", "constant twice"]}
    assert claim["log_growth"] in (0.0, 1.0)
    assert claim["slope_variation"] is not None
    assert claim["potential_exponent"] is not None
    lengths = [[record.value for record in records if record.metric == "distance"] for records in found.values()]
    assert all(values and np.isfinite(np.array(values, dtype=float)).all() for values in lengths)


def test_the_papers_own_data_is_read_from_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genscope.core.errors import MissingError

    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    with pytest.raises(MissingError, match="CIFAR-10"):
        large_batch._data(SIZES["paper"], 0)
    (tmp_path / "cifar-10").mkdir()
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        rows = np.concatenate([rng.integers(0, 10, (16, 1)), rng.integers(0, 256, (16, 3_072))], axis=1).astype(np.uint8)
        rows.tofile(tmp_path / "cifar-10" / f"{name}.bin")
    x, y, test_x, _ = large_batch._data(SIZES["paper"], 0)
    assert (x.shape, test_x.shape) == ((80, 3, 32, 32), (16, 3, 32, 32))
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-4)
    small = replace(SIZES["paper"], rows=80, test_rows=16, batches=(8, 16, 32), epochs=1, regime=((0, 0.1),))
    monkeypatch.setattr(large_batch, "_net", lambda size, seed, ghost: _tiny_resnet(ghost))
    about = large_batch._train(0, Run(batch=32, rule="sqrt", ghost=8), small)
    assert about["updates"] == 2
    assert np.isfinite(about["test_loss"])
    assert set(y.tolist()) <= set(range(10))


def _tiny_resnet(ghost: int) -> torch.nn.Module:
    from genscope.core.seeds import Seed
    from genscope.interventions.ghost_batch_norm import convert_ghost_batchnorm
    from genscope.models.cifar_resnet import CifarResNet

    net = CifarResNet(depth=8, widths=(2, 4, 4)).build(Seed("t"))
    assert convert_ghost_batchnorm(net, ghost) == 7
    return net
