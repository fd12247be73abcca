"""Copy-Markov: a made-up language in which a good part of the tokens can be predicted only by copying from earlier in the same document.

A document is BOS, then tokens of one fixed first-order Markov chain (rows ~ Dirichlet). At each position outside a copy, from position 16 on, a copy starts with
probability `copy_rate`: a span of earlier tokens of this document is reproduced. The language is unlimited, its entropy is known exactly, and the mask of copy tokens
(from the second token of a span on: its first cannot be known) separates copying from guessing the chain. System 30; the paper trains on English.
"""

# N documents, T tokens of a document, V symbols (without BOS), L lengths of a span

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from genscope.core.card import Card
from genscope.core.errors import TaskError
from genscope.core.seeds import Seed

BOS = 0
"""The token that begins a document; symbols are 1 to `vocab`."""
FIRST_COPY = 16
"""No copy starts before this position."""
BLOCK = 256
"""Documents made together: document i is the same whatever is asked beside it."""
CARD = Card(type="robustness", shift="covariate", source="fully generated", locus="pretrain-test", motivation="intrinsic")


@dataclass(frozen=True, slots=True)
class Documents:
    """tokens: documents, BOS first; copied: tokens that continue a copy (never the first of a span); source: for every copy token, the first included, the position
    that it repeats, else -1.
    """

    tokens: Int[np.ndarray, "N T"]
    copied: Bool[np.ndarray, "N T"]
    source: Int[np.ndarray, "N T"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyMarkov:
    """The language. vocab: symbols besides BOS; doc_len: tokens of a document, BOS included; concentration: of the Dirichlet rows; span: least and most tokens of a copy;
    seed: draws the chain, and documents under names of their own.
    """

    seed: Seed
    vocab: int = 64
    doc_len: int = 64
    copy_rate: float = 0.15
    concentration: float = 0.1
    span: tuple[int, int] = (8, 16)

    def __post_init__(self) -> None:
        low, high = self.span
        if self.vocab < 2 or not 0 <= self.copy_rate < 1 or self.concentration <= 0:
            raise TaskError(
                f"copy_markov: vocab >= 2, copy_rate in [0, 1) and concentration > 0 are needed, got {self.vocab}, {self.copy_rate} and {self.concentration}"
            )
        if not 2 <= low <= high or low > FIRST_COPY - 1:
            raise TaskError(f"copy_markov: spans are (least, most) with 2 <= least <= most and least <= {FIRST_COPY - 1}, got {self.span}")
        if self.doc_len <= FIRST_COPY:
            raise TaskError(f"copy_markov: a document needs more than {FIRST_COPY} tokens, got {self.doc_len}")

    @property
    def tokens(self) -> int:
        """Size of a model's vocabulary: the symbols and BOS."""
        return self.vocab + 1

    @property
    def chain(self) -> Float[np.ndarray, "V+1 V"]:
        """Row r: probabilities of the symbols 1..V after token r (row 0: after BOS)."""
        return _chain(self)

    def documents(self, stream: str, indices: Int[np.ndarray, " N"]) -> Documents:
        """The documents of these numbers in a named stream ("train", "test", ...). Streams share no randomness; document i is the same whatever else is asked."""
        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.ndim != 1 or (len(wanted) and wanted.min() < 0):
            raise TaskError("copy_markov: documents are asked by a list of numbers from 0 up")
        tokens = np.zeros((len(wanted), self.doc_len), np.int64)
        source = np.full((len(wanted), self.doc_len), -1, np.int64)
        copied = np.zeros((len(wanted), self.doc_len), bool)
        for block in np.unique(wanted // BLOCK):
            rows = np.flatnonzero(wanted // BLOCK == block)
            made = _block(self, stream, int(block))
            inside = wanted[rows] % BLOCK
            tokens[rows], copied[rows], source[rows] = made.tokens[inside], made.copied[inside], made.source[inside]
        return Documents(tokens, copied, source)

    def stream(self, name: str) -> Stream:
        """A named stream as an endless source of documents, for mixtures."""
        return Stream(task=self, name=name)

    def floor(self, made: Documents) -> Float[np.ndarray, "N T-1"]:
        """Entropy (nats) of each token but BOS given the generator's state before it is drawn: 0 inside a copy, else that of (1 - c) chain + c first token of a
        random span. No model of the text can have a lower expected loss: it sees less than the state.
        """
        tokens, rate = made.tokens, self.copy_rate
        n, length = tokens.shape
        found = np.zeros((n, length - 1))
        counts = np.zeros((n, self.vocab + 1))  # of each symbol among the positions 1 .. p
        upto = np.zeros((length, n, self.vocab + 1), np.float32)
        for p in range(1, length):
            counts[np.arange(n), tokens[:, p]] += 1
            upto[p] = counts
        low, high = self.span
        for t in range(1, length):
            p = self.chain[tokens[:, t - 1]]
            if t >= FIRST_COPY and rate > 0:
                spans = [min(one, t - 1) for one in range(low, high + 1)]
                first = sum(upto[t - one] / (t - one) for one in spans) / len(spans)
                p = (1 - rate) * p + rate * np.asarray(first)[:, 1:]
            with np.errstate(divide="ignore", invalid="ignore"):
                found[:, t - 1] = -np.where(p > 0, p * np.log(p), 0.0).sum(1)
        found[made.copied[:, 1:]] = 0.0
        return found

    def chain_floor(self, made: Documents) -> Float[np.ndarray, "N T-1"]:
        """As `floor`, with the entropy of the chain's row outside copies: lower still, as if starts of copies were known and free."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = -np.where(self.chain > 0, self.chain * np.log(self.chain), 0.0).sum(1)
        return np.where(made.copied[:, 1:], 0.0, rows[made.tokens[:, :-1]])


@cache
def _chain(task: CopyMarkov) -> np.ndarray:
    rows = task.seed.child("chain").rng().dirichlet(np.full(task.vocab, task.concentration), size=task.vocab + 1)
    rows.setflags(write=False)
    return rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """Documents of one name, without end; a source for `RepeatedMixture`."""

    task: CopyMarkov
    name: str

    @property
    def count(self) -> None:
        """No end."""
        return None

    @property
    def document_tokens(self) -> int:
        """Tokens of a document."""
        return self.task.doc_len

    def take(self, indices: Int[np.ndarray, " N"]) -> Int[np.ndarray, "N T"]:
        """The documents of these numbers, as tokens."""
        return self.task.documents(self.name, indices).tokens


@lru_cache(maxsize=128)
def _block(task: CopyMarkov, stream: str, block: int) -> Documents:
    """BLOCK documents, token by token, all at once."""
    rng = task.seed.child("documents", stream, block).rng()
    edges = np.cumsum(task.chain, axis=1)
    edges[:, -1] = 1.0
    low, high = task.span
    every = np.arange(BLOCK)
    tokens = np.zeros((BLOCK, task.doc_len), np.int64)
    source = np.full((BLOCK, task.doc_len), -1, np.int64)
    copied = np.zeros((BLOCK, task.doc_len), bool)
    left = np.zeros(BLOCK, np.int64)  # tokens of the running copy that are still to come
    place = np.zeros(BLOCK, np.int64)  # the position that the next one repeats
    for t in range(1, task.doc_len):
        fresh = 1 + (edges[tokens[:, t - 1]] <= rng.random(BLOCK)[:, None]).sum(1)
        inside = left > 0
        begins = ~inside & (rng.random(BLOCK) < task.copy_rate) & (t >= FIRST_COPY)
        length = np.minimum(rng.integers(low, high + 1, BLOCK), t - 1)
        start = 1 + (rng.random(BLOCK) * (t - length)).astype(np.int64)  # 1 .. t - length: the whole span lies before t
        left, place = np.where(begins, length, left), np.where(begins, start, place)
        copying = inside | begins
        tokens[:, t] = np.where(copying, tokens[every, place], fresh)
        source[:, t] = np.where(copying, place, -1)
        copied[:, t] = inside
        left, place = np.where(copying, left - 1, left), np.where(copying, place + 1, place)
    for made in (tokens, copied, source):
        made.setflags(write=False)
    return Documents(tokens, copied, source)
