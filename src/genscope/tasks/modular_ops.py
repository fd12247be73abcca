"""Arithmetic modulo a prime with several operations in one table: [a, b, op] -> c. Each operation is a domain; one is a random table, which can only be memorized.

    add: a + b    sub: a - b    sq: a^2 + b^2    rand: a fixed random table

All p^2 pairs of every operation; a random share of each one's rows is for training, the rest is its test set. Source: system 13; Power et al. 2022 (grokking).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from genscope.core.card import Card
from genscope.core.errors import TaskError, unknown
from genscope.core.seeds import Seed

# N rows
OPERATIONS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "sq": lambda a, b: a**2 + b**2,
    "mul": lambda a, b: a * b,
}
RANDOM = "rand"
CARD = Card(motivation="intrinsic", type="compositional", shift="covariate", source="fully generated", locus="train-test")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a split: tokens [a, b, p + place of the domain], answers c in 0..p-1, and the place of each row's domain."""

    tokens: Int[np.ndarray, "N 3"]
    answers: Int[np.ndarray, " N"]
    domain: Int[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModularOps:
    """domains: name -> operation ("add", "sub", "sq", "mul" or "rand"); fractions: name -> share of its p^2 rows that train, inside (0, 1)."""

    p: int = 31
    domains: Mapping[str, str] = field(default_factory=lambda: {"add": "add", "sub": "sub", "sq": "sq", RANDOM: RANDOM})
    fractions: Mapping[str, float] = field(default_factory=lambda: {"add": 0.7, "sub": 0.7, "sq": 0.7, RANDOM: 0.15})

    def __post_init__(self) -> None:
        if self.p < 2 or any(self.p % k == 0 for k in range(2, int(self.p**0.5) + 1)):
            raise TaskError(f"modular_ops: p must be a prime, got {self.p}")
        for name, operation in self.domains.items():
            if operation not in (*OPERATIONS, RANDOM):
                raise TaskError(unknown("operation", operation, (*OPERATIONS, RANDOM)))
            if not 0 < self.fractions.get(name, 0) < 1:
                raise TaskError(f"modular_ops: the training share of {name} must lie inside (0, 1), got {self.fractions.get(name)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Domains in the order of their tokens."""
        return tuple(self.domains)

    @property
    def vocabulary(self) -> int:
        """Input tokens: p numbers and one for each domain."""
        return self.p + len(self.domains)

    @property
    def generalizing(self) -> tuple[str, ...]:
        """The domains with a rule."""
        return tuple(name for name, operation in self.domains.items() if operation != RANDOM)

    def make(self, seed: Seed) -> tuple[Rows, Rows]:
        """(training rows, test rows), domain after domain, which share no (a, b, op)."""
        a, b = (one.reshape(-1) for one in np.divmod(np.arange(self.p**2), self.p))
        train, test = [], []
        for place, (name, operation) in enumerate(self.domains.items()):
            own = seed.child(name)
            random = own.child("table").rng().integers(0, self.p, self.p**2)
            answers = random if operation == RANDOM else OPERATIONS[operation](a, b) % self.p
            tokens = np.stack([a, b, np.full_like(a, self.p + place)], axis=1)
            order = own.child("split").rng().permutation(self.p**2)
            cut = int(self.fractions[name] * self.p**2)
            for rows, chosen in ((train, np.sort(order[:cut])), (test, np.sort(order[cut:]))):
                rows.append((tokens[chosen], answers[chosen], np.full(len(chosen), place)))
        first, second = (Rows(*(np.concatenate(parts) for parts in zip(*rows, strict=True))) for rows in (train, test))
        return first, second

    def certify(self, seed: Seed) -> int:
        """Rows that training and test share: 0."""
        train, test = self.make(seed)
        return len({tuple(row) for row in train.tokens.tolist()} & {tuple(row) for row in test.tokens.tolist()})
