"""Sparse classifier of generalizing statements: logistic regression on n-grams, marked words, relations and the association prior.

Blocks of features, each fitted on training rows only: (a) character 2-4-grams within words, (b) words and word pairs of the sentence with both mentions
replaced by markers, (c) what stands around the markers, by language, (d) log-odds of the association prior. (a) and (b) are tf-idf with
sublinear term frequency, (c) is 0/1; rows of (a), (b), (c) have length 1. Logistic regression: liblinear, C = 2, no class weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from genscope.core.errors import DataError, UsageError, missing_extra
from genscope.models.association_prior import AssociationPrior
from genscope.models.genil.counts import Counts
from genscope.tasks.genil.rows import Rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Block = Literal["characters", "words", "relations", "prior"]
BLOCKS: tuple[Block, ...] = ("characters", "words", "relations", "prior")
C = 2.0
MOST_GRAMS = 150_000
LEAST_ROWS = 2
"""Training rows in which a column must appear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Columns of a block that training rows chose, and their idf (ones for 0/1 blocks)."""

    columns: np.ndarray
    idf: np.ndarray

    @classmethod
    def fit(cls, counts: csr_array, most: int | None, weigh: bool) -> Vocabulary:
        """The columns in at least two rows, at most `most` of them (the most frequent)."""
        rows, width = len(counts.indptr) - 1, _width(counts)
        rows_with = np.bincount(counts.indices, minlength=width)
        columns = np.flatnonzero(rows_with >= LEAST_ROWS)
        if most is not None and len(columns) > most:
            columns = np.sort(columns[np.argsort(-rows_with[columns], kind="stable")[:most]])
        idf = np.log((1 + rows) / (1 + rows_with[columns])) + 1 if weigh else np.ones(len(columns))
        return cls(columns=columns, idf=idf.astype(np.float32))

    def apply(self, counts: csr_array) -> csr_array:
        """Rows of length 1: (1 + ln count) x idf."""
        made = counts[:, self.columns].tocsr().astype(np.float32)
        made.data = (1 + np.log(made.data)) * self.idf[made.indices]
        length = np.sqrt(made.multiply(made).sum(axis=1))
        made.data /= np.repeat(np.where(length > 0, length, 1.0), np.diff(made.indptr)).astype(np.float32)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A trained classifier: the columns of each block, the prior's tables, and the weights in the order of the blocks."""

    blocks: tuple[Block, ...]
    vocabularies: dict[str, Vocabulary]
    prior: AssociationPrior | None
    with_pair: bool
    weights: Float[np.ndarray, " d"]
    bias: float

    def scores(self, rows: Rows, counts: Counts, places: np.ndarray, context_of: np.ndarray | None = None) -> Float[np.ndarray, " n"]:
        """Log-odds (nats) that rows generalize."""
        x = self._matrix(rows, counts, places, context_of, None)
        return np.asarray(x @ self.weights).ravel() + self.bias

    def _matrix(self, rows: Rows, counts: Counts, places: np.ndarray, context_of: np.ndarray | None, y: np.ndarray | None) -> csr_array:
        from scipy.sparse import csr_array, hstack

        parts = [vocabulary.apply(_counted(name, counts, places, context_of)) for name, vocabulary in self.vocabularies.items()]
        if self.prior is not None:
            keys, strata = _keys(rows, places, self.with_pair)
            parts.append(csr_array(self.prior.log_odds(keys, strata, y).astype(np.float32)))
        return csr_array(hstack(parts, format="csr"))


def fit(
    rows: Rows, counts: Counts, places: np.ndarray, *, blocks: Sequence[Block] = BLOCKS, with_pair: bool = False, context_of: np.ndarray | None = None,
) -> Fitted:  # fmt: skip
    """Train on these places. with_pair: let the prior know whole pairs (where the test has no unseen ones); context_of: rows that lend their context."""
    if not blocks or set(blocks) - set(BLOCKS):
        raise UsageError(f"blocks are some of {', '.join(BLOCKS)}; got {', '.join(blocks) or 'none'}")
    y = rows.generalizing[places].astype(int)
    if len(np.unique(y)) < 2:
        raise DataError(f"a classifier needs rows of both labels; these {len(y)} have one")
    vocabularies = {
        name: Vocabulary.fit(_counted(name, counts, places, context_of), MOST_GRAMS if name == "characters" else None, name != "relations")
        for name in blocks if name != "prior"
    }  # fmt: skip
    keys, strata = _keys(rows, places, with_pair)
    prior = AssociationPrior.fit(keys, strata, y) if "prior" in blocks else None
    empty = Fitted(blocks=tuple(blocks), vocabularies=vocabularies, prior=prior, with_pair=with_pair, weights=np.zeros(0), bias=0.0)
    x = empty._matrix(rows, counts, places, context_of, y)
    weights, bias = _logistic(x, y, C)
    return Fitted(blocks=tuple(blocks), vocabularies=vocabularies, prior=prior, with_pair=with_pair, weights=weights, bias=bias)


def _logistic(x: csr_array, y: np.ndarray, c: float) -> tuple[np.ndarray, float]:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise missing_extra("The classifiers of GeniL are logistic regressions of scikit-learn", "embed") from error
    found = LogisticRegression(C=c, solver="liblinear", random_state=0).fit(x, y)
    return found.coef_[0].astype(float), float(found.intercept_[0])


def _counted(name: str, counts: Counts, places: np.ndarray, context_of: np.ndarray | None) -> csr_array:
    if name == "characters":
        return counts.characters(places, context_of)
    lender = places if context_of is None else context_of
    return (counts.marked if name == "words" else counts.relations)[lender]


def _keys(rows: Rows, places: np.ndarray, with_pair: bool) -> tuple[list[list[tuple[str, ...]]], list[str]]:
    pairs = rows.pairs()
    chosen = [pairs[k] for k in places]
    keys: list[list[tuple[str, ...]]] = [
        [(language, attribute) for language, _, attribute in chosen],
        [(language, identity) for language, identity, _ in chosen],
    ]
    if with_pair:
        keys.append([*chosen])
    return keys, [language for language, _, _ in chosen]


def _width(matrix: csr_array) -> int:
    return int(matrix.shape[1])  # pyright: ignore[reportOptionalSubscript]
