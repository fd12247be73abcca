"""Response: one row for each question that a model was asked; the ground under every record of a queried model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A question, a reply and its grade.

    kind: "probe" (asked to invent inputs), "answer" (graded) or "second" (graded second stage);
    chance: probability that a guess of the right format is correct; how: where the answer was found;
    score: graded value in [0, 1], or a log-probability margin in likelihood mode; truncated: cut by the token limit;
    refused: the server or model declined to answer; failed: why no reply came, else ""; dropped: parameters that the server did not accept.
    """

    section: str
    kind: str
    task: str
    level: int | None
    split: str
    seed: int = 0
    index: int
    example: str
    model: str
    mode: str
    repeat: int = 0
    prompt_hash: str
    prompt: str
    reply: str
    thinking: str = ""
    target: str
    parsed: bool
    how: str
    answer: str
    correct: bool
    score: float | None
    chance: float
    tokens_in: int = 0
    tokens_out: int = 0
    truncated: bool = False
    refused: bool = False
    failed: str = ""
    dropped: str = ""
    factors: str = "{}"


def responses_frame(rows: Iterable[Response]) -> pl.DataFrame:
    """Responses as a polars frame with a fixed schema, in the order given; an empty iterable gives an empty frame."""
    import polars as pl

    types = {"str": pl.String, "int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}
    schema = {name: types[str(kind).split(" ")[0]] for name, kind in Response.__annotations__.items()}
    return pl.DataFrame([asdict(row) for row in rows], schema=schema)
