"""Bad values: empty inputs and labels, ragged or unreadable records, NaN and infinities, constant columns, labels that differ only in spelling, ids that return."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from genscope.core.records import Record
from genscope.core.text import many, shorten
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Severity
from genscope.tasks.dataset import Dataset
from genscope.tasks.dataset.value import natural

FORMULA = r"^[=+\-@\t\r]"
"""What makes a spreadsheet take a cell for a formula; a sign before a number does not."""
_SIGNED = r"^[+\-]\s*[\d.,]"


class BadValuesSection(AuditSection):
    """Values that are none, or that will be read as something else."""

    name = "bad_values"
    question = "Are there values that are missing, unreadable or no numbers?"
    kinds = frozenset({"text", "table", "arrays", "responses"})

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=1, seconds=data.size / 200e6, memory=8 * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        data = lab.data
        findings = [*_faults(data), *_empty(data), *_ids(data), *_labels(data)]
        if data.kind == "arrays":
            findings += _arrays(data)
        elif data.kind == "responses":
            findings += _answers(data)
        else:
            findings += _cells(data)
        records = [
            Record(
                source="audit/bad_values",
                metric="bad",
                value=float(len(findings)),
                unit="count",
                n=data.rows,
                provenance="kinds of bad values found",
            )
        ]
        return AuditOutcome(findings=findings, records=records, answer="" if findings else "No value is missing or unreadable.")


def _bad(what: str, rows: np.ndarray, of: int, severity: Severity, advice: str, note: str = "", remove: bool = False) -> Finding:
    cases = [Case(rows=(int(row),), note=note) for row in rows[:EXAMPLES]]
    return Finding(
        kind="bad",
        what=what,
        count=len(rows),
        of=of,
        severity=severity,
        advice=advice,
        rows=rows,
        cases=cases,
        remove=rows if remove else np.empty(0, np.int64),
    )


def _faults(data: Dataset) -> list[Finding]:
    """What the reader met."""
    return [
        Finding(kind="bad", what=f"{one.count:,} × {one.what}", count=one.count, of=max(one.count, data.rows), severity="medium", advice=one.advice, rows=np.array(one.rows, np.int64), cases=[Case(rows=(row,), note=one.kind) for row in one.rows[:EXAMPLES]])
        for one in data.faults
    ]  # fmt: skip


def _empty(data: Dataset) -> list[Finding]:
    findings = []
    blank = np.flatnonzero(data.prints["blank"].to_numpy())
    if len(blank):
        findings.append(
            _bad(
                f"{many(len(blank), 'row has', 'rows have')} an empty input",
                blank,
                data.rows,
                "medium",
                "leave them out: every model answers them by the base rate",
                "empty input",
                remove=True,
            )
        )
    for role in ("label", "split", "group"):
        if data.has(role):
            rows = np.flatnonzero(data.prints[role].is_null().to_numpy())
            if len(rows):
                findings.append(
                    _bad(
                        f"{many(len(rows), 'row has', 'rows have')} no {role}",
                        rows,
                        data.rows,
                        "medium" if role == "label" else "low",
                        f"fill the column {data.roles[role]}, or leave the rows out",
                        f"no {role}",
                        remove=role == "label",
                    )
                )
    return findings


def _ids(data: Dataset) -> list[Finding]:
    if not data.has("id"):
        return []
    marks = data.prints["id"]
    again = np.flatnonzero((marks.is_not_null() & ~marks.is_first_distinct()).to_numpy())
    return (
        [
            _bad(
                f"{many(len(again), 'row has', 'rows have')} an id that an earlier row has",
                again,
                data.rows,
                "low",
                "make ids unique: joins and paired comparisons go by them",
                "id again",
            )
        ]
        if len(again)
        else []
    )


def _labels(data: Dataset) -> list[Finding]:
    """Labels that differ only in case, spaces or the way a number is written, and labels of several types."""
    findings = []
    if not data.has("label"):
        return findings
    if types := data.origin.get("label_types"):
        fewest = min(types.values())
        findings.append(
            Finding(kind="bad", what=f"labels are of several types ({', '.join(f'{count:,} {kind}' for kind, count in types.items())} in the first rows)", count=fewest, of=sum(types.values()), severity="medium", advice="write every label as the same type: 1 and \"1\" are two classes to most loaders")
        )  # fmt: skip
    forms: dict[object, list[int]] = defaultdict(list)
    for mark, text in data.values["label"].items():
        place, number, _ = natural(text.strip())
        forms[number if place == 0 else " ".join(text.casefold().split())].append(mark)
    alike = [marks for marks in forms.values() if len(marks) > 1]
    if alike:
        import polars as pl

        rows = np.flatnonzero(
            data.prints["label"].is_in(pl.Series([mark for marks in alike for mark in marks], dtype=pl.UInt64).implode()).to_numpy()
        )
        shown = (
            ", ".join(" = ".join(repr(shorten(data.values["label"][mark], 20)) for mark in marks[:3]) for marks in alike[:3])
            if len(data.values["label"]) <= 50
            else ""
        )
        findings.append(
            _bad(
                f"{many(len(alike), 'label is', 'labels are')} written in several ways{f' ({shown})' if shown else ''}",
                rows,
                data.rows,
                "medium",
                "write each label in one way",
                "spelling",
            )
        )
    return findings


def _cells(data: Dataset) -> list[Finding]:
    """Text and table columns: NaN and infinities among numbers, words among numbers, replacement characters, cells that a spreadsheet would compute, constant columns."""

    numbers = [name for name, kind in data.columns.items() if kind == "number"]
    texts = [name for name in data.input_columns if data.columns[name] not in ("number", "true/false")]
    features = [name for name in data.input_columns if data.kind == "table"]
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    different: dict[str, set[str | None]] = {name: set() for name in features}
    missing = dict.fromkeys(features, 0)
    wanted = list(dict.fromkeys([*numbers, *texts, *features]))
    for frame in data.batches(wanted) if wanted else ():
        row = frame["row"].to_numpy().astype(np.int64)
        tests = _tests(numbers, texts)
        flags = frame.select(tests)
        for name in flags.columns:
            found[name].append(row[flags[name].fill_null(False).to_numpy()])
        for name in features:
            if len(different[name]) < 2:
                different[name] |= set(frame[name].unique().head(3).to_list())
            missing[name] += frame[name].null_count()
    said: dict[str, tuple[str, Severity, str]] = {
        "nan": ("a number that is NaN or infinite", "medium", "say what a missing value is, and leave infinities out"),
        "word": ("a word in a column of numbers", "medium", "mend the cell; most readers turn the whole column into text"),
        "broken": ("replacement characters (bytes that were no UTF-8)", "low", "read the source again with its own encoding"),
        "formula": (
            "a text that a spreadsheet would compute (it begins with =, +, - or @)",
            "low",
            "put an apostrophe in front before the file is opened in a spreadsheet",
        ),
    }
    findings = []
    for name, (what, severity, advice) in said.items():
        rows = np.concatenate(found[name]) if found.get(name) else np.empty(0, np.int64)
        if len(rows):
            findings.append(_bad(f"{many(len(rows), 'row holds', 'rows hold')} {what}", rows, data.rows, severity, advice, name))
    constant = [name for name, values in different.items() if len(values) < 2]
    if constant and data.rows > 1:
        findings.append(Finding(kind="bad", what=f"{many(len(constant), 'column holds', 'columns hold')} one value only ({', '.join(shorten(name, 30) for name in constant[:3])})", count=len(constant), of=len(features), unit="columns", severity="low", advice="leave them out"))  # fmt: skip
    gaps = [name for name, count in missing.items() if count > 0.05 * data.rows]
    if gaps:
        findings.append(Finding(kind="bad", what=f"{many(len(gaps), 'column is', 'columns are')} empty in more than 5 % of the rows ({', '.join(shorten(name, 30) for name in gaps[:3])})", count=len(gaps), of=len(features), unit="columns", severity="low", advice="say what a missing value means; where it depends on the label it is a shortcut"))  # fmt: skip
    return findings


def _tests(numbers: list[str], texts: list[str]) -> list[object]:
    """Expressions, one a kind of bad cell, true where any column has it."""
    import polars as pl

    tests: list[pl.Expr] = []
    if numbers:
        plain = [pl.col(name).str.strip_chars().cast(pl.Float64, strict=False) for name in numbers]
        tests.append(pl.any_horizontal([(one.is_nan() | one.is_infinite()).fill_null(False) for one in plain]).alias("nan"))
        filled = [pl.col(name).is_not_null() & (pl.col(name).str.strip_chars().str.len_bytes() > 0) for name in numbers]
        boolean = [pl.col(name).str.to_lowercase().is_in(["true", "false"]) for name in numbers]
        tests.append(
            pl.any_horizontal([fills & one.is_null() & ~true for fills, one, true in zip(filled, plain, boolean, strict=True)]).alias(
                "word"
            )
        )
    if texts:
        tests.append(pl.any_horizontal([pl.col(name).str.contains("\ufffd", literal=True) for name in texts]).alias("broken"))
        tests.append(
            pl.any_horizontal([pl.col(name).str.contains(FORMULA) & ~pl.col(name).str.contains(_SIGNED) for name in texts]).alias("formula")
        )
    return list(tests)


def _arrays(data: Dataset) -> list[Finding]:
    x = data.x.reshape(data.rows, -1)
    findings = []
    if x.dtype.kind in "fc":
        rows = np.flatnonzero(~np.isfinite(x).all(1))
        if len(rows):
            findings.append(
                _bad(
                    f"{many(len(rows), 'row holds', 'rows hold')} NaN or infinite values",
                    rows,
                    data.rows,
                    "high",
                    "leave them out or fill them: one turns a whole training step into NaN",
                    "NaN or infinite",
                    remove=True,
                )
            )
    if x.shape[1] > 1:
        flat = np.flatnonzero((x == x[:, :1]).all(1))
        if len(flat):
            findings.append(
                _bad(
                    f"{many(len(flat), 'row holds', 'rows hold')} one value everywhere",
                    flat,
                    data.rows,
                    "medium",
                    "look whether they are failed recordings",
                    "constant",
                )
            )
    return findings


def _answers(data: Dataset) -> list[Finding]:
    """Response matrices: grades outside 0 to 1, and pairs of solver and item that return."""
    import polars as pl

    found = data.responses()
    findings = []
    out = found.filter((pl.col("correct") < 0) | (pl.col("correct") > 1))
    if len(out):
        findings.append(
            Finding(
                kind="bad",
                what=f"{many(len(out), 'answer has', 'answers have')} a grade outside 0 to 1",
                count=len(out),
                of=len(found),
                unit="answers",
                severity="high",
                advice="grades are 0 (wrong) to 1 (right); scale them first",
            )
        )
    if data.has("item"):
        again = len(found) - found.select("solver", "item").n_unique()
        if again:
            findings.append(
                Finding(
                    kind="bad",
                    what=f"{many(again, 'answer repeats', 'answers repeat')} a pair of solver and item",
                    count=again,
                    of=len(found),
                    unit="answers",
                    severity="medium",
                    advice="keep one answer a pair, or name the column that tells attempts apart",
                )
            )
    unanswered = int(found["correct"].null_count())
    if unanswered:
        findings.append(
            Finding(
                kind="bad",
                what=f"{many(unanswered, 'cell')} of the matrix are empty",
                count=unanswered,
                of=len(found),
                unit="answers",
                severity="info",
                advice="raw rates compare only solvers of the same items; difficulties that model the gaps do not need that",
            )
        )
    return findings
