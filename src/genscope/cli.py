"""The command line: `genscope profile MODEL`, `compare`, `list`, `doctor`. Help teaches by example; errors say what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from genscope import __version__
from genscope.core.errors import GenscopeError

INTERRUPTED = 130
DEFECT = 70
_QUESTIONS = Group("What is asked", sort_key=1)
_OWN = Group("Your own questions (--data)", sort_key=2)
_SPENDING = Group("Endpoints and spending", sort_key=3)
_RUNNING = Group("Running and results", sort_key=4)

app = App(
    name="genscope",
    version=__version__,
    help="""The generalization workbench: how far does a model go beyond its data, how hard is that, why, and what helps?

    Start here:

      genscope profile demo                  a made-up model: 10 s, no key

      genscope profile smollm2               a real one, on this computer's CPU

      genscope profile openai:gpt-4o-mini --dry-run     what would it be asked?

      genscope audit data.jsonl              what in a data set spoils conclusions

      genscope watch runs/mine               is this training run memorizing?

      genscope study run simplicity-bias --scale smoke  a paper that runs

    Every command takes --debug, which shows where an error came from.
    """,
    help_format="plaintext",
    help_flags=["--help", "-h"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


@app.command
def profile(
    model: Annotated[str, Parameter(help="demo, smollm2, hf:FOLDER-OR-ID, gguf:FILE, openai:MODEL[@URL], inspect:PROVIDER/MODEL or py:module:callable; options follow as ?dtype=f32&system=TEXT")],
    *,
    tasks: Annotated[str | None, Parameter(group=_QUESTIONS, help="Tasks, by commas: find_minimum,two_sum (`genscope list tasks` names all)")] = None,
    levels: Annotated[str | None, Parameter(group=_QUESTIONS, help="Complexity levels 0..4, by commas: 0,1,2")] = None,
    n: Annotated[int | None, Parameter(group=_QUESTIONS, help="Questions a task and split [16 at smoke, 32 at standard, 256 above]")] = None,
    mode: Annotated[Literal["auto", "direct", "cot", "likelihood"], Parameter(group=_QUESTIONS, help="direct answer, chain of thought in two stages, or ranking the right answer among nine wrong ones; auto: cot, but direct for local models below 1e9 parameters")] = "auto",
    id_source: Annotated[str, Parameter(group=_QUESTIONS, help="Where familiar (ID) data comes from: auto, examples or elements of a probe of the model; prior (0..99); or a file with one list a line")] = "auto",
    scale: Annotated[str, Parameter(group=_QUESTIONS, help="smoke (2 minutes), standard, extended (hours) or paper (GPU)")] = "standard",
    seeds: Annotated[str, Parameter(group=_QUESTIONS, help="Seeds by commas; each adds questions of its own")] = "0",
    with_: Annotated[list[str] | None, Parameter(name="--with", group=_QUESTIONS, negative="", help="Add a section or set its options: scylla:universe=matched,unparsed=exclude")] = None,
    without: Annotated[list[str] | None, Parameter(group=_QUESTIONS, negative="", help="Leave a section out")] = None,
    data: Annotated[Path | None, Parameter(group=_OWN, help="CSV, JSONL or Parquet file with your questions")] = None,
    input_: Annotated[str | None, Parameter(name="--input", group=_OWN, help="Column of the question [guessed and shown]")] = None,
    target: Annotated[str | None, Parameter(group=_OWN, help="Column of the right answer [guessed and shown]")] = None,
    level: Annotated[str | None, Parameter(group=_OWN, help="Column of the difficulty level [guessed and shown]")] = None,
    split: Annotated[str | None, Parameter(group=_OWN, help="Column of the split, such as id and ood [guessed and shown]")] = None,
    id_: Annotated[str | None, Parameter(name="--id", group=_OWN, help="Column of the question's id [guessed and shown]")] = None,
    scorer: Annotated[str | None, Parameter(group=_OWN, help="exact, number, choice or list [guessed and shown]")] = None,
    key_env: Annotated[str, Parameter(group=_SPENDING, help="Environment variable that holds the key")] = "OPENAI_API_KEY",
    concurrency: Annotated[int, Parameter(group=_SPENDING, help="Requests under way at once")] = 8,
    price: Annotated[str | None, Parameter(group=_SPENDING, help="Price of a million tokens, IN,OUT: 0.15,0.60")] = None,
    budget: Annotated[str | None, Parameter(group=_SPENDING, help="Stop cleanly at this many tokens (500k, 2M) or this much money ($3, needs --price); the same command resumes")] = None,
    yes: Annotated[bool, Parameter(group=_SPENDING, negative="", help="Do not ask before spending")] = False,
    on: Annotated[str, Parameter(group=_RUNNING, help="Where a local model computes: local (this process), ray or slurm, options after a colon (docs/running-elsewhere.md)")] = "local",
    out: Annotated[Path | None, Parameter(group=_RUNNING, help="Result folder [genscope-runs/...]")] = None,
    json: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Print the result as JSON")] = False,
    fresh: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Ignore what is in the store")] = False,
    dry_run: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Show requests, tokens and a prompt; ask nothing")] = False,
    publish: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Write the claims' verdicts to results/STUDY-MODEL.json of a checkout")] = False,
    again: Annotated[bool, Parameter(group=_RUNNING, negative="", help="With --publish: replace a verdict, keeping the former under \"earlier\"")] = False,
) -> int:  # fmt: skip
    """Does this model generalize or lean on familiar data, and at which complexity does it break?

    For example:

      genscope profile smollm2 --scale smoke

      genscope profile hf:./my-model --levels 0,1,2 --n 64

      genscope profile openai:my-model@http://localhost:8000/v1 --mode cot

      genscope profile smollm2 --with scylla:universe=matched

      genscope profile smollm2 --data questions.csv --input question --target answer

      genscope profile hf:./my-model --on slurm:partition=gpu,gpus=1,minutes=120
    """
    from genscope.verbs.profile import DryRun
    from genscope.verbs.profile import profile as run

    columns = {
        name: value
        for name, value in (("input", input_), ("target", target), ("level", level), ("split", split), ("id", id_), ("scorer", scorer))
        if value is not None
    }
    if publish:
        from genscope.engine.publish import check_before, profile_file
        from genscope.studies import study

        judged = study("scylla")
        check_before(judged, profile_file(judged.name, model), scale, _whole("--seeds", seeds), again)
    found = run(
        model, tasks=_commas(tasks), levels=_commas(levels), n=n, mode=mode, id_source=id_source, scale=scale,  # pyright: ignore[reportArgumentType]
        seeds=_whole("--seeds", seeds), data=data, columns=columns, with_=with_ or (), without=without or (), on=on, out=out, fresh=fresh, dry_run=dry_run,
        budget=budget, price=price, yes=yes, key_env=key_env, concurrency=concurrency, confirm=_confirm, progress=_progress(json),
    )  # fmt: skip
    if isinstance(found, DryRun):
        _show_dry_run(found, json)
        return 0
    if publish:
        from genscope.engine.publish import publish_profile
        from genscope.studies import study

        _say(f"Published: {publish_profile(study('scylla'), found.folder)}", json)
    _show_result(found, json)
    return 0


@app.command
def compare(
    a: Annotated[str, Parameter(help="A model, or a result folder of `genscope profile`")],
    b: Annotated[str, Parameter(help="Another model, or another result folder")],
    *,
    tasks: Annotated[str | None, Parameter(group=_QUESTIONS, help="Tasks, by commas")] = None,
    levels: Annotated[str | None, Parameter(group=_QUESTIONS, help="Complexity levels 0..4, by commas")] = None,
    n: Annotated[int | None, Parameter(group=_QUESTIONS, help="Questions a task and split")] = None,
    mode: Annotated[Literal["auto", "direct", "cot", "likelihood"], Parameter(group=_QUESTIONS, help="As in profile; one mode for both models")] = "auto",
    id_source: Annotated[str, Parameter(group=_QUESTIONS, help="As in profile")] = "auto",
    scale: Annotated[str, Parameter(group=_QUESTIONS, help="smoke, standard, extended or paper")] = "standard",
    seeds: Annotated[str, Parameter(group=_QUESTIONS, help="Seeds by commas")] = "0",
    with_: Annotated[list[str] | None, Parameter(name="--with", group=_QUESTIONS, negative="", help="Options of the section: scylla:universe=matched")] = None,
    key_env: Annotated[str, Parameter(group=_SPENDING, help="Environment variable that holds the key")] = "OPENAI_API_KEY",
    concurrency: Annotated[int, Parameter(group=_SPENDING, help="Requests under way at once")] = 8,
    price: Annotated[str | None, Parameter(group=_SPENDING, help="Price of a million tokens, IN,OUT")] = None,
    budget: Annotated[str | None, Parameter(group=_SPENDING, help="Stop cleanly at this many tokens or this much money")] = None,
    yes: Annotated[bool, Parameter(group=_SPENDING, negative="", help="Do not ask before spending")] = False,
    out: Annotated[Path | None, Parameter(group=_RUNNING, help="Result folder")] = None,
    json: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Print the result as JSON")] = False,
    fresh: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Ignore what is in the store")] = False,
    dry_run: Annotated[bool, Parameter(group=_RUNNING, negative="", help="Show requests and tokens; ask nothing")] = False,
) -> int:  # fmt: skip
    """Which of two models generalizes better? Both answer the same new (OOD) questions, made of numbers that neither wrote itself.

    For example:

      genscope compare smollm2 hf:./my-finetuned-model --scale smoke

      genscope compare genscope-runs/monday genscope-runs/tuesday
    """
    from genscope.verbs.compare import compare as run
    from genscope.verbs.profile import DryRun

    found = run(
        a, b, tasks=_commas(tasks), levels=_commas(levels), n=n, mode=mode, id_source=id_source, scale=scale,  # pyright: ignore[reportArgumentType]
        seeds=_whole("--seeds", seeds), with_=with_ or (), out=out, fresh=fresh, dry_run=dry_run, budget=budget, price=price, yes=yes, key_env=key_env,
        concurrency=concurrency, confirm=_confirm, progress=_progress(json),
    )  # fmt: skip
    if isinstance(found, DryRun):
        _show_dry_run(found, json)
    else:
        _show_result(found, json)
    return 0


@app.command(name="list")
def list_(
    what: Annotated[Literal["all", "tasks", "measures", "sections", "studies", "models", "data"], Parameter(help="What to list")] = "all",
    *,
    json: Annotated[bool, Parameter(negative="", help="Print it as JSON")] = False,
) -> int:
    """What is there: tasks with level, chance and one example, sections, studies, models and data sets.

    For example:

      genscope list

      genscope list tasks
    """
    from genscope.verbs.listing import listing

    tables = listing(what)
    if json:
        _print_json({table.caption: list(table.rows) for table in tables})
    else:
        from genscope.pages.terminal import show_tables

        show_tables(tables)
    return 0


@app.command
def doctor(
    *,
    prune: Annotated[float | None, Parameter(help="Remove stored replies not written within this many days")] = None,
    json: Annotated[bool, Parameter(negative="", help="Print it as JSON")] = False,
) -> int:
    """What is installed and what works here: versions, extras, device, data, and the store with its size.

    For example:

      genscope doctor

      genscope doctor --prune 90
    """
    from genscope.verbs.doctor import doctor as run

    tables = run(prune_days=prune)
    if json:
        _print_json({table.caption: list(table.rows) for table in tables})
    else:
        from genscope.pages.terminal import show_tables

        show_tables(tables)
    return 0


_WATCH = """Is this training run memorizing or generalizing? Alerts, curves and a page, while it trains or afterwards.

    The training script writes the record: `genscope.watch.Monitor("runs/mine", net, sample={"train": (x, y), "test": (x, y)})`, and `monitor.step()` after every update (docs/watch.md).

    For example:

      genscope watch runs/mine               follows the run until it is over; Ctrl-C leaves the training alone

      genscope watch runs/mine --once        what is there, and the page
    """
_AUDIT, _STUDY, _PAPERS, _REPORT = (
    """What in this data set would spoil a conclusion: leaks, repeats, contradictions, shortcuts; how hard is it, which rows are hard?

    For example:

      genscope audit reviews.jsonl

      genscope audit data.csv --label stars --split fold --show-text

      genscope audit reviews.jsonl --fix --fail-on leak,conflict
    """,
    """Is this paper's claim true here? Executable papers with verdicts and placebos.

    For example:

      genscope study run simplicity-bias --scale smoke

      genscope study show simplicity-bias
    """,
    """Which executable papers bear on my question?

    For example:

      genscope papers shortcut features

      genscope papers --type robustness
    """,
    """One static, offline site: every executable paper with search and filters, a page a paper, a page a profile.

    For example:

      genscope report --out site
    """,
)
# said here, because the module of these commands is loaded only when one of them runs
app.command("genscope.cli_audit:audit", name="audit", help=_AUDIT)
app.command("genscope.cli_watch:watch", name="watch", help=_WATCH)
app.command("genscope.cli_study:app", name="study", help=_STUDY)
app.command("genscope.cli_study:papers", name="papers", help=_PAPERS)
app.command("genscope.cli_study:report", name="report", help=_REPORT)
app.register_install_completion_command()


def main(tokens: list[str] | None = None) -> None:
    """Entry point: runs the command and leaves with its exit code (0 done, 2 usage, 3 missing, 4 incomplete, 70 a defect of genscope, 130 interrupt)."""
    arguments = sys.argv[1:] if tokens is None else tokens
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        code = _refuse(f"{error} Examples: genscope {_command(arguments)}--help", 2, debug)
    except GenscopeError as error:
        code = _refuse(f"{error}", error.exit_code, debug)
    except KeyboardInterrupt:
        code = _refuse("Interrupted. What was finished is kept; the same command resumes.", INTERRUPTED, debug)
    except BrokenPipeError:
        code = 0
    except Exception as error:  # house: whatever else went wrong is a defect; a user gets one line, and the traceback with --debug
        said = f"{type(error).__name__}: {error}"
        code = _refuse(
            f"a defect of genscope: {said}. What was finished is kept. Run it again with --debug and report what it shows", DEFECT, debug
        )
    sys.exit(code if isinstance(code, int) else 0)


def _command(arguments: list[str]) -> str:
    """The command's words at the beginning of a command line, with a space behind."""
    words: list[str] = []
    known: App | None = app
    for word in arguments:
        if known is None or word.startswith("-") or word not in list(known):
            break
        words.append(f"{word} ")
        known = known[word] if word == "study" else None
    return "".join(words)


def _refuse(text: str, code: int, debug: bool) -> int:
    from genscope.core.text import clean

    if debug:
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"genscope: {clean(text.strip(), 4_000)}\n")
    return code


def _commas(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in _outside_brackets(text) if word.strip()]


def _outside_brackets(text: str) -> list[str]:
    """Split at commas that are not inside brackets or parentheses, as in `O(N),O([N,N^2])`."""
    words, depth, word = [], 0, ""
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            words.append(word)
            word = ""
        else:
            word += character
    return [*words, word]


def _whole(flag: str, text: str) -> list[int]:
    from genscope.core.errors import UsageError

    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"{flag} takes whole numbers by commas, such as 0,1,2; got {text!r}") from error


def _progress(json: bool) -> Any:
    from genscope.core.progress import Progress

    return Progress("lines" if json else None)


def _confirm(question: str) -> bool:
    from genscope.core.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError(f"{question}. This costs money or quota, and nobody is here to ask: add --yes (and --budget to set a limit)")
    sys.stderr.write(f"{question}.\nGo on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show_dry_run(found: Any, json: bool) -> None:
    if json:
        _print_json(found.plain())
        return
    from genscope.pages.terminal import show_facts

    money = {"money at most": f"{found.money:.2f}"} if found.money is not None else {}
    facts = {"model": found.model, "sections": ", ".join(found.sections), "requests": f"{found.cost.requests:,}", "tokens in, about": f"{found.cost.tokens_in:,}", "tokens out, at most": f"{found.cost.tokens_out:,}", **money}  # fmt: skip
    show_facts("Dry run: nothing was asked", facts, found.prompt)


def _show_result(found: Any, json: bool) -> None:
    if json:
        _print_json(found.plain())
        return
    from genscope.pages.terminal import show_result
    from genscope.verbs.result_page import views

    show_result(list(views(found).values()), found.about, found.page)


def _say(text: str, json: bool) -> None:
    (sys.stderr if json else sys.stdout).write(text + "\n")


def _print_json(value: Any) -> None:
    import json as plain

    sys.stdout.write(plain.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
