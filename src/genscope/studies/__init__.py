"""Studies: executable papers. A study is a short file: what is run, what is claimed, and the placebo in which the claim must fail."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genscope.engine.study import Study

PAPERS = {
    "simplicity-bias": "genscope.studies.simplicity_bias:SimplicityBias",
    "coherent-gradients": "genscope.studies.coherent_gradients:CoherentGradients",
    "inductive-bias-complexity": "genscope.studies.inductive_bias_complexity:InductiveBiasComplexity",
    "explanation-hardness": "genscope.studies.explanation_hardness:ExplanationHardness",
    "easy2hard": "genscope.studies.easy2hard:Easy2Hard",
    "rasp-length": "genscope.studies.rasp_length:RaspLength",
    "genil": "genscope.studies.genil:GeniL",
    "scylla": "genscope.studies.scylla:Scylla",
    "large-batch": "genscope.studies.large_batch:LargeBatch",
    "repeated-data": "genscope.studies.repeated_data:RepeatedData",
    "moe-pathways": "genscope.studies.moe_pathways:MoEPathways",
}
"""Name -> "module:class"."""


def table() -> dict[str, str]:
    """Every study, those of other packages (entry point group `genscope.studies`) included."""
    return PAPERS | {point.name: point.value for point in entry_points(group="genscope.studies")}


def study(name: str) -> Study:
    """The study of that name; an unknown one is an error with the known."""
    from genscope.core.errors import StudyError, unknown

    known = table()
    if name not in known:
        raise StudyError(unknown("study", name, known))
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)()
