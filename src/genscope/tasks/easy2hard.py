"""Easy2Hard-Bench's six sets in their column format: questions with a continuous difficulty (rating in [0, 1]) and its uncertainty.

Read from a CSV, JSONL or Parquet file, or a folder of Parquet or Arrow files as the hub and `datasets.save_to_disk` leave them
(`furonghuang-lab/Easy2Hard-Bench`, CC-BY-SA 4.0; not part of this package). Columns of all sets: rating, rating_std, rating_quantile, unnorm_rating,
unnorm_rating_std. A set is told by its other columns. Source: Ding et al. 2024 (arXiv 2409.18433).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.errors import DataError
from genscope.core.example import Example
from genscope.core.text import clean, shorten
from genscope.tasks.blanks import blank_from_row
from genscope.tasks.chess_move import ChessMove
from genscope.tasks.contest_program import ContestProgram
from genscope.tasks.questions import Asked, QuestionsTask

if TYPE_CHECKING:
    import polars as pl

RATINGS = ("rating", "rating_std", "rating_quantile", "unnorm_rating", "unnorm_rating_std")
_NUMBER = re.compile(r"-?[\d,]*\.?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class E2HSet:
    """One set. examples: in file order, factors hold the ratings and the set's tags; difficulty: table of the notion "human" (AMC), "irt" or "glicko2", raw scale;
    skipped: rows that could not be read, with the first reason.
    """

    name: str
    task: Asked
    examples: tuple[Example, ...]
    ratings: tuple[float, ...]
    skipped: int
    reason: str

    def difficulty(self) -> pl.DataFrame:
        """The ratings as a difficulty table; sd and raw values as the set has them."""
        from genscope.core.difficulty import Difficulty, difficulty_frame

        rows = {}
        for example in self.examples:
            value, sd = example.factors.get("unnorm_rating"), example.factors.get("unnorm_rating_std")
            rows[example.id] = Difficulty(
                example=example.id,
                notion=_KINDS[self.name].notion,
                value=example.factors["rating"] if value is None else value,
                sd=sd if value is not None else example.factors.get("rating_std"),
            )
        return difficulty_frame(rows.values())


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a set is told and read. needs: columns that tell it; notion: of its ratings; make: row -> (input, target, factors); task: scorer."""

    needs: tuple[str, ...]
    notion: str
    make: Callable[[Mapping[str, Any]], tuple[dict[str, Any], Any]]
    task: Callable[[str], Asked]
    tags: tuple[str, ...] = ()


def _amc(row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    return {"question": _text(row["problem"])}, _text(row["answer"])


def _arc(row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    choices = row["choices"]
    if not isinstance(choices, Mapping) or len(choices.get("label") or ()) != len(choices.get("text") or ()) or not choices["label"]:
        raise DataError("choices must hold label and text of the same length")
    labels = [str(one) for one in choices["label"]]
    if str(row["answerKey"]) not in labels:
        raise DataError(f"answerKey {shorten(str(row['answerKey']), 20)!r} is none of {', '.join(labels)}")
    return {"question": _text(row["question"]), "choices": [_text(one) for one in choices["text"]]}, labels.index(str(row["answerKey"]))


def _gsm8k(row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    found = _NUMBER.search(str(row["answer"]).rsplit("####", 1)[-1])
    if found is None:
        raise DataError(f"no number after #### in the answer {shorten(str(row['answer'])[-40:], 40)!r}")
    return {"question": _text(row["question"])}, float(found[0].replace(",", ""))


def _winogrande(row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    blank = blank_from_row(row)
    return {"question": f"Which option fits the blank _ in this sentence?\n{blank.sentence}", "choices": list(blank.options)}, blank.right


def _codeforces(row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    inputs, answers = (_texts(row.get(name)) for name in ("inputs", "answers"))
    if not inputs or len(inputs) != len(answers):
        raise DataError(f"{len(inputs)} test inputs and {len(answers)} answers")
    parts = [("", "problem_main"), ("Input", "input_spec"), ("Output", "output_spec"), ("Note", "problem_note")]
    text = "\n\n".join(f"{title}: {_text(row[name])}" if title else _text(row[name]) for title, name in parts if row.get(name))
    samples = [
        f"Sample input:\n{one}\nSample output:\n{two}"
        for one, two in zip(_texts(row.get("sample_inputs")), _texts(row.get("sample_outputs")), strict=False)
    ]
    return {"question": "\n\n".join([text, *samples])}, [[one, two] for one, two in zip(inputs, answers, strict=True)]


def _lichess(row: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    return {"fen": _text(row["fen"]), "pgn": clean(str(row.get("pgn") or ""), 64_000)}, [_text(row["answer_san"]), _text(row["answer_uci"])]


_KINDS: Mapping[str, _Kind] = {
    "E2H-Codeforces": _Kind(
        ("problem_main", "contest_id"), "glicko2", _codeforces, ContestProgram, ("contest_id", "problem_index", "tag", "rating_volatility")
    ),
    "E2H-Lichess": _Kind(("fen", "answer_uci"), "glicko2", _lichess, ChessMove, ("puzzle_id", "tag", "init_num_moves")),
    "E2H-ARC": _Kind(
        ("question", "choices", "answerKey"), "irt", _arc, lambda name: QuestionsTask(name, "choice"), ("id", "model_avg_acc")
    ),
    "E2H-Winogrande": _Kind(
        ("sentence", "option1", "option2"), "irt", _winogrande, lambda name: QuestionsTask(name, "choice"), ("model_avg_acc",)
    ),
    "E2H-AMC": _Kind(
        ("problem", "answer", "contest"),
        "human",
        _amc,
        lambda name: QuestionsTask(name, "exact"),
        ("contest", "year", "tag", "item_difficulty"),
    ),
    "E2H-GSM8K": _Kind(
        ("question", "answer", "model_avg_acc"), "irt", _gsm8k, lambda name: QuestionsTask(name, "number"), ("model_avg_acc",)
    ),
}
"""Sets in the order in which they are told apart."""
NAMES = tuple(sorted(_KINDS))


def set_of(columns: Sequence[str]) -> str | None:
    """The set that a file with these columns belongs to; None where it is none of the six."""
    there = set(columns)
    if "rating" not in there:
        return None
    return next((name for name, kind in _KINDS.items() if there >= set(kind.needs)), None)


def is_easy2hard(path: Path) -> bool:
    """Whether a file or folder is one of the six sets; False for anything that cannot be read."""
    import polars as pl

    try:
        if path.is_dir() or path.suffix.lower() == ".arrow":
            return set_of(table(path).columns) is not None
        match path.suffix.lower():
            case ".parquet":
                return set_of(list(pl.read_parquet_schema(path))) is not None
            case ".csv":
                return set_of(pl.read_csv(path, n_rows=1).columns) is not None
            case ".jsonl" | ".ndjson":
                return set_of(pl.read_ndjson(path, n_rows=1).columns) is not None
    except (DataError, OSError, UnicodeDecodeError, pl.exceptions.PolarsError):
        return False
    return False


def read(path: Path, most: int | None = None) -> E2HSet:
    """Read a set. most: rows at most. DataError: no such file, none of the six sets, no row that can be read, a rating that is no number in [0, 1]."""
    return from_frame(table(path), str(path), most)


def from_frame(frame: pl.DataFrame, where: str, most: int | None = None) -> E2HSet:
    """A set from a polars frame with the columns of the hub."""
    name = set_of(frame.columns)
    if name is None:
        raise DataError(
            f"{where}: not in the column format of Easy2Hard-Bench (rating and the columns of one of {', '.join(NAMES)}); columns: {', '.join(frame.columns[:20])}"
        )
    kind = _KINDS[name]
    task, examples, ratings, skipped, reason = kind.task(name), [], [], 0, ""
    for number, row in enumerate(frame.head(most).iter_rows(named=True) if most is not None else frame.iter_rows(named=True)):
        try:
            asked, target = kind.make(row)
            factors = _factors(row, kind, number)
        except (DataError, KeyError, TypeError) as error:
            skipped, reason = skipped + 1, reason or f"row {number}: {error}"
            continue
        examples.append(Example(task=name, input=asked, target=target, index=len(examples), factors=factors))
        ratings.append(factors["rating"])
    if not examples:
        raise DataError(f"{where}: no row of {name} could be read. {reason or 'The file is empty'}")
    return E2HSet(name=name, task=task, examples=tuple(examples), ratings=tuple(ratings), skipped=skipped, reason=reason)


def _factors(row: Mapping[str, Any], kind: _Kind, number: int) -> dict[str, Any]:
    values = {name: None if row.get(name) is None else float(row[name]) for name in RATINGS}
    if values["rating"] is None or not 0 <= values["rating"] <= 1:
        raise DataError(f"rating must be in [0, 1], got {values['rating']}")
    if values["rating_std"] is not None and values["rating_std"] < 0:
        raise DataError(f"rating_std must be 0 or more, got {values['rating_std']}")
    tags = {
        name: row[name] if isinstance(row[name], (int, float)) else shorten(str(row[name]), 80)
        for name in kind.tags
        if row.get(name) is not None
    }
    return {
        "id": str(row.get("id") or row.get("puzzle_id") or number),
        **{name: value for name, value in values.items() if value is not None},
        **tags,
    }


def table(path: Path) -> pl.DataFrame:
    """The rows of a file, or of all Parquet, Arrow or JSONL files of a folder (sorted by name)."""
    import polars as pl

    if path.is_dir():
        files = [file for suffix in ("*.parquet", "*.arrow", "*.jsonl") for file in sorted(path.rglob(suffix))]
        if not files:
            raise DataError(f"{path}: no Parquet, Arrow or JSONL file in this folder")
        return pl.concat([table(file) for file in files], how="diagonal_relaxed")
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    try:
        match path.suffix.lower():
            case ".parquet":
                return pl.read_parquet(path)
            case ".arrow":
                return pl.read_ipc_stream(path)
            case ".jsonl" | ".ndjson":
                return pl.read_ndjson(path, infer_schema_length=None)
            case ".csv":
                return pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read: {shorten(str(error))}") from error
    raise DataError(f"{path}: unknown kind of file {path.suffix!r}. Give .parquet, .arrow, .jsonl or .csv")


def _text(value: Any) -> str:
    text = clean(str(value), 64_000)
    if value is None or not text.strip():
        raise DataError("an empty field")
    return text


def _texts(value: Any) -> list[str]:
    return [clean(str(one), 1_000_000) for one in value] if isinstance(value, (list, tuple)) else []
