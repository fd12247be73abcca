"""The command line of audits: `genscope audit DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

_COLUMNS = Group("Columns (guessed and shown where they are not named; none means there is none)", sort_key=1)
_LOOKED = Group("What is looked at", sort_key=2)
_RESULTS = Group("Results", sort_key=3)


def audit(
    data: Annotated[Path, Parameter(help="JSONL, CSV or Parquet file (.gz too), NPZ or IDX file, folder of images, data set folder, response matrix")],
    *,
    text: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of the text, several by commas; the array of inputs in an NPZ file")] = None,
    label: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of the label or right answer")] = None,
    split: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of the split, such as train and test")] = None,
    id_: Annotated[str | None, Parameter(name="--id", group=_COLUMNS, help="Column of the row's id")] = None,
    group: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of what must not be in two splits, such as patient or author")] = None,
    solver: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of the solver in a response matrix")] = None,
    item: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of the item in a long response matrix")] = None,
    correct: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of the grade, 0 to 1, in a long response matrix")] = None,
    count: Annotated[str | None, Parameter(group=_COLUMNS, help="Column of how many solvers a row of a wide matrix stands for")] = None,
    header: Annotated[Literal["auto", "yes", "no"], Parameter(group=_COLUMNS, help="Whether the first line of a CSV file names the columns")] = "auto",
    longest_line: Annotated[int | None, Parameter(group=_COLUMNS, help="Bytes of a line that are read at most [64 MiB]; longer ones are counted and left out")] = None,
    with_: Annotated[list[str] | None, Parameter(name="--with", group=_LOOKED, negative="", help="Add a section or set its options: near_duplicates:threshold=0.9 (`genscope list sections` names all)")] = None,
    without: Annotated[list[str] | None, Parameter(group=_LOOKED, negative="", help="Leave a section out")] = None,
    show_text: Annotated[bool, Parameter(group=_LOOKED, negative="", help="Put texts of the data into the examples; by default they are row numbers and ids")] = False,
    fix: Annotated[bool, Parameter(group=_RESULTS, negative="", help="Write a cleaned copy beside the data, and a list of what it leaves out; the data stays as it is")] = False,
    fail_on: Annotated[str | None, Parameter(group=_RESULTS, help="Leave with exit code 1 if one of these is found, by commas: leak,conflict,duplicate,shortcut,bad,...")] = None,
    out: Annotated[Path | None, Parameter(group=_RESULTS, help="Result folder [genscope-runs/...]")] = None,
    json: Annotated[bool, Parameter(group=_RESULTS, negative="", help="Print the result as JSON")] = False,
    fresh: Annotated[bool, Parameter(group=_RESULTS, negative="", help="Ignore what is in the store")] = False,
    dry_run: Annotated[bool, Parameter(group=_RESULTS, negative="", help="Show columns, sections and minutes; look at nothing else")] = False,
) -> int:  # fmt: skip
    """What in this data would spoil a conclusion: leaks, repeats, contradictions, shortcuts; how hard is it, and which rows are hard?

    Examples:

      genscope audit reviews.jsonl

      genscope audit data.csv --label stars --split fold --show-text

      genscope audit train.npz --without near_duplicates

      genscope audit reviews.jsonl --fix --fail-on leak,conflict
    """
    from genscope.cli_study import _print_json
    from genscope.core.progress import Progress
    from genscope.verbs.audit import AuditDryRun
    from genscope.verbs.audit import audit as run

    words = [word.strip() for word in (fail_on or "").split(",") if word.strip()]
    found = run(
        data, text=text, label=label, split=split, id=id_, group=group, solver=solver, item=item, correct=correct, count=count, header=header, longest_line=longest_line, with_=with_ or (),
        without=without or (), fail_on=words, show_text=show_text, fix=fix, out=out, fresh=fresh, dry_run=dry_run, progress=Progress("silent" if json else None),
    )  # fmt: skip
    if isinstance(found, AuditDryRun):
        if json:
            _print_json(found.plain())
        else:
            _show_dry_run(found.plain())
        return 0
    if json:
        _print_json(found.plain())
    else:
        from genscope.pages.terminal import show_audit
        from genscope.verbs.audit_page import findings_table

        show_audit(found.about, findings_table(found.about["findings"]), found.page)
    return found.code


def _show_dry_run(plain: dict[str, Any]) -> None:
    from genscope.pages.terminal import show_facts

    roles = {role: column + (" (guessed)" if role in plain["guessed"] else "") for role, column in plain["roles"].items()}
    sections = {f"section {name}": f"about {cost['seconds']:.1f} s" for name, cost in plain["sections"].items()}
    left = {f"not {name}": why for name, why in plain["not_run"].items()}
    show_facts(
        "Dry run: nothing but columns and counts was looked at",
        {"data": f"{plain['name']}, {plain['kind']}, {plain['rows']:,} rows", **roles, **sections, **left},
    )
