"""The user's own questions from a CSV, JSONL or Parquet file, as a task with the same rows, scores and intervals as every other.

Scorers: exact (text, case and outer punctuation aside), number (equal within 1e-6 relative), choice (a letter or the option's text),
list (the same numbers in the same order).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from genscope.core.card import Card
from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.example import Example
from genscope.core.text import clean, shorten
from genscope.tasks.task import How, Score, Task

Scorer = Literal["exact", "number", "choice", "list"]
LARGEST = 500_000_000
"""Bytes of a questions file that are read at most."""
LONGEST = 64_000
"""Characters of a question that are kept."""
_NAMES = {
    "input": ("input", "question", "prompt", "problem", "text", "query"),
    "target": ("target", "answer", "label", "gold", "output", "solution", "expected"),
    "level": ("level", "difficulty", "complexity"),
    "split": ("split", "subset", "partition"),
    "id": ("id", "uid", "question_id", "example_id"),
    "choices": ("choices", "options"),
    "difficulty": ("rating", "irt_b", "irt"),
}
LEVELS = 24
"""Different numbers from which a guessed level column is taken for a difficulty on a continuous scale."""
_ANSWER_IS = re.compile(r"answer(?:\s{1,8}is\s{0,8}:?|\s{0,8}:)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")
_NUMBERS = re.compile(r"\[([^\[\]]*)\]")


class Asked(Protocol):
    """What a model is asked by: a task that renders, states the form of the answer, and grades."""

    name: str
    scorer: str

    def prompt(self, example: Example) -> str: ...

    def answer_rule(self) -> str: ...

    def score(self, example: Example, reply: str) -> Score: ...

    def chance(self, example: Example) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFile:
    """What was read: the task, its examples in file order, and which column was taken for what (shown to the user)."""

    task: Asked
    examples: tuple[Example, ...]
    columns: dict[str, str]
    skipped: int
    """Rows without a question or an answer."""


class QuestionsTask(Task):
    """Questions of a file with one scorer for all of them."""

    version = 1
    level = None
    card = Card(motivation="practical", type="robustness", shift="assumed", source="naturally occurring", locus="pretrain-test")

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name, self.title = name, name
        self.scorer: str = scorer

    def prompt(self, example: Example) -> str:
        """The question, with its options by letter if it has some."""
        options = example.input.get("choices") or ()
        lines = [f"{_letter(place)}. {option}" for place, option in enumerate(options)]
        return "\n".join([example.input["question"], *lines])

    def answer_rule(self) -> str:
        """The answer format that is asked for."""
        form = {"exact": "<ANSWER>", "number": "<NUMBER>", "choice": "<LETTER>", "list": "[<NUMBER>, <NUMBER>, ...]"}[self.scorer]
        return f'End your reply with "The answer is {form}".'

    def score(self, example: Example, reply: str) -> Score:
        """Parse and grade; the text after the last "answer is" counts (strict), else the reply's end (fallback)."""
        text = clean(reply)
        marks = list(_ANSWER_IS.finditer(text))
        tail = text[marks[-1].end() :] if marks else ""
        for part, how in ((tail, "strict"), (text, "fallback")):
            value = self._read(part, example, last=how == "fallback") if part.strip() else None
            if value is not None:
                return Score(correct=self._same(value, example), parsed=True, how=_how(how), value=value)
        return Score(correct=False, parsed=False, how="none")

    def chance(self, example: Example) -> float:
        """1 / number of options for choice, else 0."""
        options = example.input.get("choices") or ()
        return 1 / len(options) if self.scorer == "choice" and options else 0.0

    def _read(self, text: str, example: Example, last: bool) -> Any:
        if self.scorer == "number":
            found = _NUMBER.findall(text)
            return float(found[-1 if last else 0].replace(",", "").replace("−", "-")) if found else None
        if self.scorer == "list":
            found = _NUMBERS.findall(text)
            return [float(x) for x in _NUMBER.findall(found[-1])] if found else None
        if self.scorer == "choice":
            return _option(text, example.input.get("choices") or (), last)
        lines = [line for line in text.strip().splitlines() if line.strip()]
        value = _normal(lines[-1 if last else 0]) if lines else ""
        return value or None

    def _same(self, value: Any, example: Example) -> bool:
        target = example.target
        if self.scorer == "number":
            return math.isclose(value, float(target), rel_tol=1e-6, abs_tol=1e-9)
        if self.scorer == "list":
            return len(value) == len(target) and all(
                math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(value, target, strict=True)
            )
        if self.scorer == "choice":
            return value == target
        return value == _normal(str(target))


def load(path: Path, named: Mapping[str, str]) -> QuestionFile:
    """Read a questions file. `named` maps input, target, level, split, id, choices to columns and `scorer` to a scorer; the rest is guessed.

    Raises DataError for a missing or unreadable file, a named column that is not there, duplicate ids, or no usable row.
    """
    rows = _rows(path)
    header = list(dict.fromkeys(name for row in rows for name in row))
    columns = _columns(path, header, named)
    if (
        "level" in columns
        and not {"level", "difficulty"} & {*named}
        and "difficulty" not in columns
        and _continuous(rows, columns["level"])
    ):
        columns["difficulty"] = columns.pop("level")
    usable = [row for row in rows if _filled(row.get(columns["input"])) and _filled(row.get(columns["target"]))]
    if not usable:
        raise DataError(
            f"{path}: no row has both a question ({columns['input']}) and an answer ({columns['target']}). Name the columns with --input and --target"
        )
    scorer = _scorer(named.get("scorer"), usable, columns)
    task = QuestionsTask(path.stem, scorer)
    examples, seen, ids = [], {}, columns.get("id")
    order = {name: place for place, name in enumerate(_level_order(usable, columns.get("level")))}
    places: dict[str, int] = {}
    for number, row in enumerate(usable):
        split = clean(str(row.get(columns["split"], "")), 60).strip() if "split" in columns else ""
        level = str(row.get(columns["level"], "")) if "level" in columns else None
        label = str(row.get(ids)) if ids else str(number)
        if label in seen and ids:
            raise DataError(
                f"{path}: the id {shorten(label, 60)!r} stands in more than one row; ids must be different. Name another column with --id"
            )
        seen[label] = True
        examples.append(
            _example(
                task,
                row,
                columns,
                split,
                None if level is None else order[level],
                places.get(split, 0),
                {"id": label, **({"level": level} if level is not None else {}), **_difficulty(row, columns)},
            )
        )
        places[split] = places.get(split, 0) + 1
    shown = {**columns, "scorer": scorer}
    return QuestionFile(task=task, examples=tuple(examples), columns=shown, skipped=len(rows) - len(usable))


def _continuous(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    values = {str(row.get(column, "")) for row in rows}
    return len(values) > LEVELS and all(_is_number(value) for value in values)


def _difficulty(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, float]:
    value = row.get(columns["difficulty"]) if "difficulty" in columns else None
    return {"difficulty": float(str(value).replace(",", ""))} if _is_number(value) else {}


def _example(
    task: QuestionsTask,
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    split: str,
    level: int | None,
    index: int,
    factors: dict[str, Any],
) -> Example:
    question = clean(str(row[columns["input"]]), LONGEST)
    asked: dict[str, Any] = {"question": question}
    target: Any = row[columns["target"]]
    if "choices" in columns and _filled(row.get(columns["choices"])):
        asked["choices"] = [clean(str(option), 2_000) for option in _as_list(row[columns["choices"]])]
    if task.scorer == "choice":
        target = _option(str(target), asked.get("choices", ()), last=False)
        if target is None:
            raise DataError(
                f"the answer {shorten(str(row[columns['target']]), 60)!r} is none of its options. Give a letter, a place (0, 1, ...) or the option's text"
            )
    elif task.scorer == "number":
        target = float(str(target).replace(",", ""))
    elif task.scorer == "list":
        target = [float(x) for x in _as_list(target)]
    else:
        target = clean(str(target), LONGEST)
    return Example(task=task.name, input=asked, target=target, level=level, split=split, index=index, factors=factors)


def _rows(path: Path) -> list[dict[str, Any]]:
    import polars as pl

    if not path.is_file():
        raise DataError(f"--data {path}: no such file. Give a CSV, JSONL or Parquet file")
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes; at most {LARGEST:,} are read. Give a sample of the questions")
    kind = path.suffix.lower()
    try:
        if kind in (".csv", ".tsv"):
            return pl.read_csv(
                path, infer_schema=False, separator="\t" if kind == ".tsv" else ",", encoding="utf8-lossy", truncate_ragged_lines=True
            ).to_dicts()
        if kind == ".parquet":
            return pl.read_parquet(path).to_dicts()
        if kind in (".jsonl", ".ndjson", ".json"):
            return _json_rows(path)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as {kind.removeprefix('.')}: {shorten(str(error))}") from error
    raise DataError(f"{path}: unknown kind of file {kind!r}. Give .csv, .tsv, .jsonl or .parquet")


def _json_rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON: {shorten(line, 60)!r}. A JSONL file has one object a line") from error
        if not isinstance(row, dict):
            raise DataError(f'{path}, line {number}: not an object. Write {{"question": ..., "answer": ...}}')
        rows.append(row)
    return rows


def _columns(path: Path, header: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    columns = {}
    lower = {name.strip().lower(): name for name in header}
    for role, guesses in _NAMES.items():
        if role in named:
            if named[role] not in header:
                raise DataError(f"{path}: --{role}: " + unknown("column", named[role], header))
            columns[role] = named[role]
        else:
            found = next((lower[guess] for guess in guesses if guess in lower), None)
            if found is not None and found not in columns.values():
                columns[role] = found
    for role in ("input", "target"):
        if role not in columns:
            raise DataError(
                f"{path}: cannot tell which column is the {'question' if role == 'input' else 'right answer'}. Name it with --{role}; columns: {', '.join(header) or 'none'}"
            )
    return columns


def _scorer(named: str | None, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Scorer:
    if named is not None:
        if named not in get_args(Scorer):
            raise UsageError(unknown("scorer", named, get_args(Scorer)))
        _check_targets(named, rows, columns)
        return named  # pyright: ignore[reportReturnType]
    targets = [row[columns["target"]] for row in rows]
    if "choices" in columns and all(_filled(row.get(columns["choices"])) for row in rows):
        return "choice"
    if all(_is_number(target) for target in targets):
        return "number"
    if all(isinstance(target, list) or str(target).strip().startswith("[") for target in targets) and all(
        _is_list(target) for target in targets
    ):
        return "list"
    return "exact"


def _check_targets(scorer: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    fits = {"number": _is_number, "list": _is_list}.get(scorer)
    bad = next((row[columns["target"]] for row in rows if fits and not fits(row[columns["target"]])), None)
    if bad is not None:
        raise DataError(
            f"scorer {scorer}: the answer {shorten(str(bad), 60)!r} is not a {scorer}. Choose --scorer exact, or mend the column {columns['target']}"
        )
    if scorer == "choice" and "choices" not in columns:
        raise DataError("scorer choice needs a column of options named choices or options (a JSON list a row)")


def _level_order(rows: Sequence[Mapping[str, Any]], column: str | None) -> list[str]:
    if column is None:
        return []
    names = list(dict.fromkeys(str(row.get(column, "")) for row in rows))
    return sorted(names, key=float) if all(_is_number(name) for name in names) else names


def _filled(value: Any) -> bool:
    return value is not None and str(value).strip() != ""


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, (bool, list, dict)) and math.isfinite(float(str(value).replace(",", "")))
    except ValueError:
        return False


def _is_list(value: Any) -> bool:
    return all(_is_number(item) for item in _as_list(value))


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return [part.strip() for part in re.split(r"[|;]", value)]
    return value if isinstance(value, list) else [value]


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place)


def _option(text: str, options: Sequence[str], last: bool) -> int | None:
    """Place of the option that `text` names: a letter, the option's text, or (as a bare number) its place."""
    plain = _normal(text)
    for place, option in enumerate(options):
        if plain == _normal(option):
            return place
    letters = re.findall(r"(?<![A-Za-z0-9])\(?([A-Z])(?![A-Za-z0-9'])", text.strip()) or re.findall(r"^\(?([a-z])\)?[.:)]?$", text.strip())
    places = [ord(letter.upper()) - ord("A") for letter in letters]
    inside = [place for place in places if place < len(options)]
    if inside:
        return inside[-1 if last else 0]
    if plain.isdigit() and int(plain) < len(options):
        return int(plain)
    return None


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,:;!?\"'`*()[]$")


def _how(how: str) -> How:
    return "strict" if how == "strict" else "fallback"
