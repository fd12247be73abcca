"""Fully connected net with batch norm after every hidden layer, as a value: the F1 pattern of Hoffer, Hubara & Soudry 2017."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import nn

from genscope.core.errors import ModelError
from genscope.core.seeds import Seed
from genscope.models.nets import drawn_from


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchNormMLP:
    """`depth` hidden layers of `width`, each linear, BatchNorm1d, ReLU; linear output."""

    inputs: int
    width: int = 256
    depth: int = 3
    outputs: int = 10

    def __post_init__(self) -> None:
        if min(self.inputs, self.width, self.depth, self.outputs) < 1:
            raise ModelError(f"BatchNormMLP: sizes must be positive, got {self}")

    def build(self, seed: Seed) -> nn.Module:
        """Linear, BatchNorm1d, ReLU, ..., Linear."""
        with drawn_from(seed):
            sizes = [self.inputs, *[self.width] * self.depth]
            layers: list[nn.Module] = []
            for one, two in itertools.pairwise(sizes):
                layers += [nn.Linear(one, two), nn.BatchNorm1d(two), nn.ReLU()]
            return nn.Sequential(*layers, nn.Linear(sizes[-1], self.outputs))
