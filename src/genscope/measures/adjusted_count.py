"""Adjusted count: how many positives an unlabelled set has, from a classifier with known error rates.

rate = (observed share above threshold - FPR) / (TPR - FPR), clipped to [0, 1]; TPR and FPR from held-out labelled rows of the same language. The share
above threshold by itself is biased where positives are rare: at 6 % prevalence most of what is flagged may be false. Sources: Gart and Buck 1966; Forman 2008.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import Interval

DRAWS = 2_000
LEAST_GAP = 0.05
"""TPR - FPR below which the classifier says too little for an estimate."""


def adjusted_rate(observed: float, tpr: float, fpr: float) -> float:
    """(observed - FPR) / (TPR - FPR), clipped to [0, 1]; NaN where TPR - FPR < 0.05.

    >>> round(adjusted_rate(0.19, tpr=0.6, fpr=0.1), 4)
    0.18
    """
    gap = tpr - fpr
    return float("nan") if gap < LEAST_GAP else float(np.clip((observed - fpr) / gap, 0.0, 1.0))


def adjusted_count(
    flagged: Int[np.ndarray, " n"], held_y: Int[np.ndarray, " h"], held_flagged: Int[np.ndarray, " h"], seed: Seed, *, draws: int = DRAWS, level: float = 0.95,
) -> Interval:  # fmt: skip
    """Rate of positives among the rows behind `flagged` (0 or 1), with percentile ends over draws of all three shares: of these rows, TPR and FPR.

    A share of k in n is drawn from Beta(k + 1/2, n - k + 1/2): a bootstrap would draw 0 of 5 as 0 always. The value is NaN, and there are no ends, where the
    classifier cannot tell (TPR - FPR < 0.05). No ends either where every draw is clipped to the same bound: then more (or fewer) rows are flagged than the error
    rates allow at any rate, and they do not hold for this text.
    """
    flagged, held_y, held_flagged = (np.asarray(one).astype(int) for one in (flagged, held_y, held_flagged))
    positives, negatives = held_flagged[held_y == 1], held_flagged[held_y == 0]
    if not len(flagged) or not len(positives) or not len(negatives):
        raise UsageError(
            f"an adjusted count needs rows, and held-out rows of both labels; got {len(flagged)}, {len(positives)} positive and {len(negatives)} negative"
        )
    value = adjusted_rate(flagged.mean(), positives.mean(), negatives.mean())
    if np.isnan(value):
        return Interval(value, None, None, len(flagged), "adjusted count: the classifier does not separate the held-out rows", level)
    rng = seed.rng()
    observed, tpr, fpr = (rng.beta(part.sum() + 0.5, len(part) - part.sum() + 0.5, draws) for part in (flagged, positives, negatives))
    gap = tpr - fpr
    drawn = np.where(gap >= LEAST_GAP, np.clip((observed - fpr) / np.where(gap >= LEAST_GAP, gap, 1.0), 0, 1), np.nan)
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    if low == high:
        return Interval(value, None, None, len(flagged), "adjusted count: the flagged share is beyond what the error rates allow", level)
    return Interval(value, float(low), float(high), len(flagged), "adjusted count, percentile ends of Jeffreys draws", level)
