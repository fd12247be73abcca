"""Sinks of a `Monitor` for other loggers: TensorBoard, trackio, and whatever has W&B's `log(numbers, step=...)`. `Monitor(..., sinks=[tensorboard(writer)])`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Sink = Callable[[int, Mapping[str, float]], None]


def tensorboard(writer: Any, prefix: str = "genscope") -> Sink:
    """Numbers to a SummaryWriter (torch.utils.tensorboard or tensorboardX), as PREFIX/NAME."""

    def sink(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{prefix}/{name}", value, step)

    return sink


def wandb(run: Any, prefix: str = "genscope") -> Sink:
    """Numbers to a W&B run, or to anything with `log(numbers, step=...)`."""

    def sink(step: int, values: Mapping[str, float]) -> None:
        run.log({f"{prefix}/{name}": value for name, value in values.items()}, step=step)

    return sink


def trackio(module: Any, prefix: str = "genscope") -> Sink:
    """Numbers to trackio (the module, after `trackio.init`): it takes the numbers of one step at a time."""
    return wandb(module, prefix)
