"""Tiny random-weight language models on disk, with a tokenizer of single characters."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

CHAT = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + CHAT


def tiny_model(folder: Path, *, template: str | None = CHAT, seed: int = 0, context: int = 1024, experts: int = 0) -> Path:
    """A two-layer Llama of 32 units, or an OLMoE of that many experts, saved as safetensors."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import Fuse
    from transformers import LlamaConfig, LlamaForCausalLM, OlmoeConfig, OlmoeForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    vocabulary = {token: place for place, token in enumerate(["<pad>", "<eos>", "<unk>", *string.printable])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")  # pyright: ignore[reportAttributeAccessIssue]
    plain.decoder = Fuse()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    tokenizer.chat_template = template
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # house: a test's weights
        shape: dict[str, Any] = {
            "vocab_size": len(vocabulary), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": context,
            "initializer_range": 0.4, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None, "dtype": "float32",
        }  # fmt: skip
        net = (
            OlmoeForCausalLM(OlmoeConfig(**shape, num_experts=experts, num_experts_per_tok=2))
            if experts
            else LlamaForCausalLM(LlamaConfig(**shape))
        )
        net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
