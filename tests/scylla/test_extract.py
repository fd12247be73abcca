"""Reading ID data from replies: spans, elements, examples, repairs, hostile text."""

from __future__ import annotations

import time

import numpy as np

from genscope.core.seeds import Seed
from genscope.tasks import scylla


def read(name: str, *texts: str) -> scylla.IdSource:
    return scylla.extract(scylla.task(name), texts, Seed("extract").rng())


def test_elements_keep_repetitions_and_their_reply() -> None:
    found = read("find_minimum", "Sure! [3, 5, 5]\n[1, 2]", "no list", "[7, 8, 9, 10]")
    assert found.elements.tolist() == [3, 5, 5, 1, 2, 7, 8, 9, 10]
    assert found.completion.tolist() == [0] * 5 + [2] * 4
    assert found.shapes == (3, 2, 4)
    assert found.shape_completion.tolist() == [0, 0, 2]
    assert (found.spans, len(found.examples)) == (3, 3)


def test_spans_that_are_no_instances_give_elements_only() -> None:
    found = read("subset_sum", "[1, 2]")
    assert found.elements.tolist() == [1, 2]
    assert found.examples == ()


def test_negative_fractional_and_huge_values_are_skipped_and_counted() -> None:
    found = read("find_minimum", "[1, -2, 3.5, true, 99999999999, 4]")
    assert found.elements.tolist() == [1, 4]
    assert found.skipped == 4


def test_lists_of_lists_count_as_their_items() -> None:
    assert read("sort_numbers", "[[3, 1, 2], [5, 4]]").shapes == (3, 2)
    assert read("longest_common_subarray", "[[1, 2, 3], [2, 3, 4]]").shapes == ((3, 3),)
    assert read("tsp", "[[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]").shapes == (4,)


def test_repairs_make_valid_examples_and_are_counted() -> None:
    found = read("find_mode", "[1, 2, 3, 4]")
    assert found.repaired == 1
    assert scylla.task("find_mode").why_invalid(found.examples[0][0]) is None
    for name in ("three_sum_multiple_ten", "longest_consecutive_elements"):
        repaired = read(name, "[10, 20, 30, 41, 52, 63]")
        assert all(scylla.task(name).why_invalid(asked) is None for asked, _ in repaired.examples)
        assert len(repaired.examples) == 1
    asymmetric = read("tsp", "[[0, 1, 2, 3], [9, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]")
    assert len(asymmetric.examples) == 1
    assert scylla.task("tsp").why_invalid(asymmetric.examples[0][0]) is None


def test_examples_are_not_repeated_but_elements_are() -> None:
    found = read("sort_numbers", "[1, 2, 3]", "[1, 2, 3]")
    assert len(found.examples) == 1
    assert len(found.elements) == 6


def test_hostile_text_takes_linear_time_and_no_recursion() -> None:
    texts = ["[" * 100_000, "[" * 50_000 + "]" * 50_000, "[1," * 30_000, "]" * 100_000 + "[1, 2, 3]", "[" + "9" * 15_000 + "]"]
    began = time.perf_counter()
    found = read("find_minimum", *texts)
    assert time.perf_counter() - began < 3
    assert found.elements.tolist() == [1, 2, 3]


def test_without_examples_elements_and_lengths_are_the_same() -> None:
    text = "[4, 5, 6] [1, 1, 2, 2]"
    bare = scylla.extract(scylla.task("find_mode"), [text], Seed("x").rng(), examples=False)
    full = read("find_mode", text)
    assert np.array_equal(bare.elements, full.elements)
    assert bare.shapes == full.shapes
    assert bare.examples == ()
