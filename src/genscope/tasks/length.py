"""Tasks with length as their axis: count, mode, copy, sort, parity, addition, conjunction, in formats that have a short RASP-L program and that have none.

An example is a row of words, `prompt` then `answer`; the same words train a small model, are run by RASP-L programs (through integer codes) and prompt a language
model. Length is the number of input symbols, for addition the digits of a summand. Source: Zhou et al. 2024 (arXiv 2310.16028), section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from genscope.core.card import Card
from genscope.core.errors import TaskError
from genscope.core.seeds import Seed

CARD = Card(motivation="intrinsic", type="structural", shift="covariate", source="fully generated", locus="train-test")

# codes: tokens are 0..99; special words are negative; hints begin at 1000, from the most significant place on
# (the separator is the greatest of the special words, so that sorting can begin from it)
NOTHING, END, SEPARATOR, START, PLUS, EQUALS, PLUS_SIGN, MINUS_SIGN = -60, -5, -1, -2, -4, -3, -10, -11
FIRST_HINT = 1_000
WORDS = {END: "EoS", SEPARATOR: ">", START: "SoS", PLUS: "+", EQUALS: "=", PLUS_SIGN: "even", MINUS_SIGN: "odd"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthExample:
    """One example in codes: prompt, answer (with the end), and its length."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthTask:
    """A task. symbols: how many different tokens there are; hints: size of the hint alphabet; make: an example of a length from random numbers;
    longest: the longest length the symbols and hints allow; chance: probability that a guess of the right format is right, by length.
    """

    name: str
    title: str
    make: Callable[[LengthTask, int, np.random.Generator], tuple[list[int], list[int]]]
    symbols: int
    hints: int = 0
    unique: bool = False
    chance: Callable[[int], float] = lambda length: 0.0
    card: Card = CARD

    @property
    def longest(self) -> int:
        """The longest length that has examples; 10,000 where nothing limits it."""
        limits = [self.symbols] if self.unique else []
        return min([*limits, *([self.hints - 1] if self.hints else []), 10_000])

    def sample(self, length: int, rng: np.random.Generator) -> LengthExample:
        """An example of that length; TaskError where none exists."""
        if not 1 <= length <= self.longest:
            why = (
                f"its {self.symbols} symbols are used at most once each"
                if self.unique and length > self.symbols
                else f"its hint alphabet has {self.hints} symbols"
            )
            raise TaskError(
                f"{self.name}: length must be 1 to {self.longest} ({why if length > 0 else 'an example has at least one symbol'}), got {length}"
            )
        prompt, answer = self.make(self, length, rng)
        return LengthExample(prompt=tuple(prompt), answer=(*answer, END), length=length)

    def examples(self, length: int, count: int, seed: Seed) -> list[LengthExample]:
        """`count` examples of one length; the same for every count."""
        rng = seed.child("length", self.name, length).rng()
        return [self.sample(length, rng) for _ in range(count)]

    def words(self) -> tuple[str, ...]:
        """The vocabulary, special words first."""
        return (*WORDS.values(), *(str(k) for k in range(self.symbols)), *(hint_word(k) for k in range(self.hints)))

    def word(self, code: int) -> str:
        """The word of a code."""
        return WORDS[code] if code < 0 else hint_word(code - FIRST_HINT) if code >= FIRST_HINT else str(code)

    def code(self, word: str) -> int:
        """The code of a word; TaskError for an unknown one."""
        known = {self.word(c): c for c in (*WORDS, *range(self.symbols), *range(FIRST_HINT, FIRST_HINT + self.hints))}
        if word not in known:
            raise TaskError(f"{self.name}: unknown word {word!r}")
        return known[word]


def hint_word(number: int) -> str:
    """The name of a hint: a, b, ..., z, aa, ab, ...

    >>> [hint_word(k) for k in (0, 25, 26, 27)]
    ['a', 'z', 'aa', 'ab']
    """
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(97 + rest) + letters
    return letters


def with_symbols(task: LengthTask, symbols: int, longest_test: int) -> LengthTask:
    """The task with another vocabulary; TaskError when it is too small for the longest test."""
    from dataclasses import replace

    made = replace(task, symbols=symbols)
    if longest_test > made.longest:
        raise TaskError(
            f"{task.name}: {symbols} symbols allow strings of up to {made.longest} different ones; the longest test has {longest_test}"
        )
    return made


def _window(task: LengthTask, length: int, rng: np.random.Generator) -> list[int]:
    """A random contiguous window of the hint alphabet, so that every hint symbol is trained."""
    start = int(rng.integers(0, task.hints - length + 1))
    return [FIRST_HINT + start + k for k in range(length)]


def _count(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    start = int(rng.integers(0, task.symbols - length + 1))
    return [START, start, start + length - 1, SEPARATOR], list(range(start, start + length))


def _mode(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    while True:
        tokens = rng.integers(0, task.symbols, length)
        counts = np.bincount(tokens)
        if (counts == counts.max()).sum() == 1:
            return [START, *tokens.tolist(), SEPARATOR], [int(counts.argmax())]


def _mode_scratchpad(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Every symbol with its count (a: once, b: twice, ...) in order of frequency, then the mode. It needs counts as tokens, so it has no RASP-L program."""
    prompt, answer = _mode(task, length, rng)
    counts = np.bincount(prompt[1:-1])
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda symbol: (counts[symbol], symbol))
    return prompt, [*(token for symbol in order for token in (symbol, FIRST_HINT - 1 + int(counts[symbol]))), *answer]


def _majority(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    while True:
        bits = rng.integers(0, 2, length)
        if 2 * int(bits.sum()) != length:
            return [START, *bits.tolist(), SEPARATOR], [int(2 * bits.sum() > length)]


def _and(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    bits = np.ones(length, int)
    if rng.random() < 0.5:
        bits[rng.choice(length, int(rng.integers(1, length + 1)), replace=False)] = 0
    return [START, *bits.tolist(), SEPARATOR], [int(bits.all())]


def _tail_constant(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """AND of bits of which the last quarter is always 1."""
    tail = length // 4
    prompt, answer = _and(task, length - tail, rng)
    return [*prompt[:-1], *[1] * tail, SEPARATOR], answer


def _tail_ignored(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """AND of bits without their last quarter, which is random."""
    tail = length // 4
    prompt, answer = _and(task, length - tail, rng)
    return [*prompt[:-1], *rng.integers(0, 2, tail).tolist(), SEPARATOR], answer


def _shuffled_scratchpad(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """The scratchpad of parity with its entries before the final sign in random order: as long, made of the same words, and of no use."""
    prompt, answer = _parity_scratchpad(task, length, rng)
    return prompt, [*rng.permutation(answer[:-1]).tolist(), answer[-1]]


def _unique_copy(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    tokens = rng.permutation(task.symbols)[:length].tolist()
    return [SEPARATOR, *tokens, SEPARATOR], tokens


def _repeat_copy(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    tokens = rng.integers(0, task.symbols, length).tolist()
    return [SEPARATOR, *tokens, SEPARATOR], tokens


def _runs_copy(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    start = int(rng.integers(0, task.symbols - length + 1))
    tokens = list(range(start, start + length))
    return [SEPARATOR, *tokens, SEPARATOR], tokens


def _sort(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    tokens = rng.permutation(task.symbols)[:length].tolist()
    return [START, *tokens, SEPARATOR], sorted(tokens)


def _parity(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    bits = rng.integers(0, 2, length).tolist()
    return [START, *bits, SEPARATOR], [sum(bits) % 2]


def _parity_scratchpad(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    hints, bits = _window(task, length, rng), rng.integers(0, 2, length).tolist()
    answer, sign = [PLUS_SIGN], PLUS_SIGN
    for hint, bit in zip(hints, bits, strict=True):
        if bit:
            sign = MINUS_SIGN if sign == PLUS_SIGN else PLUS_SIGN
            answer += [hint, sign]
    return [START, *(token for pair in zip(hints, bits, strict=True) for token in pair), SEPARATOR], answer


def _digits(length: int, rng: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
    """Two summands and their sum, most significant digit first, padded with one zero."""
    one, two = ([0, *rng.integers(0, 10, length).tolist()] for _ in range(2))
    total, carry = [], 0
    for a, b in zip(reversed(one), reversed(two), strict=True):
        carry, digit = divmod(a + b + carry, 10)
        total.append(digit)
    return one, two, total[::-1]


def _addition(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    one, two, total = _digits(length, rng)
    return [START, *one, PLUS, *two, EQUALS], total


def _addition_hints(reverse: bool) -> Callable[[LengthTask, int, np.random.Generator], tuple[list[int], list[int]]]:
    def made(task: LengthTask, length: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        one, two, total = _digits(length, rng)
        hints = _window(task, length + 1, rng)
        first, second, answer = (list(zip(hints, digits, strict=True)) for digits in (one, two, total))
        flat = lambda pairs: [token for pair in pairs for token in pair]  # noqa: E731
        return [START, *flat(first), PLUS, *flat(second), EQUALS], flat(answer[::-1] if reverse else answer)

    return made


TASKS: Mapping[str, LengthTask] = {
    task.name: task
    for task in (
        LengthTask(name="count", title="counting from a number to another", make=_count, symbols=200, unique=True),
        LengthTask(name="mode", title="the most frequent symbol", make=_mode, symbols=10, chance=lambda length: 0.1),
        LengthTask(name="mode_scratchpad", title="the most frequent symbol, after a list of all with their counts", make=_mode_scratchpad, symbols=10, hints=128),
        LengthTask(name="majority", title="the more frequent of two symbols", make=_majority, symbols=2, chance=lambda length: 0.5),
        LengthTask(name="and", title="whether all bits are 1", make=_and, symbols=2, chance=lambda length: 0.5),
        LengthTask(name="and_tail_constant", title="whether all bits are 1, the last quarter always 1", make=_tail_constant, symbols=2, chance=lambda length: 0.5),
        LengthTask(name="and_tail_ignored", title="whether all bits but the last quarter are 1", make=_tail_ignored, symbols=2, chance=lambda length: 0.5),
        LengthTask(name="unique_copy", title="copying different symbols", make=_unique_copy, symbols=128, unique=True),
        LengthTask(name="repeat_copy", title="copying repeated symbols", make=_repeat_copy, symbols=2, chance=lambda length: 0.5**length),
        LengthTask(name="runs_copy", title="copying runs a, a+1, ...", make=_runs_copy, symbols=128, unique=True),
        LengthTask(name="sort", title="sorting different numbers", make=_sort, symbols=128, unique=True),
        LengthTask(name="parity", title="parity of bits", make=_parity, symbols=2, chance=lambda length: 0.5),
        LengthTask(name="parity_scratchpad", title="parity with a scratchpad of hints", make=_parity_scratchpad, symbols=2, hints=128, chance=lambda length: 0.5**length),
        LengthTask(name="parity_shuffled", title="parity with a scratchpad in random order", make=_shuffled_scratchpad, symbols=2, hints=128, chance=lambda length: 0.0),
        LengthTask(name="addition", title="addition", make=_addition, symbols=10, chance=lambda length: 0.1**length),
        LengthTask(name="addition_hints", title="addition with index hints", make=_addition_hints(False), symbols=10, hints=128, chance=lambda length: 0.1**length),
        LengthTask(name="addition_hints_reversed", title="addition with index hints, answer reversed", make=_addition_hints(True), symbols=10, hints=128, chance=lambda length: 0.1**length),
    )
}  # fmt: skip
"""Every length task by name."""
