"""Coherence help of the examples of a plain feed-forward net from what enters each layer and what returns to it, without per-example gradients and without torch.

The gradient of example z in a linear layer is e_z a_z' (a: its input, e: the slope of its loss at the layer's output), so that
g_z . mean g = e_z' (mean e a') a_z and |g_z|^2 = |a_z|^2 |e_z|^2, summed over the layers. help_z = g_z . mean g / |g_z|^2; see `measures.coherence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError

# N examples, I inputs, O outputs of a layer


def layer_help(layers: Sequence[tuple[Any, Float[np.ndarray, "N O"]]], least: float = 0.0) -> Float[np.ndarray, " N"]:
    """help_z of every example: how much the common gradient step lowers its loss, as a fraction of what its own step would; negative: it is hurt.

    layers: (inputs, slopes) of each linear layer with a bias; inputs (N, I) may be a scipy sparse matrix. least: NaN where |g_z|^2 is not
    above this fraction of its mean; help divides by it, and says nothing of an example whose gradient has vanished.

    >>> a, e = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), np.array([[1.0], [1.0], [-1.0]])
    >>> layer_help([(a, e)]).round(3)
    array([ 0.333,  0.333, -0.333])
    """
    if not layers or len({a.shape[0] for a, _ in layers} | {len(e) for _, e in layers}) != 1:
        raise UsageError("coherence help needs at least one layer, and the same examples in all of them")
    count = len(layers[0][1])
    dots, norms = np.zeros(count), np.zeros(count)
    for a, e in layers:
        mean = np.asarray(a.T @ e) / count
        dots += (np.asarray(a @ mean) * e).sum(1) + e @ e.mean(0)
        length = a.multiply(a).sum(1) if hasattr(a, "multiply") else (a * a).sum(1)
        norms += (np.asarray(length).ravel() + 1) * (e * e).sum(1)
    return np.divide(dots, norms, out=np.full(count, np.nan), where=norms > least * norms.mean())
