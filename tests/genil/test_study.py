"""The study of system 12: its claims can come out each way, and it runs whole on made-up sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.engine import synthetic
from genscope.engine.lab import Lab
from genscope.studies import genil as module
from genscope.studies import study
from tests.genil import made_up


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.write(tmp_path, rows=260)
    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    monkeypatch.setitem(module.SIZES, "smoke", module.Size(draws=60, permutations=49, embedded=60))  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(module, "sentence_vectors", _letters)
    module._rows.cache_clear()
    module._draws.cache_clear()


def _letters(texts: list[str], store: Store) -> np.ndarray:
    """A stand-in for sentence vectors: whether a sentence is put broadly, among 60 coordinates of noise."""
    noise = np.stack([Seed("vector", text).rng().standard_normal(60) for text in texts])
    noise[:, 0] = [3.0 * (text.startswith(("All", "Typical")) or "always" in text) for text in texts]
    return noise


@pytest.mark.parametrize("claim", [one.id for one in module.CLAIMS])
def test_claims_can_be_satisfied_violated_and_under_powered(claim: str) -> None:
    assert synthetic.wrong(study("genil").claim(claim)) == []


def test_margins_are_the_sheets() -> None:
    found = {claim.id: [(one.metric, one.relation, one.margin, one.at_least) for one in claim.clauses] for claim in module.CLAIMS}
    assert found["C1"] == [
        ("overall_rate", "<", 0.08, None), ("highest_language_rate", "<", 0.12, None), ("language_log10_p", "<", -6.0, None),
        ("rate_ratio", ">", 3.0, None), ("overdispersed_languages", ">", 6.5, None),
    ]  # fmt: skip
    assert found["C2"] == [("ap_over_prior", ">", 0.0, 0.10), ("ap_over_prior", ">", 0.0, 0.15)]
    assert found["C3"] == [("best_ap", ">", 0.45, None), ("best_ap", ">", 0.42, None)]
    assert found["C4"] == [("languages_twice_prevalence", ">", 6.5, None), ("macro_gain_over_english", ">", 0.0, None)]
    assert found["C5"] == [("net_spread", ">", 0.10, 0.15)]
    assert found["C6"] == [
        ("within_language_p", "<", 0.05, None),
        ("within_language_auc", "<", 0.75, None),
        ("pooled_less_within", ">", 0.0, None),
    ]
    assert found["C7"] == [("prior_drop", ">", 0.0, 0.05), ("relative_drop_saved", ">", 0.0, None)]
    assert {claim.id for claim in module.CLAIMS} == set(module.GeniL.placebos)


@pytest.mark.slow
def test_every_cell_runs_and_placebos_lose_the_mechanism(made: None) -> None:
    one = study("genil")
    assert set(one.certify("smoke").values()) == {0}
    lab = Lab(Store.open(), "code")
    rows = []
    for cell in one.cells("smoke", [0]):
        for record in one.run(cell, lab):
            rows += [
                {
                    "metric": record.metric,
                    "condition": record.condition,
                    "arm": arm,
                    "value": record.value,
                    "low": record.low,
                    "language": record.factors.get("language"),
                }
                for arm in cell.arms
            ]
    frame = pl.DataFrame(rows, infer_schema_length=None)

    def value(metric: str, condition: str, arm: str = "claim", column: str = "value") -> float:
        found = frame.filter(
            (pl.col("metric") == metric) & (pl.col("condition") == condition) & (pl.col("arm") == arm) & pl.col("language").is_null()
        )
        assert len(found) == 1, (metric, condition, arm)
        return found[column][0]

    for claim in one.claims:
        for clause in claim.clauses:
            for arm in ("claim", one.placebos[claim.id].arm):
                value(clause.metric, clause.select["condition"], arm)
    assert value("ap_over_prior", "unseen-pair", column="low") > 0.1
    assert value("ap_over_prior", "unseen-pair", "context exchanged") < 0.06
    assert value("best_ap", "unseen-pair", "labels within pairs") < value("best_ap", "unseen-pair") - 0.2
    assert value("language_log10_p", "rates", "labels permuted") > -4
    assert value("languages_twice_prevalence", "english only") >= 7
    assert value("languages_twice_prevalence", "english only", "training labels permuted") < 7
    assert value("prior_drop", "unseen-attribute", "no shift") < 0.15
    assert value("within_language_p", "promoting", "promoting permuted") > 0.02
    before = value("best_ap", "by-sentence")
    again = {record.metric: record.value for record in one.run(one.cells("smoke", [0])[2], lab) if not record.factors}
    assert again["best_ap"] == before  # from the store, and the same
