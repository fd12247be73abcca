"""Routing pathways of a mixture of experts on the training rows: how far apart, how smooth, how long (Li, Fan & Zhou 2025)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from genscope.core.errors import ModelError, UsageError
from genscope.core.seeds import Seed
from genscope.measures.pathways import TAU, Pathways, sampled_pairs
from genscope.watch.measure import Sample, Seen


class RoutingPathways:
    """ "pathway_distance": mean edit distance of pairs of rows, 0 to 1; "pathway_smoothness" at most 1; "routing_entropy" (nats); "list_length" (experts a layer).

    tokens: name of the token tensor in the sample's training split; rows: at most so many of them; pairs: drawn once; tau: share of routing weight that a list exceeds;
    routers: a pattern of their weights' names, where the search by shape is ambiguous. A sharper router shortens lists and lowers the distance without any sharing: look at both.
    """

    name = "pathways"

    def __init__(
        self, *, tokens: str = "input_ids", rows: int = 128, pairs: int = 1_000, tau: float = TAU, routers: str | None = None
    ) -> None:
        self.tokens, self.rows, self.count, self.tau, self.pattern = tokens, rows, pairs, tau, routers

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        from genscope.models.routers import find_routers

        data: Mapping[str, Tensor] = sample.train if sample else {}
        ids = data.get(self.tokens, data.get("x"))
        if ids is None or ids.is_floating_point() or len(ids) < 2:
            raise UsageError(f'pathways need token rows, at least 2: Monitor(..., sample={{"train": {{"{self.tokens}": ids}}}})')
        try:
            self.found = find_routers(net, self.pattern)
        except ModelError as error:
            raise UsageError(f"pathways: {error}") from error
        mask = data.get("attention_mask")
        self.ids, self.mask = ids[: self.rows], None if mask is None else mask[: self.rows]
        self.pairs = sampled_pairs(len(self.ids), self.count, Seed("watch", "pathways"))

    def look(self, net: nn.Module, step: int) -> Seen:
        from genscope.models.routers import read_routing

        held = read_routing(net, self.ids, self.mask, routers=self.found)
        one = Pathways(weights=held.weights.astype(np.float64), anchors=held.anchors.astype(np.float64), tau=self.tau)
        values = {
            "pathway_distance": one.distance(self.pairs),
            "routing_entropy": float(one.entropy.mean()),
            "list_length": float(one.lengths.mean()),
        }
        if one.weights.shape[1] > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # rows without a smoothness are left out of the mean
                smooth = one.smoothness
            if np.isfinite(smooth).any():
                values["pathway_smoothness"] = float(np.nanmean(smooth))
        return Seen(values=values)
