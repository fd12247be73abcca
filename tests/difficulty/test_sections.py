"""The difficulty sections of profile and audit, end to end on small files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import genscope as gs
from genscope.core.difficulty import difficulty_columns, joined, read_difficulty
from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.tasks.attempts import simulate
from genscope.verbs.audit import audit
from tests.difficulty.test_easy2hard_sets import RATINGS
from tests.difficulty.test_irt import LSAT6


def falling(prompt: str) -> str:
    """Right on small sums, wrong on large ones."""
    words = prompt.replace("?", " ").split()
    a, b = (int(word) for word in [one for one in words if one.isdigit()][:2])
    return f"The answer is {a + b if a + b < 100 else 0}"


def questions(path: Path, **more: list[Any]) -> Path:
    pl.DataFrame(
        {
            "question": [f"What is {k} plus {k} ?" for k in range(80)],
            "answer": [2 * k for k in range(80)],
            "uid": [f"q{k}" for k in range(80)],
            **more,
        }
    ).write_csv(path)
    return path


def value(result: gs.Result, metric: str) -> float:
    return result.records.filter((pl.col("source") == "profile/difficulty") & (pl.col("metric") == metric))["value"][0]


@pytest.fixture
def model() -> str:
    return "py:tests.difficulty.test_sections:falling"


def test_a_difficulty_column_is_taken_for_a_scale(tmp_path: Path, model: str) -> None:
    data = questions(tmp_path / "q.csv", difficulty=[k / 80 for k in range(80)])
    result = gs.profile(model, data=data, without=["scylla"], with_=["difficulty:draws=200"], out=tmp_path / "out", mode="direct")
    assert value(result, "accuracy") == pytest.approx(50 / 80)
    assert value(result, "gap") == 1.0
    assert value(result, "d50") == pytest.approx(49.5 / 80, abs=0.03)
    page = result.page.read_text("utf-8")
    assert "It is right on 100 % of the easiest and 0 % of the hardest items" in page
    assert len(result.responses) == 80


def test_a_table_gives_the_difficulties(tmp_path: Path, model: str) -> None:
    data = questions(tmp_path / "q.csv")
    table = joined(
        [
            difficulty_columns("confidence", [f"q{k}" for k in range(60)], [1 - k / 80 for k in range(60)]),
            difficulty_columns("loss", ["q1"], [1.0]),
        ]
    )
    table.write_parquet(tmp_path / "t.parquet")
    result = gs.profile(
        model,
        data=data,
        columns={"id": "uid"},
        without=["scylla"],
        with_=[f"difficulty:table={tmp_path / 't.parquet'},draws=200"],
        out=tmp_path / "out",
        mode="direct",
    )
    assert value(result, "accuracy") == pytest.approx(50 / 60)
    assert value(result, "beta") > 0
    page = result.page.read_text("utf-8")
    assert "20 question(s) have no difficulty" in page
    assert "leave it out of the record" in page
    with pytest.raises(DataError, match="unknown notion of difficulty 'irt'"):
        gs.profile(
            model, data=data, columns={"id": "uid"}, with_=[f"difficulty:table={tmp_path / 't.parquet'},notion=irt"], out=tmp_path / "o2"
        )
    with pytest.raises(DataError, match="no question has a difficulty"):
        gs.profile(model, data=data, with_=["difficulty"], out=tmp_path / "o3")
    with pytest.raises(UsageError, match="unknown option of difficulty"):
        gs.profile(model, data=data, with_=["difficulty:tables=x"], out=tmp_path / "o4")


def test_a_set_of_easy2hard_bench_is_asked_by_this_section_alone(tmp_path: Path, model: str) -> None:
    rows = [
        {"question": f"{k} and {k} apples", "answer": f"#### {2 * k}", "model_avg_acc": 0.5, **RATINGS[0], "rating": k / 80}
        for k in range(80)
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "gsm.parquet")
    result = gs.profile(
        model, data=tmp_path / "gsm.parquet", without=["scylla"], with_=["difficulty:draws=200"], out=tmp_path / "out", mode="direct"
    )
    assert set(result.about["sections"]) == {"difficulty"}
    assert value(result, "accuracy") == pytest.approx(50 / 80)
    assert result.responses["section"].unique().to_list() == ["difficulty"]
    assert len(result.responses) == 80
    few = gs.profile(
        model, data=tmp_path / "gsm.parquet", without=["scylla"], n=20, with_=["difficulty:draws=200"], out=tmp_path / "few", mode="direct"
    )
    assert len(few.responses) == 20
    assert value(few, "gap") == 1.0


def test_lsat6_through_the_audit(tmp_path: Path) -> None:
    rows = [{**{f"item{k + 1}": int(c) for k, c in enumerate(pattern)}, "count": count} for pattern, count in LSAT6.items()]
    pl.DataFrame(rows).write_csv(tmp_path / "lsat6.csv")
    result = audit(tmp_path / "lsat6.csv", out=tmp_path / "out")
    table = read_difficulty(tmp_path / "out")
    assert table.filter(pl.col("notion") == "irt")["value"].to_list() == pytest.approx(
        [-3.6153, -1.3224, -0.3176, -1.7301, -2.7802], abs=2e-4
    )
    assert table.equals(read_difficulty(tmp_path / "out" / "difficulty.parquet"))
    loglik = result.records.filter(pl.col("metric") == "loglik")["value"][0]
    assert loglik == pytest.approx(-2466.938, abs=1e-3)
    assert "Difficulties of 5 items from −3.62 to −0.32 logits" in result.page.read_text("utf-8")


def test_wrong_keys_and_bounded_items_are_findings(tmp_path: Path) -> None:
    made = simulate(Seed("audit"), solvers=120, items=40, sd=1.0)
    cells = made.record.matrix()
    cells[:, 7] = 1 - cells[:, 7]
    cells[:, 0] = 0
    pl.DataFrame({"model": [f"m{k}" for k in range(120)], **{f"i{k}": cells[:, k].astype(int) for k in range(40)}}).write_csv(
        tmp_path / "r.csv"
    )
    result = audit(tmp_path / "r.csv", out=tmp_path / "out", solver="model", fail_on=["mislabel"])
    kinds = {one["kind"]: one for one in result.findings}
    assert kinds["mislabel"]["count"] == 1
    assert "able solvers get wrong" in kinds["mislabel"]["what"]
    assert "nobody got right" in kinds["difficulty"]["what"]
    assert result.code == 1


def test_notions_meet_in_one_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    truth, names = rng.standard_normal(200), [f"e{k}" for k in range(200)]
    joined(
        [
            difficulty_columns("irt", names, truth + 0.3 * rng.standard_normal(200), np.full(200, 0.3), 50),
            difficulty_columns("confidence", names, 1 / (1 + np.exp(truth)), np.full(200, 0.05), 6),
            difficulty_columns("upside down", names, -truth),
        ]
    ).write_parquet(tmp_path / "t.parquet")
    result = audit(tmp_path / "t.parquet", out=tmp_path / "out")
    rows = {(row["factors"]): row["value"] for row in result.records.filter(pl.col("metric") == "agreement").to_dicts()}
    assert len(rows) == 3
    assert max(rows.values()) > 0.9
    assert min(rows.values()) < -0.9
    against = [one for one in result.findings if "against each other" in one["what"]]
    assert len(against) == 2
    assert all("upside down" in one["what"] for one in against)
    assert "3 notions of difficulty on 200 examples" in result.page.read_text("utf-8")
