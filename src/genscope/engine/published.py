"""Published verdicts: the result files that ship with the package, or lie in the checkout that it is installed from."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any


def result_files() -> list[Path]:
    """The files, by name."""
    inside = Path(str(files("genscope"))) / "results"
    checkout = Path(str(files("genscope"))).parents[1] / "results"
    return sorted(path for folder in (inside, checkout) if folder.is_dir() for path in folder.glob("*.json"))


def published(study: str) -> list[dict[str, Any]]:
    """What was published of a study: one entry a file (a study's own, or one a profiled model)."""
    found = [
        json.loads(path.read_text("utf-8")) for path in result_files() if path.name == f"{study}.json" or path.name.startswith(f"{study}-")
    ]
    return [one for one in found if one["study"] == study]


def verdict_of(study: str, claim: str) -> str:
    """The published verdict of a claim, "" without one; with the model's name where it is one of several."""
    found = []
    for held in published(study):
        said = [one["verdict"] for one in held["claims"] if one["id"] == claim]
        found += [f"{held['model']['name']}: {one}" if "model" in held else one for one in said]
    return ", ".join(found)
