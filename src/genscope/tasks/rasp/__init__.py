"""RASP-L: a small causal sequence language in which one Transformer can run every program (Zhou et al. 2024, arXiv 2310.16028).

`core`: the language and its checker; `library`: what programs are written with; `programs`: the tasks' solutions; `size`: how short a program is.
"""

from genscope.tasks.rasp.core import Program, Seq, aggr, full, indices, kqv, sel_width, select, seq_map, tok_map
from genscope.tasks.rasp.machine import decode, run
from genscope.tasks.rasp.size import Size, size

__all__ = ["Program", "Seq", "Size", "aggr", "decode", "full", "indices", "kqv", "run", "sel_width", "select", "seq_map", "size", "tok_map"]
