"""The board: every published verdict, a table a study, generated from results/*.json.

`python -m genscope.engine.board` writes docs/board.md, and a row a study between the marks of the README.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- board: made by `make board` -->", "<!-- end of board -->"
_HEAD = "| claim | verdict | effect (95 % interval) | n | placebo |\n| --- | --- | --- | --- | --- |"


def table(results: Path) -> str:
    """The board as Markdown: a table a result file, in order of names, with a row for each claim."""
    parts = []
    for path in sorted(results.glob("*.json")):
        held = json.loads(path.read_text("utf-8"))
        model = f", {held['model']['name']}" if "model" in held else ""
        parts.append("\n".join([f"## {held['study']}{model}, {held['scale']}", "", _HEAD, *[_row(claim) for claim in held["claims"]]]))
    return "\n\n".join(parts)


def summary(results: Path) -> str:
    """One row a study or model: its claims with their verdicts."""
    rows = []
    for path in sorted(results.glob("*.json")):
        held = json.loads(path.read_text("utf-8"))
        said = "; ".join(f"{claim['id']} **{claim['verdict']}**{_placebo(claim)}" for claim in held["claims"])
        rows.append(f"| `{held['study']}` | {held['model']['name'] if 'model' in held else 'trains its own'} | {held['scale']} | {said} |")
    return "\n".join(
        [
            "| paper | model | scale | verdicts (in brackets: the placebo, where the mechanism is removed) |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    )


def _placebo(claim: dict[str, Any]) -> str:
    return f" ({claim['placebo']['verdict']})" if claim.get("placebo") else ""


def _row(claim: dict[str, Any]) -> str:
    placebo = claim.get("placebo")
    beside = "none" if placebo is None else f"{placebo['verdict']}, {_effect(placebo)}"
    said = "" if claim["verdict"] == "reproduced" else f": {claim['reason']}"
    edited = " (edited after an earlier run: see the calibration)" if claim.get("changed") else ""
    return (
        f"| **{claim['id']}** {claim['sentence']}{edited} | **{claim['verdict']}**{said} | {_effect(claim)} | {claim['n']:,} | {beside} |"
    )


def _effect(entry: dict[str, Any]) -> str:
    if entry["effect"] is None:
        return "no estimate"
    clauses = entry.get("clauses") or [{}]
    shown = next((one for one in clauses if one.get("outcome") != "holds"), clauses[0])
    metric = f"{shown['metric'].replace('_', ' ')} " if "metric" in shown else ""
    alike = f"all {shown['n']} alike" if shown.get("n", 0) > 1 else "no interval"
    interval = alike if entry["ci"] is None else f"{entry['ci'][0]:.3f} to {entry['ci'][1]:.3f}"
    return f"{metric}{entry['effect']:.3f} ({interval})"


def write(root: Path) -> None:
    """Write docs/board.md and the README's part."""
    made = table(root / "results")
    (root / "docs" / "board.md").write_text(
        f"# Board\n\nGenerated from `results/*.json` by `make board`. The effect shown is that of the first clause that does not hold, else of the first.\n\n{made}\n",
        "utf-8",
    )
    readme = root / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n\n{summary(root / 'results')}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    write(Path.cwd())
