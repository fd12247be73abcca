"""What a model is asked and what it answers, as values: Request, Sampling, Reply; and jobs, the blocks that are computed whole.

A block of requests is computed, stored and resumed as one unit, because in low precision a reply can
change with its neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Messages to a model; `prefill` is the beginning of the assistant's reply, forced where the model can (ability "prefill").

    A model without chat turns (ability "chat" missing) receives `plain`: a text to continue.
    """

    messages: tuple[Message, ...] = ()
    prefill: str = ""
    plain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to decode. Temperature 0 is greedy. `stop` ends a reply before any of its texts. `seed` counts only when temperature > 0."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


Finish = Literal["stop", "length", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A model's answer to one request.

    text: without the prefill and without the thinking; thinking: what a reasoning model wrote between its marks;
    tokens_in, tokens_out: as the model counts them, 0 when it does not say; finish: "stop", "length" (cut by its
    token limit) or "failed" (no answer came; `error` says why); refused: the server or the model declined; dropped: parameters the server did not accept.
    """

    text: str
    thinking: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    finish: Finish = "stop"
    error: str = ""
    refused: bool = False
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateJob:
    """A block of requests decoded together; `repeat` tells apart repeated samples of the same block."""

    requests: tuple[Request, ...]
    sampling: Sampling
    repeat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob:
    """Continuations of one request whose token log-probabilities are wanted."""

    request: Request
    continuations: tuple[str, ...]


TokenLogprobs = list[float]
"""Natural logarithms of the probabilities of a continuation's tokens, in order."""

OnReplies = Callable[[int, list[Reply]], None]
"""Called with the index of a job and its replies as soon as they are there."""

OnScores = Callable[[int, list[TokenLogprobs]], None]
"""Called with the index of a job and, for each continuation, its token log-probabilities; with no list at all when the job exceeds the model's context."""
TOO_LONG = "the question and its answers exceed the model's context"
"""Why a job could not be scored."""


def as_plain(value: Request | Sampling | Message) -> dict[str, Any]:
    """The value as plain JSON, defaults included, for store keys."""
    from dataclasses import asdict

    return asdict(value)


def reply_from_plain(plain: Mapping[str, Any]) -> Reply:
    """The reply that `as_plain` or `dataclasses.asdict` was made from."""
    return Reply(**{**plain, "dropped": tuple(plain.get("dropped", ()))})


def job_from_plain(plain: Mapping[str, Any]) -> GenerateJob | ScoreJob:
    """The job that `dataclasses.asdict` was made from."""
    if "request" in plain:
        return ScoreJob(request=_request(plain["request"]), continuations=tuple(plain["continuations"]))
    sampling = Sampling(**{**plain["sampling"], "stop": tuple(plain["sampling"]["stop"])})
    return GenerateJob(requests=tuple(map(_request, plain["requests"])), sampling=sampling, repeat=plain["repeat"])


def _request(plain: Mapping[str, Any]) -> Request:
    return Request(**{**plain, "messages": tuple(Message(**message) for message in plain["messages"])})


def message_text(messages: Sequence[Message], prefill: str = "") -> str:
    """Messages as one readable text, for people and samples: role, colon, content, a blank line between turns."""
    turns = [f"{message.role}: {message.content}" for message in messages]
    if prefill:
        turns.append(f"assistant: {prefill}")
    return "\n\n".join(turns)
