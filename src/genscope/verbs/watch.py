"""`genscope watch RUN`: is this training run memorizing or generalizing? The record in a terminal, while it grows or once, and as a page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genscope.core.errors import DataError
from genscope.core.store import write_whole
from genscope.verbs.watch_page import FOOTER, blocks, headline
from genscope.watch.alerts import Alert, alerts
from genscope.watch.record import LONGEST, NAME, Look, Run, read


@dataclass(frozen=True, slots=True)
class Watched:
    """A run as it stands. `run` is its record; folder: where the page is."""

    folder: Path
    run: Run

    @property
    def page(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "index.html"

    @property
    def headline(self) -> str:
        """The answer, in one sentence."""
        return headline(self.run)

    @property
    def alerts(self) -> list[Alert]:
        """Alerts, by step."""
        return alerts(self.run)

    def plain(self) -> dict[str, Any]:
        """As plain JSON: what `--json` prints."""
        last = self.run.looks[-1] if self.run.looks else None
        return {
            "kind": "watch", "run": self.run.name, "headline": self.headline, "looks": len(self.run.looks), "step": last.step if last else 0, "ended": self.run.ended,
            "values": dict(last.values) if last else {}, "page": str(self.page), "damaged": self.run.damaged, "notes": [dict(one) for one in self.run.notes],
            "alerts": [{"name": one.name, "step": one.step, "sentence": one.sentence, "advice": one.advice, "numbers": dict(one.numbers), "evidence": one.evidence} for one in self.alerts],
        }  # fmt: skip

    def _repr_html_(self) -> str:
        from genscope.pages.page import notebook_html

        return notebook_html(blocks(self.run))


def show(run: str | Path, out: str | Path | None = None) -> Watched:
    """Read a run's record and write its page: index.html and result.json in `out`, by default beside the record, which is never touched."""
    from genscope.pages.page import render_page
    from genscope.verbs.result_folder import check_out

    found = read(run)
    folder = Path(out).expanduser() if out else found.folder
    if out is not None and folder.resolve() != found.folder.resolve():
        check_out(out)
    made = Watched(folder, found)
    plain = {name: value for name, value in made.plain().items() if name != "page"}
    write_whole(folder / "result.json", (json.dumps(plain, indent=2, sort_keys=True) + "\n").encode())
    write_whole(made.page, render_page(found.name, "watch", blocks(found), footer=FOOTER).encode("utf-8", "replace"))
    return made


def follow(
    run: str | Path, seen: Callable[[Run, list[Look], list[Alert]], None], *, pause: float = 1.0, patience: float | None = None
) -> Run:
    """Read a growing record again and again until its run is over: `seen` gets the record, its new looks and its new alerts.

    patience: seconds without news after which it ends anyway; None waits for ever. A record that is not there yet is waited for.
    """
    step, told, since = -1, set(), time.monotonic()
    path = Path(run).expanduser()
    size = -1
    while True:
        file = path / NAME if path.is_dir() else path
        now = file.stat().st_size if file.is_file() and _begun(file) else -1
        if now not in (size, -1):
            found = read(run)
            new = [look for look in found.looks if look.step > step]
            fresh = [one for one in alerts(found) if one.name not in told]
            seen(found, new, fresh)
            step, size, since = new[-1].step if new else step, now, time.monotonic()
            told |= {one.name for one in fresh}
            if found.ended:
                return found
        elif patience is not None and time.monotonic() - since > patience:
            if size < 0:
                raise DataError(f"{run}: no training record ({NAME}) came in {patience:g} s")
            return read(run)
        time.sleep(pause)


def _begun(file: Path) -> bool:
    """Whether the first line is all there."""
    with file.open("rb") as held:
        return held.readline(LONGEST).endswith(b"\n")
