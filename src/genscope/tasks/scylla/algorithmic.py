"""AlgorithmicTask: an input with an exact solver, a verifier, a constructive generator and a chance level."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from genscope.core.card import Card
from genscope.core.errors import UsageError
from genscope.core.example import Example
from genscope.tasks.scylla.parse import Parsed, parse_list, parse_number
from genscope.tasks.scylla.pool import Pool
from genscope.tasks.task import Score, Task

Input = Mapping[str, Any]
Answer = Any
Built = tuple[dict[str, Any], Answer]
"""An input and one right answer."""
Grade = Literal["verify", "reference"]


class AlgorithmicTask(Task):
    """One of the twenty tasks. A value without state; `level` is None for the three probe tasks."""

    version = 1
    card = Card(motivation="practical", type="robustness", shift="covariate", source="fully generated", locus="pretrain-test")
    description: str
    answer_rule: str
    answer_kind: Literal["number", "list"] = "list"
    lengths: tuple[int, int] = (2, 64)
    """Least and most entries of a valid instance."""
    direct_tokens: int = 32
    """Tokens that hold any direct answer."""
    keeps_profile = False
    """Whether an OOD instance keeps the multiplicities of its ID sibling: the task depends on duplicates."""

    # --- to be fulfilled by each task

    @abstractmethod
    def why_invalid(self, asked: Input) -> str | None:
        """Why this is no valid instance; None when it is one."""

    @abstractmethod
    def solve(self, asked: Input) -> Answer:
        """One right answer, by an exact algorithm that shares no code with the generator."""

    @abstractmethod
    def right(self, asked: Input, answer: Answer, optimum: int | None) -> bool:
        """Whether a parsed answer fulfils the task; `optimum` is the stored optimum where the task has one."""

    @abstractmethod
    def guess(self, asked: Input, rng: np.random.Generator) -> Answer:
        """A random answer of the right format, made of the input's entries: the guess that `chance` speaks of."""

    @abstractmethod
    def build(self, shapes: Sequence[Any], pool: Pool, rng: np.random.Generator, like: Sequence[Input] | None) -> list[Built | None]:
        """Instances of the given shapes from the pool, None where this attempt failed; `like` are the ID siblings of OOD instances."""

    @abstractmethod
    def from_lists(self, value: Any, rng: np.random.Generator) -> Built | None:
        """The instance that a list (pair, matrix) becomes once its parameters are drawn; None when it cannot be one."""

    @abstractmethod
    def repair(self, value: Any, rng: np.random.Generator) -> Built | None:
        """An instance near an invalid list (2.5 of the sheet of repairs); None when none was found."""

    # --- the same for all

    def shape(self, asked: Input) -> Any:
        """What an OOD sibling keeps: the length (a pair of lengths for two lists)."""
        return len(asked["l"])

    def optimum(self, asked: Input) -> int | None:
        """Length or cost that a right answer must reach, for tasks with many right answers; None elsewhere."""
        return None

    def prompt(self, example: Example) -> str:
        """The instance as text: entries separated by single spaces, parameters named."""
        asked = example.input
        parameters = [f"${name}$ = {asked[name]}" for name in ("k", "a", "b") if name in asked]
        entries = " ".join(map(str, asked["l"]))
        return ", ".join([f"$l$ = {entries}", *parameters]) if parameters else entries

    def parse(self, reply: str, strict: bool = False) -> Parsed:
        """The answer in a reply, and how it was found; `strict` takes bracketed lists only."""
        return parse_number(reply) if self.answer_kind == "number" else parse_list(reply, lenient=not strict)

    def score(self, example: Example, reply: str, grade: str = "verify", strict: bool = False) -> Score:
        """Parse and grade. "verify" checks the property; "reference" compares with the one stored answer (as the authors do)."""
        found = self.parse(reply, strict)
        if found.value is None:
            return Score(correct=False, parsed=False, how="none")
        if grade == "verify":
            good = self.right(example.input, found.value, example.factors.get("optimum"))
        elif grade == "reference":
            good = self.same(found.value, example.target)
        else:
            raise UsageError(f"grade must be 'verify' or 'reference', got {grade!r}")
        return Score(correct=good, parsed=True, how=found.how, value=found.value)

    def same(self, answer: Answer, target: Answer) -> bool:
        """Whether an answer equals the stored one, up to what the task leaves open."""
        return answer == target

    def answer_text(self, answer: Answer, style: Literal["brackets", "plain"] = "brackets") -> str:
        """An answer as a model should write it: a number; a bracketed list, or its entries separated by spaces."""
        if self.answer_kind == "number":
            return str(answer)
        return "[" + ", ".join(map(str, answer)) + "]" if style == "brackets" else " ".join(map(str, answer))

    def gold_answers(self, example: Example, rng: np.random.Generator, most: int = 6) -> list[Answer]:
        """Acceptable answers, the stored one first, at most `most`."""
        return [example.target]

    def wrong_answers(self, example: Example, count: int, rng: np.random.Generator) -> list[Answer]:
        """`count` different wrong answers of the right format: random guesses from the entries, then near misses of the stored answer."""
        optimum = example.factors.get("optimum", self.optimum(example.input))
        wrong: dict[str, Answer] = {}
        for attempt in range(60 * count):
            answer = self.guess(example.input, rng) if attempt < 30 * count else self._near_miss(example.target, rng)
            text = self.answer_text(answer)
            if text not in wrong and text != self.answer_text(example.target) and not self.right(example.input, answer, optimum):
                wrong[text] = answer
                if len(wrong) == count:
                    break
        return list(wrong.values())

    def _near_miss(self, target: Answer, rng: np.random.Generator) -> Answer:
        step = int(rng.integers(1, 30)) * (1 if rng.random() < 0.5 else -1)
        if self.answer_kind == "number":
            return max(0, target + step)
        changed = list(target)
        place = int(rng.integers(len(changed)))
        changed[place] = max(0, changed[place] + step)
        return changed


class ListTask(AlgorithmicTask):
    """A task on one list: entries are drawn for all rows of one length at once, then finished with their parameters."""

    @abstractmethod
    def finish(self, rows: Int[np.ndarray, "m n"], rng: np.random.Generator) -> list[Built | None]:
        """Instances from rows of entries: parameters drawn, answer found; None for a row that is no valid instance."""

    def entries(self, n: int, count: int, pool: Pool, rng: np.random.Generator) -> Int[np.ndarray, "m n"] | None:
        """Rows of `n` entries; None when the pool cannot give any."""
        return pool.draw((count, n), rng)

    def build(self, shapes: Sequence[int], pool: Pool, rng: np.random.Generator, like: Sequence[Input] | None) -> list[Built | None]:
        built: list[Built | None] = [None] * len(shapes)
        lengths = np.asarray(shapes)
        for n in np.unique(lengths):
            places = np.flatnonzero(lengths == n)
            if like is not None and self.keeps_profile:
                rows = with_profiles([like[int(place)]["l"] for place in places], pool, rng)
            else:
                rows = self.entries(int(n), len(places), pool, rng)
            if rows is None:
                continue
            for place, one in zip(places, self.finish(rows, rng), strict=True):
                built[place] = one
        return built

    def from_lists(self, value: Any, rng: np.random.Generator) -> Built | None:
        if not self.lengths[0] <= len(value) <= self.lengths[1]:
            return None
        return self.finish(np.array([value]), rng)[0]

    def repair(self, value: Any, rng: np.random.Generator) -> Built | None:
        """Increment random entries, at most 50 times."""
        if not self.lengths[0] <= len(value) <= self.lengths[1]:
            return None
        row = np.array([value])
        for _ in range(50):
            row[0, rng.integers(row.shape[1])] += 1
            built = self.finish(row, rng)[0]
            if built is not None:
                return built
        return None

    def why_invalid(self, asked: Input) -> str | None:
        n, (least, most) = len(asked["l"]), self.lengths
        return None if least <= n <= most else f"{self.name}: the list has {n} entries; allowed are {least} to {most}"


def with_profiles(lists: Sequence[Sequence[int]], pool: Pool, rng: np.random.Generator) -> Int[np.ndarray, "m n"] | None:
    """Each list's multiplicities with other values: every distinct value becomes a different element of the pool, then all are shuffled."""
    rows = []
    for values in lists:
        _, places = np.unique(values, return_inverse=True)
        new = pool.different(int(places.max()) + 1, rng)
        if new is None:
            return None
        rows.append(rng.permutation(new[places]))
    return np.array(rows)


def is_sub_multiset(answer: Sequence[Any], entries: Sequence[int]) -> bool:
    """Whether every entry of the answer can be taken from the list, each position once."""
    left = list(entries)
    for item in answer:
        try:
            left.remove(item)
        except ValueError:
            return False
    return True
