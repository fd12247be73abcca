"""A callback for Hugging Face's Trainer: `Trainer(..., callbacks=[WatchCallback("runs/mine", sample={"train": batch, "test": batch})])`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.errors import missing_extra
from genscope.watch.measure import Data, Judge, Measure
from genscope.watch.monitor import Monitor, Sink

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise missing_extra("The callback for Hugging Face's Trainer needs transformers", "hf") from error

IGNORED = -100
"""Label of a token that has no loss."""


def language_modeling(net: nn.Module, data: Data) -> tuple[Tensor, None]:
    """Mean next-token loss (nats) of every sequence of data named input_ids and, if there are some, attention_mask and labels. No labels to predict."""
    labels = data.get("labels", data["input_ids"])
    if "attention_mask" in data:
        labels = labels.masked_fill(data["attention_mask"] == 0, IGNORED)
    inputs = {name: data[name] for name in ("input_ids", "attention_mask") if name in data}
    if "position_ids" in inspect.signature(net.forward).parameters:
        # one row of positions for all sequences would have no gradient of each
        inputs["position_ids"] = torch.arange(labels.shape[1], device=labels.device).expand(labels.shape)
    scores = net(**inputs, use_cache=False).logits[:, :-1].float()
    wanted = labels[:, 1:]
    losses = nn.functional.cross_entropy(scores.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    return losses.sum(1) / (wanted != IGNORED).sum(1).clamp(min=1), None


def sequence_classification(net: nn.Module, data: Data) -> tuple[Tensor, Tensor]:
    """Cross-entropy (nats) and predicted labels of a classifier of sequences; data named y and whatever the model takes."""
    scores = net(**{name: one for name, one in data.items() if name != "y"}).logits
    return nn.functional.cross_entropy(scores, data["y"], reduction="none"), scores.argmax(-1)


class WatchCallback(TrainerCallback):
    """A `Monitor` that follows a Trainer: one step an optimizer update, whatever the accumulation; resumed runs go on with their record.

    sample: split -> named tensors (input_ids, attention_mask, labels); judge: losses and predictions of them, `language_modeling` by default; the rest as in `Monitor`.
    Only the process of rank 0 writes.
    """

    def __init__(
        self, run: str | Path, *, sample: Mapping[str, Data], judge: Judge = language_modeling, measures: Sequence[str | Measure] | None = None, every: int = 100,
        chunk: int = 8, sinks: Sequence[Sink] = (),
    ) -> None:  # fmt: skip
        self.settings: dict[str, Any] = {
            "sample": sample,
            "judge": judge,
            "measures": measures,
            "every": every,
            "chunk": chunk,
            "sinks": sinks,
        }
        self.folder, self.monitor = Path(run), None

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module | None = None, **more: Any) -> None:
        """Open the record; a run that is resumed goes on with it."""
        if not state.is_world_process_zero or model is None:
            return
        self.monitor = Monitor(self.folder, model, resume=state.global_step > 0, **self.settings)
        self.monitor.at = max(self.monitor.at, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """An optimizer update was made."""
        if self.monitor is not None and state.global_step > self.monitor.at:
            self.monitor.step(batch=args.train_batch_size * args.gradient_accumulation_steps * max(1, args.world_size))

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """The last look."""
        if self.monitor is not None:
            self.monitor.close()


def batch_of(texts: Sequence[str], tokenizer: Any, length: int) -> dict[str, Tensor]:
    """input_ids and attention_mask of texts, cut and padded to `length` tokens: for `sample`."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    made = tokenizer(list(texts), truncation=True, max_length=length, padding="max_length", return_tensors="pt")
    return {"input_ids": made["input_ids"].to(torch.long), "attention_mask": made["attention_mask"]}
