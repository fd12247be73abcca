"""Answer parsing: every rule, and hostile text."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genscope.tasks.scylla.parse import parse_list, parse_number


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("The answer is 5.", 5, "strict"),
        ("THE ANSWER IS: 12", 12, "strict"),
        ("answer: 7", 7, "strict"),
        ("The answer to the task is 31", 31, "strict"),
        ("The answer is 3. No: the answer is 4.", 4, "strict"),
        ("The answer is\n42", 42, "strict"),
        ("12\n34", 34, "fallback"),
        ("The answer is \\boxed{17}", 17, "strict"),
        ("The answer is $\\boxed{17}$.", 17, "strict"),
        ("The answer is **1,234**", 1234, "strict"),
        ("The answer is 5.0", 5, "strict"),
        ("The answer is 5.5", 5.5, "strict"),
        ("The answer is -3", -3, "strict"),
        ("The answer is −3", -3, "strict"),
        ('The answer is "8"', 8, "strict"),
        ("```python\nprint(1)\n```\nThe answer is `9`", 9, "strict"),
        ("I think 3, maybe 4", 4, "fallback"),
        ("The answer is unclear", None, "none"),
        ("", None, "none"),
        ("<ANSWER>", None, "none"),
    ],
)
def test_numbers(text: str, value: Any, how: str) -> None:
    found = parse_number(text)
    assert (found.value, found.how) == (value, how)


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("The answer is [1, 2, 3].", [1, 2, 3], "strict"),
        ("The answer is: [1,2,3]", [1, 2, 3], "strict"),
        ("The answer is 1, 2, 3.", [1, 2, 3], "strict"),
        ("The answer is 1 2 3", [1, 2, 3], "strict"),
        ("The numbers are 4, 5 and 6", [4, 5, 6], "strict"),
        ("numbers: 4 and 5", [4, 5], "strict"),
        ("The answer is 0 -> 2 -> 1 -> 0", [0, 2, 1, 0], "strict"),
        ("The answer is \\boxed{[1, 2]}", [1, 2], "strict"),
        ("The answer is {3, 4}", [3, 4], "strict"),
        ("First [9, 9]. The answer is [1, 2]. Check [3, 4]", [3, 4], "strict"),
        ("so [1, 2] then [5, 6]", [5, 6], "fallback"),
        ("The answer is [1, 2", None, "none"),
        ("[a, b] [1, two]", None, "none"),
        ("The answer is []", None, "none"),
        ("[1,\n 2]", [1, 2], "fallback"),
        ("The answer is [1, -2]", [1, -2], "strict"),
    ],
)
def test_lists(text: str, value: Any, how: str) -> None:
    found = parse_list(text)
    assert (found.value, found.how) == (value, how)


def test_strict_lists_need_brackets() -> None:
    assert parse_list("The answer is 1, 2, 3", lenient=False).value is None


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=16))
def test_rendered_lists_are_read_back(numbers: list[int]) -> None:
    assert parse_list(f"The answer is [{', '.join(map(str, numbers))}].").value == numbers
    assert parse_list(f"The answer is {' '.join(map(str, numbers))}").value == numbers


@given(st.integers(0, 10**12))
def test_rendered_numbers_are_read_back(number: int) -> None:
    assert parse_number(f"The answer is {number}.").value == number
    assert parse_number(f"The answer is {number:,}.").value == number


@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    for found in (parse_number(text), parse_list(text)):
        assert (found.value is None) == (found.how == "none")


HOSTILE = [
    "answer is " * 6_000,
    "[" * 64_000,
    "[1," * 21_000,
    "1," * 32_000,
    "1 " * 32_000,
    "answer is" + " " * 60_000,
    "9" * 64_000,
    "[1 2 " * 12_000,
    "-" * 64_000,
    "1,000" * 12_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:6] for text in HOSTILE])
def test_64_kb_of_hostile_text_takes_no_time(text: str) -> None:
    began = time.perf_counter()
    parse_number(text)
    parse_list(text)
    assert time.perf_counter() - began < 0.5
