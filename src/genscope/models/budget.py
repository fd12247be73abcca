"""What a run may spend, and what it spent: tokens, and money where the user gave a price."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from typing import Any

from genscope.core.errors import UsageError

CHARACTERS_A_TOKEN = 3.5
"""For estimates before a run; digits and lists take more tokens a character than prose."""


def estimate_tokens(text: str) -> int:
    """Estimated tokens of a text: its characters over 3.5, rounded up.

    >>> estimate_tokens("12 34 56")
    3
    """
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a million tokens, in the user's currency."""

    tokens_in: float
    tokens_out: float

    @classmethod
    def parse(cls, text: str) -> Price:
        """From "IN,OUT".

        >>> Price.parse("0.15,0.60")
        Price(tokens_in=0.15, tokens_out=0.6)
        """
        try:
            parts = [float(part) for part in text.split(",")]
        except ValueError:
            parts = []
        if len(parts) != 2 or not all(math.isfinite(part) and part >= 0 for part in parts):
            raise UsageError(f"--price takes IN,OUT for a million tokens each, such as 0.15,0.60; got {text!r}")
        return cls(*parts)

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Money for so many tokens."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent: tokens (in and out together) or money; the other is None."""

    tokens: int | None = None
    money: float | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From "500000", "500k", "2M" (tokens), or "$3", "3usd" (money).

        >>> Budget.parse("500k"), Budget.parse("$3")
        (Budget(tokens=500000, money=None), Budget(tokens=None, money=3.0))
        """
        plain = text.strip().lower().replace(",", "").replace("_", "")
        money = re.fullmatch(r"\$(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)(?:usd|\$)", plain)
        if money:
            return cls(money=float(money[1] or money[2]))
        tokens = re.fullmatch(r"(\d+(?:\.\d+)?)([km]?)", plain)
        if not tokens:
            raise UsageError(f"--budget takes tokens (500000, 500k, 2M) or money ($3, with --price); got {text!r}")
        return cls(tokens=int(float(tokens[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[tokens[2]]))


class Meter:
    """Counts what is spent. A call is reserved at its worst before it starts, and settled at its real size, so that the budget is never exceeded."""

    def __init__(self, budget: Budget | None = None, price: Price | None = None) -> None:
        if budget and budget.money is not None and price is None:
            raise UsageError("a --budget in money needs --price IN,OUT, the price of a million tokens")
        self.budget, self.price = budget, price
        self.tokens_in = self.tokens_out = 0
        self._reserved: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def reserve(self, tokens_in: int, tokens_out: int) -> bool:
        """Whether a call of at most that size may start; if so, it counts as spent until it is settled."""
        with self._lock:
            held_in = self.tokens_in + sum(one[0] for one in self._reserved) + tokens_in
            held_out = self.tokens_out + sum(one[1] for one in self._reserved) + tokens_out
            if self.budget and self._over(held_in, held_out):
                return False
            self._reserved.append((tokens_in, tokens_out))
            return True

    def settle(self, *, tokens_in: int, tokens_out: int) -> None:
        """A call ended and took so many tokens."""
        with self._lock:
            if self._reserved:
                self._reserved.pop()
            self.tokens_in += tokens_in
            self.tokens_out += tokens_out

    def _over(self, tokens_in: int, tokens_out: int) -> bool:
        if self.budget is None:
            return False
        if self.budget.tokens is not None:
            return tokens_in + tokens_out > self.budget.tokens
        return self.price is not None and self.budget.money is not None and self.price.of(tokens_in, tokens_out) > self.budget.money

    def report(self) -> str:
        """What was spent, in words."""
        money = f", {self.price.of(self.tokens_in, self.tokens_out):.2f} in the currency of --price" if self.price else ""
        return f"{self.tokens_in:,} tokens in and {self.tokens_out:,} out were spent{money}"

    def plain(self) -> dict[str, Any]:
        """What was spent, as plain JSON."""
        money = self.price.of(self.tokens_in, self.tokens_out) if self.price else None
        return {"tokens_in": self.tokens_in, "tokens_out": self.tokens_out, "money": money}
