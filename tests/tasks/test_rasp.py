"""RASP-L: worked values of the paper's language, every program on every length, the checker, sizes, and a per-sequence oracle."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genscope.core.errors import TaskError
from genscope.core.seeds import Seed
from genscope.tasks.length import END, EQUALS, FIRST_HINT, MINUS_SIGN, PLUS, PLUS_SIGN, SEPARATOR, START, TASKS, with_symbols
from genscope.tasks.rasp import Program, Seq, decode, full, indices, kqv, run, sel_width, select, seq_map, size, tok_map
from genscope.tasks.rasp.core import aggr, anything
from genscope.tasks.rasp.library import (
    argmax,
    argmin,
    binary_mode,
    cumsum,
    firsts,
    has_seen,
    index_select,
    induct,
    induct_prev,
    lasts,
    maximum,
    minimum,
    mode,
    num_prev,
    shift_right,
    where,
)
from genscope.tasks.rasp.machine import Machine
from genscope.tasks.rasp.programs import PROGRAMS, REJECTED

X = [3, 1, 4, 1, 5, 9, 2, 6]


def out(build: Callable[[Seq], Seq], x: list[int] = X, **more: bool) -> list[int]:
    return run(Program(name="t", build=build), np.array([x]), **more)[0].tolist()


@pytest.mark.parametrize(
    ("build", "x", "wanted"),
    [
        (lambda x: shift_right(x, 1, -7), X, [-7, 3, 1, 4, 1, 5, 9, 2]),
        (lambda x: aggr(select(x, x, anything), x), X, [3, 2, 2, 2, 2, 3, 3, 3]),
        (lambda x: num_prev(x, x), X, [1, 1, 1, 2, 1, 1, 1, 1]),
        (lambda x: firsts(x, x), X, [0, 1, 2, 1, 4, 5, 6, 7]),
        (lambda x: lasts(x, full(x, 1)), X, [-1, 1, 1, 3, 3, 3, 3, 3]),
        (cumsum, [1, 0, 1, 1, 0], [1, 1, 2, 3, 3]),
        (lambda x: induct(x, x, 1), [7, 8, 9, 0, 7, 8], [0, 0, 0, 0, 8, 9]),
        (maximum, X, [3, 3, 4, 4, 5, 9, 9, 9]),
        (minimum, X, [3, 1, 1, 1, 1, 1, 1, 1]),
        (argmax, [2, 5, 5, 1], [0, 1, 2, 2]),
        (argmin, [2, 1, 1, 5], [0, 1, 2, 2]),
        (mode, [4, 4, 7, 7, 4, 7], [4, 4, 4, 7, 4, 7]),
        (binary_mode, [1, 0, 0, 1, 1], [1, 0, 0, 0, 1]),
        (lambda x: has_seen(x, full(x, 5)), X, [0, 0, 0, 0, 1, 1, 1, 1]),
        (lambda x: index_select(x, shift_right(indices(x), 2, -1), -9), X, [-9, -9, 3, 1, 4, 1, 5, 9]),
        (lambda x: induct_prev(x, x, -1), [7, 8, 9, 8], [0, 7, 8, 7]),
        (lambda x: where(tok_map(x, lambda t: t > 3), full(x, 0), x), X, [3, 1, 0, 1, 0, 0, 2, 0]),
        (lambda x: aggr(select(x, x, anything), x), [-3, 0], [-3, -1]),
        (lambda x: aggr(select(x, x, anything), x), [3, 0], [3, 1]),
        (lambda x: sel_width(select(x, x, operator.lt)), [1, 2, 3, 0], [0, 1, 2, 0]),
        (lambda x: sel_width(select(x, x, anything, causal=False)), [1, 2, 3], [3, 3, 3]),
    ],
)  # fmt: skip
def test_worked_values(build: Callable[[Seq], Seq], x: list[int], wanted: list[int]) -> None:
    assert out(build, x) == wanted


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_every_program_solves_its_task_at_all_lengths(name: str) -> None:
    task, program = TASKS[name], PROGRAMS[name]
    lengths = range(1, 101) if not name.startswith("addition") else (1, 2, 3, 5, 8, 13, 21, 34, 55, 100)
    for length in lengths:
        examples = task.examples(length, 100, Seed("R1"))
        wide = {len(one.answer) for one in examples}
        prompts = np.array([one.prompt for one in examples])
        assert decode(program, prompts, max(wide)) == [list(one.answer) for one in examples], length


@pytest.mark.parametrize("name", list(REJECTED))
def test_programs_with_index_arithmetic_are_rejected(name: str) -> None:
    with pytest.raises(TaskError, match="only comparison, successor, predecessor and choice"):
        REJECTED[name].graph()
    unsafe = Program(name=name, build=REJECTED[name].build, eos=END, unsafe=True)
    assert size(unsafe).ops > 0


def test_modulo_parity_is_right_when_the_check_is_off() -> None:
    examples = TASKS["parity"].examples(9, 20, Seed("unsafe"))
    program = Program(name="parity", build=REJECTED["parity"].build, eos=END, unsafe=True)
    assert decode(program, np.array([one.prompt for one in examples]), 2) == [list(one.answer) for one in examples]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda x: tok_map(indices(x), lambda i: 2 * i), "index arithmetic"),
        (lambda x: seq_map(x, indices(x), operator.eq), "different kinds"),
        (lambda x: tok_map(select(x, x, operator.eq), abs), "not a sequence"),
        (lambda x: sel_width(x), "needs a selection"),
        (lambda x: select(x, x, operator.eq), "aggregate it"),
        (lambda x: aggr(select(x, x, operator.eq), x, reduction="sum"), "mean, max or min"),
        (lambda x: kqv(x, indices(x), x, lambda k, q: k == q), "on positions or counts"),
    ],
)
def test_what_the_checker_rejects(build: Callable[[Seq], Seq], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        out(build)


def test_overflow_missing_end_and_noncausal_decoding_are_errors() -> None:
    double = Program(name="double", build=lambda x: tok_map(x, lambda t: 2 * t), eos=END)
    with pytest.raises(TaskError, match="8-bit"):
        run(double, np.array([[70]]), int8=True)
    assert run(double, np.array([[70]])).tolist() == [[140]]
    with pytest.raises(TaskError, match="1 of 1 sequences had no end token"):
        decode(double, np.array([[1]]), 5)
    with pytest.raises(TaskError, match="has no end token"):
        decode(Program(name="endless", build=lambda x: x), np.array([[1]]), 5)
    backwards = Program(name="all", build=lambda x: sel_width(select(x, x, anything, causal=False)), eos=END)
    with pytest.raises(TaskError, match="without causal mask"):
        decode(backwards, np.array([[1, 2]]), 3)


@given(st.integers(0, 10_000), st.sampled_from(sorted(PROGRAMS)))
@settings(max_examples=40, deadline=None)
def test_one_position_at_a_time_equals_all_at_once(number: int, name: str) -> None:
    tokens = Seed("causal", number).rng().integers(-5, 9, (3, 12))
    whole = run(PROGRAMS[name], tokens)
    machine = Machine(PROGRAMS[name], 3, 12)
    parts = [machine.extend(tokens[:, :5]), *(machine.extend(tokens[:, k : k + 1]) for k in range(5, 12))]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def oracle(node: Seq, x: list[int]) -> list[int]:
    """The language once more, one sequence and one position after the other."""
    n = len(x)
    if node.op == "input":
        return list(x)
    if node.op == "full":
        return [node.constant] * n
    if node.op == "indices":
        return list(range(n))
    assert node.function is not None or node.op in ("sel_width", "aggr")
    if node.op in ("tok_map", "seq_map"):
        parts = [oracle(part, x) for part in node.parts]
        return [int(node.function(*(np.array(part[i]) for part in parts))) for i in range(n)]  # pyright: ignore[reportOptionalCall]
    chosen = node.parts[0]
    keys, queries = (oracle(part, x) for part in chosen.parts)
    rows = [
        [j for j in range(n) if (j <= i or not chosen.causal) and bool(chosen.function(np.array(keys[j]), np.array(queries[i])))]
        for i in range(n)
    ]  # pyright: ignore[reportOptionalCall]
    if node.op == "sel_width":
        return [len(row) for row in rows]
    values = oracle(node.parts[1], x)
    reduce = {"max": max, "min": min, "mean": lambda picked: int(sum(picked) / len(picked))}[node.reduction]
    return [reduce([values[j] for j in row]) if row else node.constant for row in rows]


@pytest.mark.parametrize("name", ["count", "mode", "majority", "and", "unique_copy", "sort", "parity_scratchpad"])
def test_the_batched_machine_equals_the_slow_oracle(name: str) -> None:
    rng = Seed("oracle", name).rng()
    tokens = np.concatenate([rng.integers(-3, 6, (4, 9)), rng.choice([0, 1, -2, FIRST_HINT, FIRST_HINT + 1], (4, 9))])
    graph = PROGRAMS[name].graph()
    assert run(PROGRAMS[name], tokens).tolist() == [oracle(graph, row) for row in tokens.tolist()]


def test_sizes() -> None:
    one = Program(name="one", build=lambda x: kqv(x, x, x, operator.eq))
    assert (size(one).ops, size(one).attn, size(one).depth) == (2, 1, 1)
    twice = Program(name="twice", build=lambda x: seq_map(num_prev(x, x), num_prev(x, x), operator.eq))
    assert (size(twice).ops, size(twice).attn, size(twice).depth) == (5, 1, 1)
    assert size(PROGRAMS["unique_copy"]).depth == 3
    assert size(PROGRAMS["sort"]).ops == 2
    assert size(PROGRAMS["addition_hints_reversed"]) < size(PROGRAMS["addition_hints"])
    assert all(size(PROGRAMS["sort"]).ops <= size(program).ops for program in PROGRAMS.values())


def test_the_papers_addition_in_both_directions() -> None:
    a = FIRST_HINT
    prompt = [START, a, 0, a + 1, 0, a + 2, 8, a + 3, 8, PLUS, a, 0, a + 1, 8, a + 2, 4, a + 3, 2, EQUALS]
    assert decode(PROGRAMS["addition_hints_reversed"], np.array([prompt]), 20) == [[a + 3, 0, a + 2, 3, a + 1, 9, a, 0, END]]
    assert decode(PROGRAMS["addition_hints"], np.array([prompt]), 20) == [[a, 0, a + 1, 9, a + 2, 3, a + 3, 0, END]]


@pytest.mark.parametrize("name", list(TASKS))
def test_tasks_make_what_they_say(name: str) -> None:
    task = TASKS[name]
    seen = set()
    for length in (1, 2, 7, 20):
        if name == "mode" and length == 2:
            pass
        for one in task.examples(length, 50, Seed("tasks")):
            assert one.answer[-1] == END
            assert [task.code(task.word(code)) for code in (*one.prompt, *one.answer)] == [*one.prompt, *one.answer]
            assert {task.word(code) for code in (*one.prompt, *one.answer)} <= set(task.words())
            seen.add(one.answer)
            if name in ("unique_copy", "repeat_copy", "runs_copy"):
                assert one.prompt[1:-1] == one.answer[:-1]
            if name == "unique_copy":
                assert len(set(one.answer)) == length + 1
            if name.startswith("addition"):
                digits = [code for code in one.prompt if 0 <= code < 10]
                total = [code for code in one.answer if 0 <= code < 10]
                numbers = [int("".join(map(str, part))) for part in (digits[: length + 1], digits[length + 1 :])]
                assert int("".join(map(str, total[::-1] if "reversed" in name else total))) == sum(numbers)
    assert len(seen) > 1
    assert task.examples(7, 3, Seed("a")) == task.examples(7, 5, Seed("a"))[:3]


@pytest.mark.parametrize(
    ("name", "prompt", "answer"),
    [
        ("mode_scratchpad", [START, 4, 7, 4, SEPARATOR], [7, FIRST_HINT, 4, FIRST_HINT + 1, 4]),
        ("and_tail_constant", [START, 1, 1, 1, 1, SEPARATOR], [1]),
    ],
)
def test_formats_worked_by_hand(name: str, prompt: list[int], answer: list[int]) -> None:
    """The format's rule applied to a drawn example gives the answer that the rule's words give by hand."""
    length = len(prompt) - 2
    rng = Seed("by hand").rng()
    for _ in range(20_000):
        one = TASKS[name].sample(length, rng)
        if list(one.prompt) == prompt:
            assert list(one.answer) == [*answer, END]
            return
    pytest.fail("the example was never drawn")


def test_the_last_quarter_is_constant_or_ignored() -> None:
    constant, ignored = (TASKS[name].examples(20, 300, Seed("tail")) for name in ("and_tail_constant", "and_tail_ignored"))
    assert all(one.prompt[16:21] == (1,) * 5 and one.answer[0] == int(all(one.prompt[1:-1])) for one in constant)
    assert all(one.answer[0] == int(all(one.prompt[1:16])) for one in ignored)
    assert {one.answer[0] for one in ignored if 0 in one.prompt[16:21]} == {0, 1}
    assert 0.4 < sum(one.answer[0] for one in constant) / 300 < 0.6


def test_a_shuffled_scratchpad_has_the_words_and_the_sign_of_the_real_one() -> None:
    real, shuffled = (TASKS[name].examples(12, 60, Seed("pad")) for name in ("parity_scratchpad", "parity_shuffled"))
    for one in shuffled:
        ones = sum(code == 1 for code in one.prompt)
        assert one.answer[-2] == (PLUS_SIGN if ones % 2 == 0 else MINUS_SIGN)
        assert len(one.answer) == 2 * ones + 2
    assert any(one.answer[0] != PLUS_SIGN for one in shuffled)
    assert all(one.answer[0] == PLUS_SIGN for one in real)


def test_too_long_and_too_small_are_refused() -> None:
    with pytest.raises(TaskError, match="used at most once each"):
        TASKS["unique_copy"].sample(129, Seed("x").rng())
    with pytest.raises(TaskError, match="hint alphabet has 128"):
        TASKS["parity_scratchpad"].sample(128, Seed("x").rng())
    with pytest.raises(TaskError, match="allow strings of up to 30"):
        with_symbols(TASKS["unique_copy"], 30, 40)
    with pytest.raises(TaskError, match="at least one symbol"):
        TASKS["sort"].sample(0, Seed("x").rng())
    with pytest.raises(TaskError, match="unknown word"):
        TASKS["parity"].code("7")
