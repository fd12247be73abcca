"""Publishing verdicts: `results/STUDY-MODEL.json` of a checkout, with guards, so that the board is made by commands and never by hand."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genscope.core.errors import UsageError
from genscope.core.store import write_whole
from genscope.engine.study import Study

PUBLISHED_SCALES = ("standard", "extended", "paper")


def check_before(study: Study, file: str, scale: str, seeds: Sequence[int], again: bool) -> Path:
    """Where the verdicts will go (results/FILE.json); UsageError when they may not be published: no checkout, a dirty tree, other seeds, smoke scale, or there already."""
    root = _git("rev-parse", "--show-toplevel")
    if root is None or not (Path(root) / "src" / "genscope").is_dir():
        raise UsageError("--publish writes to results/ of a genscope checkout; run it from one")
    if _git("status", "--porcelain", "--untracked-files=no"):
        raise UsageError(
            "--publish: the tree has changes that are not committed; the verdict would belong to no version. Commit or stash them"
        )
    if scale not in PUBLISHED_SCALES:
        raise UsageError(
            f"--publish: scale must be one of {', '.join(PUBLISHED_SCALES)}; got {scale!r} (smoke is too little for a verdict)"
        )
    if tuple(seeds) != study.seeds:
        raise UsageError(f"--publish: seeds must be the study's fixed list {list(study.seeds)}, got {list(seeds)}")
    path = Path(root) / "results" / f"{file}.json"
    if path.exists() and not again:
        raise UsageError(f'{path.name} is there already. Add --again to replace its verdicts; the former ones are kept under "earlier"')
    return path


def profile_file(study: str, model: str) -> str:
    """Name of the result file of a study's claims on a model, without ending."""
    return f"{study}-{re.sub(r'[^A-Za-z0-9._]+', '-', model).strip('-')}"


def check_study(study: Study, scale: str, seeds: Sequence[int] | None, parts: Sequence[str] | None, again: bool) -> Path:
    """As `check_before`, for a study's own file; all parts must be run."""
    if parts is not None and set(parts) != set(study.own_parts()):
        raise UsageError(
            f"--publish: all parts are published together ({', '.join(study.own_parts())}); got {', '.join(parts)}. Finished cells are not computed again"
        )
    return check_before(study, study.name, scale, study.seeds if seeds is None else seeds, again)


def publish_profile(study: Study, folder: Path) -> Path:
    """Write the verdicts of a profile's result folder in the board's form, with its records beside them; returns the path."""
    about = json.loads((folder / "result.json").read_text("utf-8"))
    plan, section = about["plan"], about["sections"][study.name]
    path = check_before(study, profile_file(study.name, about["model"]["name"]), plan["scale"], plan["seeds"], again=True)
    own = {
        "model": {name: about["model"][name] for name in ("name", "sentence", "parameters", "identity")}, "headline": about["headline"],
        "scale": plan["scale"], "seeds": plan["seeds"], "claims": section["claims"], "deviations": section["notes"], "settings": section["facts"],
    }  # fmt: skip
    return _write(study, path, folder, own)


def publish_study(study: Study, about: Mapping[str, Any], folder: Path) -> Path:
    """Write a study's verdicts, with its records beside them; returns the path. Refuses a run with failed cells or missing data."""
    if about["failed"] or about["not_run"]:
        lost = [*about["failed"], *(f"part {one['part']}" for one in about["not_run"])]
        raise UsageError(
            f"--publish: {len(lost)} of the study's cells or parts were not computed ({'; '.join(lost[:3])}); nothing was published"
        )
    path = check_study(study, about["scale"], about["seeds"], about["parts"], again=True)
    own = {name: about[name] for name in ("headline", "scale", "seeds", "parts", "claims", "power", "code")}
    return _write(study, path, folder, {**own, "deviations": list(study.deviations)})


def _write(study: Study, path: Path, folder: Path, own: Mapping[str, Any]) -> Path:
    records, run = path.with_suffix(".records.parquet"), json.loads((folder / "run.json").read_text("utf-8"))
    held = (folder / "records.parquet").read_bytes()
    write_whole(records, held)
    entry: dict[str, Any] = {
        "study": study.name, **own, "records": {"file": records.name, "sha256": hashlib.sha256(held).hexdigest()}, "calibration": study.calibration,
        "versions": {**_versions(), "commit": _git("rev-parse", "HEAD") or ""}, "wall_seconds": run["wall_seconds"], "cpu_seconds": run["cpu_seconds"],
    }  # fmt: skip
    if path.exists():
        former = json.loads(path.read_text())
        entry["earlier"] = [*former.pop("earlier", []), former]
    write_whole(path, (json.dumps(entry, indent=2, ensure_ascii=False) + "\n").encode())
    return path


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {}
    for name in ("genscope", "torch", "transformers", "numpy", "scipy", "polars"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
