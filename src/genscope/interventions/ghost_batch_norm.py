"""Ghost batch normalization: a large batch is normalised in groups of `ghost_size` successive rows, as small batches would be.

Training: y = gamma (x - mean_g) / sqrt(var_g + eps) + beta, mean_g and the biased var_g over group g's rows and places, gamma and beta shared. Evaluation:
ordinary batch norm. Running statistics: run <- (1 - m) run + m stat_g for each group in order, so that after G groups
run = (1 - m)^G run_0 + sum_g m (1 - m)^(G - g) stat_g, as if every group had been a batch; or one update with the groups' mean.
Source: Hoffer, Hubara & Soudry 2017 (arXiv 1705.08741), section 4 and algorithm 1.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from genscope.core.errors import UsageError

RunningUpdate = Literal["sequential", "mean"]


class _Ghost:
    """What the three layers share, above a batch norm of PyTorch. Rows must come in random order, or the groups leak what orders them.

    ghost_size >= 2. A batch that it does not divide ends in a smaller group, which needs 2 values per channel; a batch of at most `ghost_size` rows is ordinary
    batch norm exactly. Gradient accumulation with ordinary batch norm is the same thing with ghost_size = micro-batch. Over several devices the groups are
    each device's own: do not convert to SyncBatchNorm, which would join them.
    """

    ghost_size: int
    running_update: RunningUpdate

    def __init__(self, num_features: int, ghost_size: int = 128, running_update: RunningUpdate = "sequential", **batch_norm: Any) -> None:
        _check(ghost_size, running_update)
        super().__init__(num_features, **batch_norm)  # pyright: ignore[reportCallIssue]
        self.ghost_size, self.running_update = ghost_size, running_update

    def forward(self, input: Tensor) -> Tensor:
        """Same shape as the input: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), by layer."""
        layer: Any = self
        layer._check_input_dim(input)
        if not layer.training:
            return super().forward(input)  # pyright: ignore[reportAttributeAccessIssue]
        groups = input.split(self.ghost_size) if len(input) else ()
        smallest = groups[-1].numel() // input.shape[1] if groups and input.shape[1] else 0
        if smallest < 2:
            raise UsageError(
                f"{type(self).__name__}: the last group of this batch of {len(input)} rows (ghost_size {self.ghost_size}) has {smallest} value per channel, and a "
                "variance needs 2. Leave the last, smaller batch out (DataLoader: drop_last=True) or choose a ghost_size that divides the batch"
            )
        if len(groups) == 1:
            return super().forward(input)  # pyright: ignore[reportAttributeAccessIssue]
        if not layer.track_running_stats:
            return torch.cat([functional.batch_norm(rows, None, None, layer.weight, layer.bias, True, 0.0, layer.eps) for rows in groups])
        if self.running_update == "sequential":
            return torch.cat([super(_Ghost, self).forward(rows) for rows in groups])  # pyright: ignore[reportAttributeAccessIssue]
        return self._normalised_at_once(groups, len(input))

    def _normalised_at_once(self, groups: tuple[Tensor, ...], rows: int) -> Tensor:
        """Normalise the groups and update the running statistics once, with the mean of the groups' (weighted by their rows)."""
        layer: Any = self
        layer.num_batches_tracked.add_(1)
        m = 1.0 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        mean, variance = torch.zeros_like(layer.running_mean), torch.zeros_like(layer.running_var)
        out = []
        for group in groups:
            one = torch.zeros_like(mean), torch.ones_like(variance)
            out.append(functional.batch_norm(group, *one, layer.weight, layer.bias, True, 1.0, layer.eps))
            mean.add_(one[0], alpha=len(group) / rows)
            variance.add_(one[1], alpha=len(group) / rows)
        layer.running_mean.lerp_(mean, m)
        layer.running_var.lerp_(variance, m)
        return torch.cat(out)

    def extra_repr(self) -> str:
        """The batch norm's settings and the groups'."""
        return f"{super().extra_repr()}, ghost_size={self.ghost_size}, running_update={self.running_update}"  # pyright: ignore[reportAttributeAccessIssue]


class GhostBatchNorm1d(_Ghost, nn.BatchNorm1d):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Ghost batch norm of (N, C) or (N, C, L)."""


class GhostBatchNorm2d(_Ghost, nn.BatchNorm2d):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Ghost batch norm of (N, C, H, W)."""


class GhostBatchNorm3d(_Ghost, nn.BatchNorm3d):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Ghost batch norm of (N, C, D, H, W)."""


_GHOST_OF = {nn.BatchNorm1d: GhostBatchNorm1d, nn.BatchNorm2d: GhostBatchNorm2d, nn.BatchNorm3d: GhostBatchNorm3d}


def convert_ghost_batchnorm(module: nn.Module, ghost_size: int = 128, running_update: RunningUpdate = "sequential") -> int:
    """Turn every BatchNorm1d/2d/3d of a model into its ghost, in place; returns how many (0 with a warning).

    The layers stay the same objects: parameters, buffers, hooks, whatever an optimizer holds, and the names in the state dict do not change. Ghost layers that
    are there already get the new settings and count. Layers derived from batch norm (SyncBatchNorm among them) are left as they are.
    """
    _check(ghost_size, running_update)
    converted, left = 0, []
    for name, layer in module.named_modules():
        ghost = _GHOST_OF.get(type(layer))  # pyright: ignore[reportArgumentType]
        if ghost is not None:
            layer.__class__ = ghost
        if isinstance(layer, _Ghost):
            layer.ghost_size, layer.running_update = ghost_size, running_update
            converted += 1
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            left.append(f"{name or 'the module itself'} ({type(layer).__name__})")
    if not converted:
        said = (
            f" Left as they are: {', '.join(left[:5])}."
            if left
            else " A model without batch norm has nothing to convert; learning-rate and regime rules still apply."
        )
        warnings.warn(f"no BatchNorm1d, BatchNorm2d or BatchNorm3d found.{said}", UserWarning, stacklevel=2)  # fmt: skip
    return converted


def normalised_rows(module: nn.Module, micro_batch: int) -> dict[str, int]:
    """Rows that each batch norm of the model really normalises together in training, by layer name. micro_batch: rows of one forward pass, so that gradient
    accumulation with ordinary batch norm is seen for what it is: ghost batch norm with ghost_size = micro_batch.

    >>> normalised_rows(nn.Sequential(nn.BatchNorm1d(3), GhostBatchNorm1d(3, 16)), micro_batch=64)
    {'0': 64, '1': 16}
    """
    layers = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm))
    return {name: min(micro_batch, layer.ghost_size) if isinstance(layer, _Ghost) else micro_batch for name, layer in layers}


def _check(ghost_size: int, running_update: str) -> None:
    if not isinstance(ghost_size, int) or isinstance(ghost_size, bool) or ghost_size < 2:
        raise UsageError(f"ghost_size is a number of rows, at least 2 (one row has no variance); got {ghost_size!r}")
    if running_update not in get_args(RunningUpdate):
        raise UsageError(
            f"running_update must be sequential (one update a group, in order) or mean (one update a batch); got {running_update!r}"
        )
