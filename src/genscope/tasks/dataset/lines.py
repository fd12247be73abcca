"""Files of lines, streamed: blocks of whole JSONL or CSV records, parsed by polars, never more than a block in memory.

A record longer than LONGEST_LINE is left out and counted. A JSON line that cannot be parsed becomes a row without values, so that the others keep their number.
CSV records may hold line breaks inside quotes; a block ends only where the number of quotes is even.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genscope.core.errors import DataError
from genscope.core.text import shorten

if TYPE_CHECKING:
    import polars as pl

BLOCK = 4 << 20
"""Bytes read at a time."""
LONGEST_LINE = 64 << 20
"""Bytes of a record that are read at most."""
LARGEST_UNPACKED = 1 << 36
"""Bytes that a gzip file may unpack to (64 GiB)."""
LARGEST_RATIO = 1_000
"""Times its own size that a gzip file may unpack to, beyond the first 256 MB (deflate's own limit is about 1,032)."""
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
FAULT_ROWS = 20


@dataclass(slots=True)
class Met:
    """What a pass over the file has met so far: kind of fault -> [count, first rows]."""

    faults: dict[str, tuple[int, list[int]]] = field(default_factory=dict)

    def add(self, kind: str, row: int, count: int = 1) -> None:
        """One more of a kind."""
        before, rows = self.faults.get(kind, (0, []))
        self.faults[kind] = (before + count, [*rows, row] if len(rows) < FAULT_ROWS else rows)


def open_bytes(path: Path) -> IO[bytes]:
    """The file, unpacked if its name ends in .gz."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # pyright: ignore[reportReturnType]


def blocks(path: Path, met: Met | None = None, quote: bool = False, longest: int | None = None, size: int = BLOCK) -> Iterator[bytes]:
    """Whole records, about `size` bytes at a time; too long ones are left out and counted. `quote`: line breaks inside double quotes end no record."""
    most = longest or LONGEST_LINE
    carry, skipping, unpacked, first = b"", False, 0, True
    packed = path.stat().st_size if path.suffix.lower() == ".gz" else 0
    with open_bytes(path) as file:
        while True:
            try:
                part = file.read(size)
            except (OSError, EOFError) as error:
                raise DataError(f"{path}: cannot be read ({error}). The file is damaged or not packed by gzip") from error
            unpacked += len(part)
            if packed and (unpacked > LARGEST_UNPACKED or (unpacked > 256 << 20 and unpacked > LARGEST_RATIO * packed)):
                raise DataError(
                    f"{path}: unpacks to more than {unpacked:,} bytes from {packed:,}; that is a bomb, or give the unpacked file"
                )
            if first:
                part, first = _begin(path, part), False
            if skipping:
                end = part.find(b"\n")
                if end < 0 and part:
                    continue
                part, skipping = part[end + 1 :], False
            data = carry + part
            last = len(part) == 0
            cut = len(data) if last else _cut(data, quote)
            if cut:
                yield from _short_enough(data[:cut], most, met)
            carry = data[cut:]
            if len(carry) > most:
                carry, skipping = b"", True
                if met is not None:
                    met.add("too long", -1)
            if last:
                return


def _begin(path: Path, part: bytes) -> bytes:
    for mark, name in _BOMS:
        if part.startswith(mark):
            raise DataError(f"{path}: is {name}, not UTF-8. Convert it: iconv -f {name} -t utf-8 {path.name} > utf8-{path.name}")
    return part.removeprefix(b"\xef\xbb\xbf")


def _cut(data: bytes, quote: bool) -> int:
    """Length of the whole records at the beginning of `data`."""
    cut = data.rfind(b"\n") + 1
    if not quote or not cut:
        return cut
    quotes = data.count(b'"', 0, cut)
    while cut and quotes % 2:
        mark = data.rfind(b'"', 0, cut)
        quotes -= 1
        cut = data.rfind(b"\n", 0, mark) + 1
        quotes -= data.count(b'"', cut, mark)
    return cut


def _short_enough(data: bytes, most: int, met: Met | None) -> Iterator[bytes]:
    """The block without the records beyond the limit (only a block that is itself longer can hold one)."""
    if len(data) <= most:
        yield data
        return
    lines = data.splitlines(keepends=True)
    long = [line for line in lines if len(line) > most]
    if met is not None and long:
        met.add("too long", -1, len(long))
    yield b"".join(line for line in lines if len(line) <= most)


def json_frames(path: Path, columns: Sequence[str], met: Met | None = None, longest: int | None = None) -> Iterator[pl.DataFrame]:
    """The named columns of a JSONL file as text; a value that is no text keeps its JSON form."""
    row = 0
    for block in blocks(path, met, longest=longest):
        frame = _json_frame(block, columns, met, row)
        row += len(frame)
        if len(frame):
            yield frame


def _json_frame(block: bytes, columns: Sequence[str], met: Met | None, row: int) -> pl.DataFrame:
    import polars as pl

    schema = dict.fromkeys(columns or ("",), pl.String)
    if not block.strip():
        return pl.DataFrame(schema=schema)
    try:
        return pl.read_ndjson(io.BytesIO(block), schema=schema)
    except pl.exceptions.PolarsError:
        mended = b"\n".join(_mended(line, row + place, met) for place, line in enumerate(records(block)))
        return pl.read_ndjson(io.BytesIO(mended), schema=schema)


def records(block: bytes) -> list[bytes]:
    """The lines of a block that are not blank; only a line feed ends one."""
    return [line for line in block.split(b"\n") if line.strip()]


def _mended(line: bytes, row: int, met: Met | None) -> bytes:
    """The line as JSON that polars reads: undecodable bytes replaced, and {} for what is no JSON object."""
    text = line.decode("utf-8", "replace")
    value: object = None
    try:
        value = json.loads(text)
        kind = "" if isinstance(value, dict) else "not an object"
    except (ValueError, RecursionError):
        kind = "not JSON"
    if met is not None:
        if kind:
            met.add(kind, row)
        elif "\ufffd" in text:
            met.add("undecodable", row)
    if kind:
        return b"{}"
    # NaN and infinities are no JSON, but Python's reader takes them: they are kept as text
    return json.dumps(_plain(value), ensure_ascii=True).encode()


def _plain(value: object) -> object:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def json_sample(path: Path, most: int, longest: int | None = None) -> list[dict[str, object]]:
    """The objects of the first `most` lines; DataError if not one line is a JSON object."""
    rows: list[dict[str, object]] = []
    tried, bad = 0, b""
    for block in blocks(path, longest=longest):
        for line in records(block):
            tried += 1
            try:
                value = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                rows.append(value)
            else:
                bad = bad or line
            if tried >= most:
                break
        if tried >= most:
            break
    if not rows and tried:
        raise DataError(
            f"{path}: the first {tried} lines are no JSON objects; one begins {shorten(bad[:80].decode('utf-8', 'replace'), 60)!r}. JSONL has one object a line"
        )
    return rows


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written: its separator, whether quotes count, whether the first record names the columns, and the names."""

    separator: str
    quote: bool
    header: bool
    names: tuple[str, ...]


def csv_dialect(path: Path, header: str, longest: int | None = None) -> Dialect:
    """Read off the first records. header: "yes", "no", or "auto": no header if a cell of the first record is a number, empty, twice there or longer than 60 characters."""
    block = next(blocks(path, quote=".tsv" not in path.suffixes, longest=longest), b"")
    first = block[:1_000_000].decode("utf-8", "replace").lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    if not first.strip():
        raise DataError(f"{path}: is empty. Give a file with a header and at least one row")
    separator = "\t" if ".tsv" in path.suffixes else max(",;\t|", key=first.count)
    quote = separator != "\t"
    cells = next(csv.reader([first], delimiter=separator, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE))
    names = [cell.strip() for cell in cells]
    looks = all(names) and len(set(names)) == len(names) and all(len(name) <= 60 and not _number(name) for name in names)
    named = header == "yes" or (header == "auto" and looks)
    if named and (len(set(names)) != len(names) or not all(names)):
        names = [name if name and names.index(name) == place else f"{name or 'column'}_{place + 1}" for place, name in enumerate(names)]
    return Dialect(separator, quote, named, tuple(names) if named else tuple(f"column_{place + 1}" for place in range(len(names))))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def csv_frames(
    path: Path, dialect: Dialect, columns: Sequence[str], met: Met | None = None, longest: int | None = None
) -> Iterator[pl.DataFrame]:
    """The named columns of a CSV file as text; records with too many cells lose the last ones, with too few get empty ones, and both are counted."""
    row, header = 0, dialect.header
    for block in blocks(path, met, dialect.quote, longest):
        frame = _csv_frame(block, dialect, header, met, row)
        header = header and not block.strip()
        row += len(frame)
        if len(frame):
            yield frame.select(columns or frame.columns[:1])


def _csv_frame(block: bytes, dialect: Dialect, header: bool, met: Met | None, row: int) -> pl.DataFrame:
    import polars as pl

    schema = dict.fromkeys(dialect.names, pl.String)
    if not block.strip():
        return pl.DataFrame(schema=schema)
    if met is not None:
        _count_bytes(block, dialect, header, met, row)
    frame = None
    try:
        frame = pl.read_csv(
            io.BytesIO(block),
            has_header=header,
            schema=schema,
            separator=dialect.separator,
            quote_char='"' if dialect.quote else None,
            encoding="utf8-lossy",
            empty_string_is_null=True,
        )
        suspect = frame[frame.columns[-1]].null_count() > 0 or b"\n\n" in block or b"\n\r\n" in block
    except pl.exceptions.PolarsError:
        suspect = True
    return _csv_slowly(block, dialect, header, met, row) if suspect or frame is None else frame


def _csv_slowly(block: bytes, dialect: Dialect, header: bool, met: Met | None, row: int) -> pl.DataFrame:
    """Record by record, counting the ragged ones."""
    import polars as pl

    rows, width = [], len(dialect.names)
    for cells in csv_records(block, dialect)[header:]:
        if len(cells) != width and met is not None:
            met.add("ragged", row + len(rows))
        rows.append([cell or None for cell in cells[:width]] + [None] * (width - len(cells)))
    return pl.DataFrame(rows, schema=dict.fromkeys(dialect.names, pl.String), orient="row")


def csv_records(block: bytes, dialect: Dialect) -> list[list[str]]:
    """The records of a block; blank lines are none."""
    text = block.decode("utf-8", "replace").replace("\x00", "\ufffd")
    csv.field_size_limit(LONGEST_LINE)
    try:
        read = csv.reader(
            io.StringIO(text, newline=""), delimiter=dialect.separator, quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
        )
        return [cells for cells in read if cells]
    except csv.Error as error:
        raise DataError(f"cannot be read as CSV ({error}). Check the quotes, or save the file as JSONL") from error


def _count_bytes(block: bytes, dialect: Dialect, header: bool, met: Met, row: int) -> None:
    """Count the records with bytes that are no UTF-8."""
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        for place, cells in enumerate(csv_records(block, dialect)[header:]):
            if any("\ufffd" in cell for cell in cells):
                met.add("undecodable", row + place)
