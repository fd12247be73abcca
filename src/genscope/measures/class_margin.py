"""Class margin delta: the smallest distance between two inputs of different class (the resolution at which classes must be told apart), and the radius.

exact    over all pairs, in blocks
sample   over the pairs of a subsample of rows; an upper bound of the exact value
evt      from random pairs: with s = 1/distance, x0 the (k+1)-th largest, u = log(s / x0) over the k largest, M1 = mean u, M2 = mean u^2,
         gamma = M1 + 1 - 0.5 / (1 - M1^2/M2)  (moment estimator of Dekkers, Einmahl and de Haan 1989), a = (k/N) n^2 (1 - 1/d),
         q = ((a^gamma - 1) / gamma) x0 M1 + x0,  delta = min(1/q, 1/max s)

Source: Boopathy et al. 2023 and its released code (which divides by distances that may be 0, and by gamma near 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.seeds import Seed
from genscope.measures.neighbours import block_rows, rows_of, single, squared

Method = Literal["exact", "sample", "evt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """value: delta, in the inputs' unit, > 0; pair: rows that have it (evt: the nearest drawn pair); method; n_pairs: pairs of different class compared;
    n_close: pairs nearer than min_distance, left out.
    """

    value: float
    pair: tuple[int, int]
    method: Method
    n_pairs: int
    n_close: int = 0


def class_margin(
    x: np.ndarray, y: Shaped[np.ndarray, " N"], method: Method = "exact", *, min_distance: float = 0.0, n_sample: int = 2_000, draws: int = 4_000_000,
    top: int = 2_000, seed: Seed | None = None,
) -> Margin:  # fmt: skip
    """delta of rows x with labels y. O(N^2 d) time for exact; memory is one block.

    Equal inputs with different labels are label noise and raise DataError with the first such rows, unless min_distance > 0 leaves out pairs below it.
    n_sample: rows of the sample; draws, top: pairs drawn and k of evt.
    """
    rows, codes = rows_of(x), classes(y)
    if len(rows) != len(codes):
        raise DataError(f"{len(rows):,} inputs and {len(codes):,} labels do not belong together")
    if codes.max() == 0:
        raise DataError("a class margin needs at least 2 classes, got 1")
    if not math.isfinite(min_distance) or min_distance < 0:
        raise UsageError(f"min_distance must be a finite number >= 0, got {min_distance}")
    rng = (seed or Seed("class margin")).rng()
    if method == "exact":
        return _nearest_pair(rows, codes, np.arange(len(rows)), min_distance, "exact")
    if method == "sample":
        return _nearest_pair(rows, codes, np.sort(rng.permutation(len(rows))[:n_sample]), min_distance, "sample")
    if method == "evt":
        return _extreme_value(rows, codes, min_distance, draws, top, rng)
    raise UsageError(unknown("margin method", method, ("exact", "sample", "evt")))


def radius(x: np.ndarray) -> float:
    """R: the largest Euclidean norm of an input, not centred."""
    return float(np.sqrt((rows_of(x) ** 2).sum(1).max()))


def classes(y: Shaped[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Labels of any one kind as 0, 1, ...; DataError for NaN or labels of mixed type."""
    labels = np.asarray(y)
    if labels.ndim != 1 or not len(labels):
        raise DataError(f"one label a row is needed, got shape {labels.shape}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{int((~np.isfinite(labels)).sum()):,} labels are NaN or infinite")
    if labels.dtype.kind == "O" and len({type(one) for one in labels}) > 1:
        raise DataError(f"labels are of mixed type: {', '.join(sorted({type(one).__name__ for one in labels}))}")
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def _nearest_pair(x: Float[np.ndarray, "N d"], y: np.ndarray, chosen: np.ndarray, least: float, method: Method) -> Margin:
    """Single precision bounds what can be nearest; those pairs are measured in double precision."""
    points, labels = x[chosen], y[chosen]
    if labels.max(initial=0) == labels.min(initial=0):
        raise DataError(f"class margin: the {len(chosen)} sampled rows are all of one class; take a larger sample")
    half, square, error = single(points)
    best, pair, pairs, close, equal = math.inf, (-1, -1), 0, 0, []
    step = block_rows(len(points))
    for start in range(0, len(points), step):
        rows = np.arange(start, min(start + step, len(points)))
        near = squared(half, square, rows, slice(start, None))
        other = (labels[rows, None] != labels[start:]) & (np.arange(start, len(points)) > rows[:, None])
        pairs += int(other.sum())
        near[~other] = np.inf
        if least > 0:
            close += _masked(points, rows, start, near, least, error)
        lowest = float(near.min(initial=np.inf))
        limit = min(lowest, best**2) + 2 * error
        a, b = np.nonzero(near <= limit) if math.isfinite(limit) else (np.empty(0, int), np.empty(0, int))
        if not len(a):
            continue
        exact = np.sqrt(((points[rows[a]] - points[start + b]) ** 2).sum(1))
        if (exact == 0).any():
            equal += [(int(chosen[rows[i]]), int(chosen[start + j])) for i, j in zip(a[exact == 0], b[exact == 0], strict=True)]
        place = int(np.argmin(exact))
        if exact[place] < best:
            best, pair = float(exact[place]), (int(chosen[rows[a[place]]]), int(chosen[start + b[place]]))
    if equal:
        raise _noise(equal)
    if not math.isfinite(best):
        raise DataError(f"no pair of different class is at least {least:g} apart; choose a smaller min_distance")
    return Margin(value=best, pair=pair, method=method, n_pairs=pairs, n_close=close)


def _masked(points: np.ndarray, rows: np.ndarray, start: int, near: np.ndarray, least: float, error: float) -> int:
    """Set pairs closer than `least` to infinity; the number of them."""
    a, b = np.nonzero(near < least**2 + error)
    below = ((points[rows[a]] - points[start + b]) ** 2).sum(1) < least**2
    near[a[below], b[below]] = np.inf
    return int(below.sum())


def _extreme_value(x: Float[np.ndarray, "N d"], y: np.ndarray, least: float, draws: int, top: int, rng: np.random.Generator) -> Margin:
    if not 2 <= top < draws // 10:
        raise UsageError(f"evt: top must be 2 to a tenth of the draws, got top {top} of {draws} draws")
    kept_a, kept_b, kept_s, count, close = [], [], [], 0, 0
    piece = max(1, (64 << 20) // (8 * x.shape[1]))
    while count < draws:
        a, b = rng.integers(0, len(x), (2, min(piece, 2 * (draws - count) + 16)))
        a, b = a[y[a] != y[b]][: draws - count], b[y[a] != y[b]][: draws - count]
        apart = np.sqrt(((x[a] - x[b]) ** 2).sum(1))
        far = apart >= least if least > 0 else np.ones(len(apart), bool)
        if least == 0 and (apart == 0).any():
            raise _noise([(int(i), int(j)) for i, j in zip(a[apart == 0], b[apart == 0], strict=True)])
        close, count = close + int((~far).sum()), count + len(apart)
        a, b, apart = a[far], b[far], apart[far]
        largest = np.argpartition(apart, top)[: top + 1] if len(apart) > top + 1 else np.arange(len(apart))
        kept_a.append(a[largest])
        kept_b.append(b[largest])
        kept_s.append(1 / apart[largest])
    s = np.concatenate(kept_s)
    order = np.argsort(-s)[: top + 1]
    if len(order) < top + 1:
        raise DataError(f"evt: only {len(order)} of {count} drawn pairs are at least {least:g} apart; {top + 1} are needed")
    first = order[0]
    pair = (int(np.concatenate(kept_a)[first]), int(np.concatenate(kept_b)[first]))
    expected = top / (count - close) * len(x) ** 2 * (1 - 1 / (int(y.max()) + 1))
    return Margin(value=extreme_margin(s[order], expected), pair=pair, method="evt", n_pairs=count, n_close=close)


def extreme_margin(s: Float[np.ndarray, " k1"], expected: float) -> float:
    """delta from the k+1 largest inverse distances, largest first, and a = (k/N) n^2 (1 - 1/d), the number of such pairs in the whole data.

    >>> round(extreme_margin(np.array([4.0, 2.0, 1.0]), 8.0), 6)  # M1 = 1.5 ln 2, M2 = 2.5 ln^2 2, gamma = M1 + 1 - 0.5 / 0.1 < 0
    0.25
    """
    u = np.log(s[:-1] / s[-1])
    m1, m2 = float(u.mean()), float((u**2).mean())
    if m2 <= m1**2 * (1 + 1e-12):
        return float(1 / s[0])  # all alike: nothing to extrapolate from
    gamma = m1 + 1 - 0.5 / (1 - m1**2 / m2)
    grown = math.log(expected) if abs(gamma) < 1e-8 else math.expm1(gamma * math.log(expected)) / gamma
    return float(min(1 / (grown * s[-1] * m1 + s[-1]), 1 / s[0]))


def _noise(pairs: list[tuple[int, int]]) -> DataError:
    shown = ", ".join(f"{a} and {b}" for a, b in pairs[:5])
    return DataError(
        f"equal inputs with different labels (rows {shown}{', ...' if len(pairs) > 5 else ''}): the class margin is 0. Mend the labels, or give min_distance > 0"
    )
