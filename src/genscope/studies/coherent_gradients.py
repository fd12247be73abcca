"""On the Generalization Mystery in Deep Learning (Chatterjee & Zielinski 2022): examples that share gradients are learned first and generalize.

Small fully connected nets on real digits with real, half random and random labels; coherence of all per-example gradients along training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.errors import TrainingError
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Scale, Study
from genscope.interventions.label_noise import adjusted_overfit, label_noise
from genscope.tasks.digits import digit_splits

if TYPE_CHECKING:
    import polars as pl
    import torch

    from genscope.models.nets import MLP
    from genscope.pages.blocks import Block

WORD = "coherent-gradients"
CLASSES = 10
TRANSIENT = 200
"""Steps in which coherence falls from its value at the initial weights, where outputs are nearly uniform."""


def _compare(metric: str, a: str, b: str, relation: Any, margin: Any) -> Clause:
    return Clause(metric=metric, contrast=("condition", a, b), pair=("seed",), relation=relation, margin=margin, test="paired_t")


def _fits(metric: str, condition: str, value: float, sentence: str) -> Precondition:
    return Precondition(metric=metric, select={"condition": condition}, relation=">=", value=value, reduce="min", sentence=sentence)


CLAIMS = (
    Claim(
        id="C14.1", kind="phenomenon", minimum_n=5, clauses=(_compare("log_m_coherence_midway", "real labels", "random labels", ">", float(np.log(2))),),
        preconditions=tuple(_fits("checkpoints_midway", c, 1, f"every run with {c} was measured between 20 % and 80 % training accuracy") for c in ("real labels", "random labels")),
        sentence="Real labels are more coherent than random ones: at the same fit, m-coherence is more than twice as high.",
    ),
    Claim(
        id="C14.2", kind="phenomenon", minimum_n=5,
        clauses=(Clause(metric="coherence_rises", select={"condition": "random labels"}, relation=">", margin=0.25, at_least=0.8, test="clopper_pearson"),),
        sentence="Coherence out of nothing: on random labels m-coherence at least doubles after the transient, to above 2, in at least 4 of 5 seeds.",
    ),
    Claim(
        id="C14.3", kind="phenomenon", minimum_n=5,
        clauses=(
            Clause(metric="learning_time_ratio", select={"condition": "half random labels"}, relation=">", margin=1.0, at_least=1.5, test="paired_t", pair=("seed",)),
            Clause(metric="pristine_share_excess", select={"condition": "half random labels"}, relation=">", margin=0.0, test="paired_t", pair=("seed",)),
        ),
        preconditions=(_fits("corrupt_accuracy", "half random labels", 0.9, "every run learns at least 90 % of the corrupt labels in the end"),),
        sentence="Pristine first: corrupt examples take at least 1.5 times as long to learn, and early steps come from pristine ones beyond their share.",
    ),
    Claim(
        id="C14.4", kind="phenomenon", minimum_n=5,
        clauses=(
            _compare("corrupt_accuracy", "SGD", "winsorized 8", ">", 0.2), _compare("corrupt_accuracy", "SGD", "RM3", ">", 0.2),
            _compare("test_accuracy", "winsorized 8", "SGD", "not worse than", 0.01), _compare("test_accuracy", "RM3", "SGD", "not worse than", 0.01),
            _compare("corrupt_accuracy", "RA3", "SGD", "within", (-0.1, 0.1)),
        ),
        preconditions=(_fits("corrupt_accuracy", "SGD", 0.9, "every SGD run fits at least 90 % of the corrupt labels"),),
        sentence="Suppression: clipping or taking medians of gradients cuts memorization by 20 points without loss of test accuracy; averaging does not.",
    ),
    Claim(
        id="C14.5", kind="phenomenon", minimum_n=5,
        clauses=(_compare("adjusted_overfit", "SGD", "winsorized 2", ">", 0.0), _compare("adjusted_overfit", "winsorized 2", "winsorized 8", ">", 0.0)),
        preconditions=(_fits("corrupt_accuracy", "SGD", 0.9, "every SGD run fits at least 90 % of the corrupt labels"),),
        sentence="The more is clipped the less is overfitted: adjusted overfit falls from c = 0 to 2 to 8.",
    ),
    Claim(
        id="C14.6", kind="phenomenon", minimum_n=5,
        clauses=(_compare("test_accuracy", "easy", "hard", ">", 0.0), _compare("log_m_coherence_at_half", "easy", "hard", ">", 0.0)),
        preconditions=tuple(_fits("train_accuracy", c, 0.95, f"every net of {c} examples fits 95 % of them") for c in ("easy", "hard")),
        sentence="Easy examples generalize better among themselves than hard ones, and their gradients are more coherent at the same fit.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a scale fixes. rows: training rows of the coherence part and of the suppression part; epochs and steps: most of each."""

    rows: int = 1_000
    width: int = 512
    real_epochs: int = 60
    noise_epochs: int = 600
    few_rows: int = 500
    few_width: int = 256
    updates: int = 3_000
    few_lr: float = 0.2
    short_steps: int = 200
    split_steps: int = 1_200


SIZES = {
    "smoke": Size(rows=200, width=64, real_epochs=20, noise_epochs=20, few_rows=100, few_width=32, updates=40, short_steps=40, split_steps=60),
    "standard": Size(), "extended": Size(noise_epochs=1_000, updates=6_000), "paper": Size(noise_epochs=1_000, updates=6_000),
}  # fmt: skip


class CoherentGradients(Study):
    """Gradient descent generalizes because examples of real data help each other (Chatterjee & Zielinski 2022)."""

    name = WORD
    paper = Paper(14, "2203.10036", "On the Generalization Mystery in Deep Learning", 2022, "Chatterjee, Zielinski")
    question = "Is my model learning what examples share, or memorizing them one by one?"
    answer = "Real examples help each other: their gradients agree, agreement is learned first, and suppressing what few examples support curbs memorization."
    card = Card(motivation="intrinsic", type="robustness", shift="label", source="generated shift", locus="train-test")
    extra = "train"
    fields = frozenset(
        {
            "memorization",
            "label noise",
            "gradients",
            "per-example gradients",
            "m-coherence",
            "noise scale",
            "batch size",
            "easy examples",
            "optimizer",
        }
    )
    parts = {
        "coherence": Part(sentence="m-coherence along training on real, half random and random labels", claims=("C14.1", "C14.2", "C14.3")),
        "suppression": Part(
            sentence="optimizers that suppress what few examples support, on half random labels", claims=("C14.4", "C14.5")
        ),
        "easy and hard": Part(sentence="nets trained on the examples that are learned early, or late", claims=("C14.6",)),
    }
    claims = CLAIMS
    placebos = {
        "C14.1": Placebo(kind="random labels in both arms (two draws)", arm="both random"),
        "C14.2": Placebo(kind="learning rate 0: everything is run and measured, and no weight moves", arm="no step"),
        "C14.3": Placebo(kind="the tags pristine and corrupt permuted over the examples of the same run", arm="tags permuted"),
        "C14.4": Placebo(kind="plain SGD under the names of the robust optimizers, each with its own order of batches", arm="plain"),
        "C14.5": Placebo(kind="plain SGD (c = 0) under every name, each with its own order of batches", arm="plain"),
        "C14.6": Placebo(kind="a random split of equal size and class balance instead of learning time", arm="random split"),
    }
    deviations = (
        "Digits of scikit-learn (1,000 training images of 8 x 8) and nets of one hidden layer; the paper uses MNIST and ImageNet, up to ResNets.",
        "Label noise permutes the labels of the chosen examples among themselves; only examples whose label really changed count as corrupt.",
        "An example that is never learned gets the last step as its learning time (a median of infinite times has no ratio).",
        "Easy and hard training examples are split at the median learning time of a short run inside each class; test examples, whose labels must not be used, at the median of the step from which the short run's prediction for them stays what it is at the end.",
        "C14.2 counts seeds: at least 4 of 5 (the estimate), and the lower end of the Clopper-Pearson interval above 0.25, which 4 of 5 just allows.",
    )  # fmt: skip
    limits = (
        "Nets and data are small; the paper's claims about ImageNet are not tested at this scale.",
        "Coherence is measured on training examples in evaluation mode, along the path of plain SGD.",
    )
    calibration = "600 epochs at most on noisy labels (400 left a net short of 95 % of the corrupt labels) and 3,000 updates in the suppression part (2,000 left SGD at 94.5 % of them): both only so that plain SGD surely fits 90 % of the corrupt labels"

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        made = []
        for seed in seeds:

            def cell(part: str, condition: str, arms: tuple[str, ...], **settings: Any) -> Cell:
                return Cell(part=part, condition=condition, seed=seed, arms=arms, settings={"scale": scale, **settings})  # noqa: B023

            made += [
                cell("coherence", "real labels", ("claim",), noise=0.0, draw=0),
                cell("coherence", "real labels", ("both random",), noise=1.0, draw=1),
                cell("coherence", "random labels", ("claim", "both random"), noise=1.0, draw=0),
                cell("coherence", "random labels", ("no step",), noise=1.0, draw=0, lr=0.0),
                cell("coherence", "half random labels", ("claim",), noise=0.5, draw=0),
                cell("coherence", "half random labels", ("tags permuted",), noise=0.5, draw=0, permute_tags=True),
                cell("suppression", "SGD", ("claim", "plain"), rule="sgd"), cell("suppression", "RA3", ("claim", "plain"), rule="ra3"),
                cell("suppression", "M3", ("claim",), rule="m3"),
                *[cell("suppression", name, (arm,), **settings) for name, real in (("winsorized 2", {"rule": "winsorize", "c": 2}), ("winsorized 8", {"rule": "winsorize", "c": 8}), ("RM3", {"rule": "rm3"}))
                  for arm, settings in (("claim", real), ("plain", {"rule": "sgd", "order": name}))],
                *[cell("easy and hard", half, (arm,), half=half, by=by) for half in ("easy", "hard") for arm, by in (("claim", "learning time"), ("random split", "chance"))],
            ]  # fmt: skip
        return made

    def certify(self, scale: Scale) -> dict[str, int]:
        from importlib.util import find_spec

        if find_spec("sklearn") is None:
            return {}
        train, _, test, _ = digit_splits(SIZES[scale].rows, Seed(WORD, "data", 0))
        return {"digits": len({row.tobytes() for row in train} & {row.tobytes() for row in test})}

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        size = SIZES[cell.settings["scale"]]
        return {"coherence": _run_coherence, "suppression": _run_suppression, "easy and hard": _run_half}[cell.part](cell, lab, size)

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        from genscope.studies.coherent_gradients_figures import figures

        return figures(records)


def _net(width: int) -> MLP:
    """One hidden layer, Xavier-normal weights, zero bias: the nets of the 2020 paper in small."""
    from genscope.models.nets import MLP

    return MLP(inputs=64, width=width, depth=1, outputs=CLASSES, init="xavier")


# --- coherence along training


def _run_coherence(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    key = [
        cell.seed,
        size.rows,
        size.width,
        size.real_epochs,
        size.noise_epochs,
        cell.settings["noise"],
        cell.settings["draw"],
        cell.settings.get("lr", 0.1),
    ]
    held, about = lab.keep("coherence run", key, lambda: _follow_coherence(cell, size))
    steps, c, accuracy = held["steps"], held["m_coherence"], held["accuracy"]
    records = [cell.record("m_coherence", float(one), "examples", size.rows, step=int(step)) for step, one in zip(steps, c, strict=True)]
    midway = (accuracy > 0.2) & (accuracy < 0.8)
    records += [
        cell.record("checkpoints_midway", float(midway.sum()), "count"), cell.record("final_accuracy", float(accuracy[-1]), n=size.rows),
        cell.record("log_m_coherence_midway", float(np.log(c[midway]).mean()) if midway.any() else None, "nats"), cell.record("steps", float(about["steps"]), "count"),
    ]  # fmt: skip
    if cell.condition == "random labels":
        early = steps <= TRANSIENT
        low_at = int(np.argmin(np.where(early, c, np.inf)))
        peak = float(c[low_at:].max())
        records += [
            cell.record("coherence_rises", float(peak >= 2 * c[low_at] and peak > 2)), cell.record("rise_ratio", peak / float(c[low_at]), "ratio"),
            cell.record("random_walk_rise_ratio", about["walk_ratio"], "ratio"),
        ]  # fmt: skip
    if cell.condition == "half random labels":
        corrupt = held["corrupt"]
        if cell.settings.get("permute_tags"):
            corrupt = Seed(WORD, "tags", cell.seed).rng().permutation(corrupt)
        records += _pristine_records(cell, held, corrupt, about["steps"]) + _group_records(cell, held, corrupt)
    return records


def _pristine_records(cell: Cell, held: dict[str, np.ndarray], corrupt: np.ndarray, last: int) -> list[Record]:
    from genscope.measures.coherence import learning_times

    steps = held["steps"]
    times = np.minimum(learning_times(held["correct"], steps.tolist())[1], last)
    pristine_part = held["share"][:, ~corrupt].sum(1) / held["share"].shape[1]
    early = np.arange(max(1, round(0.3 * last)) + 1)
    return [
        cell.record("learning_time_ratio", float(np.median(times[corrupt]) / max(1.0, np.median(times[~corrupt]))), "ratio"),
        cell.record("pristine_share_excess", float(np.interp(early, steps, pristine_part).mean() - (~corrupt).mean())),
        cell.record("corrupt_accuracy", float(held["correct"][-1][corrupt].mean()), n=int(corrupt.sum())),
        cell.record("pristine_share", float((~corrupt).mean()), n=len(corrupt)),
    ]


def _group_records(cell: Cell, held: dict[str, np.ndarray], corrupt: np.ndarray) -> list[Record]:
    """f^p and f^c at every checkpoint, and their cumulative help i^p and i^c (no claim)."""
    from genscope.measures.coherence import cumulative_help

    records = []
    for group, rows in (("pristine", ~corrupt), ("corrupt", corrupt)):
        part = held["share"][:, rows].sum(1) / held["share"].shape[1]
        help_so_far = cumulative_help(held["share"], held["grad_sq"], held["steps"], rows)
        for step, one, total in zip(held["steps"].tolist(), part, help_so_far, strict=True):
            records += [
                cell.record(f"{group}_share_of_step", float(one), step=step),
                cell.record(f"{group}_cumulative_help", float(total), "squared gradient x steps", int(rows.sum()), step=step),
            ]
    return records


def _follow_coherence(cell: Cell, size: Size) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """One run, measured at its checkpoints: C, accuracy, which examples are correct, and each example's share of the step."""
    from genscope.measures.coherence_path import CoherencePath
    from genscope.training.loop import checkpoints

    x, y, _, _ = digit_splits(size.rows, Seed(WORD, "data", cell.seed))
    noise, seed = cell.settings["noise"], Seed(WORD, "coherence", cell.seed)
    labels, corrupt = label_noise(y, noise, CLASSES, Seed(WORD, "noise", cell.seed, cell.settings["draw"]))
    epochs = size.real_epochs if noise == 0 else size.noise_epochs
    steps = epochs * (size.rows // 50)
    watcher = CoherencePath(_net(size.width), x, labels, seed.child("net"))
    made = watcher.train(cell.settings.get("lr", 0.1), steps, checkpoints(steps), seed.child(cell.settings["draw"], "order"), until=0.99)
    walk = watcher.random_walk(seed.child("walk"), TRANSIENT) if cell.condition == "random labels" else None
    return {**watcher.arrays(), "corrupt": corrupt}, {"steps": made, "walk_ratio": walk}


# --- suppression


def _run_suppression(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    import torch

    from genscope.training.loop import evaluate, follow

    x, y, test_x, test_y = digit_splits(size.few_rows, Seed(WORD, "data", cell.seed))
    labels, corrupt = label_noise(y, 0.5, CLASSES, Seed(WORD, "noise", cell.seed, "few"))
    rows, given = torch.from_numpy(x), torch.from_numpy(labels)
    net = _net(size.few_width).build(Seed(WORD, "few net", cell.seed))
    update = _update(net, cell.settings, size.few_lr)
    # three micro-batches of 17 come from one batch of 51; all others take batches of 50
    batch = 51 if cell.settings["rule"] == "m3" else 50
    order = Seed(WORD, "few order", cell.seed, cell.settings.get("order", ""))
    bad, path = torch.from_numpy(corrupt), []

    def look(step: int) -> bool:
        path.append((step, evaluate(net, rows[bad], given[bad])[1]))
        return False

    at = range(0, size.updates + 1, max(1, size.updates // 12))
    follow(net, rows, given, batch=batch, steps=size.updates, seed=order, update=update, look=look, at=at)
    loss, accuracy = evaluate(net, rows, given)
    if not np.isfinite(loss):
        raise TrainingError(f"the training loss is {loss} after {size.updates} updates")
    _, test_accuracy = evaluate(net, torch.from_numpy(test_x), torch.from_numpy(test_y))
    _, corrupt_accuracy = evaluate(net, rows[bad], given[bad])
    _, pristine_accuracy = evaluate(net, rows[~bad], given[~bad])
    overfit = adjusted_overfit(accuracy, test_accuracy, float(corrupt.mean()), CLASSES)
    return [
        cell.record("corrupt_accuracy", corrupt_accuracy, n=int(corrupt.sum())), cell.record("pristine_accuracy", pristine_accuracy, n=int((~corrupt).sum())),
        cell.record("train_accuracy", accuracy, n=len(y)), cell.record("test_accuracy", test_accuracy, n=len(test_y)), cell.record("adjusted_overfit", overfit),
        cell.record("train_loss", loss, "nats"), *[cell.record("corrupt_accuracy_on_the_way", value, n=int(corrupt.sum()), step=step) for step, value in path],
    ]  # fmt: skip


def _update(net: Any, settings: Any, lr: float) -> Any:
    """The update of a rule on one minibatch."""
    from torch.nn.functional import cross_entropy

    from genscope.interventions.median import M3, RA3, RM3
    from genscope.interventions.winsorize import WinsorizedSGD
    from genscope.measures.coherence import classification, per_example_gradients
    from genscope.training.loop import make_optimizer
    from genscope.training.recipe import Optimizer

    parameters, rule = list(net.parameters()), settings["rule"]
    if rule == "winsorize":
        clipped = WinsorizedSGD(parameters, lr, settings["c"])

        def winsorized(x: torch.Tensor, y: torch.Tensor) -> None:
            samples = per_example_gradients(net, classification, {"x": x, "y": y})
            for name, p in net.named_parameters():
                p.grad_sample = samples[name]
            clipped.step()

        return winsorized
    optimizer = {"rm3": RM3, "ra3": RA3, "m3": M3}[rule](parameters, lr) if rule != "sgd" else make_optimizer(Optimizer(lr=lr), parameters)

    def plain(x: torch.Tensor, y: torch.Tensor) -> None:
        for micro_x, micro_y in zip(x.chunk(3), y.chunk(3), strict=True) if rule == "m3" else [(x, y)]:
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(net(micro_x), micro_y).backward()
            optimizer.step()

    return plain


# --- easy and hard


def _run_half(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    import torch

    from genscope.measures.coherence_path import CoherencePath
    from genscope.training.loop import checkpoints, evaluate

    x, y, test_x, test_y = digit_splits(size.rows, Seed(WORD, "data", cell.seed))
    hardness, test_hardness = _hardness(cell, size, x, y, test_x)
    seed, wanted = Seed(WORD, "half", cell.seed, cell.settings["by"]), cell.settings["half"] == "hard"
    # test rows are balanced by their true class so that both halves have the same classes; hardness itself uses no test label
    rows, test_rows = (
        _half(h, labels, wanted, seed.child(name)) for h, labels, name in ((hardness, y, "train"), (test_hardness, test_y, "test"))
    )
    watcher = CoherencePath(_net(size.width), x[rows], y[rows], Seed(WORD, "half net", cell.seed))
    watcher.train(0.1, size.split_steps, checkpoints(size.split_steps), seed.child("order"), until=2.0)
    seen = watcher.arrays()
    half = int(np.argmax(seen["accuracy"] >= 0.5))
    _, accuracy = evaluate(watcher.net, torch.from_numpy(test_x[test_rows]), torch.from_numpy(test_y[test_rows]))
    return [
        cell.record("test_accuracy", accuracy, n=len(test_rows)), cell.record("train_accuracy", float(seen["accuracy"][-1]), n=len(rows)),
        cell.record("log_m_coherence_at_half", float(np.log(seen["m_coherence"][half])), "nats", len(rows)), cell.record("step_at_half", float(seen["steps"][half]), "count"),
    ]  # fmt: skip


def _hardness(cell: Cell, size: Size, x: np.ndarray, y: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Learning time of training rows in a short run, and for test rows the step from which the prediction stays as it is at the end; or chance."""
    import torch
    from torch.nn.functional import cross_entropy

    from genscope.measures.coherence import learning_times
    from genscope.training.loop import follow, logits_of, make_optimizer
    from genscope.training.recipe import Optimizer

    if cell.settings["by"] == "chance":
        rng = Seed(WORD, "random split", cell.seed).rng()
        return rng.random(len(x)), rng.random(len(test_x))
    net = _net(size.width).build(Seed(WORD, "short net", cell.seed))
    optimizer = make_optimizer(Optimizer(lr=0.1), list(net.parameters()))
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def update(rows: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(net(rows), labels).backward()
        optimizer.step()

    def look(step: int) -> bool:
        seen.append((logits_of(net, torch.from_numpy(x)).argmax(1).numpy(), logits_of(net, torch.from_numpy(test_x)).argmax(1).numpy()))
        return False

    at = list(range(size.short_steps + 1))
    follow(
        net,
        torch.from_numpy(x),
        torch.from_numpy(y),
        batch=50,
        steps=size.short_steps,
        seed=Seed(WORD, "short order", cell.seed),
        update=update,
        look=look,
        at=at,
    )
    train, test = (np.stack(part) for part in zip(*seen, strict=True))
    capped = [np.minimum(learning_times(held, at)[1], size.short_steps + 1) for held in (train == y, test == test[-1])]
    ties = Seed(WORD, "ties", cell.seed).rng()
    return capped[0] + 0.5 * ties.random(len(x)), capped[1] + 0.5 * ties.random(len(test_x))


def _half(hardness: np.ndarray, labels: np.ndarray, hard: bool, seed: Seed) -> np.ndarray:
    """Rows of the easier or harder half of every class (its middle row is left out where the class is odd)."""
    chosen = []
    for label in range(CLASSES):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(hardness[rows], kind="stable")]
        half = len(rows) // 2
        chosen.append(rows[-half:] if hard else rows[:half])
    return seed.rng().permutation(np.concatenate(chosen))
