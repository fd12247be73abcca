"""Ensembles of independently trained models: outputs averaged, or stacked by a linear model fitted on the training outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from genscope.core.errors import UsageError

Predict = Callable[[np.ndarray], np.ndarray]


def average(members: Sequence[Predict]) -> Predict:
    """Mean of the members' logits."""
    if not members:
        raise UsageError("an ensemble has at least one member")
    return lambda x: np.mean([member(x) for member in members], axis=0)


def linear_stack(members: Sequence[Predict], x: np.ndarray, y: Int[np.ndarray, " N"], penalty: float = 1e-3) -> Predict:
    """Logistic regression on the members' logit differences, fitted on training rows (ridge `penalty` per row)."""
    if not members:
        raise UsageError("an ensemble has at least one member")

    def inputs(rows: np.ndarray) -> Float[np.ndarray, "N M"]:
        return np.stack([(out := member(rows))[:, 1] - out[:, 0] for member in members], axis=1)

    features, sign = inputs(x).astype(float), np.where(y == 1, 1.0, -1.0)

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = sign * (features @ w[:-1] + w[-1])
        pull = -sign * expit(-z) / len(sign)
        return float(-log_expit(z).mean() + penalty * (w[:-1] ** 2).sum()), np.append(features.T @ pull + 2 * penalty * w[:-1], pull.sum())

    w = minimize(objective, np.zeros(len(members) + 1), jac=True, method="L-BFGS-B").x

    def predict(rows: np.ndarray) -> np.ndarray:
        z = inputs(rows) @ w[:-1] + w[-1]
        return np.stack([np.zeros_like(z), z], axis=1)

    return predict
