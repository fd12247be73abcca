"""Pathway distances of 1,000 pairs at 24 checkpoints, beside a loop in plain Python over the same pathways; the distances must be the same."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from genscope.core.seeds import Seed
from genscope.measures.pathways import Pathways, sampled_pairs

CHECKPOINTS, EXAMPLES, LAYERS, EXPERTS, PAIRS = 24, 128, 16, 64, 1_000


def run(say: Callable[..., None], note: Callable[[str, str], None]) -> None:
    """Shapes of OLMoE (16 layers, 64 experts), drawn routing weights; the plain loop on one checkpoint, times 24."""
    rng = Seed("bench", "pathways").rng()
    logits = rng.standard_normal((CHECKPOINTS, EXAMPLES, LAYERS, EXPERTS)) * 2
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    pairs = sampled_pairs(EXAMPLES, PAIRS, Seed("bench", "pairs"))
    start = time.process_time()
    made = [Pathways(weights=one).distances(pairs, normalize=False) for one in weights]
    fast = time.process_time() - start
    start = time.process_time()
    one = Pathways(weights=weights[0])
    paths = [[(layer, expert) for layer, experts in enumerate(one.lists(k)) for expert in experts] for k in range(EXAMPLES)]
    slow = np.array([_levenshtein(paths[i], paths[j]) for i, j in pairs])
    plain = (time.process_time() - start) * CHECKPOINTS
    if not np.array_equal(slow, made[0]):
        raise SystemExit("the two distances differ")
    say(f"pathway distances, {PAIRS:,} pairs x {CHECKPOINTS} checkpoints", plain / fast, " x", ">=", 20, "plain Python")
    note("  seconds of processor time", f"{fast:.2f}")


def _levenshtein(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
