"""The language: a program is a graph of sequence operations, written as a Python function of its input.

Every operation maps sequences of length n to one of length n, and its value at position i depends on positions <= i only. Two kinds of value: `tok`
(tokens: any elementwise function) and `idx` (positions and counts: comparison, successor and predecessor, and choice only; no index arithmetic, which is
what makes "short program" mean something). Constants fit both. The checker works while the program is written; `unsafe` switches it off.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from genscope.core.errors import TaskError

Kind = Literal["tok", "idx", "const"]
Reduction = Literal["mean", "max", "min"]

COMPARISONS: frozenset[Any] = frozenset({operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge})


def successor(x: np.ndarray) -> np.ndarray:
    """x + 1."""
    return x + 1


def predecessor(x: np.ndarray) -> np.ndarray:
    """x - 1."""
    return x - 1


def keep_if(x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """x where the condition holds, else 0."""
    return np.where(condition, x, 0)


def keep_unless(x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """x where the condition does not hold, else 0."""
    return np.where(condition, 0, x)


def either(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y where it is not 0, else x."""
    return np.where(y == 0, x, y)


def anything(k: np.ndarray, q: np.ndarray) -> np.ndarray:
    """A predicate that is always true."""
    return np.ones(np.broadcast_shapes(k.shape, q.shape), bool)


ON_POSITIONS: frozenset[Any] = COMPARISONS | {successor, predecessor, keep_if, keep_unless, either, anything}
"""Functions that may be applied to positions and counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Seq:
    """A sequence in a program: the operation that makes it, and what it is made of. op: input, full, indices, tok_map, seq_map, select, sel_width or aggr."""

    op: str
    parts: tuple[Seq, ...] = ()
    kind: Kind | Literal["selection"] = "tok"
    function: Callable[..., Any] | None = None
    constant: int = 0
    reduction: Reduction = "mean"
    causal: bool = True
    unsafe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A named program. build: the graph from its input; eos: the token that ends decoding (None: run on whole sequences only)."""

    name: str
    build: Callable[[Seq], Seq]
    eos: int | None = None
    unsafe: bool = False
    doc: str = field(default="")

    def graph(self) -> Seq:
        """The program as a graph; TaskError when the checker rejects it."""
        out = self.build(Seq("input", unsafe=self.unsafe))
        if out.kind == "selection":
            raise TaskError(f"program {self.name}: its result is a selection; aggregate it")
        return out


def full(x: Seq, c: int) -> Seq:
    """The constant c, at the length of x."""
    return Seq("full", (x,), "const", constant=c, unsafe=x.unsafe)


def indices(x: Seq) -> Seq:
    """0 .. n - 1."""
    return Seq("indices", (x,), "idx", unsafe=x.unsafe)


def tok_map(x: Seq, f: Callable[..., Any]) -> Seq:
    """f of every value."""
    _check("tok_map", f, x)
    return Seq("tok_map", (x,), _kind_after(f, x), f, unsafe=x.unsafe)


def seq_map(x: Seq, y: Seq, f: Callable[..., Any]) -> Seq:
    """f(x_i, y_i) at every position."""
    _check("seq_map", f, x, y)
    return Seq("seq_map", (x, y), _kind_after(f, x, y), f, unsafe=x.unsafe or y.unsafe)


def select(k: Seq, q: Seq, pred: Callable[..., Any], causal: bool = True) -> Seq:
    """A[i, j] = pred(k_j, q_i) for j <= i: the predicate takes (key, query) in that order. With causal=False no mask (not in programs that decode)."""
    _check("select", pred, k, q)
    return Seq("select", (k, q), "selection", pred, causal=causal, unsafe=k.unsafe or q.unsafe)


def sel_width(a: Seq) -> Seq:
    """Number of selected keys of each query."""
    _selection("sel_width", a)
    return Seq("sel_width", (a,), "idx", unsafe=a.unsafe)


def aggr(a: Seq, v: Seq, default: int = 0, reduction: Reduction = "mean") -> Seq:
    """The selected values of each query as one: mean (truncated toward zero), max or min; `default` where none is selected."""
    _selection("aggr", a)
    if reduction not in ("mean", "max", "min"):
        raise TaskError(f"aggr: reduction must be mean, max or min, got {reduction!r}")
    if v.kind == "selection":
        raise TaskError("aggr: its values are a selection; give a sequence")
    return Seq("aggr", (a, v), v.kind if v.kind != "const" else "tok", constant=default, reduction=reduction, unsafe=a.unsafe or v.unsafe)


def kqv(k: Seq, q: Seq, v: Seq, pred: Callable[..., Any], default: int = 0, reduction: Reduction = "mean", causal: bool = True) -> Seq:
    """aggr(select(k, q, pred), v, default, reduction): one attention head."""
    return aggr(select(k, q, pred, causal), v, default, reduction)


def _kind_after(f: Callable[..., Any], *parts: Seq) -> Kind:
    if f in COMPARISONS:
        return "tok"
    if any(part.kind == "idx" for part in parts) and f in ON_POSITIONS:
        return "idx"
    return "const" if all(part.kind == "const" for part in parts) else "tok"


def _check(op: str, f: Callable[..., Any], *parts: Seq) -> None:
    if any(part.kind == "selection" for part in parts):
        raise TaskError(f"{op}: a selection is not a sequence; use sel_width or aggr")
    if any(part.unsafe for part in parts):
        return
    kinds = {part.kind for part in parts}
    if "idx" in kinds and f not in ON_POSITIONS:
        name = getattr(f, "__name__", str(f))
        raise TaskError(
            f"{op}: {name} on positions or counts. On these only comparison, successor, predecessor and choice are allowed; index arithmetic and modulo are not (unsafe=True switches the check off)"
        )
    if kinds >= {"idx", "tok"} and f in COMPARISONS:
        raise TaskError(f"{op}: a token is compared with a position or a count; these are values of different kinds")


def _selection(op: str, a: Seq) -> None:
    if a.kind != "selection":
        raise TaskError(f"{op}: needs a selection, got a sequence of kind {a.kind}")
