"""`genscope compare A B`: which of two models generalizes better, on the same new questions?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from genscope.core.canonical import digest
from genscope.core.errors import DataError, UsageError
from genscope.core.progress import Progress
from genscope.core.records import records_frame
from genscope.core.response import Response, responses_frame
from genscope.core.store import Store
from genscope.measures.paired_accuracy import paired_records
from genscope.models import names
from genscope.models.ask import Asker
from genscope.models.budget import Budget, Meter, Price
from genscope.sections.choose import parse_with
from genscope.sections.profile import scylla_ask
from genscope.sections.profile.modes import resolve_mode
from genscope.sections.profile.scylla import ScyllaSection
from genscope.sections.profile.scylla_plan import DEMONSTRATIONS, ScyllaConfig, configure
from genscope.sections.section import ProfilePlan, Scale
from genscope.verbs import result_folder
from genscope.verbs.profile import DEFAULT_OUT, DryRun, confirmation

if TYPE_CHECKING:
    from genscope.verbs.result_folder import Result


def compare(
    a: str | Path,
    b: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    levels: Sequence[str | int] | None = None,
    n: int | None = None,
    mode: str = "auto",
    id_source: str = "auto",
    scale: Scale = "standard",
    seeds: Sequence[int] = (0,),
    with_: Sequence[str] = (),
    out: str | Path | None = None,
    fresh: bool = False,
    dry_run: bool = False,
    budget: str | None = None,
    price: str | None = None,
    yes: bool = True,
    key_env: str = "OPENAI_API_KEY",
    concurrency: int = 8,
    confirm: Callable[[str], bool] | None = None,
    progress: Progress | None = None,
) -> Result | DryRun:
    """Compare two models, or two result folders of `profile`.

    Models: both are probed, both answer the same OOD questions, made of numbers outside BOTH models' ID sets (paired by question), and each
    its own ID questions (not paired). Folders: their OOD questions must be the same, else DataError says how many they share.
    """
    result_folder.check_out(out)
    held = [_is_result(one) for one in (a, b)]
    if all(held):
        if dry_run:
            raise UsageError("--dry-run shows what two models would be asked; two result folders are only read")
        return _compare_folders(Path(a), Path(b), out)
    if any(held):
        raise UsageError(f"compare takes two models or two result folders; {a} is {_kind(held[0])} and {b} is {_kind(held[1])}")
    plan = ProfilePlan(
        scale=scale, tasks=None if tasks is None else tuple(tasks), levels=None if levels is None else tuple(str(level) for level in levels), n=n, mode=mode,
        id_source=id_source, seeds=tuple(seeds), options=parse_with(with_),
    )  # fmt: skip
    models = [names.make(str(one), key_env=key_env, concurrency=concurrency) for one in (a, b)]
    config = configure(plan, *models)
    if models[0].identity() == models[1].identity():
        raise UsageError(f"{a} and {b} are the same model with the same options; compare it with another one")
    section = ScyllaSection()
    costs = [section.cost(model, plan) for model in models]
    rate = Price.parse(price) if price else None
    if dry_run:
        total = costs[0] + costs[1]
        money = rate.of(total.tokens_in, total.tokens_out) if rate else None
        return DryRun(
            model=f"{models[0].name} and {models[1].name}",
            sections=("scylla",),
            cost=total,
            money=money,
            prompt=section.preview(models[0], plan),
        )
    began = time.time()
    meter = Meter(Budget.parse(budget) if budget else None, rate)
    shown, store = progress or Progress(), Store.open()
    askers = [Asker(model, store, fresh=fresh, progress=shown, meter=meter, confirm=confirmation(model, cost, rate, yes, confirm)) for model, cost in zip(models, costs, strict=True)]  # fmt: skip
    modes = {resolve_mode(config.mode, model) for model in models}
    used = config.mode if config.mode != "auto" else ("cot" if modes == {"cot"} else "direct")
    rows, notes = _ask_both(askers, config, used)
    facts = {
        "mode": used,
        "universe": config.universe,
        "n": config.n,
        "seeds": list(config.seeds),
        "scale": scale,
        "paired": "OOD questions only",
    }
    run = {
        "began": began,
        "wall_seconds": round(time.time() - began, 3),
        "blocks_computed": sum(asker.computed for asker in askers),
        "tokens": meter.plain(),
    }
    folder = Path(out).expanduser() if out else DEFAULT_OUT / f"compare-{digest([m.name for m in models] + [asdict(config)], size=4)}"
    about = [{**asdict(model.describe()), "identity": digest(model.identity())} for model in models]
    return _finish(folder, about, [responses_frame(part) for part in rows], facts, notes, run)


def _ask_both(askers: Sequence[Asker], config: ScyllaConfig, mode: str) -> tuple[list[list[Response]], list[str]]:
    """The rows of both models: probes, their own ID questions, and the joint OOD questions."""
    found, rows = zip(*(scylla_ask.sources(asker, config) for asker in askers), strict=True)
    all_rows = [list(part) for part in rows]
    notes: list[str] = []
    pairs = []
    block = max(asker.model.block for asker in askers)
    for place in found[0]:
        try:
            pairs.append(_joint(place, [part[place] for part in found], config, block))
        except scylla_ask.TaskError as error:
            notes.append(f"{place[0]} (seed {place[1]}) was not asked: {error}")
    if not pairs:
        raise scylla_ask.TaskError(f"no task could be asked of both models. {notes[0] if notes else ''}")
    for which, asker in enumerate(askers):
        asked = scylla_ask.ask(asker, [pair[which] for pair in pairs], config, mode)
        all_rows[which] += [row for row in asked if row.index < DEMONSTRATIONS + config.n]
    for asker in askers:
        asker.model.close()
    return all_rows, notes


def _joint(place: tuple[str, int], sources: Sequence[Any], config: ScyllaConfig, block: int) -> list[scylla_ask.TaskSet]:
    """Each model's own ID questions, and for both the same OOD questions: half with lengths after one model's ID lists, half after the other's."""
    elements = [frozenset(source.elements.tolist()) for source in sources]
    sets = [
        scylla_ask.task_set(*place, source, config, block, exclude=other) for source, other in zip(sources, reversed(elements), strict=True)
    ]
    mixed = [sets[index % 2].ood[index] for index in range(len(sets[0].ood))]
    joint = [replace(example, index=DEMONSTRATIONS + index) for index, example in enumerate(mixed)]
    return [replace(one, ood=joint, demonstrations={**one.demonstrations, "ood": sets[0].demonstrations["ood"]}) for one in sets]


def _compare_folders(a: Path, b: Path, out: str | Path | None) -> Result:
    results = [result_folder.read(folder) for folder in (a, b)]
    for folder, result in zip((a, b), results, strict=True):
        if result.about.get("kind") != "profile":
            raise DataError(f"{folder}: compare takes result folders of `genscope profile`, this one is of {result.about.get('kind')!r}")
    questions = [set(_ood(result.responses)["example"]) for result in results]
    shared = len(questions[0] & questions[1])
    if questions[0] != questions[1] or not shared:
        raise DataError(
            f"{a} and {b} cannot be paired: of {len(questions[0])} and {len(questions[1])} OOD questions they share {shared}. "
            "Ask both models the same questions with: genscope compare MODEL_A MODEL_B"
        )
    about = [dict(result.about["model"]) for result in results]
    facts = {
        "folders": f"{a.name}, {b.name}",
        "paired": "OOD questions only",
        "mode": ", ".join(sorted({mode for r in results for mode in _ood(r.responses)["mode"]})),
    }
    folder = Path(out).expanduser() if out else DEFAULT_OUT / f"compare-{digest([str(a), str(b)], size=4)}"
    return _finish(folder, about, [result.responses for result in results], facts, [], {"began": time.time()})


def _finish(
    folder: Path,
    models: list[dict[str, Any]],
    frames: Sequence[pl.DataFrame],
    facts: Mapping[str, Any],
    notes: Sequence[str],
    run: Mapping[str, Any],
) -> Result:
    from genscope import __version__
    from genscope.verbs.result_page import views

    labels = ["a", "b"]
    responses = pl.concat([frame.with_columns(model=pl.lit(label)) for frame, label in zip(frames, labels, strict=True)])
    records = records_frame(paired_records(*frames))
    about: dict[str, Any] = {
        "kind": "compare", "genscope": __version__, "models": models,
        "sections": {"compare": {"facts": dict(facts), "notes": list(notes), "claims": []}},
    }  # fmt: skip
    result = result_folder.Result(folder, about, records, responses)
    about["headline"] = next(iter(views(result).values())).answer.sentence
    return result_folder.save(result, run)


def _ood(responses: pl.DataFrame) -> pl.DataFrame:
    return responses.filter((pl.col("kind") == "answer") & (pl.col("split") == "ood"))


def _is_result(name: str | Path) -> bool:
    return (Path(name) / "result.json").is_file()


def _kind(held: bool) -> str:
    return "a result folder" if held else "not a result folder"
