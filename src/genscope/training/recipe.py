"""Recipe: everything that decides how a classifier is trained, as a value; its canonical form is the key of the trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.models.nets import Net
from genscope.training.attacks import Attack


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """SGD (momentum, weight decay) or Adam, constant learning rate."""

    kind: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("sgd", "adam"):
            raise UsageError(f"optimizer: kind must be sgd or adam, got {self.kind!r}")
        if self.lr < 0 or not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise UsageError(f"optimizer: lr and weight_decay must be >= 0, momentum in [0, 1); got {self}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """When training ends before its last update: measured on the whole training set every `every` updates. Either may be None."""

    every: int = 500
    loss_below: float | None = None
    accuracy_at_least: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A classifier's training, or one link of a chain of them (pretrain, then fine-tune). after: the link before, whose weights it starts from; data: what identifies the training set (plain JSON or a dataclass); adversary: perturbs every batch, its radius raised
    linearly from 0 over the first `ramp` of the updates; seed: draws the weights and the order of the rows.
    """

    net: Net
    data: Any
    optimizer: Optimizer
    updates: int
    seed: Seed
    batch: int = 256
    stop: Stop = Stop()
    adversary: Attack | None = None
    ramp: float = 0.5
    after: Recipe | None = None

    def __post_init__(self) -> None:
        if self.updates < 0 or self.batch < 1:
            raise UsageError(f"recipe: updates >= 0 and batch >= 1 are needed, got {self.updates} and {self.batch}")
        if self.after is not None and self.after.net != self.net:
            raise UsageError(f"recipe: it goes on from the weights of {self.after.net}, which do not fit {self.net}")

    def plain(self) -> dict[str, Any]:
        """Canonical form, for keys."""
        return plain(self)


def plain(value: Any) -> Any:
    """A value of dataclasses, mappings and sequences as plain JSON; a dataclass carries its class's name.

    >>> plain(Stop(every=10))
    {'is': 'Stop', 'every': 10, 'loss_below': None, 'accuracy_at_least': None}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__} | {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value
