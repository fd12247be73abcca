"""Median of mini-batches: updates that a single mini-batch cannot push (Zielinski et al. 2020, "Weak and Strong Gradient Directions", arXiv 2003.07422).

M3: three micro-batches at the same weights, the coordinate-wise median of their gradients. RM3 (rolling): the median of the current and the two previous
mini-batch gradients, an update every step. RA3: as RM3 with the mean, the control for averaging over three batches. No momentum (unstable).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genscope.core.errors import UsageError


class _OfThree(torch.optim.Optimizer):
    """Keeps gradients of the last calls; abstract."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.0) -> None:
        if momentum:
            raise UsageError(f"{type(self).__name__} has no momentum (it is unstable with it), got {momentum}")
        if lr < 0 or weight_decay < 0:
            raise UsageError(f"lr and weight_decay must be >= 0, got {lr} and {weight_decay}")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    def _remember(self, p: nn.Parameter, weight_decay: float) -> list[Tensor]:
        """Add the parameter's gradient (weight decay included, before any median) to its last three."""
        if p.grad is None:
            raise UsageError(f"{type(self).__name__}: a parameter has no gradient; call backward() before step()")
        held = self.state[p].setdefault("last", [])
        held.append(p.grad.detach() + weight_decay * p.detach())
        del held[:-3]
        return held


def median_of_three(three: list[Tensor]) -> Tensor:
    """Coordinate-wise middle of a sort (sum - min - max would lose precision).

    >>> median_of_three([torch.tensor([1.0]), torch.tensor([1e9]), torch.tensor([2.0])])
    tensor([2.])
    """
    return torch.stack(three).sort(0).values[1]


class RM3(_OfThree):
    """Rolling median of three; the first update comes with the third gradient."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update from the current and the two previous gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                last = self._remember(p, group["weight_decay"])
                if len(last) == 3:
                    p.add_(median_of_three(last), alpha=-group["lr"])


class RA3(_OfThree):
    """Rolling average of three: the control for RM3."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update from the current and the two previous gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                last = self._remember(p, group["weight_decay"])
                if len(last) == 3:
                    p.add_(torch.stack(last).mean(0), alpha=-group["lr"])


class M3(_OfThree):
    """Median of three micro-batches: call backward() and step() three times at the same weights; every third call updates them."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Remember a micro-batch's gradient; with the third, update and begin anew."""
        for group in self.param_groups:
            for p in group["params"]:
                last = self._remember(p, group["weight_decay"])
                if len(last) == 3:
                    p.add_(median_of_three(last), alpha=-group["lr"])
                    last.clear()
