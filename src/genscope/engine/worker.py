"""A worker: reads one JSON line a cell from stdin, computes it, leaves its records in the store, and answers with one JSON line.

Started as `python -m genscope worker`; one thread for PyTorch and the numerical libraries.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import asdict
from importlib import import_module
from typing import Any, TextIO

from genscope.core.errors import GenscopeError
from genscope.core.store import Store
from genscope.engine.cells import code_hash
from genscope.engine.lab import Lab
from genscope.engine.study import Cell, Study


def load(where: str) -> Study:
    """The study at "module:Class"."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)()


def compute(where: str, plain: dict[str, Any], key: str, fresh: bool) -> dict[str, Any]:
    """Run one cell and keep its records; what to say of it."""
    began = time.perf_counter()
    study = load(where)
    cell = Cell(**{**plain, "arms": tuple(plain["arms"])})
    store = Store.open()
    try:
        _one_thread()
        code = code_hash(where.partition(":")[0])
        records = [asdict(record) for record in study.run(cell, Lab(store, code, fresh))]
        seconds = time.perf_counter() - began
        store.put(key, {"records": records, "seconds": round(seconds, 3)})
        return {"key": key, "seconds": seconds, "error": ""}
    except GenscopeError as error:
        return {"key": key, "seconds": time.perf_counter() - began, "error": f"{type(error).__name__}: {error}"}
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "key": key,
            "seconds": time.perf_counter() - began,
            "error": f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})",
        }


def _one_thread() -> None:
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def serve(lines: TextIO, answers: TextIO) -> None:
    """Compute cells until the input ends."""
    for line in lines:
        order = json.loads(line)
        answers.write(json.dumps(compute(order["study"], order["cell"], order["key"], order["fresh"])) + "\n")
        answers.flush()


def main() -> None:
    """Serve stdin; whatever libraries print goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin, answers)
