"""Training dynamics (data maps): how a classifier treats each training example over the epochs.

With p_e the probability of the *gold* label after (or during) epoch e = 1..E and c_e whether the prediction is gold:

    confidence = mean p_e;  variability = population sd of p_e (divided by E);  correctness = number of c_e
    forgetting = number of changes right -> wrong (infinite when never right);  closeness = confidence (1 - confidence)

Easy to learn: confident and steady; hard to learn: not confident, steady (often a wrong label); ambiguous: variable. variability <= sqrt(confidence (1 - confidence)).
Source: Swayamdipta et al. 2020 (Dataset Cartography); forgetting: Toneva et al. 2019.
"""

# E epochs, N examples, C classes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from genscope.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars as pl

When = Literal["train", "eval"]
Region = Literal["easy", "hard", "ambiguous"]
REGIONS: tuple[Region, ...] = ("easy", "hard", "ambiguous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """What was logged, one column an example. gold: probability of the gold label; right: whether the prediction was gold; epochs: their numbers;
    when: "train" (logged during the epoch's pass) or "eval" (in a pass after it).
    """

    ids: tuple[str, ...]
    gold: Float[np.ndarray, "E N"]
    right: Bool[np.ndarray, "E N"]
    epochs: tuple[int, ...]
    when: When = "eval"

    def __post_init__(self) -> None:
        if self.gold.shape != (len(self.epochs), len(self.ids)) or self.right.shape != self.gold.shape or not len(self.epochs):
            raise DataError(
                f"training dynamics: {self.gold.shape} probabilities do not fit {len(self.epochs)} epochs of {len(self.ids)} examples"
            )
        bad = int((~((self.gold >= 0) & (self.gold <= 1))).sum())
        if bad:
            raise DataError(
                f"training dynamics: {bad} probabilities of the gold label are not in [0, 1]; give logits through DynamicsLog.log"
            )

    def between(self, first: int | None = None, last: int | None = None) -> Dynamics:
        """The epochs from `first` to `last` (both included): leave out a burn-in, or what came after an early stop."""
        kept = [place for place, epoch in enumerate(self.epochs) if (first is None or epoch >= first) and (last is None or epoch <= last)]
        if not kept:
            raise UsageError(f"no epoch from {first} to {last} was logged; there are {', '.join(map(str, self.epochs))}")
        return Dynamics(
            ids=self.ids, gold=self.gold[kept], right=self.right[kept], epochs=tuple(self.epochs[k] for k in kept), when=self.when
        )

    @property
    def confidence(self) -> Float[np.ndarray, " N"]:
        """Mean probability of the gold label, in [0, 1]."""
        return self.gold.mean(0)

    @property
    def variability(self) -> Float[np.ndarray, " N"]:
        """Population standard deviation of it over the epochs, in [0, 0.5]."""
        return self.gold.std(0)

    @property
    def correctness(self) -> Int[np.ndarray, " N"]:
        """Epochs in which the example was right, 0 to E."""
        return self.right.sum(0)

    @property
    def forgetting(self) -> Float[np.ndarray, " N"]:
        """Changes from right to wrong between neighbouring epochs; infinite for an example that was never right."""
        events = (self.right[:-1] & ~self.right[1:]).sum(0).astype(float)
        return np.where(self.right.any(0), events, np.inf)

    @property
    def closeness(self) -> Float[np.ndarray, " N"]:
        """confidence (1 - confidence): how near the example is to a threshold of one half, in [0, 0.25]."""
        return self.confidence * (1 - self.confidence)

    def table(self) -> pl.DataFrame:
        """One row an example: example, confidence, variability, correctness, forgetting (null when never right), closeness, region."""
        import polars as pl

        return pl.DataFrame(
            {
                "example": list(self.ids), "confidence": self.confidence, "variability": self.variability, "correctness": self.correctness,
                "forgetting": [None if np.isinf(one) else int(one) for one in self.forgetting], "closeness": self.closeness, "region": list(self.regions()),
            },
            schema_overrides={"forgetting": pl.Int64},
        )  # fmt: skip

    def regions(self, share: float = 1 / 3) -> np.ndarray:
        """Region of each example: "ambiguous" for the `share` of highest variability; of the rest "easy" where the confidence is at least one half, else "hard".

        Ties stand in the order of the ids, so that the same examples always come out.
        """
        if not 0 <= share <= 1:
            raise UsageError(f"regions: share must be in [0, 1], got {share}")
        made = np.where(self.confidence >= 0.5, "easy", "hard").astype(object)
        made[self.ranked(-self.variability)[: round(share * len(self.ids))]] = "ambiguous"
        return made

    def groups(self, size: int) -> dict[str, np.ndarray]:
        """Rows of the `size` examples of highest confidence ("easy"), lowest ("hard") and around the median ("medium"); ties stand in the order of the ids."""
        if not 1 <= size <= len(self.ids) // 3:
            raise UsageError(f"hardness groups of {size} need at least {3 * size} examples, there are {len(self.ids)}")
        order = self.ranked(self.confidence)
        middle = (len(order) - size) // 2
        return {"easy": order[::-1][:size], "hard": order[:size], "medium": order[middle : middle + size]}

    def ranked(self, values: Float[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        """Rows by rising value, equal ones by id."""
        return np.lexsort((np.array(self.ids), values))

    def difficulty(self) -> pl.DataFrame:
        """The data map as difficulty tables: notions confidence (sd: its standard error over the epochs), variability and correctness (share of epochs)."""
        import polars as pl

        from genscope.core.difficulty import difficulty_columns

        epochs = len(self.epochs)
        error = self.variability / np.sqrt(max(1, epochs - 1))
        parts = [
            difficulty_columns("confidence", self.ids, self.confidence.tolist(), sd=error.tolist(), n=epochs),
            difficulty_columns("variability", self.ids, self.variability.tolist(), n=epochs),
            difficulty_columns("correctness", self.ids, (self.correctness / epochs).tolist(), n=epochs),
        ]
        return pl.concat(parts)


@dataclass(slots=True)
class DynamicsLog:
    """A live logger: call `log` once or more an epoch with the ids, logits and gold labels of a batch (a training loop, or a callback, does); `dynamics` closes it.

    Nothing but the gold label's probability and the prediction is kept: 9 bytes an example and epoch.
    """

    when: When = "eval"
    _seen: dict[int, dict[str, tuple[float, bool]]] = field(default_factory=dict)

    def log(self, ids: Sequence[object], logits: Float[np.ndarray, "N C"], gold: Int[np.ndarray, " N"], epoch: int) -> None:
        """Keep a batch. logits: any real numbers (log-probabilities do as well); gold: classes 0 to C - 1."""
        scores, labels = np.asarray(logits, float), np.asarray(gold)
        if scores.ndim != 2 or scores.shape[0] != len(ids) or labels.shape != (len(ids),):
            raise DataError(
                f"training dynamics: {len(ids)} ids, logits of shape {scores.shape} and {labels.shape} labels do not belong together"
            )
        if not np.isfinite(scores).all():
            raise DataError(
                f"training dynamics: logits of {int((~np.isfinite(scores)).any(1).sum())} examples are NaN or infinite in epoch {epoch}"
            )
        outside = np.flatnonzero((labels < 0) | (labels >= scores.shape[1]))
        if len(outside):
            raise DataError(
                f"training dynamics: gold label {labels[outside[0]]} of example {ids[outside[0]]!r} lies outside its {scores.shape[1]} logits"
            )
        held = self._seen.setdefault(int(epoch), {})
        shifted = np.exp(scores - scores.max(1, keepdims=True))
        p = shifted[np.arange(len(labels)), labels] / shifted.sum(1)
        right = scores.argmax(1) == labels
        for name, one, correct in zip(ids, p.tolist(), right.tolist(), strict=True):
            if str(name) in held:
                raise DataError(f"training dynamics: example {name!r} was logged twice in epoch {epoch}")
            held[str(name)] = (one, correct)

    def dynamics(self) -> Dynamics:
        """What was logged; DataError where an epoch has other examples than the first."""
        return assembled(self._seen, self.when)


def assembled(seen: Mapping[int, Mapping[str, tuple[float, bool]]], when: When = "eval") -> Dynamics:
    """Epoch -> example -> (probability of gold, right) as dynamics; every epoch must have the same examples."""
    if not seen or not any(seen.values()):
        raise DataError("training dynamics: nothing was logged")
    epochs = sorted(seen)
    ids = list(seen[epochs[0]])
    first = set(ids)
    for epoch in epochs[1:]:
        other = first ^ set(seen[epoch])
        if other:
            shown = ", ".join(repr(one) for one in sorted(other)[:3])
            raise DataError(
                f"training dynamics: epoch {epoch} has other examples than epoch {epochs[0]}: {len(other):,} are in one of them only (first: {shown}). "
                "Log every example in every epoch"
            )
    gold = np.array([[seen[epoch][one][0] for one in ids] for epoch in epochs])
    right = np.array([[seen[epoch][one][1] for one in ids] for epoch in epochs])
    return Dynamics(ids=tuple(ids), gold=gold, right=right, epochs=tuple(epochs), when=when)


def from_record(record: pl.DataFrame, when: When = "eval") -> Dynamics:
    """Dynamics from a training record: a long frame with step, example, quantity and value, that holds "gold_probability" and "correct" (0 or 1)."""
    import polars as pl

    lacking = [name for name in ("step", "example", "quantity", "value") if name not in record.columns]
    if lacking:
        raise DataError(f"training record without the column {', '.join(lacking)}; columns: {', '.join(record.columns)}")
    rows = record.filter(pl.col("quantity").is_in(["gold_probability", "correct"]))
    if len(rows.filter(rows.select("step", "example", "quantity").is_duplicated())):
        twice = rows.filter(rows.select("step", "example", "quantity").is_duplicated()).row(0, named=True)
        raise DataError(f"training record: example {twice['example']!r} stands twice at step {twice['step']}")
    paired = rows.pivot(on="quantity", index=["step", "example"], values="value", maintain_order=True)
    if (
        not {"gold_probability", "correct"} <= set(paired.columns)
        or paired["gold_probability"].null_count()
        or paired["correct"].null_count()
    ):
        raise DataError('training record: every step and example needs the quantities "gold_probability" and "correct"')
    seen: dict[int, dict[str, tuple[float, bool]]] = {}
    for step, example, p, correct in paired.select("step", "example", "gold_probability", "correct").rows():
        seen.setdefault(int(step), {})[str(example)] = (float(p), bool(correct))
    return assembled(seen, when)
