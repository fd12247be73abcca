"""The command line of executable papers: `genscope study list | show | run | check`, `genscope papers`, `genscope report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from genscope.core.progress import Progress

app = App(
    name="study",
    help_format="plaintext",
    help_flags=["--help", "-h"],
    result_action="return_value",
)
_Json = Annotated[bool, Parameter(negative="", help="Print it as JSON")]


@app.command(name="list")
def list_(*, json: _Json = False) -> int:
    """Every study with its question, scale and published verdicts.

    For example:

      genscope study list
    """
    from genscope.pages.terminal import show_tables
    from genscope.verbs.papers import studies_table

    table = studies_table()
    _print_json({table.caption: list(table.rows)}) if json else show_tables([table])
    return 0


@app.command
def show(name: Annotated[str, Parameter(help="A study's name (`genscope study list`)")], *, json: _Json = False) -> int:
    """Question, design, claims, placebos, deviations, and what was published.

    For example:

      genscope study show simplicity-bias
    """
    from genscope.engine.published import published
    from genscope.pages.study_page import shown
    from genscope.pages.terminal import show_blocks
    from genscope.verbs.study import find, plain_study

    study = find(name)
    if json:
        _print_json(plain_study(study))
    else:
        show_blocks(f"{study.paper.title} ({study.paper.year})", shown(study, published(study.name)))
    return 0


@app.command
def run(
    name: Annotated[str, Parameter(help="A study's name (`genscope study list`)")],
    *,
    scale: Annotated[Any, Parameter(help="smoke (plumbing, no verdicts), standard (15 minutes a part), extended or paper")] = "standard",
    part: Annotated[str | None, Parameter(help="Parts, by commas; all by default")] = None,
    seeds: Annotated[str | None, Parameter(help="Seeds, by commas; the study's own list by default")] = None,
    on: Annotated[
        str, Parameter(help="Where cells are computed: local, ray or slurm, options after a colon (docs/running-elsewhere.md)")
    ] = "local",
    workers: Annotated[int | None, Parameter(help="The most cells under way at once, one thread each [all cores]")] = None,
    out: Annotated[Path | None, Parameter(help="Result folder [genscope-runs/...]")] = None,
    json: _Json = False,
    fresh: Annotated[bool, Parameter(negative="", help="Ignore what is in the store")] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Show the cells; compute nothing")] = False,
    publish: Annotated[bool, Parameter(negative="", help="Write the verdicts to results/NAME.json of a checkout")] = False,
    again: Annotated[bool, Parameter(negative="", help='With --publish: replace verdicts, keeping the former under "earlier"')] = False,
) -> int:
    """Run a study, or resume it: verdicts with effect and interval, beside a placebo that must fail.

    Leaves with 0 when every claim is reproduced, 1 when some is not, 4 when some is inconclusive, 5 when a claim was edited after its run.

    For example:

      genscope study run simplicity-bias

      genscope study run simplicity-bias --part slabs --seeds 0,1,2,3,4

      genscope study run simplicity-bias --on ray:address=10.0.0.1:6379

      genscope study run simplicity-bias --on slurm:partition=short,minutes=60 --workers 100
    """
    from genscope.pages.terminal import show_study
    from genscope.verbs import study as verb

    wanted, numbers = _words(part), _whole(seeds)
    if dry_run:
        _print_json(verb.dry_run(name, scale=scale, parts=wanted, seeds=numbers))  # pyright: ignore[reportArgumentType]
        return 0
    if publish:
        from genscope.engine.publish import check_study

        check_study(verb.find(name), scale, numbers, wanted, again)
    found = verb.run(
        name,
        scale=scale,
        parts=wanted,
        seeds=numbers,
        on=on,
        workers=workers,
        fresh=fresh,
        out=out,
        progress=Progress("silent" if json else None),
    )  # pyright: ignore[reportArgumentType]
    if publish:
        from genscope.engine.publish import publish_study

        path = publish_study(verb.find(name), found.about, found.folder)
        if not json:
            print(f"Published: {path}")
    _print_json(found.plain()) if json else show_study(found.about, found.page)
    return found.code


@app.command
def check(name: Annotated[str, Parameter(help="A study's name")], *, json: _Json = False) -> int:
    """Does every claim judge as it should on made-up records (satisfied, violated, too few), and do the splits not overlap?

    For example:

      genscope study check simplicity-bias
    """
    from genscope.pages.terminal import show_check
    from genscope.verbs.study import check as verb

    found = verb(name)
    _print_json(found) if json else show_check(found)
    return found["exit_code"]


def papers(
    words: Annotated[
        list[str] | None, Parameter(help="Words to look for; several mean any of them, and word* a beginning", negative="")
    ] = None,
    *,
    motivation: Annotated[str | None, Parameter(help="practical, cognitive, intrinsic or fairness")] = None,
    type_: Annotated[
        str | None, Parameter(name="--type", help="compositional, structural, cross-task, cross-lingual, cross-domain or robustness")
    ] = None,
    shift: Annotated[str | None, Parameter(help="covariate, label, full, double or assumed")] = None,
    source: Annotated[
        str | None, Parameter(help='naturally occurring, "partitioned natural", "generated shift" or "fully generated"')
    ] = None,
    locus: Annotated[str | None, Parameter(help="train-test, finetune train-test, pretrain-train, pretrain-test or multiple")] = None,
    json: _Json = False,
) -> int:
    """Which executable papers bear on my question?"""
    from genscope.pages.terminal import show_tables
    from genscope.verbs.papers import search

    axes = {"motivation": motivation, "type": type_, "shift": shift, "source": source, "locus": locus}
    table = search(words or (), {axis: value for axis, value in axes.items() if value})
    _print_json({table.caption: list(table.rows)}) if json else show_tables([table])
    return 0


def report(
    *,
    out: Annotated[Path, Parameter(help="Folder of the site")] = Path("genscope-site"),
    runs: Annotated[Path, Parameter(help="Folder whose result folders are shown beside the published results")] = Path("genscope-runs"),
    json: _Json = False,
) -> int:
    """One static, offline site: every executable paper with search and filters, a page a paper, a page a profile."""
    from genscope.verbs.report import report as verb

    made = verb(out, runs)
    if json:
        _print_json(made)
    else:
        print(f"Site: {made['index']} ({made['pages']} pages)")
    return 0


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _whole(text: str | None) -> list[int] | None:
    from genscope.core.errors import UsageError

    if text is None:
        return None
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"--seeds takes whole numbers by commas, such as 0,1,2; got {text!r}") from error


def _print_json(value: Any) -> None:
    import json
    import sys

    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
