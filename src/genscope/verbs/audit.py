"""`genscope audit DATA`: how hard is this data set, what repeats, leaks, conflicts or shortcuts, which examples are easy or hard?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import digest
from genscope.core.code import source_hash
from genscope.core.errors import UsageError, unknown
from genscope.core.progress import Progress
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.sections.audit_kept import keep, kept
from genscope.sections.audit_section import AuditLab, AuditOutcome, AuditSection
from genscope.sections.choose import parse_with
from genscope.sections.choose_audit import choose, settings
from genscope.tasks.dataset import Dataset, read

if TYPE_CHECKING:
    from genscope.verbs.audit_result import AuditResult

DEFAULT_OUT = Path("genscope-runs")
KINDS = (
    "leak",
    "conflict",
    "duplicate",
    "near_duplicate",
    "repeat",
    "shortcut",
    "imbalance",
    "bad",
    "mislabel",
    "difficulty",
    "generalization",
)
"""Kinds of findings that `--fail-on` knows beside the sections' names."""
COUNTED = ("genscope.sections", "genscope.measures", "genscope.tasks", "genscope.models", "genscope.training")
"""Packages whose code can change what a section finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDryRun:
    """What an audit would do: the data as it was read, and each section with its cost, or why it does not run."""

    data: Dataset
    sections: tuple[AuditSection, ...]
    left: Mapping[str, str]

    def plain(self) -> dict[str, Any]:
        """As plain JSON."""
        costs = {one.name: one.cost(self.data) for one in self.sections}
        return {
            "dry_run": True, **described(self.data),
            "sections": {name: {"passes": cost.passes, "seconds": round(cost.seconds, 1), "memory_mb": round(cost.memory / 1e6, 1)} for name, cost in costs.items()},
            "not_run": dict(self.left), "minutes": round(sum(cost.seconds for cost in costs.values()) / 60, 2),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What the user asked for beside the data: sections and their settings, kinds that make the command fail, and whether texts may be shown."""

    with_: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()
    show_text: bool = False


def audit(
    source: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    split: str | None = None,
    id: str | None = None,
    group: str | None = None,
    solver: str | None = None,
    item: str | None = None,
    correct: str | None = None,
    count: str | None = None,
    header: str = "auto",
    longest_line: int | None = None,
    with_: Sequence[str] = (),
    without: Sequence[str] = (),
    fail_on: Sequence[str] = (),
    show_text: bool = False,
    fix: bool = False,
    out: str | Path | None = None,
    fresh: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> AuditResult | AuditDryRun:
    """Audit a data set and write a result folder: page, findings, records, flagged rows.

    source: a path (JSONL, CSV, Parquet, NPZ, IDX, image folder, data set folder), a polars or pandas frame, a Hugging Face Dataset, arrays (x, y); text ... count: the
    column of each role, guessed where None, "none" for no such role (`text` may name several by commas); header: of CSV files, "auto", "yes" or "no"; longest_line: bytes of a
    record that are read at most; with_, without: sections, as "NAME:key=value,..."; fail_on: kinds of findings or sections that make `code` 1; show_text: put texts of the data
    into examples; fix: write a cleaned copy beside the original, and a list of what it leaves out; fresh: ignore the store. The source is never changed.
    """
    from genscope.verbs.audit_result import write
    from genscope.verbs.result_folder import check_out

    check_out(out)
    named = {role: column for role, column in (("text", text), ("label", label), ("split", split), ("id", id), ("group", group), ("solver", solver), ("item", item), ("correct", correct), ("count", count)) if column is not None}  # fmt: skip
    if header not in ("auto", "yes", "no"):
        raise UsageError(unknown("header", header, ("auto", "yes", "no")))
    plan = AuditPlan(with_=parse_with(with_), without=tuple(without), fail_on=tuple(fail_on), show_text=show_text)
    _check_fail_on(plan)
    began, machine_seconds = time.time(), time.process_time()
    data = read(source, named, header=header, longest=longest_line)
    sections, left = choose(data, plan.with_, plan.without)
    options = {one.name: settings(one, plan.with_.get(one.name, {})) for one in sections}
    if dry_run:
        return AuditDryRun(data=data, sections=tuple(sections), left=left)
    target = None
    if fix:
        from genscope.tasks.dataset.clean import clean_name

        target = clean_name(data)
    shown, store = progress or Progress(), Store.open()
    outcomes, computed, seconds = {}, 0, {}
    with shown.work("audit", len(sections)) as advance:
        for one in sections:
            start = time.perf_counter()
            outcomes[one.name], new = _run(one, data, options[one.name], store, fresh, shown)
            computed, seconds[one.name] = computed + new, round(time.perf_counter() - start, 3)
            advance(1)
    folder = Path(out).expanduser() if out else DEFAULT_OUT / folder_name(data, options)
    about = {
        "kind": "audit",
        "genscope": _version(),
        "data": described(data),
        "options": options,
        "not_run": left,
        "fail_on": list(plan.fail_on),
        "show_text": show_text,
    }
    run = {
        "began": began,
        "seconds": seconds,
        "sections_computed": computed,
        "cpu_seconds": round(time.process_time() - machine_seconds, 3),
        "damaged_store_files": len(store.damaged),
    }
    return write(folder, data, about, sections, outcomes, {**run, "wall_seconds": round(time.time() - began, 3)}, target)


def _run(
    one: AuditSection, data: Dataset, options: Mapping[str, str], store: Store, fresh: bool, progress: Progress
) -> tuple[AuditOutcome, int]:
    key = store.key(
        "audit section", [one.name, one.version, data.identity, dict(data.roles), dict(options), source_hash(type(one).__module__, COUNTED)]
    )
    held = None if fresh else kept(store, key)
    if held is not None:
        return held, 0
    outcome = one.run(AuditLab(data=data, options=options, seed=Seed("audit", one.name), progress=progress))
    keep(store, key, outcome)
    # read back, so that the first page is made of the same bytes as every later one
    return kept(store, key) or outcome, 1


def _check_fail_on(plan: AuditPlan) -> None:
    from genscope.sections.choose_audit import table

    known = [*KINDS, *table()]
    for name in plan.fail_on:
        if name not in known:
            raise UsageError("--fail-on: " + unknown("kind of finding", name, known))


def described(data: Dataset) -> dict[str, Any]:
    """The data as it was read, for the page and result.json."""
    return {
        "name": data.name, "kind": data.kind, "form": data.form, "rows": data.rows, "bytes": data.size, "source": data.source.name if data.source else "a frame in memory",
        "columns": dict(data.columns), "roles": dict(data.roles), "guessed": sorted(data.guessed),
        "faults": [{"kind": one.kind, "what": one.what, "count": one.count, "rows": list(one.rows), "advice": one.advice} for one in data.faults],
    }  # fmt: skip


def folder_name(data: Dataset, options: Mapping[str, Any]) -> str:
    """Name of the default result folder: the same command always means the same folder."""
    slug = "".join(c if c.isalnum() or c in "._" else "-" for c in data.name)[-60:].strip("-.")
    return f"audit-{slug}-{digest([str(data.source), dict(data.roles), dict(options)], size=4)}"


def _version() -> str:
    from genscope import __version__

    return __version__
