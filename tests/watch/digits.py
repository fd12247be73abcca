"""Runs on the digits of scikit-learn: real data on which the answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from genscope.watch.monitor import Monitor


def data(wrong: float = 0.0, seed: int = 0, everywhere: bool = False) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """(x, labels, order of the rows, which labels are wrong). The last 597 rows of the order are a test with right labels, unless `everywhere`."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    pixels, digit = load_digits(return_X_y=True)
    order = rng.permutation(len(pixels))
    label, flipped = digit.copy(), rng.random(len(digit)) < wrong
    if not everywhere:
        flipped[order[1200:]] = False
    label[flipped] = (label[flipped] + rng.integers(1, 10, flipped.sum())) % 10
    return torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(label), order, flipped


def net(width: int = 128, scale: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """A net of two hidden layers, its first weights times `scale`."""
    made = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    with torch.no_grad():
        for one in made.parameters():
            one *= scale
    return made


def train(
    folder: Path | None, model: nn.Module, optimizer: Any, x: torch.Tensor, y: torch.Tensor, rows: Sequence[int] | np.ndarray, steps: int, batch: int, *, seed: int = 0, **monitor: Any,
) -> Monitor | None:  # fmt: skip
    """Train; under a monitor where there is a folder."""
    rng = np.random.default_rng(seed)
    watched = Monitor(folder, model, **monitor) if folder else None
    for _ in range(steps):
        chosen = np.asarray(rows)[rng.choice(len(rows), min(batch, len(rows)), replace=False)]
        loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watched:
            watched.step(rows=chosen)
    if watched:
        watched.close()
    return watched
