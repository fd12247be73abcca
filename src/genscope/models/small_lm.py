"""Small causal language models of transformers as values: a config of any size, with a word-level tokenizer made from a task's vocabulary.

Positions: "learned" (GPT-2, whose table is reached everywhere by random offsets), "none" (GPT-2 with its table frozen at zero), "rope" (Llama), "alibi" (Bloom).
Saved models load as `hf:FOLDER` and, once in the store of runs, as `run:ID`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from genscope.core.errors import ModelError, missing_extra
from genscope.core.seeds import Seed
from genscope.models.nets import drawn_from

Positions = Literal["learned", "none", "rope", "alibi"]
POSITIONS: tuple[Positions, ...] = ("learned", "none", "rope", "alibi")
PAD, UNKNOWN = "<pad>", "<unk>"


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallLM:
    """A decoder. vocabulary: tokens, special ones included; table: the longest sequence, in tokens; log_n_base: attention with log-n temperature
    (models/log_n_attention.py), None: without; spread: standard deviation of new weights.
    """

    vocabulary: int
    layers: int = 2
    width: int = 64
    heads: int = 4
    table: int = 128
    positions: Positions = "learned"
    log_n_base: float | None = None
    spread: float = 0.02

    def __post_init__(self) -> None:
        if self.positions not in POSITIONS:
            raise ModelError(f"positions must be one of {', '.join(POSITIONS)}; got {self.positions!r}")
        if min(self.vocabulary, self.layers, self.width, self.heads, self.table) < 1 or self.width % self.heads:
            raise ModelError(f"a small language model has positive sizes and a width that its heads divide; got {self}")
        if self.log_n_base is not None and (self.log_n_base <= 1 or self.positions == "alibi"):
            raise ModelError(
                f"log_n_base must be above 1, and goes with all positions but alibi; got {self.log_n_base} with {self.positions}"
            )

    def build(self, seed: Seed) -> nn.Module:
        """The model with its library's initialisation, without dropout, in float32."""
        try:
            import transformers as hf
        except ImportError as error:
            raise missing_extra("Small language models are those of transformers", "hf") from error
        common: dict[str, Any] = {
            "vocab_size": self.vocabulary,
            "pad_token_id": 0,
            "eos_token_id": None,
            "bos_token_id": None,
            "use_cache": True,
            "initializer_range": self.spread,
        }
        if self.log_n_base is not None:
            from genscope.models.log_n_attention import FIELD, register

            common |= {"attn_implementation": register(), FIELD: self.log_n_base}
        with drawn_from(seed):
            if self.positions == "rope":
                config = hf.LlamaConfig(
                    hidden_size=self.width, intermediate_size=4 * self.width, num_hidden_layers=self.layers, num_attention_heads=self.heads,
                    max_position_embeddings=self.table, **common,
                )  # fmt: skip
                return hf.LlamaForCausalLM(config)
            if self.positions == "alibi":
                return hf.BloomForCausalLM(
                    hf.BloomConfig(
                        hidden_size=self.width, n_layer=self.layers, n_head=self.heads, hidden_dropout=0.0, attention_dropout=0.0, **common
                    )
                )
            config = hf.GPT2Config(
                n_embd=self.width, n_layer=self.layers, n_head=self.heads, n_positions=self.table, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                activation_function="gelu_pytorch_tanh",  # GPT-2's own function in one kernel: a step takes four fifths of the time
                **common,
            )  # fmt: skip
            net = hf.GPT2LMHeadModel(config)
            if self.positions == "none":
                with torch.no_grad():
                    net.transformer.wpe.weight.zero_()
                net.transformer.wpe.weight.requires_grad_(False)
            return net


def word_tokenizer(words: Sequence[str], end: str) -> Any:
    """A tokenizer of transformers that splits at spaces and knows these words; `end` is its end token."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise missing_extra("Tokenizers are those of transformers", "hf") from error
    if len(set(words)) != len(words) or end not in words:
        raise ModelError(
            f"a vocabulary has every word once and its end word {end!r} among them; got {len(words)} words, {len(set(words))} different"
        )
    known = {word: place for place, word in enumerate([PAD, UNKNOWN, *words])}
    plain = Tokenizer(models.WordLevel(known, unk_token=UNKNOWN))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token=PAD, unk_token=UNKNOWN, eos_token=end)


def save(net: Any, tokenizer: Any, folder: Path) -> None:
    """Save model and tokenizer so that `hf:FOLDER` loads them (safetensors, tokenizer.json)."""
    net.generation_config.eos_token_id = tokenizer.eos_token_id
    net.config.eos_token_id = tokenizer.eos_token_id
    net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
