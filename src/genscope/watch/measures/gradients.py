"""Gradient coherence on the training rows: m-coherence, noise scale, and each row's squared gradient (Chatterjee & Zielinski 2022; McCandlish et al. 2018)."""

from __future__ import annotations

import math

import torch
from torch import nn

from genscope.core.errors import UsageError
from genscope.measures.coherence import Data, coherence
from genscope.watch.measure import Sample, Seen


class Gradients:
    """ "coherence" (m-coherence of the rows, 1 to their number), "noise_scale" (examples; infinite where the rows share no direction), for each row "gradient" |g|^2.

    rows: at most so many of the training rows. BatchNorm is refused: in training it mixes examples, so that the gradients seen would not be those of the run.
    """

    name = "coherence"

    def __init__(self, rows: int = 256) -> None:
        self.rows = rows

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        if sample is None:
            raise UsageError('coherence needs training rows: Monitor(..., sample={"train": (x, y)})')
        mixing = [name for name, one in net.named_modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
        if mixing:
            raise UsageError(
                f"coherence: BatchNorm mixes the examples of a batch, so that an example has no gradient of its own: {', '.join(mixing[:5])}. "
                'Leave it out (measures=["losses", "weight_distance"]), or train with GroupNorm or LayerNorm'
            )
        if not any(one.requires_grad for one in net.parameters()):
            raise UsageError("coherence: no parameter requires a gradient; unfreeze some, or leave this measure out")
        self.data = {name: one[: self.rows] for name, one in sample.train.items()}
        self.sample, self.split = sample, next(iter(sample.splits))
        if len(next(iter(self.data.values()))) < 2:
            raise UsageError("coherence needs at least 2 training rows")

    def look(self, net: nn.Module, step: int) -> Seen:
        def losses(model: nn.Module, batch: Data) -> torch.Tensor:
            return self.sample.judge(model, batch)[0]

        found = coherence(net, losses, self.data, chunk=min(64, self.sample.chunk))
        values = {"coherence": found.m_coherence, "rows": float(found.m)}
        if math.isfinite(found.noise_scale) and found.noise_scale > 0:
            values["noise_scale"] = found.noise_scale
        return Seen(values=values, examples={self.split: {"gradient": found.norms_sq.tolist()}})
