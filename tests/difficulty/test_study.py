"""The study easy2hard: its claims on made-up records, its cells' parts, and the pool of solvers."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from genscope.core.claims import judge
from genscope.core.records import records_frame
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.engine.lab import Lab
from genscope.engine.study import Cell
from genscope.studies import easy2hard
from genscope.tasks.blanks import Blank, twins
from genscope.training import solver_pool


def cell(condition: str, **settings: Any) -> Cell:
    return Cell(part="records", condition=condition, seed=3, settings={"scale": "smoke", **settings})


def values(records: Any) -> dict[str, float]:
    return {one.metric: one.value for one in records if not one.factors}


def test_the_arms_differ_in_the_mechanism_only() -> None:
    lab = Lab(Store.open(), "test")
    study = easy2hard.Easy2Hard()
    selective, random = (values(study.run(cell("attempts", pattern=pattern), lab)) for pattern in ("selective", "random"))
    assert selective["share_attempted"] == random["share_attempted"]
    assert selective["irt_minus_raw"] > random["irt_minus_raw"] + 0.05
    complete = values(study.run(cell("complete"), lab))
    assert complete["irt_minus_raw"] == pytest.approx(0, abs=0.01)
    assert complete["share_attempted"] == 1


@pytest.mark.slow
def test_the_pool_its_profiles_and_its_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    few = partial(solver_pool.train_pool, sizes=(30, 600), repeats=1)
    monkeypatch.setattr(solver_pool, "train_pool", few)
    lab = Lab(Store.open(), "test")
    pool = easy2hard._pool(lab, 3)
    assert pool.right.shape == (16, 1_197)
    assert Counter(pool.family) == dict.fromkeys(dict.fromkeys(pool.family), 2)
    study = easy2hard.Easy2Hard()
    own, permuted = (values(study.run(cell("digits", **more), lab)) for more in ({}, {"permuted": True}))
    assert own["held_out_accuracy"] == permuted["held_out_accuracy"]
    assert own["families_falling"] > permuted["families_falling"] + 4
    assert abs(permuted["quintile_gap"]) < 0.05
    by_difficulty, at_random = (values(study.run(cell("matrix", **more), lab)) for more in ({}, {"random": True}))
    assert by_difficulty["short_of_claim"] == 0.0
    assert abs(at_random["diagonal_gap"]) < 0.05
    assert by_difficulty["diagonal_gap"] > 0.1
    networks = list(study.run(cell("networks"), lab))
    assert {one.factors["first"] for one in networks if one.metric == "agreement"} >= {"irt", "glicko2", "rate", "loss", "confidence"}


def test_the_language_models_claim_judges_as_it_should() -> None:
    claim = next(one for one in easy2hard.CLAIMS if one.id == "C6")

    def frame(easy: float, hard: float, n: int) -> pl.DataFrame:
        rng = Seed("c6", str(easy), n).rng()
        records = [
            Cell(part="p", condition=name, seed=0).record("right", float(rng.random() < p), twins=k)
            for name, p in (("easy", easy), ("hard", hard))
            for k in range(n)
        ]
        return records_frame(records)

    assert judge(claim, frame(0.8, 0.5, 500), Seed("v")).verdict == "reproduced"
    assert judge(claim, frame(0.5, 0.8, 500), Seed("v")).verdict == "not reproduced"
    assert judge(claim, frame(0.51, 0.5, 500), Seed("v")).verdict == "inconclusive"
    assert "too little data" in judge(claim, frame(0.8, 0.5, 100), Seed("v")).reason


def test_permuted_hardness_keeps_twins_together_and_the_count() -> None:
    blanks = [
        Blank(
            sentence=f"Word {k // 2} makes _ glad about {k // 2}{'!' * (k % 2)}",
            options=(f"a{k // 2}", "b"),
            right=0,
            hardness="easy" if k < 50 else "hard",
        )
        for k in range(100)
    ]
    group = twins(blanks)
    assert len(set(group)) == 50
    found = easy2hard._permuted(blanks, group, Seed("p"))
    assert Counter(found)["easy"] == 50
    assert all(len({found[k] for k in range(100) if group[k] == name}) == 1 for name in set(group))
    overlap = np.mean([one == blank.hardness for one, blank in zip(found, blanks, strict=True)])
    assert 0.2 < overlap < 0.8


def test_scales_grow_and_the_paper_names_its_model() -> None:
    study = easy2hard.Easy2Hard()
    assert len(study.cells("standard", study.seeds)) == 8 * 10 + 2
    assert easy2hard.SIZES["paper"].model.startswith("hf:")
    assert easy2hard.SIZES["smoke"].sentences == 8
