"""Simulated response records with known difficulty: everybody tries everything, people try what is near their level, or the same numbers at random.

theta, b ~ N(0, sd^2), x ~ Bernoulli(sigmoid(theta_i - b_j)). Selective: solver i tries item j with probability .05 + .9 sigmoid(3 (1 - |b_j - theta_i - .3|)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from genscope.core.errors import TaskError
from genscope.core.seeds import Seed
from genscope.tasks.responses import ResponseRecord

Pattern = Literal["complete", "selective", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """The record and what made it: ability of each solver, difficulty of each item (in the order of the record's items)."""

    record: ResponseRecord
    ability: np.ndarray
    difficulty: np.ndarray


def simulate(seed: Seed, *, solvers: int = 60, items: int = 300, sd: float = 1.5, pattern: Pattern = "complete") -> Simulated:
    """Solvers, items and answers are drawn alike for every pattern; "random" keeps each item's number of selective attempts and draws who made them."""
    if solvers < 2 or items < 2 or sd <= 0:
        raise TaskError(f"a simulated record needs at least 2 solvers, 2 items and sd > 0; got {solvers}, {items}, {sd}")
    if pattern not in ("complete", "selective", "random"):
        raise TaskError(f"pattern must be complete, selective or random, got {pattern!r}")
    theta = sd * seed.child("ability").rng().standard_normal(solvers)
    b = sd * seed.child("difficulty").rng().standard_normal(items)
    right = (seed.child("answers").rng().random((solvers, items)) < 1 / (1 + np.exp(b - theta[:, None]))).astype(float)
    if pattern != "complete":
        chance = 0.05 + 0.9 / (1 + np.exp(-3 * (1 - np.abs(b - theta[:, None] - 0.3))))
        tried = seed.child("attempts").rng().random((solvers, items)) < chance
        if pattern == "random":
            order = seed.child("who").rng().random((solvers, items)).argsort(0).argsort(0)
            tried = order < tried.sum(0)
        right[~tried] = np.nan
    kept_solvers, kept_items = ~np.isnan(right).all(1), ~np.isnan(right).all(0)
    record = ResponseRecord.from_matrix(right[kept_solvers][:, kept_items])
    return Simulated(record=record, ability=theta[kept_solvers], difficulty=b[kept_items])
