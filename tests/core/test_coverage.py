"""Every interval that genscope uses holds the truth about as often as it says, on normal, skewed and all-or-nothing data."""

from __future__ import annotations

import pytest

from genscope.core.stats.coverage import SITUATIONS, Situation, coverage


@pytest.mark.parametrize("situation", [one for one in SITUATIONS if one.used], ids=lambda one: f"{one.interval}: {one.data}")
def test_coverage(situation: Situation) -> None:
    share, error, _ = coverage(situation, 800)
    assert share + 2 * error >= situation.least
    assert share <= 1


def test_the_percentile_bootstrap_over_five_seeds_is_too_narrow() -> None:
    share, _, _ = coverage(next(one for one in SITUATIONS if not one.used), 1_500)
    assert 0.80 < share < 0.88
