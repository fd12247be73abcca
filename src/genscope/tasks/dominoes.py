"""Dominoes: two image blocks stacked vertically, a simple one on top and a complex one below, that agree on the label.

Each block shows a class pair; `agreement` is the probability that the top block shows the row's label (1: always; 0.5: neutral).
Source: Shah et al. 2020 (arXiv 2006.07710), section 3 (MNIST-CIFAR); with two MNIST pairs where no other images are at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.card import Card
from genscope.core.errors import TaskError
from genscope.core.seeds import Seed
from genscope.tasks.task import Certificate

# N images, H height, W width
CARD = Card(motivation="practical", type="robustness", shift="covariate", source="partitioned natural", locus="train-test")
SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
"""Shares of each class's images. Images are split before they are paired."""

Source = Callable[[], "tuple[np.ndarray, np.ndarray]"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dominoes:
    """Pairs of images as a value.

    top, bottom: class pair (class shown for label 0, class shown for label 1); agreement: probability that the top block shows the label, in training and test;
    blocks are drawn from images of shape (N, ..., H, W) with values in [0, 1] and their classes.
    """

    top: tuple[int, int] = (0, 1)
    bottom: tuple[int, int] = (7, 9)
    agreement: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.agreement <= 1:
            raise TaskError(f"dominoes: agreement is a probability in [0, 1], got {self.agreement}")
        if self.top[0] == self.top[1] or self.bottom[0] == self.bottom[1]:
            raise TaskError(f"dominoes: a pair has two different classes, got {self.top} and {self.bottom}")

    def make(
        self,
        images: Float[np.ndarray, "N *C H W"],
        labels: Int[np.ndarray, " N"],
        seed: Seed,
        below: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> dict[str, tuple[Float[np.ndarray, "M *C H2 W"], Int[np.ndarray, " M"]]]:
        """Split -> (stacked images, labels). Per class the n-th image of one block is paired with the n-th of the other; the smaller pool limits n.

        The lower block is drawn from `below` (images, labels) where given, else from the same images.
        """
        lower, lower_labels = (images, labels) if below is None else below
        if images.shape[1:] != lower.shape[1:]:
            raise TaskError(f"dominoes: the blocks differ in shape, {images.shape[1:]} and {lower.shape[1:]}")
        splits = {}
        for split in SHARES:
            tops = {c: self._pool(labels, c, split, seed) for c in self.top}
            bottoms = {c: self._pool(lower_labels, c, split, seed) for c in self.bottom}
            stacked, y = [], []
            for label in (0, 1):
                top, bottom = tops[self.top[label]], bottoms[self.bottom[label]]
                n = min(len(top), len(bottom))
                stacked.append(np.stack([top[:n], bottom[:n]], axis=1))
                y.append(np.full(n, label))
            places, y_all = np.concatenate(stacked), np.concatenate(y)
            rng = seed.child("pairs", split).rng()
            flip = rng.random(len(y_all)) >= self.agreement
            # a flipped row shows an image of the other class on top, from the same split
            others = [tops[self.top[1 - int(label)]] for label in y_all[flip]]
            places[flip, 0] = [pool[rng.integers(len(pool))] for pool in others]
            order = rng.permutation(len(y_all))
            x = np.concatenate([images[places[order, 0]], lower[places[order, 1]]], axis=-2)
            splits[split] = (x.astype(np.float32), y_all[order])
        return splits

    def _pool(self, labels: np.ndarray, digit: int, split: str, seed: Seed) -> np.ndarray:
        """Indices of one class in one split; the same in every task drawn from this seed."""
        of_class = np.flatnonzero(labels == digit)
        if len(of_class) < 8:
            raise TaskError(f"dominoes: class {digit} has {len(of_class)} images; at least 8 are needed")
        shuffled = seed.child("split", digit).rng().permutation(of_class)
        ends = np.cumsum([round(share * len(shuffled)) for share in list(SHARES.values())[:-1]])
        return dict(zip(SHARES, np.split(shuffled, ends), strict=True))[split]

    def certify(self, labels: Int[np.ndarray, " N"], seed: Seed) -> Certificate:
        """Count images that two splits share."""
        pools = {split: np.concatenate([self._pool(labels, c, split, seed) for c in {*self.top, *self.bottom}]) for split in SHARES}
        seen = np.concatenate(list(pools.values()))
        return Certificate(
            sizes={name: len(pool) for name, pool in pools.items()}, shared_examples=0, shared_elements=len(seen) - len(np.unique(seen))
        )
