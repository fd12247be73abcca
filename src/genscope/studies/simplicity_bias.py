"""The Pitfalls of Simplicity Bias in Neural Networks (Shah et al. 2020): a network uses the simplest feature only, though others predict as well.

Data in which several features each predict the label perfectly; after training, features are randomised one block at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab, predictor
from genscope.engine.study import Cell, Paper, Part, Placebo, Published, Scale, Study
from genscope.interventions.ensemble import average
from genscope.measures.block_randomization import (
    QUANTILES,
    Block,
    Columns,
    Predict,
    Region,
    block_randomized_scores,
    dependence_profile,
    positive_scores,
    scores,
)  # fmt: skip
from genscope.measures.perturbation import perturbation_share, svd_direction, universal_accuracy
from genscope.tasks import dominoes, slabs
from genscope.tasks.images import MNIST, cifar10, mnist_test, mnist_train

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block as PageBlock
    from genscope.training.recipe import Recipe

WORD = "simplicity-bias"


def _mean(metric: str, condition: str, relation: Any, margin: Any) -> Clause:
    return Clause(metric=metric, select={"condition": condition}, relation=relation, margin=margin, test="paired_t", pair=("seed",))


def _trained(metric: str, condition: str, value: float, sentence: str) -> Precondition:
    return Precondition(metric=metric, select={"condition": condition}, relation=">=", value=value, reduce="min", sentence=sentence)


def _reliance(condition: str) -> tuple[Clause, ...]:
    return (
        _mean("standard_auc", condition, ">", 0.99),
        _mean("block_auc", condition, "within", (0.45, 0.55)),
        _mean("auc_lost_without_rest", condition, "<", 0.02),
    )


CLAIMS = (
    Claim(
        id="C31.1", kind="phenomenon", minimum_n=5, clauses=(*_reliance("LMS-5"), *_reliance("MS-(5,7)")),
        preconditions=tuple(_trained("standard_auc", c, 0.99, f"every {c} model solves its data (AUC at least 0.99)") for c in ("LMS-5", "MS-(5,7)")),
        sentence="Extreme reliance: with the simplest feature randomised the network is at chance, with all others randomised it loses nothing.",
    ),
    Claim(
        id="C31.2", kind="phenomenon", minimum_n=5,
        clauses=(
            _mean("standard_accuracy", "noisy LMS-7", "within", (0.93, 0.965)),
            _mean("accuracy_lost_without_rest", "noisy LMS-7", "within", (-0.01, 0.01)),
            _mean("standard_accuracy", "MS-7", ">", 0.99),
            Clause(metric="standard_accuracy", contrast=("condition", "MS-7", "noisy LMS-7"), pair=("seed",), relation=">", margin=0.02, test="paired_t"),
        ),
        sentence="It hurts in distribution: a noisy simple feature caps accuracy at 95 %, although the other features alone give 100 %.",
    ),
    Claim(
        id="C31.3", kind="phenomenon", minimum_n=5,
        clauses=(_mean("standard_auc", "dominoes", ">", 0.99), _mean("auc_gap", "dominoes", ">", 0.25)),
        preconditions=(Precondition(metric="standard_accuracy", select={"condition": "bottom alone"}, relation=">=", value=0.93, sentence="the ignored block is usable: a model of {7, 9} alone reaches accuracy 0.93"),),
        sentence="On real images too: over {0,1} above {7,9}, the network leans on the simpler block by at least 25 points of AUC.",
    ),
    Claim(
        id="C31.4", kind="phenomenon", minimum_n=5,
        clauses=(
            _mean("pgd_accuracy", "LMS-5", "<", 0.05), _mean("pgd_share", "LMS-5", ">", 0.95),
            _mean("uap_accuracy", "LMS-5", "<", 0.2), _mean("uap_share", "LMS-5", ">", 0.9),
        ),
        preconditions=(_trained("standard_auc", "LMS-5", 0.99, "every LMS-5 model solves its data (AUC at least 0.99)"),),
        sentence="Adversarial perturbations follow the bias: they lie on the simplest feature, and one universal perturbation fools the model.",
    ),
    Claim(
        id="C31.5", kind="phenomenon", minimum_n=5,
        clauses=(_mean("block_auc", "LMS-5 ensemble", "within", (0.47, 0.53)), _mean("block_auc_change", "LMS-5 ensemble", "within", (-0.03, 0.03))),
        preconditions=(_trained("standard_auc", "LMS-5 ensemble", 0.99, "every ensemble solves its data (AUC at least 0.99)"),),
        sentence="Ensembles do not help: the average of three networks relies on the simplest feature as a single one does.",
    ),
    Claim(
        id="C31.6", kind="phenomenon", minimum_n=5, clauses=(_mean("auc_gap", "dominoes, adversarial", ">", 0.25),),
        preconditions=(
            _trained("standard_auc", "dominoes, adversarial", 0.95, "every adversarially trained model has clean AUC at least 0.95"),
            _trained("adversarial_train_accuracy", "dominoes, adversarial", 0.9, "every one reaches adversarial training accuracy 0.9"),
        ),
        sentence="Adversarial training does not help: the robust network still leans on the simpler block by at least 25 points of AUC.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a scale fixes: coordinates, rows, and most updates of each training; adversarial training's radius and updates."""

    dim: int
    rows: int
    noisy_rows: int
    test_rows: int
    lms5: int
    plateau: int
    noisy: int
    ms7: int
    dominoes: int
    adversarial: int
    eps: float
    members: int = 3
    resnet: bool = False


SIZES: Mapping[str, Size] = {
    "smoke": Size(dim=8, rows=4_000, noisy_rows=4_000, test_rows=1_000, lms5=300, plateau=300, noisy=200, ms7=200, dominoes=40, adversarial=20, eps=0.15),
    "standard": Size(dim=50, rows=50_000, noisy_rows=40_000, test_rows=10_000, lms5=6_000, plateau=30_000, noisy=10_000, ms7=15_000, dominoes=300, adversarial=800, eps=0.15),
    "extended": Size(dim=50, rows=100_000, noisy_rows=40_000, test_rows=50_000, lms5=30_000, plateau=60_000, noisy=40_000, ms7=40_000, dominoes=600, adversarial=3_000, eps=0.15),
    "paper": Size(dim=50, rows=100_000, noisy_rows=40_000, test_rows=50_000, lms5=30_000, plateau=60_000, noisy=40_000, ms7=40_000, dominoes=600, adversarial=10_000, eps=0.3, resnet=True),
}  # fmt: skip


class SimplicityBias(Study):
    """Networks latch on to the simplest feature even when complex ones are fully predictive (Shah et al. 2020)."""

    name = WORD
    paper = Paper(
        31, "2006.07710", "The Pitfalls of Simplicity Bias in Neural Networks", 2020, "Shah, Tamuly, Raghunathan, Jain, Netrapalli"
    )
    question = "Does my network use all the evidence, or only the simplest feature?"
    answer = "Networks trained by SGD rely on the simplest predictive feature alone; ensembles and adversarial training do not change that."
    card = slabs.CARD
    extra = "train"
    fields = frozenset(
        {
            "shortcut",
            "spurious",
            "robustness",
            "features",
            "ensembles",
            "adversarial training",
            "universal perturbation",
            "tabular",
            "images",
        }
    )
    parts = {
        "slabs": Part(sentence="tabular data with features of measured simplicity", claims=("C31.1", "C31.2", "C31.4", "C31.5")),
        "dominoes": Part(sentence="two digit images stacked, a simple pair above a harder one", claims=("C31.3", "C31.6"), data=(MNIST,)),
    }
    claims = CLAIMS
    placebos = {
        "C31.1": Placebo(kind="LMS-5: the linear coordinate is drawn independently of the label; MS-(5,7): the block is one seven-slab of the claim's own model, drawn by seed", arm="neutral"),
        "C31.2": Placebo(kind="no noise: LMS-7 in place of noisy LMS-7, same rows and updates", arm="no noise"),
        "C31.3": Placebo(kind="the upper block agrees with the label half of the time", arm="neutral"),
        "C31.4": Placebo(kind="LMS-5 whose linear coordinate is drawn independently of the label", arm="neutral"),
        "C31.5": Placebo(kind="LMS-5 whose linear coordinate is drawn independently of the label, single models and averages of three", arm="neutral"),
        "C31.6": Placebo(kind="the upper block agrees with the label half of the time, same adversarial training", arm="neutral"),
    }  # fmt: skip
    published = (
        Published("LMS-5, standard AUC", "1.000", "standard_auc", "LMS-5"),
        Published("LMS-5, linear coordinate randomised", "0.507", "block_auc", "LMS-5"),
        Published("LMS-5, slabs randomised", "1.000", "rest_auc", "LMS-5"),
        Published("MS-(5,7), standard AUC", "1.000", "standard_auc", "MS-(5,7)"),
        Published("MS-(5,7), five-slab randomised", "0.502", "block_auc", "MS-(5,7)"),
        Published("MS-(5,7), seven-slabs randomised", "1.000", "rest_auc", "MS-(5,7)"),
        Published("noisy LMS-7, test accuracy", "0.949", "standard_accuracy", "noisy LMS-7"),
        Published("noisy LMS-7, slabs randomised, accuracy", "0.949", "rest_accuracy", "noisy LMS-7"),
        Published("MS-7, test accuracy", "1.000", "standard_accuracy", "MS-7"),
        Published("LMS-5 ensemble, linear coordinate randomised", "0.507", "block_auc", "LMS-5 ensemble"),
        Published("LMS-5, accuracy under l_2 PGD", "0.000", "pgd_accuracy", "LMS-5"),
        Published("LMS-5, budget share of PGD on the linear coordinate", "0.997", "pgd_share", "LMS-5"),
        Published("LMS-5, accuracy under the SVD universal perturbation", "0.007", "uap_accuracy", "LMS-5"),
        Published("dominoes, simple block randomised (paper: MNIST over CIFAR, ResNet-50)", "0.494", "block_auc", "dominoes"),
        Published(
            "dominoes, adversarial training, simple block randomised (paper: MNIST over CIFAR)",
            "0.508",
            "block_auc",
            "dominoes, adversarial",
        ),
    )
    deviations = (
        "Dominoes pair MNIST {0,1} with MNIST {7,9} (test images, split before pairing) and a small convolutional network; the paper pairs MNIST with CIFAR-10 and trains a ResNet-50.",
        "Slab data has 50,000 training rows (40,000 where noisy), the paper 100,000. LMS-5 trains 6,000 updates and noisy LMS-7 10,000; MS-(5,7), MS-7 and the placebo of LMS-5 until the training loss is below 0.05, at most 30,000 (MS-7: 15,000).",
        "Perturbations attack the (100,2) network of C31.1; the paper's universal perturbations attack a (200,1) network.",
        "Intervals are paired t over seeds, which redraw data, rotation, weights and order.",
        "Adversarial training on the CPU: eps 0.15, raised linearly over the first half; the paper: eps 0.3 for 200 epochs.",
    )
    limits = (
        "Slab features are made up; how simple the features of your data are is not known here.",
        "{7,9} is itself close to linear, so the gap on dominoes is expected to be smaller than with CIFAR-10 below.",
    )
    calibration = "slab part: nothing (the paper's models and learning rates trained as they are). Dominoes: 800 updates of adversarial training, at which claim and placebo arm reach clean AUC 0.95 and adversarial training accuracy 0.9"

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        size = {"scale": scale}
        made = []
        for seed in seeds:
            made += [
                Cell(part="slabs", condition="LMS-5", seed=seed, settings=size),
                Cell(part="slabs", condition="LMS-5", seed=seed, arms=("neutral",), settings={**size, "neutral": True}),
                Cell(part="slabs", condition="MS-(5,7)", seed=seed, settings=size),
                Cell(part="slabs", condition="MS-(5,7)", seed=seed, arms=("neutral",), settings={**size, "one_of_the_rest": True}),
                Cell(part="slabs", condition="noisy LMS-7", seed=seed, settings={**size, "noise": 0.1}),
                Cell(part="slabs", condition="noisy LMS-7", seed=seed, arms=("no noise",), settings={**size, "noise": 0.0}),
                Cell(part="slabs", condition="MS-7", seed=seed, arms=("claim", "no noise"), settings=size),
                Cell(part="dominoes", condition="bottom alone", seed=seed, arms=("claim", "neutral"), settings=size),
                *[Cell(part="dominoes", condition=condition, seed=seed, arms=(arm,), settings={**size, "agreement": agreement})
                  for condition in ("dominoes", "dominoes, adversarial") for arm, agreement in (("claim", 1.0), ("neutral", 0.5))],
            ]  # fmt: skip
        return made

    def certify(self, scale: Scale) -> dict[str, int]:
        from genscope.engine.cells import has_data

        size = replace(SIZES[scale], rows=4_000, test_rows=4_000)
        shared = {"LMS-5": _lms5(size).certify(Seed(WORD, "certificate")).shared_examples}
        if has_data(MNIST):
            shared["dominoes"] = dominoes.Dominoes().certify(mnist_test()[1], Seed(WORD, "dominoes", 0)).shared_elements
        return shared

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        return (_run_slabs if cell.part == "slabs" else _run_dominoes)(cell, lab, SIZES[cell.settings["scale"]])

    def figures(self, records: pl.DataFrame) -> Sequence[PageBlock]:
        from genscope.studies.simplicity_bias_figures import figures

        return figures(records)


# --- slabs


def _lms5(size: Size, neutral: bool = False) -> slabs.Slabs:
    return slabs.lms(5, size.dim, train_rows=size.rows, test_rows=size.test_rows, neutral=(0,) if neutral else ())


def _slab_task(cell: Cell, size: Size) -> slabs.Slabs:
    noisy = {"train_rows": size.noisy_rows, "test_rows": size.test_rows}
    if cell.condition == "LMS-5":
        return _lms5(size, bool(cell.settings.get("neutral")))
    if cell.condition == "MS-(5,7)":
        return slabs.ms57(size.dim, train_rows=size.rows, test_rows=size.test_rows)
    if cell.condition == "MS-7":
        return slabs.ms7(size.dim, **noisy)
    return slabs.lms(7, size.dim, noise={0: cell.settings["noise"]} if cell.settings["noise"] else {}, **noisy)


def _slab_recipe(cell: Cell, size: Size, task: slabs.Slabs, member: int = 0) -> Recipe:
    """The paper's table of models and learning rates (its section 4 and appendix)."""
    from genscope.models.nets import MLP
    from genscope.training.recipe import Optimizer, Recipe, Stop

    wide = cell.condition in ("noisy LMS-7", "MS-7")
    momentum, decay = (0.9, 5e-4) if wide else (0.0, 5e-5)
    updates = {"LMS-5": size.plateau if cell.settings.get("neutral") else size.lms5, "MS-(5,7)": size.plateau, "MS-7": size.ms7}.get(
        cell.condition, size.noisy
    )
    stop = Stop(every=500, loss_below=None if cell.condition in ("noisy LMS-7", "LMS-5") and not cell.settings.get("neutral") else 0.05)
    return Recipe(
        net=MLP(inputs=task.dim, width=300 if wide else 100, depth=2), data=[task, cell.seed], updates=updates, stop=stop, seed=Seed(WORD, "model", cell.condition, cell.seed, member),
        optimizer=Optimizer(lr=0.3 if cell.condition == "MS-7" else 0.1, momentum=momentum, weight_decay=decay),
    )  # fmt: skip


def _run_slabs(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    task = _slab_task(cell, size)
    data = task.make(Seed(WORD, "data", cell.condition, cell.seed))
    trained = lab.train(_slab_recipe(cell, size, task), lambda _: (data.train_x, data.train_y))
    predict = predictor(trained.net)
    block = Columns(_block_columns(cell, task), data.rotation)
    records = [
        *_score_records(cell, predict, data.test_x, data.test_y, block),
        *_positive_records(cell, predict, data.test_x, data.test_y, block),
        cell.record("train_accuracy", trained.accuracy, n=len(data.train_x)),
        cell.record("train_loss", trained.loss, "nats", len(data.train_x)),
        cell.record("updates", trained.updates, "count"),
    ]
    if cell.condition == "LMS-5":
        records += _perturbation_records(cell, trained.net, predict, data)
        records += _ensemble_records(cell, lab, size, task, data, predict, block)
    if cell.condition in ("LMS-5", "MS-(5,7)") and "claim" in cell.arms:
        profile = dependence_profile(predict, data.test_x, data.test_y, data.rotation, Seed(WORD, "dependence", cell.seed))
        for k, (area, accuracy) in enumerate(profile):
            records += [cell.record("coordinate_auc", area, coordinate=k), cell.record("coordinate_accuracy", accuracy, coordinate=k)]
    return records


def _block_columns(cell: Cell, task: slabs.Slabs) -> tuple[int, ...]:
    """The simplest coordinate; in the placebo of MS-(5,7) one of the others, drawn by seed."""
    if cell.settings.get("one_of_the_rest"):
        return (int(Seed(WORD, "which slab", cell.seed).rng().integers(1, task.dim)),)
    return (0,)


def _score_records(cell: Cell, predict: Predict, x: np.ndarray, y: np.ndarray, block: Block, condition: str | None = None) -> list[Record]:
    found = block_randomized_scores(predict, x, y, block, Seed(WORD, "randomise", cell.part, cell.condition, cell.seed))
    values = {
        "standard_auc": found.standard_auc, "standard_accuracy": found.standard_accuracy, "block_auc": found.block_auc, "block_accuracy": found.block_accuracy,
        "rest_auc": found.rest_auc, "rest_accuracy": found.rest_accuracy, "auc_lost_without_rest": found.standard_auc - found.rest_auc,
        "accuracy_lost_without_rest": found.standard_accuracy - found.rest_accuracy, "auc_gap": found.rest_auc - found.block_auc,
    }  # fmt: skip
    return [cell.record(name, value, n=len(x), condition=condition) for name, value in values.items()]


def _positive_records(cell: Cell, predict: Predict, x: np.ndarray, y: np.ndarray, block: Block) -> list[Record]:
    """How the scores of positive rows are spread (no claim)."""
    found = positive_scores(predict, x, y, block, Seed(WORD, "positive scores", cell.condition, cell.seed))
    return [
        cell.record("positive_score", float(value), "logit difference", int((y == 1).sum()), rows=rows, quantile=quantile)
        for rows, values in found.items()
        for quantile, value in zip(QUANTILES, values, strict=True)
    ]


def _perturbation_records(cell: Cell, net: Any, predict: Predict, data: slabs.SlabSplits, rows: int = 2_000) -> list[Record]:
    import torch

    from genscope.training.attacks import paper_l2

    x, y = data.test_x[:rows], data.test_y[:rows]
    attack = paper_l2(float(data.train_x.min()), float(data.train_x.max()))
    delta = attack.delta(net, torch.from_numpy(x), torch.from_numpy(y)).numpy()
    direction = svd_direction(delta)
    rest = slice(rows, 2 * rows)
    values = {
        "pgd_accuracy": scores(predict(x + delta), y)[1], "pgd_share": perturbation_share(delta, (0,), data.rotation),
        # the direction is found on some test rows and applied to others
        "uap_accuracy": universal_accuracy(predict, data.test_x[rest], data.test_y[rest], direction, 1.0) if len(data.test_x) >= 2 * rows else universal_accuracy(predict, x, y, direction, 1.0),
        "uap_share": perturbation_share(direction[None, :], (0,), data.rotation),
    }  # fmt: skip
    return [cell.record(name, value, n=len(x)) for name, value in values.items()]


def _ensemble_records(
    cell: Cell, lab: Lab, size: Size, task: slabs.Slabs, data: slabs.SlabSplits, single: Predict, block: Block
) -> list[Record]:
    nets = [lab.train(_slab_recipe(cell, size, task, member), lambda _: (data.train_x, data.train_y)).net for member in range(size.members)]
    together = average([predictor(net) for net in nets])
    records = _score_records(cell, together, data.test_x, data.test_y, block, condition="LMS-5 ensemble")
    seed = Seed(WORD, "randomise", cell.part, cell.condition, cell.seed)
    together_auc = sum(one.value or 0.0 for one in records if one.metric == "block_auc")
    change = together_auc - block_randomized_scores(single, data.test_x, data.test_y, block, seed).block_auc
    return [*records, cell.record("block_auc_change", change, n=len(data.test_x), condition="LMS-5 ensemble")]


# --- dominoes


def _pictures(size: Size) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """(images, classes) of the upper block, and of the lower block where it is another set: at scale `paper` MNIST in three channels over CIFAR-10."""
    if not size.resnet:
        return *mnist_test(), None
    images, labels = mnist_train()
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    return np.repeat(padded[:, None], 3, axis=1), labels, cifar10()


def _dominoes_recipe(cell: Cell, size: Size, data: Any, height: int) -> Recipe:
    from genscope.models.nets import ResNet, SmallConv
    from genscope.training.attacks import Attack
    from genscope.training.recipe import Optimizer, Recipe, Stop

    adversarial = cell.condition == "dominoes, adversarial"
    attack = Attack(norm="linf", eps=size.eps, step=0.4 * size.eps, iterations=7 if size.resnet else 5, low=0.0, high=1.0, noise=1e-3)
    return Recipe(
        net=ResNet() if size.resnet else SmallConv(height=height), data=data, batch=256 if size.resnet else 128,
        optimizer=Optimizer(lr=0.05, weight_decay=5e-5) if size.resnet else Optimizer(kind="adam", lr=1e-3),
        updates=size.adversarial if adversarial else size.dominoes, adversary=attack if adversarial else None, seed=Seed(WORD, "model", cell.condition, cell.seed),
        stop=Stop(every=10, accuracy_at_least=None if adversarial else 0.995),
    )  # fmt: skip


def _run_dominoes(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    alone = cell.condition == "bottom alone"
    task = dominoes.Dominoes(agreement=cell.settings.get("agreement", 1.0), bottom=(1, 9) if size.resnet else (7, 9))
    images, labels, below = _pictures(size)
    splits = task.make(images, labels, Seed(WORD, "dominoes", cell.seed), below)
    side = images.shape[-1]
    if alone:
        splits = {name: (x[..., side:, :], y) for name, (x, y) in splits.items()}
    (x, y), (test_x, test_y) = splits["train"], splits["test"]
    recipe = _dominoes_recipe(cell, size, [task, alone, cell.seed], x.shape[-2])
    trained = lab.train(recipe, lambda _: (x, y))
    predict = predictor(trained.net)
    train_records = [cell.record("train_accuracy", trained.accuracy, n=len(x)), cell.record("updates", trained.updates, "count")]
    if alone:
        area, accuracy = scores(predict(test_x), test_y)
        return [*train_records, cell.record("standard_auc", area, n=len(test_x)), cell.record("standard_accuracy", accuracy, n=len(test_x))]
    top = np.zeros((2 * side, side), bool)
    top[:side] = True
    records = [*train_records, *_score_records(cell, predict, test_x, test_y, Region(top))]
    return [*records, *(_robust_records(cell, trained.net, recipe.adversary, splits) if recipe.adversary else [])]


def _robust_records(cell: Cell, net: Any, attack: Any, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[Record]:
    import torch

    from genscope.models.nets import generator

    records = []
    for split in ("train", "test"):
        x, y = (torch.from_numpy(part) for part in splits[split])
        moved = (x + attack.delta(net, x, y, generator=generator(Seed(WORD, "attack", cell.condition, cell.seed, split)))).numpy()
        records.append(cell.record(f"adversarial_{split}_accuracy", scores(predictor(net)(moved), splits[split][1])[1], n=len(x)))
    return records
