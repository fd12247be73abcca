"""Training a small language model on a stream of whole documents, one a row: every document is its own context, nothing attends across.

AdamW, linear warm-up over `warmup` steps, then cosine to a share `floor` of the peak at the last step, gradient norm clipped. The model is looked at as training goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import nn
from torch.nn import functional

from genscope.core.errors import TrainingError, UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentCourse:
    """How a stream of documents is fitted."""

    steps: int
    lr: float = 1e-2
    warmup: int = 50
    floor: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.warmup < 0 or self.lr <= 0 or not 0 <= self.floor <= 1:
            raise UsageError(f"a course has steps >= 1, warmup >= 0, lr > 0 and floor in [0, 1]; got {self}")


def rate(step: int, course: DocumentCourse) -> float:
    """Share of the peak learning rate at a step from 1 to `steps`.

    >>> [round(rate(s, DocumentCourse(steps=150, warmup=50)), 3) for s in (25, 50, 100, 150)]
    [0.5, 1.0, 0.55, 0.1]
    """
    warmup = min(course.warmup, max(1, course.steps // 2))
    if step <= warmup:
        return step / warmup
    done = (step - warmup) / max(1, course.steps - warmup)
    return course.floor + (1 - course.floor) * 0.5 * (1 + math.cos(math.pi * done))


def fit_documents(
    net: nn.Module, batches: Iterable[Int[np.ndarray, "B T"]], course: DocumentCourse, looks: Iterable[int], look: Callable[[int], None]
) -> float:
    """Train `net` in place; returns the last training loss (nats a token). `look(step)` is called after the steps in `looks`, in evaluation mode.

    TrainingError when the loss is no number, or the stream ends before the last step.
    """
    optimizer = torch.optim.AdamW(net.parameters(), lr=course.lr, betas=course.betas, weight_decay=course.weight_decay, fused=True)
    wanted, step, loss = set(looks), 0, torch.tensor(math.nan)
    net.train()
    for step, batch in enumerate(batches, start=1):
        loss = next_token_losses(net, torch.from_numpy(batch)).mean()
        for group in optimizer.param_groups:
            group["lr"] = course.lr * rate(step, course)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), course.clip)
        optimizer.step()
        if step in wanted:
            net.eval()
            look(step)
            net.train()
        if step == course.steps:
            break
    value = float(loss.detach())
    if step < course.steps:
        raise TrainingError(f"the stream of documents ended after {step} of {course.steps} steps")
    if not math.isfinite(value):
        raise TrainingError(f"the training loss is {value} after {step} steps (learning rate {course.lr})")
    net.eval()
    return value


def next_token_losses(net: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (nats) of every token but the first, [B, T-1]."""
    logits = net(input_ids=tokens, use_cache=False).logits[:, :-1]
    return functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")


def log_spaced(steps: int, count: int = 20) -> tuple[int, ...]:
    """At most `count` different steps from 1 to `steps`, spaced evenly in the logarithm, the last included.

    >>> log_spaced(100, 5)
    (1, 3, 10, 32, 100)
    """
    return tuple(sorted({round(one) for one in np.geomspace(1, steps, count).tolist()}))
