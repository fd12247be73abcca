"""The twenty tasks: generators, solvers, verifiers and chance levels against brute force and worked examples."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from genscope.core.errors import TaskError
from genscope.core.example import Example
from genscope.core.seeds import Seed
from genscope.tasks import scylla
from genscope.tasks.scylla import multiple_ten
from genscope.tasks.scylla.tour import held_karp

TEN = ("three_sum_multiple_ten", "four_sum_multiple_ten", "subset_sum_multiple_ten")


def sampler(name: str, seed: int = 0, universe: str = "paper") -> scylla.Sampler:
    task = scylla.task(name)
    return scylla.Sampler(task, scylla.IdSource.prior(task), "elements", universe, Seed("test", seed))


def examples(name: str, n: int = 48) -> list[Example]:
    one = sampler(name)
    return [*one.id(0, n), *one.ood(0, n)]


def test_seventeen_anchors_on_five_levels_and_three_probes() -> None:
    levels = Counter(scylla.task(name).level for name in scylla.NAMES)
    assert levels == {0: 3, 1: 4, 2: 3, 3: 3, 4: 4, None: 3}
    assert len(scylla.ANCHORS) == 17
    assert len(scylla.PROBES) == 3


@pytest.mark.parametrize("name", scylla.NAMES)
def test_generated_instances_are_valid_and_their_stored_answers_right(name: str) -> None:
    task = scylla.task(name)
    for example in examples(name):
        assert task.why_invalid(example.input) is None
        assert task.right(example.input, example.target, example.factors.get("optimum"))
        assert example.factors.get("optimum") == task.optimum(example.input)
        assert task.score(example, f"The answer is {task.answer_text(example.target)}.").correct
        assert task.score(example, f"[1, 2] The answer is {task.answer_text(example.target)}", grade="reference").correct


@pytest.mark.parametrize("name", scylla.NAMES)
def test_the_solver_shares_nothing_with_the_generator_and_agrees(name: str) -> None:
    task = scylla.task(name)
    for example in examples(name, 24):
        assert task.right(example.input, task.solve(example.input), example.factors.get("optimum"))


@pytest.mark.parametrize("name", scylla.NAMES)
def test_wrong_answers_are_wrong_different_and_well_formed(name: str) -> None:
    task = scylla.task(name)
    for example in examples(name, 12):
        wrong = task.wrong_answers(example, 9, Seed("wrong", name).rng())
        assert len({task.answer_text(answer) for answer in wrong}) == 9
        for answer in wrong:
            score = task.score(example, f"The answer is {task.answer_text(answer)}")
            assert score.parsed
            assert not score.correct


@pytest.mark.parametrize("name", scylla.NAMES)
def test_chance_is_the_rate_of_right_guesses(name: str) -> None:
    """Random guesses of the documented kind are right as often as `chance` says, summed over instances (exact binomial, p > 1e-4)."""
    task, rng = scylla.task(name), Seed("guess", name).rng()
    short = sorted(examples(name), key=lambda example: -task.chance(example))[:12]
    hits, expected, tries = 0, 0.0, 400
    for example in short:
        optimum = example.factors.get("optimum")
        hits += sum(task.right(example.input, task.guess(example.input, rng), optimum) for _ in range(tries))
        expected += task.chance(example)
    assert binomtest(hits, tries * len(short), expected / len(short)).pvalue > 1e-4


WORKED = [
    ("two_sum", {"l": [73, 41, 29, 12, 55, 4], "k": 41}, [29, 12]),
    ("three_sum", {"l": [75, 30, 60, 45, 90, 15], "k": 105}, [30, 60, 15]),
    ("three_sum_in_range", {"l": [7, 12, 17, 22, 27, 32], "a": 71, "b": 81}, [17, 27, 32]),
    ("three_sum_multiple_ten", {"l": [7, 13, 17, 24, 28, 7, 37, 43]}, [13, 24, 43]),
    ("four_sum_multiple_ten", {"l": [1, 9, 14, 16, 25, 27]}, [1, 9, 14, 16]),
    ("four_sum", {"l": [4, 9, 16, 23, 28, 33], "k": 62}, [4, 9, 16, 33]),
    ("tsp", {"n": 5, "D": [[0, 12, 25, 18, 30], [12, 0, 15, 22, 20], [25, 15, 0, 28, 35], [18, 22, 28, 0, 17], [30, 20, 35, 17, 0]]}, [0, 2, 1, 4, 3, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asked", "answer"), WORKED)
def test_worked_examples(name: str, asked: dict[str, Any], answer: list[int]) -> None:
    task = scylla.task(name)
    assert task.right(asked, answer, None)
    assert task.right(asked, answer[::-1], None)
    assert not task.right(asked, answer[:-1], None)


def test_tsp_worked_example_has_length_95_and_two_tours() -> None:
    matrix = np.array([WORKED[-1][1]["D"]])
    length, count, _ = held_karp(matrix)
    assert (int(length[0]), int(count[0])) == (95, 2)


def test_held_karp_equals_brute_force() -> None:
    rng = Seed("tsp").rng()
    for n in (4, 5, 6, 7):
        upper = np.triu(rng.integers(0, 12, (20, n, n)), 1)
        matrices = upper + upper.transpose(0, 2, 1)
        lengths, counts, tours = held_karp(matrices)
        for matrix, length, count, tour in zip(matrices, lengths, counts, tours, strict=True):
            every = [sum(matrix[a][b] for a, b in zip((0, *p), (*p, 0), strict=True)) for p in permutations(range(1, n))]
            assert length == min(every)
            assert count == every.count(min(every))
            assert sum(matrix[a][b] for a, b in zip(tour, [*tour[1:], 0], strict=True)) == length


def test_subset_sum_uniqueness_equals_brute_force() -> None:
    for example in examples("subset_sum", 40):
        entries, k = example.input["l"], example.input["k"]
        if len(entries) <= 10:
            found = [c for size in range(1, len(entries) + 1) for c in combinations(entries, size) if sum(c) == k]
            assert len(found) == 1
            assert 4 <= len(found[0]) <= 6


@pytest.mark.parametrize(("least", "most"), [(3, 3), (4, 4), (4, 6)])
def test_qualifying_combinations_equal_brute_force(least: int, most: int) -> None:
    rows = Seed("residues").rng().integers(0, 10, (60, 8))
    expected = [sum(sum(c) % 10 == 0 for size in range(least, most + 1) for c in combinations(row, size)) for row in rows.tolist()]
    assert multiple_ten.qualifying(rows, least, most).tolist() == expected
    assert [multiple_ten._count_up_to_two(row, least, most) for row in rows.tolist()] == [min(2, count) for count in expected]


@pytest.mark.parametrize("name", TEN)
def test_at_least_200_residue_vectors_each_with_one_combination(name: str) -> None:
    task: Any = scylla.task(name)
    for n in range(task.lengths[0], task.lengths[1] + 1):
        kept = multiple_ten.vectors(n, task.least, task.most)
        assert len({row.tobytes() for row in kept}) >= 200
        assert (multiple_ten.qualifying(kept, task.least, task.most) == 1).all()


def test_the_kept_vectors_are_those_that_the_search_finds() -> None:
    assert np.array_equal(multiple_ten.search(6, 3, 3), multiple_ten.vectors(6, 3, 3))


PLANTED = (
    *TEN,
    "find_mode",
    "longest_consecutive_elements",
    "two_sum",
    "three_sum",
    "four_sum",
    "subset_sum",
    "three_sum_in_range",
    "four_sum_in_range",
    "subset_sum_in_range",
)


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("split", ["id", "ood"])
def test_no_position_holds_an_answer_more_often_than_chance(name: str, split: str) -> None:
    """At one length, each position is as often part of the answer as every other: exact binomial, Bonferroni over positions."""
    task = scylla.task(name)
    n = 8
    prior = scylla.IdSource.prior(task)
    source = scylla.IdSource(prior.elements, prior.completion, (n,), np.zeros(1, dtype=int))
    one = scylla.Sampler(task, source, "elements", "paper", Seed("positions", name))
    drawn = one.id(0, 768) if split == "id" else one.ood(0, 768)
    held = np.zeros(n)
    for example in drawn:
        left = Counter(example.target if isinstance(example.target, list) else [example.target])
        places = Seed("tie", example.index).rng().permutation(n)  # equal entries: any of them may be meant
        for place in places:
            if left[example.input["l"][place]] > 0:
                left[example.input["l"][place]] -= 1
                held[place] += 1
    share = held.sum() / (len(drawn) * n)
    for count in held:
        assert binomtest(int(count), len(drawn), share).pvalue > 0.001 / n


def test_chance_levels_of_the_paper() -> None:
    def chance(name: str, asked: dict[str, Any], target: Any = None, **factors: Any) -> float:
        return scylla.task(name).chance(Example(task=name, input=asked, target=target, factors=factors))

    assert chance("three_sum", {"l": [1, 2, 3, 4], "k": 6}) == 0.25
    assert chance("four_sum", {"l": [1, 2, 3, 4, 5], "k": 10}) == 0.20
    assert chance("subset_sum", {"l": [1, 2, 3, 4, 5, 6], "k": 21}) == pytest.approx(1 / 22)
    assert chance("tsp", {"n": 4, "D": []}) == pytest.approx(1 / 3)
    assert chance("find_mode", {"l": [1, 1, 2, 3]}) == pytest.approx(1 / 3)
    assert chance("sort_numbers", {"l": [1, 1, 2]}) == pytest.approx(2 / math.factorial(3))
    assert chance("longest_increasing_subsequence", {"l": [3, 1, 2]}, [1, 2], optimum=2) == pytest.approx(1 / 3)


def test_reference_grading_refuses_what_verify_accepts() -> None:
    task = scylla.task("longest_increasing_subsequence")
    example = Example(task=task.name, input={"l": [5, 1, 6, 2]}, target=[5, 6], factors={"optimum": 2})
    assert task.score(example, "The answer is [1, 2]").correct
    assert not task.score(example, "The answer is [1, 2]", grade="reference").correct
    tour = scylla.task("tsp")
    square = Example(task="tsp", input=WORKED[-1][1], target=[0, 2, 1, 4, 3, 0], factors={"optimum": 95})
    assert tour.score(square, "The answer is [0, 3, 4, 1, 2, 0]", grade="reference").correct


def test_verify_takes_each_position_once() -> None:
    task = scylla.task("two_sum")
    example = Example(task="two_sum", input={"l": [5, 3, 7], "k": 10}, target=[3, 7])
    assert not task.score(example, "The answer is [5, 5]").correct
    assert task.score(example, "The answer is [7, 3]").correct


def test_names_in_any_spelling_and_errors_that_help() -> None:
    assert scylla.task("ThreeSumInRange").name == scylla.task("three-sum-in-range").name == "three_sum_in_range"
    with pytest.raises(TaskError, match="Did you mean two_sum"):
        scylla.task("twosum_")
    with pytest.raises(TaskError, match=r"level must be 0 to 4 .* got '7'"):
        scylla.select(None, ["7"])
    with pytest.raises(TaskError, match="no task is left"):
        scylla.select(["tsp"], [0])
    assert [task.name for task in scylla.select(None, ["O(N)"])] == ["find_minimum", "find_maximum", "find_mode"]


def test_invalid_instances_say_why() -> None:
    assert "unique" in str(scylla.task("find_mode").why_invalid({"l": [1, 1, 2, 2]}))
    assert "4 to 10" in str(scylla.task("tsp").why_invalid({"n": 3, "D": np.zeros((3, 3)).tolist()}))
    assert "symmetric" in str(scylla.task("tsp").why_invalid({"n": 4, "D": [[0, 1, 2, 3], [9, 0, 1, 1], [2, 1, 0, 1], [3, 1, 1, 0]]}))
    assert "k must be" in str(scylla.task("find_topk").why_invalid({"l": [1, 2, 3, 4], "k": 3}))


@pytest.mark.parametrize("name", TEN)
@pytest.mark.parametrize("n", [6, 8, 9, 12])
def test_rows_with_no_or_several_combinations_are_no_instances_and_one_is_found_at_every_length(name: str, n: int) -> None:
    task: Any = scylla.task(name)
    kept = multiple_ten.vectors(n, task.least, task.most)[:5]
    rows = np.concatenate([kept, np.ones((1, n), dtype=np.int64), np.zeros((1, n), dtype=np.int64)])
    built = task.finish(rows, np.random.default_rng(0))
    assert [one is not None for one in built] == [True] * 5 + [False] * 2
    for asked, answer in built[:5]:
        assert sum(answer) % 10 == 0
        assert task.least <= len(answer) <= task.most
        assert not Counter(answer) - Counter(asked["l"])
