"""Measures of a `Monitor`, by name. Others come as objects: `Monitor(measures=["losses", MyMeasure()])`."""

from __future__ import annotations

MEASURES = {
    "losses": "genscope.watch.measures.losses:Losses",
    "coherence": "genscope.watch.measures.gradients:Gradients",
    "weight_distance": "genscope.watch.measures.distance:Distance",
    "copying": "genscope.watch.measures.copying:Copying",
    "pathways": "genscope.watch.measures.pathways:RoutingPathways",
}
"""Name -> class."""
DEFAULT = ("losses", "coherence", "weight_distance")
