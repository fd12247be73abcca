"""Tiny GPT: a decoder of a few ten thousand parameters whose attention can be read, with learned or rotary positions and, on request, smeared keys.

Pre-norm, MLP of four widths, untied head, no dropout, PyTorch's default initialisation (with weights of standard deviation 0.02, as GPT-2's, the two-layer induction head of
the rotary setting did not form in 1,400 steps on the calibration seed). Smeared keys (Olsson et al. 2022): k_t := (1 - s) k_t + s k_{t-1}, one learned s = sigmoid(a) a head, a = 0 at the
start; one layer can then match a prefix, which takes two layers otherwise. Called as a causal language model of transformers is: `net(input_ids=...).logits`.
"""

# B sequences, T tokens, H heads, D width of a head, V vocabulary

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from genscope.core.errors import ModelError
from genscope.core.seeds import Seed
from genscope.models.nets import drawn_from


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyGPT:
    """The model as a value; it is also the built model's `config`."""

    vocab_size: int
    max_position_embeddings: int = 64
    layers: int = 2
    width: int = 48
    heads: int = 2
    positions: Literal["learned", "rotary"] = "learned"
    smeared: bool = True

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.max_position_embeddings, self.layers, self.width, self.heads) < 1 or self.width % self.heads:
            raise ModelError(f"a tiny GPT has positive sizes and a width that its heads divide; got {self}")
        if self.positions not in ("learned", "rotary"):
            raise ModelError(f"positions must be learned or rotary, got {self.positions!r}")
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise ModelError(f"rotary positions need heads of an even width, got {self.width // self.heads}")

    def build(self, seed: Seed) -> Decoder:
        """The module, in training mode, with weights drawn from `seed`."""
        with drawn_from(seed):
            return Decoder(self)

    @property
    def parameters(self) -> int:
        """How many numbers are learned.

        >>> TinyGPT(vocab_size=65).parameters
        65956
        """
        d = self.width
        layer = 4 * d * d + 4 * d + 8 * d * d + 5 * d + 4 * d + (self.heads if self.smeared else 0)
        places = self.max_position_embeddings * d if self.positions == "learned" else 0
        return self.layers * layer + 2 * d + places + self.vocab_size * d + self.vocab_size * d


@dataclass(frozen=True, slots=True)
class Output:
    """logits, and the attention weights of each layer where they were asked for."""

    logits: Float[Tensor, "B T V"]
    attentions: tuple[Float[Tensor, "B H T T"], ...] | None = None


class Decoder(nn.Module):
    """A built TinyGPT."""

    def __init__(self, config: TinyGPT) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.places = nn.Embedding(config.max_position_embeddings, config.width) if config.positions == "learned" else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)

    def forward(self, input_ids: Int[Tensor, "B T"], output_attentions: bool = False, use_cache: bool = False) -> Output:
        """Logits of each next token. `use_cache` is taken for likeness with transformers and keeps nothing."""
        length = input_ids.shape[1]
        if length > self.config.max_position_embeddings:
            raise ModelError(f"a sequence of {length} tokens is longer than the model's context of {self.config.max_position_embeddings}")
        x = self.embed(input_ids)
        turns = None
        if self.places is not None:
            x = x + self.places.weight[:length]
        else:
            turns = rotations(length, self.config.width // self.config.heads, x.device)
        seen = []
        for layer in self.layers:
            x, weights = layer(x, turns, output_attentions)
            seen.append(weights)
        return Output(self.head(self.norm(x)), tuple(seen) if output_attentions else None)


class Layer(nn.Module):
    """Attention and MLP, each on a normed copy of the stream."""

    def __init__(self, config: TinyGPT) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.attention_out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.mlp_out = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.smear = nn.Parameter(torch.zeros(config.heads)) if config.smeared else None

    def forward(
        self, x: Float[Tensor, "B T E"], turns: tuple[Tensor, Tensor] | None, weights: bool
    ) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B H T T"] | None]:
        """(stream, attention weights or None)."""
        b, t, e = x.shape
        q_BHTD, k_BHTD, v_BHTD = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, e // self.heads).permute(2, 0, 3, 1, 4)
        if turns is not None:
            q_BHTD, k_BHTD = turned(q_BHTD, turns), turned(k_BHTD, turns)
        if self.smear is not None:
            s = torch.sigmoid(self.smear)[:, None, None]
            # the first key has none before it and stays as it is
            k_BHTD = torch.cat([k_BHTD[:, :, :1], (1 - s) * k_BHTD[:, :, 1:] + s * k_BHTD[:, :, :-1]], dim=2)
        a_BHTT = None
        if weights:
            scores = q_BHTD @ k_BHTD.transpose(-1, -2) / math.sqrt(e // self.heads)
            later = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
            a_BHTT = scores.masked_fill(later, -torch.inf).softmax(-1)
            mixed = a_BHTT @ v_BHTD
        else:
            mixed = functional.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, is_causal=True)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(b, t, e))
        return x + self.mlp_out(functional.gelu(self.up(self.norm2(x)), approximate="tanh")), a_BHTT


def rotations(length: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(cosines, sines) of rotary positions, [T, D], base 10,000."""
    rates = 10_000.0 ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * rates
    angles = torch.cat([angles, angles], dim=1)
    return angles.cos(), angles.sin()


def turned(x: Float[Tensor, "B H T D"], turns: tuple[Tensor, Tensor]) -> Float[Tensor, "B H T D"]:
    """Vectors turned by their positions."""
    cos, sin = turns
    one, two = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-two, one], dim=-1) * sin
