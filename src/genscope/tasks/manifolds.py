"""Classification tasks of known dimension and resolution: labels of bandlimited functions on spheres and flat tori.

label = sign of sum over j of cos(w_j . x + phase_j), |w_j| = pi / delta, 20 directions and phases drawn uniformly: two inputs of different class
that are typical of the function lie about delta apart (the half period of each cosine). Inputs are uniform on the sphere S^m of radius 1 in m + 1 coordinates, or
on the flat torus, m circles of radius 1 in 2m coordinates. Source: the generator of Boopathy et al. 2023's control, as in our sheet; control tasks on tori.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import TaskError
from genscope.core.seeds import Seed

WAVES = 20
Splits = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandlimited:
    """m: dimension; delta: resolution, in the inputs' unit; kind: "sphere" or "torus"; train, test: rows; waves: cosines of the labelling function."""

    m: int
    delta: float
    kind: Literal["sphere", "torus"] = "sphere"
    train: int = 1_000
    test: int = 1_500
    waves: int = WAVES

    def __post_init__(self) -> None:
        if self.m < 1 or not self.delta > 0 or self.waves < 1 or self.train < 2 or self.test < 0:
            raise TaskError(f"a bandlimited task needs m >= 1, delta > 0, waves >= 1, train >= 2 and test >= 0; got {self}")
        if self.kind not in ("sphere", "torus"):
            raise TaskError(f"kind must be sphere or torus, got {self.kind!r}")

    @property
    def name(self) -> str:
        """As it stands in records."""
        return f"{self.kind} m={self.m} delta={self.delta:g}"

    @property
    def radius(self) -> float:
        """Norm of every input."""
        return 1.0 if self.kind == "sphere" else float(np.sqrt(self.m))

    def make(self, seed: Seed) -> Splits:
        """ "train" and "test" rows with labels 0 and 1; the labelling function and both sets of inputs are drawn anew with the seed."""
        inputs = sphere if self.kind == "sphere" else torus
        label = self.labeller(seed.child("function"))
        made = {}
        for split, rows in (("train", self.train), ("test", self.test)):
            x = inputs(rows, self.m, seed.child(split))
            made[split] = (x, label(x))
        return made

    def labeller(self, seed: Seed) -> BandlimitedLabel:
        """The labelling function that a seed draws."""
        rng, width = seed.rng(), self.m + 1 if self.kind == "sphere" else 2 * self.m
        directions = rng.standard_normal((self.waves, width))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return BandlimitedLabel(np.pi / self.delta * directions, rng.uniform(0, 2 * np.pi, self.waves))

    def certify(self, seed: Seed) -> int:
        """Rows that train and test share."""
        splits = self.make(seed)
        return len({row.tobytes() for row in splits["train"][0]} & {row.tobytes() for row in splits["test"][0]})


@dataclass(frozen=True, slots=True)
class BandlimitedLabel:
    """Sign of a sum of cosines. waves: one row a cosine, its length the angular frequency; phases: radians."""

    waves: Float[np.ndarray, "J d"]
    phases: Float[np.ndarray, " J"]

    def __call__(self, x: Float[np.ndarray, "N d"]) -> Int[np.ndarray, " N"]:
        return (np.cos(x @ self.waves.T + self.phases).sum(1) > 0).astype(np.int64)


def sphere(n: int, m: int, seed: Seed) -> Float[np.ndarray, "n m1"]:
    """n points uniform on S^m, the unit sphere in m + 1 coordinates."""
    x = seed.child("sphere").rng().standard_normal((n, m + 1))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def torus(n: int, m: int, seed: Seed) -> Float[np.ndarray, "n m2"]:
    """n points uniform on the flat torus: m circles of radius 1, each as cosine and sine."""
    angles = seed.child("torus").rng().uniform(0, 2 * np.pi, (n, m))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def rotated(x: Float[np.ndarray, "n d"], width: int, seed: Seed) -> Float[np.ndarray, "n width"]:
    """The same points in `width` >= d coordinates, turned by a random rotation: distances stay."""
    if width < x.shape[1]:
        raise TaskError(f"{x.shape[1]} coordinates do not fit into {width}")
    basis, _ = np.linalg.qr(seed.child("rotation").rng().standard_normal((width, x.shape[1])))
    return x @ basis.T


def union(a: Splits, b: Splits, seed: Seed) -> Splits:
    """Inputs of task a beside unrelated inputs of task b, with the labels of a: each row of a gets a row of b drawn from the same split."""
    made = {}
    for split, (x, y) in a.items():
        if split not in b:
            raise TaskError(f"the second task has no split {split!r}; it has {', '.join(b)}")
        other = b[split][0]
        chosen = seed.child("union", split).rng().integers(0, len(other), len(x))
        made[split] = (np.concatenate([x.reshape(len(x), -1), other.reshape(len(other), -1)[chosen]], axis=1), y)
    return made
