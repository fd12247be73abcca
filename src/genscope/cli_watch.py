"""The command line of training runs: `genscope watch RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def watch(
    run: Annotated[Path, Parameter(help="Folder of the run, or its record.jsonl")],
    *,
    once: Annotated[
        bool, Parameter(negative="", help="Show what is there and leave; otherwise a run that is not over is followed")
    ] = False,
    patience: Annotated[float | None, Parameter(help="Leave after so many seconds without news [never]")] = None,
    out: Annotated[Path | None, Parameter(help="Folder for the page [beside the record]")] = None,
    json: Annotated[bool, Parameter(negative="", help="Print it as JSON, once")] = False,
) -> int:
    """Is this training run memorizing or generalizing (the help is in `genscope.cli`)."""
    from genscope.cli_study import _print_json
    from genscope.pages.terminal import show_watch
    from genscope.verbs.watch import follow, show
    from genscope.verbs.watch_page import alerts_text, looks_table
    from genscope.watch.alerts import Alert
    from genscope.watch.record import Look, Run

    if json:
        _print_json(show(run, out).plain())
        return 0

    def news(_: Run, looks: list[Look], fresh: list[Alert]) -> None:
        for look in looks:
            values = "  ".join(
                f"{name} {value:.4g}" for name, value in look.values.items() if value is not None and name not in ("rows", "batch")
            )
            print(f"step {look.step:,}  {values}", flush=True)
        for line in alerts_text(fresh):
            print(f"  ! {line}", flush=True)

    if not once:
        follow(run, news, patience=patience)
    found = show(run, out)
    show_watch(found.headline, alerts_text(found.alerts), looks_table(found.run), [str(one["text"]) for one in found.run.notes], found.page)
    return 0
