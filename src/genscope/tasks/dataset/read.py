"""Reading a data set: what lies at a path (or is given as a frame) becomes a Dataset. The file is only ever opened for reading."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.canonical import digest
from genscope.core.errors import DataError
from genscope.tasks.dataset import image_folder, lines, tables
from genscope.tasks.dataset.arrays import Arrays, from_mapping, read_idx_files, read_npy, read_npz
from genscope.tasks.dataset.prints import columns_needed, of_arrays, survey
from genscope.tasks.dataset.roles import SAMPLE, assign
from genscope.tasks.dataset.value import Dataset, Fault

if TYPE_CHECKING:
    import polars as pl

LINE_FORMS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
LARGEST_JSON = 500 << 20
"""Bytes of a .json file that holds one array."""
_ADVICE = {
    "too long": ("a record longer than {most:,} bytes, left out", "split or shorten it; it was not looked at"),
    "not JSON": ("a line that is not JSON; it counts as an empty row", "mend the line or drop it"),
    "not an object": ("a line that is JSON but no object; it counts as an empty row", "write one object a line"),
    "undecodable": ("bytes that are no UTF-8, read as the replacement character", "save the file as UTF-8"),
    "ragged": ("a record with more or fewer cells than the header", "check quotes and separators; cells may stand under the wrong name"),
    "link": ("a symbolic link, not followed", "put the files themselves into the folder"),
    "too large": ("a picture with too many pixels, left out", "scale it down"),
    "no picture": ("a file that is no readable picture, left out", "remove or replace it"),
}


def read(source: Any, named: Mapping[str, str] | None = None, *, header: str = "auto", longest: int | None = None) -> Dataset:
    """The data set at a path, or in a frame, a Hugging Face Dataset, a mapping of arrays or a pair (x, y).

    named: role -> column (text, label, split, id, group, solver, item, correct, count), "none" for no such role; header: of CSV files, "auto", "yes" or "no";
    longest: bytes of a record that are read at most. Raises DataError where the source cannot be read or a role is unsure.
    """
    chosen = dict(named or {})
    if not isinstance(source, (str, Path)):
        return _from_memory(source, chosen)
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder. Give JSONL, CSV, Parquet, NPZ, IDX, a folder of images or a data set folder")
    try:
        if path.is_dir():
            return _folder(path, chosen, header, longest)
        if path.stat().st_size == 0:
            raise DataError(f"{path}: is empty (0 bytes). There is nothing to audit")
        suffixes = [one.lower() for one in path.suffixes]
        if ".npz" in suffixes:
            return _from_arrays(path.name, "npz", path, read_npz(path, chosen), chosen)
        if ".npy" in suffixes:
            return _from_arrays(path.name, "npy", path, read_npy(path), chosen)
        if "-ubyte" in path.name:
            return _from_arrays(path.name, "idx", path, read_idx_files(path), chosen)
        form = _form(path)
        if form is None:
            raise DataError(f"{path}: unknown kind of file. Known: {', '.join(LINE_FORMS)} (.gz too), .npz, .npy, IDX (-ubyte), folders")
        return _from_files(
            path.stem.removesuffix(suffixes[0]) if len(suffixes) > 1 else path.stem, form, path, [path], chosen, header, longest
        )
    except PermissionError as error:
        raise DataError(f"{path}: you may not read it ({error.strerror})") from error


def _form(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return LINE_FORMS.get(Path(name).suffix)


def _folder(path: Path, named: dict[str, str], header: str, longest: int | None) -> Dataset:
    if any("-ubyte" in one.name for one in path.iterdir()):
        return _from_arrays(path.name, "idx", path, read_idx_files(path), named)
    files = [
        one
        for one in sorted(path.rglob("*"))
        if one.is_file()
        and not one.name.startswith((".", "README"))
        and _form(one)
        and not one.name.endswith(("info.json", "state.json", "dict.json"))
    ]
    if files:
        forms = Counter(_form(one) for one in files)
        form = "arrow" if "arrow" in forms else "parquet" if "parquet" in forms else forms.most_common(1)[0][0]
        return _from_files(path.name, str(form), path, [one for one in files if _form(one) == form], named, header, longest)
    met = lines.Met()
    pictures = image_folder.read_pictures(path, met)
    columns = image_folder.roles_of(pictures, named)
    import polars as pl

    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    data = _arrays_dataset(
        path.name,
        "images",
        path,
        pictures.x,
        frame,
        {role: role for role in ("label", "split", "id") if role in columns},
        _faults(met, longest),
    )
    pairs = np.frombuffer(b"".join(pictures.hashes), "<u8").reshape(-1, 2)
    prints = data.prints.with_columns(pl.Series("input", pairs[:, 0].copy()), pl.Series("input2", pairs[:, 1].copy()))
    return _replaced(data, prints)


def _replaced(data: Dataset, prints: pl.DataFrame) -> Dataset:
    return replace(data, prints=prints)


def _from_files(
    name: str, form: str, source: Path, files: Sequence[Path], named: dict[str, str], header: str, longest: int | None
) -> Dataset:
    """Files of records, one after the other; with several, a column `file` names each row's own."""
    counting = _Counting()
    opened = [_open(file, form, header, longest, counting) for file in files]
    kinds: dict[str, str] = {}
    for one in opened:
        for column, kind in one.kinds.items():
            kinds[column] = kind if kinds.get(column, kind) == kind else "mixed"
    labels = _file_labels(source, files)
    if len(files) > 1:
        kinds = {**kinds, "file": "text"}
        parts = [(label, _only(one)) for label, one in zip(labels, opened, strict=True)]
        stream = tables.joined_stream(parts, "file")
        if (
            "split" not in named
            and "split" not in {column.lower() for column in kinds}
            and any(mark in label.lower() for label in labels for mark in ("train", "test", "val", "dev", "eval", "pool"))
        ):
            named = {**named, "split": "file"}
    else:
        stream = opened[0].stream
    sample = _sample(stream, list(kinds))
    if not any(len(texts) for texts in sample.values()):
        raise DataError(f"{source}: has no row. There is nothing to audit")
    guess = assign(str(source), sample, named, kinds)
    facts = {
        "files": [str(file.relative_to(source)) if source.is_dir() else file.name for file in files],
        "header": opened[0].header,
        "longest": longest,
    }
    size = sum(file.stat().st_size for file in files)
    return _dataset(
        name, guess, form, source, kinds, stream, counting, longest, size, _identity(files), {**facts, **_mixed_labels(opened, guess.roles)}
    )


def _only(one: _Opened) -> tables.Stream:
    """The stream of a file that may lack some of the columns that another one has."""
    import polars as pl

    def stream(columns: Sequence[str]) -> Any:
        here = [column for column in columns if column in one.kinds]
        for frame in one.stream(here):
            yield frame.with_columns(pl.lit(None, pl.String).alias(column) for column in columns if column not in one.kinds)

    return stream


class _Opened:
    """One file: column types, how to stream it, whether its first record names the columns, and types seen in each column of the sample."""

    def __init__(
        self, kinds: dict[str, str], stream: tables.Stream, header: bool = True, seen: dict[str, Counter[str]] | None = None
    ) -> None:
        self.kinds, self.stream, self.header, self.seen = kinds, stream, header, seen or {}


def _open(path: Path, form: str, header: str, longest: int | None, counting: _Counting) -> _Opened:
    if form == "parquet":
        kinds, stream = tables.parquet_stream(path)
        return _Opened(kinds, stream)
    if form == "arrow":
        kinds, stream = tables.arrow_stream([path])
        return _Opened(kinds, stream)
    if form == "csv":
        dialect = lines.csv_dialect(path, header, longest)
        sample = next(lines.csv_frames(path, dialect, dialect.names, None, longest), None)
        kinds = {name: _text_kind([] if sample is None else sample[name].head(SAMPLE).to_list()) for name in dialect.names}
        return _Opened(kinds, lambda columns: lines.csv_frames(path, dialect, columns, counting.met, longest), dialect.header)
    if path.suffix.lower() == ".json":
        array = _json_array(path)
        if array is not None:
            kinds, seen = _json_kinds(array)
            frame = _json_frame(array, kinds)
            return _Opened(kinds, tables.frame_stream(frame), True, seen)
    kinds, seen = _json_kinds(lines.json_sample(path, SAMPLE, longest))
    return _Opened(kinds, lambda columns: lines.json_frames(path, columns, counting.met, longest), True, seen)


def rows_of(path: Path, form: str, header: bool, longest: int | None) -> int:
    """Rows of one file."""
    return sum(len(frame) for frame in _open(path, form, "yes" if header else "no", longest, _Counting()).stream(()))


class _Counting:
    """Where faults are counted: in the survey, the one pass that reads everything, and not again in later ones."""

    def __init__(self) -> None:
        self.met: lines.Met | None = None


def _json_array(path: Path) -> list[Any] | None:
    """The rows of a .json file that holds one array; None where it is JSON lines."""
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"["):
        return None
    if path.stat().st_size > LARGEST_JSON:
        raise DataError(
            f"{path}: one JSON array of {path.stat().st_size:,} bytes; at most {LARGEST_JSON:,} are read. Save it as JSONL, which is streamed"
        )
    try:
        held = json.loads(path.read_bytes().decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not all(isinstance(row, dict) for row in held):
        raise DataError(f"{path}: an array whose entries are no objects. Write [{{...}}, {{...}}]")
    return held


def _json_frame(rows: list[Any], kinds: Mapping[str, str]) -> pl.DataFrame:
    import polars as pl

    text = "\n".join(json.dumps(row, default=str) for row in rows).encode()
    return (
        pl.read_ndjson(io.BytesIO(text), schema=dict.fromkeys(kinds, pl.String))
        if rows
        else pl.DataFrame(schema=dict.fromkeys(kinds, pl.String))
    )


def _json_kinds(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    seen: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.items():
            seen.setdefault(str(name), Counter())[_kind(value)] += 1
    kinds = {}
    for name, counts in seen.items():
        known = [kind for kind in counts if kind != "empty"]
        kinds[name] = known[0] if len(known) == 1 else "mixed" if known else "text"
    return kinds, seen


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "nested"


def _text_kind(texts: Sequence[str | None]) -> str:
    filled = [text.strip().lower() for text in texts if text and text.strip()]
    numbers = sum(_is_number(text) for text in filled)
    if filled and all(text in ("true", "false") for text in filled):
        return "true/false"
    # a stray word among numbers does not make a column of texts
    return "number" if filled and numbers >= 0.9 * len(filled) else "text"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _mixed_labels(opened: Sequence[_Opened], roles: Mapping[str, str]) -> dict[str, Any]:
    """Types of the label's values in the sample, where there is more than one."""
    seen: Counter[str] = Counter()
    for one in opened:
        seen.update({kind: count for kind, count in one.seen.get(roles.get("label", ""), Counter()).items() if kind != "empty"})
    return {"label_types": dict(seen)} if len(seen) > 1 else {}


def _file_labels(source: Path, files: Sequence[Path]) -> list[str]:
    """A name a file: its stem; of a sharded file (train-00000-of-00002) the part before the number; of data-*.arrow its folder."""
    labels = []
    for file in files:
        stem = file.name.split(".")[0]
        head = stem.split("-0")[0]
        labels.append(file.parent.name if head == "data" and file.parent != source else head)
    return labels


def _sample(stream: tables.Stream, columns: list[str]) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {column: [] for column in columns}
    for frame in stream(columns):
        for column in columns:
            found[column] += frame[column].head(SAMPLE - len(found[column])).to_list()
        if len(found[columns[0]]) >= SAMPLE:
            break
    return found


def _dataset(
    name: str, guess: Any, form: str, source: Path | None, kinds: dict[str, str], stream: tables.Stream, counting: _Counting, longest: int | None, size: int, identity: str, origin: dict[str, Any]
) -> Dataset:  # fmt: skip
    shell = Dataset(
        name=name, kind=guess.kind, form=form, source=source, rows=0, columns=kinds, roles=guess.roles, guessed=guess.guessed, faults=(), identity=identity, size=size,
        stream=stream, prints=None, values={}, origin=origin,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    inputs = shell.input_columns if guess.kind != "responses" else ()
    counting.met = met = lines.Met()
    prints, values = survey(stream(columns_needed(inputs, guess.roles) or list(kinds)[:1]), inputs, guess.roles)
    counting.met = None
    return replace(shell, rows=len(prints), prints=prints, values=values, faults=_faults(met, longest))


def _faults(met: lines.Met, longest: int | None) -> tuple[Fault, ...]:
    most = longest or lines.LONGEST_LINE
    return tuple(
        Fault(
            kind=kind,
            what=_ADVICE[kind][0].format(most=most),
            count=count,
            rows=tuple(row for row in rows if row >= 0),
            advice=_ADVICE[kind][1],
        )
        for kind, (count, rows) in met.faults.items()
    )


def _identity(files: Sequence[Path]) -> str:
    """Hash of paths, sizes and times of change: a file that was changed is another data set."""
    return digest([[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files])


def _from_memory(source: Any, named: dict[str, str]) -> Dataset:
    if isinstance(source, tuple) and len(source) == 2 and all(hasattr(one, "shape") for one in source):
        return _from_arrays(
            "arrays", "memory", None, from_mapping({"x": np.asarray(source[0]), "y": np.asarray(source[1])}, {}, "arrays"), named
        )
    if (
        isinstance(source, Mapping)
        and source
        and all(isinstance(one, np.ndarray) for one in source.values())
        and any(one.ndim > 1 for one in source.values())
    ):
        return _from_arrays("arrays", "memory", None, from_mapping(source, named, "arrays"), named)
    if isinstance(source, np.ndarray):
        return _from_arrays("arrays", "memory", None, Arrays(x=source), named)
    frame = tables.plain_frame(source)
    if not len(frame) or not frame.width:
        raise DataError("the frame has no row. There is nothing to audit")
    stream = tables.frame_stream(frame)
    kinds = {
        column: tables.column_type(dtype) if dtype.__class__.__name__ != "Object" else "mixed" for column, dtype in frame.schema.items()
    }
    sample = _sample(stream, list(kinds))
    guess = assign("frame", sample, named, kinds)
    identity = digest(
        [
            list(frame.columns),
            [
                int(frame.select(part).hash_rows(seed).sum())
                for part in ([name] for name in frame.columns if frame[name].dtype.__class__.__name__ != "Object")
                for seed in (1, 2)
            ],
        ]
    )
    return _dataset(
        "frame", guess, "memory", None, kinds, stream, _Counting(), None, int(frame.estimated_size()), identity, {"frame": frame}
    )


def _from_arrays(name: str, form: str, source: Path | None, arrays: Arrays, named: Mapping[str, str]) -> Dataset:
    import polars as pl

    if not len(arrays.x):
        raise DataError(f"{source or name}: has no row. There is nothing to audit")
    columns = {
        role: [str(one) for one in part.tolist()]
        for role in ("label", "split", "group")
        if (part := getattr(arrays, role)) is not None and named.get(role) != "none"
    }
    frame = (
        pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
        if columns
        else pl.DataFrame({"row": [str(row) for row in range(len(arrays.x))]})
    )
    return _arrays_dataset(name, form, source, arrays.x, frame, {role: role for role in columns}, (), {"keys": arrays.keys})


def _arrays_dataset(
    name: str, form: str, source: Path | None, x: np.ndarray, frame: pl.DataFrame, roles: dict[str, str], faults: tuple[Fault, ...], origin: Mapping[str, Any] | None = None
) -> Dataset:  # fmt: skip
    prints, values = of_arrays((np.ascontiguousarray(row) for row in x), frame, roles)
    identity = digest([name, [int(prints[column].sum()) for column in prints.columns if prints[column].dtype.is_integer()], list(x.shape)])
    return Dataset(
        name=name, kind="arrays", form=form, source=source, rows=len(x), columns=dict.fromkeys(frame.columns, "text"), roles=roles, guessed=frozenset(roles), faults=faults, identity=identity,
        size=source.stat().st_size if source is not None and source.is_file() else int(x.nbytes), stream=tables.frame_stream(frame), prints=prints, values=values, array=x, origin=dict(origin or {}),
    )  # fmt: skip
