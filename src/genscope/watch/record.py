"""The training record: one append-only JSONL file, RUN/record.jsonl, that survives a kill, and what is read back from it.

Lines are objects with a `kind`: "run" (first line: version, sample, measures), "look" (step, values, examples), "alert", "note", "resume", "end". A torn last
line is left out; a damaged one is counted; a newer version is refused. Nothing of a record is trusted: numbers are checked, texts cleaned and cut.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.errors import DataError
from genscope.core.text import clean, shorten

if TYPE_CHECKING:
    import polars as pl

VERSION = 1
NAME = "record.jsonl"
LONGEST = 8 << 20
"""Bytes of a line that are read."""
MOST = 200_000
"""Lines that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at one step. values: "SPLIT/quantity" or "quantity" -> number (None where it was not finite); examples: split -> quantity -> one number a row (a list, or an array)."""

    step: int
    seconds: float
    values: Mapping[str, float | None]
    examples: Mapping[str, Mapping[str, Sequence[float | None] | np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A record in memory. header: its first line; looks by step; alerts, notes: as written; ended: whether training said that it was over; damaged: lines that could not be read."""

    folder: Path
    header: Mapping[str, Any]
    looks: tuple[Look, ...]
    alerts: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[Mapping[str, Any], ...] = ()
    ended: bool = False
    damaged: int = 0

    @property
    def name(self) -> str:
        """The run's name, for people."""
        return self.folder.name

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(steps, values) of a quantity where it is a number."""
        found = [(look.step, look.values[name]) for look in self.looks if look.values.get(name) is not None]
        return np.array([step for step, _ in found], dtype=int), np.array([value for _, value in found], dtype=float)

    def names(self) -> list[str]:
        """Quantities in order of appearance."""
        return list(dict.fromkeys(name for look in self.looks for name in look.values))

    def examples(self, split: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """(steps [T], values [T, rows]) of a quantity of the sample's rows; NaN where it was not finite. Empty where it was not recorded."""
        rows = len(self.targets(split)) or None
        kept = []
        for look in self.looks:
            held = look.examples.get(split, {}).get(quantity)
            if held is not None and (rows is None or len(held) == rows):
                rows = len(held)
                kept.append((look.step, np.array(held, dtype=float)))  # None becomes NaN
        return np.array([step for step, _ in kept], dtype=int), np.array([values for _, values in kept]).reshape(len(kept), rows or 0)

    def targets(self, split: str) -> np.ndarray:
        """Labels of the sample's rows; empty where there are none."""
        held = self.header.get("sample", {}).get(split, {}).get("targets") or []
        return np.array(held, dtype=int)

    def learning_times(self, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
        """(first, last) of each row: the first step at which it was right, and the first from which it stayed so; infinite where never."""
        steps, predicted = self.examples(split, "prediction")
        if not len(steps):
            return np.zeros(0), np.zeros(0)
        right = predicted == self.targets(split)
        at = np.append(steps.astype(float), np.inf)
        first = np.where(right.any(0), right.argmax(0), len(steps))
        last = np.where(~right.all(0), len(steps) - (~right)[::-1].argmax(0), 0)
        return at[first], at[last]

    def corrupt_like(self, split: str = "train", step: int | None = None) -> list[str]:
        """Ids (or places in the sample) of the rows that look as if their labels were wrong (`genscope.watch.alerts.corrupt_like`), most persistent first.

        At the last look up to `step`; by default where the memorizing alert came, else at the end.
        """
        from genscope.watch.alerts import corrupt_like, memorizing

        steps, predicted = self.examples(split, "prediction")
        if not len(steps) or not len(self.targets(split)):
            return []
        came = memorizing(self) if step is None else None
        until = step if step is not None else came.step if came else int(steps[-1])
        found = corrupt_like(predicted, self.targets(split))
        now = found[np.flatnonzero(steps <= until)[-1]] if (steps <= until).any() else np.zeros(found.shape[1], bool)
        ids = self.header["sample"][split].get("ids")
        rows = sorted(np.flatnonzero(now).tolist(), key=lambda row: (-int(found[:, row].sum()), row))
        return [ids[row] if ids else str(row) for row in rows]

    def frame(self) -> pl.DataFrame:
        """The record as a long frame: run, step, split, quantity, example (null for values of the whole), value."""
        import polars as pl

        rows: list[tuple[str, int, str, str, str | None, float | None]] = []
        for look in self.looks:
            for name, value in look.values.items():
                split, _, quantity = name.rpartition("/")
                rows.append((self.name, look.step, split, quantity, None, value))
            for split, held in look.examples.items():
                ids = self.header.get("sample", {}).get(split, {}).get("ids")
                for quantity, values in {**held, **self._derived(split, held)}.items():
                    rows += [(self.name, look.step, split, quantity, str(ids[k]) if ids else str(k), one) for k, one in enumerate(values)]
        schema = {"run": pl.String, "step": pl.Int64, "split": pl.String, "quantity": pl.String, "example": pl.String, "value": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _derived(self, split: str, held: Mapping[str, Any]) -> dict[str, list[float | None]]:
        """gold_probability and correct, the two quantities that data maps are made of."""
        made: dict[str, list[float | None]] = {}
        if "loss" in held and len(self.targets(split)):
            made["gold_probability"] = [None if one is None else math.exp(-one) for one in held["loss"]]
        if "prediction" in held and len(self.targets(split)):
            made["correct"] = [
                None if one is None else float(one == gold) for one, gold in zip(held["prediction"], self.targets(split), strict=True)
            ]
        return made


def read(run: str | Path) -> Run:
    """The record of a run folder (or of its record.jsonl). DataError where there is none, or where a newer genscope wrote it."""
    path = Path(run).expanduser()
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"{run}: no training record ({NAME}) here; genscope.watch.Monitor(RUN, net, ...) writes one")
    header: dict[str, Any] = {}
    looks: dict[int, Look] = {}
    alerts, notes, ended, damaged = [], [], False, 0
    for plain in lines(path):
        kind = plain.get("kind") if plain is not None else None
        if plain is None:
            damaged += 1
        elif kind == "run":
            header = header or _header(path, plain)
        elif kind == "look":
            look = _look(plain)
            damaged += look is None
            if look is not None:
                looks[look.step] = look
            ended = False
        elif kind in ("alert", "note", "resume"):
            (alerts if kind == "alert" else notes).append(_said(plain))
            ended = False
        elif kind == "end":
            ended = True
    if not header:
        raise DataError(f"{path}: not a training record (its first line names no run)")
    return Run(
        folder=path.parent, header=header, looks=tuple(looks[step] for step in sorted(looks)), alerts=tuple(alerts), notes=tuple(notes), ended=ended, damaged=damaged,
    )  # fmt: skip


def lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Objects of the file in order; None for a line that is none. A last line without its end is still being written and left out."""
    with path.open("rb") as file:
        for _ in range(MOST):
            line = file.readline(LONGEST)
            if not line.endswith(b"\n"):
                if len(line) == LONGEST:
                    yield None
                return
            if line.strip():
                try:
                    plain = json.loads(line)
                except (ValueError, RecursionError):
                    plain = None
                yield plain if isinstance(plain, dict) else None


def _header(path: Path, plain: Mapping[str, Any]) -> dict[str, Any]:
    version = plain.get("version")
    if not isinstance(version, int) or version < 1:
        raise DataError(f"{path}: not a training record (version {version!r})")
    if version > VERSION:
        raise DataError(
            f"{path}: written by a newer genscope (record version {version}; this one reads up to {VERSION}). Upgrade with: pip install -U genscope"
        )
    sample = _dict(plain.get("sample"))
    checked: dict[str, Any] = {}
    for split, held in list(sample.items())[:20]:
        held = _dict(held)
        targets, ids = held.get("targets"), held.get("ids")
        whole = isinstance(targets, list) and all(type(one) is int for one in targets)
        named = isinstance(ids, list) and isinstance(targets, list) and len(ids) == len(targets)
        checked[shorten(str(split), 40)] = {
            "rows": held["rows"] if type(held.get("rows")) is int else 0, "targets": targets if whole else [], "ids": [shorten(str(one), 80) for one in ids] if named and ids else None,
        }  # fmt: skip
    numbers = {name: plain[name] for name in ("every", "parameters", "batch") if isinstance(plain.get(name), int)}
    return {"version": version, "genscope": shorten(str(plain.get("genscope", "")), 40), "sample": checked, "measures": [shorten(str(one), 40) for one in _list(plain.get("measures"))[:50]], **numbers}  # fmt: skip


def _look(plain: Mapping[str, Any]) -> Look | None:
    step, values, examples = plain.get("step"), plain.get("values"), plain.get("examples", {})
    if type(step) is not int or step < 0 or not isinstance(values, dict) or not isinstance(examples, dict):
        return None
    checked: dict[str, dict[str, list[float | None]]] = {}
    for split, held in examples.items():
        if isinstance(held, dict):
            checked[str(split)] = {str(name): [_number(one) for one in column] for name, column in held.items() if isinstance(column, list)}
    return Look(step=step, seconds=_number(plain.get("seconds")) or 0.0, values={shorten(str(name), 80): _number(value) for name, value in values.items()}, examples=checked)  # fmt: skip


def _said(plain: Mapping[str, Any]) -> dict[str, Any]:
    numbers = _dict(plain.get("numbers"))
    return {
        "kind": plain["kind"], "step": plain["step"] if type(plain.get("step")) is int else 0, "name": shorten(str(plain.get("name", "")), 40), "text": clean(str(plain.get("text", "")), 600),
        "numbers": {shorten(str(name), 60): _number(value) for name, value in list(numbers.items())[:40]},
    }  # fmt: skip


def _number(value: Any) -> float | None:
    if type(value) not in (int, float) or abs(value) > 1e300 or not math.isfinite(value):
        return None
    return float(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
