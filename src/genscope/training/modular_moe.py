"""Training a small mixture of experts on modular arithmetic until it groks: accuracy of every domain on a fixed grid of steps, routing at checkpoints spaced in log t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from genscope.core.errors import TrainingError, UsageError
from genscope.core.seeds import Seed
from genscope.models.routers import find_routers, read_routing
from genscope.models.tiny_moe import TinyMoE
from genscope.tasks.modular_ops import ModularOps, Rows


@dataclass(frozen=True, kw_only=True, slots=True)
class MoECourse:
    """AdamW (0.9, 0.98), weight decay on matrices alone, gradient norm at most `clip`, and Switch's balancing loss. The learning rate rises over `warmup` updates and falls to
    0 over the last share `decay` of them. every: updates between two evaluations; checkpoints: looks at the routing of `probe` training rows of each domain (fewer where the
    smallest has fewer), the first after `first` updates.
    """

    steps: int = 10_000
    batch: int = 512
    lr: float = 1e-3
    weight_decay: float = 4.0
    warmup: int = 10
    decay: float = 0.5
    clip: float = math.inf
    balance: float = 0.01
    every: int = 50
    checkpoints: int = 96
    first: int = 20
    probe: int = 128

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.batch, self.warmup, self.every, self.probe, self.first) < 1
            or self.checkpoints < 3
            or self.first > self.steps
        ):
            raise UsageError(f"a course has positive sizes, at least 3 checkpoints, and a first one within its steps; got {self}")
        if not 0 <= self.decay <= 1 or self.clip <= 0:
            raise UsageError(f"a course has decay in [0, 1] and clip > 0; got {self}")

    def rate(self, step: int) -> float:
        """Share of the learning rate at update `step`, from 1 to `steps`.

        >>> [MoECourse(steps=100).rate(step) for step in (1, 10, 50, 76, 100)]
        [0.1, 1.0, 1.0, 0.5, 0.02]
        """
        left = (self.steps - step + 1) / (self.decay * self.steps) if self.decay else 1.0
        return min(1.0, step / self.warmup, left)

    @property
    def looks(self) -> tuple[int, ...]:
        """Checkpoints: at most `checkpoints` different steps, evenly spaced in log t, the last included.

        >>> MoECourse(steps=2000, checkpoints=3, first=20).looks
        (20, 200, 2000)
        """
        return tuple(sorted({round(one) for one in np.geomspace(self.first, self.steps, self.checkpoints).tolist()}))


def train_modular(task: ModularOps, shape: TinyMoE, course: MoECourse, seed: Seed) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays: steps [S], train and test accuracy [S, domains] on the grid; checkpoints [C], loss [C, domains, probe] (nats), routing [C, domains, probe, L, K], train_loss
    and test_accuracy at checkpoints [C, domains]. TrainingError where the loss is no number.
    """
    train, test = task.make(seed.child("task"))
    net = shape.build(seed.child("weights"))
    optimizer = optimizer_of(net, course)
    count = min(course.probe, int(np.bincount(train.domain).min()))
    chosen = [_probe(train, place, count, seed.child("probe", name)) for place, name in enumerate(task.names)]
    tokens, answers = torch.from_numpy(train.tokens).long(), torch.from_numpy(train.answers).long()
    grid, looks = (
        set(range(course.every, course.steps + 1, course.every)) | {course.steps},
        set(course.looks),
    )
    rng, order = seed.child("order").rng(), np.zeros(0, dtype=int)
    evaluated: list[tuple[int, np.ndarray, np.ndarray]] = []
    seen: list[dict[str, Any]] = []
    for step in range(1, course.steps + 1):
        if len(order) < course.batch:
            order = np.concatenate([order, rng.permutation(len(tokens))])
        rows, order = order[: course.batch], order[course.batch :]
        for group in optimizer.param_groups:
            group["lr"] = course.lr * course.rate(step)
        loss = functional.cross_entropy(net(tokens[rows], last=True), answers[rows]) + course.balance * net.balance
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), course.clip)
        optimizer.step()
        if step in grid or step in looks:
            if not math.isfinite(float(loss.detach())):
                raise TrainingError(f"the training loss is no number after {step} updates (learning rate {course.lr})")
            _, right = _judged(net, test)
            losses, fitted = _judged(net, train)
            train_accuracy, test_accuracy, train_loss = _means(fitted, train), _means(right, test), _means(losses, train)
            if step in grid:
                evaluated.append((step, train_accuracy, test_accuracy))
            if step in looks:
                seen.append(
                    {
                        "step": step,
                        "loss": np.stack([losses[one] for one in chosen]),
                        "train_loss": train_loss,
                        "test_accuracy": test_accuracy,
                        "routing": routing_of(net, tokens, chosen),
                    }
                )
    arrays = {
        "steps": np.array([one[0] for one in evaluated]), "train": np.array([one[1] for one in evaluated]), "test": np.array([one[2] for one in evaluated]),
        "checkpoints": np.array([one["step"] for one in seen]), "loss": np.array([one["loss"] for one in seen]), "routing": np.array([one["routing"][0] for one in seen]),
        "anchors": np.array([one["routing"][1] for one in seen]), "train_loss": np.array([one["train_loss"] for one in seen]), "test_accuracy": np.array([one["test_accuracy"] for one in seen]),
    }  # fmt: skip
    return arrays, {"parameters": sum(one.numel() for one in net.parameters()), "rows": len(tokens)}


def optimizer_of(net: torch.nn.Module, course: MoECourse) -> torch.optim.Optimizer:
    """AdamW that decays matrices, and no bias."""
    named = list(net.named_parameters())  # the biases of the experts stand in one matrix, and are biases all the same
    matrices = [one for name, one in named if one.ndim >= 2 and not name.endswith("bias")]
    others = [one for name, one in named if one.ndim < 2 or name.endswith("bias")]
    groups = [{"params": matrices, "weight_decay": course.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=course.lr, betas=(0.9, 0.98), fused=True)


def _probe(train: Rows, domain: int, count: int, seed: Seed) -> np.ndarray:
    places = np.flatnonzero(train.domain == domain)
    return np.sort(seed.rng().choice(places, min(count, len(places)), replace=False))


def _means(values: np.ndarray, rows: Rows) -> np.ndarray:
    """Mean of each domain's rows."""
    return np.bincount(rows.domain, values) / np.bincount(rows.domain)


def _judged(net: torch.nn.Module, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(losses, whether right) of every row."""
    net.eval()
    with torch.no_grad():
        scores = net(torch.from_numpy(rows.tokens).long(), last=True)
        answers = torch.from_numpy(rows.answers).long()
        found = (
            functional.cross_entropy(scores, answers, reduction="none").double().numpy(),
            (scores.argmax(-1) == answers).double().numpy(),
        )
    net.train()
    return found


def routing_of(net: torch.nn.Module, tokens: torch.Tensor, chosen: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(routing weights [sets, rows, L, K], routers' rows [L, K, D]) of sets of rows of the same size."""
    routers = find_routers(net)
    found = [read_routing(net, tokens[one], routers=routers, chunk=512) for one in chosen]
    return np.stack([one.weights.astype(np.float32) for one in found]), found[0].anchors.astype(np.float32)
