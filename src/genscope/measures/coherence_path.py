"""The coherence of a classifier's training set along its training, and along a random walk of the same step lengths.

Source: Chatterjee & Zielinski 2022 (arXiv 2203.10036), section on coherence along training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from genscope.core.seeds import Seed
from genscope.measures.coherence import classification, coherence
from genscope.models.nets import Net, generator
from genscope.training.loop import follow, logits_of, make_optimizer
from genscope.training.recipe import Optimizer


class CoherencePath:
    """A net in training on all rows, and what was seen of it at its checkpoints."""

    def __init__(self, net: Net, x: np.ndarray, y: np.ndarray, seed: Seed) -> None:
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.net = net.build(seed)
        self.steps: list[int] = []
        self.c: list[float] = []
        self.accuracy: list[float] = []
        self.correct: list[np.ndarray] = []
        self.share: list[np.ndarray] = []
        self.grad_sq: list[float] = []
        self._weights: list[torch.Tensor] = []

    def arrays(self) -> dict[str, np.ndarray]:
        """What was seen, checkpoints along the first axis."""
        return {
            "steps": np.array(self.steps), "m_coherence": np.array(self.c), "accuracy": np.array(self.accuracy), "correct": np.stack(self.correct),
            "share": np.stack(self.share).astype(np.float32), "grad_sq": np.array(self.grad_sq),
        }  # fmt: skip

    def train(self, lr: float, steps: int, at: Sequence[int], seed: Seed, until: float) -> int:
        """Plain SGD on batches of 50 until that training accuracy; returns the steps made."""
        optimizer = make_optimizer(Optimizer(lr=lr), list(self.net.parameters()))

        def update(x: torch.Tensor, y: torch.Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(self.net(x), y).backward()
            optimizer.step()

        def look(step: int) -> bool:
            return self._measure(step) >= until

        return follow(self.net, self.x, self.y, batch=50, steps=steps, seed=seed, update=update, look=look, at=at)

    def _measure(self, step: int) -> float:
        found = coherence(self.net, classification, {"x": self.x, "y": self.y}, per_example=True, chunk=len(self.x))
        correct = (logits_of(self.net, self.x).argmax(1) == self.y).numpy()
        self.steps.append(step)
        self.c.append(found.m_coherence)
        self.accuracy.append(float(correct.mean()))
        self.correct.append(correct)
        self.share.append(found.share)
        self.grad_sq.append(found.grad_sq)
        self._weights.append(torch.cat([p.detach().flatten() for p in self.net.parameters()]).clone())
        return self.accuracy[-1]

    def random_walk(self, seed: Seed, transient: int) -> float:
        """The rise of C (maximum after the transient's minimum, over that minimum; the transient is the first `transient` steps) for weights moved by random directions with the path's own step norms."""
        draw, place, values = generator(seed), self._weights[0].clone(), []
        for before, after in zip([self._weights[0], *self._weights], self._weights, strict=False):
            direction = torch.randn(len(place), generator=draw)
            place += direction / direction.norm() * (after - before).norm()
            torch.nn.utils.vector_to_parameters(place, self.net.parameters())
            values.append(coherence(self.net, classification, {"x": self.x, "y": self.y}, chunk=len(self.x)).m_coherence)
        torch.nn.utils.vector_to_parameters(self._weights[-1], self.net.parameters())
        c, early = np.array(values), np.array(self.steps) <= transient
        low_at = int(np.argmin(np.where(early, c, np.inf)))
        return float(c[low_at:].max() / c[low_at])
