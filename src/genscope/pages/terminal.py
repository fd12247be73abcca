"""Blocks in the terminal: the same records as on the page, in plain text when it is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.text import clean
from genscope.pages.blocks import Column, Note, Prose, Table, cell_text, interval_text

if TYPE_CHECKING:
    from rich.console import Console

ACCENT = "dark_orange3"


def show_result(views: Sequence[Any], about: Mapping[str, Any], page: Path) -> None:
    """Answers, main tables, notes, verdicts, and where the page is."""
    console = _console()
    for view in views:
        console.print()
        console.print(clean(view.answer.sentence), style="bold", markup=False, highlight=False)
        if view.answer.detail:
            console.print(clean(view.answer.detail), style="dim", markup=False, highlight=False)
        for block in view.blocks:
            if isinstance(block, Table) and block.main:
                console.print()
                console.print(_table(block))
    for name, section in about["sections"].items():
        for note in section["notes"]:
            console.print(f"  note ({name}): {clean(note)}", style="dim", markup=False, highlight=False)
        for claim in section["claims"]:
            placebo = f"; placebo: {claim['placebo']['verdict']}" if claim.get("placebo") else ""
            console.print(f"  {claim['id']}: {claim['verdict']}{placebo}", markup=False, highlight=False)
    console.print()
    console.print(f"Page: {page}", style=ACCENT, markup=False, highlight=False, soft_wrap=True)


def show_tables(tables: Sequence[Table]) -> None:
    """Tables, one after the other."""
    console = _console()
    for table in tables:
        console.print()
        console.print(_table(table))


def show_facts(title: str, facts: Mapping[str, str], text: str = "") -> None:
    """Named facts, and a text below them."""
    console = _console()
    console.print(title, style="bold")
    for name, value in facts.items():
        console.print(f"  {name}: {clean(value)}", markup=False, highlight=False)
    if text:
        console.print("\nA prompt, as the model would get it:\n", style="dim")
        console.print(clean(text), markup=False, highlight=False, soft_wrap=True)


def show_blocks(title: str, blocks: Sequence[Any]) -> None:
    """Paragraphs, tables and remarks under a title."""
    console = _console()
    console.print(title, style="bold", markup=False)
    for block in blocks:
        console.print()
        if isinstance(block, Table):
            console.print(_table(block))
        elif isinstance(block, Prose):
            for paragraph in block.paragraphs:
                console.print(clean(paragraph), markup=False, highlight=False)
        elif isinstance(block, Note):
            console.print(block.title, style="bold", markup=False)
            for line in block.items:
                console.print(f"  {clean(line)}", markup=False, highlight=False)


def show_study(about: Mapping[str, Any], page: Path) -> None:
    """A study's verdicts, failures, and where its page is."""
    console = _console()
    console.print()
    console.print(clean(about["headline"]), style="bold", markup=False)
    rows = [
        {
            "claim": one["id"], "verdict": one["verdict"], "effect": (one["effect"], *(one["ci"] or (None, None))), "n": one["n"],
            "placebo": one["placebo"]["verdict"] if one["placebo"] else "none", "why": one["reason"],
        }
        for one in about["claims"]
    ]  # fmt: skip
    columns = (
        Column("claim", "claim"),
        Column("verdict", "verdict"),
        Column("effect", "effect", "fine"),
        Column("n", "n", "count"),
        Column("placebo", "placebo"),
        Column("why", "why"),
    )
    if rows:
        console.print()
        console.print(_table(Table(columns, rows, "Claims")))
    for name, why in about["failed"].items():
        console.print(f"  failed: {clean(name)}: {clean(why)}", markup=False, highlight=False)
    for one in about["not_run"]:
        console.print(
            f"  not run: part {one['part']}, data {', '.join(one['data'])} is not in $GENSCOPE_DATA", markup=False, highlight=False
        )
    for name in about["changed"]:
        console.print(f"  changed: {name} was edited after its run", markup=False, highlight=False)
    console.print()
    console.print(f"Page: {page}", style=ACCENT, markup=False, highlight=False, soft_wrap=True)


def show_audit(about: Mapping[str, Any], findings: Table, page: Path) -> None:
    """An audit's answer, its ranked findings, and where its page is."""
    console = _console()
    data = about["data"]
    roles = ", ".join(
        f"{role} = {clean(column)}{' (guessed)' if role in data['guessed'] else ''}" for role, column in data["roles"].items()
    )
    console.print()
    console.print(clean(about["headline"]), style="bold", markup=False)
    console.print(f"{data['kind']}: {roles or 'no column has a role'}", style="dim", markup=False)
    for one in data["faults"]:
        console.print(f"  met while reading: {one['count']:,} x {clean(one['what'])}", markup=False)
    if findings.rows:
        console.print()
        console.print(_table(findings))
    for name, why in about["not_run"].items():
        console.print(f"  not looked at ({name}): {clean(why)}", style="dim", markup=False)
    if "fixed" in about:
        one = about["fixed"]
        console.print(
            f"  written: {clean(one['file'])} ({one['kept']:,} rows), {clean(one['removed_file'])} ({one['removed']:,} left out)",
            markup=False,
        )
    console.print()
    console.print(f"Page: {page}", style=ACCENT, markup=False, highlight=False, soft_wrap=True)


def show_check(found: Mapping[str, Any]) -> None:
    """What `genscope study check` found."""
    console = _console()
    rows = [
        {
            "claim": one["claim"],
            "judges": "; ".join(one["wrong"]) or "as it should",
            "placebo": "yes" if one["placebo"] else "none",
            "published": one["published"],
        }
        for one in found["claims"]
    ]
    console.print(
        _table(
            Table(
                (
                    Column("claim", "claim"),
                    Column("judges", "on made-up records"),
                    Column("placebo", "placebo"),
                    Column("published", "published"),
                ),
                rows,
                found["study"],
            )
        )
    )
    for split, count in found["shared_examples"].items():
        console.print(f"  {split}: {count} examples shared between splits", markup=False, highlight=False)
    if found["code"] == "changed":
        console.print(
            "  the published verdicts were made by other code: run the study again with --publish --again", markup=False, highlight=False
        )
    console.print("As it should be." if not found["wrong"] else "Wrong: " + "; ".join(found["wrong"]), style="bold", markup=False)


def _console() -> Console:
    from rich.console import Console

    wide = None if sys.stdout.isatty() else 160
    return Console(width=wide, highlight=False)


def _table(block: Table) -> Any:
    """As a rich table; columns of counts that are all 0 are left out here (the page has them)."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=block.caption, box=SIMPLE_HEAD, title_justify="left", title_style="dim", header_style="dim", pad_edge=False)
    columns = [column for column in block.columns if column.kind != "count" or any(row.get(column.name) for row in block.rows)]
    for column in columns:
        left = column.kind in ("text", "level")
        table.add_column(column.label, justify="left" if left else "right", overflow="fold", no_wrap=column.kind != "text")
    for row in block.rows:
        cells = []
        for column in columns:
            value = row.get(column.name)
            ends = interval_text(column.kind, value)
            cells.append(Text(clean(cell_text(column.kind, value)) + (f" ({ends})" if ends else "")))
        table.add_row(*cells)
    return table
