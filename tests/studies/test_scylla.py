"""System 23 on models trained from scratch: the split, the stream, the text route, the claims, and a kept model that a profile asks in its own style."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genscope.core.claims import judge
from genscope.core.errors import TaskError, UsageError
from genscope.core.example import Example
from genscope.core.seeds import Seed
from genscope.studies import study
from genscope.studies.scylla import ALL_NUMBERS, MOVES, SAME_SIZE, VALLEY, Scylla, graded, measured
from genscope.tasks import scylla
from genscope.tasks.scylla import compact
from genscope.training import scylla_family, scylla_mix
from genscope.training.scylla_family import FamilyRecipe

ROOT = Seed("scylla family", 7)
TINY = FamilyRecipe(size="XS", seed=7, updates=3, batch=16, tests=6)


def test_the_split_has_sixty_and_forty_and_both_cover_the_range() -> None:
    sides = scylla_mix.split(ROOT)
    assert sorted([*sides.familiar, *sides.new]) == list(range(100))
    assert [int(((sides.familiar >= low) & (sides.familiar < low + 5)).sum()) for low in range(0, 100, 5)] == [3] * 20
    assert scylla_mix.split(Seed("scylla family", 8)).familiar.tolist() != sides.familiar.tolist()


@pytest.mark.parametrize("name", compact.TASKS)
def test_a_task_reads_its_own_compact_answers(name: str) -> None:
    task, words = scylla.task(name), set(compact.words())
    for one in scylla_mix.tests(task, ROOT, 12)["id"]:
        text = compact.answer(task, one.target)
        assert set(f"{compact.prompt(name, one.input)} {text}".split(" ")) <= words
        assert text.endswith(f" {compact.END}")
        reply = text.removesuffix(f" {compact.END}")
        assert task.score(one, compact.LEAD + reply).correct
        assert not task.score(one, compact.LEAD + "yes").parsed
        assert not task.score(one, compact.LEAD + f"{reply} 399").correct or task.answer_kind == "number"


def test_worked_compact_lines() -> None:
    assert compact.prompt("two_sum", {"l": [73, 41, 29, 12, 55, 4], "k": 41}) == "two_sum 73 41 29 12 55 4 k 41 >"
    assert compact.answer(scylla.task("two_sum"), [29, 12]) == "29 12 EoS"
    assert len(compact.words()) == len(set(compact.words())) == 5 + 4 + 13 + 400
    with pytest.raises(TaskError, match="Did you mean find_mode"):
        compact.prompt("find_mod", {"l": [1]})


def test_tests_differ_in_elements_only_and_keep_targets_below_400() -> None:
    sides = scylla_mix.split(ROOT)
    for name in ("find_mode", "subset_sum"):
        both = scylla_mix.tests(scylla.task(name), ROOT, 40)
        assert [len(one.input["l"]) for one in both["id"]] == [len(one.input["l"]) for one in both["ood"]]
        for split, allowed in (("id", sides.familiar), ("ood", sides.new)):
            assert {number for one in both[split] for number in one.input["l"]} <= set(allowed.tolist())
            assert all(one.input.get("k", 0) <= 399 for one in both[split])
    assert scylla_mix.shared_with_training(ROOT, 8, looked_at=3) == dict.fromkeys(scylla_mix.shared_with_training(ROOT, 8, looked_at=1), 0)


def test_tasks_are_practised_on_familiar_numbers_and_facts_on_all() -> None:
    sides = scylla_mix.split(ROOT)
    lines = list(itertools.islice(scylla_mix.batches(ROOT, ROOT.child("a"), "familiar", 64, frozenset()), 60))
    of_facts = [batch for batch in lines if batch[0][0].split(" ")[0] in compact.KNOWLEDGE]
    assert 0.2 < len(of_facts) / len(lines) < 0.6
    heads = [{question.split(" ")[0] for question, _ in batch} for batch in lines]
    assert all(found <= set(compact.KNOWLEDGE) or found <= set(compact.TASKS) for found in heads)
    entries = [int(word) for batch in lines if batch not in of_facts for question, _ in batch for word in question.partition(" k ")[0].split(" ")[1:] if word.isdigit()]  # fmt: skip
    assert set(entries) == set(sides.familiar.tolist())
    known = {int(word) for batch in of_facts for question, _ in batch for word in question.split(" ") if word.isdigit()}
    assert set(sides.new.tolist()) <= known
    everything = list(itertools.islice(scylla_mix.batches(ROOT, ROOT.child("a"), "all", 64, frozenset()), 60))
    assert [batch[0][0].split(" ")[0] for batch in everything] == [batch[0][0].split(" ")[0] for batch in lines]  # the same mixture


def test_facts_are_right_and_held_out_instances_are_passed_over() -> None:
    value = {"larger_of": max, "sum_of": lambda a, b: a + b}
    for name, right in value.items():
        for question, answer in scylla_mix.facts(name, ROOT, 50):
            a, b = map(int, question.split(" ")[1:3])
            assert answer == f"{right(a, b)} EoS"
    inside = [(question.split(" ")[1:-3], question.split(" ")[-2], answer) for question, answer in scylla_mix.facts("in_list", ROOT, 200)]
    assert all((k in entries) == (answer == "yes EoS") for entries, k, answer in inside)
    assert 0.4 < sum(answer == "yes EoS" for *_, answer in inside) / 200 < 0.7
    pool = scylla_mix.Pool(scylla_mix.split(ROOT).familiar)
    first = list(itertools.islice(scylla_mix.practice("find_maximum", pool, ROOT, frozenset()), 20))
    entries = [int(word) for word in first[3][0].split(" ")[1:-1]]
    out = frozenset({Example(task="find_maximum", input={"l": entries}, target=max(entries)).id})
    assert next(itertools.islice(scylla_mix.practice("find_maximum", pool, ROOT, out), 3, None)) == first[4]


def test_grading_by_hand() -> None:
    task = scylla.task("find_maximum")
    examples = [Example(task=task.name, input={"l": [1, 2, 3, 4]}, target=4, level=0, factors={"optimum": 4}) for _ in range(4)]
    found = graded(task, examples, ["4", "4", "3", "no"], frozenset({3, 4}))
    # accuracy 2 of 4, chance 1 of 4: (0.5 - 0.25) / 0.75 = 1/3; three of four replies hold familiar numbers only
    assert found == pytest.approx({"accuracy": 0.5, "chance": 0.25, "skill": 1 / 3, "unparsed": 0.25, "familiar_replies": 0.75})
    assert graded(task, examples, ["1"] * 4, frozenset({3}))["skill"] == 0.0
    assert graded(task, examples, ["1"] * 4, frozenset({3}))["familiar_replies"] == 0.0


def test_level_gaps_and_the_critical_level_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply oracle that solves O(N) everywhere and, of the rest, familiar sorting alone: the gap of level 1 is a quarter of its four tasks."""
    tested = scylla_mix.all_tests(TINY.root, TINY.tests)
    targets = {compact.prompt(one.task, one.input): (scylla.task(one.task), one.target, split) for sides in tested.values() for split, side in sides.items() for one in side}  # fmt: skip

    def oracle(net: Any, questions: list[str]) -> list[str]:
        said = []
        for question in questions:
            task, target, split = targets.get(question, (None, None, ""))
            solved = task is not None and (task.level == 0 or (task.name == "sort_numbers" and split == "id"))
            said.append(task.answer_text(target, "plain") if solved and task is not None else "no")
        return said

    monkeypatch.setattr(scylla_family, "replies", oracle)
    monkeypatch.setattr("genscope.studies.scylla.trained", lambda recipe, lab: (recipe.build(), [{"updates": 1, "loss": 1.0}]))
    records, critical = measured(Scylla().cells("smoke", [7])[0], "XS", TINY, None)  # pyright: ignore[reportArgumentType]
    value = {(record.metric, record.level, record.split): record.value for record in records if "task" not in record.factors}
    assert critical == 1
    assert [value["level_gap", level, ""] for level in range(5)] == [0, 0.25, 0, 0, 0]
    assert [value["level_skill_gap", level, ""] for level in range(5)] == [0, 0.25, 0, 0, 0]
    assert value["valley", None, ""] == 0.25
    assert value["level_accuracy", 0, "ood"] == value["level_skill", 0, "ood"] == 1
    assert value["level_unparsed", 4, "id"] == 1


def test_cells_pair_claim_and_placebos_and_share_the_larger_model() -> None:
    cells = Scylla().cells("standard", [0])
    assert [cell.arms for cell in cells] == [("claim",), (ALL_NUMBERS,), (SAME_SIZE,)]
    models = [cell.settings["models"] for cell in cells]
    assert models[0]["S"] == models[2]["S"]
    assert models[2]["XS"] == {**models[0]["S"], "run": "second"}
    assert models[1] == {name: {**one, "practised_on": "all"} for name, one in models[0].items()}
    twin = [FamilyRecipe(**models[2][name], seed=0) for name in ("XS", "S")]
    assert scylla_mix.split(twin[0].root).familiar.tolist() == scylla_mix.split(twin[1].root).familiar.tolist()
    weights = [next(iter(one.build().state_dict().values())) for one in twin]
    assert not np.array_equal(weights[0], weights[1])


def _frame(valley: float, shifts: list[float], solved: float = 0.95, last: float = 0.05) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for seed, shift in enumerate(shifts):
        rows += [{"metric": metric, "value": shift, "seed": seed, "condition": "S against XS"} for metric in ("shift", "share_moving_up")]
        for size in ("XS", "S"):
            rows += [
                {"metric": "valley", "value": valley + 0.001 * seed, "seed": seed, "condition": size},
                {"metric": "level_accuracy", "value": solved, "seed": seed, "condition": size, "level": 0, "split": "id"},
                {"metric": "level_skill", "value": last, "seed": seed, "condition": size, "level": 4, "split": "id"},
            ]
    return pl.DataFrame(rows, infer_schema_length=None)


@pytest.mark.parametrize(
    ("frame", "valley", "moves"),
    [
        (_frame(0.5, [1, 2, 1, 1, 2]), "reproduced", "reproduced"),
        (_frame(0.05, [0, 0, 0, 0, 0]), "not reproduced", "inconclusive"),  # a peak of 5 points; no move either way, as in the pilot
        (_frame(0.5, [2, 2, 2, 2, -1]), "reproduced", "inconclusive"),  # one seed moves down
        (_frame(0.5, [-1, -2, -1, -1, -2]), "reproduced", "not reproduced"),
        (_frame(0.5, [1, 2, 1, 1, 2], solved=0.85), "inconclusive", "inconclusive"),
        (_frame(0.5, [1, 2, 1, 1, 2], last=0.4), "inconclusive", "reproduced"),
        (_frame(0.5, [1, 2, 1, 2]), "inconclusive", "inconclusive"),  # four seeds
    ],
)
def test_verdicts_on_made_up_runs(frame: pl.DataFrame, valley: str, moves: str) -> None:
    assert [judge(claim, frame, Seed("t")).verdict for claim in (VALLEY, MOVES)] == [valley, moves]


def test_claims_that_a_profile_judges_kept_their_hashes() -> None:
    hashes = {claim.id: claim.hash for claim in study("scylla").claims}
    assert hashes["SCY-4"] == "1778b610bb3a2ab7512799b61152a139"
    assert study("scylla").judged_elsewhere() == {"genscope profile MODEL": ("SCY-4", "SCY-5")}


def test_training_is_repeatable_and_a_kept_model_is_profiled_in_its_own_style(home: Path, tmp_path: Path) -> None:
    from genscope.models import names
    from genscope.verbs.profile import profile

    (net, curve), (_, again) = scylla_family.train_family(TINY), scylla_family.train_family(TINY)
    assert curve == again
    name = scylla_family.keep_family_run(net, TINY)
    model = names.make(f"run:{name}")
    assert "compact" in model.abilities
    lists = home / "runs" / name / "familiar.txt"
    asked = {"tasks": ("find_minimum", "sort_numbers", "tsp"), "n": 16, "without": (), "out": tmp_path / "p"}
    with pytest.raises(UsageError, match="--id-source FILE"):
        profile(model, **asked)
    with pytest.raises(UsageError, match="universe=matched"):
        profile(model, id_source=str(lists), **asked)
    found: Any = profile(model, id_source=str(lists), with_=("scylla:universe=matched",), **asked)
    rows = found.responses
    assert set(rows["task"]) == {"find_minimum", "sort_numbers"}
    assert set(rows["mode"]) == {"compact"}
    assert set(rows["failed"]) == {""}
    sides = scylla_mix.split(TINY.root)
    for split, allowed in (("id", sides.familiar), ("ood", sides.new)):
        prompts = rows.filter(pl.col("split") == split)["prompt"].to_list()
        assert {int(word) for text in prompts for word in text.split(" ") if word.isdigit()} <= set(allowed.tolist())
    few = rows.filter(pl.col("task") == "find_minimum").head(16)
    direct = scylla_family.replies(net, few["prompt"].to_list())
    assert [text.split() for text in direct] == [text.split() for text in few["reply"].to_list()]


@pytest.mark.parametrize(("change", "words"), [({"size": "XL"}, "unknown size"), ({"updates": 0}, "at least 1")])
def test_bad_recipes(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        FamilyRecipe(**{"size": "XS", "seed": 1, **change})
