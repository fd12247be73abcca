"""Result folder of an audit: page, result.json, records.parquet, the flagged rows as flagged.parquet and flagged.csv, and difficulty.parquet where a section tells difficulties."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.difficulty import difficulty_of_records
from genscope.core.records import Record, records_frame
from genscope.core.store import write_whole
from genscope.core.text import clean
from genscope.sections.audit_kept import plain
from genscope.sections.audit_section import AuditOutcome, AuditSection, Finding
from genscope.tasks.dataset import Dataset
from genscope.verbs.result_folder import machine

if TYPE_CHECKING:
    import polars as pl

FORMULA = "=+-@\t\r"
"""First characters that make a spreadsheet compute a cell."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """A result folder in memory. `about` is result.json; `records` and `flagged` are polars frames; code: 1 where a kind of `fail_on` was found, else 0."""

    folder: Path
    about: dict[str, Any]
    records: pl.DataFrame
    flagged: pl.DataFrame
    code: int

    @property
    def page(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "index.html"

    @property
    def headline(self) -> str:
        """The answer, in one sentence."""
        return self.about["headline"]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings as plain values, what matters most first."""
        return self.about["findings"]

    def plain(self) -> dict[str, Any]:
        """As plain JSON: what `--json` prints."""
        return {
            **self.about,
            "folder": str(self.folder),
            "page": str(self.page),
            "records": self.records.to_dicts(),
            "exit_code": self.code,
        }

    def _repr_html_(self) -> str:
        from genscope.pages.page import notebook_html
        from genscope.verbs.audit_page import blocks

        return notebook_html(blocks(self.about, self.records))


def write(
    folder: Path, data: Dataset, about: dict[str, Any], sections: Sequence[AuditSection], outcomes: Mapping[str, AuditOutcome], run: Mapping[str, Any], target: Path | None
) -> AuditResult:  # fmt: skip
    """Rank the findings, write every file whole, the page last; with a target, the cleaned copy too."""
    from genscope.pages.page import render_page
    from genscope.verbs.audit_page import FOOTER, blocks, headline

    found = sorted(((name, one) for name, outcome in outcomes.items() for one in outcome.findings), key=lambda pair: pair[1].rank)
    flagged = flagged_frame(data, found)
    people = {one.name for one in sections if one.people}
    about["sections"] = {
        one.name: {
            "question": one.question,
            **{name: part for name, part in plain(outcomes[one.name]).items() if name not in ("records", "findings")},
        }
        for one in sections
    }
    about["findings"] = _findings(data, found, people, about["show_text"])
    about["headline"] = headline(about)
    if target is not None:
        about["fixed"] = _fix(data, found, target)
    records = records_frame(
        [*(record for outcome in outcomes.values() for record in outcome.records), *(_record(name, one) for name, one in found)]
    )
    failed = any(name in about["fail_on"] or one.kind in about["fail_on"] for name, one in found if one.severity != "info")
    result = AuditResult(folder, about, records, flagged, int(failed))
    write_whole(folder / "records.parquet", _parquet(records))
    difficulty = difficulty_of_records(records)
    if len(difficulty):
        write_whole(folder / "difficulty.parquet", _parquet(difficulty))
    write_whole(folder / "flagged.parquet", _parquet(flagged))
    write_whole(folder / "flagged.csv", safe_csv(flagged))
    write_whole(folder / "result.json", (json.dumps(about, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8", "replace"))
    write_whole(folder / "run.json", (json.dumps({**run, "machine": machine()}, indent=2) + "\n").encode())
    write_whole(folder / "index.html", render_page(data.name, "audit", blocks(about, records), footer=FOOTER).encode("utf-8", "replace"))
    return result


def _findings(data: Dataset, found: Sequence[tuple[str, Finding]], people: set[str], show_text: bool) -> list[dict[str, Any]]:
    cited = {row for _, one in found for case in one.cases for row in case.rows}
    ids = data.ids(cited)
    shown = {row for name, one in found if name not in people for case in one.cases for row in case.rows} if show_text else set()
    texts = data.texts(shown) if shown else {}
    return [
        {
            "section": name, "kind": one.kind, "severity": one.severity, "what": clean(one.what, 1_000), "count": int(one.count), "of": int(one.of), "unit": one.unit, "share": one.share,
            "low": one.low, "high": one.high, "advice": one.advice, "rows": len(one.rows), "removable": len(one.remove),
            "examples": [
                {"rows": list(map(int, case.rows)), "ids": [ids[row] for row in case.rows], "note": clean(case.note, 300), "texts": [texts[row] for row in case.rows if row in texts] if name not in people else []}
                for case in one.cases
            ],
        }
        for name, one in found
    ]  # fmt: skip


def flagged_frame(data: Dataset, found: Sequence[tuple[str, Finding]]) -> pl.DataFrame:
    """One line a flagged row and finding: section, kind, severity, row, id, partner (a row, null without), score (null without), finding (its place in result.json)."""
    import polars as pl

    schema = {
        "finding": pl.Int64,
        "section": pl.String,
        "kind": pl.String,
        "severity": pl.String,
        "row": pl.Int64,
        "partner": pl.Int64,
        "score": pl.Float64,
    }
    parts = [pl.DataFrame(schema=schema)]
    for place, (name, one) in enumerate(found):
        rows = np.asarray(one.rows, np.int64)
        partners = (
            pl.Series(np.asarray(one.partners, np.int64))
            if one.partners is not None
            else pl.repeat(None, len(rows), dtype=pl.Int64, eager=True)
        )
        scores = (
            pl.Series(np.asarray(one.scores, np.float64))
            if one.scores is not None
            else pl.repeat(None, len(rows), dtype=pl.Float64, eager=True)
        )
        part = pl.DataFrame({"row": pl.Series(rows), "partner": partners, "score": scores})
        fixed = [
            pl.lit(place, pl.Int64).alias("finding"),
            pl.lit(name).alias("section"),
            pl.lit(one.kind).alias("kind"),
            pl.lit(one.severity).alias("severity"),
        ]
        parts.append(part.with_columns(pl.when(pl.col("partner") >= 0).then(pl.col("partner")).alias("partner"), *fixed).select(*schema))
    flagged = pl.concat(parts)
    return flagged.join(_ids(data, flagged["row"].unique()), on="row", how="left", maintain_order="left").select(
        "finding", "section", "kind", "severity", "row", "id", "partner", "score"
    )


def _ids(data: Dataset, rows: pl.Series) -> pl.DataFrame:
    """row, id of the given rows."""
    import polars as pl

    if not data.has("id") or not len(rows):
        return pl.DataFrame({"row": rows, "id": rows.cast(pl.String)})
    column, wanted = data.roles["id"], pl.DataFrame({"row": rows})
    parts = [
        batch.select(pl.col("row").cast(pl.Int64), pl.col(column).alias("id")).join(wanted, on="row", how="semi")
        for batch in data.batches([column])
    ]
    return pl.concat(parts).with_columns(pl.col("id").map_elements(lambda text: clean(text, 200), return_dtype=pl.String))


def safe_csv(frame: pl.DataFrame) -> bytes:
    """CSV in which no text begins as a formula: such a cell gets an apostrophe in front."""
    import polars as pl

    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    starts = [
        pl.when(pl.col(name).str.contains(rf"^[{FORMULA.encode('unicode_escape').decode()}]"))
        .then("'" + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    ]
    buffer = io.BytesIO()
    frame.with_columns(starts).write_csv(buffer)
    return buffer.getvalue()


def _fix(data: Dataset, found: Sequence[tuple[str, Finding]], target: Path) -> dict[str, Any]:
    """Write the copy without the rows to remove, and the list of these."""
    from genscope.tasks.dataset.clean import removed_name, write_clean

    removing = [(name, one) for name, one in found if len(one.remove)]
    drop = np.unique(np.concatenate([one.remove for _, one in removing])) if removing else np.empty(0, np.int64)
    only = [(name, _restricted(one)) for name, one in removing]
    listed = flagged_frame(data, only).unique("row", keep="first", maintain_order=True).sort("row")
    write_clean(data, drop, target)
    removed = removed_name(target)
    write_whole(removed, safe_csv(listed.select("row", "id", "section", "kind", "partner")))
    return {"file": target.name, "removed_file": removed.name, "kept": data.rows - len(drop), "removed": len(drop)}


def _restricted(one: Finding) -> Finding:
    """The finding with only the rows it removes."""
    from dataclasses import replace

    inside = np.isin(one.rows, one.remove)
    rest = np.setdiff1d(one.remove, one.rows)
    rows = np.concatenate([np.asarray(one.rows)[inside], rest]).astype(np.int64)
    partners = None if one.partners is None else np.concatenate([np.asarray(one.partners)[inside], np.full(len(rest), -1)])
    return replace(one, rows=rows, partners=partners, scores=None)


def _record(section: str, one: Finding) -> Record:
    return Record(source=f"audit/{section}", metric=one.kind, value=float(one.count), unit=one.unit, n=int(one.of), condition="finding", factors={"what": one.what, "severity": one.severity, "share": one.share, "low": one.low, "high": one.high}, provenance="count; the share's interval is Wilson's")  # fmt: skip


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()
