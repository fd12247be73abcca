"""How much of a label one scalar feature tells: the best piecewise-constant classifier on it, cross-fitted.

Cut a feature into at most B bins at its quantiles; among the classifiers that are constant on k runs of bins, dynamic programming finds the one with the most balanced
accuracy (every class counts alike):  best_k(j) = max_i best_{k-1}(i) + max_c W_c(i, j),  W_c the weight of class c in bins i..j. The skill is
(balanced accuracy - 1/C) / (1 - 1/C): 0 for guessing, 1 for a feature that decides the label. It is measured on rows that neither chose the feature nor placed its cuts.
`pieces` is the smallest k whose fit reaches 95 % of the skill at the largest k: a linear feature needs 2, a 3-slab 3, a 5-slab 5 (Shah et al. 2020, "simplicity").
"""

# F features, B bins, C classes, N rows, k pieces

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError

BINS = 64
PIECES = (2, 3, 4, 5)
CHUNK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Skill:
    """value: skill on the held-out rows; low, high: 95 % interval; n: held-out rows; pieces: runs that the classifier needs; accuracy: balanced accuracy behind it."""

    value: float
    low: float
    high: float
    n: int
    pieces: int
    accuracy: float


def best_features(
    columns: Float[np.ndarray, "N F"], y: Int[np.ndarray, " N"], half: Int[np.ndarray, " N"], *, top: int = 10, pieces: tuple[int, ...] = PIECES, bins: int = BINS
) -> list[tuple[int, Skill]]:  # fmt: skip
    """(feature, skill) of the features that tell most about y (0 .. C-1), best first.

    half: 0 or 1 a row. On each half the `top` features are chosen and their cuts placed, and their skill is measured on the other half; a feature chosen on both gets
    the mean. Rows with NaN in a feature form a bin of their own. Raises DataError below two classes, or when a half lacks a class (such classes must be left out first).
    """
    classes = int(y.max()) + 1 if len(y) else 0
    for side in (0, 1):
        counts = np.bincount(y[half == side], minlength=classes)
        if classes < 2 or (counts == 0).any():
            raise DataError(f"the skill of a feature needs two classes or more, each with rows in both halves; got {counts.tolist()}")
    found: dict[int, list[Skill]] = {}
    for side in (0, 1):
        fit, test = half == side, half != side
        for feature, cuts, labels, k in _fit(columns[fit], y[fit], classes, top, pieces, bins):
            found.setdefault(feature, []).append(_skill(labels[_codes(columns[test, feature], cuts)], y[test], classes, k))
    merged = [(feature, _merge(skills)) for feature, skills in found.items()]
    return sorted(merged, key=lambda pair: (-pair[1].value, pair[0]))[: 2 * top]


def _fit(
    x: np.ndarray, y: np.ndarray, classes: int, top: int, pieces: tuple[int, ...], bins: int
) -> list[tuple[int, np.ndarray, np.ndarray, int]]:
    """(feature, cuts, label of each bin, pieces) of the `top` features with the most balanced accuracy on these rows."""
    weight = 1.0 / (classes * np.bincount(y, minlength=classes))
    chunk = max(1, CHUNK_BYTES // (8 * classes * (bins + 2) ** 2))
    scored: list[tuple[float, int]] = []
    for start in range(0, x.shape[1], chunk):
        part = x[:, start : start + chunk]
        cuts = [_cuts(part[:, f], bins) for f in range(part.shape[1])]
        prefix = np.stack([_prefix(_codes(part[:, f], cuts[f]), y, weight, bins) for f in range(part.shape[1])])
        scored += [(float(value), start + f) for f, value in enumerate(_best(prefix, max(pieces)))]
    chosen = sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:top]
    return [(feature, *_classifier(x[:, feature], y, weight, pieces, bins)) for _, feature in chosen]


def _cuts(x: np.ndarray, bins: int) -> np.ndarray:
    """Inner edges at quantiles; a feature with few values gets an edge between each two."""
    finite = x[np.isfinite(x)]
    values = np.unique(finite[:: max(1, len(finite) // 20_000)]) if len(finite) else finite
    if len(values) <= bins:
        return (values[1:] + values[:-1]) / 2
    return np.unique(np.quantile(values if len(values) * 2 > len(finite) else finite, np.arange(1, bins) / bins))


def _codes(x: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Bin of each value; NaN is the bin after the last."""
    return np.where(np.isnan(x), len(cuts) + 1, np.searchsorted(cuts, x, side="right"))


def _prefix(code: np.ndarray, y: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
    """Weight of each class in the bins before j: [B+2, C]; bins that a feature does not have are empty."""
    table = np.zeros((bins + 1, len(weight)))
    np.add.at(table, (code, y), weight[y])
    return np.vstack([np.zeros(len(weight)), np.cumsum(table, 0)])


def _segments(prefix: np.ndarray) -> np.ndarray:
    """Most weight of one class in bins i..j-1: [..., B+2, B+2], -inf where i >= j."""
    gain = np.full((*prefix.shape[:-2], prefix.shape[-2], prefix.shape[-2]), -np.inf)
    for c in range(prefix.shape[-1]):
        np.maximum(gain, prefix[..., None, :, c] - prefix[..., :, None, c], out=gain)
    below = np.tril_indices(prefix.shape[-2])
    gain[..., below[0], below[1]] = -np.inf
    return gain


def _best(prefix: np.ndarray, k: int) -> np.ndarray:
    """Balanced accuracy of the best classifier with at most k pieces, for each feature."""
    gain = _segments(prefix)
    best = gain[:, 0, :]
    for _ in range(k - 1):
        best = np.maximum(best, (best[:, :, None] + gain).max(1))
    return best[:, -1]


def _classifier(x: np.ndarray, y: np.ndarray, weight: np.ndarray, pieces: tuple[int, ...], bins: int) -> tuple[np.ndarray, np.ndarray, int]:
    """(cuts, label of each bin, pieces) with the fewest pieces that reach 95 % of the skill of the most."""
    cuts = _cuts(x, bins)
    prefix = _prefix(_codes(x, cuts), y, weight, bins)
    gain = _segments(prefix)
    chance = 1 / len(weight)
    best, back = [gain[0]], []
    for _ in range(max(pieces) - 1):
        total = best[-1][:, None] + gain
        back.append(total.argmax(0))
        best.append(total.max(0))
    # exactly k runs with nonempty ranges of bins; runs may carry the same label, so more runs never score less but for the last few bins
    score = np.maximum.accumulate([one[-1] for one in best])
    enough = score - chance >= 0.95 * (score[max(pieces) - 1] - chance)
    k = next((one for one in (1, *pieces) if enough[one - 1]), max(pieces))
    run, end = int(np.argmax([one[-1] for one in best[:k]])), prefix.shape[0] - 1
    labels = np.zeros(bins + 1, np.int64)
    while True:
        start = int(back[run - 1][end]) if run else 0
        labels[start:end] = int((prefix[end] - prefix[start]).argmax())
        if not run:
            return cuts, labels, max(k, 1)
        run, end = run - 1, start


def _skill(predicted: np.ndarray, y: np.ndarray, classes: int, pieces: int) -> Skill:
    """Skill with a normal interval from the binomial variance of each class's recall (Agresti-Coull shrinkage keeps it from being 0)."""
    n = np.bincount(y, minlength=classes)
    right = np.bincount(y[predicted == y], minlength=classes)
    accuracy = float((right / n).mean())
    shrunk = (right + 2) / (n + 4)
    error = float(np.sqrt((shrunk * (1 - shrunk) / n).sum())) / classes
    scale = 1 - 1 / classes
    value = (accuracy - 1 / classes) / scale
    return Skill(value, value - 1.96 * error / scale, value + 1.96 * error / scale, int(n.sum()), pieces, accuracy)


def _merge(skills: list[Skill]) -> Skill:
    """Mean of the two halves; they share no row, so their errors add in squares."""
    if len(skills) == 1:
        return skills[0]
    value, accuracy = float(np.mean([one.value for one in skills])), float(np.mean([one.accuracy for one in skills]))
    half = float(np.sqrt(sum(((one.high - one.low) / 2) ** 2 for one in skills))) / len(skills)
    return Skill(value, value - half, value + half, sum(one.n for one in skills), max(one.pieces for one in skills), accuracy)


def best_tokens(presence: Any, y: Int[np.ndarray, " N"], half: Int[np.ndarray, " N"], *, top: int = 10) -> list[tuple[int, Skill]]:
    """As `best_features` for the columns of a sparse 0/1 matrix [N, F]: whether a token is there or not."""
    from scipy import sparse

    x = sparse.csr_matrix(presence)
    classes = int(y.max()) + 1
    found: dict[int, list[Skill]] = {}
    for side in (0, 1):
        fit, test = np.flatnonzero(half == side), np.flatnonzero(half != side)
        counts = np.bincount(y[fit], minlength=classes)
        one_hot = sparse.csr_matrix((np.ones(len(fit)), (np.arange(len(fit)), y[fit])), shape=(len(fit), classes))
        there = np.asarray((x[fit].T @ one_hot).todense()) / (classes * counts)
        absent = 1 / classes - there
        score = there.max(1) + absent.max(1)
        for feature in np.argsort(-score, kind="stable")[:top]:
            labels = np.array([int(absent[feature].argmax()), int(there[feature].argmax())])
            seen = np.asarray(x[test][:, [feature]].todense()).ravel().astype(int)
            found.setdefault(int(feature), []).append(_skill(labels[seen], y[test], classes, 2))
    return sorted(((feature, _merge(skills)) for feature, skills in found.items()), key=lambda pair: (-pair[1].value, pair[0]))


def category_skill(codes: Int[np.ndarray, " N"], y: Int[np.ndarray, " N"], half: Int[np.ndarray, " N"]) -> Skill:
    """Skill of a categorical feature (codes 0, 1, ...): each category takes the class with the most weight on the fitting half; one unseen there takes class 0."""
    classes, size = int(y.max()) + 1, int(codes.max()) + 1
    skills = []
    for side in (0, 1):
        fit, test = half == side, half != side
        weight = 1.0 / (classes * np.bincount(y[fit], minlength=classes))
        table = np.zeros((size, classes))
        np.add.at(table, (codes[fit], y[fit]), weight[y[fit]])
        skills.append(_skill(table.argmax(1)[codes[test]], y[test], classes, len(np.unique(codes[fit]))))
    return _merge(skills)
