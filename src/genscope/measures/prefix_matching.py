"""Prefix-matching score of attention heads: how much of its attention a head gives to the token AFTER an earlier occurrence of the present one.

A sequence is BOS and a block of random tokens, repeated. For a query position t in the second and later blocks, S_t = {j + 1 : j < t, x_j = x_t, j + 1 <= t}; the score is
the mean over queries of sum_{s in S_t} A[t, s], in [0, 1]. Attention to the earlier occurrence itself (s = j) is a duplicate-token head and scores nothing.
Uniform attention is not 0 here: its score is the chance level, |S_t| / (t + 1) averaged. Olsson et al. 2022 (In-context Learning and Induction Heads); the block of 25
tokens and four copies are recalled, not confirmed.
"""

# B sequences, L layers, H heads, T tokens

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from genscope.core.errors import ModelError, UsageError
from genscope.core.seeds import Seed

BLOCK, COPIES, SEQUENCES = 25, 4, 8


@dataclass(frozen=True, slots=True)
class PrefixMatching:
    """scores: of every head; chance: score of uniform attention on the same sequences. Which aggregate the paper's figure shows is not known: name the one you use."""

    scores: Float[np.ndarray, "L H"]
    chance: float

    @property
    def highest(self) -> float:
        """Of the best head."""
        return float(self.scores.max())

    @property
    def top3(self) -> float:
        """Mean of the three best heads."""
        return float(np.sort(self.scores, axis=None)[-3:].mean())

    @property
    def mean(self) -> float:
        """Over all heads."""
        return float(self.scores.mean())


def repeated_blocks(
    vocabulary: Sequence[int], seed: Seed, *, block: int = BLOCK, copies: int = COPIES, sequences: int = SEQUENCES, bos: int | None = None
) -> Int[np.ndarray, "B T"]:
    """Sequences: BOS (where there is one), then `copies` times the same block of random tokens, all different where the vocabulary allows."""
    if block < 1 or copies < 2 or sequences < 1:
        raise UsageError(
            f"prefix matching needs a block of at least one token, two copies and one sequence; got {block}, {copies} and {sequences}"
        )
    words = np.unique(np.asarray(vocabulary))
    if len(words) < 2:
        raise UsageError(f"prefix matching draws from at least two different tokens, got {len(words)}")
    rng = seed.rng()
    drawn = np.stack([rng.choice(words, block, replace=len(words) < block) for _ in range(sequences)])
    rows = np.tile(drawn, (1, copies))
    return rows if bos is None else np.concatenate([np.full((sequences, 1), bos), rows], axis=1)


def targets(tokens: Int[np.ndarray, "B T"]) -> Bool[np.ndarray, "B T T"]:
    """[b, t, s]: whether s is in S_t.

    >>> np.argwhere(targets(np.array([[0, 5, 6, 5, 6]]))[0]).tolist()
    [[3, 2], [4, 3]]
    """
    same = tokens[:, :, None] == tokens[:, None, :]  # [b, t, j]
    found = np.zeros(same.shape, bool)
    found[:, :, 1:] = same[:, :, :-1]  # s = j + 1
    later = np.tri(tokens.shape[1], dtype=bool)  # s <= t, hence j < t
    return found & later


def prefix_scores(attention: Float[np.ndarray, "B H T T"], tokens: Int[np.ndarray, "B T"], first_query: int) -> Float[np.ndarray, " H"]:
    """Score of each head of a layer; queries are the positions from `first_query` on (the beginning of the second block)."""
    wanted = targets(tokens)[:, first_query:]
    return (attention[:, :, first_query:] * wanted[:, None]).sum(-1).mean((0, 2))


def chance_level(tokens: Int[np.ndarray, "B T"], first_query: int) -> float:
    """Score of a head that attends to all positions up to its own alike."""
    count = targets(tokens)[:, first_query:].sum(-1)
    return float((count / np.arange(first_query + 1, tokens.shape[1] + 1)).mean())


def prefix_matching(
    net: Any,
    vocabulary: Sequence[int],
    seed: Seed,
    *,
    block: int = BLOCK,
    copies: int = COPIES,
    sequences: int = SEQUENCES,
    bos: int | None = None,
) -> PrefixMatching:
    """Scores of every head of a causal language model. ModelError where its attention cannot be read, or the sequence is longer than its context."""
    from genscope.models.reading import attentions, context_of

    tokens = repeated_blocks(vocabulary, seed, block=block, copies=copies, sequences=sequences, bos=bos)
    room = context_of(net)
    if room is not None and tokens.shape[1] > room:
        most = (room - (bos is not None)) // copies
        raise ModelError(
            f"{copies} blocks of {block} tokens need {tokens.shape[1]} positions, the model's context is {room}; a block can have {most} at most"
        )
    first = block + (bos is not None)
    scores = [prefix_scores(layer, tokens, first) for layer in attentions(net, tokens)]
    return PrefixMatching(np.stack(scores), chance_level(tokens, first))
