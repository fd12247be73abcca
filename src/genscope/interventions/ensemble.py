"""Ensembles of independently trained models: outputs averaged, or stacked by a linear model or a small net fitted on the training outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed

Predict = Callable[[np.ndarray], np.ndarray]


def average(members: Sequence[Predict]) -> Predict:
    """Mean of the members' logits."""
    if not members:
        raise UsageError("an ensemble has at least one member")
    return lambda x: np.mean([member(x) for member in members], axis=0)


def linear_stack(members: Sequence[Predict], x: np.ndarray, y: Int[np.ndarray, " N"], penalty: float = 1e-3) -> Predict:
    """Logistic regression on the members' logit differences, fitted on training rows (ridge `penalty` per row)."""
    features, sign = _differences(members, x).astype(float), np.where(y == 1, 1.0, -1.0)

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = sign * (features @ w[:-1] + w[-1])
        pull = -sign * expit(-z) / len(sign)
        return float(-log_expit(z).mean() + penalty * (w[:-1] ** 2).sum()), np.append(features.T @ pull + 2 * penalty * w[:-1], pull.sum())

    w = minimize(objective, np.zeros(len(members) + 1), jac=True, method="L-BFGS-B").x

    def predict(rows: np.ndarray) -> np.ndarray:
        z = _differences(members, rows) @ w[:-1] + w[-1]
        return np.stack([np.zeros_like(z), z], axis=1)

    return predict


def net_stack(
    members: Sequence[Predict], x: np.ndarray, y: Int[np.ndarray, " N"], seed: Seed, width: int = 16, updates: int = 1_000
) -> Predict:
    """A net of one hidden layer of `width` ReLU units on the members' logit differences (scaled to unit variance), trained by Adam on training rows."""
    import torch

    from genscope.models.nets import MLP
    from genscope.training.loop import logits_of, train
    from genscope.training.recipe import Optimizer, Recipe

    held = _differences(members, x)
    mean, scale = held.mean(0), np.maximum(held.std(0), 1e-12)

    def inputs(differences: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(((differences - mean) / scale).astype(np.float32))

    recipe = Recipe(
        net=MLP(inputs=len(members), width=width, depth=1), data=None, optimizer=Optimizer(kind="adam", lr=1e-2), updates=updates, seed=seed, batch=min(256, len(x))
    )  # fmt: skip
    net = train(recipe, inputs(held), torch.from_numpy(np.asarray(y, dtype=np.int64))).net
    return lambda rows: logits_of(net, inputs(_differences(members, rows))).numpy()


def _differences(members: Sequence[Predict], rows: np.ndarray) -> Float[np.ndarray, "N M"]:
    """logit_1 - logit_0 of every member."""
    if not members:
        raise UsageError("an ensemble has at least one member")
    return np.stack([(out := member(rows))[:, 1] - out[:, 0] for member in members], axis=1)
