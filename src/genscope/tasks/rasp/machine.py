"""Running programs: batched over sequences, and, because programs are causal, one new position at a time when they decode.

Nothing that was computed at a position changes when the sequence grows, so a step costs O(n) for each attention, not O(n^2).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from genscope.core.errors import TaskError
from genscope.tasks.rasp.core import Program, Seq

# B sequences, N positions, P positions computed now
LOW, HIGH = -128, 127
"""Range of a token under `int8=True`."""


class Machine:
    """A program at work on a batch of sequences, which can be extended."""

    def __init__(self, program: Program, batch: int, capacity: int, *, int8: bool = False) -> None:
        self._program, self._out, self._int8 = program, program.graph(), int8
        self._order = _sorted(self._out)
        self._values = {id(node): np.zeros((batch, capacity), np.int64) for node in self._order if node.kind != "selection"}
        self.length, self._decodes = 0, all(node.causal for node in self._order)

    def extend(self, tokens_BP: Int[np.ndarray, "B P"]) -> Int[np.ndarray, "B P"]:
        """Append tokens; the program's output at their positions."""
        start, end = self.length, self.length + tokens_BP.shape[1]
        if start and not self._decodes:
            raise TaskError(f"program {self._program.name}: a select without causal mask cannot be run one position at a time")
        chosen: dict[int, np.ndarray] = {}
        for node in self._order:
            if node.kind == "selection":
                chosen[id(node)] = self._select(node, start, end)
            else:
                self._values[id(node)][:, start:end] = tokens_BP if node.op == "input" else self._compute(node, start, end, chosen)
            if self._int8 and node.kind == "tok":
                self._refuse_overflow(node, start, end)
        self.length = end
        return self._values[id(self._out)][:, start:end]

    def _of(self, node: Seq, start: int, end: int) -> np.ndarray:
        return self._values[id(node)][:, start:end]

    def _select(self, node: Seq, start: int, end: int) -> np.ndarray:
        k, q = node.parts
        keys_BN, queries_BP = self._of(k, 0, end), self._of(q, start, end)
        found = np.asarray(node.function(keys_BN[:, None, :], queries_BP[:, :, None]), bool)  # pyright: ignore[reportOptionalCall]
        found = np.broadcast_to(found, (len(keys_BN), end - start, end))
        return found & (np.arange(end)[None, :] <= np.arange(start, end)[:, None]) if node.causal else found

    def _compute(self, node: Seq, start: int, end: int, chosen: dict[int, np.ndarray]) -> np.ndarray:
        if node.op == "full":
            return np.full((len(self._of(node.parts[0], 0, 1)), end - start), node.constant)
        if node.op == "indices":
            return np.broadcast_to(np.arange(start, end), (len(self._of(node.parts[0], 0, 1)), end - start))
        if node.op in ("tok_map", "seq_map"):
            return np.asarray(node.function(*(self._of(part, start, end) for part in node.parts)), np.int64)  # pyright: ignore[reportOptionalCall]
        picked_BPN = chosen[id(node.parts[0])]
        if node.op == "sel_width":
            return picked_BPN.sum(-1)
        return _aggregate(node, picked_BPN, self._of(node.parts[1], 0, end))

    def _refuse_overflow(self, node: Seq, start: int, end: int) -> None:
        values = self._of(node, start, end)
        if values.min(initial=0) < LOW or values.max(initial=0) > HIGH:
            wrong = values[(values < LOW) | (values > HIGH)][0]
            raise TaskError(f"program {self._program.name}: {node.op} gave {wrong}; a token is an 8-bit integer, {LOW} to {HIGH}")


def _aggregate(node: Seq, picked_BPN: np.ndarray, v_BN: np.ndarray) -> np.ndarray:
    width = picked_BPN.sum(-1)
    if node.reduction == "mean":
        total = np.matmul(picked_BPN.astype(np.float64), v_BN.astype(np.float64)[:, :, None])[:, :, 0]
        found = np.trunc(total / np.maximum(width, 1)).astype(np.int64)
    else:
        worst = np.iinfo(np.int64).min if node.reduction == "max" else np.iinfo(np.int64).max
        held = np.where(picked_BPN, v_BN[:, None, :], worst)
        found = held.max(-1) if node.reduction == "max" else held.min(-1)
    return np.where(width == 0, node.constant, found)


def run(program: Program, x: Int[np.ndarray, "B N"], *, int8: bool = False) -> Int[np.ndarray, "B N"]:
    """The program's output at every position of every sequence."""
    tokens = np.atleast_2d(np.asarray(x, np.int64))
    return Machine(program, len(tokens), tokens.shape[1], int8=int8).extend(tokens)


def decode(program: Program, prompts: Int[np.ndarray, "B N"], max_steps: int, *, int8: bool = False) -> list[list[int]]:
    """Greedy decoding of prompts of one length: append the last output until the program's end token, which is part of the answer.

    TaskError when some sequence has not ended after max_steps.
    """
    if program.eos is None:
        raise TaskError(f"program {program.name} has no end token; it cannot be decoded")
    prompts = np.atleast_2d(np.asarray(prompts, np.int64))
    machine = Machine(program, len(prompts), prompts.shape[1] + max_steps, int8=int8)
    last, made = machine.extend(prompts)[:, -1:], []
    ended = np.zeros(len(prompts), bool)
    for step in range(max_steps):
        made.append(last[:, 0].copy())
        ended |= last[:, 0] == program.eos
        if ended.all():
            break
        if step < max_steps - 1:
            last = machine.extend(last)
    if not ended.all():
        raise TaskError(
            f"program {program.name}: {int((~ended).sum())} of {len(ended)} sequences had no end token {program.eos} after {max_steps} steps"
        )
    answers = np.stack(made, axis=1).tolist()
    return [answer[: answer.index(program.eos) + 1] for answer in answers]


def _sorted(out: Seq) -> list[Seq]:
    """The graph's nodes, each after its parts."""
    order, seen = [], set()

    def visit(node: Seq) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        for part in node.parts:
            visit(part)
        order.append(node)

    visit(out)
    return order
