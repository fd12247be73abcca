"""Small networks as values: what to build, and the seed that draws its weights. PyTorch's default initialisation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from genscope.core.errors import ModelError, missing_extra
from genscope.core.seeds import Seed


class Net(Protocol):
    """A network as a value."""

    def build(self, seed: Seed) -> nn.Module:
        """The module, on the CPU, in training mode, with weights drawn from `seed`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MLP:
    """Fully connected: `depth` hidden ReLU layers of `width`, linear output. depth 0 is a linear model."""

    inputs: int
    width: int = 100
    depth: int = 2
    outputs: int = 2
    init: str = "default"
    """"default" (PyTorch's), or "xavier": normal with standard deviation sqrt(2 / (in + out)), zero bias."""

    def __post_init__(self) -> None:
        if min(self.inputs, self.width, self.outputs) < 1 or self.depth < 0:
            raise ModelError(f"MLP: sizes must be positive, got {self}")
        if self.init not in ("default", "xavier"):
            raise ModelError(f"MLP: init must be default or xavier, got {self.init!r}")

    def build(self, seed: Seed) -> nn.Module:
        """Linear, ReLU, ..., Linear."""
        with drawn_from(seed):
            sizes = [self.inputs, *[self.width] * self.depth]
            layers: list[nn.Module] = []
            for one, two in itertools.pairwise(sizes):
                layers += [nn.Linear(one, two), nn.ReLU()]
            net = nn.Sequential(*layers, nn.Linear(sizes[-1], self.outputs))
            if self.init == "xavier":
                for layer in net:
                    if isinstance(layer, nn.Linear):
                        nn.init.xavier_normal_(layer.weight)
                        nn.init.zeros_(layer.bias)
        return net


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallConv:
    """LeNet-like: two 5x5 convolutions (6 and 16 channels), each with ReLU and max-pool 2, then dense 120, 84, outputs. Input (N, 1, height, width) or (N, height, width)."""

    height: int = 56
    width: int = 28
    outputs: int = 2

    def build(self, seed: Seed) -> nn.Module:
        """The module."""
        rows, columns = (((side - 4) // 2 - 4) // 2 for side in (self.height, self.width))
        if min(rows, columns) < 1:
            raise ModelError(f"SmallConv: images must be at least 16 x 16, got {self.height} x {self.width}")
        with drawn_from(seed):
            net = nn.Sequential(
                nn.Unflatten(1, (1, self.height)), nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(16 * rows * columns, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, self.outputs),
            )  # fmt: skip
        return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # 1.7 times as fast on a CPU


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet:
    """ResNet with bottleneck blocks (He et al. 2016) as in transformers; the default is ResNet-50. Input (N, channels, height, width)."""

    channels: int = 3
    outputs: int = 2
    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (256, 512, 1024, 2048)

    def build(self, seed: Seed) -> nn.Module:
        """The module; needs the extra hf."""
        try:
            from transformers import ResNetConfig, ResNetForImageClassification
        except ImportError as error:
            raise missing_extra("ResNet is that of transformers", "hf") from error
        with drawn_from(seed):
            config = ResNetConfig(num_channels=self.channels, depths=list(self.depths), hidden_sizes=list(self.widths))
            config.num_labels = self.outputs
            return _Logits(ResNetForImageClassification(config))


class _Logits(nn.Module):
    """A model of transformers as a plain net: pixels in, logits out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, outputs)."""
        return self.model(pixel_values=x).logits


class drawn_from:  # noqa: N801
    """Context in which PyTorch's random numbers come from a seed; the state outside is left as it was."""

    def __init__(self, seed: Seed) -> None:
        self._fork, self._seed = torch.random.fork_rng(devices=[]), seed

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed.integer(63))

    def __exit__(self, *error: object) -> None:
        self._fork.__exit__(None, None, None)


def generator(seed: Seed) -> torch.Generator:
    """A PyTorch generator of its own for a seed."""
    made = torch.Generator()
    made.manual_seed(seed.integer(63))
    return made
