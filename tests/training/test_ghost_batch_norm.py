"""Ghost batch norm: equal to a loop of ordinary batch norms over pieces, to batch norm where one group holds the batch, and to the closed form of its statistics."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import Tensor, nn

from genscope.core.errors import UsageError
from genscope.interventions.ghost_batch_norm import (
    GhostBatchNorm1d,
    GhostBatchNorm2d,
    GhostBatchNorm3d,
    convert_ghost_batchnorm,
    normalised_rows,
)

SHAPES = [
    (GhostBatchNorm1d, nn.BatchNorm1d, (14, 3)), (GhostBatchNorm1d, nn.BatchNorm1d, (14, 3, 5)), (GhostBatchNorm2d, nn.BatchNorm2d, (14, 3, 4, 2)),
    (GhostBatchNorm3d, nn.BatchNorm3d, (14, 3, 2, 2, 3)),
]  # fmt: skip


def rows(*shape: int, seed: int = 0) -> Tensor:
    return 2 + 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def affine(layer: nn.Module) -> nn.Module:
    """Weights that a wrong order of normalising and scaling would show."""
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, 3))
        layer.bias.copy_(torch.linspace(-1, 1, 3))
    return layer.double()


@pytest.mark.parametrize(("ghost", "plain", "shape"), SHAPES)
def test_it_is_batch_norm_on_every_piece_in_order_with_its_remainder(ghost: type, plain: type, shape: tuple[int, ...]) -> None:
    x, weight = rows(*shape), rows(*shape, seed=1)
    layer, reference = affine(ghost(3, ghost_size=4)), affine(plain(3))
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    out = layer(ours)
    expected = torch.cat([reference(theirs[at : at + 4]) for at in range(0, 14, 4)])  # groups of 4, 4, 4 and 2
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.equal(out, expected)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-12)
    for name, p in layer.named_parameters():
        assert torch.allclose(p.grad, dict(reference.named_parameters())[name].grad, atol=1e-12)
    for name, buffer in layer.named_buffers():
        assert torch.equal(buffer, dict(reference.named_buffers())[name])
    assert layer.num_batches_tracked == 4


def test_one_group_by_hand() -> None:
    layer = GhostBatchNorm1d(1, ghost_size=2, eps=1e-12, momentum=0.5)
    out = layer(torch.tensor([[0.0], [2.0], [10.0], [16.0]]))
    assert out.flatten().tolist() == pytest.approx([-1.0, 1.0, -1.0, 1.0])
    # means 1 and 13: ((0 + 1) / 2 + 13) / 2; unbiased variances 2 and 18: ((1 + 2) / 2 + 18) / 2
    assert (layer.running_mean.item(), layer.running_var.item()) == (6.75, 9.75)


@pytest.mark.parametrize(("ghost", "plain", "shape"), SHAPES)
@pytest.mark.parametrize("size", [14, 100])
@pytest.mark.parametrize("update", ["sequential", "mean"])
def test_a_group_that_holds_the_batch_is_batch_norm_exactly(
    ghost: type, plain: type, shape: tuple[int, ...], size: int, update: str
) -> None:
    layer, reference = affine(ghost(3, size, update)), affine(plain(3))
    for seed in range(3):
        assert torch.equal(layer(rows(*shape, seed=seed)), reference(rows(*shape, seed=seed)))
    for name, value in layer.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])


def test_sequential_statistics_follow_the_closed_form_and_mean_makes_one_update() -> None:
    x, m, groups = rows(32, 3), 0.1, 8
    pieces = x.split(4)
    means, variances = torch.stack([p.mean(0) for p in pieces]), torch.stack([p.var(0, correction=1) for p in pieces])
    decay = torch.tensor([m * (1 - m) ** (groups - g) for g in range(1, groups + 1)], dtype=torch.float64)[:, None]
    sequential, mean = GhostBatchNorm1d(3, 4).double(), GhostBatchNorm1d(3, 4, "mean").double()
    sequential(x), mean(x)
    assert torch.allclose(sequential.running_mean, (decay * means).sum(0), atol=1e-12)
    assert torch.allclose(sequential.running_var, (1 - m) ** groups + (decay * variances).sum(0), atol=1e-12)
    assert torch.allclose(mean.running_mean, m * means.mean(0), atol=1e-12)
    assert torch.allclose(mean.running_var, (1 - m) + m * variances.mean(0), atol=1e-12)
    assert (int(sequential.num_batches_tracked), int(mean.num_batches_tracked)) == (8, 1)


def test_mean_weighs_groups_by_their_rows_and_momentum_none_averages() -> None:
    x = rows(10, 3)
    layer = GhostBatchNorm1d(3, 4, "mean", momentum=None).double()
    layer(x)
    assert torch.allclose(layer.running_mean, x.mean(0), atol=1e-12)
    layer(x + 2)
    assert torch.allclose(layer.running_mean, x.mean(0) + 1, atol=1e-12)
    each = GhostBatchNorm1d(3, 5, momentum=None).double()
    each(x)
    assert torch.allclose(each.running_mean, x.mean(0), atol=1e-12)


def test_evaluation_knows_no_groups() -> None:
    layer, reference = GhostBatchNorm1d(3, 4).double(), nn.BatchNorm1d(3).double()
    layer(rows(32, 3))
    reference.load_state_dict(layer.state_dict())
    layer.eval(), reference.eval()
    for count in (1, 3, 32):
        assert torch.equal(layer(rows(count, 3)), reference(rows(count, 3)))


def test_without_running_statistics_groups_still_count_in_training() -> None:
    layer = GhostBatchNorm1d(3, 4, track_running_stats=False).double()
    x = rows(8, 3)
    pieces = torch.cat([nn.BatchNorm1d(3, track_running_stats=False).double()(p) for p in x.split(4)])
    assert torch.equal(layer(x), pieces)


def test_gradients_are_right_and_half_precision_and_channels_last_pass() -> None:
    layer = GhostBatchNorm1d(2, 3).double()
    assert torch.autograd.gradcheck(layer, (rows(8, 2).requires_grad_(),))
    half = GhostBatchNorm2d(3, 4)(rows(8, 3, 2, 2).bfloat16())
    assert half.dtype == torch.bfloat16
    last = GhostBatchNorm2d(3, 4).double()(rows(8, 3, 2, 2).contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(last, GhostBatchNorm2d(3, 4).double()(rows(8, 3, 2, 2)), atol=1e-12)


@pytest.mark.parametrize("count", [1, 5, 9])
def test_a_last_group_of_one_value_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=r"has 1 value per channel.*drop_last=True"):
        GhostBatchNorm1d(3, 4)(torch.zeros(count, 3))
    GhostBatchNorm2d(3, 4)(torch.zeros(count, 3, 2, 1))  # two places make two values


def test_bad_settings_are_refused() -> None:
    for size in (1, 0, -4, 2.5, True):
        with pytest.raises(UsageError, match="at least 2"):
            GhostBatchNorm1d(3, size)  # pyright: ignore[reportArgumentType]
        with pytest.raises(UsageError, match="at least 2"):
            convert_ghost_batchnorm(nn.BatchNorm1d(3), size)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="sequential .* or mean"):
        GhostBatchNorm1d(3, 4, "last")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="0 value"):
        GhostBatchNorm1d(3, 4)(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="expected 4D input"):
        GhostBatchNorm2d(3, 4)(torch.zeros(8, 3))


def test_a_converted_model_keeps_its_parameters_its_optimizer_and_its_names() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Sequential(nn.Linear(12, 4), nn.BatchNorm1d(4)))
    net.append(net[3][1])  # the same layer in two places
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    held, names = [id(p) for p in net.parameters()], list(net.state_dict())
    looped = copy.deepcopy(net)
    assert convert_ghost_batchnorm(net, 4) == 2
    assert [id(p) for p in net.parameters()] == held
    assert list(net.state_dict()) == names
    assert isinstance(net[1], GhostBatchNorm2d)
    assert net[4] is net[3][1]
    before = net[1].weight.clone()
    net(torch.randn(8, 1, 2, 2)).pow(3).sum().backward()
    optimizer.step()
    assert not torch.equal(net[1].weight, before)
    looped.load_state_dict(net.state_dict())
    assert torch.equal(looped.eval()(torch.ones(2, 1, 2, 2)), net.eval()(torch.ones(2, 1, 2, 2)))
    assert normalised_rows(net, 16) == {"1": 4, "3.1": 4}
    assert convert_ghost_batchnorm(net, 8, "mean") == 2
    assert (net[1].ghost_size, net[1].running_update) == (8, "mean")
    alone = nn.BatchNorm1d(3)
    assert convert_ghost_batchnorm(alone, 4) == 1
    assert isinstance(alone, GhostBatchNorm1d)


def test_nothing_to_convert_is_a_warning_that_names_what_was_left() -> None:
    with pytest.warns(UserWarning, match="no BatchNorm1d"):
        assert convert_ghost_batchnorm(nn.Linear(2, 2)) == 0
    with pytest.warns(UserWarning, match=r"Left as they are: 0 \(SyncBatchNorm\)"):
        assert convert_ghost_batchnorm(nn.Sequential(nn.SyncBatchNorm(3))) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_ghost_batchnorm(nn.BatchNorm1d(3))


def test_accumulating_gradients_over_micro_batches_is_ghost_batch_norm() -> None:
    x, y = rows(16, 5), rows(16, 2, seed=3)
    ordinary = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    ghost = copy.deepcopy(ordinary)
    convert_ghost_batchnorm(ghost, 4)
    for at in range(0, 16, 4):
        (nn.functional.mse_loss(ordinary(x[at : at + 4]), y[at : at + 4]) / 4).backward()
    nn.functional.mse_loss(ghost(x), y).backward()
    for one, two in zip(ordinary.parameters(), ghost.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, atol=1e-12)
