"""Small classifiers fitted on all folds but one, each with its training dynamics: sparse logistic regression on words, or a small net on numbers.

Every row gets class probabilities from models that did not see it (out of sample), and the dynamics and coherence help of those that did, averaged. scikit-learn does the fitting; on
one core 10,000 short texts or 10,000 rows of 784 numbers take some tens of seconds.
"""

# N rows, C classes, E epochs, K folds

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from genscope.core.errors import DataError, missing_extra
from genscope.core.seeds import Seed
from genscope.measures.layer_help import layer_help
from genscope.measures.training_dynamics import Dynamics

if TYPE_CHECKING:
    import polars as pl

VANISHED = 1e-3
"""Squared length of a gradient, of their mean, at which help is no longer asked for."""
WORDS = 1 << 18
"""Hashed word and word-pair features of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFit:
    """p: out-of-sample probabilities; dynamics: of every row, averaged over the models that trained on it (right: by most of them); accuracy: out of sample;
    help: after the first epoch, how much a step on all training rows lowers the row's loss, of what its own step would (`measures.layer_help`; negative: it is
    hurt), averaged likewise; NaN where the gradient had vanished in all of them.
    """

    p: Float[np.ndarray, "N C"]
    dynamics: Dynamics
    accuracy: float
    help: Float[np.ndarray, " N"]

    def difficulty(self, y: Int[np.ndarray, " N"]) -> pl.DataFrame:
        """Difficulty tables of the rows, which are named by their places: those of the data map, and the notions loss (out of sample), learning time (epochs;
        one more than the last where the row never stays right) and help.
        """
        import polars as pl

        from genscope.core.difficulty import difficulty_columns

        ids, right = self.dynamics.ids, self.dynamics.right
        stays = np.flip(np.logical_and.accumulate(np.flip(right, 0), 0), 0)
        times = np.array([*self.dynamics.epochs, self.dynamics.epochs[-1] + 1])[np.where(stays.any(0), stays.argmax(0), len(right))]
        loss = -np.log(np.maximum(self.p[np.arange(len(y)), y], 1e-9))
        more = [("loss", loss), ("learning time", times.astype(float)), ("help", self.help)]
        return pl.concat([self.dynamics.difficulty(), *(difficulty_columns(name, ids, values) for name, values in more)])


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

    return _cross_fit(x, y, model, _of_regression, seed, folds, epochs, advance)


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

    return _cross_fit(rows, y, model, _of_net, seed, folds, epochs, advance)


def _of_regression(model: Any, x: Any, y: np.ndarray) -> list[tuple[Any, np.ndarray]]:
    """The one layer of a logistic regression (one against the rest where there are more than two classes) with the slopes of its losses."""
    scores = model.decision_function(x)
    wanted = (y == 1)[:, None] if scores.ndim == 1 else y[:, None] == np.arange(scores.shape[1])
    return [(x, expit(scores.reshape(len(y), -1)) - wanted)]


def _of_net(model: Any, x: np.ndarray, y: np.ndarray) -> list[tuple[Any, np.ndarray]]:
    """The two layers of a net with one hidden layer of ReLU units and a logistic or softmax output."""
    (first, last), biases = model.coefs_, model.intercepts_
    hidden = np.maximum(x @ first + biases[0], 0)
    p = model.predict_proba(x)
    slope = p[:, 1:] - y[:, None] if last.shape[1] == 1 else p - (y[:, None] == np.arange(p.shape[1]))
    return [(x, (slope @ last.T) * (hidden > 0)), (hidden, slope)]


def _cross_fit(
    x: Any, y: np.ndarray, model: Callable[[int], Any], layers: Callable[[Any, Any, np.ndarray], list[tuple[Any, np.ndarray]]], seed: Seed, folds: int, epochs: int, advance: Callable[[int], Any]
) -> CrossFit:  # fmt: skip
    classes = int(y.max()) + 1
    counts = np.bincount(y, minlength=classes)
    if folds < 2 or epochs < 1 or counts.min() < folds:
        raise DataError(
            f"cross-fitting needs at least 2 folds, 1 epoch and {folds} rows of each class; the smallest class has {counts.min()}"
        )
    fold = _folds(y, folds, seed.child("folds"))
    p = np.zeros((len(y), classes))
    gold, right, helped = np.zeros((epochs, len(y))), np.zeros((epochs, len(y))), np.full((folds, len(y)), np.nan)
    for number in range(folds):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        one, order = model(number), seed.child("order", number).rng()
        for epoch in range(epochs):
            shuffled = order.permutation(train)
            one.partial_fit(x[shuffled], y[shuffled], classes=np.arange(classes))
            seen = _probabilities(one, x[train])
            gold[epoch, train] += seen[np.arange(len(train)), y[train]] / (folds - 1)
            right[epoch, train] += (seen.argmax(1) == y[train]) / (folds - 1)
            if epoch == 0:
                helped[number, train] = layer_help(layers(one, x[train], y[train]), VANISHED)
            advance(1)
        p[test] = _probabilities(one, x[test])
    dynamics = Dynamics(ids=tuple(map(str, range(len(y)))), gold=np.clip(gold, 0, 1), right=right > 0.5, epochs=tuple(range(1, epochs + 1)))
    return CrossFit(p=p, dynamics=dynamics, accuracy=float((p.argmax(1) == y).mean()), help=_mean_of_known(helped))


def _mean_of_known(values: Float[np.ndarray, "K N"]) -> Float[np.ndarray, " N"]:
    known = np.isfinite(values)
    count = known.sum(0)
    return np.divide(np.where(known, values, 0).sum(0), count, out=np.full(values.shape[1], np.nan), where=count > 0)


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
