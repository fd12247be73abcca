"""A pool of small solvers with a real response record: eight families of classifiers on handwritten digits, each at several training sizes and seeds.

A solver is a trained classifier, an item a digit that none of them was trained on, an answer right when the class is. 64 solvers in two seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.errors import missing_extra
from genscope.core.seeds import Seed
from genscope.tasks.digits import digit_splits

SIZES = (30, 80, 200, 600)
REPEATS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """right: [solvers, items], 0 or 1; family: of each solver; solvers: names; x, y: the items' images and classes."""

    right: np.ndarray
    family: tuple[str, ...]
    solvers: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray

    @property
    def items(self) -> tuple[str, ...]:
        """Names of the items."""
        return tuple(f"digit {k}" for k in range(len(self.y)))


def families() -> Mapping[str, Callable[[int], Any]]:
    """Family -> how a classifier is made from an integer seed."""
    try:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.naive_bayes import GaussianNB
        from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
        from sklearn.svm import SVC
        from sklearn.tree import DecisionTreeClassifier
    except ImportError as error:
        raise missing_extra("The solver pool is made of scikit-learn's classifiers", "train") from error
    return {
        "logistic regression": lambda seed: LogisticRegression(max_iter=2_000),
        "nearest neighbour": lambda seed: KNeighborsClassifier(1),
        "five neighbours": lambda seed: KNeighborsClassifier(5),
        "nearest centroid": lambda seed: NearestCentroid(),
        "naive Bayes": lambda seed: GaussianNB(var_smoothing=0.01),
        "decision tree": lambda seed: DecisionTreeClassifier(random_state=seed),
        "support vectors": lambda seed: SVC(gamma=0.05),  # pyright: ignore[reportArgumentType]  # a number is allowed
        "random forest": lambda seed: RandomForestClassifier(20, random_state=seed),
    }


def train_pool(seed: Seed, sizes: tuple[int, ...] = SIZES, repeats: int = REPEATS) -> Pool:
    """Train every solver on rows of its own, drawn from the 600 training rows."""
    x, y, items_x, items_y = digit_splits(max(sizes), seed)
    rows, family, names = [], [], []
    for name, make in families().items():
        for size in sizes:
            for repeat in range(repeats):
                here = seed.child(name, size, repeat)
                chosen = here.child("rows").rng().permutation(len(x))[:size]
                solver = make(here.integer(31))
                with warnings.catch_warnings():
                    warnings.filterwarnings(
                        "ignore", message="self.within_class_std_dev_", category=UserWarning
                    )  # pixels that are always white
                    solver.fit(x[chosen], y[chosen])
                rows.append(solver.predict(items_x) == items_y)
                family.append(name)
                names.append(f"{name}, {size} rows, {repeat}")
    return Pool(right=np.array(rows, np.uint8), family=tuple(family), solvers=tuple(names), x=items_x, y=items_y)
