"""The tasks' solutions: the next token as a short program, and for tasks without one the program that the checker rejects.

Token codes are those of tasks/length.py. `next token` means: the value at the last position is what comes next.
"""

from __future__ import annotations

import operator

import numpy as np

from genscope.tasks.length import END, EQUALS, FIRST_HINT, MINUS_SIGN, NOTHING, PLUS, PLUS_SIGN, SEPARATOR
from genscope.tasks.rasp.core import Program, Seq, full, indices, kqv, seq_map, tok_map
from genscope.tasks.rasp.library import (
    binary_mode,
    cumsum,
    equal,
    firsts,
    has_seen,
    index_select,
    induct,
    mode,
    moved,
    shift_right,
    where,
)


def _is(x: Seq, token: int) -> Seq:
    return tok_map(x, lambda t: t == token)


def _is_hint(x: Seq) -> Seq:
    return tok_map(x, lambda t: t >= FIRST_HINT)


def _at_separator(x: Seq, answer: Seq) -> Seq:
    """`answer` at the separator, then the end."""
    return where(_is(x, SEPARATOR), answer, full(x, END))


def count(x: Seq) -> Seq:
    """The previous token plus one, until it is the end number (the token before the separator)."""
    end = index_select(x, moved(firsts(x, full(x, SEPARATOR)), -1))
    following = where(seq_map(x, end, equal), full(x, END), tok_map(x, lambda t: t + 1))
    return where(_is(x, SEPARATOR), shift_right(x, 2), following)


def most_frequent(x: Seq) -> Seq:
    """The mode up to the token before the separator."""
    return _at_separator(x, shift_right(mode(x), 1))


def majority(x: Seq) -> Seq:
    """1 if ones outnumber zeros before the separator."""
    return _at_separator(x, shift_right(binary_mode(x), 1))


def conjunction(x: Seq) -> Seq:
    """0 if a 0 was seen, else 1."""
    return _at_separator(x, kqv(x, full(x, 0), full(x, 0), equal, 1))


def unique_copy(x: Seq) -> Seq:
    """Induction: the token after the earlier occurrence of the current one; the separator there means the end."""
    following = induct(x, x, 1, null=NOTHING)
    return where(_is(following, SEPARATOR), full(x, END), following)


def sort(x: Seq) -> Seq:
    """The smallest of the earlier tokens that are greater than the current one; the separator is smaller than all."""
    return kqv(x, x, x, operator.gt, END, "min")


def parity_with_scratchpad(x: Seq) -> Seq:
    """After a sign the next hint that precedes a 1, after a hint the other sign."""
    before, asked = shift_right(x, 1, NOTHING), has_seen(x, full(x, SEPARATOR))
    # hints of the ones in the question; all else is smaller than any token
    marked = where(seq_map(_is(x, 1), asked, lambda one, late: one & (late == 0)), before, full(x, NOTHING))
    following = kqv(marked, before, marked, operator.gt, END, "min")
    flipped = tok_map(before, lambda sign: np.where(sign == PLUS_SIGN, MINUS_SIGN, PLUS_SIGN))
    return where(_is(x, SEPARATOR), full(x, PLUS_SIGN), where(_is_hint(x), flipped, following))


def _pair_sums(x: Seq) -> tuple[Seq, Seq]:
    """(at the digits of the second summand: their hint, elsewhere nothing; there the digit plus the first summand's at the same hint)."""
    hint = shift_right(x, 1, NOTHING)
    late, done = has_seen(x, full(x, PLUS)), has_seen(x, full(x, EQUALS))
    second = seq_map(seq_map(late, done, lambda a, b: (a == 1) & (b == 0)), _is_hint(hint), operator.and_)
    total = seq_map(x, induct(x, hint, 1, null=NOTHING), operator.add)
    return where(second, hint, full(x, NOTHING)), total


def addition_reversed(x: Seq) -> Seq:
    """Least significant place first: a carry comes iff the pair sum behind the digit just written is above 9, or is 9 and that digit is 0."""
    key, total = _pair_sums(x)
    before, hint_before = shift_right(x, 1, NOTHING), shift_right(x, 2, NOTHING)
    here, behind = kqv(key, x, total, equal), kqv(key, hint_before, total, equal)
    carry = seq_map(behind, before, lambda s, digit: (s > 9) | ((s == 9) & (digit == 0)))
    digit = seq_map(here, carry, lambda s, c: (s + c) % 10)
    first = index_select(x, full(x, 1))
    following = where(seq_map(before, first, equal), full(x, END), tok_map(before, lambda hint: hint - 1))
    return where(_is(x, EQUALS), hint_before, where(_is_hint(x), digit, following))


def addition_forward(x: Seq) -> Seq:
    """Most significant place first: a carry comes from the nearest later place whose pair sum is not 9, if it is above 9."""
    key, total = _pair_sums(x)
    before = shift_right(x, 1, NOTHING)
    open_ = where(seq_map(key, total, lambda hint, s: (hint >= FIRST_HINT) & (s != 9)), key, full(x, NOTHING))
    nearest = kqv(open_, x, open_, operator.gt, NOTHING - 1, "min")  # with no later place: a key that nothing has
    carry = tok_map(kqv(key, nearest, total, equal), lambda s: s > 9)
    digit = seq_map(kqv(key, x, total, equal), carry, lambda s, c: (s + c) % 10)
    last = index_select(x, moved(firsts(x, full(x, EQUALS)), -2))
    following = where(seq_map(before, last, equal), full(x, END), tok_map(before, lambda hint: hint + 1))
    return where(_is(x, EQUALS), index_select(x, full(x, 1)), where(_is_hint(x), digit, following))


def parity_by_modulo(x: Seq) -> Seq:
    """A count modulo 2: what RASP-L does not allow."""
    return _at_separator(x, tok_map(cumsum(_is(x, 1)), lambda c: c % 2))


def copy_by_position(x: Seq) -> Seq:
    """Repeat copy by index arithmetic: what RASP-L does not allow."""
    start = kqv(x, full(x, SEPARATOR), indices(x), equal, 0, "max")
    return index_select(x, seq_map(indices(x), start, lambda i, s: i - s + 1))


PROGRAMS: dict[str, Program] = {
    name: Program(name=name, build=build, eos=END, doc=build.__doc__ or "")
    for name, build in {
        "count": count, "mode": most_frequent, "majority": majority, "and": conjunction, "unique_copy": unique_copy, "sort": sort, "parity_scratchpad": parity_with_scratchpad,
        "addition_hints_reversed": addition_reversed, "addition_hints": addition_forward,
    }.items()
}  # fmt: skip
"""Task -> its program."""
REJECTED: dict[str, Program] = {
    name: Program(name=name, build=build, eos=END, doc=build.__doc__ or "")
    for name, build in {"parity": parity_by_modulo, "repeat_copy": copy_by_position}.items()
}
"""Tasks whose obvious program the checker rejects."""
