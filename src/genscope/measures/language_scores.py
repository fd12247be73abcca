"""Average precision over several languages: pooled (one score scale for all rows), macro (mean over languages), and by language, with their draws.

Pooled AP rewards knowing a language's base rate, macro AP does not: both are shown, each beside its prevalence. A language without a positive test
row has no AP; it is left out of the macro mean and named. Draws are kept so that two models or two splits can be compared within a draw.
"""

# n rows, B draws

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.stats.grouped import percentile
from genscope.core.stats.interval import Interval
from genscope.measures.average_precision import drawn_average_precision, prevalence


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A statistic and its bootstrap draws; n: groups under it."""

    value: float
    draws: Float[np.ndarray, " B"]
    n: int

    @property
    def interval(self) -> Interval:
        return percentile(self.value, self.draws, self.n)

    def less(self, other: Drawn) -> Drawn:
        """The difference, draw by draw: for statistics under the same draws."""
        return Drawn(value=self.value - other.value, draws=self.draws - other.draws, n=min(self.n, other.n))

    def relative_drop_to(self, other: Drawn) -> Drawn:
        """1 - other / self, draw by draw."""
        return Drawn(value=1 - other.value / self.value, draws=1 - other.draws / self.draws, n=min(self.n, other.n))


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageScores:
    """pooled, macro and by-language AP; prevalence by language and "pooled"; left_out: languages without an AP."""

    pooled: Drawn
    macro: Drawn
    by_language: Mapping[str, Drawn]
    prevalence: Mapping[str, float]
    left_out: tuple[str, ...]


def language_scores(
    y: Int[np.ndarray, " n"], score: Float[np.ndarray, " n"], languages: Sequence[str], weights: Float[np.ndarray, "B n"],
    groups: np.ndarray, sample_weight: Float[np.ndarray, " n"] | None = None,
) -> LanguageScores:  # fmt: skip
    """weights: bootstrap weights; groups: group of each row (for the intervals' n); sample_weight: 1 / sampling rate of subsampled rows."""
    own = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    spoken = np.asarray(languages)
    members = {name: np.flatnonzero(spoken == name) for name in sorted(set(languages))}

    def drawn(at: np.ndarray) -> Drawn:
        value = drawn_average_precision(y[at], score[at], own[at][None, :])[0]
        return Drawn(
            value=float(value), draws=drawn_average_precision(y[at], score[at], weights[:, at] * own[at]), n=len(np.unique(groups[at]))
        )

    every = {name: drawn(at) for name, at in members.items()}
    held = {name: one for name, one in every.items() if np.isfinite(one.value)}
    left_out = tuple(name for name in every if name not in held)
    if left_out:
        warnings.warn(f"no positive test row in {', '.join(left_out)}: left out of the macro mean", RuntimeWarning, stacklevel=2)
    macro = Drawn(value=float("nan"), draws=np.full(len(weights), np.nan), n=0)
    if held:
        macro = Drawn(
            value=float(np.mean([one.value for one in held.values()])), draws=np.stack([one.draws for one in held.values()]).mean(0),
            n=sum(one.n for one in held.values()),
        )  # fmt: skip
    shares = {name: prevalence(y[at], own[at]) for name, at in members.items()} | {"pooled": prevalence(y, own)}
    return LanguageScores(pooled=drawn(np.arange(len(y))), macro=macro, by_language=held, prevalence=shares, left_out=left_out)
