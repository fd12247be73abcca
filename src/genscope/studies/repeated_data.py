"""Scaling Laws and Interpretability of Learning from Repeated Data (Hernandez et al. 2022): a middle range of repeats hurts, and hurts copying most.

Small decoders on a made-up language in which half of the text must be copied; the number of training tokens is fixed, half of them are repeats of a small subset.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Published, Scale, Study
from genscope.interventions.repeated_mixture import RepeatedMixture, Source
from genscope.measures.copying import copying_loss
from genscope.measures.effective_size import effective_size
from genscope.measures.memorization import crossing, half_maximum_region, memorization_ratio
from genscope.measures.prefix_matching import prefix_matching
from genscope.tasks.copy_markov import BOS, CARD, CopyMarkov
from genscope.tasks.packed_text import PROSE, as_tokens, characters, prose

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block

WORD = "repeated-data"
PEAK, PEAK_B = 64, 256
"""E*: the worst repeats of the pilots on calibration seed 999, fixed before the seeds of the verdicts (setting A; setting B)."""
LADDER = (12, 16, 24, 32)
"""Widths of the f = 0 baseline below the model's own."""
SMALL = 20
"""Width of the smaller model of P30.6; it has under a fourth of the parameters of width 48."""


def _paired(metric: str, part: str, a: str, b: str, relation: Any = ">") -> Clause:
    return Clause(
        metric=metric, select={"part": part}, contrast=("condition", a, b), pair=("seed",), relation=relation, margin=0.0, test="paired_t"
    )


def _level(metric: str, condition: str, relation: Any, margin: Any) -> Clause:
    return Clause(
        metric=metric, select={"part": "grid", "condition": condition}, pair=("seed",), relation=relation, margin=margin, test="paired_t"
    )


def _copies(part: str, condition: str = "f=0") -> tuple[Precondition, ...]:
    return (
        Precondition(
            metric="copy_accuracy", select={"part": part, "condition": condition}, relation=">=", value=0.7, reduce="min",
            sentence="the model learns to copy without repeats (accuracy on copy tokens at least 0.7 in every seed)",
        ),
    )  # fmt: skip


CLAIMS = (
    Claim(
        id="P30.1", kind="phenomenon", minimum_n=5, preconditions=_copies("grid"),
        clauses=(_paired("test_loss", "grid", f"E={PEAK}", "f=0"), _paired("test_loss", "grid", f"E={PEAK}", "E=4096")),
        sentence="Interior peak: at E = 64 repeats of the subset the test loss is above that without repeats, and above that at the most repeats.",
    ),
    Claim(
        id="P30.2", kind="phenomenon", minimum_n=5, preconditions=_copies("grid"),
        clauses=(_paired("test_loss", "grid", f"E={PEAK}", "unique-only"), _level("excess_over_half_peak", "E=4", "<", 0.0), _level("excess_over_half_peak", "E=4096", "<", 0.0)),
        sentence="Worse than deleting: at E = 64 the repeats are worse than leaving them out; with the fewest and the most repeats the excess is below half of that.",
    ),
    Claim(
        id="P30.3", kind="phenomenon", minimum_n=5, preconditions=_copies("grid"),
        clauses=(_level("ln_crossing_over_peak", "grid", "within", (-math.log(8), math.log(8))), _level("memorization", "E=4096", ">", 0.9), _level("memorization", "E=4", "<", 0.2)),
        sentence="Peak at memorization: the subset comes to be half memorized within a factor of 8 of E = 64; it is known by heart at the most repeats, and not at the fewest.",
    ),
    Claim(
        id="P30.4", kind="phenomenon", minimum_n=5, preconditions=_copies("grid"), clauses=(_level("ln_multiplier_gap", f"E={PEAK}", "<", 0.0),),
        sentence="Copying suffers more: at E = 64 the effective size by copying loss is below the effective size by test loss.",
    ),
    Claim(
        id="P30.5", kind="phenomenon", minimum_n=5, preconditions=_copies("induction"), clauses=(_paired("prefix_highest", "induction", f"E={PEAK_B}", "f=0", "<"),),
        sentence="Induction heads: at E = 256 the best head's prefix-matching score is lower than without repeats (two-layer induction, setting B).",
    ),
    Claim(
        id="P30.6", kind="phenomenon", minimum_n=5, preconditions=_copies("size", "large"), clauses=(_paired("ln_harm_from", "size", "large", "small", "<"),),
        sentence="Size shifts the zone: harm reaches half of its maximum at fewer repeats in a model of over four times the parameters.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Language, model and training. A (the grid) has smeared keys and learned positions, B (P30.5) rotary positions and true two-layer induction."""

    vocab: int = 64
    doc_len: int = 64
    copy_rate: float = 0.15
    concentration: float = 0.1
    width: int = 48
    heads: int = 2
    layers: int = 2
    positions: str = "learned"
    smeared: bool = True
    lr: float = 1e-2
    steps: int = 800
    batch: int = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A rung. grid: repeats of setting A; induction, text: repeats of those parts; test: documents; looks: log-spaced steps at which a run is measured."""

    a: Setting
    b: Setting
    characters: Setting
    grid: tuple[int, ...] = (4, 16, 64, 256, 1024, 4096)
    induction: tuple[int, ...] = (16, 256, 4096)
    text: tuple[int, ...] = (8, 64, 512)
    test: int = 2_048
    looks: int = 20


_A = Setting()
_B = Setting(vocab=32, concentration=1.0, copy_rate=0.3, width=64, positions="rotary", smeared=False, lr=5e-3, steps=1_400)
_TEXT = Setting(doc_len=128, width=96, lr=3e-3, steps=488)
_SMOKE: dict[str, Any] = {"steps": 60}
_LARGE: dict[str, Any] = {"layers": 8, "heads": 8, "width": 512, "lr": 1e-3, "steps": 20_000, "batch": 256}
SIZES: Mapping[str, Size] = {
    "smoke": Size(a=replace(_A, **_SMOKE), b=replace(_B, **_SMOKE), characters=replace(_TEXT, steps=20, batch=8), grid=(4, 64, 960), induction=(16, 256), text=(8, 64), test=128, looks=3),
    "standard": Size(a=_A, b=_B, characters=_TEXT),
    "extended": Size(a=_A, b=_B, characters=_TEXT),
    "paper": Size(a=replace(_A, **_LARGE), b=replace(_B, **_LARGE), characters=replace(_TEXT, **{**_LARGE, "steps": 1_000})),
}  # fmt: skip
DEEP = ("smoke", "extended", "paper")
"""Scales that run the parts induction, size and text."""


class RepeatedData(Study):
    """At a fixed number of training tokens a middle range of repeats of a small subset does most harm (Hernandez et al. 2022)."""

    name = WORD
    paper = Paper(
        30,
        "2205.10487",
        "Scaling Laws and Interpretability of Learning from Repeated Data",
        2022,
        "Hernandez, Brown, Conerly, ..., Kaplan, McCandlish",
    )
    question = "How many repeats of a part of my training text are safe, and what do they break?"
    answer = "A few repeats and very many are nearly harmless; a middle range, where the repeated part can just be memorized, costs much of the model. The paper finds that copying suffers most; here it suffered less than the rest."
    card = CARD
    extra = "train"
    fields = frozenset({"pretraining", "data", "repetition", "repeated data", "deduplication", "duplicates", "epochs", "upsampling", "memorization", "double descent", "overfitting", "induction heads", "copying", "scaling laws", "language models", "in-context learning"})  # fmt: skip
    parts = {
        "grid": Part(
            sentence="half of the tokens repeated 4 to 4,096 times (setting A: smeared keys)", claims=("P30.1", "P30.2", "P30.3", "P30.4")
        ),
        "induction": Part(sentence="the same where copying takes two layers (setting B; scale extended)", claims=("P30.5",)),
        "size": Part(sentence="the grid on a model of a fourth of the parameters (scale extended)", claims=("P30.6",)),
        "text": Part(sentence="characters of two novels; reported, no verdict (scale extended)", claims=(), data=(PROSE,)),
    }
    claims = CLAIMS
    placebos = {
        **{name: Placebo(kind="fresh documents in place of the repeated ones: E is only a name; same unique documents, f, steps, model, and E = 64 as the peak", arm="fresh") for name in ("P30.1", "P30.2", "P30.3", "P30.4")},
        "P30.5": Placebo(kind="fresh documents in place of the repeated ones: E is only a name; same unique documents, f, steps and model", arm="fresh"),
        "P30.6": Placebo(kind="the larger model under both names, with another draw of documents and weights under the second", arm="same size"),
    }  # fmt: skip
    published = (
        Published(
            "effective size by test loss, f = 10 %, E = 100, 800M parameters (as a share of the size)",
            "0.5",
            "test_multiplier",
            f"E={PEAK}",
        ),
        Published("effective size by test loss at the worst E, f = 3 %", "at least 0.87", "test_multiplier", f"E={PEAK}"),
        Published("effective size by copying at the worst E, f = 3 %", "down to 0.33", "copy_multiplier", f"E={PEAK}"),
    )
    deviations = (
        "A made-up language (Markov chain with copied spans, floor known) and decoders of 66,000 parameters that see 1.6 million tokens at f = 0.5; the paper trains 1.6 to 805 million parameters on 100 billion tokens of text at f = 3 to 90 %.",
        "Setting A smears keys over neighbouring tokens (Olsson et al. 2022), so that one layer can do induction; the paper's models do not. Setting B does not either, and judges P30.5; the scores of both are shown.",
        "E* was chosen on calibration seed 999 in earlier pilots (64; 256 in setting B) and is tested on other seeds, as was planned.",
        "A unique-only control is added: the same steps on batches without the repeats.",
        "Copying is the loss on copy tokens of new documents; on text it is a paragraph repeated within a context of 128 characters.",
        "P30.6 asks for strictly fewer repeats in the larger model, on the lower end of the half-maximum region.",
    )
    limits = (
        "One fraction (f = 0.5), random subset, no regularization, no early stopping.",
        "Effective sizes at the peak lie near the small end of the baselines, where both losses change fast with size.",
        "P30.5: the unique-only run, without any repeats, loses nearly as much of the best head's score (0.054 of 0.065); most of the drop is fewer new documents.",
        "In setting B a head that has not formed may only be late: compare the unique-only run, which has half of the tokens a step.",
    )
    calibration = "none on this code: the settings are those of earlier pilots on seeds 999 to 1001; on seed 999 the f = 0 run reached copy accuracy 0.88 (wanted: 0.7) as it was"

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        size, made = SIZES[scale], []

        def add(part: str, condition: str, seed: int, *arms: str, **settings: Any) -> None:
            made.append(Cell(part=part, condition=condition, seed=seed, arms=arms or ("claim",), settings={"scale": scale, **settings}))

        for seed in seeds:
            for part, grid in (("grid", size.grid), ("induction", size.induction))[: 2 if scale in DEEP else 1]:
                for condition in ("f=0", "unique-only", *([f"d={width}" for width in LADDER] if part == "grid" else [])):
                    add(part, condition, seed, "claim", "fresh")
                for e in grid:
                    add(part, f"E={e}", seed)
                    add(part, f"E={e}", seed, "fresh", fresh=True)
                add(part, "grid", seed)
                add(part, "grid", seed, "fresh", fresh=True)
            if scale in DEEP:
                add("size", "large", seed, "claim", "same size", width=size.a.width)
                add("size", "small", seed, width=SMALL)
                add("size", "small", seed, "same size", width=size.a.width, draw=1)
                for condition in ("f=0", "unique-only", *[f"E={e}" for e in size.text]):
                    add("text", condition, seed)
        return made

    def certify(self, scale: Scale) -> dict[str, int]:
        from genscope.engine.cells import has_data

        rows = np.arange(4_096)
        language = _language(SIZES[scale].a, 0)
        shared = {
            "stream and test of the language": _shared(language.documents("train", rows).tokens, language.documents("test", rows).tokens)
        }
        if has_data(PROSE):
            train, test = (characters(prose(name), SIZES[scale].characters.doc_len) for name in ("prose_train", "prose_test"))
            shared["training and test text"] = _shared(train.take(np.arange(train.count)), test.take(np.arange(test.count)))
        return shared

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        size = SIZES[cell.settings["scale"]]
        if cell.condition == "grid":
            return _derived(cell, lab, size)
        if cell.part == "size":
            return _harm_from(cell, lab, size)
        return _run_records(cell, _numbers(lab, recipe_of(cell, size, cell.condition)))

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        from genscope.studies.repeated_data_figures import figures

        return figures(records)


# --- one run


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one training is, and how it is measured; the key under which its numbers are kept. repeats 1 with fraction 0: all unique. fresh: draw of the placebo."""

    text: bool
    setting: Setting
    fraction: float
    repeats: float
    unique_only: bool
    fresh: int
    seed: int
    draw: int
    test: int
    looks: int


def recipe_of(cell: Cell, size: Size, condition: str) -> Run:
    """The run of a condition in the part, arm and seed of a cell."""
    setting = {"grid": size.a, "size": size.a, "induction": size.b, "text": size.characters}[cell.part]
    if cell.part == "size":
        setting = replace(setting, width=cell.settings["width"])
    if condition.startswith("d="):
        setting = replace(setting, width=int(condition[2:]))
    e = int(condition[2:]) if condition.startswith("E=") else None
    grid = size.text if cell.part == "text" else size.induction if cell.part == "induction" else size.grid
    # the control without repeats leaves out what any E > 1 would put there: which one makes no difference
    return Run(
        text=cell.part == "text", setting=setting, fraction=0.0 if e is None and condition != "unique-only" else 0.5, repeats=float(e or grid[0]) if e or condition == "unique-only" else 1.0,
        unique_only=condition == "unique-only", fresh=1 + grid.index(e) if e and cell.settings.get("fresh") else 0, seed=cell.seed, draw=cell.settings.get("draw", 0),
        test=size.test, looks=size.looks,
    )  # fmt: skip


def _language(setting: Setting, seed: int) -> CopyMarkov:
    return CopyMarkov(
        seed=Seed(WORD, "language", seed), vocab=setting.vocab, doc_len=setting.doc_len, copy_rate=setting.copy_rate, concentration=setting.concentration
    )  # fmt: skip


def _shared(one: np.ndarray, other: np.ndarray) -> int:
    rows = {row.tobytes() for row in np.ascontiguousarray(one)}
    return sum(row.tobytes() in rows for row in np.ascontiguousarray(other))


def _numbers(lab: Lab, run: Run) -> dict[str, Any]:
    """The numbers of a run; trained once, whichever cells ask."""
    from genscope.training.recipe import plain

    return lab.keep("repeated-data run", plain(run), lambda: ({}, _trained(run)))[1]


def _trained(run: Run) -> dict[str, Any]:
    from genscope.models.tiny_gpt import TinyGPT
    from genscope.training.document_lm import DocumentCourse, fit_documents, log_spaced

    setting = run.setting
    source, tokens, measured = (_text if run.text else _made_up)(run)
    mixture = RepeatedMixture(
        source=source, fraction=run.fraction, repeats=run.repeats, total_tokens=setting.steps * setting.batch * setting.doc_len,
        seed=Seed(WORD, "mixture", run.seed, run.draw), fresh=run.fresh,
    )  # fmt: skip
    config = TinyGPT(
        vocab_size=tokens, max_position_embeddings=setting.doc_len, layers=setting.layers, width=setting.width, heads=setting.heads,
        positions=setting.positions, smeared=setting.smeared,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    net = config.build(Seed(WORD, "weights", setting.width, run.seed, run.draw))
    subset = mixture.repeated_subset[: run.test] if run.fraction and not run.unique_only else None
    repeated = None if subset is None else source.take(subset)
    curve: list[dict[str, float]] = []

    def look(step: int) -> None:
        curve.append({"step": step, **measured(net, repeated, True)})

    course = DocumentCourse(steps=setting.steps, lr=setting.lr)
    batches = mixture.batches(setting.batch, unique_only=run.unique_only)
    loss = fit_documents(net, batches, course, log_spaced(setting.steps, run.looks), look)
    plan = mixture.plan()
    return {
        **measured(net, repeated, False), "curve": curve, "train_loss": loss, "parameters": config.parameters,
        "repeats": plan.repeats, "fraction": plan.fraction, "subset_documents": plan.subset_documents,
    }  # fmt: skip


def _memorized(found: dict[str, float], net: Any, repeated: np.ndarray | None) -> dict[str, float]:
    from genscope.models.reading import token_losses

    if repeated is not None:
        found["repeated_loss"] = float(token_losses(net, repeated).mean())
        found["memorization"] = memorization_ratio(found["repeated_loss"], found["test_loss"])
    return found


def _made_up(run: Run) -> tuple[Source, int, Any]:
    """(stream, size of the vocabulary, what is measured on a model)."""
    from genscope.models.reading import predictions

    language = _language(run.setting, run.seed)
    test = language.documents("test", np.arange(run.test))
    floor = float(language.floor(test).mean())
    block = (run.setting.doc_len - 1) // 4

    def measured(net: Any, repeated: np.ndarray | None, brief: bool) -> dict[str, float]:
        rows = slice(0, run.test // 4 if brief else run.test)
        tokens, copied = test.tokens[rows], test.copied[rows, 1:]
        losses, best = predictions(net, tokens)
        heads = prefix_matching(net, range(1, language.tokens), Seed(WORD, "prefix", run.seed), block=block, sequences=16, bos=BOS)
        found = {
            "test_loss": float(losses.mean()), "copy_loss": float(losses[copied].mean()), "base_loss": float(losses[~copied].mean()),
            "copy_accuracy": float((best == tokens[:, 1:])[copied].mean()), "over_floor": float(losses.mean()) - floor,
            "prefix_highest": heads.highest, "prefix_top3": heads.top3, "prefix_mean": heads.mean, "prefix_chance": heads.chance,
        }  # fmt: skip
        return _memorized(found, net, None if repeated is None else repeated[rows])

    return language.stream("train" if not run.draw else f"train {run.draw}"), language.tokens, measured


def _text(run: Run) -> tuple[Source, int, Any]:
    """The same on characters: also the losses on another novel and on plays, and a paragraph repeated within a context."""
    from genscope.models.reading import token_losses

    length = run.setting.doc_len
    train = characters(prose("prose_train"), length)
    others = {
        name: characters(prose(file), length) for name, file in (("test", "prose_test"), ("novel", "novel_ood"), ("plays", "drama_ood"))
    }
    paragraph = as_tokens(prose("novel_ood").lstrip()[: length // 3])
    chosen = {name: blocks.take(np.arange(min(run.test, blocks.count))) for name, blocks in others.items()}

    def measured(net: Any, repeated: np.ndarray | None, brief: bool) -> dict[str, float]:
        rows = slice(0, run.test // 4 if brief else run.test)
        found = {
            f"{name}_loss": float(token_losses(net, tokens[rows]).mean()) for name, tokens in chosen.items() if not brief or name == "test"
        }
        copied = copying_loss(net, paragraph.tolist(), copies=3)
        found |= {"copy_loss": copied.whole, "copy_gain": copied.gain}
        return _memorized(found, net, None if repeated is None else repeated[rows])

    return train, train.vocabulary, measured


UNITS = {
    "copy_accuracy": "fraction",
    "memorization": "fraction",
    "parameters": "count",
    "repeats": "count",
    "subset_documents": "count",
    "fraction": "fraction",
}


def _run_records(cell: Cell, found: Mapping[str, Any]) -> list[Record]:
    names = [name for name in found if name != "curve"]
    made = [cell.record(name, found[name], _unit(name)) for name in names]
    shown = ("test_loss", "repeated_loss", "copy_loss", "prefix_highest")
    return made + [
        cell.record(f"{name}_at", row[name], _unit(name), step=int(row["step"])) for row in found["curve"] for name in shown if name in row
    ]


def _unit(name: str) -> str:
    return "fraction" if name.startswith("prefix") else UNITS.get(name, "nats")


# --- what several runs say together


def _derived(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    """Excess over the unique-only control, effective sizes, and where memorization sets in; all within the seed and arm of the cell."""
    grid, peak = (size.grid, PEAK) if cell.part == "grid" else (size.induction, PEAK_B)
    found = {e: _numbers(lab, recipe_of(cell, size, f"E={e}")) for e in grid}
    deleted, base = (_numbers(lab, recipe_of(cell, size, condition)) for condition in ("unique-only", "f=0"))
    excess = {e: one["test_loss"] - deleted["test_loss"] for e, one in found.items()}
    made = []
    for e in grid:
        condition = f"E={e}"
        made.append(cell.record("excess_harm", excess[e], "nats", condition=condition))
        made.append(cell.record("harm", found[e]["test_loss"] - base["test_loss"], "nats", condition=condition))
        if peak in excess:
            made.append(cell.record("excess_over_half_peak", excess[e] - excess[peak] / 2, "nats", condition=condition))
    place = crossing(grid, [one["memorization"] for one in found.values()], 0.5)
    made.append(
        cell.record("ln_crossing_over_peak", math.log(place.repeats / peak), "nats", crossed_inside=place.inside, repeats=place.repeats)
    )
    made.append(cell.record("worst_repeats", float(max(excess, key=excess.__getitem__)), "count"))
    if cell.part == "grid":
        ladder = [_numbers(lab, recipe_of(cell, size, f"d={width}")) for width in LADDER] + [base]
        for condition, one in (("unique-only", deleted), *[(f"E={e}", found[e]) for e in grid]):
            made += _multipliers(cell, condition, ladder, one)
    return made


def _multipliers(cell: Cell, condition: str, ladder: Sequence[Mapping[str, Any]], one: Mapping[str, Any]) -> list[Record]:
    sizes = [step["parameters"] for step in ladder]
    by = {name: effective_size(sizes, [step[f"{name}_loss"] for step in ladder], one[f"{name}_loss"]) for name in ("test", "copy")}
    made = [
        cell.record(f"{name}_multiplier", found.multiplier(one["parameters"]), condition=condition, extrapolated=found.extrapolated, monotone=found.monotone, slope=found.slope)
        for name, found in by.items()
    ]  # fmt: skip
    return [*made, cell.record("ln_multiplier_gap", math.log(by["copy"].size / by["test"].size), "nats", condition=condition)]


def _harm_from(cell: Cell, lab: Lab, size: Size) -> list[Record]:
    """Where the harm of a model of one size sets in, from its own runs without repeats and on the grid."""
    base = _numbers(lab, recipe_of(cell, size, "f=0"))
    harm = [_numbers(lab, recipe_of(cell, size, f"E={e}"))["test_loss"] - base["test_loss"] for e in size.grid]
    made = [cell.record("copy_accuracy", base["copy_accuracy"]), cell.record("parameters", base["parameters"], "count")]
    made += [cell.record("harm", one, "nats", level_repeats=e) for e, one in zip(size.grid, harm, strict=True)]
    if max(harm) <= 0:
        return made
    region = half_maximum_region(size.grid, harm)
    facts = {"worst": region.peak, "low": region.low, "high": region.high, "closed_low": region.closed[0], "closed_high": region.closed[1]}
    return [*made, cell.record("ln_harm_from", math.log(region.low), "nats", **facts)]
