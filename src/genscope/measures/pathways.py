"""Routing pathways of a mixture-of-experts model: which experts each example uses, layer by layer, and how far apart and how smooth these traces are.

g_l(i, k): routing weights of example i in layer l, the softmax over all K experts averaged over its tokens. Its list e_l(i): experts by falling weight (ties: lower
index first), the shortest beginning whose sum exceeds tau. Its pathway: the lists in order. Distance of two pathways: edit distance.
Roughness C_i = 1 - mean_l c_l / (max_l c_l + 1e-8) with c_l the cosine of e_l = sum_k g_l(i, k) v_l,k in neighbouring layers, v: rows of the router's matrix.
Source: Li, Fan, Zhou 2025 (arXiv 2506.21551), which calls C "consistency" although larger means rougher; smoothness here is 1 - C.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.measures.edit_distance import as_text, edit_distances

# N examples, L layers, K experts, D width, P pairs
Unit = Literal["expert", "char"]
TAU = 0.7


@dataclass(frozen=True, kw_only=True)
class Pathways:
    """Pathways of N examples. weights: g, each row sums to 1; anchors: the router's rows of every layer, None where only lists and distances are wanted; tau in (0, 1)."""

    weights: Float[np.ndarray, "N L K"]
    anchors: Float[np.ndarray, "L K D"] | None = None
    tau: float = TAU

    def __post_init__(self) -> None:
        if not 0 < self.tau < 1:
            raise UsageError(f"tau, the share of routing weight that a list must exceed, must lie inside (0, 1), got {self.tau}")
        if self.weights.ndim != 3 or not len(self.weights):
            raise UsageError(
                f"pathways need routing weights of shape (examples, layers, experts), at least one example; got {self.weights.shape}"
            )
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not np.allclose(self.weights.sum(-1), 1, atol=1e-3):
            raise UsageError("routing weights must be non-negative and sum to 1 in every layer; give the softmax over all experts")
        if self.anchors is not None and self.anchors.shape[:2] != self.weights.shape[1:]:
            raise UsageError(
                f"anchors of shape {self.anchors.shape} do not fit weights of shape {self.weights.shape}: (layers, experts) differ"
            )

    # --- lists

    @cached_property
    def order(self) -> Int[np.ndarray, "N L K"]:
        """Experts by falling weight; equal weights by rising index."""
        return np.argsort(-self.weights, axis=-1, kind="stable")

    @cached_property
    def lengths(self) -> Int[np.ndarray, "N L"]:
        """Experts in each list, 1 to K."""
        ordered = np.take_along_axis(self.weights, self.order, -1).astype(np.float64)
        share = ordered.cumsum(-1) / ordered.sum(-1, keepdims=True)
        return (share <= self.tau).sum(-1).clip(0, self.weights.shape[-1] - 1) + 1

    def lists(self, example: int) -> list[list[int]]:
        """The lists of one example, one a layer."""
        return [self.order[example, layer, :length].tolist() for layer, length in enumerate(self.lengths[example])]

    def printed(self, example: int) -> str:
        """As the paper prints it: experts joined by ",", layers by "-".

        >>> Pathways(weights=np.array([[[0.1, 0.6, 0.3], [0.8, 0.1, 0.1]]])).printed(0)
        '1,2-0'
        """
        return "-".join(",".join(map(str, one)) for one in self.lists(example))

    # --- distances

    def texts(self, unit: Unit = "expert", layer: int | None = None) -> list[str]:
        """What the edit distance compares: one character a (layer, expert), or the printed form; of one layer alone where `layer` is given."""
        if unit not in ("expert", "char"):
            raise UsageError(f"unit must be expert or char, got {unit!r}")
        layers = range(self.weights.shape[1]) if layer is None else [layer]
        if unit == "char":
            return ["-".join(",".join(map(str, lists[one])) for one in layers) for lists in map(self.lists, range(len(self.weights)))]
        k = self.weights.shape[2]
        used = np.arange(k) < self.lengths[:, layers][..., None]
        symbols = self.order[:, layers] + k * np.asarray(layers)[:, None]
        return [as_text(one[kept]) for one, kept in zip(symbols, used, strict=True)]

    def distances(
        self, pairs: Int[np.ndarray, "P 2"], *, unit: Unit = "expert", normalize: bool = True, layer: int | None = None
    ) -> Float[np.ndarray, " P"]:
        """Edit distance of each pair of examples; a fraction of the longer pathway, or a count of edits."""
        return edit_distances(self.texts(unit, layer), pairs, normalize=normalize)

    def distance(self, pairs: Int[np.ndarray, "P 2"] | None = None, *, unit: Unit = "expert", normalize: bool = True) -> float:
        """Set distance: the mean over `pairs`, by default over all unordered pairs of examples. NaN for a single example."""
        found = self.distances(all_pairs(len(self.weights)) if pairs is None else pairs, unit=unit, normalize=normalize)
        return float(found.mean()) if len(found) else float("nan")

    def layer_distance(
        self, pairs: Int[np.ndarray, "P 2"] | None = None, *, unit: Unit = "expert", normalize: bool = True
    ) -> Float[np.ndarray, " L"]:
        """The set distance of each layer's lists alone."""
        chosen = all_pairs(len(self.weights)) if pairs is None else pairs
        rows = [self.distances(chosen, unit=unit, normalize=normalize, layer=layer) for layer in range(self.weights.shape[1])]
        return np.array([one.mean() if len(one) else np.nan for one in rows])

    # --- smoothness

    @cached_property
    def cosines(self) -> Float[np.ndarray, "N L-1"]:
        """c_l: cosine of the routing embeddings of neighbouring layers; NaN where one of them is 0."""
        if self.anchors is None:
            raise UsageError("smoothness compares routing embeddings; give the router's weights as anchors")
        if self.weights.shape[1] < 2:
            raise UsageError("smoothness compares neighbouring MoE layers, and this model has one; distances and entropy need no second")
        embeddings = np.einsum("nlk,lkd->nld", self.weights.astype(np.float64), self.anchors.astype(np.float64))
        norms = np.linalg.norm(embeddings, axis=-1)
        inner = (embeddings[:, :-1] * embeddings[:, 1:]).sum(-1)
        product = norms[:, :-1] * norms[:, 1:]
        return np.divide(inner, product, out=np.full_like(inner, np.nan), where=product > 0)

    @property
    def mean_cos(self) -> Float[np.ndarray, " N"]:
        """Mean cosine of neighbouring layers, in [-1, 1]."""
        return self.cosines.mean(-1)

    @property
    def roughness(self) -> Float[np.ndarray, " N"]:
        """The paper's C_i, at least 0; NaN, with one warning, where an embedding is 0 or no cosine is positive (the formula's sign flips there)."""
        c = self.cosines
        lost = ~(c.max(-1) > 0)
        if lost.any():
            warnings.warn(
                f"roughness of {int(lost.sum())} of {len(c)} examples is not defined (NaN): no positive cosine between layers",
                RuntimeWarning,
                stacklevel=2,
            )
        return np.where(lost, np.nan, 1 - c.mean(-1) / (np.where(lost, 1.0, c.max(-1)) + 1e-8))

    @property
    def smoothness(self) -> Float[np.ndarray, " N"]:
        """1 - roughness, at most 1: 1 where all neighbouring layers are equally close."""
        return 1 - self.roughness

    @property
    def entropy(self) -> Float[np.ndarray, " N"]:
        """Entropy (nats) of the routing weights of a layer, mean over layers: 0 to log K."""
        g = self.weights.astype(np.float64)
        return -(g * np.log(np.where(g > 0, g, 1.0))).sum(-1).mean(-1)

    def of(self, examples: Int[np.ndarray, " M"] | Bool[np.ndarray, " N"]) -> Pathways:
        """These examples alone."""
        return Pathways(weights=self.weights[examples], anchors=self.anchors, tau=self.tau)


def between(one: Pathways, other: Pathways, pairs: Int[np.ndarray, "P 2"], *, unit: Unit = "expert", normalize: bool = True) -> float:
    """Mean distance of pairs (an example of one set, an example of the other), such as of two domains at the same step."""
    same_shape([one, other])
    shifted = np.asarray(pairs) + np.array([0, len(one.weights)])
    return float(edit_distances([*one.texts(unit), *other.texts(unit)], shifted, normalize=normalize).mean())


def same_shape(checkpoints: Sequence[Pathways]) -> None:
    """UsageError where the checkpoints of a run have different layers, experts or tau: their distances cannot be compared."""
    shapes = {(*one.weights.shape[1:], one.tau) for one in checkpoints}
    if len(shapes) > 1:
        raise UsageError(
            f"checkpoints differ in (MoE layers, experts, tau): {', '.join(map(str, sorted(shapes)))}; compare those of one model"
        )


def all_pairs(n: int) -> Int[np.ndarray, "P 2"]:
    """All i < j.

    >>> all_pairs(3).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    return np.stack(np.triu_indices(n, 1), axis=1)


def sampled_pairs(n: int, count: int, seed: Seed) -> Int[np.ndarray, "P 2"]:
    """`count` different pairs i < j of n examples, drawn by seed; all of them where there are no more."""
    every = n * (n - 1) // 2
    if every <= count:
        return all_pairs(n)
    return all_pairs(n)[np.sort(seed.rng().choice(every, count, replace=False))]
