"""Generalizations about groups in unlabelled text: co-occurrences counted, flagged, and corrected to a rate by group and over all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.core.stats import Interval

Rate = Callable[[np.ndarray, Seed], Interval]
"""Flags of some co-occurrences -> the share that generalizes, with its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCount:
    """A group's co-occurrences (n), how many are flagged, and the adjusted rate."""

    group: str
    n: int
    flagged: int
    rate: Interval

    @property
    def expected(self) -> float:
        """Estimated number of generalizing co-occurrences."""
        return self.n * self.rate.value


def group_generalizations(
    groups: Sequence[str], flagged: Int[np.ndarray, " n"], rate: Rate, seed: Seed, least: int = 10
) -> tuple[GroupCount, list[GroupCount], int]:
    """(all, groups with at least `least` co-occurrences by falling count, number of groups with fewer). Needs one co-occurrence or more."""
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    whole = GroupCount(group="", n=len(groups), flagged=int(flagged.sum()), rate=rate(flagged, seed.child("all")))
    shown = [
        GroupCount(group=group, n=len(at), flagged=int(flagged[at].sum()), rate=rate(flagged[at], seed.child("group", group)))
        for group, at in members.items() if len(at) >= least
    ]  # fmt: skip
    return whole, sorted(shown, key=lambda one: (-one.n, one.group)), len(members) - len(shown)


def records_of(whole: GroupCount, shown: Sequence[GroupCount], source: str) -> list[Record]:
    """Numbers of all co-occurrences (condition "") and of each group."""
    made = []
    for one in (whole, *shown):
        known = None if np.isnan(one.rate.value) else one.rate.value
        made += [
            Record(source=source, metric="co_occurrences", value=one.n, unit="count", n=one.n, condition=one.group),
            Record(source=source, metric="flagged_share", value=one.flagged / one.n, unit="fraction", n=one.n, condition=one.group, provenance="share at or above the threshold: biased where few generalize"),
            Record(source=source, metric="generalization_rate", value=known, low=one.rate.low, high=one.rate.high, unit="fraction", n=one.n, condition=one.group, provenance=one.rate.method),
        ]  # fmt: skip
    return made
