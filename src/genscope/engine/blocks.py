"""Blocks elsewhere: a model whose blocks of requests are computed by an executor's workers; all else of it is here.

A shard is a few consecutive blocks, so that a worker that has loaded the weights uses them more than once. Blocks are what they are in one
process (same rows, same order, same key), hence so are the replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import lru_cache
from itertools import takewhile
from typing import Any
from uuid import uuid4

from genscope.core import errors
from genscope.core.errors import GenscopeError, ModelError, StoreError, UsageError
from genscope.core.reply import GenerateJob, OnReplies, OnScores, Request, ScoreJob, job_from_plain, reply_from_plain
from genscope.core.store import Store
from genscope.engine.executor import Answer, Executor, Order
from genscope.engine.worker import once, refuse_other_code
from genscope.models import names
from genscope.models.ask import Asker
from genscope.models.model import Description, Model

ASKED = ("openai", "inspect")
"""Kinds of models that compute on somebody's server."""


class ModelElsewhere(Model):
    """`model` (made from its name) with its blocks computed by `executor`. fresh: compute again what the store holds."""

    def __init__(self, model: Model, name: str, executor: Executor, store: Store, fresh: bool) -> None:
        if names.parse(name).kind in ASKED:
            raise UsageError(
                f"{model.name} is asked over the network, from here: --on is for models that compute on your own machines. Leave --on out"
            )
        self.model, self.spec, self.executor, self.store = model, name, executor, store
        self.name, self.abilities, self.block, self.spends = model.name, model.abilities, model.block, model.spends
        self.fresh = uuid4().hex if fresh else ""
        self._asker = Asker(model, store)

    def identity(self) -> dict[str, Any]:
        return self.model.identity()

    def describe(self) -> Description:
        return self.model.describe()

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        def finished(place: int, plain: list[Any]) -> None:
            done(place, [reply_from_plain(reply) for reply in plain])

        self._run("generate", jobs, finished, stop)

    def score(self, jobs: Sequence[ScoreJob], done: OnScores, stop: Callable[[], bool]) -> None:
        self._run("score", jobs, done, stop)

    def inside(self, dtype: str = "float32") -> tuple[Any, Any]:
        return self.model.inside(dtype)

    def answer_tokens(self, request: Request, answer: str) -> tuple[list[int], list[int]]:
        return self.model.answer_tokens(request, answer)

    def close(self) -> None:
        self.executor.close()
        self.model.close()

    def _run(
        self, kind: str, jobs: Sequence[GenerateJob] | Sequence[ScoreJob], done: Callable[[int, Any], None], stop: Callable[[], bool]
    ) -> None:
        places: dict[str, list[int]] = {}
        for place, job in enumerate(jobs):
            places.setdefault(self._asker.key(job), []).append(place)
        with closing(self.executor.run(self._orders(kind, {key: jobs[first] for key, (first, *_) in places.items()}, stop))) as answers:
            for order, answer in answers:
                if answer["error"]:
                    raise failure(answer)
                for key in order["keys"]:
                    found = answer["unkept"].get(key) or self.store.get(key)
                    if found is None:
                        raise StoreError(
                            f"{self.store.place}: a worker kept block {key} there, and it is not there. Do all machines see the same store?"
                        )
                    for place in places[key]:
                        done(place, found)

    def _orders(self, kind: str, jobs: Mapping[str, GenerateJob | ScoreJob], stop: Callable[[], bool]) -> Iterator[Order]:
        """Shards of consecutive blocks, for as long as `stop` lets a block start."""
        size = max(1, min(self.executor.shard, len(jobs) // (self.executor.spread * self.executor.width)))
        waiting = list(jobs.items())
        for start in range(0, len(waiting), size):
            asked = waiting[start : start + size]
            shard = dict(takewhile(lambda _: not stop(), asked))
            if shard:
                keys = list(shard)
                yield {"do": "blocks", "model": self.spec, "kind": kind, "jobs": [asdict(job) for job in shard.values()], "keys": keys, "key": keys[0], "fresh": self.fresh}  # fmt: skip
            if len(shard) < len(asked):
                return


def failure(answer: Answer) -> GenscopeError:
    """The error that a worker met, in its own class."""
    kind = getattr(errors, answer["kind"], None)
    if isinstance(kind, type) and issubclass(kind, GenscopeError):
        return kind(answer["error"].removeprefix(f"{answer['kind']}: "))
    return ModelError(answer["error"])


def blocks(order: Order) -> dict[str, Any]:
    """Carry out a shard: each block is kept as soon as it is there. Blocks in which every reply failed are not kept but handed back."""
    model, store, unkept = _model(order["model"]), Store.open(), {}
    asker = Asker(model, store, fresh=True)  # what is in the store is looked up once nobody else can be writing it
    for plain, key in zip(order["jobs"], order["keys"], strict=True):
        job = job_from_plain(plain)
        refuse_other_code(asker.key(job), key)
        with once(store, key, order["fresh"]) as missing:
            if not missing:
                continue
            if isinstance(job, ScoreJob):
                asker.score([job], "")
                continue
            (replies,) = asker.generate([job], "")
            if all(reply.finish == "failed" for reply in replies):
                unkept[key] = [asdict(reply) for reply in replies]
    return {"unkept": unkept}


@lru_cache(maxsize=1)
def _model(name: str) -> Model:
    """The model of the last order: its weights serve the next one."""
    return names.make(name)
