"""Publishing verdicts: `results/STUDY-MODEL.json` of a checkout, with guards, so that the board is made by commands and never by hand."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genscope.core.errors import UsageError
from genscope.core.store import write_whole

PUBLISHED_SEEDS = {"scylla": (0,)}
"""The fixed seeds of each study's profile claims."""
CALIBRATION = {
    "scylla": "seed 999, on the number of elements that a probe prompt yields (the precondition of SCY-4) and never on their values: wording of the probe, an opened "
    "bracket as the beginning of the reply, no repetition penalty, 32 replies of 96 tokens"
}
"""What was tuned before the verdict seeds were run."""
PUBLISHED_SCALES = ("standard", "extended", "paper")


def check_before(study: str, model: str, scale: str, seeds: Sequence[int], again: bool) -> Path:
    """Where the verdicts will go; UsageError when they may not be published: no checkout, a dirty tree, other seeds, smoke scale, or there already."""
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
    if tuple(seeds) != PUBLISHED_SEEDS[study]:
        raise UsageError(f"--publish: seeds must be the study's fixed list {list(PUBLISHED_SEEDS[study])}, got {list(seeds)}")
    path = Path(root) / "results" / f"{study}-{_slug(model)}.json"
    if path.exists() and not again:
        raise UsageError(f'{path.name} is there already. Add --again to replace its verdicts; the former ones are kept under "earlier"')
    return path


def publish_profile(study: str, folder: Path) -> Path:
    """Write the verdicts of a profile's result folder in the board's form, with its records beside them; returns the path."""
    about, run = (json.loads((folder / name).read_text("utf-8")) for name in ("result.json", "run.json"))
    plan, facts = about["plan"], about["sections"][study]["facts"]
    path = check_before(study, about["model"]["name"], plan["scale"], plan["seeds"], again=True)
    records = path.with_suffix(".records.parquet")
    held = (folder / "records.parquet").read_bytes()
    write_whole(records, held)
    entry: dict[str, Any] = {
        "study": study,
        "model": {name: about["model"][name] for name in ("name", "sentence", "parameters", "identity")},
        "headline": about["headline"],
        "scale": plan["scale"],
        "seeds": plan["seeds"],
        "claims": about["sections"][study]["claims"],
        "records": {"file": records.name, "sha256": hashlib.sha256(held).hexdigest()},
        "calibration": CALIBRATION.get(study, "none"),
        "deviations": about["sections"][study]["notes"],
        "settings": facts,
        "versions": {**_versions(), "commit": _git("rev-parse", "HEAD") or ""},
        "wall_seconds": run["wall_seconds"],
        "cpu_seconds": run["cpu_seconds"],
    }
    if path.exists():
        former = json.loads(path.read_text())
        entry["earlier"] = [*former.pop("earlier", []), former]
    write_whole(path, (json.dumps(entry, indent=2, ensure_ascii=False) + "\n").encode())
    return path


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", model).strip("-")


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
