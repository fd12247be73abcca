"""Nearest neighbours by Euclidean distance, exact, in blocks: no N x N matrix is ever built.

Single precision proposes candidates by |x|^2 + |y|^2 - 2xy; their distances are then computed anew in double precision, and a row for which rounding could
have hidden a neighbour is done over in double precision whole. So zeros are zeros, and the result equals the slow way.
"""

# N points, Q query points, d coordinates, k neighbours, b rows of a block

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int

from genscope.core.errors import DataError

BLOCK_BYTES = 64 << 20
SPARE = 6
"""Candidates beyond k."""


def rows_of(x: np.ndarray) -> Float[np.ndarray, "N d"]:
    """x as rows of doubles; DataError for less than two axes, no coordinate, or values that are not finite (their number is named)."""
    array = np.asarray(x)
    if array.ndim < 2 or not array.size:
        raise DataError(f"rows of numbers are needed, of shape (rows, coordinates ...); got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"rows of numbers are needed, got values of type {array.dtype}")
    rows = array.reshape(len(array), -1).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise DataError(f"{len(bad):,} of {len(rows):,} rows hold NaN or infinite values (first: row {bad[0]}); mend or leave them out")
    return rows


def nearest(x: Float[np.ndarray, "N d"], query: Int[np.ndarray, " Q"], k: int) -> tuple[Float[np.ndarray, "Q k"], Int[np.ndarray, "Q k"]]:
    """(distances, rows) of the k nearest other rows of each row in `query`, nearest first; N must exceed k."""
    n, found, places = len(x), np.empty((len(query), k)), np.empty((len(query), k), np.int64)
    half, square, error = single(x)
    count = min(k + SPARE, n - 1)
    step = block_rows(n)
    for start in range(0, len(query), step):
        rows = query[start : start + step]
        near_bN = squared(half, square, rows, slice(0, n))
        near_bN[np.arange(len(rows)), rows] = np.inf
        if count < n - 1:
            near = np.argpartition(near_bN, count, axis=1)[:, : count + 1]
            edge = near_bN[np.arange(len(rows)), near[:, count]]
            near = near[:, :count]
        else:
            near, edge = np.argsort(near_bN, axis=1)[:, :count], np.full(len(rows), np.inf)
        exact = distances(x, rows, near)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        found[start : start + step] = np.take_along_axis(exact, order, 1)
        places[start : start + step] = np.take_along_axis(near, order, 1)
        for b in np.flatnonzero(found[start : start + step, -1] ** 2 + error >= edge):
            whole = ((x - x[rows[b]]) ** 2).sum(1)
            whole[rows[b]] = np.inf
            best = np.argpartition(whole, k - 1)[:k]
            best = best[np.argsort(whole[best], kind="stable")]
            found[start + b], places[start + b] = np.sqrt(whole[best]), best
    return found, places


def single(x: Float[np.ndarray, "N d"]) -> tuple[Float32[np.ndarray, "N d"], Float32[np.ndarray, " N"], float]:
    """(centred rows in single precision, their squared norms, bound on the error of a squared distance made from them)."""
    half = (x - x.mean(0)).astype(np.float32)
    square = np.einsum("nd,nd->n", half, half, dtype=np.float64)
    # rounding of the rows, of the products and of a sum of d terms (pairwise or blocked: its square root is far above what is seen)
    error = 8 * float(np.finfo(np.float32).eps) * (4 + np.sqrt(x.shape[1])) * float(square.max(initial=0.0))
    return half, square.astype(np.float32), error


def squared(half: np.ndarray, square: np.ndarray, rows: Int[np.ndarray, " b"], others: slice) -> Float32[np.ndarray, "b N"]:
    """Squared distances in single precision; they may fall a little below 0."""
    out = half[rows] @ half[others].T
    out *= -2
    out += square[others]
    out += square[rows, None]
    return out


def distances(x: Float[np.ndarray, "N d"], rows: Int[np.ndarray, " b"], others: Int[np.ndarray, "b c"]) -> Float[np.ndarray, "b c"]:
    """Distances in double precision from each row to each of its candidates."""
    out = np.empty(others.shape)
    for c in range(others.shape[1]):
        out[:, c] = np.sqrt(((x[rows] - x[others[:, c]]) ** 2).sum(1))
    return out


def block_rows(n: int) -> int:
    """Rows of a block against n others."""
    return max(1, BLOCK_BYTES // (4 * n))
