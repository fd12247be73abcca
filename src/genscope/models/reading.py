"""Reading a causal language model without changing it: losses of given tokens, and the attention weights of every head.

Works on any model that is called as those of transformers are (`input_ids`, `output_attentions`), ours included. Mode, gradients and the model's way of computing attention
are as they were afterwards.
"""

# B sequences, T tokens, H heads

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional

from genscope.core.errors import ModelError

STANDARD = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
"""Ways of computing one and the same attention; another one may not be replaced by eager."""


def context_of(net: Any) -> int | None:
    """Positions that the model has room for; None where it does not say."""
    config = getattr(net, "config", None)
    for name in ("max_position_embeddings", "n_positions"):
        room = getattr(config, name, None)
        if isinstance(room, int) and room > 0:
            return room
    return None


@contextmanager
def still(net: Any) -> Iterator[None]:
    """Evaluation mode without gradients; every module's mode is restored."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def token_losses(net: Any, tokens: Int[np.ndarray, "B T"], batch: int = 256) -> Float[np.ndarray, "B T-1"]:
    """Cross-entropy (nats) of every token but the first of each sequence."""
    return predictions(net, tokens, batch)[0]


def predictions(net: Any, tokens: Int[np.ndarray, "B T"], batch: int = 256) -> tuple[Float[np.ndarray, "B T-1"], Int[np.ndarray, "B T-1"]]:
    """(cross-entropy of every token but the first, in nats; the most probable token there)."""
    device = next(net.parameters()).device
    losses, best = [], []
    with still(net):
        for start in range(0, len(tokens), batch):
            part = torch.from_numpy(np.ascontiguousarray(tokens[start : start + batch])).long().to(device)
            logits = net(input_ids=part, use_cache=False).logits[:, :-1].float()
            losses.append(functional.cross_entropy(logits.transpose(1, 2), part[:, 1:], reduction="none").cpu().numpy())
            best.append(logits.argmax(-1).cpu().numpy())
    return np.concatenate(losses), np.concatenate(best)


def attentions(net: Any, tokens: Int[np.ndarray, "B T"]) -> list[Float[np.ndarray, "B H T T"]]:
    """Attention weights of every layer that has any, computed the eager way. ModelError where the model does not give them."""
    device = next(net.parameters()).device
    given = torch.from_numpy(np.ascontiguousarray(tokens)).long().to(device)
    with still(net), _eager(net):
        found = net(input_ids=given, use_cache=False, output_attentions=True)
    held = [layer.float().cpu().numpy() for layer in getattr(found, "attentions", None) or () if layer is not None]
    length = tokens.shape[1]
    if not held or any(layer.ndim != 4 or layer.shape[-2:] != (length, length) for layer in held):
        raise ModelError(
            f"{type(net).__name__} gives no attention weights of the usual form [sequences, heads, {length}, {length}]: prefix matching is for models with softmax attention "
            '(load those of transformers with attn_implementation="eager")'
        )
    return held


@contextmanager
def _eager(net: Any) -> Iterator[None]:
    """The model's attention computed by the implementation that keeps the weights; its own afterwards."""
    own = getattr(getattr(net, "config", None), "_attn_implementation", None)
    if own is None or own == "eager":
        yield
        return
    if own not in STANDARD or not hasattr(net, "set_attn_implementation"):
        raise ModelError(
            f"{type(net).__name__} computes attention its own way ({own}), whose weights cannot be read; only {', '.join(STANDARD)} can be"
        )
    net.set_attn_implementation("eager")
    try:
        yield
    finally:
        net.set_attn_implementation(own)
