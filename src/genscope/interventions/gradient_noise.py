"""Multiplicative gradient noise: each example's loss is weighted by z ~ N(1, s^2), so that a large batch steps as noisily as a small one.

The mean of B weighted gradients has covariance of about (1 + s^2) / B x E[g g'] (their mean being small beside their spread), so s^2 = B_L / B_S - 1 gives a
large batch the covariance of a small one. Source: Hoffer, Hubara & Soudry 2017 (arXiv 1705.08741), section 4, where s^2 is proportional to the ratio.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from genscope.core.errors import UsageError

# B examples


def noise_std(batch: int, base_batch: int) -> float:
    """s of the weights that make a batch step as a base batch does.

    >>> noise_std(640, 64)
    3.0
    """
    if base_batch < 1 or batch < base_batch:
        raise UsageError(
            f"gradient noise is for batches at least as large as the base batch (>= 1); got batch {batch} and base_batch {base_batch}"
        )
    return math.sqrt(batch / base_batch - 1)


def noisy_mean(losses_B: Float[Tensor, " B"], std: float, generator: torch.Generator | None = None) -> Float[Tensor, ""]:
    """Mean of z x loss with z ~ N(1, std^2) drawn for each example (on the losses' device): call backward() on it. std = 0 is the mean. Losses come from a
    loss with reduction="none".
    """
    if losses_B.ndim != 1 or not len(losses_B):
        raise UsageError(f'gradient noise needs one loss an example (reduction="none"), got shape {tuple(losses_B.shape)}')
    if not 0 <= std < math.inf:
        raise UsageError(f"the standard deviation of the weights must be >= 0, got {std}")
    z_B = 1 + std * torch.randn(len(losses_B), generator=generator, device=losses_B.device, dtype=losses_B.dtype)
    return (z_B * losses_B).mean()
