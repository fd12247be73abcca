"""Model: what it can do, what identifies it, and how blocks of requests are run through it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from genscope.core.reply import GenerateJob, OnReplies, OnScores, Request, ScoreJob

Ability = Literal["generate", "sample", "score", "chat", "prefill", "inside", "compact"]
"""generate: replies greedily; sample: replies at a temperature; score: token log-probabilities of a continuation;
chat: takes chat turns (else plain text to continue); prefill: the beginning of its reply can be forced; inside: its weights and gradients can be read (local models);
compact: it was trained from scratch on tasks in their compact style, and reads no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a page says of a model: its name (no secrets), a sentence, size in parameters (None if unknown), and named facts."""

    name: str
    sentence: str
    parameters: int | None = None
    facts: dict[str, str] = field(default_factory=dict)


class Model(ABC):
    """A model that can be asked. Making one is cheap and loads no weights; weights are loaded at the first job."""

    name: str
    """As the user named it, without secrets."""
    abilities: frozenset[Ability]
    block: int
    """How many requests are computed together: 16 for local batches, 1 where replies do not depend on their neighbours."""
    trained_on: Mapping[str, Any] = MappingProxyType({})
    """What a model that genscope trained from scratch says of its training ("style", and for length tasks "task", "symbols" and "lengths"); empty for others."""
    spends: bool
    """True when a call costs somebody money or quota: the user is asked once before the first call."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything about the model that can change an answer, as plain JSON, for store keys. Imports neither torch nor transformers."""

    @abstractmethod
    def describe(self) -> Description:
        """What a page says of it. Depends on the identity only, so that pages are reproducible."""

    @abstractmethod
    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        """Run jobs, in any order, and hand over each one's replies; ask `stop` before starting a job and end quietly when it says True."""

    def score(self, jobs: Sequence[ScoreJob], done: OnScores, stop: Callable[[], bool]) -> None:
        """Token log-probabilities of each job's continuations. Only models with the ability "score" are asked."""
        from genscope.core.errors import ModelError

        raise ModelError(f"{self.name} cannot score: log-probabilities of given answers need a local model (hf:, gguf:, smollm2)")

    def inside(self, dtype: str = "float32") -> tuple[Any, Any]:
        """(module in evaluation mode, tokenizer) of a local language model. Only models with the ability "inside" are asked."""
        from genscope.core.errors import ModelError

        raise ModelError(f"{self.name} cannot be looked into: weights and gradients need a local model (hf:, gguf:, smollm2)")

    def answer_tokens(self, request: Request, answer: str) -> tuple[list[int], list[int]]:
        """(tokens of the prompt, tokens of the answer after it) of a model with the ability "inside"."""
        from genscope.core.errors import ModelError

        raise ModelError(f"{self.name} cannot be looked into: its tokenizer is not here")

    def close(self) -> None:  # noqa: B027  (models without resources have nothing to free)
        """Free weights or connections. The model can be used again afterwards."""
