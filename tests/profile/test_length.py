"""The length section: scoring of replies, its options, and a model that copies up to a length it was given; generalization length and min-degree interpolator."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import genscope as gs
from genscope.cli import main
from genscope.core.errors import UsageError
from genscope.measures.length_curve import generalization_length, min_degree_interpolator
from genscope.sections.profile.length import score
from genscope.tasks.length import TASKS

LENGTH: dict[str, Any] = {"scale": "smoke", "without": ["scylla"]}


@pytest.mark.parametrize(
    ("task", "reply", "right"),
    [
        ("sort", "3 7 12", True), ("sort", "3, 7, 12", True), ("sort", "\n\nAnswer: 3 7 12\nBecause they are ordered.", True), ("sort", "7 3 12 > 3 7 12", True),
        ("sort", "The answer is 3 7 12.", True), ("sort", "The answer is 12.", False), ("sort", "Answer 3 7 12", True), ("sort", "answers 3 7 12", False),
        ("sort", "3 7", False), ("sort", "3 7 12 12", False), ("sort", "", False), ("sort", "I think it is 3 7 12", False), ("sort", "37 12", False),
    ],
)  # fmt: skip
def test_an_answer_is_read_from_the_first_line_with_words(task: str, reply: str, right: bool) -> None:
    example = gs_example(task, [12, 3, 7])
    assert score(TASKS[task], example, reply)[0] is right


def gs_example(task: str, tokens: list[int]) -> Any:
    from genscope.tasks.length import END, SEPARATOR, START, LengthExample

    return LengthExample(prompt=(START, *tokens, SEPARATOR), answer=(*sorted(tokens), END), length=len(tokens))


def test_examples_are_turns_of_the_chat_and_lines_of_the_text() -> None:
    from genscope.sections.profile.length import _request

    request = _request(TASKS["sort"], gs_example("sort", [12, 3, 7]), [gs_example("sort", [5, 1]), gs_example("sort", [9, 4, 8])])
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert request.messages[1].content.endswith("only.\n\n5 1 >")
    assert [message.content for message in request.messages[2:]] == ["1 5", "9 4 8 >", "4 8 9", "12 3 7 >"]
    assert request.plain == "5 1 > 1 5\n9 4 8 > 4 8 9\n12 3 7 >"


def sorts_eight(text: str) -> str:
    """Sorts at most eight symbols; longer questions get their last symbol."""
    words = text.strip().splitlines()[-1].replace(">", " ").split()
    return words[-1] if len(words) > 8 else " ".join(sorted(words, key=int))


def test_the_planted_length_is_found(tmp_path: Path) -> None:
    result = gs.profile(
        "py:tests.profile.test_length:sorts_eight", with_=["length:tasks=sort,lengths=4+8+16,n=16"], out=tmp_path / "o", **LENGTH
    )
    rows = result.records.filter(pl.col("source") == "profile/length")
    assert rows.filter(pl.col("metric") == "generalization_length")["value"].to_list() == [8]
    assert rows.filter(pl.col("metric") == "exact_match").sort("level")["value"].to_list() == [1, 1, 0]
    assert rows.filter(pl.col("metric") == "exact_match")["n"].to_list() == [16] * 3
    assert "none beyond the lengths it was shown (up to 8)" in result.page.read_text()


def test_a_trained_model_is_asked_its_own_task_without_examples(home: Path, tmp_path: Path) -> None:
    from genscope.core.errors import UsageError
    from genscope.core.seeds import Seed
    from genscope.training.sequences import SequenceRecipe, exact_match, keep_run, train_sequences

    recipe = SequenceRecipe(
        task="majority", seed=Seed("p"), lengths=(1, 6), updates=150, batch=16, width=16, heads=2, table=32, lr=3e-3, log_n_base=8.0
    )
    trained = train_sequences(recipe)
    name = keep_run(trained, recipe)
    result = gs.profile(f"run:{name}", with_=["length:n=32"], out=tmp_path / "o", **LENGTH)
    rows = result.records.filter((pl.col("source") == "profile/length") & (pl.col("metric") == "exact_match"))
    assert rows["level"].to_list() == [3, 6, 9, 12]
    direct = exact_match(
        trained.net, trained.task, trained.codes, (3, 6, 9, 12), 32, Seed("profile", "length", 0).child("questions"), table=32
    )
    assert rows["value"].to_list() == pytest.approx(list(direct.values()))
    assert "up to 6" in result.page.read_text()
    with pytest.raises(UsageError, match="trained on majority and knows the words of that task only"):
        gs.profile(f"run:{name}", with_=["length:tasks=sort"], out=tmp_path / "p", **LENGTH)


@pytest.mark.parametrize(
    ("option", "said"),
    [("tasks=sortt", "sort"), ("lengths=0", "whole numbers"), ("lengths=4+x", "whole numbers"), ("n=4+8", "a whole number"), ("m=4", "option of length"), ("tasks=sort,lengths=400", "up to 128, got 400")],
)  # fmt: skip
def test_bad_options_name_what_is_allowed(option: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main(["profile", "demo", "--with", f"length:{option}", "--without", "scylla", "--scale", "smoke", "--out", str(tmp_path)])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_generalization_length_stops_at_the_first_failure() -> None:
    assert generalization_length({4: 0.8, 8: 1.0}) == 0
    assert generalization_length({8: 0.9, 4: 1.0}, 0.9) == 8
    with pytest.raises(UsageError, match="one length at least"):
        generalization_length({})


def test_the_interpolator_ignores_what_is_constant_in_training() -> None:
    """AND of 20 bits, the last five always 1: it is AND of the first 15 (here 6 and 3)."""
    free = np.array(list(product((0, 1), repeat=6)))
    train = np.concatenate([free, np.ones((64, 3), int)], axis=1)
    ask = np.concatenate([np.ones((7, 6), int), np.array(list(product((0, 1), repeat=3)))[:7]], axis=1)
    assert min_degree_interpolator(train, train.all(1).astype(float), ask).tolist() == [1.0] * 7


def test_the_interpolator_has_the_lowest_degree_and_the_least_weight_there() -> None:
    # f(00) = 0, f(11) = 1: degree 1 suffices, (x1 + x2) / 2 has the least weight, so a mixed string gets one half
    train = np.array([[0, 0], [1, 1]])
    assert min_degree_interpolator(train, np.array([0.0, 1.0]), np.array([[0, 1], [1, 0]])) == pytest.approx([0.5, 0.5])
    # parity of three bits is 1/2 - xyz/2, of degree 3. Without the string 000 its value there is free: v adds v (1+x)(1+y)(1+z)/8, and v = 4 removes xyz
    every = np.array(list(product((0, 1), repeat=3)))
    parity = (every.sum(1) % 2).astype(float)
    assert min_degree_interpolator(every, parity, every).tolist() == parity.tolist()
    assert min_degree_interpolator(every[1:], parity[1:], every[:1]) == pytest.approx([4.0])


def test_weights_are_compared_from_the_top_degree_down() -> None:
    """Strings 00, 01, 10 with AND: degree 1 fits uniquely (the constant 0), so 11 gets 0; by brute force over all fitting polynomials of two bits."""
    train = np.array([[0, 0], [0, 1], [1, 0]])
    assert min_degree_interpolator(train, np.zeros(3), np.array([[1, 1]])) == pytest.approx([0.0])
    # one string 1 -> 1 among constants: degree 0 fits
    assert min_degree_interpolator(np.array([[1, 0], [0, 1]]), np.ones(2), np.array([[0, 0]])) == pytest.approx([1.0])


def test_what_the_interpolator_refuses() -> None:
    for bits, labels, said in (([[0], [0]], [0.0, 1.0], "different labels"), ([[2]], [0.0], "0 and 1"), ([[0] * 21], [0.0], "at most 20")):
        with pytest.raises(UsageError, match=said):
            min_degree_interpolator(np.array(bits), np.array(labels), np.array(bits))
