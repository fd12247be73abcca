"""System 1, the study: its claims judge as they should, its placebos are what they say, and its instrument claims hold."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from genscope.core.claims import judge
from genscope.core.records import records_frame
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.engine.lab import Lab
from genscope.engine.synthetic import ranks, wrong
from genscope.engine.verdict import judge_study
from genscope.studies.inductive_bias_complexity import SHUFFLED, InductiveBiasComplexity

STUDY = InductiveBiasComplexity()


def rows(part: str, scale: str = "standard", seeds: tuple[int, ...] = (0,), conditions: tuple[str, ...] = ()) -> pl.DataFrame:
    lab = Lab(Store.open(), "code")
    made = []
    for cell in STUDY.cells(scale, seeds):  # pyright: ignore[reportArgumentType]
        if cell.part != part or (conditions and cell.condition not in conditions):
            continue
        found = records_frame(STUDY.run(cell, lab)).with_columns(part=pl.lit(part), seed=pl.lit(cell.seed, pl.Int64))
        made += [found.with_columns(arm=pl.lit(arm)) for arm in cell.arms]
    return pl.concat(made)


@pytest.mark.parametrize("claim", [one for one in STUDY.claims if not ranks(one)], ids=lambda one: one.id)
def test_claims_judge_as_they_should(claim: object) -> None:
    assert wrong(claim) == []  # pyright: ignore[reportArgumentType]


def test_the_instrument_claims_hold() -> None:
    found = rows("formula", conditions=("worked values", "sweeps", "circle"))
    for name in ("C1", "C3", "C4"):
        verdict = judge(STUDY.claim(name), found, Seed("judge"))
        assert verdict.verdict == "reproduced", (name, verdict.reason)
    off = found.with_columns(
        value=pl.when((pl.col("metric") == "relative_error") & (pl.col("condition") == "SVHN")).then(0.01).otherwise(pl.col("value"))
    )
    assert judge(STUDY.claim("C1"), off, Seed("judge")).verdict == "not reproduced"


def test_the_dimension_of_spheres() -> None:
    seeds = tuple(range(5))
    found = rows("formula", "smoke", seeds, tuple(f"sphere m={m}" for m in (1, 2, 3, 5, 8)))
    assert judge(STUDY.claim("C2"), found, Seed("judge")).verdict == "reproduced"


def made_up(rho: float, tasks: int = 15, seeds: int = 3) -> pl.DataFrame:
    """Errors that follow the bits with noise."""
    rng, held = Seed("made up", tasks, seeds).rng(), []
    for task in range(tasks):
        for learner in ("k-NN", "RBF SVM"):
            value = rho * task / tasks + (1 - abs(rho)) * rng.normal()
            held += [
                {"metric": "test_error", "condition": learner, "value": value + 0.001 * rng.normal(), "seed": s, "task": f"t{task}", "log10_bits": float(task)}
                for s in range(seeds)
            ]  # fmt: skip
    return pl.DataFrame(held)


def test_the_rank_claim_on_made_up_records() -> None:
    claim = STUDY.claim("C5")
    assert judge(claim, made_up(1.0), Seed("judge")).verdict == "reproduced"
    assert judge(claim, made_up(-1.0), Seed("judge")).verdict == "not reproduced"
    assert judge(claim, made_up(1.0, tasks=8), Seed("judge")).verdict == "inconclusive"
    found = judge(claim, made_up(1.0), Seed("judge")).clauses[0].estimate
    assert (found.n, found.effect) == (15, pytest.approx(1.0, abs=0.02))


def test_bits_predict_errors_and_permuted_bits_do_not() -> None:
    found = rows("learners", "smoke", (0, 1))
    (entry,) = judge_study(STUDY, found, [STUDY.claim("C5")])
    assert entry["placebo"]["verdict"] != "reproduced"
    by_arm = {}
    for arm in ("claim", "bits permuted"):
        part = found.filter((pl.col("arm") == arm) & (pl.col("metric") == "test_error"))
        by_arm[arm] = [(condition, value) for condition, value in part.select("condition", "value").rows()]
        bits = {json.loads(text)["task"]: json.loads(text)["log10_bits"] for text in part["factors"].to_list()}
        by_arm[arm + " bits"] = bits
    assert by_arm["claim"] == by_arm["bits permuted"]
    assert by_arm["claim bits"] != by_arm["bits permuted bits"]
    assert sorted(by_arm["claim bits"].values()) == sorted(by_arm["bits permuted bits"].values())
    permuted = found.filter((pl.col("metric") == "test_error") & (pl.col("arm") == "bits permuted") & (pl.col("seed") == 1))
    assert {json.loads(t)["task"]: json.loads(t)["log10_bits"] for t in permuted["factors"].to_list()} == by_arm["bits permuted bits"]


def test_noise_raises_bits_and_its_two_placebos_do_not() -> None:
    found = rows("noise", "smoke", (0, 1, 2, 3, 4))
    (entry,) = judge_study(STUDY, found, [STUDY.claim("C6")])
    assert entry["verdict"] == "reproduced"
    assert entry["placebo"]["verdict"] != "reproduced"
    (second,) = entry["placebo"]["beside"]
    assert second["verdict"] == "not reproduced"
    assert sorted(SHUFFLED) == sorted(SHUFFLED.values())
    assert all(name != sigma for name, sigma in SHUFFLED.items())
    still = found.filter((pl.col("arm") == "no noise") & (pl.col("metric") == "log10_bits"))["value"]
    assert still.n_unique() == 1
    assert len(STUDY.figures(found)) == 2

    copied = pl.concat(
        [found.filter(pl.col("arm") != "names permuted"), found.filter(pl.col("arm") == "claim").with_columns(arm=pl.lit("names permuted"))]
    )
    (entry,) = judge_study(STUDY, copied, [STUDY.claim("C6")])
    assert (entry["verdict"], entry["placebo"]["beside"][0]["verdict"]) == ("inconclusive", "reproduced")


def test_pages_are_drawn_from_records() -> None:
    found = pl.concat([rows("formula", "smoke", conditions=("circle",)), rows("learners", "smoke")])
    titles = [getattr(block, "title", "") for block in STUDY.figures(found)]
    assert titles == ["What the bits predict", "The bound on the circle"]
    assert np.isfinite(found["value"].drop_nulls().to_numpy()).all()
