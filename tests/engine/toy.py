"""A study of made-up numbers, so that the engine can be tested in seconds. Environment variables make cells fail, die or wait."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause, Precondition
from genscope.core.errors import TrainingError
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Paper, Part, Placebo, Scale, Study

CLAIMS = (
    Claim(
        id="T1", kind="phenomenon", sentence="With the mechanism the score is higher by at least 0.2.", minimum_n=5,
        clauses=(Clause(metric="score", contrast=("condition", "with", "without"), pair=("seed",), relation=">", margin=0.2, test="paired_t"),),
        preconditions=(Precondition(metric="trained", relation=">=", value=0.9, reduce="min", sentence="every model trains"),),
    ),
)  # fmt: skip


class Toy(Study):
    """A mechanism that adds 0.5 to a score."""

    name = "toy"
    paper = Paper(0, "0000.00000", "A toy", 2026, "Nobody")
    question = "Does the mechanism help?"
    answer = "It does."
    card = Card(motivation="practical", type="robustness", shift="covariate", source="fully generated", locus="train-test")
    extra = "core"
    parts = {
        "main": Part(sentence="the only part", claims=("T1",)),
        "other": Part(sentence="needs data", claims=(), data=("no-such-data",)),
    }
    claims = CLAIMS
    placebos = {"T1": Placebo(kind="no mechanism in either condition", arm="off")}

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        return [
            Cell(part="main", condition=condition, seed=seed, arms=(arm,), settings={"on": condition == "with" and arm == "claim"})
            for seed in seeds
            for condition in ("with", "without")
            for arm in ("claim", "off")
        ]

    def certify(self, scale: Scale) -> dict[str, int]:
        return {"data": int(os.environ.get("TOY_SHARED", "0"))}

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        name = f"{cell.condition}-{cell.arms[0]}-{cell.seed}"
        if os.environ.get("TOY_LOG"):
            with Path(os.environ["TOY_LOG"]).open("a") as log:
                log.write(name + "\n")
        if name in os.environ.get("TOY_FAIL", "").split():
            raise TrainingError("the training loss is nan after 10 updates")
        if name in os.environ.get("TOY_DIE", "").split():
            os._exit(9)
        time.sleep(float(os.environ.get("TOY_WAIT", "0")))
        shift = float(os.environ.get("TOY_EFFECT", "0.5")) if cell.settings["on"] else 0.0
        if os.environ.get("TOY_LEAK") and cell.condition == "with":
            shift = 0.5
        if os.environ.get("TOY_DONE"):
            with Path(os.environ["TOY_DONE"]).open("a") as log:
                log.write(name + "\n")
        noise = 0.01 * Seed("toy", name).rng().standard_normal()
        return [
            cell.record("score", shift + noise),
            cell.record("trained", float(os.environ.get("TOY_TRAINED", "1"))),
            cell.record("undefined", float("nan")),
        ]
