"""Attention with log-n temperature: queries are multiplied by log n / log base, n the number of keys that they may see.

It keeps attention as sharp over long sequences as over the ones it was trained on (Chiang & Cholak 2022, arXiv 2202.12172). Registered in the attention table of
transformers; a model whose config says `log_n_base` is loaded with it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

NAME = "log_n"
FIELD = "log_n_base"
"""Name of the config's entry, so that a saved model says how it attends."""


def register() -> str:
    """Enter the attention into the table of transformers; returns its name there."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any) -> tuple[Tensor, Any]:
    """Scaled dot-product attention of transformers with scaled queries. query: (batch, heads, T, depth), key: (batch, heads, S, depth)."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    base = float(getattr(module.config, FIELD))  # pyright: ignore[reportArgumentType]
    steps, keys = query.shape[2], key.shape[2]
    if attention_mask is None:
        seen = torch.arange(keys - steps + 1, keys + 1, device=query.device)[None, None, :]
    else:
        allowed = attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0
        seen = allowed[..., :keys].sum(-1)
    scale = seen.clamp_min(2).float().log() / math.log(base)
    return sdpa_attention_forward(module, query * scale[..., None].to(query.dtype), key, value, attention_mask, **more)
