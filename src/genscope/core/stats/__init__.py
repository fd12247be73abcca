"""Statistics of claims: intervals, permutation tests, multiplicity and power. `docs/statistics.md` says which is used when, with measured coverage."""

from __future__ import annotations

from genscope.core.stats.bootstrap import bootstrap_t, bootstrap_t_difference, median_interval
from genscope.core.stats.interval import Interval
from genscope.core.stats.mover import mover
from genscope.core.stats.multiplicity import holm, smallest_detectable, smallest_detectable_paired
from genscope.core.stats.paired import paired_t, t_beyond, welch_t
from genscope.core.stats.permutation import mcnemar, paired_permutation, spearman, spearman_permutation
from genscope.core.stats.proportion import clopper_pearson, wilson

__all__ = [
    "Interval",
    "bootstrap_t",
    "bootstrap_t_difference",
    "clopper_pearson",
    "holm",
    "mcnemar",
    "median_interval",
    "mover",
    "paired_permutation",
    "paired_t",
    "smallest_detectable",
    "smallest_detectable_paired",
    "spearman",
    "spearman_permutation",
    "t_beyond",
    "welch_t",
    "wilson",
]
