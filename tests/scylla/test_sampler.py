"""The sampler: stable instances, disjoint splits, equal lengths, and errors that count."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from genscope.core.errors import TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.tasks import scylla
from genscope.tasks.scylla.universe import digit_counts, ood_pool

EVEN = [list(range(start, start + 2 * n, 2)) for n in range(4, 13) for start in range(0, 60, 6)]


def even_source(task: scylla.AlgorithmicTask) -> scylla.IdSource:
    """Familiar numbers that leave some of every digit count over: even ones, and 1, 3, 5 (runs and odd residues)."""
    if task.name == "longest_common_subarray":
        return scylla.IdSource.from_lists(task, [[a, b] for a, b in zip(EVEN[::2], EVEN[1::2], strict=True)])
    numbers = np.array([*range(60), *range(100, 400, 3)])
    prior = scylla.IdSource.prior(task)
    return scylla.IdSource(numbers, np.zeros_like(numbers), prior.shapes, prior.shape_completion)


@pytest.mark.parametrize("universe", ["paper", "code", "matched"])
@pytest.mark.parametrize("name", scylla.NAMES)
def test_scy_6_ood_differs_from_id_in_elements_only(name: str, universe: str) -> None:
    task = scylla.task(name)
    one = scylla.Sampler(task, even_source(task), "elements", universe, Seed("scy6"))
    id_, ood = one.id(0, 64), one.ood(0, 64)
    certificate = one.certificate(64)
    assert certificate.ok
    assert certificate.sizes == {"id": 64, "ood": 64}
    assert not one.id_elements & one.ood_elements
    lengths = [[task.shape(example.input) for example in split] for split in (id_, ood)]
    assert Counter(lengths[0]) == Counter(lengths[1])
    if name != "longest_common_subarray":
        assert ks_2samp(*lengths).pvalue > 0.05


def test_matched_universe_has_the_digit_counts_of_the_id_data() -> None:
    task = scylla.task("sort_numbers")
    elements = np.array([1, 3, 5, 12, 14, 200, 201, 203, 10_000_000])
    found = ood_pool(task, elements, "matched", Seed("m"))
    assert Counter(digit_counts(found.pool.elements).tolist()) == Counter(digit_counts(elements).tolist())
    assert not set(found.pool.elements.tolist()) & set(elements.tolist())


def test_matched_universe_leaves_out_lengths_that_are_all_familiar() -> None:
    task = scylla.task("sort_numbers")
    numbers = np.array([*range(10), 12, 14, 16, 18] * 3)
    source = scylla.IdSource(numbers, np.zeros_like(numbers), (4,) * 5, np.zeros(5, dtype=int))
    one = scylla.Sampler(task, source, "elements", "matched", Seed("m"))
    assert one.id_elements == {12, 14, 16, 18}
    assert "1 digit" in one.notes[0]


@pytest.mark.parametrize("name", scylla.NAMES)
def test_instance_i_is_the_same_whatever_n_is(name: str) -> None:
    task = scylla.task(name)

    def fresh() -> scylla.Sampler:
        return scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("same"))

    few, many, middle = fresh().ood(0, 5), fresh().ood(0, 260), fresh().ood(3, 7)
    assert few == many[:5]
    assert middle == many[3:7]
    assert [example.index for example in many] == list(range(260))


@pytest.mark.parametrize("name", ["find_mode", "subset_sum", "longest_common_subarray"])
def test_two_seeds_share_no_more_than_chance(name: str) -> None:
    task = scylla.task(name)
    first, second = (scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("overlap", s)).id(0, 256) for s in (0, 1))
    assert len({e.id for e in first} & {e.id for e in second}) <= 1
    assert len({e.id for e in first}) == 256


def test_the_same_instances_in_another_process() -> None:
    code = (
        "from genscope.tasks import scylla; from genscope.core.seeds import Seed; import json\n"
        "t = scylla.task('three_sum_multiple_ten'); s = scylla.Sampler(t, scylla.IdSource.prior(t), 'elements', 'paper', Seed('p'))\n"
        "print(json.dumps([e.id for e in s.ood(0, 20)]))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}).stdout
    task = scylla.task("three_sum_multiple_ten")
    here = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("p")).ood(0, 20)
    assert json.loads(printed) == [example.id for example in here]


def test_multiplicities_are_kept_where_the_task_depends_on_them() -> None:
    for name in ("find_mode", "remove_duplicate_numbers"):
        task = scylla.task(name)
        one = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("profile"))
        for a, b in zip(one.id(0, 64), one.ood(0, 64), strict=True):
            assert sorted(Counter(a.input["l"]).values()) == sorted(Counter(b.input["l"]).values())


def test_planted_runs_and_blocks_are_as_long_as_the_siblings() -> None:
    for name in ("longest_consecutive_elements", "longest_common_subarray"):
        task = scylla.task(name)
        one = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("runs"))
        pairs = list(zip(one.id(0, 64), one.ood(0, 64), strict=True))
        assert [a.factors["optimum"] for a, _ in pairs] == [b.factors["optimum"] for _, b in pairs]


def test_more_than_there_are_is_an_error_that_counts() -> None:
    task = scylla.task("find_minimum")
    numbers = np.array([1, 2])
    source = scylla.IdSource(numbers, np.zeros(2, dtype=int), (2,), np.zeros(1, dtype=int))
    one = scylla.Sampler(task, source, "elements", "paper", Seed("few"))
    with pytest.raises(TaskError, match="10 different ID instances were asked for, and there are 4"):
        one.id(0, 10)


def test_own_examples_are_used_each_once() -> None:
    task = scylla.task("sort_numbers")
    one = scylla.Sampler(task, scylla.IdSource.from_lists(task, EVEN), "examples", "paper", Seed("own"))
    drawn = one.id(0, len(EVEN))
    assert sorted(example.input["l"] for example in drawn) == sorted(EVEN)
    with pytest.raises(TaskError, match=f"there are {len(EVEN)}"):
        one.id(0, len(EVEN) + 1)


def test_a_pool_without_the_needed_residues_is_an_error() -> None:
    task = scylla.task("three_sum_multiple_ten")
    numbers = np.array([10, 20, 30, 40])
    source = scylla.IdSource(numbers, np.zeros(4, dtype=int), (6,), np.zeros(1, dtype=int))
    with pytest.raises(TaskError, match="three_sum_multiple_ten"):
        scylla.Sampler(task, source, "elements", "paper", Seed("r")).id(0, 1)


def test_empty_complement_and_wrong_words_are_errors() -> None:
    task = scylla.task("find_minimum")
    whole = np.arange(10_000)
    source = scylla.IdSource(whole, np.zeros_like(whole), (4,), np.zeros(1, dtype=int))
    with pytest.raises(TaskError, match="every number from 0 to 9999"):
        scylla.Sampler(task, source, "elements", "paper", Seed("c"))
    with pytest.raises(UsageError, match="universe must be paper, code or matched"):
        scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "papers", Seed("c"))


def test_other_models_elements_are_avoided() -> None:
    task = scylla.task("find_minimum")
    others = set(range(100, 9_000))
    one = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("e"), others)
    entries = {number for example in one.ood(0, 64) for number in example.input["l"]}
    assert min(entries) >= 9_000


@pytest.mark.parametrize("bad", [[1, -2, 3], [1.5, 2], [True, 2], ["3", 4], [10**10, 1]])
def test_lists_of_the_user_must_hold_whole_numbers(bad: list[Any]) -> None:
    with pytest.raises(TaskError, match="list 2: .* is no element"):
        scylla.IdSource.from_lists(scylla.task("find_minimum"), [[1, 2, 3], bad])
