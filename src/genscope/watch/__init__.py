"""Instruments that look at a training run: is it memorizing or generalizing?

    with gs.watch.Monitor("runs/digits", net, sample={"train": (x, y), "test": (x_test, y_test)}) as monitor:
        for x, y in loader:
            ...
            optimizer.step()
            monitor.step(batch=len(x))

`Monitor` writes RUN/record.jsonl; `read` reads it, `show` draws it. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genscope.watch.alerts import Alert, alerts
    from genscope.watch.monitor import Monitor
    from genscope.watch.record import Run, read

    def show(run: Any, out: Any = None) -> Any:
        """Read a run's record and write its page: `genscope.verbs.watch.show`."""


_NAMES = {
    "Monitor": "genscope.watch.monitor:Monitor",
    "read": "genscope.watch.record:read",
    "Run": "genscope.watch.record:Run",
    "alerts": "genscope.watch.alerts:alerts",
    "Alert": "genscope.watch.alerts:Alert",
    "show": "genscope.verbs.watch:show",
}

__all__ = ["Alert", "Monitor", "Run", "alerts", "read", "show"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'genscope.watch' has no attribute {name!r}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
