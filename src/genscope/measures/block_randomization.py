"""Block-randomised scores: what a trained model really uses.

The S-randomised test set replaces the block S by that of other rows, with ONE permutation for the whole block: it stays consistent inside and
becomes independent of the label and of the rest. Extreme reliance on S: S-randomised AUC 0.5, and randomising everything else changes nothing.
Source: Shah et al. 2020 (arXiv 2006.07710), section 4. Peers permute single features; none gives the pair S / complement of S.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import Interval, paired_t

Predict = Callable[[np.ndarray], np.ndarray]
"""Rows -> logits (N, 2)."""


class Block(Protocol):
    """A part of the input that can be exchanged between rows."""

    def replace(self, x: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """x with the block of `donor`'s rows."""
        ...

    def replace_rest(self, x: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """x with everything but the block from `donor`'s rows."""
        ...


@dataclass(frozen=True, slots=True)
class Columns:
    """Coordinates of tabular rows; with a rotation W (X_rotated = X W) they are those of the unrotated frame."""

    columns: tuple[int, ...]
    rotation: np.ndarray | None = None

    def _mask(self, x: np.ndarray) -> np.ndarray:
        dim = x.shape[1]
        if self.rotation is not None and self.rotation.shape != (dim, dim):
            raise UsageError(f"block: the rotation is {self.rotation.shape}, the rows have {dim} coordinates")
        wrong = [column for column in self.columns if not 0 <= column < dim]
        if wrong:
            raise UsageError(f"block: column {wrong[0]} does not exist; columns are 0 to {dim - 1}")
        mask = np.zeros(dim, bool)
        mask[list(self.columns)] = True
        return mask

    def _mixed(self, x: np.ndarray, donor: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if self.rotation is None:
            return np.where(mask, donor, x)
        if not mask.any():
            return x
        return np.where(mask, donor @ self.rotation.T, x @ self.rotation.T) @ self.rotation

    def replace(self, x: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """x with these columns of `donor`."""
        return self._mixed(x, donor, self._mask(x)).astype(x.dtype)

    def replace_rest(self, x: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """x with all other columns of `donor`."""
        return self._mixed(x, donor, ~self._mask(x)).astype(x.dtype)


@dataclass(frozen=True, slots=True)
class Region:
    """Positions of an array-shaped input (an image region, channels, a token span): a mask that broadcasts to one row."""

    mask: np.ndarray

    def replace(self, x: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """x with the region of `donor`."""
        return np.where(self.mask, donor, x)

    def replace_rest(self, x: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """x with everything outside the region from `donor`."""
        return np.where(self.mask, x, donor)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScores:
    """AUC and accuracy (fractions) on the original, the S-randomised and the complement-randomised rows; those of the last two are means over the repeats, which
    `repeats` holds one by one."""

    standard_auc: float
    standard_accuracy: float
    block_auc: float
    block_accuracy: float
    rest_auc: float
    rest_accuracy: float
    repeats: Sequence[dict[str, float]]

    def interval(self, name: str) -> Interval:
        """Mean of a randomised score (block_auc, block_accuracy, rest_auc, rest_accuracy) and its 95 % t interval over the repeats: what the drawing of
        the permutation leaves open, not what other rows or another training would give.
        """
        if name not in self.repeats[0]:
            raise UsageError(f"block-randomised scores have no {name!r}; there are {', '.join(self.repeats[0])}")
        return paired_t([one[name] for one in self.repeats])


def block_randomized_scores(
    predict: Predict,
    x: np.ndarray,
    y: Int[np.ndarray, " N"],
    block: Block,
    seed: Seed,
    *,
    mode: Literal["permute", "swap"] = "permute",
    repeats: int = 5,
) -> BlockScores:
    """Scores of a two-class model with the block, and with everything else, exchanged between rows.

    permute: one random permutation of the rows; swap: every row receives from a random row of the other class (AUC near 0 means full reliance).
    """
    if mode not in ("permute", "swap"):
        raise UsageError(f"mode must be permute or swap, got {mode!r}")
    if len(x) < 2 or repeats < 1:
        raise UsageError(f"block-randomised scores need at least 2 rows and 1 repeat, got {len(x)} and {repeats}")
    standard = scores(predict(x), y)
    found = []
    for number in range(repeats):
        rng = seed.child("block randomisation", mode, number).rng()
        donor = x[rng.permutation(len(x))] if mode == "permute" else x[_other_class(y, rng)]
        inside, outside = scores(predict(block.replace(x, donor)), y), scores(predict(block.replace_rest(x, donor)), y)
        found.append({"block_auc": inside[0], "block_accuracy": inside[1], "rest_auc": outside[0], "rest_accuracy": outside[1]})
    means: dict[str, Any] = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return BlockScores(standard_auc=standard[0], standard_accuracy=standard[1], repeats=found, **means)


def dependence_profile(
    predict: Predict, x: np.ndarray, y: Int[np.ndarray, " N"], rotation: np.ndarray | None, seed: Seed
) -> list[tuple[float, float]]:
    """(AUC, accuracy) after randomising each single coordinate of the unrotated frame."""
    donor = x[seed.child("dependence").rng().permutation(len(x))]
    return [scores(predict(Columns((column,), rotation).replace(x, donor)), y) for column in range(x.shape[1])]


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def positive_scores(
    predict: Predict, x: np.ndarray, y: Int[np.ndarray, " N"], block: Block, seed: Seed
) -> dict[str, Float[np.ndarray, " Q"]]:
    """How the score logit_1 - logit_0 of rows of class 1 is spread, at `QUANTILES`: on the rows as they are ("standard"), with the block randomised
    ("block") and with everything else randomised ("rest"). A model that leans on the block keeps its "standard" spread in "rest" and loses it in "block".
    """
    donor, positive = x[seed.child("positive scores").rng().permutation(len(x))], y == 1
    if not positive.any():
        raise UsageError("the scores of positive rows need a row of class 1")
    versions = {"standard": x[positive], "block": block.replace(x, donor)[positive], "rest": block.replace_rest(x, donor)[positive]}
    return {name: np.quantile((out := predict(rows))[:, 1] - out[:, 0], QUANTILES) for name, rows in versions.items()}


def scores(logits: Float[np.ndarray, "N 2"], y: Int[np.ndarray, " N"]) -> tuple[float, float]:
    """AUC of logit_1 - logit_0, and accuracy."""
    if logits.ndim != 2 or logits.shape[1] != 2:
        raise UsageError(f"an AUC needs two outputs a row, got shape {logits.shape}")
    return auc(logits[:, 1] - logits[:, 0], y), float((logits.argmax(1) == y).mean())


def auc(score: Float[np.ndarray, " N"], y: Int[np.ndarray, " N"]) -> float:
    """Area under the ROC curve, ties counted half (mid-ranks).

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    positive = y == 1
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if not n1 or not n0:
        raise UsageError(f"an AUC needs both classes, got {n0} rows of class 0 and {n1} of class 1")
    if not np.isfinite(score).all():
        raise UsageError(f"an AUC needs finite scores; {int((~np.isfinite(score)).sum())} of {len(score)} are not")
    return float((rankdata(score)[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _other_class(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    donors = np.empty(len(y), dtype=int)
    for label in (0, 1):
        pool = np.flatnonzero(y == 1 - label)
        rows = y == label
        if rows.any() and not len(pool):
            raise UsageError("swap mode needs rows of both classes")
        donors[rows] = rng.choice(pool, int(rows.sum())) if len(pool) else 0
    return donors
