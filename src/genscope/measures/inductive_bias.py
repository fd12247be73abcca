"""Inductive bias complexity: the bits that a designer must add so that a hypothesis which fits the training data also reaches a wanted test error.

With n training points on a manifold of dimension m and radius R, smallest distance delta between inputs of different class, and wanted error eps:

    M = 2 pi R / delta,  K (K + m - 1) = M^2,  E = C(m+K, m) + C(m+K-1, m)      hypotheses: spherical harmonics of degree <= K on P copies of S^m
    dim_free = 2 D P E - n D                                                    those that fit the data
    log_ratio = log2( B sqrt(D P) L_f W / eps )                                 how much smaller the ball of good ones is, a dimension
    I = dim_free * log_ratio                                                    bits

An upper bound relative to a huge space of hypotheses, never the description length of a network. Everything is computed in log space: E overflows a
double from m of about 100. Source: Boopathy et al. 2023 (arXiv 2305.01034) and its released code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import gammaln

from genscope.core.errors import UsageError

Flag = Literal["data_sufficient", "target_trivial"]
LN2, LN10 = math.log(2.0), math.log(10.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bits:
    """A task's inductive bias complexity.

    bits: I (inf where it does not fit a double; then log2_bits and log10_bits still hold it; these are -inf at I = 0); dim_hypotheses, dim_free: dimensions of
    all hypotheses and of those that fit (dim_free is negative when the data leave none); log_ratio: bits a free dimension; cutoff M and degree K: dimensionless;
    lipschitz L_f and transport W: the two factors of log_ratio that depend on the data; flags: why I is 0 ("data_sufficient": the data fix every
    hypothesis; "target_trivial": any hypothesis that fits is good enough).
    """

    bits: float
    log2_bits: float
    log10_bits: float
    dim_hypotheses: float
    dim_free: float
    log_ratio: float
    cutoff: float = math.nan
    degree: float = math.nan
    lipschitz: float = math.nan
    transport: float = math.nan
    flags: tuple[Flag, ...] = ()


def harmonics_degree(m: float, cutoff: float) -> float:
    """Largest degree K, not rounded, whose eigenvalue K (K + m - 1) on S^m is at most cutoff^2.

    >>> harmonics_degree(1, 7.0)
    7.0
    """
    return (math.sqrt((m - 1) ** 2 + 4 * cutoff**2) - (m - 1)) / 2


def log_harmonics(m: float, degree: float) -> float:
    """Natural log of the number of spherical harmonics on S^m of degree <= `degree`, with generalised binomials: m and degree may be any real > 0.

    >>> round(math.exp(log_harmonics(1, 8)), 9), round(math.exp(log_harmonics(2, 3)), 9)
    (17.0, 16.0)
    """
    upper = float(gammaln(m + degree + 1) - gammaln(m + 1) - gammaln(degree + 1))
    lower = float(gammaln(m + degree) - gammaln(m + 1) - gammaln(degree))
    return upper + math.log1p(math.exp(lower - upper))


def inductive_bias_complexity(
    n: float, m: float, n_classes: int, eps: float, *, radius: float | None = None, delta: float | None = None, cutoff: float | None = None,
    output_dim: float | None = None, copies: float | None = None, bound: float = 1.0,
) -> Bits:  # fmt: skip
    """I of a supervised task, from n points of intrinsic dimension m in `n_classes` classes, at test error eps.

    Give radius and delta, or cutoff M = 2 pi radius / delta. The defaults are those of classification: `copies` P = n_classes, `output_dim` D = n_classes - 1,
    output bound B = 1, for which eps is an error rate below 1; where output_dim is given eps is an error in the output's unit.

    >>> f"{inductive_bias_complexity(60000, 14, 10, 0.001, radius=17.179045827183984, delta=2.3987084824335305).bits:.4g}"
    '1.485e+16'
    """
    _positive(n=n, m=m, eps=eps, bound=bound, radius=radius, delta=delta, cutoff=cutoff, output_dim=output_dim, copies=copies)
    if (cutoff is None) == (radius is None or delta is None):
        raise UsageError("give either radius and delta, or the cutoff 2 pi radius / delta")
    if output_dim is None and n_classes < 2:
        raise UsageError(f"a classification task has at least 2 classes, got {n_classes}")
    if output_dim is None and eps >= 1:
        raise UsageError(f"eps is an error rate, below 1; got {eps}")
    ratio = 2 * math.pi * radius / delta if cutoff is None and radius and delta else float(cutoff or 0)
    p, d = (n_classes if copies is None else copies), (n_classes - 1 if output_dim is None else output_dim)
    return _closed_form(n, m, ratio, math.log(p), math.log(d), math.log(bound), math.log(eps), radius or 1.0)


def control_complexity(n: float, m: float, action_dim: int, delta: float, eps: float) -> Bits:
    """I of a control task: observations on a flat torus of m circles of radius 1, actions of `action_dim` numbers.

    I = D (2 V_m(2 pi / delta) - n) (log2(4 pi^2 / sqrt 6) + log2 D + log2(m)/2 - log2 delta - log2(n)/m - log2 eps), V_m the volume of an m-ball.
    Cart-pole with the last T observations of two numbers: action_dim 1, m = 2T.
    """
    _positive(n=n, m=m, delta=delta, eps=eps, action_dim=action_dim)
    log_volume = 0.5 * m * math.log(math.pi) + m * math.log(2 * math.pi / delta) - float(gammaln(m / 2 + 1))
    per_dimension = (
        math.log(4 * math.pi**2 / math.sqrt(6))
        + math.log(action_dim)
        + 0.5 * math.log(m)
        - math.log(delta)
        - math.log(n) / m
        - math.log(eps)
    )
    return _product(LN2 + log_volume, n, math.log(action_dim), per_dimension / LN2)  # fmt: skip


def few_shot_complexity(
    n: float, *, within: float, across: float, radius: float, delta: float, ways: int = 20, eps: float = 0.01
) -> Bits:  # fmt: skip
    """I of `ways`-way 1-shot classification: a hypothesis maps a support set, one image of each class, to a classifier of images.

    within, across: intrinsic dimension of the images of one alphabet, and of all alphabets; n: number of support sets.
    """
    _positive(n=n, within=within, across=across, radius=radius, delta=delta, eps=eps)
    if ways < 2:
        raise UsageError(f"few-shot classification has at least 2 ways, got {ways}")
    ratio = 2 * math.pi * radius / delta
    log_output = math.log(2 * ways * (ways - 1)) + log_harmonics(within, harmonics_degree(within, ratio))
    m = across + (ways - 1) * within
    return _closed_form(
        n, m, ratio * math.sqrt(ways), 0.0, log_output, 0.5 * math.log(ways * (ways - 1)), math.log(eps), radius * math.sqrt(ways)
    )


def support_sets(characters: Sequence[int], ways: int = 20, drawings: int = 20) -> float:
    """Number of support sets: for each alphabet, choices of `ways` characters times a drawing of each; an alphabet with fewer characters counts as if it had `ways`.

    >>> support_sets([2, 3], ways=2, drawings=10)
    400.0
    """
    if not characters or min(characters) < 1:
        raise UsageError(f"give the number of characters of each alphabet, each at least 1; got {list(characters)}")
    return float(sum(math.comb(max(count, ways), ways) for count in characters)) * float(drawings) ** ways


def union_complexity(
    n: tuple[float, float], m: tuple[float, float], radius: tuple[float, float], n_classes: tuple[int, int], delta: float, eps: float
) -> Bits:
    """I of a union of tasks: each input of the first (label, delta and eps are its own) beside an unrelated input of the second.

    # Differs from the single task: the released code takes D = d1 here, not d1 - 1.
    """
    return inductive_bias_complexity(
        n[0] * n[1], m[0] + m[1], n_classes[0], eps, radius=math.hypot(*radius), delta=delta, output_dim=n_classes[0], copies=n_classes[0] * n_classes[1]
    )  # fmt: skip


def model_information(n: float, m: float, n_classes: int, error: float, *, radius: float, delta: float) -> Bits:
    """Bits that a model brought to a task: I at the test error that it reached. An error of 0 is refused: give 1 / (test examples) or an upper bound of it."""
    if error == 0:
        raise UsageError("a test error of 0 needs infinitely many bits; give the upper end of its interval instead")
    return inductive_bias_complexity(n, m, n_classes, error, radius=radius, delta=delta)


def _closed_form(n: float, m: float, cutoff: float, log_p: float, log_d: float, log_b: float, log_eps: float, radius: float) -> Bits:
    """Logs are natural."""
    degree = harmonics_degree(m, cutoff)
    log_e = log_harmonics(m, degree)
    log_surface = LN2 + 0.5 * (m + 1) * math.log(math.pi) + log_p - float(gammaln((m + 1) / 2))
    log_w = 0.5 * math.log(m / 6) + log_surface / m + math.log(radius) - math.log(n) / m
    log_l = math.log(degree) + 0.5 * log_d - math.log(radius)
    log_ratio = (log_b + 0.5 * log_d + 0.5 * log_p - log_eps + log_l + log_w) / LN2
    return _product(LN2 + log_p + log_e, n, log_d, log_ratio, cutoff=cutoff, degree=degree, lipschitz=_exp(log_l), transport=_exp(log_w))


def _product(log_functions: float, n: float, log_d: float, log_ratio: float, **about: float) -> Bits:
    """D (functions - n) dimensions of log_ratio bits each; 0 with a flag where one of the two is not positive."""
    flags: list[Flag] = []
    share = math.log(n) - log_functions
    if share >= 0:
        flags.append("data_sufficient")
    if log_ratio <= 0:
        flags.append("target_trivial")
    log_all = log_d + log_functions
    free = -_exp(log_d) * (n - _exp(log_functions)) if share >= 0 else _exp(log_all + math.log1p(-math.exp(share)))
    log_bits = -math.inf if flags else log_all + math.log1p(-math.exp(share)) + math.log(log_ratio)
    return Bits(
        bits=_exp(log_bits), log2_bits=log_bits / LN2, log10_bits=log_bits / LN10, dim_hypotheses=_exp(log_all), dim_free=free, log_ratio=log_ratio, flags=tuple(flags), **about
    )  # fmt: skip


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.78 else math.inf


def _positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"inductive bias complexity: {name} must be a finite number above 0, got {value}")
