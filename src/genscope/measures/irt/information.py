"""Standard errors of item parameters, from the observed information of the marginal likelihood (Louis 1982).

Information = expected complete information (a block an item) - sum over solvers of the posterior covariance of the complete score. Given theta,
an answer's score in item j's parameters is x A_j(theta) + B_j(theta). Small records: the covariance over all nodes. Large ones: its projection on the
first two orthonormal polynomials of each solver's posterior, whose remainder is of the order sd^6; beyond `MOST` parameters items by themselves.
"""

# N solvers, J items, Q nodes, K parameters an item, P = K J parameters in all

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genscope.measures.irt.answers import Answers

EXACT = 5e8
"""Operations up to which the covariance is taken over all nodes."""
MOST = 6_000
"""Parameters up to which the whole information matrix is inverted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Score functions: x A + B; complete: expected complete information. A, B: [K, J, Q]; complete: [K, K, J]."""

    A: np.ndarray
    B: np.ndarray
    complete: np.ndarray


def logistic_scores(answers: Answers, chance_JQ: np.ndarray, weight_NQ: np.ndarray, nodes: np.ndarray) -> Scores:
    """Scores of (a, d): (x - P)(theta, 1)."""
    theta = np.broadcast_to(nodes, chance_JQ.shape)
    spread = chance_JQ * (1 - chance_JQ) * answers.seen_counts(weight_NQ)
    aa, ad, dd = (spread * theta**2).sum(1), (spread * theta).sum(1), spread.sum(1)
    return Scores(
        A=np.stack([theta, np.ones_like(chance_JQ)]), B=np.stack([-chance_JQ * theta, -chance_JQ]), complete=np.array([[aa, ad], [ad, dd]])
    )


def covariance(
    answers: Answers, scores: Scores, weight_NQ: np.ndarray, nodes: np.ndarray, prior: np.ndarray, share: Sequence[int] = ()
) -> tuple[np.ndarray, str]:
    """([K, K, J] covariance of each item's parameters, how it was found). prior: [K, K, J] second derivatives of minus the log prior;
    share: parameters (indices < K) that all items have in common.
    """
    K, J, Q = scores.A.shape
    complete = scores.complete + prior
    N = answers.shape[0]
    if K * J > MOST:
        return np.moveaxis(np.linalg.inv(np.moveaxis(complete, -1, 0)), 0, -1), "items by themselves"
    exact = N * Q * (K * J) ** 2.0 <= EXACT
    lost = (_over_nodes if exact else _projected)(answers, scores, weight_NQ, nodes)
    whole = -lost
    places = np.arange(J)
    for k in range(K):
        for m in range(K):
            whole[k * J + places, m * J + places] += complete[k, m]
    whole, where = _shared(whole, K, J, share)
    inverse = np.linalg.inv(_positive(whole))
    found = np.array([[inverse[where[k], where[m]] for m in range(K)] for k in range(K)])
    return found, "observed information" if exact else "observed information, covariance of scores to second order"


def _shared(whole: np.ndarray, K: int, J: int, share: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The information with the rows and columns of common parameters summed, and the place of parameter k of item j in it, [K, J]."""
    where = np.arange(K * J).reshape(K, J)
    if not share:
        return whole, where
    column = np.empty((K, J), int)
    size = 0
    for k in range(K):
        column[k] = size if k in share else size + np.arange(J)
        size += 1 if k in share else J
    fold = np.zeros((K * J, size))
    fold[np.arange(K * J), column.ravel()] = 1.0
    return fold.T @ whole @ fold, column


def _positive(whole: np.ndarray) -> np.ndarray:
    """The matrix, with a ridge as small as makes it positive definite where an item's parameters cannot be told apart."""
    scale = float(np.abs(np.diag(whole)).mean())
    for ridge in (0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2):
        try:
            np.linalg.cholesky(whole + ridge * scale * np.eye(len(whole)))
        except np.linalg.LinAlgError:
            continue
        return whole + ridge * scale * np.eye(len(whole))
    return np.diag(np.maximum(np.diag(whole), 1e-12))


def _over_nodes(answers: Answers, scores: Scores, weight_NQ: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    K, J, Q = scores.A.shape
    A_QP, B_QP = (part.transpose(2, 0, 1).reshape(Q, K * J) for part in (scores.A, scores.B))
    lost = np.zeros((K * J, K * J))
    step = max(1, int(2e7 / (Q * K * J)))
    for rows, right, seen in answers.blocks():
        x_NP, m_NP = np.tile(right, K), np.tile(seen, K)
        weight = weight_NQ[rows]
        for start in range(0, len(right), step):
            part = slice(start, start + step)
            s_NQP = x_NP[part, None, :] * A_QP + m_NP[part, None, :] * B_QP
            s_NQP -= np.einsum("nq,nqp->np", weight[part], s_NQP)[:, None, :]
            s_NQP *= np.sqrt(weight[part])[:, :, None]
            flat = s_NQP.reshape(-1, K * J)
            lost += flat.T @ flat
    return lost


def _projected(answers: Answers, scores: Scores, weight_NQ: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    K, J, Q = scores.A.shape
    kind = np.float32 if answers.single else np.float64
    A_QP, B_QP = (part.transpose(2, 0, 1).reshape(Q, K * J).astype(kind) for part in (scores.A, scores.B))
    lost = np.zeros((K * J, K * J))
    first_NQ, second_NQ = _polynomials(weight_NQ, nodes)
    for rows, right, seen in answers.blocks():
        x_NP, m_NP = np.tile(right.astype(kind), K), np.tile(seen.astype(kind), K)
        for basis_NQ in (first_NQ, second_NQ):
            weighted = (weight_NQ[rows] * basis_NQ[rows]).astype(kind)
            projection_NP = x_NP * (weighted @ A_QP)
            projection_NP += m_NP * (weighted @ B_QP)
            lost += projection_NP.T @ projection_NP
    return lost


def _polynomials(weight_NQ: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal polynomials of degree one and two of every solver's posterior, at the nodes."""
    mean = weight_NQ @ nodes
    first = nodes[None, :] - mean[:, None]
    variance = np.maximum((weight_NQ * first**2).sum(1), 1e-12)
    first /= np.sqrt(variance)[:, None]
    square = first**2
    third = (weight_NQ * square * first).sum(1)
    second = square - third[:, None] * first - 1.0
    length = np.maximum((weight_NQ * second**2).sum(1), 1e-12)
    return first, second / np.sqrt(length)[:, None]
