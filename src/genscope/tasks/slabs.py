"""Slab data: tabular sets in which several features each predict the label perfectly and differ in measurable simplicity.

A scalar feature is k-simple if the most accurate classifier on it needs k linear pieces: linear < 3-slab < 5-slab < 7-slab.
All coordinates lie in [-B, B], neighbouring slabs are 2m apart (m = g B), labels are balanced, coordinates are independent given the label.
The outer probabilities (3/4 and 7/8) make E[x^2 | y] equal for both classes, so that first and second moments say nothing about the label.
Source: Shah et al. 2020, "The Pitfalls of Simplicity Bias in Neural Networks" (arXiv 2006.07710), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from genscope.core.card import Card
from genscope.core.errors import TaskError
from genscope.core.seeds import Seed
from genscope.tasks.task import Certificate

# N rows, D coordinates
Kind = Literal["linear", "slab3", "slab5", "slab7"]
KINDS: tuple[Kind, ...] = ("linear", "slab3", "slab5", "slab7")
CARD = Card(motivation="practical", type="robustness", shift="covariate", source="fully generated", locus="train-test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Slabs:
    """A slab data set as a value.

    rows: training and test rows; blocks: (kind, number of coordinates), in column order; width: B; margin: g in (0, 1);
    neutral: blocks (by place) drawn independently of the label, in training and test, their marginal law unchanged;
    noise: block place -> fraction p of all rows, training and test, whose values in it are corrupted (a linear block only): replaced by Uniform[-m, m]
    whatever the label (`noise_model` margin), or with their sign flipped (sign; the coordinate alone is then right in 1 - p of the rows, not 1 - p/2);
    rotate: multiply by a random orthogonal matrix, so that no coordinate is axis aligned.
    """

    train_rows: int = 50_000
    test_rows: int = 10_000
    blocks: tuple[tuple[Kind, int], ...] = (("linear", 1), ("slab5", 49))
    width: float = 1.0
    margin: float = 0.1
    neutral: tuple[int, ...] = ()
    noise: Mapping[int, float] = field(default_factory=dict)
    noise_model: Literal["margin", "sign"] = "margin"
    rotate: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise TaskError(f"slabs: margin must be in (0, 1), got {self.margin}")
        if self.width <= 0:
            raise TaskError(f"slabs: width must be above 0, got {self.width}")
        if self.train_rows < 2 or self.test_rows < 2:
            raise TaskError(f"slabs: at least 2 training and 2 test rows, got {self.train_rows} and {self.test_rows}")
        for kind, count in self.blocks:
            if kind not in KINDS:
                raise TaskError(f"slabs must be 3, 5 or 7 (slab3, slab5, slab7) or linear; got {kind!r}")
            if count < 1:
                raise TaskError(f"slabs: a block has at least one coordinate, got {count} of {kind}")
            slab_width(kind, self.width, self.margin)
        if self.noise_model not in ("margin", "sign"):
            raise TaskError(f"slabs: noise_model must be margin or sign, got {self.noise_model!r}")
        for place in (*self.neutral, *self.noise):
            if not 0 <= place < len(self.blocks):
                raise TaskError(f"slabs: block {place} does not exist; blocks are 0 to {len(self.blocks) - 1}")
        for place, share in self.noise.items():
            if self.blocks[place][0] != "linear":
                raise TaskError(f"slabs: noise is for a linear block; block {place} is {self.blocks[place][0]}")
            if not 0 <= share <= 1:
                raise TaskError(f"slabs: noise is a fraction in [0, 1], got {share}")

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return sum(count for _, count in self.blocks)

    def columns(self, place: int) -> tuple[int, ...]:
        """Coordinates of a block, in the unrotated frame."""
        if not 0 <= place < len(self.blocks):
            raise TaskError(f"slabs: block {place} does not exist; blocks are 0 to {len(self.blocks) - 1}")
        start = sum(count for _, count in self.blocks[:place])
        return tuple(range(start, start + self.blocks[place][1]))

    def make(self, seed: Seed) -> SlabSplits:
        """Training and test split of one drawing of the task; the rotation is shared."""
        rotation = random_rotation(self.dim, seed.child("rotation").rng()) if self.rotate else np.eye(self.dim)
        splits = [self._split(rows, seed.child(name)) for name, rows in (("train", self.train_rows), ("test", self.test_rows))]
        (train_x, train_y), (test_x, test_y) = splits
        return SlabSplits(
            train_x=(train_x @ rotation).astype(np.float32),
            train_y=train_y,
            test_x=(test_x @ rotation).astype(np.float32),
            test_y=test_y,
            rotation=rotation,
        )

    def _split(self, rows: int, seed: Seed) -> tuple[np.ndarray, np.ndarray]:
        y = seed.child("labels").rng().integers(0, 2, rows)
        parts = []
        for place, (kind, count) in enumerate(self.blocks):
            rng = seed.child("block", place).rng()
            labels = seed.child("neutral labels", place).rng().integers(0, 2, rows) if place in self.neutral else y
            block = slab_feature(kind, labels, count, rng, self.width, self.margin)
            if self.noise.get(place):
                noisy = seed.child("noise", place).rng()
                hit = noisy.random(rows) < self.noise[place]
                limit = self.margin * self.width
                block[hit] = -block[hit] if self.noise_model == "sign" else noisy.uniform(-limit, limit, (int(hit.sum()), count))
            parts.append(block)
        return np.concatenate(parts, axis=1), y

    def certify(self, seed: Seed) -> Certificate:
        """Count rows that training and test share (none, or the study is refused)."""
        made = self.make(seed)
        shared = len({row.tobytes() for row in made.train_x} & {row.tobytes() for row in made.test_x})
        return Certificate(sizes={"train": len(made.train_x), "test": len(made.test_x)}, shared_examples=shared, shared_elements=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlabSplits:
    """A drawing: X in the rotated frame (float32), labels, and the rotation W: X_rotated = X W."""

    train_x: Float[np.ndarray, "N D"]
    train_y: Int[np.ndarray, " N"]
    test_x: Float[np.ndarray, "M D"]
    test_y: Int[np.ndarray, " M"]
    rotation: Float[np.ndarray, "D D"]


def slab_width(kind: Kind, width: float = 1.0, margin: float = 0.1) -> float:
    """Width of one slab, in units of the coordinate; 0 for linear. Raises where the margin leaves no room.

    >>> [round(slab_width(k), 6) for k in ("slab3", "slab5", "slab7")]
    [0.533333, 0.24, 0.114286]
    """
    pieces = {"linear": 0, "slab3": 3, "slab5": 5, "slab7": 7}[kind]
    if not pieces:
        return 0.0
    found = (2 * width - 2 * (pieces - 1) * margin * width) / pieces
    if found <= 0:
        raise TaskError(f"slabs: margin {margin} leaves no room for {pieces} slabs; it must be below {1 / (pieces - 1):g}")
    return found


def slab_feature(
    kind: Kind, y: Int[np.ndarray, " N"], count: int, rng: np.random.Generator, width: float = 1.0, margin: float = 0.1
) -> Float[np.ndarray, "N C"]:
    """`count` independent coordinates of one kind for labels y in {0, 1}."""
    m, w = margin * width, slab_width(kind, width, margin)
    shape = (len(y), count)
    u, one = rng.random(shape), (y == 1)[:, None]
    if kind == "linear":
        return np.where(one, 1.0, -1.0) * (m + (width - m) * u)
    sign, outer = rng.choice((-1.0, 1.0), shape), rng.random(shape)
    step = w + 2 * m
    inner = {"slab3": (1.0, 1.0), "slab5": (0.75, 1.0), "slab7": (0.5, 0.875)}[kind]
    # slab number 0 is the half slab around zero; number k begins at w/2 + 2m + (k-1)(w + 2m)
    number = np.where(one, np.where(outer < inner[1], 1, 3), np.where(outer < inner[0], 0, 2))
    return sign * np.where(number == 0, w / 2 * u, w / 2 + 2 * m + (number - 1) * step + w * u)


def random_rotation(dim: int, rng: np.random.Generator) -> Float[np.ndarray, "D D"]:
    """A random orthogonal matrix, uniform (QR of a Gaussian matrix, signs fixed by R's diagonal)."""
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))


def lms(k: int, dim: int = 50, **settings: object) -> Slabs:
    """LMS-k: one linear coordinate and dim - 1 of k slabs."""
    return Slabs(blocks=(("linear", 1), (_slab(k), dim - 1)), **settings)  # pyright: ignore[reportArgumentType]


def ms57(dim: int = 50, **settings: object) -> Slabs:
    """MS-(5,7): one 5-slab coordinate and dim - 1 of 7 slabs."""
    return Slabs(blocks=(("slab5", 1), ("slab7", dim - 1)), **settings)  # pyright: ignore[reportArgumentType]


def ms7(dim: int = 50, **settings: object) -> Slabs:
    """MS-7: dim coordinates of 7 slabs."""
    return Slabs(blocks=(("slab7", dim),), **settings)  # pyright: ignore[reportArgumentType]


def _slab(k: int) -> Kind:
    if k not in (3, 5, 7):
        raise TaskError(f"slabs must be 3, 5 or 7, got {k}")
    return ("slab3", "slab5", "slab7")[(k - 3) // 2]
