"""Running a study: cells in worker processes, found again in the store after any interruption."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from genscope.core.errors import StudyError
from genscope.core.progress import Advance, Progress
from genscope.core.records import Record, records_frame
from genscope.core.store import Store
from genscope.engine.cells import cell_key, code_hash
from genscope.engine.study import Cell, Study

if TYPE_CHECKING:
    import polars as pl

PREFLIGHT_SEEDS = 3


@dataclass(slots=True)
class Done:
    """What a run left: a record frame (one row for each arm that a cell counts in), failed cells with their cause, and how many cells were computed now."""

    records: pl.DataFrame
    failed: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    seconds: float = 0.0


def where_is(study: Study) -> str:
    """ "module:Class" of a study."""
    return f"{type(study).__module__}:{type(study).__qualname__}"


def run_cells(
    study: Study,
    cells: Sequence[Cell],
    store: Store,
    *,
    workers: int,
    fresh: bool,
    progress: Progress,
    between: Callable[[pl.DataFrame], None] | None = None,
) -> Done:
    """Compute what is not in the store and collect the records of all. `between` sees the records of the first three seeds before the others start."""
    code = code_hash(type(study).__module__)
    keys = {cell.title: cell_key(store, study, cell, code) for cell in cells}
    missing = [cell for cell in cells if fresh or store.get(keys[cell.title]) is None]
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    first = set(seeds[:PREFLIGHT_SEEDS])
    failed: dict[str, str] = {}
    with progress.work(f"{study.name}: cells", len(cells), len(cells) - len(missing)) as advance:
        _compute(study, [cell for cell in missing if cell.seed in first], keys, workers, fresh, failed, advance)
        if between is not None and len(seeds) > PREFLIGHT_SEEDS:
            between(_collect(study, [cell for cell in cells if cell.seed in first], keys, store, failed)[0])
        _compute(study, [cell for cell in missing if cell.seed not in first], keys, workers, fresh, failed, advance)
    records, seconds = _collect(study, cells, keys, store, failed)
    return Done(records=records, failed=failed, computed=len(missing) - len(failed), seconds=seconds)


def _compute(
    study: Study, cells: Sequence[Cell], keys: dict[str, str], workers: int, fresh: bool, failed: dict[str, str], advance: Advance
) -> None:
    waiting: queue.Queue[Cell] = queue.Queue()
    for cell in cells:
        waiting.put(cell)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_drive, args=(study, waiting, keys, fresh, failed, advance, stop), daemon=True)
        for _ in range(min(workers, len(cells)))
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except BaseException:
        stop.set()
        raise


def _drive(
    study: Study,
    waiting: queue.Queue[Cell],
    keys: dict[str, str],
    fresh: bool,
    failed: dict[str, str],
    advance: Advance,
    stop: threading.Event,
) -> None:
    """Feed one worker process; a worker that dies fails its cell and is replaced."""
    worker: subprocess.Popen[str] | None = None
    try:
        while not stop.is_set():
            try:
                cell = waiting.get_nowait()
            except queue.Empty:
                return
            worker = worker or _start()
            answer = _ask(worker, {"study": where_is(study), "cell": asdict(cell), "key": keys[cell.title], "fresh": fresh})
            if answer is None:
                failed[cell.title] = f"its worker process ended with code {_end(worker)} (killed, or out of memory)"
                worker = None
            elif answer["error"]:
                failed[cell.title] = answer["error"]
            advance(1)
    finally:
        if worker is not None:
            _end(worker)


def _start() -> subprocess.Popen[str]:
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "genscope", "worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **single}
    )  # fmt: skip


def _end(worker: subprocess.Popen[str]) -> int:
    """End a worker and free its pipes; the code that it ended with."""
    if worker.stdin is not None and worker.stdout is not None:
        with contextlib.suppress(OSError):
            worker.stdin.close()
        worker.stdout.close()
    try:
        return worker.wait(1)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _ask(worker: subprocess.Popen[str], order: dict[str, Any]) -> dict[str, Any] | None:
    if worker.stdin is None or worker.stdout is None:
        return None
    try:
        worker.stdin.write(json.dumps(order) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        return json.loads(line) if line else None
    except (OSError, ValueError):
        return None


def _collect(study: Study, cells: Sequence[Cell], keys: dict[str, str], store: Store, failed: dict[str, str]) -> tuple[pl.DataFrame, float]:
    import polars as pl

    rows, seconds = [], 0.0
    for cell in cells:
        if cell.title in failed:
            continue
        held = store.get(keys[cell.title])
        if held is None:
            failed[cell.title] = "not in the store after its run"
            continue
        seconds += held["seconds"]
        rows += [
            Record(**{**record, "arm": arm, "seed": cell.seed, "source": f"study/{study.name}/{cell.part}"})
            for arm in cell.arms
            for record in held["records"]
        ]
    frame = records_frame(rows)
    return frame.with_columns(part=pl.col("source").str.split("/").list.get(2, null_on_oob=True)), seconds


def refuse_overlap(study: Study, scale: Any) -> None:
    """StudyError when the study's splits share examples, with the count."""
    shared = {name: count for name, count in study.certify(scale).items() if count}
    if shared:
        said = ", ".join(f"{name}: {count:,}" for name, count in shared.items())
        raise StudyError(f"{study.name}: training and test splits share examples ({said}). A study with a leak is not run; mend its data")
