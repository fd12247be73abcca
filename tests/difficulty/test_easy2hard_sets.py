"""Easy2Hard-Bench's column format: all six sets from small local files, their scorers, and what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import genscope as gs
from genscope.core import sandbox
from genscope.core.errors import DataError, UsageError
from genscope.tasks import easy2hard
from genscope.tasks.blanks import Blank, read_tsv, twins
from genscope.tasks.contest_program import ContestProgram

RATINGS = [
    {"rating": r, "rating_std": 0.05, "rating_quantile": q, "unnorm_rating": raw, "unnorm_rating_std": 0.4} for r, q, raw in ((0.1, 0.2, -1.0), (0.9, 0.8, 2.0))
]  # fmt: skip
SETS: dict[str, list[dict[str, Any]]] = {
    "E2H-AMC": [{"contest": "AMC10", "tag": "t", "subtest": "A", "year": 2020, "month": "2", "index": k, "problem": f"What is {k} + 1?", "answer": str(k + 1), "solution": "add", "rating_tag": "easy", "test_tag": "x", "item_difficulty": 0.5, "unnorm_rating_lower": -2.0, "unnorm_rating_upper": 3.0, "ever_exist": False} for k in range(2)],
    "E2H-ARC": [{"id": f"arc{k}", "question": f"Which is a metal ({k})?", "choices": {"label": ["1", "2", "3"], "text": ["iron", "wood", "air"]}, "answerKey": "1", "model_avg_acc": 0.5} for k in range(2)],
    "E2H-GSM8K": [{"question": f"{k} apples and 1,200 more?", "answer": f"{k}+1200 = {k + 1200}\n#### {k + 1200:,}", "model_avg_acc": 0.5} for k in range(2)],
    "E2H-Winogrande": [{"sentence": f"The pie beat the soup because _ was {k} degrees warm.", "option1": "pie", "option2": "soup", "answer": "2", "model_avg_acc": 0.5} for k in range(2)],
    "E2H-Codeforces": [{"contest_id": 1, "problem_index": "A", "problem_name": "Sum", "problem_main": f"Add the numbers, case {k}.", "problem_note": None, "input_spec": "two numbers", "output_spec": "their sum", "sample_inputs": ["1 2"], "sample_outputs": ["3"], "inputs": ["1 2", "5 6"], "answers": ["3", "11"], "input_output": "{}", "tag": "math", "detailed_tag": "math", "original_tags": ["math"], "rating_volatility": 0.06} for k in range(2)],
    "E2H-Lichess": [{"puzzle_id": f"p{k}", "fen": f"6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 {k + 1}", "pgn": "", "answer_san": "Ra8#", "answer_uci": "a1a8", "init_num_moves": 40, "tag": "mate"} for k in range(2)],
}  # fmt: skip
RIGHT = {
    "E2H-AMC": "The answer is 1.",
    "E2H-ARC": "The answer is A.",
    "E2H-GSM8K": "The answer is 1200",
    "E2H-Winogrande": "The answer is soup",
    "E2H-Lichess": "I see mate. The answer is Ra8.",
}
WRONG = {
    "E2H-AMC": "The answer is 2.",
    "E2H-ARC": "The answer is C.",
    "E2H-GSM8K": "The answer is 120",
    "E2H-Winogrande": "The answer is A",
    "E2H-Lichess": "The answer is Ra7",
}


def frame(name: str) -> pl.DataFrame:
    return pl.DataFrame([{**row, **rating} for row, rating in zip(SETS[name], RATINGS, strict=True)])


@pytest.mark.parametrize("name", list(SETS))
def test_every_set_is_told_and_read(name: str, tmp_path: Path) -> None:
    frame(name).write_parquet(tmp_path / "eval.parquet")
    frame(name).write_ndjson(tmp_path / "eval.jsonl")
    for path in (tmp_path / "eval.parquet", tmp_path / "eval.jsonl"):
        assert easy2hard.is_easy2hard(path)
        found = easy2hard.read(path)
        assert (found.name, len(found.examples), found.skipped, found.ratings) == (name, 2, 0, (0.1, 0.9))
    (tmp_path / "hub" / name).mkdir(parents=True)
    frame(name).write_parquet(tmp_path / "hub" / name / "eval-00000-of-00001.parquet")
    found = easy2hard.read(tmp_path / "hub")
    assert found.name == name
    assert easy2hard.is_easy2hard(tmp_path / "hub")
    table = found.difficulty()
    assert table["value"].to_list()[0] == -1.0
    assert table["sd"].to_list()[0] == 0.4
    assert table["notion"][0] == {"E2H-AMC": "human", "E2H-Codeforces": "glicko2", "E2H-Lichess": "glicko2"}.get(name, "irt")
    assert found.task.prompt(found.examples[0])
    assert found.task.answer_rule()


@pytest.mark.parametrize("name", list(RIGHT))
def test_answers_are_graded(name: str) -> None:
    found = easy2hard.from_frame(frame(name), "here")
    assert found.task.score(found.examples[0], RIGHT[name]).correct
    wrong = found.task.score(found.examples[0], WRONG[name])
    assert wrong.parsed
    assert not wrong.correct
    assert not found.task.score(found.examples[0], "").parsed


def test_moves_in_both_notations() -> None:
    found = easy2hard.from_frame(frame("E2H-Lichess"), "here")
    for reply, right in (("a1a8", True), ("Ra8+", True), ("The answer is: Rxa8#", True), ("1. Ra8", True), ("O-O", False)):
        assert found.task.score(found.examples[0], reply).correct is right, reply


def test_programs_run_only_in_the_runner_that_is_given() -> None:
    found = easy2hard.from_frame(frame("E2H-Codeforces"), "here")
    reply = "```python\nprint(sum(map(int, input().split())))\n```"
    assert not found.task.score(found.examples[0], reply).correct
    seen: list[str] = []

    def runner(program: str, given: str) -> str | None:
        seen.append(program)
        return str(sum(map(int, given.split()))) if "sum" in program else None

    task = ContestProgram("E2H-Codeforces", runner)
    assert task.score(found.examples[0], reply).correct
    assert len(seen) == 2
    failed = task.score(found.examples[0], "```\nboom\n```")
    assert failed.parsed
    assert not failed.correct
    assert failed.value == "passed 0 tests"
    assert not task.score(found.examples[0], "no code").parsed


def test_rows_that_cannot_be_read_are_counted() -> None:
    rows = frame("E2H-GSM8K").with_columns(answer=pl.Series(["no number", "#### 5"]))
    found = easy2hard.from_frame(rows, "here")
    assert found.skipped == 1
    assert "no number after ####" in found.reason
    with pytest.raises(DataError, match="rating must be in"):
        easy2hard.from_frame(frame("E2H-GSM8K").with_columns(rating=pl.lit(7.0)), "here")
    with pytest.raises(DataError, match="not in the column format"):
        easy2hard.from_frame(pl.DataFrame({"question": ["a"]}), "here")
    with pytest.raises(DataError, match="no such file"):
        easy2hard.read(Path("/nowhere/x.parquet"))
    assert not easy2hard.is_easy2hard(Path("/nowhere/x.parquet"))


def test_blanks_their_halves_and_their_twins(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(
        "﻿Ann helped Bea, so _ was thanked.\tAnn\tBea\tAnn\tagree\trule\nAnn helped Bea, so _ was grateful.\tAnn\tBea\tBea\tagree\trule\nThe _ fell.\tcup\tmug\tcup\tagree\trule"
    )
    found = read_tsv(tmp_path / "t.tsv", "easy")
    assert found[0].halves(1) == ("Ann helped Bea, so Bea", " was thanked.")
    assert [one.right for one in found] == [0, 1, 0]
    assert {one.hardness for one in found} == {"easy"}
    assert twins(found) == [0, 0, 2]
    with pytest.raises(DataError, match="exactly one blank"):
        Blank(sentence="no blank", options=("a", "b"), right=0)
    (tmp_path / "bad.tsv").write_text("A _ b\tx\ty\tz\n")
    with pytest.raises(DataError, match="line 1"):
        read_tsv(tmp_path / "bad.tsv")


def adds(text: str) -> str:
    """A solver whose program is right where no number is negative."""
    return "```python\nprint(sum(int(one) for one in input().split() if int(one) > 0))\n```"


@pytest.mark.skipif(not sandbox.available(), reason="bubblewrap is not here, or may make no namespaces")
def test_a_profile_runs_programs_where_it_is_told_to(tmp_path: Path) -> None:
    row = frame("E2H-Codeforces").to_dicts()[0]
    rows = []
    for k in range(24):
        hard = k >= 12
        inputs, answers = ([f"{k} 2", f"{-k} 3"], [str(k + 2), str(3 - k)]) if hard else ([f"{k} 2"], [str(k + 2)])
        rows.append(
            {**row, "problem_index": str(k), "problem_main": f"Add, {k}.", "inputs": inputs, "answers": answers, "rating": 0.04 * k}
        )
    pl.DataFrame(rows).write_parquet(tmp_path / "eval.parquet")
    solver = "py:tests.difficulty.test_easy2hard_sets:adds"
    common: dict[str, Any] = {"data": tmp_path / "eval.parquet", "without": ["scylla", "questions"], "mode": "direct"}
    ran: Any = gs.profile(solver, with_=["difficulty:run=yes"], out=tmp_path / "a", **common)
    held: Any = gs.profile(solver, with_=["difficulty"], out=tmp_path / "b", **common)
    assert ran.responses.sort("index")["correct"].to_list() == [True] * 12 + [False] * 12
    assert not held.responses["correct"].any()
    assert "Programs ran in a sandbox" in ran.page.read_text("utf-8")
    assert "Programs were not run" in held.page.read_text("utf-8")
    with pytest.raises(UsageError, match="yes or no"):
        gs.profile(solver, with_=["difficulty:run=maybe"], out=tmp_path / "c", **common)
