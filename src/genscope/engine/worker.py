"""A worker: reads one JSON line an order, carries it out, leaves the results in the store, and answers with one JSON line.

Started as `python -m genscope worker` on this machine; a Ray task or a Slurm job calls `compute_line`. One thread for PyTorch and the
numerical libraries.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

from genscope.core.errors import GenscopeError, StudyError
from genscope.core.records import plain_record
from genscope.core.store import Store
from genscope.engine.cells import cell_key, code_hash
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Study

WORK = {"cell": "genscope.engine.worker:cell", "blocks": "genscope.engine.blocks:blocks"}
"""What an order may ask for -> the function that does it."""


def load(where: str) -> Study:
    """The study at "module:Class"."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)()


def compute(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order; what to say of it. An error is an answer too."""
    began = time.perf_counter()
    found: dict[str, Any] = {"error": "", "kind": ""}
    try:
        module, _, name = WORK[order["do"]].partition(":")
        found |= getattr(importlib.import_module(module), name)(order)
    except GenscopeError as error:
        found = {"error": f"{type(error).__name__}: {error}", "kind": type(error).__name__}
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        found = {"error": f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})", "kind": type(error).__name__}
    return {"key": order["key"], "seconds": time.perf_counter() - began, **found}


def compute_line(line: str) -> str:
    """`compute` from JSON to JSON."""
    return json.dumps(compute(json.loads(line)))


def cell(order: dict[str, Any]) -> dict[str, Any]:
    """Run one cell of a study and keep its records, unless they are there."""
    began = time.perf_counter()
    study, plain, store = load(order["study"]), order["cell"], Store.open()
    one = Cell(**{**plain, "arms": tuple(plain["arms"])})
    code = code_hash(order["study"].partition(":")[0])
    refuse_other_code(cell_key(store, study, one, code), order["key"])
    with once(store, order["key"], order["fresh"]) as missing:
        if missing:
            _one_thread()
            records = [plain_record(record) for record in study.run(one, Lab(store, code, bool(order["fresh"])))]
            store.put(order["key"], {"records": records, "seconds": round(time.perf_counter() - began, 3)})
    return {"computed": missing}


@contextmanager
def once(store: Store, key: str, fresh: str) -> Iterator[bool]:
    """Hold `key` alone; True when its value is to be computed now. fresh: empty, or the name of a run that counts only what it computed itself, so that
    work that is done again after a node was lost is not done twice.
    """
    mark = store.key("computed by run", [fresh, key])
    with store.alone(key):
        missing = store.get(key) is None or bool(fresh and store.get(mark) is None)
        yield missing
        if missing and fresh:
            store.put(mark, True)


def refuse_other_code(here: str, asked: str) -> None:
    """StudyError when this worker's code or libraries are not those that the asker's key was made with: its numbers must not be kept under that key."""
    if here != asked:
        from genscope import __version__
        from genscope.models.weights import installed

        versions = ", ".join(
            f"{name} {number}" for name, number in installed(("numpy", "scipy", "torch", "transformers", "tokenizers", "peft")).items()
        )
        raise StudyError(
            f"this worker has other code, files or library versions than the run that asked (here: genscope {__version__}, {versions}). "
            "Install the same on every machine, and do not edit code while a run is under way"
        )


def _one_thread() -> None:
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def serve(lines: TextIO, answers: TextIO) -> None:
    """Carry out orders until the input ends."""
    for line in lines:
        answers.write(compute_line(line) + "\n")
        answers.flush()


def main() -> None:
    """Serve stdin; whatever libraries print goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin, answers)
