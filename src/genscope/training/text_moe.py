"""Training a small mixture of experts on domains of text in one pass: held-out bits per character of every domain, and routing of fixed training blocks, at checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from genscope.core.errors import TrainingError
from genscope.core.seeds import Seed
from genscope.models.tiny_moe import TinyMoE
from genscope.tasks.text_domains import TextDomain
from genscope.training.modular_moe import MoECourse, optimizer_of, routing_of

HELD_OUT = 128
"""Blocks of a domain, evenly spaced, on which bits per character are measured."""


def train_text(
    domains: Sequence[TextDomain], shape: TinyMoE, course: MoECourse, seed: Seed
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays at checkpoints: checkpoints [C], bits [C, domains] (held out, per character), train_loss [C, domains] (nats, of the probe), routing [C, domains, probe, L, K], anchors.

    Every block is seen once, in a random order; the course's `steps` are those of that pass, its `every` is not used.
    """
    blocks = np.concatenate([one.train.take(np.arange(one.train.count)) for one in domains])
    owner = np.repeat(np.arange(len(domains)), [one.train.count for one in domains])
    course = replace(course, steps=len(blocks) // course.batch)
    tokens = torch.from_numpy(blocks)
    chosen = [
        np.sort(seed.child("probe", one.name).rng().choice(np.flatnonzero(owner == place), course.probe, replace=False))
        for place, one in enumerate(domains)
    ]
    held_out = [
        torch.from_numpy(one.held_out.take(np.linspace(0, one.held_out.count - 1, min(HELD_OUT, one.held_out.count)).astype(int)))
        for one in domains
    ]
    net = shape.build(seed.child("weights"))
    optimizer, order, looks = optimizer_of(net, course), seed.child("order").rng().permutation(len(blocks)), set(course.looks)
    seen: list[dict[str, Any]] = []
    for step in range(1, course.steps + 1):
        batch = tokens[order[(step - 1) * course.batch : step * course.batch]]
        for group in optimizer.param_groups:
            group["lr"] = course.lr * course.rate(step)
        loss = _losses(net, batch).mean() + course.balance * net.balance
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), course.clip)
        optimizer.step()
        if step in looks:
            if not math.isfinite(float(loss.detach())):
                raise TrainingError(f"the training loss is no number after {step} updates (learning rate {course.lr})")
            net.eval()
            with torch.no_grad():
                bits = [float(_losses(net, one).mean()) / math.log(2) for one in held_out]
                losses = [float(_losses(net, tokens[one]).mean()) for one in chosen]
            net.train()
            seen.append({"step": step, "bits": bits, "train_loss": losses, "routing": routing_of(net, tokens[:, :-1], chosen)})
    arrays = {
        "checkpoints": np.array([one["step"] for one in seen]), "bits": np.array([one["bits"] for one in seen]), "train_loss": np.array([one["train_loss"] for one in seen]),
        "routing": np.array([one["routing"][0] for one in seen]), "anchors": np.array([one["routing"][1] for one in seen]),
    }  # fmt: skip
    return arrays, {"parameters": sum(one.numel() for one in net.parameters()), "blocks": len(blocks), "steps": course.steps}


def _losses(net: torch.nn.Module, blocks: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (nats) of every character but the first of each block."""
    return functional.cross_entropy(net(blocks[:, :-1]).transpose(1, 2), blocks[:, 1:], reduction="none")
