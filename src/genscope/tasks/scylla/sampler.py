"""Sampler: the ID and OOD instances of one task, instance i the same however many are asked for.

Instances are made in blocks of 256 named by index // 256. OOD instance i has the lengths of ID instance i, and keeps its multiplicities where
the task depends on duplicates; only the elements differ.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from genscope.core.errors import TaskError, UsageError
from genscope.core.example import Example, example_id
from genscope.core.seeds import Seed
from genscope.tasks.scylla.algorithmic import AlgorithmicTask, Built
from genscope.tasks.scylla.id_source import IdSource
from genscope.tasks.scylla.pool import Pool
from genscope.tasks.scylla.universe import digit_counts, ood_pool
from genscope.tasks.task import Certificate

BLOCK = 256
ATTEMPTS = 50
"""Rounds in which the open places of a block are tried again."""


class Sampler:
    """Instances of one task for one source of ID data.

    kind: "examples" takes the source's own examples, "elements" draws instances from its elements and lengths;
    exclude: further numbers that OOD instances must avoid (another model's ID elements).
    Raises TaskError when the source cannot carry the task.
    """

    def __init__(self, task: AlgorithmicTask, source: IdSource, kind: str, universe: str, seed: Seed, exclude: Iterable[int] = ()) -> None:
        if kind not in ("examples", "elements"):
            raise UsageError(f"kind must be 'examples' or 'elements', got {kind!r}")
        if not len(source.elements):
            raise TaskError(f"{task.name}: the ID data holds no element. Give ID data with --id-source FILE, or --id-source prior")
        self.task, self.kind = task, kind
        self._seed = seed.child(task.name)
        self._others = frozenset(exclude)
        ood = ood_pool(task, source.elements, universe, seed, self._others)
        kept = source.elements[~np.isin(digit_counts(source.elements), ood.exhausted_digits)] if ood.exhausted_digits else source.elements
        self.notes: tuple[str, ...] = ()
        if ood.exhausted_digits:
            gone = ", ".join(map(str, ood.exhausted_digits))
            self.notes = (
                f"every number of {gone} digit(s) is familiar to the model, so numbers of that length are left out on both sides",
            )
        self._id_pool, self._ood_pool = Pool(kept), ood.pool
        self._shapes = _valid_shapes(task, source.shapes)
        familiar = frozenset(kept.tolist())
        own = [built for built in source.examples if not ood.exhausted_digits or _entries(task, built[0]) <= familiar]
        self._own = [own[place] for place in self._seed.child("shuffle").rng().permutation(len(own))]
        self._blocks: dict[tuple[str, int], list[Example]] = {}

    @property
    def id_elements(self) -> frozenset[int]:
        """The different ID elements."""
        return frozenset(self._id_pool.distinct.tolist())

    @property
    def ood_elements(self) -> frozenset[int]:
        """The different numbers that OOD instances may hold."""
        return frozenset(self._ood_pool.reservoir.tolist())

    def id(self, start: int, stop: int) -> list[Example]:
        """ID instances start..stop-1. TaskError says how many different ones there are when that is too few."""
        return self._stream("id", start, stop)

    def ood(self, start: int, stop: int) -> list[Example]:
        """OOD instances start..stop-1; instance i is the sibling of ID instance i."""
        return self._stream("ood", start, stop)

    def certificate(self, n: int) -> Certificate:
        """Proof over the first n instances that the splits share no example, and no OOD entry is an ID element."""
        id_, ood = self.id(0, n), self.ood(0, n)
        shared = {example.id for example in id_} & {example.id for example in ood}
        entries = frozenset().union(*(_entries(self.task, example.input) for example in ood)) if ood else frozenset()
        sizes = {"id": len({e.id for e in id_}), "ood": len({e.id for e in ood})}
        return Certificate(sizes=sizes, shared_examples=len(shared), shared_elements=len(entries & (self.id_elements | self._others)))

    def _stream(self, split: str, start: int, stop: int) -> list[Example]:
        found: list[Example] = []
        for number in range(start // BLOCK, -(-stop // BLOCK)):
            block = self._block(split, number)
            found += block[max(0, start - number * BLOCK) : stop - number * BLOCK]
            if len(block) < min(BLOCK, stop - number * BLOCK):
                raise TaskError(
                    f"{self.task.name}: {stop} different {split.upper()} instances were asked for, and there are {number * BLOCK + len(block)} "
                    f"({self.kind}, {len(self.id_elements)} distinct ID elements). Ask fewer with --n, or give more ID data"
                )
        return found

    def _block(self, split: str, number: int) -> list[Example]:
        if (split, number) not in self._blocks:
            earlier = {example.id for before in range(number) for example in self._block(split, before)}
            siblings = self._block("id", number) if split == "ood" else None
            rng = self._seed.child(split, "block", number).rng()
            built = self._own_block(number) if split == "id" and self.kind == "examples" else self._make(split, siblings, earlier, rng)
            self._blocks[split, number] = [self._example(split, number * BLOCK + place, one) for place, one in enumerate(built)]
        return self._blocks[split, number]

    def _own_block(self, number: int) -> list[Built]:
        return self._own[number * BLOCK : (number + 1) * BLOCK]

    def _make(self, split: str, siblings: Sequence[Example] | None, seen: set[str], rng: np.random.Generator) -> list[Built]:
        """Fill the block's places; those that fail or repeat an earlier instance are tried again, at most 50 times.

        ID: places that stay open are dropped. OOD: the first open place ends the block, so that siblings stay together.
        """
        task, pool = self.task, self._id_pool if split == "id" else self._ood_pool
        size = BLOCK if siblings is None else len(siblings)
        shapes = (
            [self._shapes[place] for place in rng.integers(0, len(self._shapes), size)]
            if siblings is None
            else [task.shape(one.input) for one in siblings]
        )
        built: list[Built | None] = [None] * size
        for _ in range(ATTEMPTS):
            open_ = [place for place, one in enumerate(built) if one is None]
            if not open_:
                break
            like = None if siblings is None else [siblings[place].input for place in open_]
            for place, one in zip(open_, task.build([shapes[place] for place in open_], pool, rng, like), strict=True):
                if one is not None and (name := example_id(task.name, one[0])) not in seen:
                    seen.add(name)
                    built[place] = one
        done = [one for one in built if one is not None]
        return done if siblings is None else built[: built.index(None)] if None in built else done  # pyright: ignore[reportReturnType]

    def _example(self, split: str, index: int, built: Built) -> Example:
        asked, target = built
        shape = self.task.shape(asked)
        factors: dict[str, Any] = {"n": shape if isinstance(shape, int) else list(shape)}
        optimum = _optimum(self.task, asked, target)
        if optimum is not None:
            factors["optimum"] = optimum
        return Example(task=self.task.name, input=asked, target=target, level=self.task.level, split=split, index=index, factors=factors)


def _optimum(task: AlgorithmicTask, asked: Any, target: Any) -> int | None:
    """The stored optimum: of the generator's answer, so that no solver runs while sampling (a test proves the two equal)."""
    if task.answer_kind == "number":
        return target
    if task.name == "tsp":
        return sum(asked["D"][a][b] for a, b in itertools.pairwise(target))
    return len(target) if task.level is None else None


def _valid_shapes(task: AlgorithmicTask, shapes: Sequence[Any]) -> list[Any]:
    """The lengths that the task allows; when none is, each is moved to the nearest allowed one."""
    least, most = task.lengths

    def sides(shape: Any) -> tuple[int, ...]:
        return shape if isinstance(shape, tuple) else (shape,)

    pair = task.name == "longest_common_subarray"
    usable = [shape for shape in shapes if all(least <= side <= most for side in sides(shape))]
    usable = usable or [tuple(min(max(side, least), most) for side in sides(shape)) for shape in shapes] or [(least + 2,) * (1 + pair)]
    flat = [shape if isinstance(shape, tuple) else (shape,) for shape in usable]
    return [shape if pair else shape[0] for shape in flat]


def _entries(task: AlgorithmicTask, asked: Any) -> frozenset[int]:
    if task.name == "tsp":
        return frozenset(number for i, row in enumerate(asked["D"]) for j, number in enumerate(row) if i != j)
    return frozenset(asked["l"] if "l" in asked else [*asked["l1"], *asked["l2"]])
