"""Measured coverage of every interval: how often it holds the truth, on normal, skewed and all-or-nothing data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from genscope.core.seeds import Seed
from genscope.core.stats.bootstrap import bootstrap_t, bootstrap_t_difference, median_interval
from genscope.core.stats.fisher import fisher, log_odds_ratio
from genscope.core.stats.interval import Interval
from genscope.core.stats.mover import mover
from genscope.core.stats.paired import paired_t, welch_t
from genscope.core.stats.proportion import clopper_pearson, paired_difference, wilson
from genscope.core.stats.rank import spearman_bootstrap

Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A kind of data with a known truth, and the interval that is tried on it. `least`: coverage below which a test fails."""

    interval: str
    data: str
    truth: float
    draw: Callable[[Rng], Interval]
    least: float
    used: bool = True


def _percentile(x: np.ndarray, rng: Rng) -> Interval:
    means = x[rng.integers(0, len(x), (1_000, len(x)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(x.mean()), float(low), float(high), len(x), "percentile bootstrap")


def _clustered(rng: Rng, clusters: int) -> Interval:
    labels = np.repeat(np.arange(clusters), 8)
    values = rng.normal(0, 1, clusters)[labels] + rng.normal(0, 1, len(labels))
    return bootstrap_t(values, rng, clusters=labels.tolist(), draws=400)


def _strata(rng: Rng) -> Interval:
    rates, n = (0.9, 0.5, 0.1), 32
    values = np.concatenate([rng.random(n) < rate for rate in rates]).astype(float)
    return bootstrap_t(values, rng, strata=np.repeat([0, 1, 2], n).tolist(), draws=400)


def _tasks(rng: Rng, rates: tuple[float, ...], others: tuple[float, ...], n: int) -> Interval:
    terms = [(1 / len(rates), wilson(int(rng.binomial(n, rate)), n)) for rate in rates]
    return mover(terms + [(-1 / len(others), wilson(int(rng.binomial(n, rate)), n)) for rate in others])


@cache
def _odds(k1: int, k2: int, n: int) -> Interval:
    return fisher(k1, n, k2, n)[0]


def _correlated(rng: Rng, r: float, tasks: int, seeds: int) -> Interval:
    """Tasks with one x, and y of several seeds around a value that correlates with it."""
    x = rng.normal(size=tasks)
    y = r * x + math.sqrt(1 - r * r) * rng.normal(size=tasks)
    return spearman_bootstrap(
        np.repeat(x, seeds), np.repeat(y, seeds), rng, clusters=np.repeat(np.arange(tasks), seeds).tolist(), draws=200
    )


def _paired(rng: Rng, rates: tuple[float, float, float, float], n: int) -> Interval:
    return paired_difference(*(int(count) for count in rng.multinomial(n, rates)))


SITUATIONS = (
    Situation(interval="paired t", data="normal, n = 5", truth=0.0, draw=lambda g: paired_t(g.normal(size=5)), least=0.935),
    Situation(interval="paired t", data="normal, n = 20", truth=0.0, draw=lambda g: paired_t(g.normal(size=20)), least=0.935),
    Situation(interval="paired t", data="exponential, n = 5", truth=1.0, draw=lambda g: paired_t(g.exponential(size=5)), least=0.86),
    Situation(interval="paired t", data="exponential, n = 20", truth=1.0, draw=lambda g: paired_t(g.exponential(size=20)), least=0.90),
    Situation(
        interval="Welch t",
        data="normal, 5 and 10, sd 1 and 3",
        truth=0.0,
        draw=lambda g: welch_t(g.normal(size=5), g.normal(0, 3, 10)),
        least=0.93,
    ),
    Situation(
        interval="Clopper-Pearson",
        data="all-or-nothing seeds, n = 5, p = .8",
        truth=0.8,
        draw=lambda g: clopper_pearson(int(g.binomial(5, 0.8)), 5),
        least=0.95,
    ),
    Situation(
        interval="Fisher, log odds ratio",
        data="two groups of 100, p = .05 and .2",
        truth=log_odds_ratio(0.2, 0.05),
        draw=lambda g: _odds(int(g.binomial(100, 0.2)), int(g.binomial(100, 0.05)), 100),
        least=0.95,
    ),
    Situation(
        interval="studentised bootstrap",
        data="difference of two groups of 100, normal, sd 1 and 2",
        truth=0.0,
        draw=lambda g: bootstrap_t_difference(g.normal(size=100), g.normal(0, 2, 100), g, draws=400),
        least=0.93,
    ),
    Situation(
        interval="Wilson", data="0/1 items, n = 32, p = .05", truth=0.05, draw=lambda g: wilson(int(g.binomial(32, 0.05)), 32), least=0.90
    ),
    Situation(
        interval="Newcombe, paired",
        data="two models, n = 16, both .4, one .3 and .1",
        truth=-0.2,
        draw=lambda g: _paired(g, (0.4, 0.3, 0.1, 0.2), 16),
        least=0.93,
    ),
    Situation(
        interval="Newcombe, paired",
        data="two models, n = 32, one only, .1",
        truth=-0.1,
        draw=lambda g: _paired(g, (0.0, 0.1, 0.0, 0.9), 32),
        least=0.93,
    ),
    Situation(
        interval="Wilson", data="0/1 items, n = 200, p = .3", truth=0.3, draw=lambda g: wilson(int(g.binomial(200, 0.3)), 200), least=0.935
    ),
    Situation(
        interval="MOVER of Wilson",
        data="difference of means of 3 tasks, n = 32, .9 .5 .1 and .8 .3 .05",
        truth=0.35 / 3,
        draw=lambda g: _tasks(g, (0.9, 0.5, 0.1), (0.8, 0.3, 0.05), 32),
        least=0.94,
    ),
    Situation(
        interval="MOVER of Wilson",
        data="the same near 0: .02 and .01",
        truth=0.01,
        draw=lambda g: _tasks(g, (0.02,) * 3, (0.01,) * 3, 32),
        least=0.94,
    ),
    Situation(
        interval="studentised bootstrap",
        data="normal, n = 20",
        truth=0.0,
        draw=lambda g: bootstrap_t(g.normal(size=20), g, draws=400),
        least=0.925,
    ),
    Situation(
        interval="studentised bootstrap",
        data="exponential, n = 20",
        truth=1.0,
        draw=lambda g: bootstrap_t(g.exponential(size=20), g, draws=400),
        least=0.915,
    ),
    Situation(
        interval="studentised bootstrap",
        data="exponential, n = 200",
        truth=1.0,
        draw=lambda g: bootstrap_t(g.exponential(size=200), g, draws=400),
        least=0.93,
    ),
    Situation(interval="studentised bootstrap", data="0/1 items in 3 strata, 32 each", truth=0.5, draw=_strata, least=0.925),
    Situation(interval="studentised bootstrap", data="30 clusters of 8", truth=0.0, draw=lambda g: _clustered(g, 30), least=0.92),
    Situation(
        interval="Spearman, bootstrap over tasks",
        data="15 tasks of 3 seeds, normal, r = .6",
        truth=6 / math.pi * math.asin(0.3),
        draw=lambda g: _correlated(g, 0.6, 15, 3),
        least=0.88,
    ),
    Situation(
        interval="median, percentile bootstrap",
        data="normal, n = 50",
        truth=0.0,
        draw=lambda g: median_interval(g.normal(size=50), g, draws=400),
        least=0.92,
    ),
    Situation(
        interval="percentile bootstrap (not used)",
        data="normal, n = 5",
        truth=0.0,
        draw=lambda g: _percentile(g.normal(size=5), g),
        least=0.0,
        used=False,
    ),
)


def coverage(situation: Situation, repetitions: int) -> tuple[float, float, float]:
    """(share of intervals that hold the truth, its standard error, share without ends). Intervals without ends count in neither."""
    rng = Seed("coverage", situation.interval, situation.data).rng()
    found = [situation.draw(rng) for _ in range(repetitions)]
    ended = [one for one in found if one.low is not None and one.high is not None]
    share = sum(not one.excludes(situation.truth) for one in ended) / len(ended)
    return share, math.sqrt(share * (1 - share) / len(ended)), 1 - len(ended) / len(found)


def table(repetitions: int = 4_000) -> str:
    """The measured coverages as a Markdown table."""
    lines = ["| interval | data | coverage at nominal .95 | Monte-Carlo error |", "| --- | --- | --- | --- |"]
    for situation in SITUATIONS:
        share, error, without = coverage(situation, repetitions)
        note = f" ({100 * without:.0f} % without ends)" if without > 0.005 else ""
        lines.append(f"| {situation.interval} | {situation.data} | {share:.3f}{note} | {error:.3f} |")
    return "\n".join(lines)
