"""Small classifiers fitted on all folds but one, each with its training dynamics: sparse logistic regression on words, or a small net on numbers.

Every row gets class probabilities from models that did not see it (out of sample) and the dynamics of those that did, averaged. scikit-learn does the fitting; on
one core 10,000 short texts or 10,000 rows of 784 numbers take some tens of seconds.
"""

# N rows, C classes, E epochs, K folds

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError, missing_extra
from genscope.core.seeds import Seed
from genscope.measures.training_dynamics import Dynamics

WORDS = 1 << 18
"""Hashed word and word-pair features of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFit:
    """p: out-of-sample probabilities; dynamics: of every row, averaged over the models that trained on it (right: by most of them); accuracy: out of sample."""

    p: Float[np.ndarray, "N C"]
    dynamics: Dynamics
    accuracy: float


def cross_fit_texts(texts: Sequence[str], y: Int[np.ndarray, " N"], seed: Seed, *, folds: int = 5, epochs: int = 10, advance: Callable[[int], Any] = lambda n: None) -> CrossFit:  # fmt: skip
    """Logistic regression on hashed words and word pairs, weighted by rarity (tf-idf), by stochastic gradient descent."""
    try:
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
        from sklearn.linear_model import SGDClassifier
    except ImportError as error:
        raise missing_extra("Label errors are looked for by small models of scikit-learn", "train") from error
    hashed = HashingVectorizer(
        n_features=WORDS,
        ngram_range=(1, 2),
        norm=None,  # pyright: ignore[reportArgumentType]
        alternate_sign=False,
        token_pattern=r"(?u)\b\w+\b",
    ).transform(texts)
    x = TfidfTransformer(sublinear_tf=True).fit_transform(hashed)

    def model(number: int) -> Any:
        return SGDClassifier(loss="log_loss", alpha=1e-5, average=True, random_state=seed.child("model", number).integer(31))

    return _cross_fit(x, y, model, seed, folds, epochs, advance)


def cross_fit_arrays(x: Float[np.ndarray, "N D"], y: Int[np.ndarray, " N"], seed: Seed, *, folds: int = 5, epochs: int = 10, advance: Callable[[int], Any] = lambda n: None) -> CrossFit:  # fmt: skip
    """A net of one hidden layer of 64 on standardised columns (constant ones stay 0)."""
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise missing_extra("Label errors are looked for by small models of scikit-learn", "train") from error
    rows = x.reshape(len(x), -1).astype(np.float64)
    spread = rows.std(0)
    rows = (rows - rows.mean(0)) / np.where(spread > 0, spread, 1.0)

    def model(number: int) -> Any:
        return MLPClassifier(
            (64,),
            learning_rate_init=3e-3,
            batch_size=64,  # pyright: ignore[reportArgumentType]
            alpha=1e-3,
            random_state=seed.child("model", number).integer(31),
        )

    return _cross_fit(rows, y, model, seed, folds, epochs, advance)


def _cross_fit(
    x: Any, y: np.ndarray, model: Callable[[int], Any], seed: Seed, folds: int, epochs: int, advance: Callable[[int], Any]
) -> CrossFit:
    classes = int(y.max()) + 1
    counts = np.bincount(y, minlength=classes)
    if folds < 2 or epochs < 1 or counts.min() < folds:
        raise DataError(
            f"cross-fitting needs at least 2 folds, 1 epoch and {folds} rows of each class; the smallest class has {counts.min()}"
        )
    fold = _folds(y, folds, seed.child("folds"))
    p = np.zeros((len(y), classes))
    gold, right = np.zeros((epochs, len(y))), np.zeros((epochs, len(y)))
    for number in range(folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        one, order = model(number), seed.child("order", number).rng()
        for epoch in range(epochs):
            shuffled = order.permutation(train)
            one.partial_fit(x[shuffled], y[shuffled], classes=np.arange(classes))
            seen = _probabilities(one, x[train])
            gold[epoch, train] += seen[np.arange(len(train)), y[train]] / (folds - 1)
            right[epoch, train] += (seen.argmax(1) == y[train]) / (folds - 1)
            advance(1)
        p[test] = _probabilities(one, x[test])
    dynamics = Dynamics(ids=tuple(map(str, range(len(y)))), gold=np.clip(gold, 0, 1), right=right > 0.5, epochs=tuple(range(1, epochs + 1)))
    return CrossFit(p=p, dynamics=dynamics, accuracy=float((p.argmax(1) == y).mean()))


def _probabilities(model: Any, x: Any) -> np.ndarray:
    p = model.predict_proba(x)
    total = p.sum(1, keepdims=True)
    return np.where(total > 0, p / np.where(total > 0, total, 1.0), 1.0 / p.shape[1])


def _folds(y: np.ndarray, folds: int, seed: Seed) -> np.ndarray:
    """Fold of each row; every class is spread evenly over the folds."""
    made, rng = np.empty(len(y), np.int64), seed.rng()
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        made[rows] = (np.arange(len(rows)) + rng.integers(folds)) % folds
    return made
