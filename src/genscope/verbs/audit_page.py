"""The page of an audit, from result.json and the records only: the answer, the ranked findings, each with examples and what to do, then the sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.pages.blocks import Answer, Block, Card, Cards, Column, Facts, Heading, Note, Provenance, Table
from genscope.sections.choose_audit import section
from genscope.sections.section import View

if TYPE_CHECKING:
    import polars as pl

FOOTER = "Every number is in <records.parquet>, every flagged row in <flagged.parquet> and <flagged.csv>, beside this page."
WORDS = {"high": "spoils results", "medium": "biases results", "low": "worth a look", "info": "fact"}


def headline(about: Mapping[str, Any]) -> str:
    """The answer in one sentence: how many findings of each weight, and the first."""
    rows, found = about["data"]["rows"], about["findings"]
    unit = {"responses": "rows of answers", "arrays": "arrays"}.get(about["data"]["kind"], "rows")
    weighty = [one for one in found if one["severity"] != "info"]
    if not weighty:
        return f"{rows:,} {unit} looked at by {len(about['sections'])} audits: nothing that would spoil a result was found."
    counts = {name: sum(one["severity"] == name for one in weighty) for name in ("high", "medium", "low")}
    told = ", ".join(f"{count} that {_say(name, count)}" for name, count in counts.items() if count)
    return f"{rows:,} {unit}, {len(weighty)} finding{'s' if len(weighty) > 1 else ''} ({told}). First: {weighty[0]['what']}."


def _say(severity: str, count: int) -> str:
    plural = {"high": "spoil results", "medium": "bias results", "low": "are worth a look"}
    single = {"high": "spoils results", "medium": "biases results", "low": "is worth a look"}
    return (single if count == 1 else plural)[severity]


def blocks(about: Mapping[str, Any], records: pl.DataFrame) -> list[Block]:
    """Everything on the page, top to bottom."""
    data, found = about["data"], about["findings"]
    tone = (
        "warn"
        if any(one["severity"] == "high" for one in found)
        else "good"
        if all(one["severity"] == "info" for one in found)
        else "plain"
    )
    page: list[Block] = [Answer(about["headline"], _detail(about), tone), Facts(_facts(data))]
    if data["faults"]:
        page.append(
            Note(
                [f"{one['count']:,} × {one['what']}. {one['advice'].capitalize()}." for one in data["faults"]], "Met while reading", "warn"
            )
        )
    if found:
        page += [Heading("Findings", "What matters most first."), Cards([_card(one) for one in found])]
    for name, view in views(about, records).items():
        page.append(Heading(about["sections"][name]["question"], view.answer.sentence))
        page += list(view.blocks)
    if about["not_run"]:
        page.append(Note([f"{name}: {why}" for name, why in about["not_run"].items()], "Not looked at"))
    page.append(Provenance(groups=_provenance(about)))
    return page


def views(about: Mapping[str, Any], records: pl.DataFrame) -> dict[str, View]:
    """One view a section."""
    import polars as pl

    made = {}
    for name, held in about["sections"].items():
        mine = [one for one in about["findings"] if one["section"] == name]
        answer = held["answer"] or (f"{len(mine)} finding{'s' if len(mine) != 1 else ''}." if mine else "Nothing found.")
        made[name] = section(name).view(records.filter(pl.col("source") == f"audit/{name}"), {**held, "answer": answer, "findings": mine})
    return made


def findings_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """The ranked findings."""
    columns = (
        Column("place", "#", "count"), Column("what", "what"), Column("weight", "weight"), Column("count", "count", "count"), Column("of", "of", "count"),
        Column("share", "share (95 % interval)"), Column("advice", "what to do"),
    )  # fmt: skip
    rows = [
        {
            "place": number,
            "what": one["what"],
            "weight": WORDS[one["severity"]],
            "count": one["count"],
            "of": one["of"],
            "share": share_text(one["share"], one["low"], one["high"]),
            "advice": one["advice"],
        }
        for number, one in enumerate(found, 1)
    ]
    return Table(columns, rows, "Findings, what matters most first", main=True)


def share_text(value: float, low: float | None, high: float | None) -> str:
    """A share in percent with as many digits as it needs to be no zero.

    >>> share_text(0.0013, 0.0008, 0.0021), share_text(0.5, None, None)
    ('0.13 % (0.08–0.21)', '50 %')
    """
    digits = 0 if value >= 0.1 or value == 0 else 1 if value >= 0.01 else 2 if value >= 0.0001 else 4
    ends = "" if low is None or high is None else f" ({100 * low:.{digits}f}–{100 * high:.{digits}f})"
    return f"{100 * value:.{digits}f} %{ends}"


def _card(one: Mapping[str, Any]) -> Card:
    """A finding on the page."""
    facts = {"count": f"{one['count']:,} of {one['of']:,} {one['unit']}", "share": share_text(one["share"], one["low"], one["high"])}
    return Card(
        tag=WORDS[one["severity"]],
        text=f"{one['what'][:1].upper()}{one['what'][1:]}.",
        tone="warn" if one["severity"] == "high" else "plain",
        facts=facts,
        advice=f"What to do: {one['advice']}.",
        table=_examples(one) if one["examples"] else None,
    )


def _examples(one: Mapping[str, Any]) -> Table:
    """The examples of a finding: rows, ids where they differ, a note, and texts where they may be shown."""
    rows = [
        {
            "rows": " and ".join(map(str, case["rows"])),
            "ids": " and ".join(case["ids"]),
            "note": case["note"],
            "text": "  ⟷  ".join(case["texts"]),
        }
        for case in one["examples"]
    ]
    columns = [Column("rows", "row")]
    columns += [Column("ids", "id")] if any(row["ids"] != row["rows"] for row in rows) else []
    columns += [Column("note", "note")] if any(row["note"] for row in rows) else []
    columns += [Column("text", "text")] if any(row["text"] for row in rows) else []
    return Table(columns, rows, f"{len(rows)} example{'s' if len(rows) > 1 else ''}", folded=True)


def _detail(about: Mapping[str, Any]) -> str:
    parts = []
    if "fixed" in about:
        one = about["fixed"]
        parts.append(
            f"{one['file']} holds the {one['kept']:,} rows that are left, {one['removed_file']} lists the {one['removed']:,} that it leaves out; the original is as it was."
        )
    if about["findings"] and not about["show_text"]:
        parts.append("Examples are row numbers (from 0) and ids; --show-text adds the texts.")
    return " ".join(parts)


def _facts(data: Mapping[str, Any]) -> dict[str, str]:
    roles = {role: f"{column} (guessed)" if role in data["guessed"] else column for role, column in data["roles"].items()}
    size = data["bytes"]
    shown = f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"
    return {
        "Source": data["source"],
        "Kind": f"{data['kind']} ({data['form']}, {shown})",
        "Rows": f"{data['rows']:,}",
        **{f"{role.capitalize()} column": column for role, column in roles.items()},
    }


def _provenance(about: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    groups = {
        f"Section {name}": {**{key: str(value) for key, value in held["facts"].items()}, **about["options"].get(name, {})}
        for name, held in about["sections"].items()
    }
    groups = {name: facts for name, facts in groups.items() if facts}
    return {
        **groups,
        "Made with": {
            "genscope": about["genscope"],
            "numbers": "records.parquet",
            "flagged rows": "flagged.parquet, flagged.csv",
            "run": "run.json",
        },
    }
