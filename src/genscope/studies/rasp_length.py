"""What Algorithms can Transformers Learn? (Zhou et al. 2024): small decoders solve longer inputs where a short RASP-L program does.

Tasks with a length axis, trained from scratch on short inputs and decoded freely, greedily, on inputs up to twice as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Published, Scale, Study
from genscope.tasks.length import END, TASKS
from genscope.tasks.rasp import decode, size
from genscope.tasks.rasp.programs import PROGRAMS, REJECTED

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block
    from genscope.training.sequences import SequenceRecipe

WORD = "rasp-length"
NO_PROGRAM = 1_000
"""Size of a task without a program: larger than all."""
TASK_OF = {
    "majority": "majority", "mode": "mode", "count": "count", "unique copy": "unique_copy", "repeat copy": "repeat_copy", "parity": "parity",
    "parity with scratchpad": "parity_scratchpad", "copy of runs": "runs_copy", "unique copy unshifted": "unique_copy", "AND": "and_tail_constant", "AND, tail ignored": "and_tail_ignored",
}  # fmt: skip
"""Condition -> the task that it trains on in the claim's arm."""
RANKED = {
    "standard": ("majority", "mode", "count", "unique copy", "repeat copy", "parity"),
    "extended": ("majority", "mode", "count", "unique copy", "repeat copy", "parity", "parity with scratchpad"),
}
UNIQUE = ("unique_copy", "runs_copy", "sort", "count")


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A rung. length: longest training length (parity: short, its own); table: positions; updates by task; items a test length; lengths at which programs are run."""

    length: int
    short: int
    table: int
    updates: int
    fewer: int
    and_updates: int
    items: int
    program_lengths: tuple[int, ...]
    layers: int = 2
    width: int = 64


SIZES = {
    "smoke": Size(length=4, short=3, table=64, updates=12, fewer=12, and_updates=12, items=8, program_lengths=(1, 2, 5)),
    "standard": Size(length=10, short=10, table=64, updates=3_000, fewer=1_500, and_updates=250, items=200, program_lengths=tuple(range(1, 101))),
    "extended": Size(length=20, short=10, table=128, updates=8_000, fewer=4_000, and_updates=250, items=200, program_lengths=tuple(range(1, 101))),
    "paper": Size(length=40, short=40, table=256, updates=30_000, fewer=30_000, and_updates=1_000, items=1_000, program_lengths=tuple(range(1, 101)), layers=6, width=256),
}  # fmt: skip


def _against(metric: str, a: str, b: str, margin: float) -> Clause:
    return Clause(metric=metric, contrast=("condition", a, b), pair=("seed",), relation=">", margin=0.0, at_least=margin, test="paired_t")


def _level(metric: str, condition: str, relation: Any, margin: float, at_least: float | None = None) -> Clause:
    return Clause(
        metric=metric, select={"condition": condition}, pair=("seed",), relation=relation, margin=margin, at_least=at_least, test="paired_t"
    )


def _trained(condition: str, value: float = 0.99, metric: str = "id_exact_match") -> Precondition:
    return Precondition(
        metric=metric, select={"condition": condition}, relation=">=", value=value, reduce="min", sentence=f"every run of {condition} is trained: {value:.0%} right at the training lengths"
    )  # fmt: skip


CLAIMS = (
    Claim(
        id="R1", kind="instrument", minimum_n=5,
        clauses=(_level("solved", "programs", ">", 0.999), _level("rejected", "programs", ">", 0.999)),
        sentence="Every RASP-L program solves its task at all lengths from 1 to 100, and the checker rejects parity by a modulo and copy by position.",
    ),
    Claim(
        id="R2", kind="phenomenon", minimum_n=5,
        clauses=(_against("exact_match_2x", "unique copy", "repeat copy", 0.5), _level("exact_match_2x", "majority", ">", 0.0, 0.9), _level("exact_match_2x", "count", ">", 0.0, 0.9)),
        preconditions=tuple(_trained(one) for one in ("unique copy", "repeat copy", "majority", "count")),
        sentence="Ordering: at twice the training length unique copy is at least 50 points above repeat copy, and majority and count stay above 90 %.",
    ),
    Claim(
        id="R3", kind="phenomenon", minimum_n=5,
        clauses=(_against("exact_match_1.5x", "parity with scratchpad", "parity", 0.2), _against("final_answer_1.5x", "parity with scratchpad", "parity", 0.2)),
        preconditions=(_trained("parity", 0.98, "id_final_answer"), _trained("parity with scratchpad", 0.98, "id_final_answer")),
        sentence="Parity: a scratchpad with index hints raises exact match at 1.5 times the training length by at least 20 points.",
    ),
    Claim(
        id="R4", kind="phenomenon", minimum_n=5,
        clauses=(Clause(metric="ranked_exact_match_2x", relation="rank", margin=0.6, contrast=("level", "falls", ""), test="spearman_permutation", cluster=("condition",)),),
        preconditions=tuple(_trained(one, 0.98 if one == "parity" else 0.99) for one in RANKED["standard"]),
        sentence="The shorter a task's RASP-L program, the further models go: rank correlation of program size and exact match at twice the length of -0.6 or less.",
    ),
    Claim(
        id="R5", kind="phenomenon", minimum_n=5,
        clauses=(_level("constant_bits", "AND", ">", 0.0, 0.9), _level("interpolator", "AND", "<", 0.1), _level("constant_bits", "AND, tail ignored", "<", 0.1)),
        preconditions=(_trained("AND"), _trained("AND, tail ignored")),
        sentence="AND: where five bits were 1 throughout training, the Transformer is at least 90 % right on strings that vary them; the minimum-degree interpolator errs on all.",
    ),
    Claim(
        id="R6", kind="phenomenon", minimum_n=5,
        clauses=(_level("random_strings", "copy of runs", "<", 0.2), _level("random_strings", "unique copy", ">", 0.0, 0.9)),
        preconditions=(_trained("copy of runs"), _trained("unique copy")),
        sentence="Diversity: trained to copy runs a, a+1, ..., which a shorter program fits, the model copies at most 20 % of random strings of the same lengths.",
    ),
    Claim(
        id="R7", kind="phenomenon", minimum_n=5,
        clauses=(_against("exact_match_2x", "unique copy", "unique copy unshifted", 0.5),),
        preconditions=(_trained("unique copy"), _trained("unique copy unshifted")),
        sentence="Random position offsets raise unique copy at twice the training length by at least 50 points over positions that are not shifted.",
    ),
)  # fmt: skip


class RaspLength(Study):
    """What algorithms can Transformers learn? (Zhou et al. 2024)"""

    name = WORD
    paper = Paper(10, "2310.16028", "What Algorithms can Transformers Learn? A Study in Length Generalization", 2024, "Zhou, Bradley, Littwin and others")  # fmt: skip
    question = "Will a model trained on short inputs solve longer ones?"
    answer = "It does where one short causal program solves the task at every length, and the training data rule out shorter wrong ones."
    card = Card(motivation="intrinsic", type="structural", shift="covariate", source="fully generated", locus="train-test")
    extra = "hf"
    fields = frozenset(
        {
            "length generalization",
            "transformer",
            "RASP",
            "copy",
            "parity",
            "addition",
            "scratchpad",
            "positions",
            "program",
            "complexity",
            "algorithm",
        }
    )
    parts = {
        "programs": Part(sentence="RASP-L programs run on their tasks", claims=("R1",)),
        "and": Part(sentence="AND of bits that never varied", claims=("R5",)),
        "ranking": Part(sentence="program size against exact match over all tasks trained", claims=("R4",)),
        "beyond": Part(sentence="copy, parity and counting beyond the training lengths (scale extended)", claims=("R2", "R3", "R6", "R7")),
    }
    claims = CLAIMS
    placebos = {
        "R2": Placebo(kind="unique copy in both arms (another seed)", arm="same task"),
        "R3": Placebo(
            kind="a scratchpad of equal length whose entries before the final sign are shuffled in every example", arm="shuffled"
        ),
        "R4": Placebo(kind="program sizes permuted over the tasks", arm="permuted"),
        "R5": Placebo(kind="the last five bits vary in training and are ignored by the label", arm="ignored"),
        "R6": Placebo(kind="random unique strings in both arms", arm="same task"),
        "R7": Placebo(kind="offset positions in both arms", arm="same task"),
    }
    published = (
        Published("unique copy beyond the training lengths (reproduction by Huang et al., trained to 50, tested at 51 to 100)", "0.999", "exact_match_2x", "unique copy"),
        Published("repeat copy, as above (4 layers, d 256)", "0.256", "exact_match_2x", "repeat copy"),
        Published("mode, as above (26 letters)", "0.996", "exact_match_2x", "mode"),
        Published("binary majority, as above", "1.000", "exact_match_2x", "majority"),
        Published("parity, as above (chance 0.5)", "0.830", "exact_match_2x", "parity"),
        Published("AND, strings that vary the constant bits", "1.000", "constant_bits", "AND"),
    )  # fmt: skip
    deviations = (
        "Decoders of 2 layers, width 64 and 4 heads (GPT-2 of transformers), trained on lengths 1 to 20 (parity and its scratchpads: 1 to 10) and tested at 1.5 and 2 times the longest; the paper trains larger models on longer inputs.",
        "Contexts are packed with several examples of random position offset, as in the paper, but attention does not cross from one example to the next.",
        "Program size counts core operations after the library is inlined; the paper gives no number. Tasks whose obvious program the checker rejects count as larger than all.",
        "R3 is judged on the whole answer and on its final sign: of a shuffled scratchpad only the final sign can be right.",
        "R6 is tested on random strings of the upper half of the training lengths: a string of one symbol is a run.",
    )  # fmt: skip
    limits = (
        "One size of model, made-up tasks; nothing here speaks of pretrained language models (`genscope profile --with length` does).",
        "The smaller scale `standard` trains on lengths 1 to 10 and judges R1, R4 and R5 only; length generalization of copying shows after training on 1 to 20.",
    )
    calibration = (
        "seed 999, on exact match at the training lengths only: 8,000 updates (4,000 for majority, mode, count and parity, 250 for AND), rate 1e-3 (repeat copy 3e-3), "
        "lengths 1 to 10 for parity. Without positions unique copy stayed at 77 % of the training lengths after 8,000 updates, so R7 compares with positions that are not "
        "shifted, as the claim allows. The recipe itself comes from earlier pilots on that seed, which had seen longer inputs."
    )

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        made: list[Cell] = []

        def add(part: str, condition: str, seed: int, arms: Sequence[str], **settings: Any) -> None:
            made.append(Cell(part=part, condition=condition, seed=seed, arms=tuple(arms), settings={"scale": scale, **settings}))

        for seed in seeds:
            if scale != "standard":
                add("beyond", "unique copy", seed, ("claim", "same task"))
                for condition in ("repeat copy", "copy of runs", "unique copy unshifted"):
                    add("beyond", condition, seed, ("claim",))
                    add("beyond", condition, seed, ("same task",), task="unique_copy", draw=1)
                for condition in ("majority", "count"):
                    add("beyond", condition, seed, ("claim", "same task"))
                add("beyond", "parity", seed, ("claim", "shuffled"))
                add("beyond", "parity with scratchpad", seed, ("claim",))
                add("beyond", "parity with scratchpad", seed, ("shuffled",), task="parity_shuffled")
            add("programs", "programs", seed, ("claim",))
            add("and", "AND", seed, ("claim",))
            add("and", "AND", seed, ("ignored",), task="and_tail_ignored")
            add("and", "AND, tail ignored", seed, ("claim", "ignored"))
            for condition in RANKED.get(scale, RANKED["extended"]):
                add("ranking", condition, seed, ("claim",))
                add("ranking", condition, seed, ("permuted",), permuted=True)
        return made

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        rung = SIZES[cell.settings["scale"]]
        return _run_programs(cell, rung) if cell.part == "programs" else _run_model(cell, lab, rung)

    def figures(self, records: pl.DataFrame) -> Sequence[Block]:
        import polars as pl

        from genscope.pages.study_charts import arms_by_condition, curves

        rows = records.filter((pl.col("metric") == "exact_match") & (pl.col("arm") == "claim")).unique(
            ["condition", "seed", "step"], maintain_order=True
        )
        lines = [
            {"name": condition, "x": length, "y": value, "detail": f"{condition} {seed}"}
            for condition, length, value, seed in rows.select("condition", "step", "value", "seed").sort("condition", "seed", "step").rows()
        ]
        blocks: list[Block] = []
        if lines:
            blocks.append(curves(lines, title="Exact match by length", x="length", y="whole answers right", caption="Free-running greedy decoding. One line a seed; training lengths end in the middle of the axis."))  # fmt: skip
        names = {"id_exact_match": "at the training lengths", "exact_match_2x": "at twice the longest"}
        if len(records.filter(pl.col("part") == "beyond")):
            blocks.append(arms_by_condition(records.filter(pl.col("part") == "beyond"), names, title="Beyond the training lengths", value="exact match", caption="Each small point is a seed. The placebos train on unique copy under the other names, and on a shuffled scratchpad."))  # fmt: skip
        return blocks


# --- programs


def _run_programs(cell: Cell, rung: Size) -> list[Record]:
    shares = {name: _solved(name, rung.program_lengths, Seed(WORD, "programs", cell.seed)) for name in PROGRAMS}
    return [
        cell.record("solved", min(shares.values()), n=20 * len(rung.program_lengths)),
        cell.record("rejected", float(np.mean([_rejected(name) for name in REJECTED])), n=len(REJECTED)),
        *[cell.record("program_solved", share, n=20 * len(rung.program_lengths), program=name) for name, share in shares.items()],
        *[cell.record("program_size", float(size(program).ops), "count", program=name) for name, program in PROGRAMS.items()],
    ]


def _solved(name: str, lengths: Sequence[int], seed: Seed, items: int = 20) -> float:
    """Share of answers that a program decodes rightly, `items` a length."""
    right = total = 0
    for length in lengths:
        examples = TASKS[name].examples(length, items, seed)
        answers = decode(PROGRAMS[name], np.array([one.prompt for one in examples]), max(len(one.answer) for one in examples))
        right += sum(answer == list(one.answer) for answer, one in zip(answers, examples, strict=True))
        total += items
    return right / total


def _rejected(name: str) -> bool:
    from genscope.core.errors import TaskError

    try:
        REJECTED[name].graph()
    except TaskError:
        return True
    return False


# --- models


def recipe_of(cell: Cell, rung: Size) -> SequenceRecipe:
    """What a cell trains. Calibrated on exact match at the training lengths of seed 999: the rate of repeat copy, updates by task, short lengths for parity."""
    from genscope.training.sequences import SequenceRecipe

    task, draw = cell.settings.get("task", TASK_OF[cell.condition]), cell.settings.get("draw", 0)
    conjunction, parity, easy = cell.part == "and", task.startswith("parity"), task in ("majority", "mode", "count", "parity")
    longest = 20 if conjunction else rung.short if parity else rung.length
    return SequenceRecipe(
        task=task, seed=Seed(WORD, "model", task, cell.seed, draw), symbols=3 * rung.length if task in UNIQUE else None, layers=rung.layers, width=rung.width,
        lengths=(longest if conjunction else 1, longest), table=32 if conjunction else rung.table, lr=3e-3 if task == "repeat_copy" else 1e-3,
        updates=rung.and_updates if conjunction else rung.fewer if easy else rung.updates,
        offsets=cell.condition != "unique copy unshifted" or draw > 0,
    )  # fmt: skip


def _run_model(cell: Cell, lab: Lab, rung: Size) -> list[Record]:
    recipe = recipe_of(cell, rung)
    _, facts = lab.keep("length model", [recipe_key(recipe), rung.items], lambda: ({}, _measure(recipe, rung.items)))
    if cell.part == "ranking":
        return _ranked(cell, facts)
    if cell.part == "and":
        names = ("id_exact_match", "constant_bits", "interpolator")
    else:
        names = ("id_exact_match", "id_final_answer", "exact_match_1.5x", "exact_match_2x", "final_answer_1.5x", "random_strings")
    records = [cell.record(name, facts[name], n=rung.items, run=facts["run"]) for name in names if name in facts]
    curve = [cell.record("exact_match", value, n=rung.items, step=int(length)) for length, value in facts.get("curve", {}).items()]
    return [*records, *curve, cell.record("updates", facts["updates"], "count"), cell.record("train_loss", facts["loss"], "nats")]


def recipe_key(recipe: SequenceRecipe) -> Any:
    """A recipe's canonical form."""
    from genscope.training.recipe import plain

    return plain(recipe)


def _ranked(cell: Cell, facts: Mapping[str, Any]) -> list[Record]:
    """Exact match at twice the length, at the level of the task's program size; in the placebo at another task's."""
    tasks = [TASK_OF[one] for one in RANKED.get(cell.settings["scale"], RANKED["extended"])]
    sizes = ranked_sizes(tasks, bool(cell.settings.get("permuted")))
    ranked = cell.record("ranked_exact_match_2x", facts["exact_match_2x"], n=facts["items"])
    return [cell.record("id_exact_match", facts["id_exact_match"]), replace(ranked, level=sizes[TASK_OF[cell.condition]])]


def ranked_sizes(tasks: Sequence[str], permuted: bool) -> dict[str, int]:
    """Task -> operations of its program, NO_PROGRAM without one; permuted over the tasks for the placebo."""
    sizes = [size(PROGRAMS[task]).ops if task in PROGRAMS else NO_PROGRAM for task in tasks]
    if permuted:
        sizes = [int(one) for one in Seed(WORD, "permuted sizes").rng().permutation(sizes)]
    return dict(zip(tasks, sizes, strict=True))


def _measure(recipe: SequenceRecipe, items: int) -> dict[str, Any]:
    """Train, keep the model as a run, and decode it freely at the training lengths and beyond."""
    from genscope.training.sequences import beyond, free_running, keep_run, train_sequences

    trained = train_sequences(recipe)
    seed, (low, high) = recipe.seed.child("test"), recipe.lengths

    def right(task: str, length: int, count: int) -> tuple[float, float]:
        """(whole answers, last words before the end) that are right."""
        chosen = TASKS[task] if task != recipe.task else trained.task
        made, wanted = free_running(trained.net, chosen, trained.codes, length, count, seed.child(task), table=recipe.table)
        whole = [one == other for one, other in zip(made, wanted, strict=True)]
        final = [one[-2:] == other[-2:] for one, other in zip(made, wanted, strict=True)]
        return float(np.mean(whole)), float(np.mean(final))

    facts: dict[str, Any] = {
        "run": keep_run(trained, recipe),
        "updates": trained.updates,
        "loss": trained.curve[-1]["loss"],
        "items": items,
    }
    if recipe.task.startswith("and_"):
        return facts | {"id_exact_match": right(recipe.task, high, items)[0], **_constant_bits(trained)}
    known = [right(recipe.task, length, max(8, items // (high - low + 1) * 2)) for length in range(low, high + 1)]
    ends = {"1.5x": round(1.5 * high), "2x": 2 * high}
    beyond(recipe, list(ends.values()))
    far = {name: right(recipe.task, length, items) for name, length in ends.items()}
    facts |= {f"exact_match_{name}": whole for name, (whole, _) in far.items()} | {
        f"final_answer_{name}": final for name, (_, final) in far.items()
    }
    facts |= {"id_exact_match": float(np.mean([one for one, _ in known])), "id_final_answer": float(np.mean([one for _, one in known]))}
    step = max(1, high // 5)
    facts["curve"] = {str(length): right(recipe.task, length, items // 2)[0] for length in range(step, 2 * high + 1, step)}
    if recipe.task in ("unique_copy", "runs_copy"):
        random = replace(TASKS["unique_copy"], symbols=trained.task.symbols)
        shares = []
        for length in range(high // 2 + 1, high + 1):
            made, wanted = free_running(
                trained.net, random, trained.codes, length, max(4, items // 10), seed.child("random strings"), table=recipe.table
            )
            shares.append(np.mean([one == other for one, other in zip(made, wanted, strict=True)]))
        facts["random_strings"] = float(np.mean(shares))
    return facts


def _constant_bits(trained: Any) -> dict[str, float]:
    """Share right on all strings whose first 15 bits are 1 and whose last five are not all 1 (AND is 0), by the model and by the minimum-degree interpolator."""
    import torch

    from genscope.measures.length_curve import min_degree_interpolator
    from genscope.tasks.length import SEPARATOR, START
    from genscope.training.sequences import greedy

    tails = (np.arange(31)[:, None] >> np.arange(5)) & 1
    ask = np.concatenate([np.ones((31, 15), int), tails], axis=1)
    prompts = torch.tensor([[trained.codes[code] for code in (START, *row.tolist(), SEPARATOR)] for row in ask])
    answers = greedy(trained.net, prompts, trained.codes[END], 2)
    heads = (np.arange(2**15)[:, None] >> np.arange(15)) & 1
    seen = np.concatenate([heads, np.ones((2**15, 5), int)], axis=1)
    fitted = min_degree_interpolator(seen, seen.all(1).astype(float), ask)
    zero = trained.codes[0]
    return {"constant_bits": float(np.mean([row[0] == zero for row in answers])), "interpolator": float(np.mean(np.abs(fitted) < 0.5))}
