"""Training small language models on tasks with a length axis, and reading how far they go: free-running greedy exact match per length.

The recipe that learns to copy beyond its training lengths here (system 10, second pilot): lengths 1 to 20 mixed in each batch of 64, positions shifted by a random
offset per sequence, loss on the answer only, AdamW with a one-cycle schedule (5 % warm-up, cosine), gradient norm clipped to 1, and several thousand updates
beyond the point where the training lengths look solved: length generalization keeps rising there, and an early stop hides it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from genscope.core.errors import TrainingError, UsageError, unknown
from genscope.core.seeds import Seed
from genscope.models.small_lm import SmallLM
from genscope.models.weights import STYLE_FILE
from genscope.tasks.length import END, TASKS, LengthExample, LengthTask
from genscope.training.packing import IGNORED, Batch, Pair, pack

# B sequences, T tokens
FIRST_WORD = 2
"""Token of the first word: 0 is padding, 1 the unknown word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceRecipe:
    """How a small language model is trained on a length task. lengths: (shortest, longest) training length; symbols: the task's vocabulary where not its own;
    loss: on the answer's tokens, or on the prompt's too; offsets: shift positions by a random offset per sequence; context: tokens of a row into which
    sequences are packed; log_n_base: attention with log-n temperature; stop_at: end when exact match on the training lengths reaches it (None: never; ID only).
    """

    task: str
    seed: Seed
    symbols: int | None = None
    lengths: tuple[int, int] = (1, 20)
    updates: int = 10_000
    batch: int = 64
    lr: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    layers: int = 2
    width: int = 64
    heads: int = 4
    table: int = 128
    positions: str = "learned"
    offsets: bool = True
    log_n_base: float | None = None
    loss: Literal["answer", "all"] = "answer"
    context: int = 64
    stop_at: float | None = None
    look_every: int = 1_000

    def __post_init__(self) -> None:
        low, high = self.lengths
        if self.loss not in ("answer", "all"):
            raise UsageError(unknown("loss", self.loss, ("answer", "all")))
        if self.task not in TASKS:
            raise UsageError(unknown("length task", self.task, TASKS))
        if not 1 <= low <= high:
            raise UsageError(f"training lengths go from at least 1 up, got {low} to {high}")
        if self.updates < 1 or self.batch < 1 or self.look_every < 1:
            raise UsageError(f"updates, batch and look_every must be at least 1, got {self.updates}, {self.batch} and {self.look_every}")

    def make_task(self) -> LengthTask:
        """The task with this recipe's vocabulary."""
        task = TASKS[self.task]
        return task if self.symbols is None else replace(task, symbols=self.symbols)

    def net(self, words: int) -> SmallLM:
        """The model for a vocabulary of so many words."""
        return SmallLM(
            vocabulary=FIRST_WORD + words, layers=self.layers, width=self.width, heads=self.heads, table=self.table, positions=self.positions, log_n_base=self.log_n_base,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip


def token_table(task: LengthTask) -> dict[int, int]:
    """Code -> token of a small model: the vocabulary in the task's order, from token 2 on."""
    return {task.code(word): FIRST_WORD + place for place, word in enumerate(task.words())}


def as_tokens(example: LengthExample, codes: dict[int, int]) -> Pair:
    """Prompt and answer as tokens."""
    return [codes[code] for code in example.prompt], [codes[code] for code in example.answer]


def mean_loss(net: nn.Module, batch: Batch, *, positions: bool = True) -> Float[Tensor, ""]:
    """Mean cross-entropy (nats) over the labelled tokens of a packed batch; positions False: the model has none to be given (alibi)."""
    given = {"position_ids": batch.positions} if positions else {}
    logits = net(input_ids=batch.tokens, use_cache=False, **given).logits[:, :-1]
    wanted = batch.labels[:, 1:]
    counted = wanted != IGNORED
    return nn.functional.cross_entropy(logits[counted], wanted[counted])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedLM:
    """A trained model in evaluation mode, with its curve: update, loss (nats a token) and exact match on the training lengths at every look."""

    net: Any
    codes: dict[int, int]
    task: LengthTask
    updates: int
    curve: list[dict[str, float]]


def train_sequences(recipe: SequenceRecipe) -> TrainedLM:
    """Train by the recipe. TrainingError when the loss is no longer a number; UsageError when the longest training sequence does not fit the table."""
    task = recipe.make_task()
    codes = token_table(task)
    low, high = recipe.lengths
    probe = task.sample(high, recipe.seed.child("probe").rng())
    longest = len(probe.prompt) + len(probe.answer)
    if recipe.positions == "learned" and longest > recipe.table:
        raise UsageError(
            f"{task.name}: {longest} tokens at length {high} are longer than the position table of {recipe.table}; make the table longer"
        )
    net: Any = recipe.net(len(codes)).build(recipe.seed.child("weights")).train()
    curve: list[dict[str, float]] = []
    placed = recipe.positions != "alibi"  # Bloom counts places from its mask and cannot be packed

    def draw(rng: np.random.Generator) -> list[Pair]:
        return [as_tokens(task.sample(int(length), rng), codes) for length in rng.integers(low, high + 1, recipe.batch)]

    def look(update: int, loss: float) -> bool:
        known = exact_match(net, task, codes, range(low, high + 1), 4, recipe.seed.child("look"), table=recipe.table)
        curve.append({"updates": update, "loss": loss, "id_exact_match": float(np.mean(list(known.values())))})
        return recipe.stop_at is not None and curve[-1]["id_exact_match"] >= recipe.stop_at

    course = Course(
        updates=recipe.updates, lr=recipe.lr, warmup=recipe.warmup, weight_decay=recipe.weight_decay, clip=recipe.clip,
        offsets_in=recipe.table if recipe.offsets and recipe.positions == "learned" else None, context=recipe.context if placed else 1, positions=placed,
        whole=recipe.loss == "all", look_every=recipe.look_every,
    )  # fmt: skip
    fit(net, draw, course, recipe.seed.child("data").rng(), look)
    return TrainedLM(net=net.eval(), codes=codes, task=task, updates=int(curve[-1]["updates"]), curve=curve)


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How a stream of batches is fitted: AdamW, linear warm-up over a share `warmup` of the updates, then cosine to 0; gradient norm clipped.

    offsets_in: shift each sequence's positions by a random offset inside a table of that length (None: they begin at 0); context: tokens of a packed row;
    positions: whether the model is given them; whole: learn the prompts too.
    """

    updates: int
    lr: float
    warmup: float = 0.05
    weight_decay: float = 0.01
    beta2: float = 0.999
    clip: float = 1.0
    offsets_in: int | None = None
    context: int = 64
    positions: bool = True
    whole: bool = False
    look_every: int = 1_000


def fit(
    net: Any,
    draw: Callable[[np.random.Generator], Sequence[Pair]],
    course: Course,
    rng: np.random.Generator,
    look: Callable[[int, float], bool],
) -> None:
    """Train `net` in place on any stream of batches: `draw(rng)` gives the next one's sequences.

    `look(update, loss)` is called every `look_every` updates and after the last; it ends the training by returning True. TrainingError when the loss is no
    longer a number.
    """
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=course.lr, weight_decay=course.weight_decay, betas=(0.9, course.beta2), fused=True)
    for update in range(1, course.updates + 1):
        pairs = draw(rng)
        offsets = [0] * len(pairs)
        if course.offsets_in is not None:
            # an offset per sequence, from its own length: else the end of the table is hardly trained
            offsets = rng.integers(0, [course.offsets_in - len(prompt) - len(answer) + 1 for prompt, answer in pairs]).tolist()
        batch = pack(pairs, offsets, context=course.context, whole=course.whole)
        for group in optimizer.param_groups:
            group["lr"] = course.lr * one_cycle(update, course.updates, course.warmup)
        loss = mean_loss(net, batch, positions=course.positions)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, course.clip)
        optimizer.step()
        if update % course.look_every == 0 or update == course.updates:
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingError(f"the training loss is {value} after {update} updates (learning rate {course.lr})")
            if look(update, value):
                return


def one_cycle(update: int, updates: int, warmup: float) -> float:
    """Share of the peak learning rate: linear up over the first `warmup` of the updates, then cosine to 0.

    >>> [round(one_cycle(u, 100, 0.1), 3) for u in (1, 10, 55, 100)]
    [0.1, 1.0, 0.5, 0.0]
    """
    rise = max(1.0, warmup * updates)
    if update <= rise:
        return update / rise
    return 0.5 * (1 + math.cos(math.pi * (update - rise) / max(1.0, updates - rise)))


@torch.no_grad()
def greedy(net: Any, prompts: Int[Tensor, "B T"], end: int, most: int) -> list[list[int]]:
    """Free-running greedy answers to prompts of one length, with a key-value cache; each up to and including its end token, or `most` tokens."""
    was = net.training
    net.eval()
    found = net(input_ids=prompts, use_cache=True)
    last, cache = found.logits[:, -1].argmax(-1), found.past_key_values
    made = [last]
    for _ in range(most - 1):
        if bool((torch.stack(made, 1) == end).any(1).all()):
            break
        found = net(input_ids=last[:, None], past_key_values=cache, use_cache=True)
        last, cache = found.logits[:, -1].argmax(-1), found.past_key_values
        made.append(last)
    net.train(was)
    rows = torch.stack(made, 1).tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


def free_running(
    net: Any, task: LengthTask, codes: dict[int, int], length: int, count: int, seed: Seed, *, table: int
) -> tuple[list[list[int]], list[list[int]]]:
    """(greedy answers, right answers) to `count` examples of a length, as tokens, ends included. UsageError where they do not fit the position table."""
    prompts, wanted = zip(*(as_tokens(one, codes) for one in task.examples(length, count, seed)), strict=True)
    longest = max(map(len, wanted))
    if max(map(len, prompts)) + longest > table:
        raise UsageError(f"{task.name}: length {length} needs {max(map(len, prompts)) + longest} tokens, the position table has {table}")
    return greedy(net, torch.tensor(prompts), wanted[0][-1], longest), [list(one) for one in wanted]


def beyond(recipe: SequenceRecipe, lengths: Sequence[int]) -> None:
    """Refuse test lengths inside the training range: UsageError names them."""
    inside = [length for length in lengths if recipe.lengths[0] <= length <= recipe.lengths[1]]
    if inside:
        low, high = recipe.lengths
        raise UsageError(
            f"{recipe.task}: test lengths {inside} are inside the training range {low} to {high}; length generalization is measured beyond it"
        )


def exact_match(
    net: Any, task: LengthTask, codes: dict[int, int], lengths: Sequence[int] | range, count: int, seed: Seed, *, table: int
) -> dict[int, float]:
    """Length -> share of `count` examples whose whole answer, end included, is right. Lengths that the task or the table does not allow are an error."""
    found = {}
    for length in lengths:
        answers, wanted = free_running(net, task, codes, length, count, seed, table=table)
        found[length] = float(np.mean([one == other for one, other in zip(answers, wanted, strict=True)]))
    return found


def keep_run(trained: TrainedLM, recipe: SequenceRecipe) -> str:
    """Save a trained model with its tokenizer as a run; returns the ID of `run:ID`. The same recipe has the same ID."""
    from genscope.core.canonical import digest
    from genscope.training.recipe import plain

    name = f"{recipe.task}-{digest(plain(recipe), size=5)}"
    about = {"style": "compact", "task": recipe.task, "symbols": trained.task.symbols, "lengths": list(recipe.lengths)}
    keep_model(trained.net, trained.task.words(), trained.task.word(END), name, {STYLE_FILE: json.dumps(about) + "\n"})
    return name


def keep_model(net: Any, words: Sequence[str], end: str, name: str, beside: Mapping[str, str] | None = None) -> Path:
    """Save a model with the tokenizer of its words as the run `name`, with further text files `beside` it; its folder, which is never half there."""
    import os
    import shutil
    import tempfile

    from genscope.core.store import home
    from genscope.models.small_lm import save, word_tokenizer

    target = home() / "runs" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".saving-", dir=target.parent))
    save(net, word_tokenizer(words, end), temporary)
    for file, text in (beside or {}).items():
        (temporary / file).write_text(text, "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    return target
