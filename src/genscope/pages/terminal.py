"""Blocks in the terminal: the same records as on the page, in plain text when it is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.text import clean
from genscope.pages.blocks import Table, cell_text, interval_text

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
