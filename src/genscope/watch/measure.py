"""Measure: one instrument that looks at a run now and then, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

Data = Mapping[str, Tensor]
"""Named tensors with the examples along the first axis."""
Judge = Callable[[nn.Module, Data], tuple[Tensor, Tensor | None]]
"""(losses of every example, shape (B,); predicted labels, shape (B,), or None where the task has none). Differentiable in the losses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The fixed rows that are looked at again and again. splits: name -> data; the first is the training split; targets: split -> labels where there are some."""

    splits: Mapping[str, Data]
    judge: Judge
    chunk: int = 256

    @property
    def train(self) -> Data:
        """Data of the training split: the first."""
        return next(iter(self.splits.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a measure saw. values: name -> number ("SPLIT/quantity" or "quantity"); examples: split -> quantity -> one number a row of the sample."""

    values: Mapping[str, float]
    examples: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)


@runtime_checkable
class Measure(Protocol):
    """An instrument of a `Monitor`. It is called in evaluation mode; modes, buffers, gradients and random states are restored after it."""

    name: str

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        """Once, before the first step: remember what is needed, and refuse (UsageError, with names) what cannot be measured."""
        ...

    def look(self, net: nn.Module, step: int) -> Seen:
        """The net after `step` updates."""
        ...
