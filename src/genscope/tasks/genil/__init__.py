"""GeniL: does a sentence that mentions a group and an attribute generalize about the group? Real sentences in nine languages.

rows (the loader), splits (leak-free, named), mentions (where the two terms stand).
"""

from __future__ import annotations

from genscope.core.card import Card
from genscope.tasks.genil.mentions import Marked, mark
from genscope.tasks.genil.rows import GENIL, LANGUAGES, MISSING, Rows, load
from genscope.tasks.genil.splits import DEALT, NAMES, Split, folds, sampled, split, thinned

CARD = Card(motivation="fairness", type="cross-lingual", shift="covariate", source="partitioned natural", locus="train-test")

__all__ = [
    "CARD",
    "DEALT",
    "GENIL",
    "LANGUAGES",
    "MISSING",
    "NAMES",
    "Marked",
    "Rows",
    "Split",
    "folds",
    "load",
    "mark",
    "sampled",
    "split",
    "thinned",
]
