"""The Scylla family: small decoders that know all numbers and have practised thirteen tasks on familiar ones; trained from scratch, asked through text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from genscope.core.canonical import digest
from genscope.core.errors import UsageError, unknown
from genscope.core.seeds import Seed
from genscope.models.small_lm import SmallLM, word_tokenizer
from genscope.tasks.scylla import compact
from genscope.training.recipe import plain
from genscope.training.scylla_mix import LENGTHS, Practice, all_tests, batches, split
from genscope.training.sequences import FIRST_WORD, Course, Pair, fit, greedy, keep_model

SIZES: Mapping[str, tuple[int, int, int]] = {"XS": (1, 32, 2), "S": (2, 64, 4), "M": (3, 128, 4), "L": (6, 256, 8)}
"""Name -> layers, width, heads."""
TABLE = 24
"""Positions: the longest question (a name, six entries, k, its value, the end of the question) and the longest answer (six entries and the end)."""
WARMUP = 100
"""Updates of linear warm-up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyRecipe:
    """One model of the family. seed: of the split, the tests, and everything drawn in training; run: another name draws other weights and batches of the same
    split; practised_on: the numbers of the tasks' lists, familiar ones or all; tests: test instances a task and side, which are held out.
    """

    size: str
    seed: int
    run: str = "first"
    practised_on: Practice = "familiar"
    updates: int = 3_000
    batch: int = 128
    lr: float = 4e-3
    spread: float = 0.05
    tests: int = 128

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(unknown("size", self.size, SIZES))
        if min(self.updates, self.batch, self.tests) < 1:
            raise UsageError(f"updates, batch and tests must be at least 1, got {self.updates}, {self.batch} and {self.tests}")

    @property
    def root(self) -> Seed:
        """The node of the seed tree that split and tests hang from: the same for every size, run and practice."""
        return Seed("scylla family", self.seed)

    def build(self) -> Any:
        """The model before training."""
        layers, width, heads = SIZES[self.size]
        net = SmallLM(
            vocabulary=FIRST_WORD + len(compact.words()), layers=layers, width=width, heads=heads, table=TABLE, spread=self.spread
        )
        return net.build(self.root.child("run", self.run, "weights"))


def train_family(recipe: FamilyRecipe) -> tuple[Any, list[dict[str, float]]]:
    """(the trained model in evaluation mode, its loss in nats a token every 500 updates)."""
    net = recipe.build().train()
    places = {word: FIRST_WORD + place for place, word in enumerate(compact.words())}
    held_out = frozenset(one.id for sides in all_tests(recipe.root, recipe.tests).values() for side in sides.values() for one in side)
    stream = batches(recipe.root, recipe.root.child("run", recipe.run), recipe.practised_on, recipe.batch, held_out)
    curve: list[dict[str, float]] = []

    def tokens(text: str) -> list[int]:
        return [places[word] for word in text.split(" ")]

    def draw(_: np.random.Generator) -> list[Pair]:
        return [(tokens(question), tokens(answer)) for question, answer in next(stream)]

    def look(update: int, loss: float) -> bool:
        curve.append({"updates": update, "loss": loss})
        return False

    course = Course(updates=recipe.updates, lr=recipe.lr, warmup=min(1.0, WARMUP / recipe.updates), beta2=0.99, look_every=500)
    fit(net, draw, course, recipe.root.child("run", recipe.run, "fit").rng(), look)
    return net.eval(), curve


def replies(net: Any, questions: Sequence[str]) -> list[str]:
    """Greedy replies as text, without their end: questions of one length together, decoded by the word-level tokenizer."""
    tokenizer = word_tokenizer(compact.words(), compact.END)
    encoded = tokenizer(list(questions), add_special_tokens=False)["input_ids"]
    found = [""] * len(questions)
    for length in sorted({len(tokens) for tokens in encoded}):
        rows = [row for row, tokens in enumerate(encoded) if len(tokens) == length]
        answers = greedy(net, torch.tensor([encoded[row] for row in rows]), tokenizer.eos_token_id, compact.MOST)
        for row, text in zip(rows, tokenizer.batch_decode(answers, skip_special_tokens=True), strict=True):
            found[row] = text
    return found


def run_name(recipe: FamilyRecipe) -> str:
    """The ID under which a model of the family is kept."""
    return f"scylla-{recipe.size}-{digest(plain(recipe), size=5)}"


def keep_family_run(net: Any, recipe: FamilyRecipe) -> str:
    """Save a model of the family as `run:ID`, with `familiar.txt` (lists of its familiar numbers, for `--id-source`); returns the ID."""
    rng, familiar = recipe.root.child("familiar lists").rng(), split(recipe.root).familiar
    lists = [familiar[rng.permutation(len(familiar))].reshape(-1, n) for n in LENGTHS for _ in range(n)]  # 60 is a multiple of 4, 5 and 6
    text = "".join(" ".join(map(str, row)) + "\n" for rows in lists for row in rows.tolist())
    name = run_name(recipe)
    keep_model(net, compact.words(), compact.END, name, {"familiar.txt": text, "genscope.json": '{"style": "compact"}\n'})
    return name
