"""Marginal maximum likelihood of the 1PL and 2PL by EM (Bock and Aitkin 1981), with missing answers.

z_j(theta) = a_j theta + d_j, b_j = -d_j / a_j, theta ~ N(0, 1). A solver's likelihood needs of its right answers only two sums,
theta (X a)_i + (X d)_i; what is left, sum_j m_ij log(1 - P_j(theta)), is one matrix product, and none where nothing is missing.

Nodes are equally spaced (the trapezoid rule is spectrally accurate for Gaussians; error 2 exp(-2 pi^2 / 1.2^2) = 2e-6 at a step of 1.2 posterior
standard deviations), and their number follows the posterior: 41 Gauss-Hermite nodes miss posteriors as narrow as those of long tests.
Location and scale of theta are parameters that each step folds back into the items (parameter expansion, Liu, Rubin and Wu 1998): plain EM
moves the common location of hundreds of items extremely slowly. Steps are extrapolated by SQUAREM (Varadhan and Roland 2008), guarded by the likelihood.
"""

# N solvers, J items, Q nodes

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genscope.measures.irt.answers import Answers

LOWEST, HIGHEST = np.log(0.02), np.log(10.0)
"""Bounds of log a: an item whose answers fall with ability gets the lowest slope, one that a few answers separate perfectly the highest, and a flag."""
HALVINGS = 6


@dataclass(frozen=True, slots=True)
class Grid:
    """Nodes of theta and the logarithms of their weights under N(0, 1)."""

    nodes: np.ndarray
    log_weights: np.ndarray

    @classmethod
    def between(cls, low: float, high: float, count: int) -> Grid:
        nodes = np.linspace(low, high, count)
        return cls(nodes, -0.5 * nodes**2 - 0.5 * np.log(2 * np.pi) + np.log(nodes[1] - nodes[0]))

    @classmethod
    def for_posteriors(cls, mean: np.ndarray, sd: np.ndarray, least: int, most: int = 401) -> Grid:
        """Nodes from six posterior deviations below the lowest solver to six above the highest, 1.2 deviations of a sharp posterior apart."""
        low, high = min(-4.0, float((mean - 6 * sd).min())), max(4.0, float((mean + 6 * sd).max()))
        count = int(np.ceil((high - low) / (1.2 * float(np.quantile(sd, 0.1)))))
        return cls.between(low, high, min(max(count, least), most) | 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Normal priors for some items: precision of b around 0, of log a around 0; 0 where an item has none. J values each."""

    b: np.ndarray
    log_a: np.ndarray

    def __bool__(self) -> bool:
        return bool(self.b.any() or self.log_a.any())

    def log_density(self, log_a: np.ndarray, d: np.ndarray) -> float:
        b = -d * np.exp(-log_a)
        return -0.5 * float((self.b * b**2).sum() + (self.log_a * log_a**2).sum())


@dataclass(slots=True)
class State:
    """Parameters: log slopes and intercepts on the scale theta ~ N(0, 1); mean, log_sd: where that scale lies on the one of the anchors (0 and 0 without)."""

    log_a: np.ndarray
    d: np.ndarray
    mean: float = 0.0
    log_sd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Outcome of an E-step. weight: posterior over nodes, [N, Q]; chance: P_j(theta), [J, Q]; log_posterior includes the prior of items."""

    weight: np.ndarray
    chance: np.ndarray
    loglik: float
    log_posterior: float
    mean: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """A fit. change: largest last change of log a and d; iterations: E-steps."""

    state: State
    grid: Grid
    expected: Expected
    converged: bool
    change: float
    iterations: int


def expect(answers: Answers, state: State, grid: Grid, prior: Prior) -> Expected:
    """E-step: posterior weights of every solver over its own answers only."""
    a, theta = np.exp(state.log_a), grid.nodes
    z_JQ = a[:, None] * theta + state.d[:, None]
    e_JQ = np.exp(-np.abs(z_JQ))
    log_wrong_JQ = -np.log1p(e_JQ) - np.maximum(z_JQ, 0.0)
    chance_JQ = np.where(z_JQ >= 0, 1.0, e_JQ) / (1.0 + e_JQ)
    sums = answers.right @ np.stack([a, state.d], 1)
    log_NQ = sums[:, :1] * theta + sums[:, 1:]
    log_NQ += answers.seen_times(log_wrong_JQ)
    log_NQ += grid.log_weights
    top = log_NQ.max(1, keepdims=True)
    log_NQ -= top
    weight_NQ = np.exp(log_NQ, out=log_NQ)
    total = weight_NQ.sum(1, keepdims=True)
    weight_NQ /= total
    loglik = float((np.log(total) + top).sum())
    moments = weight_NQ @ np.stack([theta, theta**2], 1)
    mean = moments[:, 0]
    return Expected(
        weight=weight_NQ, chance=chance_JQ, loglik=loglik, log_posterior=loglik + prior.log_density(state.log_a, state.d), mean=mean,
        sd=np.sqrt(np.maximum(moments[:, 1] - mean**2, 1e-12)),
    )  # fmt: skip


def curvature(answers: Answers, found: Expected, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected complete information of each item: its (a, a), (a, d) and (d, d) entries, [J] each."""
    spread_JQ = found.chance * (1.0 - found.chance) * answers.seen_counts(found.weight)
    h = spread_JQ @ np.stack([grid.nodes**2, grid.nodes, np.ones_like(grid.nodes)], 1)
    return h[:, 0], h[:, 1], h[:, 2]


def _newton(answers: Answers, state: State, found: Expected, grid: Grid, prior: Prior, free: np.ndarray, common: bool) -> None:
    """M-step: one Newton step of each item's weighted logistic regression (of the common slope with all intercepts in the 1PL)."""
    a, d, theta = np.exp(state.log_a), state.d, grid.nodes
    count_JQ = answers.seen_counts(found.weight)
    expected_JQ = count_JQ * found.chance
    basis = np.stack([theta**2, theta, np.ones_like(theta)], 1)
    first = expected_JQ @ basis[:, 1:]
    second = (expected_JQ * (1.0 - found.chance)) @ basis
    g_a = answers.right_by_item @ found.mean - first[:, 0]
    g_d = answers.right_of_item - first[:, 1]
    h_aa, h_ad, h_dd = second[:, 0], second[:, 1], second[:, 2]
    if prior:
        g_d = g_d - prior.b * d / a**2
        g_a = g_a + prior.b * d**2 / a**3 - prior.log_a * state.log_a / a
        h_dd = h_dd + prior.b / a**2
        h_aa = h_aa + prior.log_a / a**2
    if common:
        fixed_slope = not free.all()
        gain = np.where(free, h_ad / h_dd, 0.0)
        bottom = float((h_aa - gain * h_ad).sum())
        step_a = 0.0 if fixed_slope else float((g_a - gain * g_d).sum()) / max(bottom, 1e-12)
        state.d = d + np.where(free, np.clip((g_d - h_ad * step_a) / h_dd, -2.0, 2.0), 0.0)
        if not fixed_slope:
            slope = a[0] + np.clip(step_a, -0.5 * a[0], a[0])
            state.log_a = np.full_like(state.log_a, np.clip(np.log(slope), LOWEST, HIGHEST))
        return
    determinant = np.maximum(h_aa * h_dd - h_ad**2, 1e-12 * h_aa * h_dd + 1e-30)
    step_a = (h_dd * g_a - h_ad * g_d) / determinant
    step_d = (h_aa * g_d - h_ad * g_a) / determinant
    # a whole step must not turn a slope negative or throw an item far away
    shrink = np.minimum(
        1.0, np.minimum(np.where(step_a < 0, 0.7, 2.0) * a / np.maximum(np.abs(step_a), 1e-300), 2.0 / np.maximum(np.abs(step_d), 1e-300))
    )
    stuck = ((state.log_a <= LOWEST) & (step_a < 0)) | ((state.log_a >= HIGHEST) & (step_a > 0))
    shrink, step_a = np.where(stuck, 1.0, shrink), np.where(stuck, 0.0, step_a)
    # with the slope at its bound the intercept follows alone, by Boehning's bound of the curvature, which cannot overshoot
    step_d = np.where(stuck, g_d / (0.25 * answers.count_of_item + prior.b / a**2), step_d)
    state.log_a = np.where(free, np.clip(np.log(a + shrink * step_a), LOWEST, HIGHEST), state.log_a)
    state.d = np.where(free, d + shrink * step_d, d)


def _fold(state: State, found: Expected, anchored: bool) -> None:
    """Fold the abilities' mean and spread into the items, so that theta ~ N(0, 1) again; with anchors this moves the population instead."""
    mean, sd = float(found.mean.mean()), float(np.sqrt(np.mean(found.sd**2 + found.mean**2) - found.mean.mean() ** 2))
    a = np.exp(state.log_a)
    state.d = state.d + a * mean
    state.log_a = state.log_a + np.log(sd)
    if anchored:
        state.mean += np.exp(state.log_sd) * mean
        state.log_sd += np.log(sd)


def fit(
    answers: Answers, start: State, *, common: bool, prior: Prior, free: np.ndarray, nodes: int, tolerance: float, most: int
) -> Marginal:
    """EM to the maximum. common: one slope for all items (1PL); free: items that are estimated (the others are anchors); most: E-steps at most."""
    state, anchored = start, not bool(free.all())
    grid = Grid.between(-6.0, 6.0, max(nodes, 61) | 1)
    found = expect(answers, state, grid, prior)
    steps, change, converged = 1, np.inf, False
    before: list[np.ndarray] = []
    while steps < most:
        if steps in (4, 9) or (steps % 10 == 0 and _at_edge(found)):
            grid, before = Grid.for_posteriors(found.mean, found.sd, nodes), []
            found = expect(answers, state, grid, prior)
        old = np.concatenate([state.log_a, state.d])
        moved = State(state.log_a, state.d, state.mean, state.log_sd)
        _newton(answers, moved, found, grid, prior, free, common)
        # with a prior or a slope at its bound, folding and the M-step would pull against each other at the maximum
        bounded = bool(((moved.log_a <= LOWEST) | (moved.log_a >= HIGHEST)).any())
        if anchored or steps < 25 or not (prior or bounded):
            _fold(moved, found, anchored)
        new = np.concatenate([moved.log_a, moved.d])
        change = float(np.abs(new - old).max())
        then = expect(answers, moved, grid, prior)
        for _ in range(HALVINGS):
            # one Newton step is no whole M-step: a step down is halved until it is none
            if anchored or then.log_posterior >= found.log_posterior - 1e-7 * abs(found.log_posterior):
                break
            moved = State((state.log_a + moved.log_a) / 2, (state.d + moved.d) / 2)
            then, steps = expect(answers, moved, grid, prior), steps + 1
        new = np.concatenate([moved.log_a, moved.d])
        state, found, steps = moved, then, steps + 1
        if change < tolerance and steps > 10:
            converged = True
            break
        before = [*before, old][-2:]
        if not anchored and len(before) == 2 and steps > 4:
            jumped = _extrapolated(before[0], before[1], new)
            trial = State(np.clip(jumped[: len(state.d)], LOWEST, HIGHEST), jumped[len(state.d) :])
            tried = expect(answers, trial, grid, prior)
            steps += 1
            if tried.log_posterior > found.log_posterior:
                state, found = trial, tried
            before = []
    return Marginal(state=state, grid=grid, expected=found, converged=converged, change=change, iterations=steps)


def _at_edge(found: Expected) -> bool:
    return bool(found.weight[:, [0, -1]].max() > 1e-4)


def _extrapolated(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """SQUAREM's third scheme from three successive values of the parameters."""
    r = second - first
    v = (third - second) - r
    length = float(np.sqrt((r @ r) / max(float(v @ v), 1e-300)))
    step = -min(max(length, 1.0), 64.0)
    return first - 2 * step * r + step**2 * v


def loglik_of(answers: Answers, state: State, grid: Grid) -> float:
    """Marginal log-likelihood in double precision, block by block."""
    a, theta = np.exp(state.log_a), grid.nodes
    z_JQ = a[:, None] * theta + state.d[:, None]
    log_wrong_JQ = -np.logaddexp(0.0, z_JQ)
    total = 0.0
    for _, right, seen in answers.blocks():
        log_NQ = right @ (z_JQ) + seen @ log_wrong_JQ + grid.log_weights
        top = log_NQ.max(1, keepdims=True)
        total += float((np.log(np.exp(log_NQ - top).sum(1, keepdims=True)) + top).sum())
    return total


def start_of(answers: Answers) -> State:
    """Start: slope 1, intercepts from the smoothed share right."""
    share = (answers.right_of_item + 0.5) / (answers.count_of_item + 1.0)
    return State(np.zeros(answers.shape[1]), 1.2 * np.log(share / (1 - share)))
