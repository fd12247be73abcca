"""System 10: the study's cells serve every claim and placebo, its engine claim holds, and its rank claim judges as it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from genscope.core.claims import judge
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.engine.lab import Lab
from genscope.engine.study import CLAIM_ARM, Cell
from genscope.studies.rasp_length import CLAIMS, NO_PROGRAM, RANKED, SIZES, TASK_OF, RaspLength, ranked_sizes, recipe_of

STUDY = RaspLength()


def named(claim: Any) -> set[str]:
    """Conditions that a claim's clauses and preconditions read."""
    found = {one.select["condition"] for one in (*claim.clauses, *claim.preconditions) if "condition" in one.select}
    return found | {
        name for clause in claim.clauses if clause.contrast and clause.contrast[0] == "condition" for name in clause.contrast[1:]
    }


@pytest.mark.parametrize("scale", ["smoke", "standard", "extended"])
def test_every_claim_and_placebo_has_the_cells_it_reads(scale: Any) -> None:
    cells = STUDY.cells(scale, (0, 1))
    parts = {cell.part for cell in cells}
    assert ("beyond" in parts) == (scale != "standard")
    for claim in CLAIMS:
        part = STUDY.part_of(claim.id)
        if part not in parts:
            continue
        arms = [CLAIM_ARM] + ([STUDY.placebos[claim.id].arm] if claim.id in STUDY.placebos else [])
        for arm in arms:
            there = [cell.condition for cell in cells if cell.part == part and arm in cell.arms and cell.seed == 0]
            assert named(claim) <= set(there), (claim.id, arm)
            assert len(there) == len(set(there)), (claim.id, arm)


def test_a_placebo_trains_as_its_claim_does_and_differs_in_the_mechanism_only() -> None:
    def recipe(condition: str, **settings: Any) -> Any:
        return recipe_of(Cell(part="beyond", condition=condition, seed=3, settings=settings), SIZES["extended"])

    claim, control = recipe("unique copy"), recipe("repeat copy", task="unique_copy", draw=1)
    assert (control.task, control.symbols, control.updates, control.lr, control.lengths, control.positions) == (
        claim.task, claim.symbols, claim.updates, claim.lr, claim.lengths, claim.positions
    )  # fmt: skip
    assert control.seed != claim.seed
    assert not recipe("unique copy unshifted").offsets
    assert recipe("unique copy unshifted", task="unique_copy", draw=1) == control
    real, shuffled = recipe("parity with scratchpad"), recipe("parity with scratchpad", task="parity_shuffled")
    assert (real.updates, real.lengths, real.lr) == (shuffled.updates, shuffled.lengths, shuffled.lr)
    # nothing is tested at a length that was trained, or that the table does not reach
    for condition in TASK_OF:
        made = recipe_of(Cell(part="and" if condition.startswith("AND") else "beyond", condition=condition, seed=0), SIZES["extended"])
        assert made.make_task().longest >= (2 if not condition.startswith("AND") else 1) * made.lengths[1]


def test_programs_solve_their_tasks_and_the_others_are_rejected(tmp_path: Path) -> None:
    cell = Cell(part="programs", condition="programs", seed=0, settings={"scale": "smoke"})
    found = {record.metric: record.value for record in STUDY.run(cell, Lab(Store.open(tmp_path), "code"))}
    assert found["solved"] == 1.0
    assert found["rejected"] == 1.0


def test_the_interpolator_errs_on_every_string_and_a_run_is_kept(home: Path, tmp_path: Path) -> None:
    cell = Cell(part="and", condition="AND", seed=0, settings={"scale": "smoke"})
    records = {record.metric: record for record in STUDY.run(cell, Lab(Store.open(tmp_path), "code"))}
    assert records["interpolator"].value == 0.0
    assert (home / "runs" / records["id_exact_match"].factors["run"] / "model.safetensors").is_file()
    assert 0 <= (records["constant_bits"].value or 0) <= 1


def test_sizes_are_permuted_over_the_tasks() -> None:
    tasks = [TASK_OF[one] for one in RANKED["extended"]]
    own, moved = ranked_sizes(tasks, False), ranked_sizes(tasks, True)
    assert sorted(own.values()) == sorted(moved.values())
    assert sum(own[task] != moved[task] for task in tasks) >= len(tasks) // 2
    assert own["parity"] == own["repeat_copy"] == NO_PROGRAM
    assert own["majority"] < own["count"] < own["unique_copy"] < own["mode"] < NO_PROGRAM


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"majority": 1.0, "count": 0.99, "unique copy": 0.9, "mode": 0.85, "repeat copy": 0.0, "parity": 0.5}, "reproduced"),
        ({"majority": 0.1, "count": 0.2, "unique copy": 0.3, "mode": 0.4, "repeat copy": 0.9, "parity": 0.95}, "not reproduced"),
    ],
)
def test_the_rank_claim_on_made_up_records(values: dict[str, float], verdict: str) -> None:
    claim = STUDY.claim("R4")
    sizes = ranked_sizes([TASK_OF[name] for name in values], False)
    rng = Seed("R4").rng()
    rows = []
    for name, value in values.items():
        for seed in range(5):
            rows.append(
                {
                    "metric": "ranked_exact_match_2x",
                    "condition": name,
                    "seed": seed,
                    "level": sizes[TASK_OF[name]],
                    "value": value + 0.002 * rng.standard_normal(),
                }
            )
            rows.append({"metric": "id_exact_match", "condition": name, "seed": seed, "level": None, "value": 1.0})
    frame = pl.DataFrame(rows, infer_schema_length=None)
    assert judge(claim, frame, Seed("verdict")).verdict == verdict
    untrained = frame.with_columns(
        value=pl.when((pl.col("metric") == "id_exact_match") & (pl.col("condition") == "mode")).then(0.5).otherwise("value")
    )
    assert judge(claim, untrained, Seed("verdict")).verdict == "inconclusive"
