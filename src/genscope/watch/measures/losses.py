"""Loss and accuracy on the fixed rows of every split, and each row's loss and predicted label: what learning times and data maps are made of."""

from __future__ import annotations

import torch
from torch import nn

from genscope.core.errors import UsageError
from genscope.watch.measure import Data, Sample, Seen


class Losses:
    """ "SPLIT/loss" (mean, nats), "SPLIT/accuracy"; for each row "loss" and "prediction"."""

    name = "losses"

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        if sample is None:
            raise UsageError('losses needs rows to look at: Monitor(..., sample={"train": (x, y), "test": (x, y)})')
        self.sample = sample

    def look(self, net: nn.Module, step: int) -> Seen:
        values, examples = {}, {}
        with torch.no_grad():
            for split, data in self.sample.splits.items():
                losses, predicted = judged(net, self.sample, data)
                values[f"{split}/loss"] = float(losses.mean())
                examples[split] = {"loss": losses.tolist()}
                if predicted is not None and "y" in data:
                    values[f"{split}/accuracy"] = float((predicted == data["y"].cpu()).double().mean())
                    examples[split]["prediction"] = predicted.tolist()
        return Seen(values=values, examples=examples)


def judged(net: nn.Module, sample: Sample, data: Data) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(losses, predicted labels or None) of all rows, on the CPU, in pieces of `chunk` rows."""
    losses, labels = [], []
    for start in range(0, len(next(iter(data.values()))), sample.chunk):
        loss, label = sample.judge(net, {name: one[start : start + sample.chunk] for name, one in data.items()})
        if loss.ndim != 1:
            raise UsageError(f'the loss must be one value an example (reduction "none"); got shape {tuple(loss.shape)}')
        losses.append(loss.detach().double().cpu())
        if label is not None:
            labels.append(label.detach().cpu())
    return torch.cat(losses), torch.cat(labels) if labels else None
