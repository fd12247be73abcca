"""An audit section's outcome in the store: plain JSON, and the row numbers of its findings as arrays."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from genscope.core.records import Record
from genscope.core.store import Store
from genscope.sections.audit_section import AuditOutcome, Case, Finding, plain_table

_ARRAYS = ("rows", "partners", "scores", "remove")


def keep(store: Store, key: str, outcome: AuditOutcome) -> None:
    """Write an outcome under its key."""
    arrays = {
        f"{place}-{name}": array
        for place, one in enumerate(outcome.findings)
        for name in _ARRAYS
        if (array := getattr(one, name)) is not None
    }
    store.put_arrays(key, arrays, plain(outcome))


def kept(store: Store, key: str) -> AuditOutcome | None:
    """The outcome under a key, None if there is none."""
    held = store.get_arrays(key)
    if held is None:
        return None
    arrays, about = held
    findings = []
    for place, one in enumerate(about["findings"]):
        bare = Finding(**{**one, "cases": [Case(rows=tuple(case["rows"]), note=case["note"]) for case in one["cases"]]})
        findings.append(replace(bare, **{name: arrays[f"{place}-{name}"] for name in _ARRAYS if f"{place}-{name}" in arrays}))
    return AuditOutcome(
        findings=findings, records=[Record(**record) for record in about["records"]], facts=about["facts"], notes=about["notes"],
        tables=[plain_table(one) for one in about["tables"]], answer=about["answer"],
    )  # fmt: skip


def plain(outcome: AuditOutcome) -> dict[str, Any]:
    """An outcome without its arrays, as plain JSON (no NaN, no NumPy values)."""
    about = {
        "findings": [plain_finding(one) for one in outcome.findings],
        "records": [asdict(one) | {"factors": dict(one.factors)} for one in outcome.records],
        "facts": dict(outcome.facts),
        "notes": list(outcome.notes),
        "tables": [
            {"columns": [asdict(column) for column in one.columns], "rows": [dict(row) for row in one.rows], "caption": one.caption, "main": one.main, "folded": one.folded}
            for one in outcome.tables
        ],
        "answer": outcome.answer,
    }  # fmt: skip
    return json.loads(json.dumps(_finite(about), default=_simple))


def plain_finding(one: Finding) -> dict[str, Any]:
    """A finding without its arrays."""
    return {
        name: getattr(one, name)
        for name in ("kind", "what", "count", "of", "severity", "advice", "unit", "low", "high", "size")
    } | {"cases": [{"rows": list(map(int, case.rows)), "note": case.note} for case in one.cases]}  # fmt: skip


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def _simple(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
