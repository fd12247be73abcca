"""Likelihood scores of gold answers: sequence probability, perplexity, Min-K% memorization, divergence between ID and OOD.

For token log-probabilities l_1..l_m of an answer: prob = exp(mean l), ppl = 1 / prob. Min-K% (Shi et al. 2024): the geometric mean of
the lowest K % token probabilities. Source of the use: Qi et al. 2025, appendix B (arXiv 2410.01769).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from genscope.core.errors import UsageError


def sequence_probability(logprobs: Sequence[float]) -> float:
    """(prod P)^(1/m), in [0, 1]: the geometric mean token probability. An empty answer is refused.

    >>> round(sequence_probability([math.log(0.5), math.log(0.125)]), 6)
    0.25
    """
    return math.exp(length_normalised(logprobs))


def length_normalised(logprobs: Sequence[float]) -> float:
    """Mean log-probability per token, in nats, <= 0."""
    if not len(logprobs):
        raise UsageError("an answer without tokens has no likelihood")
    return math.fsum(logprobs) / len(logprobs)


def perplexity(logprobs: Sequence[float]) -> float:
    """1 / sequence_probability, >= 1."""
    return math.exp(-length_normalised(logprobs))


def min_k_prob(logprobs: Sequence[float], k: float) -> float:
    """Geometric mean of the lowest k % token probabilities (at least one token), in [0, 1]; 0 < k <= 100.

    >>> round(min_k_prob([math.log(0.9), math.log(0.1), math.log(0.4), math.log(0.9)], 50), 6)
    0.2
    """
    if not 0 < k <= 100:
        raise UsageError(f"k is a percentage in (0, 100], got {k}")
    length_normalised(logprobs)
    lowest = sorted(logprobs)[: max(1, int(len(logprobs) * k / 100))]
    return math.exp(math.fsum(lowest) / len(lowest))


def score_divergence(a: Sequence[float], b: Sequence[float], points: int = 512) -> tuple[float, float]:
    """(KL(a || b), Jensen-Shannon) between the distributions of two samples of scores, in nats.

    Gaussian kernel densities (Scott's rule) on one grid over both samples, three bandwidths beyond their ends, each normalised on the grid:
    unlike a plain sum, the result does not scale with the grid. Fewer than three values or no spread on a side: (nan, nan).
    # Differs from the paper: densities are normalised before the divergence.
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    if min(len(x), len(y)) < 3 or min(np.ptp(x), np.ptp(y)) == 0:
        return math.nan, math.nan
    widths = [v.std(ddof=1) * len(v) ** -0.2 for v in (x, y)]
    reach = 3 * max(widths)
    grid = np.linspace(min(x.min(), y.min()) - reach, max(x.max(), y.max()) + reach, points)

    def density(values: np.ndarray, width: float) -> np.ndarray:
        log = -0.5 * ((grid[:, None] - values) / width) ** 2
        mass = np.exp(log).sum(1) + 1e-300
        return mass / mass.sum()

    p, q = density(x, widths[0]), density(y, widths[1])
    middle = (p + q) / 2

    def kl(u: np.ndarray, v: np.ndarray) -> float:
        return float(np.sum(u * (np.log(u) - np.log(v))))

    return kl(p, q), (kl(p, middle) + kl(q, middle)) / 2
