"""Ray against the local workers on this machine: eight cells of at least twenty seconds each, as many at once as there are cores."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from genscope.core.card import Card
from genscope.core.progress import Progress
from genscope.core.records import Record
from genscope.core.store import Store
from genscope.engine.cells import cell_key, code_hash
from genscope.engine.executor import executor
from genscope.engine.lab import Lab
from genscope.engine.run import run_cells, where_is
from genscope.engine.study import Cell, Paper, Part, Scale, Study

SECONDS = 20.0
CELLS = 8


class Spin(Study):
    """Cells that only use the processor: each does as much work as one core does in twenty seconds here when it has nothing else to do."""

    name = "spin"
    paper = Paper(0, "0000.00000", "Nothing", 2026, "Nobody")
    question = answer = "None."
    card = Card(motivation="practical", type="robustness", shift="covariate", source="fully generated", locus="train-test")
    extra = "core"
    parts: ClassVar = {"main": Part(sentence="the only part", claims=())}
    claims = ()
    placebos: ClassVar = {}

    def cells(self, scale: Scale, seeds: Sequence[int]) -> list[Cell]:
        rounds = round(SECONDS / _seconds(200) * 200)
        return [Cell(part="main", condition="spin", seed=seed, settings={"rounds": rounds}) for seed in seeds]

    def run(self, cell: Cell, lab: Lab) -> Iterable[Record]:
        return [cell.record("sum", _spin(cell.settings["rounds"]))]


def _spin(rounds: int) -> float:
    x = np.linspace(0, 1, 100_000)
    return sum(float(np.sin(x + number).sum()) for number in range(rounds))


def _seconds(rounds: int) -> float:
    """Processor time of so many rounds: what else runs here does not count."""
    began = time.process_time()
    _spin(rounds)
    return time.process_time() - began


def cluster() -> tuple[float, float, float, float]:
    """(seconds local, seconds on Ray, seconds until Ray was ready, shortest cell in seconds) for the eight cells."""
    os.environ["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent), *sys.path))
    study = Spin()
    cells = study.cells("standard", range(CELLS))
    took, ready, shortest = {}, 0.0, float("inf")
    for on in ("local", "ray"):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["GENSCOPE_HOME"] = folder
            store = Store.open()
            place = executor(on, None if on == "ray" else os.cpu_count(), store)
            began = time.perf_counter()
            place.width  # noqa: B018  (a cluster is started, or joined)
            ready = time.perf_counter() - began
            began = time.perf_counter()
            done = run_cells(study, cells, store, executor=place, fresh=False, progress=Progress(), between=None)
            took[on] = time.perf_counter() - began
            place.close()
            if done.failed or done.computed != CELLS:
                raise RuntimeError(f"{on}: {done.failed}")
            shortest = min(shortest, *_each(study, cells, store))
    return took["local"], took["ray"], ready, shortest


def _each(study: Study, cells: Sequence[Cell], store: Store) -> list[float]:
    code = code_hash(where_is(study).partition(":")[0])
    return [(store.get(cell_key(store, study, cell, code)) or {})["seconds"] for cell in cells]
