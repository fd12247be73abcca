"""Learning rates and schedules for large batches: scale the rate with the batch, and stretch the schedule so that the number of updates stays.

A step has covariance of about (lr^2 / B) x that of the gradients, so lr_L = lr_S sqrt(B_L / B_S) keeps it. Regime adaptation: with factor q = B_L / B_S
the epochs of the schedule and their number grow q-fold. Source: Hoffer, Hubara & Soudry 2017 (arXiv 1705.08741), sections 4 and 5.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch.optim.lr_scheduler import LRScheduler

from genscope.core.errors import UsageError

Rule = Literal["sqrt", "linear", "none"]


def scale_lr(lr: float, batch: int, base_batch: int, rule: Rule = "sqrt") -> float:
    """The learning rate at `batch` rows of one that suits `base_batch` rows. sqrt: Hoffer et al.; linear: Goyal et al. 2017, another rule.

    >>> scale_lr(0.1, 1024, 64), scale_lr(0.1, 1024, 64, "linear"), scale_lr(0.1, 1024, 64, "none")
    (0.4, 1.6, 0.1)
    """
    if rule not in get_args(Rule):
        raise UsageError(f"learning-rate rule must be sqrt, linear or none; got {rule!r}")
    if min(batch, base_batch) < 1:
        raise UsageError(f"a batch has at least 1 row, got batch {batch} and base_batch {base_batch}")
    ratio = batch / base_batch
    return lr * {"sqrt": math.sqrt(ratio), "linear": ratio, "none": 1.0}[rule]


@dataclass(frozen=True, kw_only=True, slots=True)
class Regime:
    """A schedule as the paper writes it. phases: {0: {"lr": .1}, 20: {"lr": .01}}, settings that hold from that epoch (or update) on; total: where training ends."""

    phases: Mapping[int, Mapping[str, float]]
    total: int
    unit: Literal["epochs", "updates"] = "epochs"

    def __post_init__(self) -> None:
        starts = list(self.phases)
        if not starts or starts[0] != 0:
            raise UsageError(f"regime: the first phase starts at 0; got {starts}")
        if any(two <= one for one, two in itertools.pairwise(starts)):
            raise UsageError(f"regime: phases must start later and later; got {starts}")
        if self.total < 1 or self.unit not in ("epochs", "updates"):
            raise UsageError(f"regime: total must be at least 1 and unit epochs or updates; got {self.total} {self.unit!r}")

    def settings(self, at: int) -> dict[str, float]:
        """Everything that holds at that epoch (or update): what a phase does not name stays as the phase before left it.

        >>> Regime(phases={0: {"lr": 0.1, "weight_decay": 1e-4}, 20: {"lr": 0.01}}, total=40).settings(25)
        {'lr': 0.01, 'weight_decay': 0.0001}
        """
        found: dict[str, float] = {}
        for start, settings in self.phases.items():
            if start <= at:
                found |= settings
        return found

    def in_updates(self, updates_per_epoch: int) -> Regime:
        """The same schedule counted in updates."""
        if self.unit == "updates":
            return self
        if updates_per_epoch < 1:
            raise UsageError(f"regime: an epoch has at least 1 update, got {updates_per_epoch}")
        phases = {start * updates_per_epoch: settings for start, settings in self.phases.items()}
        return Regime(phases=phases, total=self.total * updates_per_epoch, unit="updates")


def adapt_regime(regime: Regime, factor: float, updates: int | None = None) -> Regime:
    """The regime for a batch `factor` times as large. By epochs, as the authors' code: every epoch times ceil(factor), so that the number of updates is about the
    same. Exactly, with `updates`, those of one epoch of the small-batch run: the result counts in updates and is the small-batch run's own.

    >>> adapt_regime(Regime(phases={0: {"lr": 0.1}, 20: {"lr": 0.01}}, total=40), 15.5)
    Regime(phases={0: {'lr': 0.1}, 320: {'lr': 0.01}}, total=640, unit='epochs')
    """
    if not factor >= 1:
        raise UsageError(f"regime adaptation is for batches at least as large as the base batch: the factor must be >= 1, got {factor}")
    if updates is not None:
        return regime.in_updates(updates)
    if regime.unit != "epochs":
        raise UsageError("this regime counts in updates already: it holds for every batch size as it is")
    q = math.ceil(factor)
    return Regime(phases={start * q: settings for start, settings in regime.phases.items()}, total=regime.total * q)


class RegimeScheduler(LRScheduler):
    """Carries a regime out on any optimizer of PyTorch: call `step()` after every update. Sets lr, and whatever else the regime names (weight_decay,
    momentum), alike in all parameter groups. The optimizer's momentum buffers go on; the authors' code loses them where a phase names the optimizer again.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, regime: Regime, updates_per_epoch: int | None = None, last_epoch: int = -1
    ) -> None:
        if regime.unit == "epochs" and updates_per_epoch is None:
            raise UsageError("this regime counts in epochs: say how many updates an epoch has (updates_per_epoch=len(loader))")
        counted = regime.in_updates(updates_per_epoch or 1)
        named = {name for settings in counted.phases.values() for name in settings}
        unknown = sorted(named - set(optimizer.param_groups[0]))
        if unknown:
            raise UsageError(f"regime: {type(optimizer).__name__} has no setting {', '.join(unknown)}; it has {', '.join(sorted(set(optimizer.param_groups[0]) - {'params'}))}")  # fmt: skip
        self._phases = {start: dict(settings) for start, settings in counted.phases.items()}
        self._total = counted.total
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The learning rate of each group at this update; other settings are set on the way."""
        now = Regime(phases=self._phases, total=self._total, unit="updates").settings(self.last_epoch)
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        for group in groups:
            group.update({name: value for name, value in now.items() if name != "lr"})
        return [now.get("lr", group["lr"]) for group in groups]
