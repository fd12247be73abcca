"""Intrinsic dimension of a cloud of points from the distances to its nearest neighbours: maximum likelihood, averaged as MacKay and Ghahramani do.

With T_j(x) the distance from x to its j-th neighbour (itself left out):

    m = 1 / mean over x and j = 1..k-1 of log( T_k(x) / T_j(x) )

one global mean, then the inverse. It falls short of the truth for m of 12 and more, and rises with the number of points: compare data sets at equal n only.
Sources: Levina and Bickel 2004; MacKay and Ghahramani 2005 (comment); k = 5 and the averaging as in Boopathy et al. 2023.
"""

# N points, Q query points, d coordinates, k neighbours

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.measures.neighbours import nearest, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """value: m at the k that was asked for, dimensionless, > 0; per_k: the same for every k from 2 up; n: distinct points; n_query: points whose neighbours
    were taken; n_dropped: copies of other points, left out.
    """

    value: float
    per_k: dict[int, float]
    n: int
    n_query: int
    n_dropped: int


def intrinsic_dimension(x: np.ndarray, k: int = 5, n_query: int | None = None, seed: Seed | None = None) -> Dimension:
    """m of the rows of x (further axes are flattened). O(Q N d) time; memory is one block of about 128 MB beside a copy of x in single precision.

    n_query: as many rows, drawn by `seed`, are compared with all; by default every row. Copies of a row are dropped and counted. Needs more than k distinct rows.
    """
    points = rows_of(x)
    if k < 2:
        raise UsageError(f"intrinsic dimension: k is at least 2, got {k}")
    kept = distinct(points)
    if len(kept) <= k:
        raise DataError(f"intrinsic dimension at k = {k} needs more than {k} distinct rows; of {len(points)} rows {len(kept)} are distinct")
    points, dropped = points[kept], len(points) - len(kept)
    query = np.arange(len(points))
    if n_query is not None and n_query < len(points):
        if n_query < 1:
            raise UsageError(f"intrinsic dimension: n_query is at least 1, got {n_query}")
        query = np.sort((seed or Seed("intrinsic dimension")).rng().choice(len(points), n_query, replace=False))
    logs_Qk = np.log(nearest(points, query, k)[0])
    per_k = {j: float(1 / np.mean(logs_Qk[:, j - 1 : j] - logs_Qk[:, : j - 1])) for j in range(2, k + 1)}
    return Dimension(value=per_k[k], per_k=per_k, n=len(points), n_query=len(query), n_dropped=dropped)


def distinct(x: Float[np.ndarray, "N d"]) -> Int[np.ndarray, " M"]:
    """Rows that no earlier row equals, in order."""
    plain = np.ascontiguousarray(x + 0.0)  # -0.0 becomes 0.0: equal numbers get equal bytes
    _, first = np.unique(plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1])))[:, 0], return_index=True)
    return np.sort(first)
