"""Progress of long work: a bar with an estimate on a terminal, plain lines elsewhere, silence where nobody asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

Style = Literal["bar", "lines", "silent"]


class Advance(Protocol):
    """Call it with the number of units just finished."""

    def __call__(self, units: int = 1) -> None: ...


class Progress:
    """Shows work on stderr. `style` None picks "bar" on a terminal and "lines" elsewhere."""

    def __init__(self, style: Style | None = "silent") -> None:
        self.style: Style = style or ("bar" if sys.stderr.isatty() else "lines")

    def say(self, text: str) -> None:
        """One line of news."""
        if self.style != "silent":
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    @contextmanager
    def work(self, label: str, total: int, done: int = 0) -> Iterator[Advance]:
        """A piece of work of `total` units, `done` of them finished beforehand (they do not count in the estimate)."""
        if self.style == "bar" and total > done:
            with _bar(label, total, done) as advance:
                yield advance
        elif self.style == "lines" and total > done:
            yield _Lines(self, label, total, done)
        else:
            yield _nothing


def _nothing(units: int = 1) -> None:
    """No display."""


@contextmanager
def _bar(label: str, total: int, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, completed=done)

        def advance(units: int = 1) -> None:
            bar.advance(task, units)

        yield advance


class _Lines:
    """A line at the start, at the end, and about every ten seconds."""

    def __init__(self, progress: Progress, label: str, total: int, done: int) -> None:
        self.progress, self.label, self.total = progress, label, total
        self.done = self.start = done
        self.began = self.said = time.monotonic()
        progress.say(f"{label}: {done}/{total}")

    def __call__(self, units: int = 1) -> None:
        self.done += units
        now = time.monotonic()
        if self.done >= self.total or now - self.said >= 10:
            self.said = now
            left = (self.total - self.done) * (now - self.began) / max(1, self.done - self.start)
            self.progress.say(f"{self.label}: {self.done}/{self.total}" + (f", about {left:.0f} s left" if self.done < self.total else ""))
