"""Model-agnostic Measure of Generalization Difficulty (Boopathy et al. 2023): how many bits a task needs, before any model is chosen.

The released formula and its worked values, its estimators on known manifolds, its bound against the exact value on the circle; then whether the number
predicts the test error of generic learners, and whether noise raises it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Published, Scale, Study
from genscope.measures.class_margin import class_margin, radius
from genscope.measures.inductive_bias import (
    Bits,
    control_complexity,
    few_shot_complexity,
    inductive_bias_complexity,
    support_sets,
)
from genscope.measures.inductive_bias_exact import bound_on_circle, exact_on_circle
from genscope.measures.intrinsic_dimension import intrinsic_dimension
from genscope.tasks.digits import digits
from genscope.tasks.manifolds import Bandlimited, rotated, sphere

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block

WORD = "inductive-bias-complexity"
SPHERES = (1, 2, 3, 5, 8)
HIGH_SPHERES = (12, 20)
SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.3)
SHUFFLED = {0.0: 0.1, 0.05: 0.3, 0.1: 0.0, 0.2: 0.05, 0.3: 0.2}
"""The second placebo of C6: sigma in name -> sigma in fact."""
LEARNERS = ("k-NN", "RBF SVM")
OMNIGLOT = (20, 29, 26, 41, 40, 24, 46, 14, 26, 34, 33, 22, 26, 43, 24, 48, 22, 16, 52, 47, 40, 26, 40, 41, 33, 14, 42, 23, 17, 55)
"""Characters of the 30 alphabets of Omniglot's background set (964 in all)."""
PAPER_BITS: Mapping[str, float] = {
    "MNIST": 1.485e16, "SVHN": 1.213e31, "CIFAR-10": 3.438e32, "ImageNet": 3.583e41, "Reacher": 2.914e25, "Hopper": 7.613e58, "Half-Cheetah": 1.718e66,
    "cart-pole T=1": 4.415e9, "cart-pole T=2": 3.326e17, "cart-pole T=3": 1.464e25, "cart-pole T=4": 4.689e32, "cart-pole T=5": 1.187e40, "Omniglot": 1.79e145,
}  # fmt: skip
"""The released formula at the paper's parameters, for comparison."""
CHAINS = (("MNIST", "SVHN", "CIFAR-10", "ImageNet"), ("Reacher", "Hopper", "Half-Cheetah"), tuple(f"cart-pole T={t}" for t in range(1, 6)))


def _every(metric: str, relation: Any, margin: float, test: str) -> Clause:
    return Clause(metric=metric, relation=relation, margin=margin, test=test)


def _more(metric: str, a: str, b: str) -> Clause:
    return Clause(metric=metric, contrast=("condition", a, b), pair=("seed",), relation=">", margin=0.0, test="paired_t")


def _predicts(learner: str) -> Clause:
    return Clause(metric="test_error", select={"condition": learner}, contrast=("log10_bits", "rises", ""), cluster=("task",), relation=">", margin=0.5, at_least=0.8, test="spearman_clusters")  # fmt: skip


CLAIMS = (
    Claim(
        id="C1", kind="instrument", minimum_n=13, clauses=(_every("relative_error", "<", 0.005, "maximum"), _every("order_step", ">", 0.0, "minimum")),
        sentence="The formula gives the released values of 13 tasks, each within 0.5 %, and their order: more dimensions, more bits.",
    ),
    Claim(
        id="C2", kind="instrument", minimum_n=5,
        clauses=(
            *(Clause(metric="dimension_ratio", select={"condition": f"sphere m={m}"}, relation="within", margin=(0.9, 1.1), test="paired_t", pair=("seed",)) for m in SPHERES),
            *(_more("dimension", f"sphere m={b}", f"sphere m={a}") for a, b in itertools.pairwise(SPHERES)),
        ),
        sentence="The estimator finds the dimension of spheres (1 to 8, turned into 50 coordinates) within 10 %, and in their order.",
    ),
    Claim(
        id="C3", kind="instrument", minimum_n=5,
        clauses=(_every("slope_less_m", ">", -1e-9, "minimum"), _every("slope_less_m", "<", 0.25, "maximum"), _every("growth_by_dimension", ">", 6.0, "minimum")),
        sentence="Bits grow as a power (m to m + 0.25) of the resolution, and by more than six times for each further dimension.",
    ),
    Claim(
        id="C4", kind="instrument", minimum_n=27,
        clauses=(_every("bound_less_exact", ">", 0.0, "minimum"), _every("fall_with_n", ">", 0.0, "minimum"), _every("linear_r2", ">", 0.98, "minimum")),
        sentence="On the circle the exact value lies below the closed form, falls with n, and is linear in the number of free dimensions.",
    ),
    Claim(
        id="C5", kind="phenomenon", minimum_n=45, clauses=tuple(_predicts(learner) for learner in LEARNERS),
        sentence="It predicts what generic learners find hard: rank correlation of bits and test error at least .8 for k-NN and an RBF SVM.",
    ),
    Claim(
        id="C6", kind="phenomenon", minimum_n=5, clauses=tuple(_more("log10_bits", f"sigma {b:g}", f"sigma {a:g}") for a, b in itertools.pairwise(SIGMAS)),
        sentence="Noise raises difficulty: with class margin and radius held, bits rise with every step of pixel noise on digits.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a scale fixes. points: of a sphere; draws: of truth and angles a cell of the circle; rows, test: of a learner's task; images: digits that are used."""

    points: int = 3_000
    draws: int = 100
    rows: int = 1_000
    test: int = 1_500
    images: int = 1_797
    mnist: bool = False


SIZES: Mapping[str, Size] = {
    "smoke": Size(points=1_000, draws=20, rows=300, test=300, images=400), "standard": Size(), "extended": Size(draws=400, mnist=True), "paper": Size(draws=400, mnist=True),
}  # fmt: skip


class InductiveBiasComplexity(Study):
    """How hard a task is to generalize on, in bits, from the data alone (Boopathy et al. 2023)."""

    name = WORD
    paper = Paper(
        1,
        "2305.01034",
        "Model-agnostic Measure of Generalization Difficulty",
        2023,
        "Boopathy, Liu, Hwang, Ge, Mohammedsaleh, Fiete",
    )
    question = "How hard is this task to generalize on, whatever model I choose?"
    answer = "The bits of inductive bias that a task needs grow exponentially with its intrinsic dimension, as a power of its resolution, and hardly with the data."
    card = Card(motivation="intrinsic", type="robustness", shift="covariate", source="fully generated", locus="train-test")
    extra = "train"
    fields = frozenset({"difficulty", "intrinsic dimension", "class margin", "information", "bits", "sample complexity", "manifold", "few-shot", "reinforcement learning", "label noise", "data audit"})  # fmt: skip
    parts = {
        "formula": Part(sentence="the closed form, its estimators and its bound, against known answers", claims=("C1", "C2", "C3", "C4")),
        "learners": Part(sentence="generated tasks of known dimension and resolution, two generic learners", claims=("C5",)),
        "noise": Part(sentence="digits with pixel noise", claims=("C6",)),
    }
    claims = CLAIMS
    placebos = {
        "C5": Placebo(kind="the bits permuted over the tasks, one permutation for both learners and all seeds; every net and error as it is", arm="bits permuted"),
        "C6": Placebo(
            kind="sigma 0 five times under the five names, noise seeds drawn all the same", arm="no noise",
            beside=(Placebo(kind="the five names permuted over the really noisy sets", arm="names permuted"),),
        ),
    }  # fmt: skip
    published = (
        *(Published(f"{name}, bits", f"{bits:.4g}", "bits", name) for name, bits in PAPER_BITS.items()),
    )  # fmt: skip
    deviations = (
        "C1 takes the paper's data parameters (n, R, m, delta); MNIST, SVHN, CIFAR-10, ImageNet and Omniglot themselves are not here. The number of Omniglot's support sets is that of its 30 background alphabets; any number between 1e20 and 1e50 gives the same to 0.3 %.",
        "C5 estimates the dimension from the inputs (rounded, as in the paper) and takes the resolution from the generator: the class margin of random bandlimited labels is set by the pair nearest to a boundary, not by the bandwidth. Bits that are clamped to 0 count as 1 bit.",
        "C6 keeps the dimension unrounded: steps of noise smaller than one dimension would otherwise tie.",
    )
    limits = (
        "The number is an upper bound relative to a huge space of hypotheses; it is not the description length of any network.",
        "Estimated dimension rises and class margin falls with the number of points: data sets of different size are not compared fairly unless subsampled to the same n.",
        "The dimension estimator falls short from m = 12 on (its values at 12 and 20 are among the records).",
    )
    calibration = "nothing was tuned: design, seeds and margins are the sheet's. One run of the generated tasks at seed 999 was looked at, errors included, to see that the learners fit"

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        size = {"scale": scale}
        made = [Cell(part="formula", condition=name, seed=seeds[0], settings=size) for name in ("worked values", "sweeps")]
        for seed in seeds:
            made += [
                *[Cell(part="formula", condition=f"sphere m={m}", seed=seed, settings={**size, "m": m}) for m in (*SPHERES, *HIGH_SPHERES)],
                Cell(part="formula", condition="circle", seed=seed, settings=size),
                Cell(part="learners", condition="generated tasks", seed=seed, settings=size),
                Cell(part="learners", condition="generated tasks", seed=seed, arms=("bits permuted",), settings={**size, "permuted": True}),
            ]  # fmt: skip
            for sigma in SIGMAS:
                named = f"sigma {sigma:g}"
                made += [
                    Cell(part="noise", condition=named, seed=seed, settings={**size, "sigma": sigma}),
                    Cell(part="noise", condition=named, seed=seed, arms=("no noise",), settings={**size, "sigma": 0.0}),
                    Cell(part="noise", condition=named, seed=seed, arms=("names permuted",), settings={**size, "sigma": SHUFFLED[sigma]}),
                ]
        return made

    def certify(self, scale: Scale) -> dict[str, int]:
        return {
            "generated tasks": Bandlimited(m=2, delta=0.5, train=SIZES[scale].rows, test=SIZES[scale].test).certify(
                Seed(WORD, "certificate")
            )
        }

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        size = SIZES[cell.settings["scale"]]
        kind = cell.condition.split(" ")[0] if cell.part == "formula" else cell.part
        return {"worked": _worked, "sweeps": _sweeps, "sphere": _sphere, "circle": _circle, "learners": _learners, "noise": _noise}[kind](
            cell, size
        )

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        return [*_error_figure(records), *_circle_figure(records), *_noise_figure(records)]


def _worked(cell: Cell, size: Size) -> list[Record]:
    found = {name: made.log10_bits for name, made in _paper_tasks().items()}
    records = [cell.record("bits", 10**value, "bits", condition=name) for name, value in found.items()]
    records += [
        cell.record("relative_error", abs(10 ** (value - np.log10(PAPER_BITS[name])) - 1), condition=name) for name, value in found.items()
    ]
    steps = [(a, b) for chain in CHAINS for a, b in itertools.pairwise(chain)]
    steps += [(name, "Omniglot") for name in found if name != "Omniglot"]
    return [*records, *[cell.record("order_step", found[b] - found[a], "decades", condition=f"{a} < {b}") for a, b in steps]]


def _paper_tasks() -> dict[str, Bits]:
    """The paper's tasks at its parameters."""
    images = {
        "MNIST": (60_000, 17.179045827183984, 14, 10, 2.3987084824335305, 0.001), "SVHN": (73_257, 53.86932485133339, 19, 10, 1.5766998174969105, 0.01),
        "CIFAR-10": (50_000, 54.9156786783691, 27, 10, 2.7506414616587023, 0.01), "ImageNet": (1_280_901, 943.5923, 48, 1_000, 65, 0.1),
    }  # fmt: skip
    control = {"Reacher": (6, 2), "Hopper": (15, 4), "Half-Cheetah": (17, 6)}
    return {
        **{name: inductive_bias_complexity(n, m, d, eps, radius=r, delta=delta) for name, (n, r, m, d, delta, eps) in images.items()},
        **{name: control_complexity(1e6, m, d, 0.001, 0.001) for name, (m, d) in control.items()},
        **{f"cart-pole T={t}": control_complexity(10_000, 2 * t, 1, 0.001, 0.001) for t in range(1, 6)},
        "Omniglot": few_shot_complexity(
            support_sets(OMNIGLOT), within=22, across=29, radius=49.4064773081425, delta=5.477225575051661, eps=0.01
        ),
    }


def _sweeps(cell: Cell, size: Size) -> list[Record]:
    def bits(m: int, delta: float) -> float:
        return inductive_bias_complexity(1_000, m, 2, 0.01, radius=1.0, delta=delta).log10_bits

    records = []
    for m in range(2, 7):
        slope = (bits(m, 0.01) - bits(m, 0.02)) / np.log10(2)
        records.append(cell.record("slope_less_m", slope - m, "exponent", condition=f"m={m}"))
        if m < 6:
            records.append(cell.record("growth_by_dimension", 10 ** (bits(m + 1, 0.125) - bits(m, 0.125)), "ratio", condition=f"m={m} to {m + 1}"))  # fmt: skip
    return records


def _sphere(cell: Cell, size: Size) -> list[Record]:
    m = cell.settings["m"]
    seed = Seed(WORD, "sphere", m, cell.seed)
    found = intrinsic_dimension(rotated(sphere(size.points, m, seed), 50, seed))
    return [
        cell.record("dimension", found.value, "dimensions", found.n),
        cell.record("dimension_ratio", found.value / m, "ratio", found.n),
    ]


def _circle(cell: Cell, size: Size) -> list[Record]:
    records = []
    for eps in (0.3, 0.1, 0.03):
        free, means = [], []
        for degree in (4, 8, 16):
            before = None
            for n in (2, 4, 8):
                # the same truths and angles for every eps, and none shared between values of n
                draws = [exact_on_circle(degree, n, eps, Seed(WORD, "circle", cell.seed, degree, n, k)) for k in range(size.draws)]
                exact, bound, where = float(np.mean(draws)), bound_on_circle(degree, n, eps), f"K={degree} n={n} eps={eps:g}"
                records += [
                    cell.record(name, value, unit, size.draws, condition=where, degree=degree, points=n, eps=eps)
                    for name, value, unit in (("exact", exact, "bits"), ("bound", bound, "bits"), ("bound_less_exact", bound - exact, "bits"), ("looseness", bound / exact, "ratio"))
                ]  # fmt: skip
                if before is not None:
                    records.append(cell.record("fall_with_n", before - exact, "bits", size.draws, condition=where))
                before = exact
                free.append(2 * degree + 1 - n)
                means.append(exact)
        records.append(cell.record("linear_r2", float(np.corrcoef(free, means)[0, 1] ** 2), condition=f"eps={eps:g}"))
    return records


# --- learners on generated tasks


def _tasks(size: Size) -> list[Bandlimited]:
    return [Bandlimited(m=m, delta=delta, train=size.rows, test=size.test) for m in (1, 2, 3, 4, 6) for delta in (1.0, 0.5, 0.25)]


def _learners(cell: Cell, size: Size) -> list[Record]:
    tasks = _tasks(size)
    # one permutation for all seeds and both learners: a task keeps its errors, and loses its bits
    order = Seed(WORD, "bits permuted").rng().permutation(len(tasks)) if cell.settings.get("permuted") else np.arange(len(tasks))
    splits = [task.make(Seed(WORD, "task", task.name, cell.seed)) for task in tasks]
    dimensions = [intrinsic_dimension(made["train"][0]).value for made in splits]
    bits = [
        inductive_bias_complexity(size.rows, max(1, round(m)), 2, 0.01, radius=task.radius, delta=task.delta)
        for task, m in zip(tasks, dimensions, strict=True)
    ]
    records = []
    for place, (task, made, m) in enumerate(zip(tasks, splits, dimensions, strict=True)):
        given = max(0.0, bits[order[place]].log10_bits)
        margin = class_margin(*made["train"]).value
        estimated = inductive_bias_complexity(size.rows, m, 2, 0.01, radius=radius(made["train"][0]), delta=margin)
        records += [
            cell.record("test_error", error, n=size.test, condition=learner, task=task.name, log10_bits=given)
            for learner, error in _errors(task, made).items()
        ]
        records += [
            cell.record(name, value, unit, size.rows, condition=task.name)
            for name, value, unit in (("dimension", m, "dimensions"), ("class_margin", margin, "distance"), ("log10_bits_all_estimated", max(0.0, estimated.log10_bits), "decades"))
        ]  # fmt: skip
    return records


def _errors(task: Bandlimited, made: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Test error of three nearest neighbours, and of a support vector machine with kernel width delta."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    (x, y), (test_x, test_y) = made["train"], made["test"]
    learners = {"k-NN": KNeighborsClassifier(3), "RBF SVM": SVC(gamma=1 / task.delta**2, C=10)}  # pyright: ignore[reportArgumentType]
    return {name: 1 - float(learner.fit(x, y).score(test_x, test_y)) for name, learner in learners.items()}


# --- noise


def _noise(cell: Cell, size: Size) -> list[Record]:
    x, y = digits()
    if size.mnist:
        from genscope.engine.cells import has_data
        from genscope.tasks.images import MNIST, mnist_test

        if has_data(MNIST):
            x, y = (part[:5_000] for part in mnist_test())
            x = x.reshape(len(x), -1)
    x, y = x[: size.images], y[: size.images]
    noisy = x + cell.settings["sigma"] * Seed(WORD, "pixel noise", cell.condition, cell.seed).rng().standard_normal(x.shape)
    m = intrinsic_dimension(noisy).value
    held = inductive_bias_complexity(len(x), m, 10, 0.01, radius=radius(x), delta=class_margin(x, y).value)
    own_radius, own_margin = radius(noisy), class_margin(noisy, y).value
    anew = inductive_bias_complexity(len(x), m, 10, 0.01, radius=own_radius, delta=own_margin)
    values = {
        "log10_bits": (held.log10_bits, "decades"), "log10_bits_all_estimated": (anew.log10_bits, "decades"), "dimension": (m, "dimensions"),
        "radius": (own_radius, "distance"), "class_margin": (own_margin, "distance"),
    }  # fmt: skip
    return [cell.record(name, value, unit, len(x)) for name, (value, unit) in values.items()]


# --- figures


def _error_figure(records: pl.DataFrame) -> list[Block]:
    import json

    import polars as pl

    from genscope.pages.scatter import scatter

    chosen = records.filter((pl.col("metric") == "test_error") & (pl.col("arm") == "claim"))
    rows = []
    for learner, error, factors, seed in chosen.select("condition", "value", "factors", "seed").rows():
        held = json.loads(factors)
        rows.append({"name": learner, "x": held["log10_bits"], "y": error, "detail": f"{held['task']}, seed {seed}"})
    return [scatter(rows, title="What the bits predict", x="bits of inductive bias (log10; 0 where the data suffice)", y="test error", caption="One point a task and seed; 0.5 is chance.")] if rows else []  # fmt: skip


def _circle_figure(records: pl.DataFrame) -> list[Block]:
    import json

    import polars as pl

    from genscope.pages.scatter import scatter

    chosen = records.filter(pl.col("metric").is_in(["exact", "bound"]) & (pl.col("arm") == "claim"))
    rows = []
    for metric, value, factors in chosen.select("metric", "value", "factors").unique(maintain_order=True).rows():
        held = json.loads(factors)
        if held["eps"] == 0.1:
            name = "closed form" if metric == "bound" else "exact, mean of draws"
            rows.append({"name": name, "x": 2 * held["degree"] + 1 - held["points"], "y": value, "detail": f"K={held['degree']} n={held['points']}"})  # fmt: skip
    return [scatter(rows, title="The bound on the circle", x="free dimensions, 2K + 1 − n", y="bits", caption="Wanted error 0.1. The closed form is an upper bound, three to seven times the exact value.")] if rows else []  # fmt: skip


def _noise_figure(records: pl.DataFrame) -> list[Block]:
    import polars as pl

    from genscope.pages.blocks import Prose
    from genscope.pages.study_charts import arms_by_condition

    part = records.filter(pl.col("part") == "noise")
    if not len(part):
        return []
    names = {"log10_bits": "margin and radius held", "log10_bits_all_estimated": "everything estimated anew"}
    chart = arms_by_condition(part.filter(pl.col("arm") == "claim"), names, title="Noise on digits", value="bits (log10)", domain=None, caption="Pixel noise of standard deviation sigma; one point a seed.")  # fmt: skip
    means = (
        part.filter((pl.col("arm") == "claim") & (pl.col("metric") == "log10_bits_all_estimated"))
        .group_by("condition", maintain_order=True)
        .agg(pl.col("value").mean())["value"]
        .to_list()
    )
    rises = all(b > a for a, b in itertools.pairwise(means))
    verdict = "rises with every step of noise too" if rises else "is not monotone in the noise: the class margin grows with it as well"
    return [chart, Prose([f"With every quantity estimated from the noisy data the number {verdict} (means {', '.join(f'{one:.1f}' for one in means)})."])]  # fmt: skip
