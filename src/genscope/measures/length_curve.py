"""How far a model goes in length: exact match by length, and the largest length that it still solves.

Also the minimum-degree interpolator: what a learner does that fits its training bits with the lowest possible Fourier degree (Abbe et al. 2023);
it provably ignores every bit that is constant in training. Source: Zhou et al. 2024 (arXiv 2310.16028), sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import UsageError

# N strings, K bits


def generalization_length(curve: Mapping[int, float], threshold: float = 0.9) -> int:
    """The largest length up to which exact match is at least `threshold` at every length measured; 0 when it is not at the shortest.

    >>> generalization_length({4: 1.0, 8: 0.95, 16: 0.4, 32: 0.92})
    8
    """
    if not curve:
        raise UsageError("a generalization length needs exact match at one length at least")
    reached = 0
    for length in sorted(curve):
        if curve[length] < threshold:
            break
        reached = length
    return reached


def min_degree_interpolator(
    bits: Int[np.ndarray, "N K"], labels: Float[np.ndarray, " N"], ask: Int[np.ndarray, "M K"], *, most: int = 20
) -> Float[np.ndarray, " M"]:
    """The value that the minimum-degree interpolator gives to the strings `ask`.

    Bits and labels are 0/1. Of all Fourier polynomials in the +-1 bits that fit the training labels it is the one whose weight, compared from the top degree down,
    is least. A bit that is constant in training carries nothing that a lower degree does not, so it is ignored. At most `most` bits; UsageError above that,
    for strings that are not made of 0 and 1, for equal strings with different labels, and where the system of equations passes 50 million entries.
    """
    if bits.shape[1] > most:
        raise UsageError(f"the interpolator is exact for at most {most} bits, got {bits.shape[1]}")
    if not np.isin(bits, (0, 1)).all() or not np.isin(ask, (0, 1)).all():
        raise UsageError("strings are made of 0 and 1")
    used = [k for k in range(bits.shape[1]) if len(np.unique(bits[:, k])) > 1]
    seen, first, place = np.unique(bits[:, used], axis=0, return_index=True, return_inverse=True)
    known = labels[first].astype(float)
    if (known[place.reshape(-1)] != labels).any():
        raise UsageError("two equal strings have different labels: nothing interpolates them")
    if len(seen) == 2 ** len(used):  # every string of the bits that vary was seen: the polynomial is exact there
        table = {row.tobytes(): value for row, value in zip(seen, known, strict=True)}
        return np.array([table[row.tobytes()] for row in np.ascontiguousarray(ask[:, used].astype(seen.dtype))])
    blocks: list[np.ndarray] = []
    for degree in range(len(used) + 1):
        blocks.append(_monomials(seen, degree))
        every = np.concatenate(blocks, axis=1)
        if every.size > 50_000_000:
            raise UsageError(
                f"{len(seen)} strings of {len(used)} bits need more than degree {degree - 1}: too many terms ({every.shape[1]:,}); give fewer strings"
            )
        if np.abs(_residual(every, known)).max() < 1e-8:
            break
    value, rest = np.zeros(len(ask)), known
    for degree in range(len(blocks) - 1, -1, -1):
        lower = np.concatenate(blocks[:degree], axis=1) if degree else np.zeros((len(seen), 0))
        weights, *_ = np.linalg.lstsq(_residual(lower, blocks[degree]), _residual(lower, rest), rcond=1e-10)
        rest = rest - blocks[degree] @ weights
        value += _monomials(ask[:, used], degree) @ weights
    return value


def _monomials(bits: Int[np.ndarray, "N K"], degree: int) -> Float[np.ndarray, "N M"]:
    """Products of `degree` different +-1 bits."""
    signs = 1 - 2 * bits.astype(float)
    return np.stack([signs[:, list(group)].prod(1) for group in combinations(range(bits.shape[1]), degree)], axis=1)


def _residual(columns: Float[np.ndarray, "N M"], y: np.ndarray) -> np.ndarray:
    """What of y the columns do not explain."""
    if not columns.shape[1]:
        return y
    return y - columns @ np.linalg.lstsq(columns, y, rcond=1e-10)[0]
