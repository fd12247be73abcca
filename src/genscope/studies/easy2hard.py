"""Easy2Hard-Bench (Ding et al. 2024): difficulty of items from who solved what, and how models fare and transfer along it.

Difficulties by item response theory and Glicko-2, on records with known difficulty and on a real pool of 64 small solvers; then profiles of solvers that
took no part in the estimate, training on one difficulty and testing on another, and a language model on sentences of known hardness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.core.stats import spearman
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Scale, Study
from genscope.measures.difficulty_agreement import agreement
from genscope.measures.difficulty_profile import difficulty_profile
from genscope.measures.difficulty_reliability import reliability
from genscope.measures.generalization_matrix import difficulty_bins, generalization_matrix, random_bins
from genscope.measures.glicko2 import difficulty_glicko2
from genscope.measures.irt import difficulty_irt
from genscope.tasks.attempts import simulate
from genscope.tasks.blanks import EXPLANATION_HARDNESS, Blank, known_hardness, twins
from genscope.tasks.responses import ResponseRecord

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block

WORD = "easy2hard"
MODEL = "smollm2?template=none"
"""Asked without its chat template: partial scoring is of plain text."""


def _mean(metric: str, condition: str, relation: Any, margin: Any) -> Clause:
    return Clause(metric=metric, select={"condition": condition}, relation=relation, margin=margin, test="paired_t", pair=("seed",))


CLAIMS = (
    Claim(
        id="C1", kind="instrument", minimum_n=5,
        clauses=(_mean("irt_truth", "complete", ">", 0.95), _mean("rmse", "complete", "<", 0.45), _mean("coverage", "complete", "within", (0.88, 0.99))),
        sentence="Recovery: from a complete record of 60 solvers and 300 items the 1PL finds the true difficulties (rank correlation at least .95, error at most .45 logits, honest intervals).",
    ),
    Claim(
        id="C2", kind="phenomenon", minimum_n=5,
        clauses=(_mean("irt_minus_raw", "attempts", ">", 0.10), _mean("glicko2_minus_raw", "attempts", ">", 0.08)),
        preconditions=(Precondition(metric="share_attempted", select={"condition": "attempts"}, relation=">=", value=0.3, sentence="at least 30 % of the pairs were attempted"),),
        sentence="The model is worth it: where people try what is near their level, IRT and Glicko-2 rank difficulty better than the share of wrong answers, by at least .10 and .08.",
    ),
    Claim(
        id="C3", kind="instrument", minimum_n=5, clauses=(_mean("irt_glicko2", "complete", ">", 0.95), _mean("irt_glicko2", "digits", ">", 0.90)),
        sentence="Two engines, one scale: IRT and Glicko-2 difficulties agree (rank correlation at least .95 on the complete record, .90 on a real pool).",
    ),
    Claim(
        id="C4", kind="phenomenon", minimum_n=5, clauses=(_mean("families_falling", "digits", ">", 6.99), _mean("quintile_gap", "digits", ">", 0.15)),
        preconditions=(Precondition(metric="held_out_accuracy", select={"condition": "digits"}, relation=">=", value=0.5, sentence="held-out solvers are right on at least half of the items"),),
        sentence="Solvers of a family that took no part in the estimate get worse as items get harder: in at least 7 of 8 families, and by at least 15 points from the easiest to the hardest fifth.",
    ),
    Claim(
        id="C5", kind="phenomenon", minimum_n=5,
        clauses=(_mean("diagonal_gap", "matrix", ">", 0.0), _mean("easy_to_hard_loss", "matrix", ">", 0.15), _mean("easy_minus_hard_loss", "matrix", ">", 0.0)),
        preconditions=(Precondition(metric="short_of_claim", select={"condition": "matrix"}, relation="<=", value=0.10, sentence="accuracy is at most 10 points below the mean of the claim's diagonal"),),
        sentence="Training on easy items does not carry to hard ones: it costs at least 15 points there, more than training on hard items costs on easy ones.",
    ),
    Claim(
        id="C6", kind="phenomenon", minimum_n=900,
        clauses=(Clause(metric="right", contrast=("condition", "easy", "hard"), relation=">", margin=0.0, test="bootstrap_t", cluster=("factors",)),),
        sentence="A language model follows known hardness: it is right more often on easy than on hard sentences with a blank.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a scale fixes: simulated solvers and items, bootstrap draws, halvings, sentences of each hardness (0: all 500), updates of the small networks, and the model."""

    solvers: int = 60
    items: int = 300
    draws: int = 1_000
    halvings: int = 5
    sentences: int = 0
    steps: tuple[int, ...] = (5, 10, 20, 40, 80, 160, 320)
    widths: tuple[int, ...] = (8, 32)
    runs: int = 4
    model: str = MODEL


SIZES: Mapping[str, Size] = {
    "smoke": Size(solvers=40, items=120, draws=100, halvings=1, sentences=8, steps=(5, 20, 80), widths=(8,), runs=4),
    "standard": Size(),
    "extended": Size(draws=4_000, halvings=20, runs=8),
    "paper": Size(draws=4_000, halvings=20, runs=8, model="hf:HuggingFaceTB/SmolLM2-1.7B?template=none"),
}


class Easy2Hard(Study):
    """Standard difficulty labels and difficulty profiles (Ding et al. 2024)."""

    name = WORD
    paper = Paper(
        4, "2409.18433", "Easy2Hard-Bench: Standardized Difficulty Labels for Profiling LLM Performance and Generalization", 2024,
        "Ding, Deng, Choo, Wu, Agrawal, Schwarzschild, Zhou, Goldstein, Langford, Anandkumar, Huang",
    )  # fmt: skip
    question = "How hard is each item, and how does a model fare from easy to hard?"
    answer = "Who solved what gives every item a difficulty with an uncertainty; solvers that took no part in the estimate fall along it, and training on easy items does not carry to hard ones."
    card = Card(motivation="practical", type="robustness", shift="covariate", source="partitioned natural", locus="train-test")
    extra = "train"
    fields = frozenset(
        {
            "difficulty",
            "item response theory",
            "IRT",
            "Glicko-2",
            "rating",
            "easy to hard",
            "profile",
            "reliability",
            "psychometrics",
            "curriculum",
        }
    )
    parts = {
        "records": Part(
            sentence="difficulties from simulated and real response records, profiles and transfer of small solvers",
            claims=("C1", "C2", "C3", "C4", "C5"),
        ),
        "language-model": Part(sentence="a language model on sentences of known hardness", claims=("C6",), data=(EXPLANATION_HARDNESS,)),
    }
    claims = CLAIMS
    placebos = {
        "C2": Placebo(kind="every item keeps its number of attempts, but who made them is drawn at random", arm="random attempts"),
        "C4": Placebo(kind="difficulties permuted over the items after the fit", arm="permuted difficulties"),
        "C5": Placebo(kind="bins of the same size drawn at random over the items", arm="random bins"),
        "C6": Placebo(kind="easy and hard permuted over the sentences, twins together", arm="permuted hardness"),
    }
    seeds = tuple(range(10))
    deviations = (
        "The paper's solvers are people in contests and language models on a leaderboard; here a simulation with known difficulty, and 64 small classifiers on handwritten digits (its result tables could not be read).",
        "The paper leaves the estimation open; here marginal maximum likelihood by EM. A period of Glicko-2 holds 12 games of a player on average (Glickman's advice), dealt at random, in one pass.",
        "Intervals over seeds are paired t (the sheet's bootstrap covers too little at so few seeds).",
        "C6 uses 1,000 WinoGrande sentences whose hardness was set by fine-tuning RoBERTa, in place of E2H-Winogrande; the model is SmolLM2-135M-Instruct (four-bit, dequantised), asked by partial scoring without its chat template.",
    )
    limits = (
        "Where everybody answers everything, the share of wrong answers ranks items as the 1PL does: a model of the record is worth it for selective attempts only (C2).",
        "Difficulty is that of the pool that was asked; split-half reliability bounds every correlation with it.",
    )
    calibration = "sizes as planned. Seed 999: solvers draw their training rows independently (nested draws made halves of the pool too alike); periods of Glicko-2 hold 12 games of a player on average, where the first draft had 12 of an item"

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        size = {"scale": scale}
        made = []
        for seed in seeds:
            made += [
                Cell(part="records", condition="complete", seed=seed, settings=size),
                Cell(part="records", condition="attempts", seed=seed, settings={**size, "pattern": "selective"}),
                Cell(part="records", condition="attempts", seed=seed, arms=("random attempts",), settings={**size, "pattern": "random"}),
                Cell(part="records", condition="digits", seed=seed, settings=size),
                Cell(part="records", condition="digits", seed=seed, arms=("permuted difficulties",), settings={**size, "permuted": True}),
                Cell(part="records", condition="matrix", seed=seed, settings=size),
                Cell(part="records", condition="matrix", seed=seed, arms=("random bins",), settings={**size, "random": True}),
                Cell(part="records", condition="networks", seed=seed, settings=size),
            ]
        # the model and its sentences are the same for every seed
        made += [
            Cell(part="language-model", condition="sentences", seed=seeds[0], settings=size),
            Cell(
                part="language-model",
                condition="sentences",
                seed=seeds[0],
                arms=("permuted hardness",),
                settings={**size, "permuted": True},
            ),
        ]
        return made

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        run = {
            "complete": _complete,
            "attempts": _attempts,
            "digits": _digits,
            "matrix": _matrix,
            "networks": _networks,
            "sentences": _sentences,
        }
        return run[cell.condition](cell, lab, SIZES[cell.settings["scale"]])

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        from genscope.studies.easy2hard_figures import figures

        return figures(records)


# --- simulated records


def _complete(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    made = simulate(Seed(WORD, "complete", cell.seed), solvers=size.solvers, items=size.items)
    fit = difficulty_irt(made.record, "1pl")
    error = (fit.b_rasch - fit.b_rasch.mean()) - (made.difficulty - made.difficulty.mean())
    inside = np.abs(fit.b_rasch - made.difficulty) <= 1.959964 * fit.d_sd
    n = len(made.difficulty)
    return [
        *_ranks(cell, made.record, fit.b, made.difficulty),
        cell.record("rmse", float(np.sqrt(np.mean(error**2))), "logits", n),
        cell.record("coverage", float(inside.mean()), n=n),
    ]


def _ranks(cell: Cell, record: ResponseRecord, b: np.ndarray, truth: np.ndarray) -> list[Record]:
    """Rank correlations with the true difficulty: of IRT, Glicko-2 and the share of wrong answers."""
    rating = difficulty_glicko2(record, seed=Seed(WORD, "periods", cell.condition, cell.seed))
    irt, glicko, raw = (spearman(truth, found) for found in (b, rating.item_rating, record.wrong_rate()))
    values = {
        "irt_truth": irt,
        "glicko2_truth": glicko,
        "raw_truth": raw,
        "irt_minus_raw": irt - raw,
        "glicko2_minus_raw": glicko - raw,
        "irt_glicko2": spearman(b, rating.item_rating),
    }
    found = [cell.record(name, value, "correlation", len(truth)) for name, value in values.items()]
    return [*found, cell.record("share_attempted", record.share, n=len(record)), cell.record("periods", rating.periods, "count")]


def _attempts(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    made = simulate(Seed(WORD, "attempts", cell.seed), solvers=size.solvers, items=size.items, pattern=cell.settings["pattern"])
    return _ranks(cell, made.record, difficulty_irt(made.record, "1pl", errors=False).b, made.difficulty)


# --- the pool of small solvers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    record: ResponseRecord
    right: np.ndarray
    family: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray


def _pool(lab: Lab, seed: int) -> _Pool:
    from genscope.training.solver_pool import train_pool

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        pool = train_pool(Seed(WORD, "pool", seed))
        return {"right": pool.right, "x": pool.x, "y": pool.y}, {"family": list(pool.family), "solvers": list(pool.solvers)}

    arrays, about = lab.keep("solver pool", [WORD, seed], made)
    items = [f"digit {k}" for k in range(len(arrays["y"]))]
    record = ResponseRecord.from_matrix(arrays["right"].astype(float), solvers=about["solvers"], items=items)
    return _Pool(record=record, right=arrays["right"], family=tuple(about["family"]), x=arrays["x"], y=arrays["y"])


def _digits(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    pool, seed = _pool(lab, cell.seed), Seed(WORD, "digits", cell.seed)
    records, falling, gaps, accuracies = [], 0, [], []
    permuted = cell.settings.get("permuted", False)
    for family in dict.fromkeys(pool.family):
        own = np.array([one == family for one in pool.family])
        # never on answers of the family that is profiled
        b = difficulty_irt(pool.record.take(~own[pool.record.solver]), "1pl", errors=False).b
        if permuted:
            b = seed.child("permuted", family).rng().permutation(b)
        found = difficulty_profile(pool.right[own], b, seed.child("profile", family), draws=size.draws)
        falling += found.beta.low is not None and found.beta.low > 0
        gaps.append(found.gap)
        accuracies.append(float(pool.right[own].mean()))
        records += [
            cell.record("beta", found.beta.value, "per logit", found.items, family=family),
            cell.record("gap", found.gap, n=found.items, family=family),
        ]
        records += [
            cell.record("bin_accuracy", one.accuracy.value, n=one.accuracy.n, family=family, bin=k) for k, one in enumerate(found.bins)
        ]
    records += [
        cell.record("families_falling", falling, "count", len(gaps)),
        cell.record("quintile_gap", float(np.mean(gaps)), n=len(gaps)),
        cell.record("held_out_accuracy", float(np.mean(accuracies)), n=len(gaps)),
    ]
    if not permuted:
        fit = difficulty_irt(pool.record, "1pl", errors=False)
        rating = difficulty_glicko2(pool.record, seed=seed.child("periods"))
        halves = reliability(pool.record, seed.child("halves"), splits=size.halvings)
        by_family = reliability(pool.record, seed.child("families"), splits=size.halvings, groups=pool.family)
        records += [
            cell.record("irt_glicko2", spearman(fit.b, rating.item_rating), "correlation", len(fit.b)),
            cell.record("split_half", halves.half, "correlation", len(fit.b)),
            cell.record("reliability", halves.whole, "correlation", len(fit.b)),
            cell.record("split_half_families", by_family.half, "correlation", len(fit.b)),
        ]
    return records


def _matrix(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    from sklearn.svm import SVC

    pool, seed = _pool(lab, cell.seed), Seed(WORD, "matrix", cell.seed)

    def train(places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        net = SVC(gamma=0.05, C=5).fit(pool.x[places], pool.y[places])  # pyright: ignore[reportArgumentType]  # a number is allowed
        return lambda rows: net.predict(pool.x[rows]) == pool.y[rows]

    by_difficulty = generalization_matrix(train, difficulty_bins(difficulty_irt(pool.record, "1pl", errors=False).b, 4), seed)
    at_random = cell.settings.get("random", False)
    found = generalization_matrix(train, random_bins(len(pool.y), 4, seed.child("random")), seed) if at_random else by_difficulty
    short = float(np.diag(by_difficulty.accuracy).mean() - np.diag(found.accuracy).mean())
    values = {
        "diagonal_gap": found.diagonal_gap, "easy_to_hard_loss": found.easy_to_hard_loss, "hard_to_easy_loss": found.hard_to_easy_loss,
        "easy_minus_hard_loss": found.easy_to_hard_loss - found.hard_to_easy_loss, "short_of_claim": short,
    }  # fmt: skip
    entries = [
        cell.record("accuracy", float(found.accuracy[i, j]), n=len(found.test[j]), train=i + 1, test=j + 1)
        for i in range(4)
        for j in range(4)
    ]
    return [*[cell.record(name, value, n=len(found.train[0])) for name, value in values.items()], *entries]


# --- a second pool: small networks along their training, and every notion of difficulty on the same items


def _networks(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    pool = _pool(lab, cell.seed)
    chance = _chances(cell, lab, size, pool)  # [runs, steps, items]
    runs, _, items = chance["right"].shape
    solvers = [f"network {run}, {step} updates" for run in range(runs) for step in size.steps]
    right = chance["right"].reshape(-1, items).astype(float)
    record = ResponseRecord.from_matrix(right, solvers=solvers, items=pool.record.items)
    seed = Seed(WORD, "networks", cell.seed)
    fit, halves = difficulty_irt(record, "1pl", errors=False), reliability(record, seed.child("halves"), splits=size.halvings)
    own = difficulty_irt(pool.record, "1pl")
    rows = agreement(
        _notions(pool, own.difficulty(), chance, size, cell.seed),
        seed.child("notions"),
        reliability={"irt": reliability(pool.record, seed.child("pool"), splits=size.halvings).whole},
        draws=max(100, size.draws // 5),
    )
    return [
        cell.record("irt_glicko2", spearman(fit.b, difficulty_glicko2(record, seed=seed.child("periods")).item_rating), "correlation", items),
        cell.record("irt_pools", spearman(fit.b, own.b), "correlation", items),
        cell.record("reliability", halves.whole, "correlation", items),
        *[cell.record("agreement", one.rho, "correlation", one.n, first=one.first, second=one.second, ceiling=None if one.ceiling is None else round(one.ceiling, 4)) for one in rows],
    ]  # fmt: skip


def _chances(cell: Cell, lab: Lab, size: Size, pool: _Pool) -> dict[str, np.ndarray]:
    """Probability of the right class, and whether it is the answer, of every network after every number of updates; and each item's coherence help at the
    first of them, where no gradient has vanished yet: how much of its own step's gain the mean step of all items gives it.
    """
    import torch

    from genscope.engine.lab import predictor
    from genscope.measures.coherence import classification, coherence
    from genscope.models.nets import MLP
    from genscope.tasks.digits import digit_splits
    from genscope.training.recipe import Optimizer, Recipe

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        x, y, _, _ = digit_splits(600, Seed(WORD, "pool", cell.seed))
        found = np.empty((len(size.widths) * size.runs, len(size.steps), len(pool.y)), np.float32)
        right, helped = np.empty(found.shape, np.uint8), np.empty((len(found), len(pool.y)))
        for run in range(len(found)):
            for k, updates in enumerate(size.steps):
                recipe = Recipe(
                    net=MLP(inputs=64, width=size.widths[run % len(size.widths)], depth=1, outputs=10), data=["digits", 600, cell.seed], batch=64, updates=updates,
                    optimizer=Optimizer(kind="adam", lr=0.01), seed=Seed(WORD, "network", cell.seed, run),
                )  # fmt: skip
                net = lab.train(recipe, lambda _: (x, y)).net
                logits = predictor(net)(pool.x)
                if k == 0:
                    rows = {"x": torch.from_numpy(pool.x), "y": torch.from_numpy(pool.y)}
                    helped[run] = coherence(net, classification, rows, per_example=True, chunk=len(pool.y)).help
                p = np.exp(logits - logits.max(1, keepdims=True))
                found[run, k] = (p / p.sum(1, keepdims=True))[np.arange(len(pool.y)), pool.y]
                right[run, k] = logits.argmax(1) == pool.y
        return {"chance": found, "right": right, "help": helped}, {}

    return lab.keep("network pool", [WORD, cell.seed, list(size.steps), list(size.widths), size.runs], made)[0]


def _notions(pool: _Pool, irt: pl.DataFrame, chance: Mapping[str, np.ndarray], size: Size, seed: int) -> pl.DataFrame:
    """The difficulty table of the items: from the pool's record IRT, Glicko-2 and the wrong rate, from the networks' training loss, confidence, variability, learning time and coherence help."""
    from genscope.core.difficulty import difficulty_columns, joined

    p, right, items, helped = chance["chance"].astype(float), chance["right"].astype(bool), pool.record.items, chance["help"]
    runs = len(p)
    loss = -np.log(np.maximum(p[:, -1], 1e-9))
    # the first step from which the answer stays right; beyond the last where it never does
    stays = np.flip(np.logical_and.accumulate(np.flip(right, 1), 1), 1)
    steps = np.array([*size.steps, 2 * size.steps[-1]])
    time = steps[np.where(stays.any(1), stays.argmax(1), len(size.steps))].astype(float)
    wrong = pool.record.wrong_rate()
    solvers = len(pool.right)
    over = {"n": runs}
    return joined(
        [
            irt,
            difficulty_glicko2(pool.record, seed=Seed(WORD, "digits", seed, "periods")).difficulty(),
            difficulty_columns("rate", items, wrong, np.sqrt(wrong * (1 - wrong) / solvers), solvers),
            difficulty_columns("loss", items, loss.mean(0), loss.std(0, ddof=1) / np.sqrt(runs), **over),
            difficulty_columns("confidence", items, p.mean((0, 1)), p.mean(1).std(0, ddof=1) / np.sqrt(runs), **over),
            difficulty_columns("variability", items, p.std(1).mean(0), p.std(1).std(0, ddof=1) / np.sqrt(runs), **over),
            difficulty_columns("learning time", items, time.mean(0), time.std(0, ddof=1) / np.sqrt(runs), **over),
            difficulty_columns("help", items, helped.mean(0), helped.std(0, ddof=1) / np.sqrt(runs), **over),
        ]
    )


# --- a language model


def _sentences(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    from genscope.tasks.images import data_folder

    blanks = known_hardness(
        data_folder(EXPLANATION_HARDNESS, "The WinoGrande sentences of known hardness", "github.com/swarnaHub/ExplanationHardness")
    )
    if size.sentences:
        blanks = [one for hardness in ("easy", "hard") for one in [b for b in blanks if b.hardness == hardness][: size.sentences]]
    group = twins(blanks)
    right, margin = _partial_scores(blanks, lab, size.model)
    hardness = (
        _permuted(blanks, group, Seed(WORD, "permuted", cell.seed)) if cell.settings.get("permuted") else [one.hardness for one in blanks]
    )
    records = []
    for k, name in enumerate(hardness):
        records.append(cell.record("right", float(right[k]), condition=name, twins=group[k]))
        records.append(cell.record("margin", float(margin[k]), "nats", condition=name, twins=group[k]))
    return records


def _permuted(blanks: Sequence[Blank], group: Sequence[int], seed: Seed) -> list[str]:
    """Hardness dealt anew to whole groups of twins, as many easy ones as before (one more at most)."""
    members: dict[int, list[int]] = {}
    for place, name in enumerate(group):
        members.setdefault(name, []).append(place)
    wanted, names = sum(one.hardness == "easy" for one in blanks), list(members)
    found, given = ["hard"] * len(blanks), 0
    for place in seed.rng().permutation(len(names)):
        if given >= wanted:
            break
        for row in members[names[place]]:
            found[row] = "easy"
            given += 1
    return found


def _partial_scores(blanks: Sequence[Blank], lab: Lab, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether the model prefers the right option, and by how many nats: log P(rest | sentence up to the option), right minus wrong option."""
    from genscope.core.reply import Request, ScoreJob
    from genscope.models import names
    from genscope.models.ask import Asker

    jobs = []
    for blank in blanks:
        for option in (blank.right, 1 - blank.right):
            before, after = blank.halves(option)
            jobs.append(ScoreJob(request=Request(plain=before), continuations=(after,)))
    subject = names.make(model)

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        scores = Asker(subject, lab.store, fresh=lab.fresh).score(jobs, "scoring sentences")
        return {"sums": np.array([sum(one[0]) for one in scores]).reshape(-1, 2)}, {}

    try:
        # claim and placebo ask for the same scores: whoever comes second waits for the first
        sums = lab.keep("partial scores", [subject.identity(), [[job.request.plain, *job.continuations] for job in jobs]], made)[0]["sums"]
    finally:
        subject.close()
    margin = sums[:, 0] - sums[:, 1]
    return margin > 0, margin
