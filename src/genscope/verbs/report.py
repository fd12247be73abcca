"""`genscope report`: one static, offline site. The paper feed with search and filters, a page a paper, and the pages of local runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from genscope.core.errors import DataError
from genscope.core.store import write_whole
from genscope.engine.published import published, result_files
from genscope.engine.study import Study
from genscope.pages.page import chart_library, render_page
from genscope.pages.site import Entry, RunLink, render_index
from genscope.pages.study_page import blocks, profile_blocks, unpublished_blocks
from genscope.verbs.papers import badges, everything

CHARTS = "charts.js"


def report(out: str | Path, runs: str | Path) -> dict[str, Any]:
    """Write the site into `out` (made, or updated); `runs`: a folder of result folders, shown where it exists."""
    folder = Path(out).expanduser()
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file; give a folder for the site")
    studies = everything()
    write_whole(folder / CHARTS, chart_library().encode())
    for one in studies:
        write_whole(folder / "papers" / f"{one.name}.html", _paper_page(one).encode("utf-8", "replace"))
    links = [link for path in sorted(Path(runs).expanduser().glob("*/result.json")) if (link := _run_page(path.parent, folder))]
    entries = [Entry.of(one, badges(one)) for one in studies]
    write_whole(folder / "index.html", render_index(entries, links).encode("utf-8", "replace"))
    return {
        "index": str(folder / "index.html"),
        "pages": 1 + len(studies) + len(links),
        "papers": [one.name for one in studies],
        "runs": [link.title for link in links],
    }


def _paper_page(one: Study) -> str:
    held = published(one.name)
    own = next((file for file in held if "model" not in file), None)
    on_models = [file for file in held if "model" in file]
    body = [] if held else unpublished_blocks(one)
    if own is not None:
        about = {"failed": {}, "not_run": [], "changed": _edited(one, own), "genscope": own["versions"].get("genscope", ""), **own}
        body += blocks(one, about, _records(own))
    if on_models:
        body += profile_blocks(one, on_models, first=own is None)
    return render_page(
        one.paper.title, "paper", body, badges=(held[0]["scale"],) if held else ("not run",), home_link="../index.html", library_file=f"../{CHARTS}",
        footer="Verdicts and records are in <results> of the source tree.",
    )  # fmt: skip


def _edited(one: Study, held: dict[str, Any]) -> list[str]:
    """Claims that were edited after a run: before they were published, or since."""
    now = {claim.id: claim.hash for claim in one.claims}
    return [entry["id"] for entry in held["claims"] if entry.get("changed") or now.get(entry["id"]) != entry["hash"]]


def _records(held: dict[str, Any]) -> pl.DataFrame:
    path = next(path.with_name(held["records"]["file"]) for path in result_files() if path.with_name(held["records"]["file"]).is_file())
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != held["records"]["sha256"]:
        raise DataError(
            f"{path}: not the records that the verdicts were made from (another checksum). Restore the file from the source tree"
        )
    return pl.read_parquet(path)


def _run_page(run: Path, site: Path) -> RunLink | None:
    """Copy the page of a result folder; None for what is not one."""
    try:
        about = json.loads((run / "result.json").read_text("utf-8"))
        title = (
            about.get("study")
            or about.get("data", {}).get("name")
            or about.get("model", {}).get("name")
            or about.get("run")
            or " and ".join(model["name"] for model in about["models"])
        )
        link = RunLink(title=str(title), kind=str(about["kind"]), headline=str(about["headline"]), href=f"runs/{run.name}.html")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not (run / "index.html").is_file():
        return None
    (site / "runs").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "index.html", site / link.href)
    return link
