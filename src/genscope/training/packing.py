"""Packing: several short sequences in one row of a batch, each with positions of its own, so that little of a batch is padding.

transformers sees where a sequence begins from the jump in the positions, and masks attention across it: a packed batch has the losses and gradients of the same
sequences in rows of their own (tested). Half of a padded batch of mixed lengths is padding; packed, a step takes half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

# R rows, W tokens
IGNORED = -100
"""Label of a token that the loss leaves out."""

Pair = tuple[Sequence[int], Sequence[int]]
"""Tokens of a prompt and of its answer, neither empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """tokens, labels (the tokens that are learned, IGNORED elsewhere) and positions."""

    tokens: Int[Tensor, "R W"]
    labels: Int[Tensor, "R W"]
    positions: Int[Tensor, "R W"]


def pack(pairs: Sequence[Pair], offsets: Sequence[int], *, context: int, whole: bool = False) -> Batch:
    """Sequences in rows of `context` tokens (or of the longest sequence, where that is longer), the longest first, each into the first row with room.

    offsets: position of each sequence's first token; whole: learn the prompt too, all but its first token. context 1 gives each sequence a row of its own.
    """
    width = max(context, max(len(prompt) + len(answer) for prompt, answer in pairs))
    order = sorted(range(len(pairs)), key=lambda place: -len(pairs[place][0]) - len(pairs[place][1]))
    rows: list[list[int]] = []
    used: list[int] = []
    for place in order:
        size = len(pairs[place][0]) + len(pairs[place][1])
        row = next((k for k, taken in enumerate(used) if taken + size <= width), None) if context > 1 else None
        if row is None:
            rows.append([])
            used.append(0)
            row = len(rows) - 1
        rows[row].append(place)
        used[row] += size
    tokens, labels, positions = ([[empty] * width for _ in rows] for empty in (0, IGNORED, 0))
    for row, members in enumerate(rows):
        at, before = 0, -2
        for place in members:
            prompt, answer = pairs[place]
            made, first = [*prompt, *answer], offsets[place]
            if first == before + 1:  # would look like one sequence with its neighbour
                first += 1 if first == 0 else -1
            end = at + len(made)
            learned = at + 1 if whole else at + len(prompt)
            tokens[row][at:end] = made
            labels[row][learned:end] = made[learned - at :]
            positions[row][at:end] = range(first, first + len(made))
            at, before = end, first + len(made) - 1
    return Batch(tokens=torch.tensor(tokens), labels=torch.tensor(labels), positions=torch.tensor(positions))
