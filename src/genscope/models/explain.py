"""Explanations written by a model: similar explained sentences are retrieved and shown before the question, the most similar last.

The gold answer is given; the model explains and does not solve. The prompt has the parts of Saha et al. 2022 (header, question, options, answer, "why?", a line of hash
signs) in our words. Temperature 0, 50 tokens, stop at the end of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from genscope.core.errors import UsageError
from genscope.core.reply import GenerateJob, Message, Request, Sampling
from genscope.models.ask import Asker
from genscope.tasks.winogrande_explanations import BLANK, Item

Embed = Callable[[Sequence[str]], Float[np.ndarray, "n d"]]
HEADER = "Answers to questions of common sense, each explained by a general rule about X and Y."
SAMPLING = Sampling(max_tokens=50, stop=("\n",))
DIM = 4_096


def explain(asker: Asker, items: Sequence[Item], pool: Sequence[Item], k: int = 5, embed: Embed | None = None) -> list[str]:
    """One rule for each item, "" where the model wrote nothing or no reply came. embed: texts -> unit vectors (hashed character n-grams without one)."""
    shots = retrieve(items, pool, k, embed)
    requests = [prompt(item, [pool[place] for place in near]) for item, near in zip(items, shots, strict=True)]
    size = max(1, asker.model.block)
    jobs = [GenerateJob(requests=tuple(requests[start : start + size]), sampling=SAMPLING) for start in range(0, len(requests), size)]
    replies = [reply for block in asker.generate(jobs, f"{asker.model.name} explains") for reply in block]
    return ["" if reply.finish == "failed" else reply.text.strip() for reply in replies]


def retrieve(items: Sequence[Item], pool: Sequence[Item], k: int, embed: Embed | None = None) -> list[list[int]]:
    """Places in the pool of the k most similar explained sentences (gold option filled in), from least to most similar; the item and its copies are left out.

    Copies in the pool count once. UsageError when fewer than k are left.
    """
    if k < 0:
        raise UsageError(f"k is the number of examples to show, at least 0; got {k}")
    if k == 0:
        return [[] for _ in items]
    vectors = (embed or hashed_vectors)([*(text(one) for one in items), *(text(one) for one in pool)])
    similar = np.round(vectors[: len(items)] @ vectors[len(items) :].T, 6)
    found = []
    for row, item in enumerate(items):
        seen, near = {item.id}, []
        # ties go by place in the pool, so that the same examples always come out
        for place in np.lexsort((np.arange(len(pool)), -similar[row])):
            if pool[place].id not in seen and pool[place].explanation:
                seen.add(pool[place].id)
                near.append(int(place))
            if len(near) == k:
                break
        if len(near) < k:
            raise UsageError(f"the pool has only {len(near)} explained sentences beside the item itself, {k} are to be shown")
        found.append(near[::-1])
    return found


def text(item: Item) -> str:
    """The sentence with its gold option filled in."""
    return item.sentence.replace(BLANK, item.gold)


def prompt(item: Item, shots: Sequence[Item]) -> Request:
    """The few-shot prompt, as one text to continue and as one chat turn."""
    parts = [HEADER, *(f"{_question(one)} {one.explanation}\n###" for one in shots), _question(item)]
    whole = "\n\n".join(parts)
    return Request(messages=(Message("user", whole + "\n\nWrite only the rule, in one line."),), plain=whole)


def _question(item: Item) -> str:
    return f'{item.sentence} What does "_" refer to?\n{item.options[0]} or {item.options[1]}?\nAnswer: {item.gold}\nWhy?'


def hashed_vectors(texts: Sequence[str]) -> Float[np.ndarray, "n 4096"]:
    """Unit vectors of hashed words and character 4-grams: similarity of wording without a model."""
    from zlib import crc32

    out = np.zeros((len(texts), DIM))
    for row, one in enumerate(texts):
        lower = f" {' '.join(one.lower().split())} "
        for gram in [*lower.split(), *(lower[k : k + 4] for k in range(len(lower) - 3))]:
            out[row, crc32(gram.encode()) % DIM] += 1.0
    norm = np.linalg.norm(np.log1p(out), axis=1, keepdims=True)
    return np.log1p(out) / np.maximum(norm, 1e-12)
