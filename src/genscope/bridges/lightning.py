"""A callback for Lightning: `Trainer(callbacks=[WatchCallback("runs/mine", sample={"train": (x, y), "test": (x, y)})])`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from genscope.watch.monitor import Monitor


def _base() -> type:
    for module in ("lightning.pytorch.callbacks", "pytorch_lightning.callbacks"):
        try:
            return importlib.import_module(module).Callback
        except ImportError:
            continue
    # Lightning asks for the methods of a callback by name: without Lightning there is nobody to ask
    return object


class WatchCallback(_base()):
    """A `Monitor` that follows a Lightning Trainer: one step an optimizer update (`trainer.global_step`), whatever the accumulation. Settings as in `Monitor`."""

    def __init__(self, run: str | Path, **settings: Any) -> None:
        super().__init__()
        self.folder, self.settings, self.monitor = Path(run), settings, None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the record; a run that is resumed goes on with it. Only rank 0 writes."""
        if getattr(trainer, "is_global_zero", True):
            self.monitor = Monitor(self.folder, pl_module, resume=trainer.global_step > 0, **self.settings)
            self.monitor.at = max(self.monitor.at, trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Perhaps an update was made."""
        if self.monitor is not None and trainer.global_step > self.monitor.at:
            self.monitor.step()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """The last look."""
        if self.monitor is not None:
            self.monitor.close()
