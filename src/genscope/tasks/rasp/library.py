"""The library: what programs are written with. Everything is causal; "so far" means at positions <= i."""

from __future__ import annotations

import operator

from genscope.tasks.rasp.core import (
    Seq,
    aggr,
    anything,
    either,
    full,
    indices,
    keep_if,
    keep_unless,
    kqv,
    predecessor,
    sel_width,
    select,
    seq_map,
    successor,
    tok_map,
)

equal = operator.eq


def moved(x: Seq, n: int) -> Seq:
    """Positions or counts plus n: |n| times the successor or predecessor."""
    for _ in range(abs(n)):
        x = tok_map(x, successor if n > 0 else predecessor)
    return x


def shift_right(x: Seq, n: int, default: int = 0) -> Seq:
    """x[i - n], `default` for i < n."""
    return kqv(moved(indices(x), n), indices(x), x, equal, default)


def cumsum(b: Seq) -> Seq:
    """How many b are true so far (inclusive)."""
    return sel_width(select(b, full(b, 1), equal))


def where(c: Seq, a: Seq, b: Seq) -> Seq:
    """a where c is true, else b."""
    return seq_map(seq_map(b, c, keep_unless), seq_map(a, c, keep_if), either)


def mask(x: Seq, m: Seq, v: int) -> Seq:
    """x where m is true, else the constant v."""
    return where(m, x, full(x, v))


def maximum(x: Seq) -> Seq:
    """Running maximum."""
    return aggr(select(x, x, anything), x, reduction="max")


def minimum(x: Seq) -> Seq:
    """Running minimum."""
    return aggr(select(x, x, anything), x, reduction="min")


def argmax(x: Seq) -> Seq:
    """The last position so far at which the running maximum is attained."""
    return kqv(x, maximum(x), indices(x), equal, reduction="max")


def argmin(x: Seq) -> Seq:
    """The last position so far at which the running minimum is attained."""
    return kqv(x, minimum(x), indices(x), equal, reduction="max")


def num_prev(x: Seq, q: Seq) -> Seq:
    """How many x so far equal q_i."""
    return sel_width(select(x, q, equal))


def has_seen(x: Seq, q: Seq) -> Seq:
    """1 if some x so far equals q_i, else 0."""
    return kqv(x, q, full(x, 1), equal, 0)


def firsts(x: Seq, q: Seq, default: int = -1) -> Seq:
    """The first position so far at which x equals q_i."""
    return kqv(x, q, indices(x), equal, default, "min")


def lasts(x: Seq, q: Seq, default: int = -1) -> Seq:
    """The last position so far at which x equals q_i."""
    return kqv(x, q, indices(x), equal, default, "max")


def index_select(x: Seq, idx: Seq, default: int = 0) -> Seq:
    """x[idx_i] if 0 <= idx_i <= i, else `default`."""
    return kqv(indices(x), idx, x, equal, default)


def first_true(x: Seq, default: int = -1) -> Seq:
    """The position of the first true so far."""
    return firsts(x, full(x, 1), default)


def mode(x: Seq) -> Seq:
    """The most frequent token so far; of several the one that reached that count last."""
    return index_select(x, argmax(num_prev(x, x)))


def binary_mode(x: Seq) -> Seq:
    """1 if ones strictly outnumber zeros so far, else 0."""
    return seq_map(num_prev(x, full(x, 1)), num_prev(x, full(x, 0)), operator.gt)


def induct(k: Seq, q: Seq, offset: int, default: int = 0, null: int = -1) -> Seq:
    """The value of k, `offset` (>= 0) places after its first place that equals q_i; `default` if there is none so far."""
    return index_select(k, firsts(shift_right(k, offset, null), q), default)


def induct_prev(k: Seq, q: Seq, offset: int, default: int = 0) -> Seq:
    """The value of k, -`offset` places before its first place that equals q_i; `default` if there is none."""
    return index_select(k, moved(firsts(k, q, -1), offset), default)
