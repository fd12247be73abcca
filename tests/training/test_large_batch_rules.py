"""Learning-rate rules, regimes and gradient noise: known answers, the scheduler on a real optimizer, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genscope.core.errors import ModelError, UsageError
from genscope.core.seeds import Seed
from genscope.interventions.crop_and_flip import crop_and_flip
from genscope.interventions.gradient_noise import noise_std, noisy_mean
from genscope.interventions.learning_rate import Regime, RegimeScheduler, adapt_regime, scale_lr
from genscope.models.batch_norm_mlp import BatchNormMLP
from genscope.models.cifar_resnet import CifarResNet

F1 = Regime(phases={0: {"lr": 0.1, "weight_decay": 1e-4}, 10: {"lr": 0.01}, 20: {"lr": 0.001, "weight_decay": 0.0}}, total=50)


def test_scaled_learning_rates() -> None:
    assert scale_lr(0.1, 4_096, 128) == pytest.approx(0.1 * 32**0.5)
    assert scale_lr(0.1, 32, 128) == pytest.approx(0.05)
    for bad in ((0.1, 0, 64), (0.1, 64, 0)):
        with pytest.raises(UsageError, match="at least 1 row"):
            scale_lr(*bad)
    with pytest.raises(UsageError, match="sqrt, linear or none"):
        scale_lr(0.1, 64, 32, "cube")  # pyright: ignore[reportArgumentType]


def test_a_regime_is_stretched_by_epochs_with_ceil_and_exactly_by_updates() -> None:
    stretched = adapt_regime(F1, 15.5)
    assert (list(stretched.phases), stretched.total, stretched.unit) == ([0, 160, 320], 800, "epochs")
    assert adapt_regime(F1, 1.0) == F1
    # 60,000 rows: 468 updates an epoch at 128; a batch of 4,096 has 14, so that epochs x 32 give 50 x 32 x 14 = 22,400, not 23,400
    exact = adapt_regime(F1, 4_096 / 128, updates=468)
    assert (list(exact.phases), exact.total, exact.unit) == ([0, 4_680, 9_360], 23_400, "updates")
    assert adapt_regime(F1, 32).in_updates(14).total == 22_400
    assert exact.settings(9_359) == {"lr": 0.01, "weight_decay": 1e-4}
    assert exact.settings(9_360) == {"lr": 0.001, "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("phases", "total", "said"),
    [
        ({}, 5, "starts at 0"),
        ({1: {"lr": 1.0}}, 5, "starts at 0"),
        ({0: {}, 5: {}, 3: {}}, 9, "later and later"),
        ({0: {}}, 0, "at least 1"),
    ],
)
def test_bad_regimes_are_refused(phases: dict[int, dict[str, float]], total: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Regime(phases=phases, total=total)


def test_bad_adaptations_are_refused() -> None:
    with pytest.raises(UsageError, match=">= 1, got 0.5"):
        adapt_regime(F1, 0.5)
    with pytest.raises(UsageError, match=">= 1, got nan"):
        adapt_regime(F1, float("nan"))
    with pytest.raises(UsageError, match="counts in updates already"):
        adapt_regime(F1.in_updates(3), 2)
    with pytest.raises(UsageError, match="at least 1 update"):
        F1.in_updates(0)


def test_the_scheduler_sets_every_group_at_the_right_update_and_resumes() -> None:
    def made() -> torch.optim.SGD:
        return torch.optim.SGD([{"params": [nn.Parameter(torch.ones(1))]}, {"params": [nn.Parameter(torch.ones(1))], "lr": 7.0}], lr=5.0)

    optimizer = made()
    scheduler = RegimeScheduler(optimizer, F1, updates_per_epoch=2)
    seen = []
    for _ in range(42):
        seen.append([(group["lr"], group["weight_decay"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert seen[0] == seen[19] == [(0.1, 1e-4)] * 2
    assert seen[20] == seen[39] == [(0.01, 1e-4)] * 2
    assert seen[40] == [(0.001, 0.0)] * 2
    again = made()
    resumed = RegimeScheduler(again, F1, updates_per_epoch=2)
    resumed.load_state_dict(torch.load(_saved(scheduler), weights_only=True))
    again.load_state_dict(optimizer.state_dict())
    again.step()
    resumed.step()
    assert again.param_groups[0]["lr"] == 0.001
    with pytest.raises(UsageError, match="updates_per_epoch"):
        RegimeScheduler(optimizer, F1)
    with pytest.raises(UsageError, match="SGD has no setting betas"):
        RegimeScheduler(optimizer, Regime(phases={0: {"betas": 1.0}}, total=1, unit="updates"))


def _saved(scheduler: RegimeScheduler):
    import io

    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    return file


def test_noise_gives_a_large_batch_the_step_variance_of_a_small_one() -> None:
    draws = torch.Generator().manual_seed(0)
    gradients = torch.randn(200_000, generator=draws, dtype=torch.float64)

    def variance(batch: int, std: float) -> float:
        means = [noisy_mean(part, std, draws) for part in gradients.split(batch) if len(part) == batch]
        return float(torch.stack(means).var())

    small, large, noisy = variance(16, 0.0), variance(128, 0.0), variance(128, noise_std(128, 16))
    assert small == pytest.approx(1 / 16, rel=0.05)
    assert large == pytest.approx(1 / 128, rel=0.1)
    assert noisy == pytest.approx(1 / 16, rel=0.12)


def test_noise_without_width_is_the_mean_and_bad_noise_is_refused() -> None:
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert noisy_mean(losses, 0.0) == 3.0
    assert noise_std(64, 64) == 0.0
    with pytest.raises(UsageError, match="at least as large"):
        noise_std(32, 64)
    for bad, std, said in ((torch.tensor(1.0), 1.0, "one loss an example"), (losses, -1.0, ">= 0"), (losses, float("nan"), ">= 0")):
        with pytest.raises(UsageError, match=said):
            noisy_mean(bad, std)


def test_the_nets_are_the_papers() -> None:
    net = BatchNormMLP(inputs=40).build(Seed("n"))
    assert [type(layer).__name__ for layer in net] == ["Linear", "BatchNorm1d", "ReLU"] * 3 + ["Linear"]
    assert sum(p.numel() for p in net.parameters()) == 40 * 256 + 256 + 2 * (256 * 256 + 256) + 3 * 512 + 256 * 10 + 10
    resnet = CifarResNet().build(Seed("r"))
    assert sum(isinstance(layer, (nn.Conv2d, nn.Linear)) for layer in resnet.modules()) == 44
    assert round(sum(p.numel() for p in resnet.parameters()) / 1e6, 2) == 0.66  # table 6 of He et al.: 0.66 M
    assert resnet(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    for bad in (lambda: CifarResNet(depth=45), lambda: BatchNormMLP(inputs=0)):
        with pytest.raises(ModelError):
            bad()


def test_crop_and_flip_moves_and_mirrors() -> None:
    x = torch.arange(48.0).view(1, 1, 6, 8).repeat(400, 1, 1, 1)
    same = crop_and_flip(x, torch.Generator().manual_seed(0), padding=0)
    flipped = (same[:, 0, 0, 0] == 7).float().mean()
    assert {float(one) for one in same[:, 0, 0, 0]} == {0.0, 7.0}
    assert 0.4 < flipped < 0.6
    moved = crop_and_flip(x + 1, torch.Generator().manual_seed(0), padding=2)
    assert moved.shape == x.shape
    # a pixel of the middle is in every cut, and each of 5 x 5 places and 2 sides occurs
    assert len({tuple(one.flatten().tolist()) for one in moved}) == 50
    assert ((moved == 28) | (moved == 29)).flatten(1).any(1).all()
    with pytest.raises(UsageError, match="images"):
        crop_and_flip(x[0], torch.Generator())
