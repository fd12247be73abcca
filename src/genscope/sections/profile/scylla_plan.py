"""How a Scylla profile is run: the settings of each scale, and what the user changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from genscope.core.errors import UsageError, unknown
from genscope.measures.generalization_gap import Aggregate, Resample, Unparsed
from genscope.models.model import Model
from genscope.sections.profile.modes import MODES
from genscope.sections.section import SCALES, ProfilePlan
from genscope.tasks import scylla
from genscope.tasks.scylla import compact

UNIVERSES = ("paper", "code", "matched")
FewShot = Literal["mixed", "bare"]
Style = Literal["mixed", "bare", "compact"]
"""How models without chat turns are asked."""
DEMONSTRATIONS = 8
"""Instances 0..7 of each side are demonstrations; tests begin at 8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScyllaConfig:
    """Settings of one run. The defaults are the `standard` scale."""

    tasks: tuple[str, ...] = scylla.NAMES
    n: int = 32
    """Test instances a task and split."""
    mode: str = "auto"
    """direct: answer at once; cot: chain of thought in two stages; likelihood: rank the right answer among nine wrong ones."""
    id_source: str = "auto"
    """auto: the model's own examples where there are enough, else its elements; or examples, elements, prior, or a file of lists."""
    universe: str = "paper"
    """Where OOD elements are drawn from: paper 0..9999, code 1000..9999 (distances 100..999), matched: digit counts as in ID."""
    seeds: tuple[int, ...] = (0,)
    probe_completions: int = 32
    """Replies to the probe prompt, a task and seed."""
    probe_tokens: int = 96
    # Differs from the paper: no repetition penalty below scale `paper`; with the authors' 1.2 a small model cannot write a list (commas and digits are penalised).
    probe_penalty: float = 1.0
    """Repetition penalty of the probe."""
    few_shot: FewShot = "mixed"
    """How models without chat turns (a base model, ?template=none) are asked: mixed = description and eight solved instances, bare = the instances alone."""
    compact: bool = False
    """Whether the model reads the compact style only; it says so itself."""
    cot_tokens: int = 2048
    second_tokens: int = 256
    grade: str = "verify"
    unparsed: Unparsed = "wrong"
    aggregate: Aggregate = "mean_of_tasks"
    resample: Resample = "instances"
    draws: int = 2_000
    """Bootstrap draws."""

    @property
    def style(self) -> Style:
        """How a model without chat turns is asked."""
        return "compact" if self.compact else self.few_shot

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"scylla: {name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        for name in ("n", "probe_completions", "probe_tokens", "cot_tokens", "second_tokens", "draws"):
            if getattr(self, name) < 1:
                raise UsageError(f"scylla: {name} must be at least 1, got {getattr(self, name)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"scylla: seeds must be different whole numbers, got {list(self.seeds)}")


_CHOICES: dict[str, tuple[str, ...]] = {
    "mode": MODES,
    "universe": UNIVERSES,
    "grade": ("verify", "reference"),
    "few_shot": get_args(FewShot),
    "unparsed": get_args(Unparsed),
    "aggregate": get_args(Aggregate),
    "resample": get_args(Resample),
}
_OPTIONS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("universe", "grade", "few_shot", "unparsed", "aggregate", "resample"), str),
    **dict.fromkeys(("probe_completions", "probe_tokens", "cot_tokens", "second_tokens", "draws"), int),
}


def smoke() -> ScyllaConfig:
    """One task a level, 16 + 16 instances: shows that everything works; too little for a verdict."""
    tasks = ("find_minimum", "sort_numbers", "three_sum", "four_sum", "subset_sum")
    return ScyllaConfig(tasks=tasks, n=16, probe_completions=16, probe_tokens=64)


def standard() -> ScyllaConfig:
    """All 20 tasks, 32 + 32 instances."""
    return ScyllaConfig()


def extended() -> ScyllaConfig:
    """All 20 tasks, 256 + 256 instances, a larger probe: hours on a CPU."""
    return ScyllaConfig(n=256, probe_completions=64, probe_tokens=256)


def paper() -> ScyllaConfig:
    """The authors' settings: chain of thought, 256 + 256 instances, 50 x 128 probe completions of up to 1,024 tokens."""
    return ScyllaConfig(n=256, mode="cot", probe_completions=6_400, probe_tokens=1_024, probe_penalty=1.2)


_SCALES = {"smoke": smoke, "standard": standard, "extended": extended, "paper": paper}


def configure(plan: ProfilePlan, *models: Model) -> ScyllaConfig:
    """The settings of the plan's scale with the user's changes, as these models can be asked; every unknown name is an error that lists what is known."""
    if plan.scale not in _SCALES:
        raise UsageError(unknown("scale", plan.scale, SCALES))
    config = _SCALES[plan.scale]()
    if plan.tasks is not None or plan.levels is not None:
        config = replace(config, tasks=tuple(task.name for task in scylla.select(plan.tasks, plan.levels)))
    changes: dict[str, Any] = {"seeds": plan.seeds, "id_source": plan.id_source}
    if plan.mode != "auto":
        changes["mode"] = plan.mode
    if plan.n is not None:
        changes["n"] = plan.n
    config = replace(config, **changes, **_typed(plan.options.get("scylla", {})))
    for model in models:
        config = _compact(config, model) if "compact" in model.abilities else config
    return config


def _compact(config: ScyllaConfig, model: Model) -> ScyllaConfig:
    """For a model that reads the compact style only: the tasks that have one. UsageError for what it cannot do: invent lists, rank, read numbers above 399."""
    if config.id_source in ("auto", "examples", "elements", "prior"):
        raise UsageError(
            f"{model.name} was trained from scratch on tasks in their compact style and cannot be asked to invent lists. Give lists of the numbers that it is "
            "familiar with, --id-source FILE (familiar.txt, beside the weights of a model of the Scylla family)"
        )
    if config.mode == "likelihood":
        raise UsageError(f"{model.name} reads the compact style only, which has no mode likelihood. Leave --mode out")
    if config.universe != "matched":
        raise UsageError(
            f"{model.name} knows no word for numbers above {compact.LARGEST}: take new numbers with as many digits as the familiar ones, --with scylla:universe=matched"
        )
    tasks = tuple(name for name in config.tasks if name in compact.TASKS)
    if not tasks:
        raise UsageError(f"none of the tasks has a compact style: {', '.join(config.tasks)}. Those that have: {', '.join(compact.TASKS)}")
    return replace(config, tasks=tasks, compact=True)


def _typed(options: Mapping[str, str]) -> dict[str, Any]:
    typed = {}
    for name, value in options.items():
        if name not in _OPTIONS:
            raise UsageError(unknown("setting of section scylla:", name, _OPTIONS))
        try:
            typed[name] = _OPTIONS[name](value)
        except ValueError as error:
            raise UsageError(f"scylla: {name} must be a whole number, got {value!r}") from error
    return typed
