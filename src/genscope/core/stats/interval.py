"""Interval: an estimate, its ends, and how they were found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """value: the estimate; low, high: ends, None where the data cannot give any (one unit, or all units alike); n: units; level: nominal coverage."""

    value: float
    low: float | None
    high: float | None
    n: int
    method: str
    level: float = 0.95

    def excludes(self, x: float) -> bool:
        """Whether x lies outside; False without ends."""
        return self.low is not None and self.high is not None and not self.low <= x <= self.high
