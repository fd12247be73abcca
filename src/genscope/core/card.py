"""Card: where a task or study stands on the five axes of GenBench (Hupkes et al. 2023, Nature Machine Intelligence)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

Motivation = Literal["practical", "cognitive", "intrinsic", "fairness"]
Type = Literal["compositional", "structural", "cross-task", "cross-lingual", "cross-domain", "robustness"]
Shift = Literal["covariate", "label", "full", "double", "assumed"]
Source = Literal["naturally occurring", "partitioned natural", "generated shift", "fully generated"]
Locus = Literal["train-test", "finetune train-test", "pretrain-train", "pretrain-test", "multiple"]

AXES = {"motivation": Motivation, "type": Type, "shift": Shift, "source": Source, "locus": Locus}


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """The five axes: why it is studied, what kind of generalization, what shifts, where the data is from, and between which stages.

    `shift="assumed"` means that nobody measured it (the training data is unknown); pages print a warning
    until a measured distance stands beside it.
    """

    motivation: Motivation
    type: Type
    shift: Shift
    source: Source
    locus: Locus

    def __post_init__(self) -> None:
        from genscope.core.errors import UsageError

        for axis, value in asdict(self).items():
            allowed = get_args(AXES[axis])
            if value not in allowed:
                raise UsageError(f"card: {axis} must be one of {', '.join(allowed)}; got {value!r}")
