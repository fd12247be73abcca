"""Which column plays which role: named by the user, else guessed from names and contents and shown; an unsure guess is an error that says what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genscope.core.difficulty import is_difficulty_table
from genscope.core.errors import DataError, unknown
from genscope.tasks.dataset.value import ROLES, Kind

SAMPLE = 2_000
"""Rows that are looked at."""
NAMES = {
    "text": ("text", "sentence", "question", "prompt", "input", "content", "document", "body", "utterance", "review", "instruction", "query", "problem"),
    "label": ("label", "labels", "target", "answer", "class", "gold", "y", "category", "output", "completion"),
    "split": ("split", "subset", "partition", "fold"),
    "id": ("id", "uid", "guid", "idx", "example_id", "row_id", "question_id"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "author", "user", "user_id", "speaker", "site", "document_id", "conversation_id"),
}  # fmt: skip
RESPONSES = {
    "solver": ("solver", "model", "user", "user_id", "userid", "student", "respondent", "person", "subject"),
    "item": ("item", "item_id", "question_id", "problem_id", "task_id", "doc_id", "example_id", "question"),
    "correct": ("correct", "is_correct", "score", "response", "acc", "outcome", "right"),
}  # fmt: skip
PAIRS = (
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("instruction", "input"),
    ("context", "question"),
)
COUNTS = ("count", "freq", "frequency", "weight", "n")
CLASSES_MOST = 50


@dataclass(frozen=True, slots=True)
class Guess:
    """kind of the data, role -> column, and the roles that nobody named."""

    kind: Kind
    roles: dict[str, str]
    guessed: frozenset[str]


def assign(where: str, sample: Mapping[str, Sequence[str | None]], named: Mapping[str, str], kinds: Mapping[str, str]) -> Guess:
    """Roles of the columns of a sample (column -> texts of the first rows). `named`: role -> column, or "none" for no such role; kinds: column -> type."""
    _check_named(where, sample, named)
    given = {role: column for role, column in named.items() if column != "none"}
    found = _responses(sample, given)
    if found is not None:
        return Guess("responses", found, frozenset(found) - frozenset(given))
    if is_difficulty_table(sample):
        # example, notion, value: a column is neither a label nor a text
        return Guess("table", given, frozenset())
    roles = dict(given)
    for role in ("id", "split", "group"):
        if role not in named and (column := _by_name(sample, NAMES[role], roles)):
            roles[role] = column
    if "label" not in named and (column := _by_name(sample, NAMES["label"], roles)):
        roles["label"] = column
    if "text" not in named:
        text = _text(where, sample, roles, kinds)
        if text:
            roles["text"] = text
    if "label" not in named and "label" not in roles:
        label = _label(where, sample, roles)
        if label:
            roles["label"] = label
    order = {role: roles[role] for role in ROLES if role in roles}
    return Guess("text" if "text" in roles else "table", order, frozenset(order) - frozenset(given))


def _check_named(where: str, sample: Mapping[str, Sequence[str | None]], named: Mapping[str, str]) -> None:
    for role, columns in named.items():
        if role not in ROLES:
            raise DataError(f"{where}: " + unknown("role", role, ROLES))
        for column in columns.split(",") if role == "text" else [columns]:
            if column != "none" and column not in sample:
                raise DataError(f"{where}: --{role}: " + unknown("column", column, sample))


def _by_name(sample: Mapping[str, Sequence[str | None]], names: Sequence[str], taken: Mapping[str, str]) -> str | None:
    lower = {column.strip().lower(): column for column in sample}
    used = {column for columns in taken.values() for column in columns.split(",")}
    return next((lower[name] for name in names if name in lower and lower[name] not in used), None)


def _responses(sample: Mapping[str, Sequence[str | None]], given: Mapping[str, str]) -> dict[str, str] | None:
    """Roles of a response matrix: long (solver, item, correct) or wide (a column of 0 and 1 an item)."""
    if {"text", "label"} & set(given):
        return None
    long = {role: given.get(role) or _by_name(sample, names, given) for role, names in RESPONSES.items()}
    answers = long["correct"]
    if all(long.values()) and len(set(long.values())) == 3 and answers and _binary(sample[answers], fractions=True):
        return {role: column for role, column in long.items() if column}
    if {"item", "correct"} & set(given):
        return None
    count = given.get("count") or _by_name(sample, COUNTS, given)
    rest = [column for column in sample if column != count and column != given.get("solver")]
    other = [column for column in rest if not _binary(sample[column])]
    items = len(rest) - len(other)
    if items < 3 or len(other) > 1 or len(sample[rest[0]]) < 2:
        return None
    if other and other[0] != rest[0]:
        return None
    if count and not all(text and text.strip().isdigit() for text in sample[count]):
        return None
    solver = given.get("solver") or (other[0] if other else None)
    if not given.get("solver") and other and len(set(sample[other[0]])) < len(sample[other[0]]):
        return None
    return {**({"solver": solver} if solver else {}), **({"count": count} if count else {})}


def _binary(texts: Sequence[str | None], fractions: bool = False) -> bool:
    filled = [text.strip().lower() for text in texts if text is not None and text.strip()]
    if fractions:
        return bool(filled) and all(text in ("true", "false") or _fraction(text) for text in filled)
    return bool(filled) and all(text in ("0", "1", "0.0", "1.0", "true", "false") for text in filled)


def _fraction(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _text(where: str, sample: Mapping[str, Sequence[str | None]], roles: Mapping[str, str], kinds: Mapping[str, str]) -> str | None:
    used = {column for columns in roles.values() for column in columns.split(",")}
    lower = {column.strip().lower(): column for column in sample}
    for first, second in PAIRS:
        if first in lower and second in lower and not {lower[first], lower[second]} & used:
            return f"{lower[first]},{lower[second]}"
    named = _by_name(sample, NAMES["text"], roles)
    if named and kinds.get(named) not in ("number", "true/false"):
        return named
    lengths = {
        column: _words(texts) for column, texts in sample.items() if column not in used and kinds.get(column) in ("text", "mixed", "nested")
    }
    long = [column for column, words in lengths.items() if words >= 4]
    if len(long) > 1:
        raise DataError(
            f"{where}: cannot tell which column is the text: {' or '.join(long)}. Name it with --text (several by commas: --text {','.join(long[:2])})"
        )
    return long[0] if long else None


def _words(texts: Sequence[str | None]) -> float:
    filled = [text for text in texts if text]
    # scripts without spaces: eight characters count as a word or so
    return sum(max(len(text.split()), len(text) / 25) for text in filled) / len(filled) if filled else 0.0


def _label(where: str, sample: Mapping[str, Sequence[str | None]], roles: Mapping[str, str]) -> str | None:
    used = {column for columns in roles.values() for column in columns.split(",")}
    few = []
    for column, texts in sample.items():
        filled = [text for text in texts if text]
        if column not in used and filled and 2 <= len(set(filled)) <= min(CLASSES_MOST, max(2, len(filled) // 5)):
            few.append(column)
    if len(few) > 1:
        raise DataError(
            f"{where}: cannot tell which column is the label: {' or '.join(few[:6])}. Name it with --label, or --label none if there is none"
        )
    return few[0] if few else None
