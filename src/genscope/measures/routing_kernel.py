"""Kernel of a one-layer mixture of experts with a frozen router, and its effective dimension, which bounds the excess risk.

H_ij = sum_k g_k(x_i) g_k(x_j) K_f(x_i, x_j), K_f the tangent kernel of an expert; d_eff = tr(H (H + lambda I)^-1) = sum_r s_r / (s_r + lambda).
Source: Li, Fan, Zhou 2025 (arXiv 2506.21551, appendix).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError

# N examples, K experts, D width


def relu_tangent_kernel(x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N N"]:
    """Tangent kernel of a wide two-layer ReLU net, both layers trained, divided by D (Jacot et al. 2018; Cho & Saul 2009). Its diagonal is |x|^2 / D.

    >>> relu_tangent_kernel(np.eye(2)).round(4).tolist()
    [[0.5, 0.0796], [0.0796, 0.5]]
    """
    norms = np.linalg.norm(x, axis=1)
    product = np.outer(norms, norms)
    c = np.clip(np.divide(x @ x.T, product, out=np.zeros_like(product), where=product > 0), -1, 1)
    np.fill_diagonal(c, 1.0)
    angle = np.arccos(c)
    first = c * (np.pi - angle)
    return product * (first + np.sin(angle) + first) / (2 * np.pi * x.shape[1])


def routing_kernel(weights: Float[np.ndarray, "N K"], expert_kernel: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
    """H of routing weights g."""
    if expert_kernel.shape != (len(weights), len(weights)):
        raise UsageError(f"an expert kernel of shape {expert_kernel.shape} does not fit the routing weights of {len(weights)} examples")
    return (weights @ weights.T) * expert_kernel


def effective_dimension(kernel: Float[np.ndarray, "N N"], lam: float = 1.0, *, normalize_trace: bool = True) -> float:
    """d_eff, in [0, N]. It grows with the scale of H: by default H is first rescaled to trace N, so that routers can be compared.

    >>> effective_dimension(np.eye(6)), round(effective_dimension(np.ones((6, 6))), 4)
    (3.0, 0.8571)
    """
    if lam <= 0:
        raise UsageError(f"lambda, the ridge, must be above 0, got {lam}")
    trace = float(np.trace(kernel))
    if not np.isfinite(kernel).all() or trace <= 0:
        raise UsageError(f"a kernel has finite values and a positive trace, got trace {trace}")
    scaled = kernel * (len(kernel) / trace) if normalize_trace else kernel
    s = np.linalg.eigvalsh(scaled).clip(0)
    return float((s / (s + lam)).sum())


def risk_bound(
    kernel: Float[np.ndarray, "N N"], y: Float[np.ndarray, " N"], *, lam: float, noise: float, delta: float = 0.05, constants: tuple[float, float] = (1.0, 1.0)
) -> float:  # fmt: skip
    """The theorem's bound on the excess risk: C1 lambda^2 / n y' (H + lambda I)^-2 y + C2 (sigma^2 d_eff / n + sigma^2 log(1 / delta) / n); H as it is."""
    if not 0 < delta < 1 or noise < 0:
        raise UsageError(f"delta must lie inside (0, 1) and the noise's deviation be at least 0, got {delta} and {noise}")
    n = len(y)
    solved = np.linalg.solve(kernel + lam * np.eye(n), y)
    bias = lam**2 / n * float(solved @ solved)
    spread = noise**2 * (effective_dimension(kernel, lam, normalize_trace=False) + np.log(1 / delta)) / n
    return constants[0] * bias + constants[1] * float(spread)
