"""Adversarial perturbations by projected gradient ascent (Madry et al. 2018), in l_2 or l_inf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from genscope.core.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Attack:
    """Untargeted PGD on cross-entropy. eps: radius; step: length of one step, in units of x; iterations; noise: size of the random start; low, high: range of x."""

    norm: Literal["l2", "linf"]
    eps: float
    step: float
    iterations: int
    low: float
    high: float
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.norm not in ("l2", "linf"):
            raise UsageError(f"attack: norm must be l2 or linf, got {self.norm!r}")
        if self.eps < 0 or self.step <= 0 or self.iterations < 1 or self.low >= self.high:
            raise UsageError(f"attack: eps >= 0, step > 0, iterations >= 1 and low < high are needed, got {self}")

    def delta(self, net: nn.Module, x: Tensor, y: Tensor, *, scale: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """The perturbation of each row, with |delta| <= scale * eps and x + delta in [low, high]. Leaves the net's gradients as they were."""
        eps, step = self.eps * scale, self.step * scale
        delta = torch.zeros_like(x)
        if self.noise:
            delta = self.noise * torch.empty_like(x).uniform_(-1, 1, generator=generator)
        dims = tuple(range(1, x.ndim))
        for _ in range(self.iterations):
            delta.requires_grad_(True)
            loss = nn.functional.cross_entropy(net(x + delta), y, reduction="sum")
            (slope,) = torch.autograd.grad(loss, delta)
            with torch.no_grad():
                if self.norm == "l2":
                    delta = delta + step * slope / (slope.norm(dim=dims, keepdim=True) + 1e-10)
                    length = delta.norm(dim=dims, keepdim=True)
                    delta = delta * (eps / length.clamp_min(1e-12)).clamp_max(1.0)
                else:
                    delta = (delta + step * slope.sign()).clamp(-eps, eps)
                delta = (x + delta).clamp(self.low, self.high) - x
        return delta.detach()


def paper_l2(low: float, high: float) -> Attack:
    """The budget of Shah et al. 2020 for data in [low, high], R = high - low: eps 0.5 R, 20 steps of 0.05 R."""
    span = high - low
    return Attack(norm="l2", eps=0.5 * span, step=0.05 * span, iterations=20, low=low, high=high)
