"""Item response theory: difficulty of items and ability of solvers from who answered what, with standard errors.

1PL sigmoid(a (theta - b)) with one slope for all, 2PL with a slope an item, 3PL c + (1 - c) sigmoid(a (theta - b)); theta ~ N(0, 1). The 1PL on the Rasch
scale (slope 1, theta ~ N(0, sd^2)): b_rasch = a b, sd = a. Slope-intercept form: a theta + d, b = -d/a.
Sources: Bock and Aitkin 1981; Bock and Lieberman 1970 (LSAT6); Ding et al. 2024 (arXiv 2409.18433), who use the 1PL.
"""

# N solvers, J items, Q nodes

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from genscope.core.errors import DataError, UsageError, unknown
from genscope.measures.irt import guessing, information, marginal
from genscope.measures.irt.answers import Answers, check_connected
from genscope.tasks.responses import ResponseRecord

if TYPE_CHECKING:
    import polars as pl

Model = Literal["1pl", "2pl", "3pl"]
Method = Literal["mml", "map", "vi"]
THIN_SLOPE = "few answers: slope held by its prior"
ONE_SIDED, LOWEST_SLOPE, HIGHEST_SLOPE, ANCHOR = (
    "all answers alike: b by its prior",
    "slope at its lower bound",
    "slope at its upper bound",
    "anchor",
)


FEW, THIN, SD_LOG_A = 30, 5, 0.5
"""An item with fewer than FEW answers, or fewer than THIN right or wrong ones, is often separated perfectly: in the 2PL its slope gets the prior log a ~ N(0, SD_LOG_A^2)."""


class NotConverged(UserWarning):
    """A fit that stopped at its most steps; its last change is in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IRT:
    """A fitted model. Items in the record's order: a, b, c with standard errors; b_rasch = -d (1PL: b at slope 1) with its own.

    loglik: marginal, in nats, over answers; parameters: how many were estimated; flags: "" or what is odd about an item; mean, sd: the abilities' population
    (0 and 1 unless items were anchored); eap, eap_sd: mean and standard deviation of each solver's posterior; grid and weight: that posterior.
    """

    model: Model
    method: str
    record: ResponseRecord
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    b_sd: np.ndarray
    a_sd: np.ndarray
    d_sd: np.ndarray
    flags: tuple[str, ...]
    eap: np.ndarray
    eap_sd: np.ndarray
    mean: float
    sd: float
    loglik: float
    parameters: int
    converged: bool
    change: float
    iterations: int
    errors: str

    @property
    def b_rasch(self) -> np.ndarray:
        """a b = -d: in the 1PL the difficulty on the scale of slope 1."""
        return self.a * self.b

    @property
    def aic(self) -> float:
        """2 parameters - 2 loglik."""
        return 2.0 * self.parameters - 2.0 * self.loglik

    @property
    def bic(self) -> float:
        """ln(solvers) parameters - 2 loglik."""
        return float(np.log(len(self.eap))) * self.parameters - 2.0 * self.loglik

    def items(self) -> pl.DataFrame:
        """Table of items: item, b, b_std, a, a_std, c, n_obs, right, flag."""
        import polars as pl

        count = np.bincount(self.record.item, minlength=len(self.b))
        return pl.DataFrame(
            {"item": self.record.items, "b": self.b, "b_std": self.b_sd, "a": self.a, "a_std": self.a_sd, "c": self.c, "n_obs": count, "right": 1 - self.record.wrong_rate(), "flag": self.flags}
        )  # fmt: skip

    def abilities(self) -> pl.DataFrame:
        """Table of solvers: solver, eap, eap_std, map."""
        import polars as pl

        return pl.DataFrame({"solver": self.record.solvers, "eap": self.eap, "eap_std": self.eap_sd, "map": self.map_abilities()})

    def map_abilities(self) -> np.ndarray:
        """Posterior mode of every solver (maximum a posteriori), by Newton steps over its answers."""
        record, n = self.record, len(self.eap)
        theta, a, d = self.eap.copy(), self.a[record.item], -(self.a * self.b)[record.item]
        c = self.c[record.item]
        for _ in range(30):
            z = np.clip(a * theta[record.solver] + d, -35.0, 35.0)
            s = 1 / (1 + np.exp(-z))
            p = np.clip(c + (1 - c) * s, 1e-12, 1 - 1e-12)
            slope = (1 - c) * s * (1 - s) * a
            gradient = (
                np.bincount(record.solver, record.weight * (record.right - p) / (p * (1 - p)) * slope, minlength=n)
                - (theta - self.mean) / self.sd**2
            )
            curve = np.bincount(record.solver, record.weight * slope**2 / (p * (1 - p)), minlength=n) + 1 / self.sd**2
            step = np.clip(gradient / curve, -1.0, 1.0)
            theta = theta + step
            if np.abs(step).max() < 1e-8:
                break
        return theta

    def difficulty(self) -> pl.DataFrame:
        """The items as a difficulty table (notion "irt")."""
        from genscope.core.difficulty import difficulty_columns

        return difficulty_columns("irt", self.record.items, self.b, self.b_sd, np.bincount(self.record.item, minlength=len(self.b)))

    def anchors(self) -> dict[str, tuple[float, float]]:
        """Item -> (a, b), to put another record on this scale."""
        return {item: (float(a), float(b)) for item, a, b in zip(self.record.items, self.a, self.b, strict=True)}


def difficulty_irt(
    record: ResponseRecord, model: Model = "1pl", *, method: Method = "mml", anchors: Mapping[str, float | tuple[float, float]] | None = None,
    prior_b: float | Literal["auto"] | None = "auto", guessing_rate: float = 0.25, fixed_guessing: bool = False, nodes: int = 61, tolerance: float = 1e-5,
    most: int = 1_000, errors: bool = True, allow_disconnected: bool = False,
) -> IRT:  # fmt: skip
    """Fit a model to a record.

    method: "mml" marginal maximum likelihood; "map", "vi" joint penalised and mean-field fits for records beyond 1e7 answers (`irt.joint`, needs torch).
    anchors: item -> b (slope 1) or (a, b) that stay as they are: the others, and the abilities' mean and spread, are estimated on their scale.
    prior_b: standard deviation of a N(0, sd^2) prior on every b; "auto": sd 3 on items that all got right or all wrong, and a flag on them
    (in the 2PL also a prior on the slopes of items with fewer than 30 answers, or 5 right or wrong ones); None: no prior.
    nodes: quadrature nodes at least; tolerance: largest change of log a and d at which the fit ends; errors: whether to find standard errors.
    Warns (`NotConverged`) when `most` steps did not reach it. Raises DataError: disconnected record, unknown anchors.
    """
    if model not in get_args(Model):
        raise UsageError(unknown("IRT model", str(model), get_args(Model)))
    if method not in get_args(Method):
        raise UsageError(unknown("IRT method", str(method), get_args(Method)))
    if not 0 < guessing_rate < 1:
        raise UsageError(f"guessing_rate must be in (0, 1), such as 0.25 for four options; got {guessing_rate}")
    check_connected(record, allow_disconnected or bool(anchors))
    if method != "mml":
        from genscope.measures.irt.joint import joint

        if anchors:
            raise UsageError('anchors are for method="mml"')
        return joint(record, model, method)
    answers = Answers(record)
    one_sided = np.isclose(answers.right_of_item, 0) | np.isclose(answers.right_of_item, answers.count_of_item)
    if model == "3pl":
        if anchors:
            raise UsageError("anchors are for the 1PL and 2PL; fit the 3PL without them")
        return _with_guessing(record, answers, one_sided, guessing_rate, fixed_guessing, nodes, tolerance, most, errors)
    start, free = marginal.start_of(answers), np.ones(len(record.items), bool)
    if anchors:
        free = _anchor(record, start, anchors, common=model == "1pl")
    thin = (answers.count_of_item < FEW) | (np.minimum(answers.right_of_item, answers.count_of_item - answers.right_of_item) < THIN)
    prior = _prior(one_sided & free, thin & free, prior_b, model)
    made = marginal.fit(answers, start, common=model == "1pl", prior=prior, free=free, nodes=nodes, tolerance=tolerance, most=most)
    _warn(made, model, tolerance)
    share = (0,) if model == "1pl" else ()
    if errors:
        scores = information.logistic_scores(answers, made.expected.chance, made.expected.weight, made.grid.nodes)
        cov, how = information.covariance(answers, scores, made.expected.weight, made.grid.nodes, _curvature(prior, made.state), share)
    else:
        cov, how = np.full((2, 2, len(free)), np.nan), "not asked for"
    flags = tuple(
        _flag(bool(open_), bool(alone) and prior_b is not None, bool(held), float(log_a))
        for open_, alone, held, log_a in zip(free, one_sided, prior.log_a > 0, made.state.log_a, strict=True)
    )
    count = int(free.sum()) * (1 if model == "1pl" else 2) + (2 if anchors else int(model == "1pl"))
    return _result(record, answers, model, made, np.zeros(len(free)), cov, how, flags, count, free)


def _flag(free: bool, one_sided: bool, held: bool, log_a: float) -> str:
    if not free:
        return ANCHOR
    if one_sided or held:
        return ONE_SIDED if one_sided else THIN_SLOPE
    return LOWEST_SLOPE if log_a <= marginal.LOWEST else HIGHEST_SLOPE if log_a >= marginal.HIGHEST else ""


def _result(
    record: ResponseRecord, answers: Answers, model: Model, made: marginal.Marginal, c: np.ndarray, cov: np.ndarray, how: str, flags: tuple[str, ...], count: int, free: np.ndarray,
) -> IRT:  # fmt: skip
    """Parameters on the reported scale: theta = mean + sd z."""
    a_in, sd = np.exp(made.state.log_a), float(np.exp(made.state.log_sd))
    b_in = -made.state.d / a_in
    b_sd = np.sqrt(np.maximum(cov[1, 1] + b_in**2 * cov[0, 0] + 2 * b_in * cov[0, 1], 0.0)) / a_in
    fixed = np.where(free, 1.0, 0.0)
    loglik = made.expected.loglik if model == "3pl" or not answers.single else marginal.loglik_of(answers, made.state, made.grid)
    return IRT(
        model=model, method="marginal maximum likelihood" if model != "3pl" else "marginal maximum a posteriori", record=record, a=a_in / sd, b=made.state.mean + sd * b_in, c=c,
        b_sd=b_sd * sd * fixed, a_sd=np.sqrt(np.maximum(cov[0, 0], 0.0)) / sd * fixed, d_sd=np.sqrt(np.maximum(cov[1, 1], 0.0)) * fixed, flags=flags,
        eap=made.state.mean + sd * made.expected.mean, eap_sd=sd * made.expected.sd, mean=made.state.mean, sd=sd, loglik=loglik, parameters=count,
        converged=made.converged, change=made.change, iterations=made.iterations, errors=how,
    )  # fmt: skip


def _with_guessing(
    record: ResponseRecord,
    answers: Answers,
    one_sided: np.ndarray,
    guess: float,
    fixed: bool,
    nodes: int,
    tolerance: float,
    most: int,
    errors: bool,
) -> IRT:
    made, c, scores = guessing.fit(answers, guess=guess, fixed=fixed, nodes=nodes, tolerance=tolerance, most=most)
    _warn(made, "3pl", tolerance)
    logit_c = np.log(c / (1 - c))
    _, prior = guessing.prior_terms(made.state, logit_c, float(np.log(guess / (1 - guess))), fixed)
    cov, how = np.full((2, 2, len(c)), np.nan), "not asked for"
    if errors:
        cov, how = information.covariance(answers, scores, made.expected.weight, made.grid.nodes, prior)
    flags = tuple(ONE_SIDED if alone else "" for alone in one_sided)
    return _result(record, answers, "3pl", made, c, cov, how, flags, len(c) * (2 if fixed else 3), np.ones(len(c), bool))


def _prior(one_sided: np.ndarray, thin: np.ndarray, prior_b: float | str | None, model: Model) -> marginal.Prior:
    if isinstance(prior_b, str) and prior_b != "auto":
        raise UsageError(f'prior_b is a standard deviation above 0, "auto" or None; got {prior_b!r}')
    if isinstance(prior_b, (int, float)) and not prior_b > 0:
        raise UsageError(f"prior_b is a standard deviation and must be above 0, got {prior_b}")
    zero = np.zeros(len(one_sided))
    if prior_b is None:
        return marginal.Prior(b=zero, log_a=zero)
    some = one_sided if prior_b == "auto" else np.ones(len(one_sided), bool)
    sd = 3.0 if isinstance(prior_b, str) else float(prior_b)
    return marginal.Prior(b=some / sd**2, log_a=thin / SD_LOG_A**2 if model == "2pl" else zero)


def _curvature(prior: marginal.Prior, state: marginal.State) -> np.ndarray:
    a = np.exp(state.log_a)
    zero = np.zeros_like(a)
    return np.array([[prior.log_a / a**2, zero], [zero, prior.b / a**2]])


def _anchor(record: ResponseRecord, start: marginal.State, anchors: Mapping[str, float | tuple[float, float]], common: bool) -> np.ndarray:
    """Put the anchors into the start; the mask of the items that are not anchored."""
    places = {item: place for place, item in enumerate(record.items)}
    lost = [name for name in anchors if name not in places]
    if lost:
        raise DataError(
            f"{len(lost)} anchor(s) are not in the record, the first: {lost[0]!r}. Anchors are items that both records have; leave the others out"
        )
    pairs = {
        places[name]: (float(value[0]), float(value[1])) if isinstance(value, tuple) else (1.0, float(value))
        for name, value in anchors.items()
    }
    slopes = {a for a, _ in pairs.values()}
    if any(a <= 0 for a in slopes):
        raise UsageError("anchors: slopes must be above 0")
    if common and max(slopes) - min(slopes) > 1e-9:
        raise UsageError("anchors of the 1PL have one common slope; take those of a 1PL fit, or fit the 2PL")
    where = np.fromiter(pairs, int)
    a, b = np.array(list(pairs.values())).T
    if common:
        start.log_a[:] = np.log(a[0])
    start.log_a[where], start.d[where] = np.log(a), -a * b
    free = np.ones(len(record.items), bool)
    free[where] = False
    return free


def _warn(made: marginal.Marginal, model: Model, tolerance: float) -> None:
    if not made.converged:
        warnings.warn(
            f"{model.upper()} stopped after {made.iterations} steps with a last change of {made.change:.2g} (wanted: {tolerance:.2g}); raise most=, or look for items with very few answers",
            NotConverged,
            stacklevel=3,
        )


def likelihood_ratio(small: IRT, large: IRT) -> tuple[float, int, float]:
    """(2 (loglik of the large model - of the small), difference of parameters, p of the chi-square) for nested fits of one record."""
    from scipy.special import chdtrc

    df = large.parameters - small.parameters
    if df <= 0 or len(small.record) != len(large.record):
        raise UsageError(
            f"a likelihood ratio compares a model with a larger one on the same answers; got {small.parameters} and {large.parameters} parameters"
        )
    statistic = max(0.0, 2.0 * (large.loglik - small.loglik))
    return statistic, df, float(chdtrc(df, statistic))
