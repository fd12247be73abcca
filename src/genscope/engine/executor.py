"""Executor: where orders are carried out. An order is plain JSON, one line; whoever carries it out writes to the store and answers with one line.

    order    {"do": "cell" or "blocks", "key": ..., "fresh": ..., ...}
    answer   {"key": ..., "seconds": ..., "error": "", "kind": "", ...}

Local worker processes, Ray tasks and Slurm jobs all do the same with it: genscope.engine.worker.compute.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from genscope.core.errors import UsageError, unknown
from genscope.core.store import Store

Order = dict[str, Any]
Answer = dict[str, Any]

EXECUTORS = {
    "local": "genscope.engine.local:LocalWorkers",
    "ray": "genscope.bridges.ray:RayTasks",
    "slurm": "genscope.bridges.slurm:SlurmJobs",
}


class Executor(ABC):
    """A place with workers. Made from the options that follow its name, and the most orders under way at once (None: as many as it has room for)."""

    shard = 8
    """The most blocks of a model in one order: more where starting an order is slow."""
    spread = 4
    """Orders that each worker gets at least, where there are blocks enough: the last one must not be waited for long."""

    @abstractmethod
    def __init__(self, options: Mapping[str, str], workers: int | None) -> None: ...

    @property
    @abstractmethod
    def width(self) -> int:
        """How many orders it carries out at once, about."""

    @abstractmethod
    def run(self, orders: Iterable[Order]) -> Generator[tuple[Order, Answer], None, None]:
        """Carry out orders, in any order, and yield each with its answer as it comes. Takes an order only when there is room for it; closing the
        iterator ends what is under way. IncompleteError when the place itself goes away: what was answered is kept. May be called again.
        """

    @abstractmethod
    def close(self) -> None:
        """Let the workers go. May be called twice."""


def executor(on: str, workers: int | None, store: Store) -> Executor:
    """The executor of `--on NAME[:option=value,...]`, for work that leaves its results in `store`."""
    name, _, rest = on.strip().partition(":")
    if name not in EXECUTORS:
        raise UsageError(unknown("place to run --on:", name, EXECUTORS))
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, got {workers}")
    if not store.place.shared:
        raise UsageError(
            f"{store.place} is seen by one process only, and workers could leave nothing there. Set GENSCOPE_HOME to a folder or to s3://bucket/path"
        )
    options: dict[str, str] = {}
    for setting in filter(None, rest.split(",")):
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--on {on}: {setting!r} is not option=value. Write --on {name}:option=value,option=value")
        options[key.strip()] = value.strip()
    module, _, attribute = EXECUTORS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)(options, workers)


def typed(name: str, given: Mapping[str, str], kinds: Mapping[str, type]) -> dict[str, Any]:
    """Options of an executor in their types; UsageError for an unknown one or a value that is no number.

    >>> typed("slurm", {"minutes": "90"}, {"minutes": int, "partition": str})
    {'minutes': 90}
    """
    found: dict[str, Any] = {}
    for option, value in given.items():
        if option not in kinds:
            raise UsageError(unknown(f"option of --on {name}:", option, kinds or ["none"]))
        try:
            found[option] = kinds[option](value)
        except ValueError as error:
            raise UsageError(f"--on {name}: {option} takes a number, got {value!r}") from error
        if isinstance(found[option], (int, float)) and not 0 <= found[option] < 1e9:
            raise UsageError(f"--on {name}: {option} must be 0 or more, got {value!r}")
    return found


def lost(order: Order, why: str, kind: str = "WorkerLost") -> Answer:
    """The answer to an order that nobody could carry out."""
    return {"key": order["key"], "seconds": 0.0, "error": why, "kind": kind}
