"""Running a study: cells carried out by an executor's workers, found again in the store after any interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from genscope.core.errors import StoreError, StudyError
from genscope.core.progress import Advance, Progress
from genscope.core.records import Record, records_frame
from genscope.core.store import Store
from genscope.engine.cells import cell_key, code_hash
from genscope.engine.executor import Executor
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
    executor: Executor,
    fresh: bool,
    progress: Progress,
    between: Callable[[pl.DataFrame], None] | None = None,
) -> Done:
    """Compute what is not in the store and collect the records of all. The first three seeds come first, and `between` sees their records as soon as they are
    there; the workers do not wait for it.
    """
    code = code_hash(type(study).__module__)
    keys = {cell.title: cell_key(store, study, cell, code) for cell in cells}
    missing = [cell for cell in cells if fresh or store.get(keys[cell.title]) is None]
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    first = [cell for cell in cells if cell.seed in seeds[:PREFLIGHT_SEEDS]]
    missing.sort(key=lambda cell: cell.seed not in seeds[:PREFLIGHT_SEEDS])
    failed: dict[str, str] = {}
    awaited = {keys[cell.title] for cell in missing} & {keys[cell.title] for cell in first}
    look = between if len(seeds) > PREFLIGHT_SEEDS else None
    if look is not None and not awaited:
        look(_collect(study, first, keys, store, dict(failed))[0])

    def done(key: str) -> None:
        if key in awaited:
            awaited.remove(key)
            if look is not None and not awaited:
                look(_collect(study, first, keys, store, dict(failed))[0])

    with progress.work(f"{study.name}: cells", len(cells), len(cells) - len(missing)) as advance:
        computed = _compute(study, missing, keys, executor, uuid4().hex if fresh else "", failed, advance, done)
    records, seconds = _collect(study, cells, keys, store, failed)
    return Done(records=records, failed=failed, computed=computed, seconds=seconds)


def _compute(
    study: Study, cells: Sequence[Cell], keys: dict[str, str], executor: Executor, fresh: str, failed: dict[str, str], advance: Advance, done: Callable[[str], None]
) -> int:  # fmt: skip
    """Have cells computed; how many were. A store that cannot be written ends the run: what the other cells would find could not be kept either."""
    titles = {keys[cell.title]: cell.title for cell in cells}
    orders = ({"do": "cell", "study": where_is(study), "cell": asdict(cell), "key": keys[cell.title], "fresh": fresh} for cell in cells)
    computed = 0
    with closing(executor.run(orders)) as answers:
        for order, answer in answers:
            if answer["kind"] == StoreError.__name__:
                raise StoreError(answer["error"].removeprefix(f"{StoreError.__name__}: "))
            if answer["error"]:
                failed[titles[order["key"]]] = answer["error"]
            computed += bool(answer.get("computed"))
            advance(1)
            done(order["key"])
    return computed


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
