"""SmolLM2-135M is tuned on a novel for 50 steps under Hugging Face's Trainer; genscope watches loss, copying, and how far the weights go.

    GENSCOPE_DATA=... python examples/watch_smollm2.py [RUN] [STEPS]      then: genscope watch RUN --once

The text is prose_train.txt.xz and prose_test.txt.xz (public domain; `genscope list data` says where it comes from).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import Trainer, TrainingArguments

import genscope as gs
from genscope.bridges.hf_trainer import WatchCallback
from genscope.tasks.packed_text import prose
from genscope.watch.measures.copying import Copying

LENGTH, BATCH, ACCUMULATE = 96, 2, 4


def main(run: str = "runs/smollm2", steps: str = "50") -> None:
    """Tune and watch."""
    net, tokenizer = gs.model("smollm2").inside("float32")
    torch.manual_seed(0)

    def rows(name: str, count: int) -> torch.Tensor:
        ids = tokenizer(prose(name)[: 8 * count * LENGTH])["input_ids"]
        return torch.tensor(ids[: count * LENGTH]).view(count, LENGTH)

    train, test = rows("prose_train", 400), rows("prose_test", 12)
    callback = WatchCallback(
        run, sample={"train": {"input_ids": train[:12]}, "test": {"input_ids": test}}, every=10, measures=["losses", Copying(sequences=2), "weight_distance"], chunk=4
    )  # fmt: skip
    arguments = TrainingArguments(
        output_dir=str(Path(run) / "trainer"), max_steps=int(steps), per_device_train_batch_size=BATCH, gradient_accumulation_steps=ACCUMULATE, learning_rate=2e-5, logging_strategy="no",
        save_strategy="no", report_to=[], use_cpu=not torch.cuda.is_available(),
    )  # fmt: skip
    Trainer(model=net, args=arguments, train_dataset=[{"input_ids": row, "labels": row} for row in train], callbacks=[callback]).train()


if __name__ == "__main__":
    main(*sys.argv[1:3])
