"""Copying and induction heads of a causal language model: does it repeat what it just read? (Olsson et al. 2022; Hernandez et al. 2022)."""

from __future__ import annotations

from torch import nn

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.prefix_matching import BLOCK, COPIES, chance_level, prefix_scores, repeated_blocks
from genscope.watch.measure import Sample, Seen


class Copying:
    """ "copying": share of the tokens in the second and later copies of a block of random tokens that are predicted right, 0 to 1; "prefix_matching": score of the best
    attention head, 0 to 1, and "prefix_chance", that of uniform attention. Works on models that are called as those of transformers are.

    block, copies: tokens of a block, and how often it stands there; sequences: how many; leave_out: ids below it are not drawn (special tokens).
    """

    name = "copying"

    def __init__(
        self, *, block: int = BLOCK, copies: int = COPIES, sequences: int = 8, leave_out: int = 16, bos: int | None = None
    ) -> None:
        self.block, self.copies, self.sequences, self.leave_out, self.bos = block, copies, sequences, leave_out, bos

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        from genscope.models.reading import context_of

        words = getattr(getattr(net, "config", None), "vocab_size", None)
        if not isinstance(words, int) or words < self.leave_out + 2:
            raise UsageError(
                "copying needs a causal language model with config.vocab_size (above `leave_out`); leave it out of measures, or set Copying(leave_out=0)"
            )
        room, needed = context_of(net), self.block * self.copies + (self.bos is not None)
        if room is not None and needed > room:
            raise UsageError(
                f"copying: {self.copies} blocks of {self.block} tokens need {needed} positions, the model has {room}; use Copying(block={(room - 1) // self.copies})"
            )
        self.tokens = repeated_blocks(
            range(self.leave_out, words), Seed("watch", "copying"), block=self.block, copies=self.copies, sequences=self.sequences, bos=self.bos
        )  # fmt: skip

    def look(self, net: nn.Module, step: int) -> Seen:
        from genscope.models.reading import attentions, predictions

        first = self.block + (self.bos is not None)
        _, best = predictions(net, self.tokens)
        right = (best == self.tokens[:, 1:])[:, first:]
        heads = [prefix_scores(layer, self.tokens, first).max() for layer in attentions(net, self.tokens)]
        return Seen(
            values={"copying": float(right.mean()), "prefix_matching": float(max(heads)), "prefix_chance": chance_level(self.tokens, first)}
        )
