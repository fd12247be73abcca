"""Files of allenai/cartography: `training_dynamics/dynamics_epoch_E.jsonl` with rows {guid, logits_epoch_E, gold}, and coordinates of a data map."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.errors import DataError
from genscope.core.store import write_whole
from genscope.measures.training_dynamics import Dynamics, DynamicsLog, When

if TYPE_CHECKING:
    import polars as pl

LONGEST = 1 << 20
"""Characters of a line that are read."""
MOST = 1 << 30
"""Bytes that an unpacked file may have."""
_NAME = re.compile(r"dynamics_epoch_(\d+)\.jsonl$")


def read_dynamics(folder: Path, when: When = "train") -> Dynamics:
    """Dynamics from the epoch files in `folder` (or in its `training_dynamics`). The epochs must follow one another and hold the same examples."""
    where = folder / "training_dynamics" if (folder / "training_dynamics").is_dir() else folder
    files = {int(found.group(1)): path for path in sorted(where.glob("dynamics_epoch_*.jsonl")) if (found := _NAME.search(path.name))}
    if not files:
        raise DataError(f"{where}: no file dynamics_epoch_0.jsonl or the like")
    missing = sorted(set(range(min(files), max(files) + 1)) - set(files))
    if missing:
        raise DataError(f"{where}: epoch {', '.join(map(str, missing))} is missing (dynamics_epoch_{missing[0]}.jsonl)")
    log = DynamicsLog(when=when)
    for epoch, path in sorted(files.items()):
        ids, logits, gold = [], [], []
        for number, row in _rows(path):
            try:
                ids.append(row["guid"])
                logits.append([float(one) for one in row[f"logits_epoch_{epoch}"]])
                gold.append(int(row["gold"]))
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{path.name}, line {number}: needs guid, logits_epoch_{epoch} (a list of numbers) and gold (a class number): {error}") from error  # fmt: skip
        if len({len(one) for one in logits}) > 1:
            raise DataError(
                f"{path.name}: rows have {', '.join(map(str, sorted({len(one) for one in logits})))} logits; all must have as many"
            )
        log.log(ids, np.array(logits).reshape(len(ids), -1), np.array(gold), epoch)
    return log.dynamics()


def write_dynamics(folder: Path, epoch: int, ids: Sequence[Any], logits: np.ndarray, gold: Sequence[int]) -> Path:
    """One epoch's file in the form that allenai/cartography reads; returns its path."""
    lines = [
        json.dumps({"guid": name, f"logits_epoch_{epoch}": [float(one) for one in row], "gold": int(label)})
        for name, row, label in zip(ids, np.asarray(logits), gold, strict=True)
    ]
    path = folder / "training_dynamics" / f"dynamics_epoch_{epoch}.jsonl"
    write_whole(path, ("\n".join(lines) + "\n").encode())
    return path


def read_coordinates(path: Path) -> pl.DataFrame:
    """A data map's coordinates (JSONL, gzipped or not): guid, index, confidence, variability, correctness; a guid stands once."""
    import polars as pl

    rows = []
    for number, row in _rows(path):
        try:
            rows.append({"guid": str(row["guid"]), "confidence": float(row["confidence"]), "variability": float(row["variability"]), "correctness": int(row["correctness"])})  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path.name}, line {number}: needs guid, confidence, variability and correctness: {error}") from error
    frame = pl.DataFrame(rows)
    if frame.height and frame["guid"].n_unique() < len(frame):
        twice = frame.filter(frame["guid"].is_duplicated())["guid"][0]
        raise DataError(f"{path.name}: guid {twice!r} stands more than once")
    return frame


def _rows(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    """(line number, object) of every line that is not blank."""
    found, size = [], 0
    try:
        with gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                size += len(line)
                if len(line) > LONGEST or size > MOST:
                    raise DataError(f"{path.name}, line {number}: longer than {LONGEST:,} characters, or the file than {MOST:,}")
                if line.strip():
                    held = json.loads(line)
                    if not isinstance(held, dict):
                        raise DataError(f"{path.name}, line {number}: not a JSON object")
                    found.append((number, held))
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path.name}: cannot be read ({error})") from error
    return found
