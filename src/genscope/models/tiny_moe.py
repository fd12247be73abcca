"""A small decoder whose feed-forward layers are mixtures of experts: softmax router, the top k experts kept without renormalisation, Switch's balancing loss.

With few experts all of them are computed and masked by their gates, which is faster on a CPU than gathering tokens: the experts side by side are one wide layer
whose hidden units are scaled by the gate of their expert. The router is a plain linear layer, `blocks.N.experts.gate`, so that models/routers.py finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from genscope.core.errors import ModelError
from genscope.core.seeds import Seed
from genscope.models.nets import drawn_from

# B examples, T tokens, D width, K experts, H hidden units of an expert, V outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyMoE:
    """vocabulary: input tokens; outputs: classes at each place; context: most tokens; top: experts kept a token."""

    vocabulary: int
    outputs: int
    context: int = 3
    width: int = 48
    layers: int = 3
    heads: int = 2
    experts: int = 8
    expert_width: int = 16
    top: int = 2

    def __post_init__(self) -> None:
        sizes = (
            self.vocabulary,
            self.outputs,
            self.context,
            self.width,
            self.layers,
            self.heads,
            self.experts,
            self.expert_width,
            self.top,
        )
        if min(sizes) < 1 or self.width % self.heads or self.top > self.experts:
            raise ModelError(f"TinyMoE has positive sizes, a width that its heads divide and top <= experts; got {self}")

    def build(self, seed: Seed) -> MoEDecoder:
        """The module, on the CPU, with PyTorch's default initialisation."""
        with drawn_from(seed):
            return MoEDecoder(self)


class Experts(nn.Module):
    """The mixture. `balance` of the last forward pass: K sum_k f_k P_k, 1 when tokens spread evenly (Fedus et al. 2021); f: share of the top-k places, P: mean weight."""

    def __init__(self, shape: TinyMoE) -> None:
        super().__init__()
        self.top = shape.top
        self.gate = nn.Linear(shape.width, shape.experts, bias=False)
        self.up = nn.Linear(shape.width, shape.experts * shape.expert_width)
        self.down = nn.Linear(shape.experts * shape.expert_width, shape.width, bias=False)
        self.bias = nn.Parameter(torch.empty(shape.experts, shape.width))
        for one in (self.down.weight, self.bias):  # an expert of its own: its fan-in is its own width, and its bias is gated with it
            nn.init.uniform_(one, -(shape.expert_width**-0.5), shape.expert_width**-0.5)
        self.balance = torch.ones(())

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Sum over the kept experts of gate times expert."""
        weights = self.gate(x).softmax(-1)
        kept = torch.zeros_like(weights).scatter_(-1, weights.topk(self.top, dim=-1).indices, 1.0)
        self.balance = weights.shape[-1] * (kept.flatten(0, -2).mean(0) / self.top * weights.flatten(0, -2).mean(0)).sum()
        hidden = gelu(self.up(x)).unflatten(-1, (weights.shape[-1], -1))
        gates = weights * kept
        return self.down((hidden * gates[..., None]).flatten(-2)) + gates @ self.bias


class Block(nn.Module):
    """Causal attention, then the mixture; both behind a layer norm, both added to the stream."""

    def __init__(self, shape: TinyMoE) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm, self.second_norm = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.attention_in, self.attention_out = nn.Linear(shape.width, 3 * shape.width), nn.Linear(shape.width, shape.width)
        self.experts = Experts(shape)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The stream after this block."""
        q, k, v = (one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in self.attention_in(self.norm(x)).chunk(3, -1))
        x = x + self.attention_out(scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(-2))
        return x + self.experts(self.second_norm(x))


class MoEDecoder(nn.Module):
    """Learned positions, blocks, a last norm and a linear head."""

    def __init__(self, shape: TinyMoE) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(shape.vocabulary, shape.width), nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList([Block(shape) for _ in range(shape.layers)])
        self.norm, self.head = nn.LayerNorm(shape.width), nn.Linear(shape.width, shape.outputs, bias=False)

    def forward(self, tokens: Int[Tensor, "B T"], last: bool = False) -> Float[Tensor, "B T V"]:
        """Logits at every place; last: at the last place alone, shape (B, V)."""
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, -1] if last else x))

    @property
    def balance(self) -> Float[Tensor, ""]:
        """Balancing loss of the last forward pass, summed over layers."""
        return torch.stack([one.balance for one in self.modules() if isinstance(one, Experts)]).sum()
