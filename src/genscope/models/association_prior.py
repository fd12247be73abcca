"""Association prior: what metadata alone says of a binary label, as log-odds of shrunk rates; a model that beats it has read more than the metadata.

For a key c (an attribute, a group, a pair) with n training rows, k of them positive, the rate is (k + m r) / (n + m), r the base rate of the row's stratum;
for a training row its own label is left out of k and n. Without leaving it out the classifier above would read the label back.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError

SHRINK = 5.0
"""Weight m of the base rate, in rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationPrior:
    """Counts of the training rows. counts: one table a key column, key -> (n, k); base: stratum -> (n, k); overall: (n, k) of all rows."""

    counts: tuple[dict[Hashable, tuple[int, int]], ...]
    base: dict[Hashable, tuple[int, int]]
    overall: tuple[int, int]

    @classmethod
    def fit(cls, keys: Sequence[Sequence[Hashable]], strata: Sequence[Hashable], y: Int[np.ndarray, " n"]) -> AssociationPrior:
        """keys: for each column the rows' keys; strata: the rows' strata (language)."""
        y = np.asarray(y)
        if not len(y) or not np.isin(y, (0, 1)).all():
            raise UsageError("an association prior needs rows with labels 0 or 1")
        return cls(counts=tuple(_tally(column, y) for column in keys), base=_tally(strata, y), overall=(len(y), int(y.sum())))

    def log_odds(
        self, keys: Sequence[Sequence[Hashable]], strata: Sequence[Hashable], y: np.ndarray | None = None
    ) -> Float[np.ndarray, "n k"]:
        """Log-odds (nats), one column a key column and a last one for the stratum. y: the labels of the rows when they are the training rows.

        >>> prior = AssociationPrior.fit([["a", "a", "b", "b"]], ["en"] * 4, np.array([1, 1, 0, 0]))
        >>> prior.log_odds([["a", "c"]], ["en", "en"]).round(3).tolist()  # (2 + 5/2) / 7, and 5/2 / 5
        [[0.588, 0.0], [0.0, 0.0]]
        """
        own = np.zeros(len(strata), dtype=int) if y is None else np.asarray(y, dtype=int)
        less = 0 if y is None else 1
        total = np.array(self.overall) - np.stack([np.full(len(own), less), own], 1)
        whole = (total[:, 1] + 0.5) / (total[:, 0] + 1.0)
        base = _shrunk(self.base, strata, own, less, whole)
        columns = [_shrunk(table, column, own, less, base) for table, column in zip(self.counts, keys, strict=True)]
        rates = np.clip(np.stack([*columns, base], 1), 1e-6, 1 - 1e-6)
        return np.log(rates / (1 - rates))


def _tally(column: Sequence[Hashable], y: np.ndarray) -> dict[Hashable, tuple[int, int]]:
    found: dict[Hashable, list[int]] = {}
    for key, label in zip(column, y.tolist(), strict=True):
        held = found.setdefault(key, [0, 0])
        held[0] += 1
        held[1] += label
    return {key: (n, k) for key, (n, k) in found.items()}


def _shrunk(
    table: dict[Hashable, tuple[int, int]], column: Sequence[Hashable], own: np.ndarray, less: int, toward: np.ndarray
) -> np.ndarray:
    held = np.array([table.get(key, (less, 0)) if less else table.get(key, (0, 0)) for key in column], dtype=float).reshape(-1, 2)
    n, k = held[:, 0] - less, held[:, 1] - own * less
    return (k + SHRINK * toward) / (n + SHRINK)
