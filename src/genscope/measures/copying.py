"""Copying loss: one passage, several times in a row, as one context; what a model loses on it, and how much of that the first copy costs.

    copying loss = mean token loss over the whole sequence (the paper's);  later = on copies 2 and on;  gain = loss(copy 1) - loss(later copies)

A model that copies loses hardly anything after the first copy; one that cannot has no gain. On a passage known by heart the first copy is cheap too: look at both.
Hernandez et al. 2022 (arXiv 2205.10487) use the first paragraph of a novel, eleven times.
"""

# B sequences, T tokens

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from genscope.core.errors import ModelError, UsageError

COPIES = 11
LEAST_TOKENS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """Losses in nats a token. whole: over all predicted tokens; first: over the first copy; later: over the others; copies and tokens (of one copy) as they were used."""

    whole: float
    first: float
    later: float
    copies: int
    tokens: int

    @property
    def gain(self) -> float:
        """first - later."""
        return self.first - self.later


def copying_of(losses: Float[np.ndarray, "B T-1"], tokens: int, copies: int, bos: bool) -> Copying:
    """Copying from the losses of all tokens but the very first; without BOS the first token of copy 1 has no loss.

    >>> copying_of(np.array([[4.0, 2.0, 1.0, 0.0]]), tokens=2, copies=2, bos=True)
    Copying(whole=1.75, first=3.0, later=0.5, copies=2, tokens=2)
    """
    head = tokens if bos else tokens - 1
    if copies < 2 or head < 1 or losses.shape[1] != tokens * copies - (not bos):
        raise UsageError(
            f"{losses.shape[1]} losses are not those of {copies} copies of {tokens} tokens{' after BOS' if bos else ''} (two copies at least)"
        )
    return Copying(
        whole=float(losses.mean()), first=float(losses[:, :head].mean()), later=float(losses[:, head:].mean()), copies=copies, tokens=tokens
    )


def copying_loss(net: Any, passage: Sequence[int], *, copies: int = COPIES, bos: int | None = None, most: int = 2_048) -> Copying:
    """Copying of a causal language model on a passage of tokens. The passage is cut so that all copies fit the model's context (and `most` tokens)."""
    from genscope.models.reading import context_of, token_losses

    room = min(context_of(net) or most, most) - (bos is not None)
    tokens = list(passage)[: room // copies]
    if len(tokens) < LEAST_TOKENS:
        raise ModelError(
            f"{copies} copies in {room} positions leave {len(tokens)} tokens of the passage, at least {LEAST_TOKENS} are needed. Ask for fewer copies"
            if len(passage) > len(tokens)
            else f"the passage has {len(tokens)} tokens, at least {LEAST_TOKENS} are needed"
        )
    row = np.array([([] if bos is None else [bos]) + tokens * copies])
    return copying_of(token_losses(net, row), len(tokens), copies, bos is not None)
