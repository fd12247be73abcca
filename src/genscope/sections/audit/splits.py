"""The order of splits: what is trained on first, what is measured on last."""

from __future__ import annotations

from collections.abc import Sequence

_ORDER = (("train", "pool", "fit"), ("dev", "val", "valid", "tune"), ("test", "eval", "holdout", "ood"))


def training_first(names: Sequence[str]) -> list[int]:
    """Places of the splits, training ones first, then validation, then test; unknown names stand between training and test, in their own order.

    >>> training_first(["test", "train", "val"])
    [1, 2, 0]
    """

    def rank(place: int) -> tuple[int, int]:
        name = names[place].lower()
        return next(
            (number for number, words in ((0, _ORDER[0]), (2, _ORDER[2]), (1, _ORDER[1])) if any(word in name for word in words)), 1
        ), place

    return sorted(range(len(names)), key=rank)
