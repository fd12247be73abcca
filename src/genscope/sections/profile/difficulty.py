"""A model's accuracy against the difficulty of the items: quantile bins, a falling curve, the slope with its interval, and where it is right half of the time.

Difficulty comes with the questions (a number a row), from a set of Easy2Hard-Bench, or from a difficulty table. Ding et al. 2024 (arXiv 2409.18433).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.example import Example
from genscope.core.records import Record
from genscope.core.response import Response
from genscope.core.sandbox import Sandbox
from genscope.core.seeds import Seed
from genscope.measures.difficulty_profile import Profile, difficulty_profile
from genscope.models.ask import Asker
from genscope.models.model import Description, Model
from genscope.sections.profile import difficulty_view
from genscope.sections.profile.modes import MODES, resolve_mode
from genscope.sections.profile.questions import COT_TOKENS, DIRECT_TOKENS, answered, asked, ranked, shown
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View
from genscope.tasks import easy2hard
from genscope.tasks.contest_program import ContestProgram
from genscope.tasks.questions import QuestionFile, load

if TYPE_CHECKING:
    import polars as pl

SOURCE = "profile/difficulty"
OPTIONS = ("table", "notion", "column", "bins", "draws", "run")
POINTS = 120
"""Points of the falling curve that are kept for the page, at most."""
SAME = "where this model's own answers took part in the estimate of the difficulties, its profile falls too steeply: leave it out of the record"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """Questions with a difficulty each. origin: where it is from; whole: the set of Easy2Hard-Bench, "" for own questions; dropped: questions without one."""

    read: QuestionFile
    examples: tuple[Example, ...]
    difficulty: np.ndarray
    origin: str
    whole: str
    dropped: int
    notes: tuple[str, ...] = ()


class DifficultySection(Section):
    """Accuracy against item difficulty on `--data FILE`: by itself where the file has difficulties, else with `--with difficulty:table=FILE`."""

    name = "difficulty"
    question = "How does its accuracy fall as the items get harder?"
    needs = frozenset({"generate"})

    def fits(self, plan: ProfilePlan) -> bool:
        if plan.data is None or not plan.data.exists():
            return False
        return easy2hard.is_easy2hard(plan.data) or (plan.data.is_file() and "difficulty" in load(plan.data, plan.columns).columns)

    def check(self, model: Model, plan: ProfilePlan) -> None:
        _mode(plan, model, _items(plan))

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        from genscope.models.budget import estimate_tokens

        items = _items(plan)
        mode = _mode(plan, model, items)
        tokens_in = sum(estimate_tokens(asked(items.read, example, mode).messages[-1].content) for example in items.examples)
        tokens_out = {"cot": COT_TOKENS, "direct": DIRECT_TOKENS}.get(mode, 0) * len(items.examples)
        return Cost(requests=len(items.examples), tokens_in=tokens_in, tokens_out=tokens_out)

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        items = _items(plan)
        return shown(asked(items.read, items.examples[0], _mode(plan, model, items)), model)

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        items = _items(plan)
        mode = _mode(plan, asker.model, items)
        rows = ranked(asker, items.read, items.examples) if mode == "likelihood" else answered(asker, items.read, items.examples, mode)
        came = np.array([not row.failed for row in rows])
        if not came.any():
            raise DataError("no question was answered; see the cause of the first failure: " + next(row.failed for row in rows))
        right = np.array([row.correct for row in rows], float)[came]
        d = items.difficulty[came]
        options = plan.options.get("difficulty", {})
        found = difficulty_profile(
            right, d, Seed("profile", "difficulty"), bins=_whole(options, "bins", 10, 2), draws=_whole(options, "draws", 1_000, 100)
        )
        chance = float(np.mean([row.chance for row in rows]))
        facts = {
            "file": plan.data.name if plan.data else "", "items": found.items, "difficulty": items.origin, "mode": mode, "scorer": items.read.task.scorer, "set": items.whole,
            "failed": int((~came).sum()),
        }  # fmt: skip
        notes = [*items.notes, *([f"{items.dropped} question(s) have no difficulty and were left out."] if items.dropped else [])]
        # own questions are asked by the section questions, whose rows these are
        return Outcome(responses=_named(rows) if items.whole else (), records=_records(found, chance, right), facts=facts, notes=notes)

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return difficulty_view.view(records.filter(records["source"] == SOURCE), responses, about, model)


def _items(plan: ProfilePlan) -> _Items:
    options = plan.options.get("difficulty", {})
    for name in options:
        if name not in OPTIONS:
            raise UsageError(unknown("option of difficulty", name, OPTIONS))
    if plan.data is None:
        raise DataError("section difficulty needs --data FILE: questions with a difficulty each, or a set of Easy2Hard-Bench")
    whole = easy2hard.is_easy2hard(plan.data)
    if whole:
        read, values, origin, notes = _benchmark(plan)
    else:
        named = {**plan.columns, **({"difficulty": options["column"]} if "column" in options else {})}
        read = load(plan.data, named)
        values, origin, notes = _own(read)
    if "table" in options:
        values, origin = _from_table(read.examples, Path(options["table"]).expanduser(), options.get("notion"))
        notes = (f"Difficulties are from a table: {SAME}.",)
    kept = [(example, values[example.id]) for example in read.examples if values.get(example.id) is not None]
    if not kept:
        raise DataError(
            f"{plan.data}: no question has a difficulty. Name the column (--with difficulty:column=NAME), or give a table of example, notion and value (--with difficulty:table=FILE) "
            f"whose examples are the ids of the file or of genscope, such as {read.examples[0].id}"
        )
    if plan.n is not None:
        # the first n would be of one difficulty where a file is sorted by it: evenly spaced in file order instead
        kept = [kept[k] for k in np.unique(np.linspace(0, len(kept) - 1, min(plan.n, len(kept))).astype(int))]
    examples = tuple(example for example, _ in kept)
    return _Items(
        read=read, examples=examples, difficulty=np.array([value for _, value in kept], float), origin=origin, whole=read.task.name if whole else "",
        dropped=0 if plan.n is not None else len(read.examples) - len(kept), notes=notes,
    )  # fmt: skip


def _benchmark(plan: ProfilePlan) -> tuple[QuestionFile, dict[str, float | None], str, tuple[str, ...]]:
    found = easy2hard.read(plan.data or Path())
    run, task = plan.options.get("difficulty", {}).get("run", "no"), found.task
    if run not in ("yes", "no"):
        raise UsageError(f"difficulty: run must be yes or no, got {run!r}")
    if isinstance(task, ContestProgram) and run == "yes":
        task = ContestProgram(task.name, Sandbox())
    read = QuestionFile(task=task, examples=found.examples, columns={"difficulty": "rating"}, skipped=found.skipped)
    notes = [f"{found.skipped} row(s) could not be read; the first: {found.reason}."] if found.skipped else []
    if isinstance(task, ContestProgram):
        notes.append(
            "Programs ran in a sandbox, 10 s and 512 MB a test."
            if task.runner
            else "Programs were not run: every answer counts as wrong. --with difficulty:run=yes runs them in a sandbox (bubblewrap)."
        )
    return (
        read,
        dict(zip([example.id for example in found.examples], found.ratings, strict=True)),
        f"rating of {found.name}, 0 to 1",
        tuple(notes),
    )


def _own(read: QuestionFile) -> tuple[dict[str, float | None], str, tuple[str, ...]]:
    if "difficulty" in read.columns:
        return {example.id: example.factors.get("difficulty") for example in read.examples}, f"column {read.columns['difficulty']}", ()
    if "level" in read.columns:
        return {example.id: example.level for example in read.examples}, f"column {read.columns['level']} (place of the level)", ()
    return {}, "", ()


def _from_table(examples: Sequence[Example], path: Path, notion: str | None) -> tuple[dict[str, float | None], str]:
    from genscope.core.difficulty import oriented, read_difficulty

    table = oriented(read_difficulty(path))
    notions = table["notion"].unique(maintain_order=True).to_list()
    if notion is not None and notion not in notions:
        raise DataError(f"{path}: " + unknown("notion of difficulty", notion, notions))
    chosen = notion or notions[0]
    values = dict(table.filter(table["notion"] == chosen).select("example", "value").iter_rows())
    return {
        example.id: values.get(example.id, values.get(str(example.factors.get("id", "")))) for example in examples
    }, f"{chosen} of {path.name}"


def _mode(plan: ProfilePlan, model: Model, items: _Items) -> str:
    if plan.mode not in MODES:
        raise UsageError(f"mode must be one of {', '.join(MODES)}; got {plan.mode!r}")
    mode = resolve_mode(plan.mode, model)
    if mode == "likelihood" and (items.read.task.scorer != "choice" or "score" not in model.abilities):
        raise UsageError(f"mode likelihood ranks options: it needs the scorer choice (here: {items.read.task.scorer}) and a local model")
    return mode


def _whole(options: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = options.get(name, str(default))
    if not text.isdigit() or int(text) < least:
        raise UsageError(f"difficulty: {name} must be a whole number of at least {least}, got {text!r}")
    return int(text)


def _named(rows: Sequence[Response]) -> list[Response]:
    from dataclasses import replace

    return [replace(row, section="difficulty") for row in rows]


def _records(found: Profile, chance: float, right: np.ndarray) -> list[Record]:
    def made(metric: str, value: float | None, unit: str, n: int, **more: Any) -> Record:
        return Record(source=SOURCE, metric=metric, value=value, unit=unit, n=n, **more)

    d50 = found.d50
    records = [
        made("accuracy", float(right.mean()), "fraction", found.items),
        made("chance", chance, "fraction", found.items),
        made("beta", found.beta.value, "per unit of difficulty", found.items, low=found.beta.low, high=found.beta.high, provenance=f"logistic fit; {found.beta.method}"),
        made("d50", None if d50 is None else d50.value, "difficulty", found.items, low=None if d50 is None else d50.low, high=None if d50 is None else d50.high, provenance="alpha / beta"),
        made("auc", found.auc, "fraction", found.items, provenance="area under the non-increasing curve over difficulty quantiles"),
        made("gap", found.gap, "fraction", found.items, provenance="easiest minus hardest fifth"),
    ]  # fmt: skip
    records += [
        made("bin_accuracy", one.accuracy.value, "fraction", one.accuracy.n, low=one.accuracy.low, high=one.accuracy.high, level=k, factors={"low": one.low, "high": one.high, "items": one.items}, provenance="Wilson interval")
        for k, one in enumerate(found.bins)
    ]  # fmt: skip
    places = np.unique(np.linspace(0, len(found.curve) - 1, min(POINTS, len(found.curve))).astype(int))
    return [
        *records,
        *[made("curve", float(found.curve[k, 1]), "fraction", 1, factors={"difficulty": float(found.curve[k, 0])}) for k in places],
    ]
