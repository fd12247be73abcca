"""Residual network for 32 x 32 images (He et al. 2016, section 4.2) as a value: depth 6 n + 2, three stages of n basic blocks with 16, 32 and 64 channels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from genscope.core.errors import ModelError
from genscope.core.seeds import Seed
from genscope.models.nets import drawn_from


@dataclass(frozen=True, kw_only=True, slots=True)
class CifarResNet:
    """ResNet-44 by default. Input (N, channels, height, width)."""

    depth: int = 44
    channels: int = 3
    outputs: int = 10
    widths: tuple[int, int, int] = (16, 32, 64)

    def __post_init__(self) -> None:
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ModelError(f"CifarResNet: depth is 6 n + 2 (8, 14, 20, 32, 44, ...), got {self.depth}")
        if min(self.channels, self.outputs, *self.widths) < 1:
            raise ModelError(f"CifarResNet: sizes must be positive, got {self}")

    def build(self, seed: Seed) -> nn.Module:
        """The module, weights drawn as in the paper (He normal)."""
        with drawn_from(seed):
            first = self.widths[0]
            layers: list[nn.Module] = [nn.Conv2d(self.channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU()]
            before = first
            for stage, width in enumerate(self.widths):
                for place in range((self.depth - 2) // 6):
                    layers.append(_Basic(before, width, stride=2 if stage and not place else 1))
                    before = width
            net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, self.outputs))
            for layer in net.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        return net


class _Basic(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut without parameters: every second place, new channels zero."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride, self.grown = stride, width - inputs
        self.one, self.two = nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H / stride, W / stride)."""
        out = self.norm_two(self.two(functional.relu(self.norm_one(self.one(x)))))
        short = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grown))
        return functional.relu(out + short)
