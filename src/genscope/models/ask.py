"""Asking a model: blocks found in the store are not computed again, every other is kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from genscope.core.canonical import digest
from genscope.core.errors import IncompleteError
from genscope.core.progress import Progress
from genscope.core.reply import GenerateJob, Reply, ScoreJob, TokenLogprobs, reply_from_plain
from genscope.core.store import Store
from genscope.models.budget import Meter, estimate_tokens
from genscope.models.model import Model

BLOCK_VERSION = 1
"""Raised when the way of computing a block changes, so that stored replies of the old way are not served as the new."""


def request_hash(job: GenerateJob | ScoreJob, row: int = 0) -> str:
    """Hash of what one row of a job asks (messages, prefill, plain text), for responses."""
    request = job.requests[row] if isinstance(job, GenerateJob) else job.request
    return digest(asdict(request), size=8)


@dataclass(slots=True)
class Asker:
    """One model, one store, one run.

    fresh: compute every block again; meter: what may be spent, and what was; confirm: called once, before the first
    call to a model that spends money or quota, and raises to stop the run. `computed` counts blocks that were not in the store.
    """

    model: Model
    store: Store
    fresh: bool = False
    progress: Progress = field(default_factory=Progress)
    meter: Meter | None = None
    confirm: Callable[[], None] | None = None
    computed: int = 0
    _identity: dict[str, Any] | None = None

    def key(self, job: GenerateJob | ScoreJob) -> str:
        """Store key of a block: model with weights, messages, sampling, repeat, block layout and code version."""
        if self._identity is None:
            self._identity = self.model.identity()
        kind = "generate" if isinstance(job, GenerateJob) else "score"
        return self.store.key(kind, {"version": BLOCK_VERSION, "model": self._identity, "job": asdict(job)})

    def generate(self, jobs: Sequence[GenerateJob], label: str) -> list[list[Reply]]:
        """Replies of every job, in order. Blocks in which every reply failed are not kept, so that a later run asks them again."""
        keys = [self.key(job) for job in jobs]
        replies: list[list[Reply] | None] = [self._kept(key, job) for key, job in zip(keys, jobs, strict=True)]

        def done(place: int, answer: list[Reply]) -> None:
            replies[place] = answer
            if any(reply.finish != "failed" for reply in answer):
                self.store.put(keys[place], [asdict(reply) for reply in answer])
            if self.meter:
                self.meter.settle(tokens_in=sum(reply.tokens_in for reply in answer), tokens_out=sum(reply.tokens_out for reply in answer))

        self._run(jobs, replies, done, self.model.generate, label, rows=[len(job.requests) for job in jobs])
        return [answer for answer in replies if answer is not None]

    def score(self, jobs: Sequence[ScoreJob], label: str) -> list[list[TokenLogprobs]]:
        """Token log-probabilities of every job's continuations, in order."""
        keys = [self.key(job) for job in jobs]
        scores: list[list[TokenLogprobs] | None] = [None if self.fresh else self.store.get(key) for key in keys]

        def done(place: int, answer: list[TokenLogprobs]) -> None:
            scores[place] = answer
            self.store.put(keys[place], answer)

        self._run(jobs, scores, done, self.model.score, label, rows=[1] * len(jobs))
        return [answer for answer in scores if answer is not None]

    def _kept(self, key: str, job: GenerateJob) -> list[Reply] | None:
        held = None if self.fresh else self.store.get(key)
        return [reply_from_plain(reply) for reply in held] if held is not None and len(held) == len(job.requests) else None

    def _run(
        self,
        jobs: Sequence[Any],
        answers: list[Any],
        done: Callable[[int, Any], None],
        compute: Callable[..., None],
        label: str,
        rows: list[int],
    ) -> None:
        missing = [place for place, answer in enumerate(answers) if answer is None]
        if not missing:
            return
        if self.model.spends and self.confirm:
            self.confirm()
            self.confirm = None
        worst = max(job_tokens(jobs[place]) for place in missing)

        with self.progress.work(label, sum(rows), sum(rows) - sum(rows[place] for place in missing)) as advance:

            def finished(index: int, answer: Any) -> None:
                place = missing[index]
                done(place, answer)
                self.computed += 1
                advance(rows[place])

            def stop() -> bool:
                return self.meter is not None and not self.meter.reserve(*worst)

            compute([jobs[place] for place in missing], finished, stop)
        left = sum(answer is None for answer in answers)
        if left:
            spent = f" ({self.meter.report()})" if self.meter else ""
            raise IncompleteError(
                f"{label}: stopped at the budget{spent} with {left} of {len(jobs)} blocks unasked. What was answered is kept; "
                "the same command with a larger --budget goes on from here"
            )


def job_tokens(job: GenerateJob | ScoreJob) -> tuple[int, int]:
    """Estimated tokens of a job: what goes in, and the most that can come out."""
    if isinstance(job, ScoreJob):
        return request_tokens(job) + sum(estimate_tokens(text) for text in job.continuations), 0
    return request_tokens(job), len(job.requests) * job.sampling.max_tokens


def request_tokens(job: GenerateJob | ScoreJob) -> int:
    """Estimated input tokens of a job's requests."""
    requests = job.requests if isinstance(job, GenerateJob) else (job.request,)
    return sum(estimate_tokens("".join(m.content for m in request.messages) or request.plain) for request in requests)
