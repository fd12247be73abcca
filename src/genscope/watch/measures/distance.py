"""Distance of the weights from their start (Hoffer, Hubara & Soudry 2017)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from genscope.core.errors import DataError, UsageError
from genscope.watch.measure import Sample, Seen


class Distance:
    """ "weight_distance" |w_t - w_0|_2 over the trainable parameters. The start is kept beside the record (`folder`/start.npz), so that a resumed run goes on from the same."""

    name = "weight_distance"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def begin(self, net: nn.Module, sample: Sample | None) -> None:
        now = {name: one for name, one in net.named_parameters() if one.requires_grad}
        if not now:
            raise UsageError(
                "weight_distance: no parameter requires a gradient, so no weight can move; unfreeze some, or leave this measure out"
            )
        kept = self.folder / "start.npz" if self.folder else None
        if kept is not None and kept.is_file():
            self.start = _read(kept)
            apart = sorted(
                {name for name, one in now.items() if name not in self.start or self.start[name].shape != one.shape}
                | (self.start.keys() - now.keys())
            )
            if apart:
                raise UsageError(
                    f"weight_distance: the parameters are not those of the run's start ({kept}); different: {', '.join(apart[:5])}"
                )
            return
        self.start = {name: one.detach().clone() for name, one in now.items()}
        if kept is not None:
            try:
                np.savez(kept, **{name: one.float().cpu().numpy() for name, one in self.start.items()})  # pyright: ignore[reportArgumentType]
            except OSError:
                kept.unlink(missing_ok=True)

    def look(self, net: nn.Module, step: int) -> Seen:
        total = 0.0
        with torch.no_grad():
            for name, one in net.named_parameters():
                if name in self.start:
                    total += float((one.detach().float() - self.start[name].to(one.device).float()).norm()) ** 2
        return Seen(values={"weight_distance": total**0.5})


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: torch.from_numpy(held[name]) for name in held.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the start of the run cannot be read ({error}); remove it to measure from here on") from error
