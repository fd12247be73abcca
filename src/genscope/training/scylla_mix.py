"""The data of the Scylla family: knowledge of all numbers, practice of the tasks on familiar ones only, and tests on familiar and on new ones.

A language model knows all numbers but has met its tasks on familiar ones. Here 0..99 is split into familiar numbers (60) and new ones (40); 40 % of the batches
teach facts about all of them (the larger of two, the successor, the sum, membership), 60 % the thirteen tasks on lists of familiar ones. Qi et al. 2025
(arXiv 2410.01769) measure the gap between both sides; the family is genscope's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from genscope.core.errors import TaskError
from genscope.core.example import Example, example_id
from genscope.core.seeds import Seed
from genscope.tasks import scylla
from genscope.tasks.scylla import compact
from genscope.tasks.scylla.id_source import IdSource
from genscope.tasks.scylla.pool import Pool
from genscope.tasks.scylla.sampler import Sampler

UNIVERSE, GROUP, FAMILIAR_OF_GROUP = 100, 5, 3
"""Numbers 0..99; of every five neighbours three are familiar, so that both sides cover the range."""
LENGTHS = (4, 5, 6)
KNOWLEDGE_SHARE = 0.4
_COPIES = 20
"""Times that each familiar number stands in the multiset of ID elements, so that the OOD multiset (as large, drawn at random) holds every new number."""
_REFILL = 512
Practice = Literal["familiar", "all"]
"""Which numbers the tasks are practised on."""
Line = tuple[str, str]
"""A question and its answer in words."""


@dataclass(frozen=True, slots=True)
class Split:
    """familiar and new: the two sides of 0..99, ascending."""

    familiar: Int[np.ndarray, " a"]
    new: Int[np.ndarray, " b"]


def split(seed: Seed) -> Split:
    """Which numbers are familiar: three of every five neighbours, drawn by the seed."""
    rng = seed.child("familiar numbers").rng()
    groups = rng.permuted(np.arange(UNIVERSE).reshape(-1, GROUP), axis=1)
    return Split(np.sort(groups[:, :FAMILIAR_OF_GROUP], axis=None), np.sort(groups[:, FAMILIAR_OF_GROUP:], axis=None))


def sampler(task: scylla.AlgorithmicTask, seed: Seed) -> Sampler:
    """The task's test instances: as in a profile of a model whose familiar numbers are the split's, new numbers with as many digits."""
    elements = np.tile(split(seed).familiar, _COPIES)
    lengths = tuple(n for n in LENGTHS if n >= task.lengths[0])
    source = IdSource(elements, np.zeros_like(elements), lengths, np.zeros(len(lengths), dtype=np.int64))
    return Sampler(task, source, "elements", "matched", seed.child("tests"))


def tests(task: scylla.AlgorithmicTask, seed: Seed, n: int) -> dict[str, list[Example]]:
    """`n` test instances on either side; OOD instance i has the length of ID instance i. Places whose target has no word on either side are passed over."""
    made = sampler(task, seed)
    for asked in (2 * n, 4 * n, 8 * n):
        pairs = zip(made.id(0, asked), made.ood(0, asked), strict=True)
        kept = [(one, other) for one, other in pairs if compact.known(one.input) and compact.known(other.input)]
        if len(kept) >= n:
            return {"id": [one for one, _ in kept[:n]], "ood": [other for _, other in kept[:n]]}
    raise TaskError(f"{task.name}: fewer than {n} of {8 * n} instances have targets up to {compact.LARGEST}")


def all_tests(seed: Seed, n: int) -> dict[str, dict[str, list[Example]]]:
    """Task -> split -> test instances, for every task of the family."""
    return {name: tests(scylla.task(name), seed, n) for name in compact.TASKS}


# --- what is trained on


def practice(name: str, pool: Pool, seed: Seed, held_out: frozenset[str]) -> Iterator[Line]:
    """Endless fresh instances of a task on lists of 4 to 6 numbers of the pool; those held out (by hash) or without words are passed over."""
    task = scylla.task(name)
    lengths = np.array([n for n in LENGTHS if n >= task.lengths[0]])
    rng = seed.child(name).rng()
    while True:
        for built in task.build(rng.choice(lengths, _REFILL).tolist(), pool, rng, None):
            if built is not None and compact.known(built[0]) and example_id(name, built[0]) not in held_out:
                yield compact.prompt(name, built[0]), compact.answer(task, built[1])


def knowledge(name: str, seed: Seed) -> Iterator[Line]:
    """Endless facts about the numbers 0..99."""
    rng = seed.child(name).rng()
    while True:
        pairs = rng.integers(0, UNIVERSE, (_REFILL, 2)).tolist()
        lists = rng.integers(0, UNIVERSE, (_REFILL, max(LENGTHS)))
        for (a, b), entries, n, inside in zip(pairs, lists.tolist(), rng.choice(LENGTHS, _REFILL), rng.random(_REFILL) < 0.5, strict=True):
            if name == "in_list":
                few = entries[: int(n)]
                sought = few[a % len(few)] if inside else b
                yield compact.prompt(name, {"l": few, "k": sought}), f"{compact.YES if sought in few else compact.NO} {compact.END}"
            else:
                value = {"larger_of": max(a, b), "successor_of": a + 1, "sum_of": a + b}[name]
                yield compact.prompt(name, {"l": [a] if name == "successor_of" else [a, b]}), f"{value} {compact.END}"


def batches(seed: Seed, run: Seed, practised_on: Practice, batch: int, held_out: frozenset[str]) -> Iterator[list[Line]]:
    """Endless batches: knowledge with probability 0.4, else tasks, each line of a kind drawn uniformly. seed: of the split; run: of the draws."""
    pool = Pool(split(seed).familiar if practised_on == "familiar" else np.arange(UNIVERSE))
    facts = [knowledge(name, run.child("knowledge")) for name in compact.KNOWLEDGE]
    tasks = [practice(name, pool, run.child("practice"), held_out) for name in compact.TASKS]
    rng = run.child("mixture").rng()
    while True:
        sources: Sequence[Iterator[Line]] = facts if rng.random() < KNOWLEDGE_SHARE else tasks
        yield [next(sources[place]) for place in rng.integers(0, len(sources), batch)]


def facts(name: str, seed: Seed, n: int) -> list[Line]:
    """`n` questions about numbers with their answers, to ask what is known."""
    return list(itertools.islice(knowledge(name, seed), n))


def shared_with_training(seed: Seed, n: int, looked_at: int = 20) -> dict[str, int]:
    """What must be 0: questions that both sides of the tests share, new numbers among the familiar ones, and test questions in the first batches of training."""
    tested = all_tests(seed, n)
    held_out = frozenset(one.id for sides in tested.values() for side in sides.values() for one in side)
    asked = {compact.prompt(one.task, one.input) for sides in tested.values() for side in sides.values() for one in side}
    stream = batches(seed, seed.child("run", "first"), "familiar", 128, held_out)
    practised = {question for batch in itertools.islice(stream, looked_at) for question, _ in batch}
    sides = split(seed)
    return {
        "familiar and new test questions": sum(len({one.id for one in both["id"]} & {one.id for one in both["ood"]}) for both in tested.values()),
        "familiar and new numbers": len(set(sides.familiar.tolist()) & {number for both in tested.values() for one in both["ood"] for number in one.input["l"]}),
        "tests and training": len(asked & practised),
    }  # fmt: skip
