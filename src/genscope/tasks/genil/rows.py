"""GeniL (Davani, Gubbi, Dev, Dave, Prabhakaran 2024): web sentences in nine languages that mention a group and an attribute; does the sentence generalize?

The sentences contain offensive stereotypes: nothing in genscope prints one unless asked, and rows are named by language and number. The data card
forbids training generators of stereotypes on them. Source: arXiv 2404.05866; the nine CSV files of google-research-datasets/GeniL (CC-BY-4.0).
"""

from __future__ import annotations

import csv
import gzip
import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from genscope.core.errors import DataError, UsageError, unknown
from genscope.tasks.images import data_folder

GENIL = "12-genil"
LANGUAGES = ("ar", "bn", "en", "es", "fr", "hi", "id", "ms", "pt")
COLUMNS = ("sentence", "generalizing", "promoting", "identity", "attribute")
LARGEST = 200_000_000
"""Bytes that an unpacked file may have."""
LONGEST = 20_000
"""Characters that a sentence, identity or attribute may have."""
MISSING = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows by column. generalizing: 0 or 1; promoting: 1, 0 (mentioning), or -1 where it is not known or means nothing (row not generalizing).

    number: place in the language's file, from 0; found: what the loader mended or left out, by name.
    """

    language: tuple[str, ...]
    number: Int[np.ndarray, " n"]
    sentence: tuple[str, ...]
    identity: tuple[str, ...]
    attribute: tuple[str, ...]
    generalizing: Int[np.ndarray, " n"]
    promoting: Int[np.ndarray, " n"]
    found: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sentence)

    def ids(self) -> list[str]:
        """Names of rows that show no text: "en:17"."""
        return [f"{language}:{number}" for language, number in zip(self.language, self.number, strict=True)]

    def take(self, places: Sequence[int] | np.ndarray) -> Rows:
        """These rows, in this order."""
        at = np.asarray(places, dtype=int)
        columns = {name: tuple(getattr(self, name)[k] for k in at) for name in ("language", "sentence", "identity", "attribute")}
        arrays = {name: getattr(self, name)[at] for name in ("number", "generalizing", "promoting")}
        return Rows(**columns, **arrays, found=self.found)

    def relabelled(self, generalizing: np.ndarray) -> Rows:
        """The same rows with other labels: for placebos."""
        return Rows(
            language=self.language, number=self.number, sentence=self.sentence, identity=self.identity, attribute=self.attribute,
            generalizing=np.asarray(generalizing, dtype=np.int8), promoting=self.promoting, found=self.found,
        )  # fmt: skip

    def pairs(self) -> list[tuple[str, str, str]]:
        """(language, identity, attribute) in lower case: the unit of `unseen-pair` and of the bootstrap."""
        return [
            (language, identity.lower(), attribute.lower())
            for language, identity, attribute in zip(self.language, self.identity, self.attribute, strict=True)
        ]


def load(languages: Sequence[str] | None = None, folder: Path | None = None) -> Rows:
    """Rows of these languages (all nine by default), without repeats of an earlier (sentence, identity, attribute).

    Every column is read as text, so that an attribute "NA" stays a word; text is brought to NFC; blank `promoting` is missing, never 0. `found` counts:
    rows_read, repeats (left out), conflicting_repeats (of these, with another label than the row that is kept), empty (left out), promoting_missing
    (generalizing rows without it), not_nfc.
    """
    wanted = tuple(languages or LANGUAGES)
    for language in wanted:
        if language not in LANGUAGES:
            raise UsageError(unknown("GeniL language", language, LANGUAGES))
    where = folder or data_folder(GENIL, "GeniL", "https://github.com/google-research-datasets/GeniL (folder dataset; CC-BY-4.0)")
    found: dict[str, int] = dict.fromkeys(("rows_read", "repeats", "conflicting_repeats", "empty", "promoting_missing", "not_nfc"), 0)
    kept: list[tuple[str, int, str, str, str, int, int]] = []
    for language in wanted:
        seen: dict[tuple[str, str, str], int] = {}
        for number, raw in enumerate(_read(where, language)):
            found["rows_read"] += 1
            text = {name: unicodedata.normalize("NFC", raw[name]).strip() for name in ("sentence", "identity", "attribute")}
            found["not_nfc"] += text["sentence"] != raw["sentence"].strip()
            label = _binary(raw["generalizing"], "generalizing", language, number)
            key = (text["sentence"], text["identity"], text["attribute"])
            if not all(key):
                found["empty"] += 1
                continue
            if key in seen:
                found["repeats"] += 1
                found["conflicting_repeats"] += seen[key] != label
                continue
            seen[key] = label
            blank = not raw["promoting"].strip()
            found["promoting_missing"] += label == 1 and blank
            promoting = MISSING if blank or label == 0 else _binary(raw["promoting"], "promoting", language, number)
            kept.append((language, number, *key, label, promoting))
    columns = list(zip(*kept, strict=True)) if kept else [()] * 7
    return Rows(
        language=columns[0], number=np.array(columns[1], dtype=np.int64), sentence=columns[2], identity=columns[3], attribute=columns[4],
        generalizing=np.array(columns[5], dtype=np.int8), promoting=np.array(columns[6], dtype=np.int8), found=found,
    )  # fmt: skip


def _read(folder: Path, language: str) -> Iterator[dict[str, str]]:
    path = next((folder / name for name in (f"{language}.csv.gz", f"{language}.csv") if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"{folder}: no file {language}.csv.gz or {language}.csv")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise DataError(f"{path}: more than {LARGEST:,} bytes unpacked; a GeniL file has about one million")
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start:,}). Save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    lacking = sorted(set(COLUMNS) - set(reader.fieldnames or ()))
    if lacking:
        raise DataError(f"{path}: no column {', '.join(lacking)}; a GeniL file has {', '.join(COLUMNS)}")
    try:
        for number, row in enumerate(reader):
            if any(row[name] is None for name in COLUMNS):
                raise DataError(f"{path}: row {number} has too few fields")
            if max(len(row[name]) for name in COLUMNS) > LONGEST:
                raise DataError(f"{path}: row {number} has a field of more than {LONGEST:,} characters; is a quote left open?")
            yield {name: row[name] for name in COLUMNS}
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})") from error


def _binary(text: str, column: str, language: str, number: int) -> int:
    value = text.strip()
    if value not in ("0", "1", "0.0", "1.0"):
        raise DataError(f"GeniL {language}, row {number}: {column} must be 0 or 1, got {value[:20]!r}")
    return int(value[0])
