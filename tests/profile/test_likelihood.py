"""Likelihood mode: ranking against wrong answers, the likeliest of all acceptable answers, base models with and without the description."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import genscope as gs
from genscope.core.errors import UsageError
from genscope.core.reply import ScoreJob
from genscope.core.seeds import Seed
from genscope.measures.likelihood import length_normalised
from genscope.models import names
from genscope.sections.profile import scylla_ask
from genscope.sections.profile.scylla_plan import DEMONSTRATIONS
from genscope.tasks import scylla
from tests.models.tiny import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
FEW: dict[str, Any] = {"n": 3, "scale": "smoke", "mode": "likelihood", "id_source": "prior"}


def answers(result: gs.Result) -> list[dict[str, Any]]:
    return result.responses.filter(pl.col("kind") == "answer").to_dicts()


def test_the_likeliest_acceptable_answer_gives_the_scores(tmp_path: Path) -> None:
    """The two orders of a pair, scored by the model alone: the stored log-probabilities are those of the likelier one."""
    model = f"hf:{tiny_model(tmp_path / 'm')}?dtype=f32"
    rows = answers(gs.profile(model, tasks=["two_sum"], **FEW, out=tmp_path / "o"))
    task, alone = scylla.task("two_sum"), names.make(model)
    prior = scylla.IdSource.prior(task)
    sampler = scylla.Sampler(task, prior, "elements", "paper", scylla_ask.root(0))
    examples = {example.id: example for example in [*sampler.id(0, 32), *sampler.ood(0, 32)]}
    other_won = 0
    for row in rows:
        example = examples[row["example"]]
        orders = {task.answer_text(order)[1:] for order in (example.target, example.target[::-1])}
        job = ScoreJob(request=scylla_ask.request(task, example, "likelihood", ()), continuations=tuple(sorted(orders)))
        found: list[list[float]] = []
        alone.score([job], lambda _, scores, into=found: into.extend(scores), lambda: False)
        best = max(found, key=length_normalised)
        assert json.loads(row["factors"])["gold_logprobs"] == pytest.approx(best, abs=1e-4)
        other_won += job.continuations[found.index(best)] != task.answer_text(example.target)[1:]
        assert row["chance"] == pytest.approx(0.1)  # the other order is not among those that are ranked
    assert other_won > 0


def test_base_models_with_and_without_the_description(tmp_path: Path) -> None:
    model = f"hf:{tiny_model(tmp_path / 'm', template=None)}"
    mixed, bare = (
        answers(gs.profile(model, tasks=["find_minimum"], **FEW, with_=[f"scylla:few_shot={how}"], out=tmp_path / how))[0]["prompt"]
        for how in ("mixed", "bare")
    )
    assert mixed == f"{scylla.task('find_minimum').description}\n\n{bare}"
    assert bare.startswith("Input: ")
    assert bare.count("Output:") == DEMONSTRATIONS + 1
    with pytest.raises(UsageError, match="few_shot must be one of mixed, bare"):
        gs.profile(model, tasks=["find_minimum"], **FEW, with_=["scylla:few_shot=none"])


def test_questions_beyond_the_context_are_failed_rows(tmp_path: Path) -> None:
    model = f"hf:{tiny_model(tmp_path / 'm', context=420)}"
    result = gs.profile(model, tasks=["find_minimum", "tsp"], **FEW, out=tmp_path / "o")
    failed = {row["task"]: row["failed"] for row in answers(result)}
    assert failed == {"find_minimum": "", "tsp": "the question and its answers exceed the model's context"}
    rows = [{"question": text, "options": ["red", "blue"], "answer": "B"} for text in ("short", "long " * 200)]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = answers(gs.profile(model, data=tmp_path / "q.jsonl", mode="likelihood", out=tmp_path / "own"))
    assert [bool(row["failed"]) for row in own] == [False, True]
    assert [row["parsed"] for row in own] == [True, False]


def test_acceptable_answers_are_all_right_and_the_stored_one_is_first() -> None:
    several = set()
    for name in scylla.NAMES:
        task = scylla.task(name)
        example = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("gold")).id(0, 1)[0]
        golds = task.gold_answers(example, Seed("g", name).rng(), scylla_ask.ACCEPTABLE)
        assert golds[0] == example.target
        assert 1 <= len(golds) <= 6
        assert all(task.right(example.input, gold, example.factors.get("optimum")) for gold in golds)
        several |= {name} if len(golds) > 1 else set()
    assert {"two_sum", "subset_sum_in_range", "four_sum_multiple_ten", "tsp"} <= several
