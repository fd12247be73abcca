"""Crop and flip: the usual augmentation of small images. Each is padded, cut out again at a random place, and mirrored half of the time.

As in Hoffer, Hubara & Soudry 2017 for CIFAR (padding 4). Not for digits: a mirrored digit is another sign.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from genscope.core.errors import UsageError

# N images, C channels, H height, W width


def crop_and_flip(x_NCHW: Float[Tensor, "N C H W"], draws: torch.Generator, padding: int = 4) -> Float[Tensor, "N C H W"]:
    """Images of the same shape, zeros where the cut reaches over the edge. `draws` gives the places and the flips."""
    if x_NCHW.ndim != 4 or padding < 0:
        raise UsageError(f"crop and flip needs images (N, C, H, W) and padding >= 0, got shape {tuple(x_NCHW.shape)} and {padding}")
    n, _, height, width = x_NCHW.shape
    padded = functional.pad(x_NCHW, (padding,) * 4).permute(0, 2, 3, 1)
    down, right = (torch.randint(0, 2 * padding + 1, (n, 1, 1), generator=draws) for _ in range(2))
    rows, columns = down + torch.arange(height)[:, None], right + torch.arange(width)
    cut = padded[torch.arange(n)[:, None, None], rows, columns].permute(0, 3, 1, 2)
    return torch.where(torch.rand(n, 1, 1, 1, generator=draws) < 0.5, cut.flip(3), cut)
