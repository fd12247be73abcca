"""How short a program is. The paper says "short" without a number; ours is stated with every result.

ops: core operations after the library is inlined, each counted as often as it is written (a node of the program's tree); attn: distinct selects;
depth: the longest chain of selects, the attention layers that are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from genscope.tasks.rasp.core import Program, Seq


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Size of a program."""

    ops: int
    attn: int
    depth: int


def size(program: Program) -> Size:
    """Size of a program; raises what the checker says."""
    counts: dict[int, int] = {}
    depths: dict[int, int] = {}
    forms: dict[int, int] = {}
    known: dict[tuple[object, ...], int] = {}  # equal operations on equal parts have one number
    selects: set[int] = set()

    def visit(node: Seq) -> None:
        if id(node) in counts:
            return
        for part in node.parts:
            visit(part)
        # a tree counts a shared part each time it is used
        counts[id(node)] = int(node.op != "input") + sum(counts[id(part)] for part in node.parts)
        depths[id(node)] = max((depths[id(part)] for part in node.parts), default=0) + (node.op == "select")
        form = (node.op, *(forms[id(part)] for part in node.parts), node.function, node.constant, node.reduction, node.causal)
        forms[id(node)] = known.setdefault(form, len(known))
        if node.op == "select":
            selects.add(forms[id(node)])

    out = program.graph()
    visit(out)
    return Size(ops=counts[id(out)], attn=len(selects), depth=depths[id(out)])
