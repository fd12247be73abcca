"""System 17, the study: claims judge as they should, placebos are what they say, and every part runs on made-up files of the released form."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genscope.core.claims import judge
from genscope.core.records import records_frame
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.engine.cells import has_data
from genscope.engine.lab import Lab
from genscope.engine.synthetic import wrong
from genscope.engine.verdict import judge_study, with_factors
from genscope.measures.label_support import Support
from genscope.studies import explanation_hardness as module
from genscope.studies.explanation_hardness import ExplanationHardness, derangement, exchanged_tags
from genscope.tasks.winogrande_explanations import DATA
from tests.explanations.made_up import folder

STUDY = ExplanationHardness()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_DATA", str(folder(tmp_path / "data")))
    monkeypatch.setattr(module, "_embedding", lambda lab, size: module.hashed_vectors)


def rows(part: str, scale: str = "standard", seeds: tuple[int, ...] = (0,), words: tuple[str, ...] = ("",)) -> pl.DataFrame:
    lab, made = Lab(Store.open(), "code"), []
    for cell in STUDY.cells(scale, seeds):  # pyright: ignore[reportArgumentType]
        if cell.part == part and cell.condition.startswith(words):
            found = records_frame(STUDY.run(cell, lab)).with_columns(part=pl.lit(part), seed=pl.lit(cell.seed, pl.Int64))
            made += [found.with_columns(arm=pl.lit(arm)) for arm in cell.arms]
    return with_factors(pl.concat(made), STUDY.claims)


@pytest.mark.parametrize("claim", STUDY.claims, ids=lambda one: one.id)
def test_claims_judge_as_they_should(claim: Any) -> None:
    assert wrong(claim) == []


@pytest.mark.usefixtures("data")
def test_texts_and_their_placebo() -> None:
    found = rows("texts")

    def values(arm: str, metric: str, hardness: str) -> list[float]:
        return found.filter((pl.col("arm") == arm) & (pl.col("metric") == metric) & (pl.col("hardness") == hardness))["value"].to_list()

    for metric in ("agreement", "cosine", "disputed"):
        both = {arm: sorted(values(arm, metric, "easy") + values(arm, metric, "hard")) for arm in ("claim", "tags permuted")}
        assert both["claim"] == pytest.approx(both["tags permuted"])
        assert len(values("claim", metric, "easy")) == len(values("tags permuted", metric, "easy"))
        assert values("claim", metric, "easy") != values("tags permuted", metric, "easy")
    for hardness in ("easy", "hard"):
        claim, placebo = (values(arm, "novelty_human_less_model", hardness) for arm in ("claim", "tags permuted"))
        assert np.abs(claim) == pytest.approx(np.abs(placebo))
        assert claim != placebo
    assert np.mean(values("claim", "disputed", "easy")) == 0
    assert STUDY.figures(found)


@pytest.mark.skipif(not has_data(DATA), reason="the released sentences are not here")
def test_the_text_claims_count_what_the_sheet_counts() -> None:
    """The intervals on the released texts are those of the sheet (its bootstrap: 10,000 draws)."""
    found = with_factors(records_frame(module._disputed(STUDY.cells("standard", (0,))[0], [module.explained(one) for one in ("easy", "hard")], module.Size(), None)), STUDY.claims)  # pyright: ignore[reportArgumentType]  # fmt: skip
    by = {
        (where, hardness): part["value"].sum()
        for (where, hardness), part in found.filter(pl.col("metric") == "disputed").group_by("condition", "hardness")
    }
    assert by == {("test", "easy"): 0, ("test", "hard"): 14, ("pool", "easy"): 0, ("pool", "hard"): 43}
    assert found.filter(pl.col("metric") == "novelty_human_pool").group_by("hardness").len().height == 2


@pytest.mark.usefixtures("data")
def test_a_language_model_solves_judges_and_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in that likes the gold option in easy sentences, and follows true rules there."""
    asked: list[tuple[str, ...]] = []

    class Stand:
        class model:  # noqa: N801
            @staticmethod
            def identity() -> dict[str, int]:
                return {"stand": 1}

    def margins(asker: Any, items: Any, fronts: Any = None, label: str = "") -> list[tuple[float, float]]:
        return [(1.0 if "easy" in item.sentence or k % 4 == 0 else -1.0, 0.0) for k, item in enumerate(items)]

    def support(asker: Any, items: Any, rules: Any, **more: Any) -> list[Support]:
        asked.append(tuple(rules))
        fits = [rule.split()[3].strip(",") in item.sentence for item, rule in zip(items, rules, strict=True)]
        value = [(2.0 if "easy" in item.sentence else 0.5) * fit + 0.01 * k for k, (item, fit) in enumerate(zip(items, fits, strict=True))]
        return [Support(support=v, exchanged=-v, bare=0.0, x_is_gold=True) for v in value]

    monkeypatch.setattr(module, "_asker", lambda lab, size: Stand())
    monkeypatch.setattr(module, "twins", lambda items: list(range(len(items))))  # made-up sentences of both hardnesses are alike
    monkeypatch.setattr(module, "partial_margins", margins)
    monkeypatch.setattr(module, "label_support", support)
    monkeypatch.setattr(module, "explain", lambda asker, items, pool, embed: ["If X is new, then Y learns" for _ in items])
    found = rows("language model")
    solved = found.filter(pl.col("metric") == "lm_correct")
    shares = {(arm, hardness): part["value"].mean() for (arm, hardness), part in solved.group_by("arm", "hardness")}
    assert shares["claim", "easy"] == 1.0
    assert shares["claim", "hard"] == 0.25
    assert shares["tags permuted", "easy"] < 1.0
    assert solved.filter(pl.col("arm") == "claim")["twin"].null_count() == 0
    control = found.filter(pl.col("metric") == "swap_control_low")
    assert sorted(control["arm"].to_list()) == ["claim", "rules permuted"]
    assert control["value"].n_unique() == 1
    true, moved = ([one for one in asked if (one[0] == asked[0][0]) is same] for same in (True, False))
    assert true
    assert any(Counter(one) == Counter(true[0]) for one in moved)
    own = found.filter(pl.col("metric") == "own_is_rule")
    assert own["value"].to_list() == [1.0] * 24
    assert len(STUDY.figures(found)) == 1


def test_twins_stay_together_when_tags_are_permuted() -> None:
    groups = [k // 2 for k in range(40)] + list(range(100, 120))
    tags = ["easy"] * 24 + ["hard"] * 16 + ["easy"] * 8 + ["hard"] * 12
    made = exchanged_tags(tags, groups, Seed("twins"))
    assert Counter(made) == Counter(tags)
    assert made != tags
    assert all(made[2 * k] == made[2 * k + 1] for k in range(20))


def test_permuted_rules_leave_no_rule_in_its_place() -> None:
    rules = [f"rule {k}" for k in range(50)]
    made = derangement(rules, Seed("d"))
    assert sorted(made) == sorted(rules)
    assert all(a != b for a, b in zip(made, rules, strict=True))


def test_dynamics_find_flipped_labels_and_permuted_flags_do_not() -> None:
    found = rows("dynamics", "smoke")
    values = {(arm, metric): value for arm, metric, value in found.select("arm", "metric", "value").rows()}
    assert values["claim", "flipped_share"] == pytest.approx(0.05, abs=0.015)
    assert values["claim", "clean_accuracy"] == values["flags permuted", "clean_accuracy"] >= 0.85
    assert values["claim", "auroc"] > 0.9
    assert values["flags permuted", "auroc"] == pytest.approx(0.5, abs=0.12)
    assert values["claim", "seeds_agree"] == values["flags permuted", "seeds_agree"]


def test_a_judge_that_fails_its_control_gives_no_verdict() -> None:
    rng, held = Seed("control").rng(), []
    for hardness in ("easy", "hard"):
        for k in range(100):
            held += [
                {"metric": "support", "hardness": hardness, "explainer": "GPT-3", "value": 5.0 * (hardness == "easy") + rng.normal()},
                {"metric": "support_human_less_model", "hardness": hardness, "explainer": None, "value": 5.0 * (hardness == "hard") + rng.normal() + 0 * k},
            ]  # fmt: skip
    for low, verdict in ((0.1, "reproduced"), (-0.1, "inconclusive")):
        frame = pl.DataFrame([*held, {"metric": "swap_control_low", "hardness": None, "explainer": None, "value": low}])
        assert judge(STUDY.claim("C5"), frame, Seed("j")).verdict == verdict


def test_every_placebo_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_DATA", str(folder(tmp_path / "data")))
    monkeypatch.setattr(module, "_embedding", lambda lab, size: module.hashed_vectors)
    entries = judge_study(STUDY, rows("texts"), [STUDY.claim(name) for name in ("C1", "C2", "C3")])
    assert [entry["placebo"]["verdict"] for entry in entries] == ["inconclusive"] * 3
    assert json.dumps(entries)
