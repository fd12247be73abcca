"""The 3PL with priors, by marginal maximum a posteriori (EM): P = c + (1 - c) sigmoid(a theta + d), for tests that can be guessed.

Priors keep what few solvers cannot tell apart: log a ~ N(0, 0.5^2), b ~ N(0, 3^2), logit c ~ N(logit c0, 0.5^2), c0 = 1/options. Or c is given and stays
(a two-parameter model above a known floor, the choice for k options). Never the default: with few solvers the guessing term is unstable.
"""

# N solvers, J items, Q nodes

from __future__ import annotations

import numpy as np

from genscope.measures.irt.answers import Answers
from genscope.measures.irt.information import Scores
from genscope.measures.irt.marginal import HIGHEST, LOWEST, Expected, Grid, Marginal, State, start_of

SD_LOG_A, SD_B, SD_LOGIT_C = 0.5, 3.0, 0.5


def chances(state: State, logit_c: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P, sigmoid(z), c) at the nodes: [J, Q], [J, Q], [J]."""
    z = np.clip(np.exp(state.log_a)[:, None] * nodes + state.d[:, None], -35.0, 35.0)
    s, c = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-logit_c))
    return c[:, None] + (1 - c[:, None]) * s, s, c


def _expect(answers: Answers, state: State, logit_c: np.ndarray, grid: Grid) -> tuple[Expected, np.ndarray]:
    P, s, _ = chances(state, logit_c, grid.nodes)
    P = np.clip(P, 1e-12, 1 - 1e-12)
    log_NQ = np.asarray(answers.right @ (np.log(P) - np.log1p(-P))) + answers.seen_times(np.log1p(-P)) + grid.log_weights
    top = log_NQ.max(1, keepdims=True)
    weight = np.exp(log_NQ - top)
    total = weight.sum(1, keepdims=True)
    weight /= total
    loglik = float((np.log(total) + top).sum())
    mean = weight @ grid.nodes
    sd = np.sqrt(np.maximum(weight @ grid.nodes**2 - mean**2, 1e-12))
    return Expected(weight=weight, chance=P, loglik=loglik, log_posterior=loglik, mean=mean, sd=sd), s


def _slopes(state: State, s: np.ndarray, c: np.ndarray, nodes: np.ndarray, fixed: bool) -> np.ndarray:
    """Derivatives of P in (a, d, logit c), [K, J, Q]; without the last where c is given."""
    inner = (1 - c[:, None]) * s * (1 - s)
    parts = [inner * nodes, inner]
    return np.stack(parts if fixed else [*parts, (c * (1 - c))[:, None] * (1 - s)])


def prior_terms(state: State, logit_c: np.ndarray, centre: float, fixed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gradient [K, J] and curvature [K, K, J] (positive) of the log priors, in (a, d, logit c)."""
    a, d = np.exp(state.log_a), state.d
    K = 2 if fixed else 3
    gradient, curvature = np.zeros((K, len(d))), np.zeros((K, K, len(d)))
    tau = 1 / SD_B**2
    gradient[0] = -state.log_a / SD_LOG_A**2 / a + tau * d**2 / a**3
    gradient[1] = -tau * d / a**2
    curvature[0, 0], curvature[1, 1] = 1 / (SD_LOG_A * a) ** 2, tau / a**2
    if not fixed:
        gradient[2] = -(logit_c - centre) / SD_LOGIT_C**2
        curvature[2, 2] = 1 / SD_LOGIT_C**2
    return gradient, curvature


def fit(answers: Answers, *, guess: float, fixed: bool, nodes: int, tolerance: float, most: int) -> tuple[Marginal, np.ndarray, Scores]:
    """(fit, c of each item, scores for standard errors). guess: c0, or the given c."""
    centre = float(np.log(guess / (1 - guess)))
    state, grid = start_of(answers), Grid.between(-6.0, 6.0, max(nodes, 61) | 1)
    # the start must lie above the floor
    share = np.clip((answers.right_of_item / answers.count_of_item - guess) / (1 - guess), 0.05, 0.95)
    state.d = np.log(share / (1 - share))
    logit_c = np.full(answers.shape[1], centre)
    change, converged, steps = np.inf, False, 0
    found, s = _expect(answers, state, logit_c, grid)
    while steps < most:
        steps += 1
        if steps == 5:
            grid = Grid.for_posteriors(found.mean, found.sd, nodes)
            found, s = _expect(answers, state, logit_c, grid)
        c = 1 / (1 + np.exp(-logit_c))
        K = 2 if fixed else 3
        slopes = _slopes(state, s, c, grid.nodes, fixed)
        variance = found.chance * (1 - found.chance)
        counts = np.broadcast_to(answers.seen_counts(found.weight), found.chance.shape)
        expected_right = np.asarray(answers.right_by_item @ found.weight)
        gradient = ((expected_right - counts * found.chance) / variance * slopes).sum(2)
        information = np.einsum("kjq,mjq,jq->kmj", slopes, slopes, counts / variance)
        more, curve = prior_terms(state, logit_c, centre, fixed)
        step = np.linalg.solve(np.moveaxis(information + curve, -1, 0), (gradient + more).T[:, :, None])[:, :, 0].T
        a = np.exp(state.log_a)
        step[0] = np.clip(step[0], -0.5 * a, a)
        step[1:] = np.clip(step[1:], -1.0, 1.0)
        state = State(np.clip(np.log(a + step[0]), LOWEST, HIGHEST), state.d + step[1])
        if K == 3:
            logit_c = np.clip(logit_c + step[2], -6.0, 2.0)
        change = float(np.abs(step).max())
        found, s = _expect(answers, state, logit_c, grid)
        if change < tolerance:
            converged = True
            break
    c = 1 / (1 + np.exp(-logit_c))
    slopes = _slopes(state, s, c, grid.nodes, fixed)
    counts = answers.seen_counts(found.weight)
    complete = np.einsum("kjq,mjq,jq->kmj", slopes, slopes, counts / (found.chance * (1 - found.chance)))
    scores = Scores(A=slopes / (found.chance * (1 - found.chance)), B=-slopes / (1 - found.chance), complete=complete)
    return Marginal(state=state, grid=grid, expected=found, converged=converged, change=change, iterations=steps), c, scores
