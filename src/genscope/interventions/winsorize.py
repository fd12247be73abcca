"""Winsorized SGD: every coordinate of the per-example gradients is clipped to its c-th and (100 - c)-th percentile over the mini-batch.

Directions that few examples support are suppressed. Source: Chatterjee 2020, "Coherent Gradients" (arXiv 2002.10657), section 4.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genscope.core.errors import UsageError

# B examples


def winsorized_mean(g_B: Float[Tensor, "B ..."], c: float) -> Float[Tensor, "..."]:
    """Mean over the examples after clipping to the c-th and (100 - c)-th percentile ("nearest" rank, as numpy). c = 0 is the mean.

    >>> winsorized_mean(torch.tensor([[0.0], [1.0], [2.0], [3.0], [100.0]]), 25)
    tensor([2.])
    """
    if not 0 <= c <= 50:
        raise UsageError(f"c is a percentage in [0, 50], got {c}")
    b = len(g_B)
    low = round_half_even(c / 100 * (b - 1))
    high = round_half_even((100 - c) / 100 * (b - 1))
    if low == 0 and high == b - 1:
        return g_B.mean(0)
    least = g_B.topk(low + 1, dim=0, largest=False).values[-1]
    most = g_B.topk(b - high, dim=0, largest=True).values[-1]
    return g_B.clamp(least, most).mean(0)


def round_half_even(rank: float) -> int:
    """The rank that numpy's "nearest" percentile takes."""
    return round(rank)


class WinsorizedSGD(torch.optim.Optimizer):
    """SGD on winsorized gradients. Reads `grad_sample` of every parameter: the gradients of each example's own loss, shape (B, *parameter).

    No momentum. Weight decay is added after the clipping.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, c: float, weight_decay: float = 0.0) -> None:
        if not 0 <= c <= 50:
            raise UsageError(f"c is a percentage in [0, 50], got {c}")
        if lr < 0 or weight_decay < 0:
            raise UsageError(f"lr and weight_decay must be >= 0, got {lr} and {weight_decay}")
        super().__init__(params, {"lr": lr, "c": c, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update from every parameter's `grad_sample`."""
        for group in self.param_groups:
            for p in group["params"]:
                samples = getattr(p, "grad_sample", None)
                if samples is None:
                    raise UsageError(
                        "WinsorizedSGD needs per-example gradients: set p.grad_sample (genscope.measures.coherence.per_example_gradients gives them)"
                    )
                p.add_(winsorized_mean(samples, group["c"]) + group["weight_decay"] * p, alpha=-group["lr"])
