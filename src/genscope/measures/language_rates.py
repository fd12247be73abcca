"""Rates of generalizing rows by language, with intervals that resample pairs: overall, the highest, the ratio of highest and lowest, and tests of unevenness."""

# L languages, B draws, G groups

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from genscope.core.stats.grouped import GroupDraws, percentile
from genscope.core.stats.interval import Interval
from genscope.measures.generalization_rate import tallies
from genscope.measures.overdispersion import Overdispersion, homogeneity, overdispersion

SMALLEST = 1e-300
"""p values below are told as this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRates:
    """overall, highest, ratio (highest over lowest) and by language; log10_p that all languages have one rate (chi-square); dispersion of the identities' rates by language."""

    overall: Interval
    highest: Interval
    ratio: Interval
    by_language: dict[str, Interval]
    log10_p: float
    dispersion: dict[str, Overdispersion]


def language_rates(y: Int[np.ndarray, " n"], languages: Sequence[str], identities: Sequence[Hashable], draws: GroupDraws) -> LanguageRates:
    """identities: group whose rates inside a language are tested for over-dispersion. The highest rate's ends are the highest lower and the highest upper end."""
    y, spoken = np.asarray(y), np.array(languages)
    names = sorted(set(languages))
    hits, sizes = (
        np.stack([np.bincount(draws.member, weights=part * (spoken == one), minlength=draws.times.shape[1]) for one in names], 1)
        for part in (y, np.ones(len(y)))
    )  # [G, L]
    k, n = draws.times @ hits, draws.times @ sizes  # [B, L]
    rates = np.divide(k, n, out=np.full(k.shape, np.nan), where=n > 0)
    own = hits.sum(0) / sizes.sum(0)
    each = {one: percentile(float(own[at]), rates[:, at], draws.groups(spoken == one)) for at, one in enumerate(names)}
    ends = [[end for one in each.values() if (end := getattr(one, side)) is not None] for side in ("low", "high")]
    highest = Interval(
        float(own.max()), max(ends[0], default=None), max(ends[1], default=None), len(names), "highest of the languages' ends; percentile bootstrap over groups"
    )  # fmt: skip
    lowest = np.where(rates.min(1) > 0, rates.min(1), np.nan)
    ratio = percentile(float(own.max() / own.min()) if own.min() > 0 else math.inf, rates.max(1) / lowest, draws.groups())
    dispersion = {}
    for one in names:
        at = np.flatnonzero(spoken == one).tolist()
        dispersion[one] = overdispersion(*tallies(y[at], [identities[place] for place in at])[:2])
    return LanguageRates(
        overall=percentile(float(y.mean()), k.sum(1) / n.sum(1), draws.groups()), highest=highest, ratio=ratio, by_language=each,
        log10_p=math.log10(max(SMALLEST, homogeneity(sizes.sum(0), hits.sum(0))[1])), dispersion=dispersion,
    )  # fmt: skip
