"""Monitor: one line in a training script. It looks at the run now and then, writes what it saw, and never changes the run."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genscope.core.errors import DataError, GenscopeError, UsageError, unknown
from genscope.core.text import shorten
from genscope.watch.alerts import Alert, alerts
from genscope.watch.measure import Data, Judge, Measure, Sample
from genscope.watch.measures import DEFAULT, MEASURES
from genscope.watch.record import NAME, VERSION, Look, Run, read
from genscope.watch.undisturbed import bare, undisturbed
from genscope.watch.writer import Writer, finite

Splits = Mapping[str, "Data | tuple[Tensor, Tensor]"]
REMEMBERED = 1_000
"""Looks whose rows are held in memory, at most."""
Sink = Callable[[int, Mapping[str, float]], None]
"""Called with the step and the numbers of every look: for other loggers."""


def classify(net: nn.Module, data: Data) -> tuple[Tensor, Tensor]:
    """Cross-entropy (nats) and predicted labels of data named x and y."""
    scores = net(data["x"])
    return nn.functional.cross_entropy(scores, data["y"], reduction="none"), scores.argmax(-1)


class Monitor:
    """Looks at `net` every `every` updates and appends to RUN/record.jsonl.

    run: folder of the run; sample: the fixed rows to look at, split -> (x, y) or named tensors, the training split first; judge: losses and predictions of named
    tensors (`classify` by default); measures: names of `MEASURES` or objects; chunk: rows at a time; resume: go on with the record of an earlier run,
    whose last step is `monitor.at`; sinks: called with the numbers of every look; on_alert: called with every new alert.

    Call `step` after every optimizer step (once for several accumulated batches). The weights after any number of steps are bit for bit those of the run without a
    monitor: modes, buffers, gradients and random states are restored after each look. A measure that fails in a look is left out from there on, and the record says so.
    """

    def __init__(
        self, run: str | Path, net: nn.Module, *, sample: Splits | Data | tuple[Tensor, Tensor] | None = None, judge: Judge = classify,
        measures: Sequence[str | Measure] | None = None, every: int = 100, chunk: int = 256, resume: bool = False, sinks: Sequence[Sink] = (),
        on_alert: Callable[[Alert], None] | None = None,
    ) -> None:  # fmt: skip
        if every < 1 or chunk < 1:
            raise UsageError(f"every and chunk must be at least 1, got {every} and {chunk}")
        empty = [name for name, one in net.named_parameters() if one.is_meta]
        if empty:
            raise UsageError(
                f"{len(empty)} parameters have no data here (device meta, or offloaded to disk), the first is {empty[0]}; a monitor reads weights: start it after they are loaded, on devices"
            )
        self.folder, self.net, self.every, self.sinks, self.on_alert = Path(run).expanduser(), bare(net), every, tuple(sinks), on_alert
        self.sample = None if sample is None else _sample(sample, judge, chunk, self.net)
        self.at, self._batch, self._new, self._rows, self._known = 0, 0, 0, 0, set()
        self._began, self._looks, self._alerts = time.time(), [], {}
        path = self.folder / NAME
        earlier = self._earlier(path, resume)
        self._writer = Writer(path)
        try:
            chosen = measures if measures is not None else DEFAULT if self.sample else ("weight_distance",)
            self.measures = [self._made(one) for one in chosen]
            with undisturbed(self.net):
                for one in self.measures:
                    one.begin(self.net, self.sample)
            self._header = self._heading()
            self._open(earlier)
        except BaseException:
            self._writer.close()
            if earlier is None:
                path.unlink(missing_ok=True)
            raise

    def _open(self, earlier: Run | None) -> None:
        if earlier is None:
            self._writer.write(self._header)
            # the first look tells what cannot be measured while nothing is lost yet
            self._look(strict=True)
            return
        self.at, self._looks = earlier.looks[-1].step if earlier.looks else 0, list(earlier.looks)
        self._alerts = {str(one["name"]): one for one in earlier.alerts}
        self._writer.write({"kind": "resume", "step": self.at, "text": f"resumed at step {self.at}"})

    def step(self, *, batch: int | None = None, rows: Iterable[Any] | None = None) -> None:
        """After an update. batch: rows in it; rows: their ids (numbers or texts), to tell how much of the data was seen before."""
        self.at += 1
        if rows is not None:
            ids = [hash(one.item() if isinstance(one, Tensor) else one) for one in rows]
            self._rows += len(ids)
            self._new += len(set(ids) - self._known)
            self._known.update(ids)
            batch = batch if batch is not None else len(ids)
        self._batch = batch or self._batch
        if self.at % self.every == 0:
            self.look()

    def look(self) -> Look | None:
        """Look now; None where this step was looked at already (a resumed run, or a last look on the cadence)."""
        return self._look(strict=False)

    def _look(self, strict: bool) -> Look | None:
        if self._looks and self._looks[-1].step >= self.at:
            return None
        values: dict[str, float] = {"batch": float(self._batch)} if self._batch else {}
        if self._rows:
            values["repeated"] = 1 - self._new / self._rows
            self._rows = self._new = 0
        examples: dict[str, dict[str, Sequence[float]]] = {}
        with undisturbed(self.net):
            for one in list(self.measures):
                try:
                    seen = one.look(self.net, self.at)
                except (GenscopeError, RuntimeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
                    # later a look may fail while the run goes on: out of memory, a gradient that is no number
                    if strict:
                        raise
                    self._say("note", f"{one.name} failed and is left out from here on: {shorten(str(error), 300)}")
                    self.measures.remove(one)
                    continue
                values |= seen.values
                for split, held in seen.examples.items():
                    examples.setdefault(split, {}).update(held)
        plain = finite({"kind": "look", "step": self.at, "seconds": time.time() - self._began, "values": values, "examples": examples})
        self._writer.write(plain)
        held = {split: {name: np.array(one, dtype=np.float32) for name, one in columns.items()} for split, columns in examples.items()}
        look = Look(step=self.at, seconds=plain["seconds"], values=plain["values"], examples=held)
        self._looks.append(look)
        self._thin()
        for sink in self.sinks:
            sink(self.at, {name: value for name, value in look.values.items() if value is not None})
        self._judge()
        return look

    @property
    def run(self) -> Run:
        """What was seen so far."""
        header = {**self._header, "sample": self._header["sample"]}
        return Run(folder=self.folder, header=header, looks=tuple(self._looks), alerts=tuple(self._alerts.values()))

    @property
    def alerts(self) -> list[Alert]:
        """Alerts so far, by step."""
        return alerts(self.run)

    def close(self) -> None:
        """A last look, and the end of the record."""
        if self._writer.open:
            self.look()
            self._writer.write({"kind": "end", "step": self.at})
            self._writer.close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._say("note", f"training stopped: {kind.__name__ if kind else ''} {shorten(str(error), 200)}")
            self._writer.close()

    def _thin(self) -> None:
        """Of a long run, forget in memory (not in the record) what every second of the older looks saw of each row."""
        full = [place for place, one in enumerate(self._looks) if one.examples]
        if len(full) > REMEMBERED:
            for place in full[: REMEMBERED // 2 : 2]:
                self._looks[place] = replace(self._looks[place], examples={})

    def _judge(self) -> None:
        # the rules read the whole history: of a long one not at every look
        if len(self._looks) % max(1, len(self._looks) // 200):
            return
        for one in alerts(self.run):
            if one.name not in self._alerts:
                self._alerts[one.name] = {"name": one.name, "step": one.step, "text": one.sentence, "numbers": dict(one.numbers)}
                self._writer.write({"kind": "alert", **self._alerts[one.name]})
                if self.on_alert:
                    self.on_alert(one)

    def _say(self, kind: str, text: str) -> None:
        self._writer.write({"kind": kind, "step": self.at, "text": text})

    def _earlier(self, path: Path, resume: bool) -> Run | None:
        held = path.is_file() and path.stat().st_size > 0
        if held and not resume:
            raise UsageError(f"{path}: a record is here already. Choose another folder, or go on with it: Monitor(..., resume=True)")
        if not held:
            return None
        try:
            return read(path)
        except DataError as error:
            raise UsageError(f"the record cannot be resumed: {error}") from error

    def _made(self, chosen: str | Measure) -> Measure:
        if not isinstance(chosen, str):
            if not isinstance(chosen, Measure):
                raise UsageError(f"a measure has a name, begin(net, sample) and look(net, step); got {type(chosen).__name__}")
            return chosen
        if chosen not in MEASURES:
            raise UsageError(unknown("measure", chosen, MEASURES))
        module, _, name = MEASURES[chosen].partition(":")
        made = getattr(importlib.import_module(module), name)
        return made(folder=self.folder) if chosen == "weight_distance" else made()

    def _heading(self) -> dict[str, Any]:
        from genscope import __version__

        sample = {}
        for split, data in self.sample.splits.items() if self.sample else ():
            rows = len(next(iter(data.values())))
            labels = data.get("y")
            sample[split] = {
                "rows": rows,
                "targets": labels.tolist() if labels is not None and labels.ndim == 1 and not labels.is_floating_point() else [],
            }
        return {
            "kind": "run", "version": VERSION, "genscope": __version__, "every": self.every, "measures": [one.name for one in self.measures], "sample": sample,
            "parameters": sum(one.numel() for one in self.net.parameters()),
        }  # fmt: skip


def _sample(given: Any, judge: Judge, chunk: int, net: nn.Module) -> Sample:
    if isinstance(given, tuple) or (isinstance(given, Mapping) and given and all(isinstance(one, Tensor) for one in given.values())):
        given = {"train": given}
    if not isinstance(given, Mapping) or not given:
        raise UsageError(
            f'sample must be split -> (x, y) or named tensors, such as {{"train": (x, y), "test": (x, y)}}; got {type(given).__name__}'
        )
    place = next((one.device for one in net.parameters()), torch.device("cpu"))
    splits = {}
    for split, data in given.items():
        named = dict(zip(("x", "y"), data, strict=True)) if isinstance(data, tuple) and len(data) == 2 else data
        if not isinstance(named, Mapping) or not named or not all(isinstance(one, Tensor) and one.ndim for one in named.values()):
            raise UsageError(f"sample of {split!r} must be (x, y) or named tensors with the examples along the first axis")
        if len({len(one) for one in named.values()}) != 1 or not len(next(iter(named.values()))):
            raise UsageError(
                f"sample of {split!r}: every tensor has one row an example, at least one; got { ({name: len(one) for name, one in named.items()}) }"
            )
        splits[str(split)] = {name: one.detach().to(place) for name, one in named.items()}
    return Sample(splits=splits, judge=judge, chunk=chunk)
