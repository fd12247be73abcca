"""Fine-tuned classifier of generalizing statements, as the paper has it: a multilingual transformer with a binary head, on a GPU at the paper's scale.

Input "identity: ... attribute: ... sentence: ...". The best epoch by average precision on a tenth of the training rows (whole sentences) is
kept. Any `AutoModelForSequenceClassification` will do: google/mt5-*, xlm-roberta-large, microsoft/mdeberta-v3-base, intfloat/multilingual-e5-*.
"""

# Differs from the paper: its learning rates and epochs could not be retrieved; these are the usual ones of encoders (1e-4 for mT5).

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from genscope.core.errors import TrainingError, UsageError, missing_extra
from genscope.core.seeds import Seed
from genscope.tasks.genil.rows import Rows
from genscope.tasks.genil.splits import folds


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """How an encoder is tuned. name: hub id or folder (safetensors); rate: peak learning rate, linear decay after a tenth; longest: tokens."""

    name: str
    rate: float = 2e-5
    epochs: int = 4
    batch: int = 32
    longest: int = 256

    def __post_init__(self) -> None:
        if self.rate <= 0 or min(self.epochs, self.batch, self.longest) < 1:
            raise UsageError(f"fine-tuning needs a positive rate, and epochs, batch and longest of at least 1; got {self}")


def encoder_text(identity: str, attribute: str, sentence: str) -> str:
    """What the encoder reads."""
    return f"identity: {identity} attribute: {attribute} sentence: {sentence}"


def encoder_scores(
    rows: Rows, train: np.ndarray, test: np.ndarray, how: FineTuning, quality: Callable[[np.ndarray, np.ndarray], float], seed: Seed
) -> Float[np.ndarray, " n"]:
    """Log-odds (nats) of the test rows from an encoder tuned on the training rows; quality of (labels, scores) chooses the epoch."""
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise missing_extra("Fine-tuning an encoder needs transformers", "hf") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(how.name, trust_remote_code=False)
    with torch.random.fork_rng():
        torch.manual_seed(seed.child("head").integer())
        net = AutoModelForSequenceClassification.from_pretrained(how.name, num_labels=2, trust_remote_code=False, use_safetensors=True).to(
            device
        )
        texts = [encoder_text(*one) for one in zip(rows.identity, rows.attribute, rows.sentence, strict=True)]
        y = rows.generalizing.astype(int)
        held = folds(rows.take(train), 10, seed.child("dev")) == 0
        own, dev = train[~held], train[held]
        updates = how.epochs * math.ceil(len(own) / how.batch)
        optimizer = torch.optim.AdamW(net.parameters(), lr=how.rate, weight_decay=0.01)
        warm = max(1, updates // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda k: min((k + 1) / warm, max(0.0, (updates - k) / max(1, updates - warm)))
        )

        def logits(places: np.ndarray) -> torch.Tensor:
            batch = tokenizer([texts[k] for k in places], truncation=True, max_length=how.longest, padding=True, return_tensors="pt").to(
                device
            )
            return net(**batch).logits

        def scores(places: np.ndarray) -> np.ndarray:
            net.eval()
            with torch.inference_mode():
                parts = [logits(places[k : k + how.batch]) for k in range(0, len(places), how.batch)]
                return torch.cat([part[:, 1] - part[:, 0] for part in parts]).float().cpu().numpy()

        best, kept = -1.0, {name: value.detach().clone() for name, value in net.state_dict().items()}
        for epoch in range(how.epochs):
            net.train()
            order = own[seed.child("order", epoch).rng().permutation(len(own))]
            for start in range(0, len(order), how.batch):
                places = order[start : start + how.batch]
                loss = torch.nn.functional.cross_entropy(logits(places), torch.from_numpy(y[places]).to(device))
                if not torch.isfinite(loss):
                    raise TrainingError(f"{how.name}: the loss is {float(loss)} in epoch {epoch}; lower the learning rate {how.rate}")
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            reached = quality(y[dev], scores(dev)) if (y[dev] == 1).any() else 0.0
            if reached > best:
                best, kept = reached, {name: value.detach().clone() for name, value in net.state_dict().items()}
        net.load_state_dict(kept)
        return scores(test)
