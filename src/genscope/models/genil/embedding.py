"""Embedding classifier of generalizing statements: logistic regression (C = 1, balanced classes) on frozen multilingual sentence vectors.

The vector of a sentence does not know which pair is asked about. `with_marks` adds the vector of the sentence in which both mentions are replaced by
plain words, less the unmarked one. `stacked` joins this tier with the sparse one: logistic regression on out-of-fold scores of both and the language.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError, missing_extra
from genscope.tasks.genil.mentions import Marked

C = 1.0
STACK_C = 1.0


def fit_linear(
    x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], *, c: float = C, balanced: bool = True
) -> tuple[Float[np.ndarray, " d"], float]:
    """Weights and bias of the logistic regression, in log-odds (nats)."""
    if len(np.unique(y)) < 2:
        raise DataError(f"a classifier needs rows of both labels; these {len(y)} have one")
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise missing_extra("The classifiers of GeniL are logistic regressions of scikit-learn", "embed") from error
    found = LogisticRegression(C=c, class_weight="balanced" if balanced else None, max_iter=1_000).fit(x, y)
    return found.coef_[0].astype(float), float(found.intercept_[0])


def scores(x: Float[np.ndarray, "n d"], model: tuple[np.ndarray, float]) -> Float[np.ndarray, " n"]:
    """Log-odds (nats) of rows."""
    return x @ model[0] + model[1]


def out_of_fold(
    x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], fold: Int[np.ndarray, " n"], trained_on: np.ndarray | None = None
) -> Float[np.ndarray, " n"]:
    """Scores of every row by a model that did not see its fold; trained_on: rows that may be trained on at all (all by default)."""
    may = np.ones(len(y), dtype=bool) if trained_on is None else trained_on
    found = np.zeros(len(y))
    for one in np.unique(fold):
        held = fold == one
        found[held] = scores(x[held], fit_linear(x[may & ~held], y[may & ~held]))
    return found


def with_marks(plain: Float[np.ndarray, "n d"], marked: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n e"]:
    """The unmarked vector and what marking changes in it."""
    return np.concatenate([plain, marked - plain], axis=1)


def marked_text(row: Marked) -> str:
    """The sentence with the group replaced by "X" and the attribute by "Y".

    >>> from genscope.tasks.genil.mentions import mark
    >>> marked_text(mark("All bakers are quick.", "bakers", "quick"))
    'all X are Y.'
    """
    text = row.text
    for (begin, end), name in sorted([*[(span, "X") for span in row.identity], *[(span, "Y") for span in row.attribute]], reverse=True):
        text = text[:begin] + name + text[end:]
    return text


def stacked(
    train: Sequence[np.ndarray],
    y: Int[np.ndarray, " n"],
    languages: Sequence[str],
    test: Sequence[np.ndarray],
    test_languages: Sequence[str],
) -> np.ndarray:
    """Scores of test rows from a logistic regression on the tiers' out-of-fold training scores and the language. train, test: one array a tier."""
    known = sorted(set(languages))

    def joined(parts: Sequence[np.ndarray], spoken: Sequence[str]) -> np.ndarray:
        return np.column_stack([*parts, *[[float(one == language) for one in spoken] for language in known]])

    return scores(joined(test, test_languages), fit_linear(joined(train, languages), y, c=STACK_C, balanced=False))
