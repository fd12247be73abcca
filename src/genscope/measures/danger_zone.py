"""Danger zone: the numbers of repeats at which repeated text hurts a language model of N parameters most.

    E_low = 4.2e6 N^-0.56        E_high = 5.1e7 N^-0.50

The ends of the region in which the harm to the test loss is at least half of its greatest, as fitted by Hernandez et al. 2022 (arXiv 2205.10487) to models that all
saw 100 billion tokens of English. It is guidance: the fit is noisy, and does not hold for other numbers of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from genscope.core.errors import UsageError

LOW, HIGH = (4.2e6, -0.56), (5.1e7, -0.50)
FITTED_PARAMETERS = (1.57e6, 8.05e8)
FITTED_TOKENS = 100e9
FITTED_FRACTIONS = (0.03, 0.9)
LEAST_FRACTION = 0.01
"""Share of the tokens below which repeats are not called dangerous here: the paper's smallest was 3 %."""


@dataclass(frozen=True, slots=True)
class DangerZone:
    """low, high: repeats between which harm is at least half of its greatest; extrapolated: the model is smaller or larger than any that was measured."""

    parameters: float
    low: float
    high: float
    extrapolated: bool

    def holds(self, repeats: float) -> bool:
        """Whether so many repeats lie inside."""
        return self.low <= repeats <= self.high


def danger_zone(parameters: float) -> DangerZone:
    """The zone of a model of N parameters.

    >>> zone = danger_zone(8e8)
    >>> round(zone.low), round(zone.high), zone.extrapolated
    (43, 1803, False)
    """
    if not 1e3 <= parameters <= 1e16:
        raise UsageError(f"a language model has between a thousand and 1e16 parameters, got {parameters:g}")
    ends = [scale * parameters**power for scale, power in (LOW, HIGH)]
    return DangerZone(parameters, ends[0], ends[1], not FITTED_PARAMETERS[0] <= parameters <= FITTED_PARAMETERS[1])


def fitted_range() -> str:
    """What the law was fitted on, in words, for whoever reads a verdict of it."""
    return (
        "The zone is the fit of Hernandez et al. 2022 (E from 4.2e6 N^-0.56 to 5.1e7 N^-0.50): models of 1.57 to 805 million parameters, each trained on 100 billion tokens "
        "of English, mainly at a repeated fraction of 10 % (3 to 90 % tried). Elsewhere it is guidance only; with fewer tokens it is not known where the zone lies."
    )
