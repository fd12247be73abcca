"""Grokking in LLM pretraining? (Li, Fan & Zhou 2025): do routing pathways of training data tell when a mixture of experts begins to generalize, without a test set?

A kernel of frozen routers, and a small mixture of experts that groks three operations of modular arithmetic beside a table of random answers, the control that the paper lacks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Scale, Study
from genscope.measures.memorization_time import choose_eps, memorization_time
from genscope.measures.pathways import Pathways, sampled_pairs
from genscope.measures.routing_kernel import effective_dimension, relu_tangent_kernel, routing_kernel
from genscope.measures.trend_correlation import partial_spearman, pearson, ranked, slope
from genscope.tasks.modular_ops import CARD, RANDOM, ModularOps
from genscope.tasks.packed_text import PROSE
from genscope.tasks.text_domains import NAMES, text_domains

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block

WORD = "moe-pathways"
FITTED, SOLVED = 0.99, 0.9
"""Accuracies that count as memorized (training rows) and generalized (test rows)."""
RULES = ("add", "sub", "sq")
RANDOM_ARM, TRIPLE, SHIFTED, PERMUTED = "random labels", "one operation", "shifted", "permuted"


def _over_seeds(metric: str, relation: Any, margin: float = 0.0, **more: Any) -> Clause:
    return Clause(metric=metric, relation=relation, margin=margin, test="paired_t", pair=("seed",), **more)


def _generalized(least: int) -> Precondition:
    return Precondition(
        metric="domains_generalized", relation=">=", value=least, reduce="min", select={"part": "grokking"},
        sentence=f"at least {least} operation{'s' if least > 1 else ''} generalized (test accuracy 0.9) in every run",
    )  # fmt: skip


_AFTER = Precondition(
    metric="checkpoints_after", relation=">=", value=3, reduce="min", select={"part": "grokking"},
    sentence="at least 3 checkpoints follow the median memorization time, of 10 or more memorized rows, in every domain of every run",
)  # fmt: skip
CLAIMS = (
    Claim(
        id="P13.1", kind="instrument", minimum_n=5, clauses=(_over_seeds("distance_and_dimension", ">"),),
        sentence="Over frozen random routers, the distance of pathways rises with the kernel's effective dimension (Pearson r, trace-normalised kernel).",
    ),
    Claim(
        id="P13.2", kind="phenomenon", minimum_n=5, preconditions=(_generalized(1),),
        clauses=(_over_seeds("ln_delay", ">", at_least=math.log(2)),),
        sentence="Delayed generalization: the most delayed domain needs at least twice as many updates for test accuracy 0.9 as for training accuracy 0.99.",
    ),
    Claim(
        id="P13.3", kind="phenomenon", minimum_n=5, preconditions=(_generalized(2),), clauses=(_over_seeds("ln_asynchrony", ">", at_least=math.log(1.5)),),
        sentence="Asynchrony: the slowest domain generalizes at least 1.5 times as late as the fastest.",
    ),
    Claim(
        id="P13.4", kind="phenomenon", minimum_n=5, preconditions=(_generalized(1), _AFTER), clauses=(_over_seeds("distance_slope", "<"),),
        sentence="After memorization the pathways of memorized training rows become more alike (slope of their distance on log t), in domains that generalize.",
    ),
    Claim(
        id="P13.5", kind="phenomenon", minimum_n=5, preconditions=(_generalized(1), _AFTER), clauses=(_over_seeds("slope_less_control", "<"),),
        sentence="More so than in the domain of random answers, which cannot generalize.",
    ),
    Claim(
        id="P13.6", kind="phenomenon", minimum_n=5, preconditions=(_generalized(1),), clauses=(_over_seeds("partial_correlation", "<"),),
        sentence="The distance tells test accuracy beyond what log t and the training loss tell (partial rank correlation, domains centred).",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a scale fixes. routers: frozen routers of the kernel part, a seed; text: characters of a domain of text."""

    p: int = 31
    steps: int = 10_000
    batch: int = 512
    routers: int = 100
    pairs: int = 1_000
    every: int = 50
    checkpoints: int = 96
    width: int = 48
    text: int = 1_000_000
    text_width: int = 96


SIZES: Mapping[str, Size] = {
    "smoke": Size(p=17, steps=120, batch=128, routers=10, pairs=100, checkpoints=6, text=60_000, text_width=16), "standard": Size(), "extended": Size(steps=16_000), "paper": Size(p=97, steps=50_000, width=128),
}  # fmt: skip
SENSITIVITY = 256
"""Batch of the sensitivity check."""


class MoEPathways(Study):
    """Routing pathways as a monitor of generalization without a test set (Li, Fan & Zhou 2025)."""

    name = WORD
    paper = Paper(
        13, "2506.21551", "Grokking in LLM Pretraining? Monitor Memorization-to-Generalization without Test", 2025, "Li, Fan, Zhou"
    )
    question = "Can I see from the routing of my mixture of experts that it goes from memorizing to generalizing, without a test set?"
    answer = "The paper finds that pathways of memorized data become more alike while skill grows; here random answers stand beside the rules, so that mere sharpening of the routers is seen."
    card = CARD
    extra = "train"
    fields = frozenset(
        {
            "mixture of experts",
            "routing",
            "pathway",
            "grokking",
            "memorization",
            "generalization",
            "monitoring",
            "pretraining",
            "checkpoints",
            "delayed generalization",
        }
    )
    parts = {
        "kernel": Part(sentence="frozen random routers: pathway distance and effective dimension of the routing kernel", claims=("P13.1",)),
        "grokking": Part(
            sentence="a mixture of experts on add, subtract, sum of squares and random answers modulo 31",
            claims=("P13.2", "P13.3", "P13.4", "P13.5", "P13.6"),
        ),
        "text": Part(sentence="characters of novels, plays and Python source in one pass; reported, no verdict", claims=(), data=(PROSE,)),
    }
    claims = CLAIMS
    placebos = {
        "P13.1": Placebo(kind="distances permuted over the routers", arm=PERMUTED),
        "P13.2": Placebo(kind="the domain of random answers, judged by the same rule", arm=RANDOM_ARM),
        "P13.3": Placebo(kind="one operation (a + b) under three names, each with its own split of the rows", arm=TRIPLE),
        "P13.4": Placebo(kind="the domain of random answers in place of those that generalize", arm=RANDOM_ARM),
        "P13.5": Placebo(kind="two halves of the probe of the random domain, one in place of the domains that generalize", arm=RANDOM_ARM),
        "P13.6": Placebo(kind="the accuracy series rotated by a random number of checkpoints within each domain", arm=SHIFTED),
    }  # fmt: skip
    deviations = (
        "A decoder of three blocks (width 48, 8 experts, top 2) on modular arithmetic; the paper reads OLMoE, 7 billion parameters, at ten checkpoints of its pretraining.",
        "Generalization is accuracy on rows that were left out, not a benchmark after instruction tuning; a domain of random answers is added, and log t and the training loss are controlled.",
        "P13.1: r is computed over 100 routers in each of five seeds with their own points; the interval is over the seeds. r of the raw kernel stands beside it.",
        "P13.2 takes the largest delay of a run's domains, as ln of the ratio (0 where none reaches 0.9): its mean over the seeds must reach ln 2 and its interval exclude 0; the plan had the median.",
        "The learning rate falls over the second half of 10,000 updates (the pilots held it for 7,500), and 96 checkpoints stand in place of 24: with a steady rate loss spikes move the memorization times to the end of the run, and no slope after them exists (see the calibration).",
        "Every loss is so low at the end that no threshold in steps of 0.1 makes only 20 to 25 % of the rows memorized; the smallest, 0.1 nats, is taken.",
        "P13.6 pools the three domains with a rule; the value with the random domain stands beside it.",
        "The part on text is one pass of the same kind of model over a million characters a domain; it is too short for memorization, and nothing is judged on it. The Python source is that of the interpreter that ran.",
        "Batch 512 was chosen in earlier pilots, on calibration seeds, after a delay of 1.0 to 1.1 had been seen with batch 256: P13.2 is a property of the setting. One run a seed with batch 256 is reported.",
    )
    limits = (
        "Any two trends correlate: raw correlations over checkpoints are shown and judge nothing.",
        "Pathways of three layers with eight experts are short; distances move little.",
        "Training accuracy drops now and then and recovers; first crossings hardly suffer, slopes do.",
    )
    calibration = (
        "a first verdict run on seeds 0 to 4 (7,500 updates at a steady learning rate, 24 checkpoints, experts initialised as one wide layer) was looked at and not published: P13.1 to P13.3 reproduced, P13.6 "
        "not reproduced (0.266), P13.4 and P13.5 without data (4 seeds and 1), because loss spikes left fewer than 3 checkpoints after memorization. Then, on seed 999 and on memorization times and accuracies "
        "alone, never on distances: each expert initialised with its own fan-in, a rate that falls over the second half, and 96 checkpoints; they leave 6 checkpoints or more in every domain. Clipped gradients "
        "did so too, and also shortened the delays of P13.2 (1.5 instead of 1.9 for a + b); the smaller departure was taken. A run of this code lost one cell to a value that was no number; its claims had too few seeds then, only that and the verdicts of the placebos were seen, and it was repeated whole. Model, tasks, batch and weight decay are those of earlier pilots"
    )

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        made = []
        for seed in seeds:
            made += [
                Cell(part="kernel", condition="routers", seed=seed, settings={"scale": scale}),
                Cell(part="kernel", condition="routers", seed=seed, arms=(PERMUTED,), settings={"scale": scale, "permuted": True}),
                *[
                    Cell(part="grokking", condition="run", seed=seed, arms=(arm,), settings={"scale": scale, "arm": arm})
                    for arm in ("claim", RANDOM_ARM, SHIFTED, TRIPLE)
                ],
                Cell(
                    part="grokking",
                    condition=f"batch {SENSITIVITY}",
                    seed=seed,
                    arms=("sensitivity",),
                    settings={"scale": scale, "arm": "sensitivity"},
                ),
                Cell(part="text", condition="text", seed=seed, settings={"scale": scale}),
            ]
        return made

    def certify(self, scale: Scale) -> dict[str, int]:
        from genscope.engine.cells import has_data

        shared = {"modular arithmetic": _task(SIZES[scale], False).certify(Seed(WORD, 0, "task"))}
        if has_data(PROSE):
            for one in text_domains(BLOCK, SIZES[scale].text):
                rows, others = (part.take(np.arange(part.count)) for part in (one.train, one.held_out))
                shared[one.name] = len({row.tobytes() for row in rows} & {row.tobytes() for row in others})
        return shared

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        size = SIZES[cell.settings["scale"]]
        return {
            "kernel": lambda: _kernel(cell, size),
            "grokking": lambda: _grokking(cell, lab, size),
            "text": lambda: _text(cell, lab, size),
        }[cell.part]()

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        from genscope.studies.moe_pathways_figures import blocks

        return blocks(records)


# --- the kernel


def _kernel(cell: Cell, size: Size) -> list[Record]:
    """Points around eight centres, routers drawn anew: r of pathway distance and effective dimension over the routers."""
    seed = Seed(WORD, "kernel", cell.seed)
    rng = seed.rng()
    centres = rng.standard_normal((8, 100))
    x = centres[rng.integers(0, 8, 100)] + 0.5 * rng.standard_normal((100, 100))
    tangent = relu_tangent_kernel(x)
    third = np.arange(0, 100, 3)
    pairs = np.stack(np.triu_indices(len(third), 1), axis=1)
    distances, scaled, raw = [], [], []
    for k in range(size.routers):
        logits = x @ seed.child("router", k).rng().normal(0, 2 / math.sqrt(100), (16, 100)).T
        g = np.exp(logits - logits.max(1, keepdims=True))
        g /= g.sum(1, keepdims=True)
        kernel = routing_kernel(g, tangent)
        distances.append(Pathways(weights=g[third][:, None, :]).distance(pairs))
        scaled.append(effective_dimension(kernel))
        raw.append(effective_dimension(kernel, normalize_trace=False))
    d = np.array(distances)
    if cell.settings.get("permuted"):
        d = seed.child("permutation").rng().permutation(d)
    return [
        cell.record("distance_and_dimension", pearson(d, np.array(scaled)), "correlation", size.routers), cell.record("distance_and_raw_dimension", pearson(d, np.array(raw)), "correlation", size.routers),
        cell.record("mean_distance", float(d.mean()), n=size.routers), cell.record("mean_dimension", float(np.mean(scaled)), "count", size.routers),
    ]  # fmt: skip


# --- the run that groks


def _task(size: Size, triple: bool) -> ModularOps:
    rules: dict[str, str] = dict.fromkeys(("add 1", "add 2", "add 3"), "add") if triple else {name: name for name in RULES}
    return ModularOps(p=size.p, domains={**rules, RANDOM: RANDOM}, fractions=dict.fromkeys(rules, 0.7) | {RANDOM: 0.15})


def _trained(lab: Lab, size: Size, seed: int, triple: bool, batch: int) -> dict[str, np.ndarray]:
    """The run of a seed; trained once, whichever cell asks."""
    from genscope.training.recipe import plain

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        from genscope.models.tiny_moe import TinyMoE
        from genscope.training.modular_moe import MoECourse, train_modular

        task = _task(size, triple)
        course = MoECourse(steps=size.steps, batch=batch, every=size.every, checkpoints=size.checkpoints)
        return train_modular(task, TinyMoE(vocabulary=task.vocabulary, outputs=task.p, width=size.width), course, Seed(WORD, seed))

    return lab.keep("moe-pathways run", [plain(size), seed, triple, batch], made)[0]


@dataclass(frozen=True, slots=True)
class _Domain:
    """A domain of a run. fitted, solved: first step with training accuracy 0.99 and test accuracy 0.9, infinite where never; member: memorized probe rows; since: first checkpoint after their median time."""

    name: str
    fitted: float
    solved: float
    member: np.ndarray
    since: int
    distance: np.ndarray
    series: Mapping[str, np.ndarray]


def _grokking(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    arm = cell.settings["arm"]
    triple = arm == TRIPLE
    held = _trained(lab, size, cell.seed, triple, SENSITIVITY if arm == "sensitivity" else size.batch)
    names = _task(size, triple).names
    domains = [_domain(held, place, name, size, cell.seed) for place, name in enumerate(names)]
    rules, control = domains[:-1], domains[-1]
    solved = [one.solved for one in rules if math.isfinite(one.solved)]
    made = [
        cell.record("domains_generalized", float(len(solved)), "count"),
        cell.record("domains_fitted", float(sum(math.isfinite(one.fitted) for one in domains)), "count"),
    ]
    if arm in ("claim", TRIPLE) and len(solved) >= 2:
        made.append(cell.record("ln_asynchrony", math.log(max(solved) / min(solved)), "nats"))
    judged = [control] if arm == RANDOM_ARM else rules
    delays = [math.log(one.solved / one.fitted) for one in judged if math.isfinite(one.solved) and math.isfinite(one.fitted)]
    made.append(cell.record("ln_delay", max(delays, default=0.0), "nats"))
    if arm in ("claim", RANDOM_ARM):
        slopes = [value for one in judged if (value := _slope(held, one)) is not None]
        after = [float(len(held["checkpoints"]) - one.since) if len(one.member) >= 10 else 0.0 for one in domains]
        made.append(cell.record("checkpoints_after", min(after), "count"))
        if slopes:
            made.append(cell.record("distance_slope", float(np.mean(slopes)), "per unit of log t"))
        other = (
            _halves(held, len(names) - 1, control, size, cell.seed)
            if arm == RANDOM_ARM
            else (float(np.mean(slopes)) if slopes else None, _slope(held, control))
        )
        if other[0] is not None and other[1] is not None:
            made.append(cell.record("slope_less_control", other[0] - other[1], "per unit of log t"))
    if arm in ("claim", SHIFTED):
        found = _partial(held, rules, cell.seed if arm == SHIFTED else None)
        if not math.isnan(found):
            made.append(cell.record("partial_correlation", found, "correlation"))
    if arm == "claim":
        whole = _partial(held, domains, None)
        made += [cell.record("partial_correlation_with_random", None if math.isnan(whole) else whole, "correlation")]
    if arm != SHIFTED:
        made += [record for one in domains for record in _domain_records(cell, held, one)]
    return made


def _domain(held: Mapping[str, np.ndarray], place: int, name: str, size: Size, seed: int) -> _Domain:
    steps, checkpoints, losses = held["steps"], held["checkpoints"], held["loss"][:, place]
    times = memorization_time(losses, checkpoints.tolist(), choose_eps(losses, checkpoints.tolist()).value)
    member = np.flatnonzero(np.isfinite(times))
    rows = member if len(member) >= 2 else np.arange(losses.shape[1])
    middle = float(np.median(times[member])) if len(member) else math.inf
    since = int(np.searchsorted(checkpoints, middle)) if math.isfinite(middle) else len(checkpoints)
    paths = [
        Pathways(weights=held["routing"][c, place][rows].astype(np.float64), anchors=held["anchors"][c].astype(np.float64))
        for c in range(len(checkpoints))
    ]
    pairs = sampled_pairs(len(rows), size.pairs, Seed(WORD, "pairs", seed, name))
    series = {**_series(paths), "train_loss": held["train_loss"][:, place], "test_accuracy": held["test_accuracy"][:, place]}
    return _Domain(
        name=name, fitted=_first(steps, held["train"][:, place], FITTED), solved=_first(steps, held["test"][:, place], SOLVED), member=member, since=since,
        distance=np.array([one.distance(pairs) for one in paths]), series=series,
    )  # fmt: skip


def _series(paths: Sequence[Pathways]) -> dict[str, np.ndarray]:
    """Means over the examples at each checkpoint, and the share of examples without a smoothness."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without a smoothness are counted below
        smooth = [one.smoothness for one in paths]
    return {
        "smoothness": np.array([float(one[np.isfinite(one)].mean()) if np.isfinite(one).any() else np.nan for one in smooth]),
        "without_smoothness": np.array([float(np.isnan(one).mean()) for one in smooth]),
        "entropy": np.array([float(one.entropy.mean()) for one in paths]),
        "list_length": np.array([float(one.lengths.mean()) for one in paths]),
    }


def _first(steps: np.ndarray, values: np.ndarray, least: float) -> float:
    there = np.flatnonzero(values >= least)
    return float(steps[there[0]]) if len(there) else math.inf


def _slope(held: Mapping[str, np.ndarray], one: _Domain) -> float | None:
    """Slope of the distance on ln t from the domain's median memorization time on; None for fewer than 3 checkpoints or 10 memorized rows."""
    t = held["checkpoints"][one.since :]
    return slope(np.log(t), one.distance[one.since :]) if len(t) >= 3 and len(one.member) >= 10 else None


def _halves(held: Mapping[str, np.ndarray], place: int, control: _Domain, size: Size, seed: int) -> tuple[float | None, float | None]:
    """Slopes of two halves of the control's memorized rows."""
    order = Seed(WORD, "halves", seed).rng().permutation(control.member)
    t = np.log(held["checkpoints"][control.since :])
    if len(t) < 3 or len(order) < 20:
        return None, None
    found = []
    for half in (order[: len(order) // 2], order[len(order) // 2 :]):
        pairs = sampled_pairs(len(half), size.pairs, Seed(WORD, "pairs", seed, "half"))
        d = [
            Pathways(weights=held["routing"][c, place][half].astype(np.float64)).distance(pairs)
            for c in range(control.since, len(held["checkpoints"]))
        ]
        found.append(slope(t, np.array(d)))
    return found[0], found[1]


def _partial(held: Mapping[str, np.ndarray], domains: Sequence[_Domain], shift: int | None) -> float:
    """Partial rank correlation of distance and test accuracy at fixed log t and training loss, pooled over domains; `shift`: seed of the rotation of the accuracies."""
    log_t = np.log(held["checkpoints"])
    accuracy = [one.series["test_accuracy"] for one in domains]
    if shift is not None:
        rng = Seed(WORD, "shift", shift).rng()
        accuracy = [np.roll(one, int(rng.integers(1, len(one)))) for one in accuracy]
    groups = [one.name for one in domains for _ in log_t]
    return partial_spearman(
        np.concatenate([one.distance for one in domains]), np.concatenate(accuracy), [np.tile(log_t, len(domains)), np.concatenate([one.series["train_loss"] for one in domains])], groups
    )  # fmt: skip


def _domain_records(cell: Cell, held: Mapping[str, np.ndarray], one: _Domain) -> list[Record]:
    where: dict[str, Any] = {"condition": one.name if cell.condition == "run" else f"{one.name}, {cell.condition}"}
    facts = {
        "first_fitted": one.fitted,
        "first_solved": one.solved,
        "delay": one.solved / one.fitted if math.isfinite(one.solved) else math.inf,
    }
    made = [
        cell.record(name, value, "updates" if name != "delay" else "ratio", **where)
        for name, value in facts.items()
        if math.isfinite(value)
    ]
    made += [
        cell.record("final_test_accuracy", float(one.series["test_accuracy"][-1]), **where),
        cell.record("memorized_rows", float(len(one.member)), "count", **where),
    ]
    if cell.settings["arm"] != "claim":
        return made
    value = _slope(held, one)
    if value is not None:
        made.append(cell.record("slope", value, "per unit of log t", **where))
    made += _correlations(cell, held["checkpoints"], {"distance": one.distance, **one.series}, "test_accuracy", "accuracy", where)
    units = {"train_loss": "nats", "entropy": "nats", "list_length": "count"}
    return made + _over_time(cell, held["checkpoints"], {"distance": one.distance, **one.series}, units, where)


def _over_time(
    cell: Cell, checkpoints: np.ndarray, series: Mapping[str, np.ndarray], units: Mapping[str, str], where: Mapping[str, Any]
) -> list[Record]:
    """Every series at every checkpoint where it is a number (smoothness is none where no example has one)."""
    return [
        cell.record(f"{name}_at", float(values[c]), units.get(name, "fraction"), step=int(step), **where)
        for c, step in enumerate(checkpoints.tolist())
        for name, values in series.items()
        if math.isfinite(values[c])
    ]


def _correlations(
    cell: Cell, checkpoints: np.ndarray, series: Mapping[str, np.ndarray], skill: str, word: str, where: Mapping[str, Any]
) -> list[Record]:
    """Pearson and rank correlations of each measure with a series of skill over the checkpoints, where at least 3 of them have both."""
    made = []
    for name in ("distance", "smoothness", "train_loss", "entropy", "list_length", "log t"):
        values = np.log(checkpoints) if name == "log t" else series[name]
        there = np.isfinite(values)
        if there.sum() < 3:
            continue
        for kind, found in (
            ("pearson", pearson(values[there], series[skill][there])),
            ("spearman", ranked(values[there], series[skill][there])),
        ):
            if not math.isnan(found):
                made.append(cell.record(f"{kind}_with_{word}", found, "correlation", by=name, **where))
    return made


# --- text

BLOCK = 65
"""Characters of a block: a context of 64 and the character after it."""


def _text(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    """One pass over three domains of text: held-out bits per character, and pathways of fixed training blocks."""
    from genscope.training.recipe import plain

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        from genscope.models.tiny_moe import TinyMoE
        from genscope.training.modular_moe import MoECourse
        from genscope.training.text_moe import train_text

        domains = text_domains(BLOCK, size.text)
        symbols = domains[0].train.vocabulary
        shape = TinyMoE(vocabulary=symbols, outputs=symbols, context=BLOCK - 1, width=size.text_width, layers=4)
        course = MoECourse(batch=64, lr=3e-3, weight_decay=0.1, warmup=50, clip=1.0, checkpoints=12)
        return train_text(domains, shape, course, Seed(WORD, "text", cell.seed))

    held = lab.keep("moe-pathways text", [plain(size), cell.seed], made)[0]
    records, distances, skills = [], [], []
    for place, name in enumerate(NAMES):
        pairs = sampled_pairs(held["routing"].shape[2], size.pairs, Seed(WORD, "pairs", cell.seed, name))
        paths = [
            Pathways(weights=held["routing"][c, place].astype(np.float64), anchors=held["anchors"][c].astype(np.float64))
            for c in range(len(held["checkpoints"]))
        ]
        distance = np.array([one.distance(pairs) for one in paths])
        series = {"distance": distance, **_series(paths), "train_loss": held["train_loss"][:, place], "bits": held["bits"][:, place]}
        distances, skills = [*distances, distance], [*skills, -series["bits"]]
        records.append(cell.record("final_bits", float(series["bits"][-1]), "bits per character", condition=name))
        records += _correlations(cell, held["checkpoints"], {**series, "skill": -series["bits"]}, "skill", "skill", {"condition": name})
        units = {"bits": "bits per character", "train_loss": "nats", "entropy": "nats", "list_length": "count"}
        records += _over_time(cell, held["checkpoints"], series, units, {"condition": name})
    log_t = np.log(held["checkpoints"])
    groups = [name for name in NAMES for _ in log_t]
    found = partial_spearman(
        np.concatenate(distances), np.concatenate(skills), [np.tile(log_t, len(NAMES)), held["train_loss"].T.ravel()], groups
    )
    return [*records, *([] if math.isnan(found) else [cell.record("partial_correlation_with_skill", found, "correlation")])]
