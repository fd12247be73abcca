"""Answers of a response record as matrices: products with the right answers X and the seen ones M, whatever is missing.

Nearly every product is with the right answers' two sums alone (a 2PL likelihood is linear in them), kept sparse; M is not kept at all where every
solver answered every item, dense where many did, sparse where few did.
"""

# N solvers, J items, Q nodes

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from genscope.core.errors import DataError
from genscope.core.text import shorten
from genscope.tasks.responses import ResponseRecord

DENSE_FROM = 0.08
"""Share of answered pairs from which dense products are faster (measured)."""
SINGLE_FROM = 4_000_000
"""Pairs from which dense products are taken in single precision; the log-likelihood that is reported is summed in double precision anyway."""
CHUNK = 2_048
"""Solvers in one dense block."""


class Answers:
    """X and M of a record. Read only."""

    def __init__(self, record: ResponseRecord) -> None:
        self.shape = (len(record.solvers), len(record.items))
        n, j = self.shape
        places = (record.solver, record.item)
        right = record.right * record.weight
        self.right = sparse.csr_matrix((right[right != 0], (places[0][right != 0], places[1][right != 0])), shape=self.shape)
        self.right_by_item = self.right.T.tocsr()
        self.complete = len(record) == n * j and bool((record.weight == 1).all())
        self.single = n * j >= SINGLE_FROM
        self.seen_sparse: sparse.csr_matrix | None = None
        self.seen_dense: np.ndarray | None = None
        if not self.complete:
            if record.share >= DENSE_FROM:
                self.seen_dense = np.zeros(self.shape, np.float32 if self.single else np.float64)
                self.seen_dense[places] = record.weight
            else:
                self.seen_sparse = sparse.csr_matrix((record.weight, places), shape=self.shape)
        self.count_of_item = np.bincount(record.item, record.weight, minlength=j)
        self.right_of_item = np.bincount(record.item, right, minlength=j)

    def seen_times(self, table_JQ: np.ndarray) -> np.ndarray:
        """M @ table, [N, Q]; where every pair was answered one row for all solvers, [1, Q]."""
        if self.complete:
            return table_JQ.sum(0)[None, :]
        if self.seen_dense is not None:
            return (self.seen_dense @ table_JQ.astype(self.seen_dense.dtype)).astype(np.float64)
        return np.asarray(self.seen_sparse @ table_JQ)

    def seen_counts(self, weight_NQ: np.ndarray) -> np.ndarray:
        """M' @ weights, [J, Q]: expected number of answers at each node; [1, Q] where every pair was answered."""
        if self.complete:
            return weight_NQ.sum(0)[None, :]
        if self.seen_dense is not None:
            return (self.seen_dense.T @ weight_NQ.astype(self.seen_dense.dtype)).astype(np.float64)
        return np.asarray(self.seen_sparse.T @ weight_NQ)  # pyright: ignore[reportOptionalMemberAccess]

    def blocks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """(solvers, X, M) as dense blocks of `CHUNK` solvers."""
        for start in range(0, self.shape[0], CHUNK):
            rows = slice(start, min(start + CHUNK, self.shape[0]))
            right = self.right[rows].toarray()
            if self.complete:
                seen = np.ones_like(right)
            elif self.seen_dense is not None:
                seen = self.seen_dense[rows].astype(right.dtype)
            else:
                seen = self.seen_sparse[rows].toarray()  # pyright: ignore[reportOptionalSubscript]
            yield rows, right, seen


def check_connected(record: ResponseRecord, allowed: bool) -> int:
    """Number of components of the graph of solvers and items; DataError when there are several and that is not allowed.

    Difficulties of two components stand on scales that nothing relates to each other, but for the assumption that their solvers are alike.
    """
    from scipy.sparse.csgraph import connected_components

    n, j = len(record.solvers), len(record.items)
    graph = sparse.coo_matrix((np.ones(len(record), np.int8), (record.solver, n + record.item)), shape=(n + j, n + j))
    count, label = connected_components(graph, directed=False)
    if count > 1 and not allowed:
        sizes = np.bincount(label[n:], minlength=count)
        small = int(np.argmin(np.where(sizes > 0, sizes, j + 1)))
        example = record.items[int(np.flatnonzero(label[n:] == small)[0])]
        raise DataError(
            f"responses: the record falls into {count} parts that share neither solver nor item (the smallest holds {sizes[small]} item(s), such as "
            f"{shorten(example, 40)!r}); their difficulties are not comparable. Add linking answers, fit each part by itself, or allow_disconnected=True, which takes all solvers as draws of one population"
        )
    return count
