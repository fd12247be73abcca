"""`genscope profile MODEL`: does this model generalize or lean on familiar data, and at which complexity does it break?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import digest
from genscope.core.errors import UsageError, unknown
from genscope.core.progress import Progress
from genscope.core.store import Store
from genscope.engine.blocks import ModelElsewhere
from genscope.engine.executor import executor
from genscope.models.ask import Asker
from genscope.models.budget import Budget, Meter, Price
from genscope.models.model import Model
from genscope.sections.choose import choose, parse_with
from genscope.sections.section import SCALES, Cost, Outcome, ProfilePlan, Scale, Section

if TYPE_CHECKING:
    from genscope.verbs.result_folder import Result

DEFAULT_OUT = Path("genscope-runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a profile would do: sections, requests, tokens, and one prompt as the model would get it."""

    model: str
    sections: tuple[str, ...]
    cost: Cost
    money: float | None
    prompt: str

    def plain(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "dry_run": True,
            "model": self.model,
            "sections": list(self.sections),
            **asdict(self.cost),
            "money": self.money,
            "prompt": self.prompt,
        }


def profile(
    model: str | Model,
    *,
    tasks: Sequence[str] | None = None,
    levels: Sequence[str | int] | None = None,
    n: int | None = None,
    mode: str = "auto",
    id_source: str = "auto",
    scale: Scale = "standard",
    seeds: Sequence[int] = (0,),
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    with_: Sequence[str] = (),
    without: Sequence[str] = (),
    out: str | Path | None = None,
    on: str = "local",
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
    """Profile a model and write a result folder: page, records, responses.

    model: its name (`smollm2`, `hf:FOLDER`, `openai:MODEL@URL`, ...) or a Model; tasks, levels, n, mode, id_source: what is asked, as
    the scale says where None; data: the user's own questions, with `columns` naming their columns; with_, without: sections, as
    "NAME:key=value,..."; out: result folder; on: where the model's blocks are computed: "local" (this process), or workers: "ray", "slurm", "local:workers=2"; fresh: ignore the store; budget, price: see `genscope profile --help`; yes: do not ask before spending.
    The same call resumes a run that was stopped, and asks nothing that is already in the store.
    """
    from genscope.models import names
    from genscope.verbs.result_folder import check_out, write

    check_out(out)
    if scale not in SCALES:
        raise UsageError(unknown("scale", str(scale), SCALES))
    subject = names.make(model, key_env=key_env, concurrency=concurrency) if isinstance(model, str) else model
    named = parse_with(with_)
    plan = ProfilePlan(
        scale=scale, tasks=None if tasks is None else tuple(tasks), levels=None if levels is None else tuple(str(level) for level in levels),
        n=n, mode=mode, id_source=id_source, seeds=tuple(seeds), data=None if data is None else Path(data).expanduser(), columns=dict(columns or {}), options=named,
    )  # fmt: skip
    sections = choose(plan, subject, named, without)
    for one in sections:
        one.check(subject, plan)
    rate = Price.parse(price) if price else None
    meter = Meter(Budget.parse(budget) if budget else None, rate)
    asks_first = not yes and confirm is not None and subject.spends
    cost = estimate(sections, subject, plan) if dry_run or asks_first else Cost(requests=0, tokens_in=0, tokens_out=0)
    if dry_run:
        money = rate.of(cost.tokens_in, cost.tokens_out) if rate else None
        return DryRun(
            model=subject.name,
            sections=tuple(one.name for one in sections),
            cost=cost,
            money=money,
            prompt=sections[0].preview(subject, plan),
        )
    shown, store = progress or Progress(), Store.open()
    began, machine_seconds = time.time(), time.process_time()
    asker = Asker(
        _placed(subject, model, on, store, fresh),
        store,
        fresh=fresh,
        progress=shown,
        meter=meter,
        confirm=confirmation(subject, cost, rate, yes, confirm),
    )
    try:
        outcomes = {one.name: one.run(asker, plan) for one in sections}
    finally:
        asker.model.close()
    folder = Path(out).expanduser() if out else DEFAULT_OUT / folder_name(subject, plan)
    about = _about(subject, plan, outcomes)
    run = {
        "began": began, "wall_seconds": round(time.time() - began, 3), "cpu_seconds": round(time.process_time() - machine_seconds, 3),
        "blocks_computed": asker.computed, "damaged_store_files": len(asker.store.damaged), "tokens": meter.plain(),
    }  # fmt: skip
    return write(folder, about, outcomes, run)


def _placed(subject: Model, model: str | Model, on: str, store: Store, fresh: bool) -> Model:
    """The model, with its blocks computed where `on` says."""
    if on == "local":
        return subject
    if not isinstance(model, str):
        raise UsageError(
            f"--on {on}: workers make the model from its name, and this one is an object. Name it as a string, or leave `on` out"
        )
    return ModelElsewhere(subject, model, executor(on, None, store), store, fresh)


def estimate(sections: Sequence[Section], model: Model, plan: ProfilePlan) -> Cost:
    """What all sections together would ask."""
    return sum((one.cost(model, plan) for one in sections), Cost(requests=0, tokens_in=0, tokens_out=0))


def cost_sentence(model: str, cost: Cost, rate: Price | None) -> str:
    """The size of a run in one line; money only where the user gave a price."""
    money = f", at most {rate.of(cost.tokens_in, cost.tokens_out):.2f} in the currency of --price" if rate else ""
    return f"{model}: about {cost.requests:,} requests, {cost.tokens_in:,} tokens in and at most {cost.tokens_out:,} tokens out{money}"


def confirmation(
    model: Model, cost: Cost, rate: Price | None, yes: bool, confirm: Callable[[str], bool] | None
) -> Callable[[], None] | None:
    """What is called before the first call that spends: asks the user once; None when nobody is to be asked."""
    if yes or confirm is None:
        return None

    def ask_once() -> None:
        if not confirm(cost_sentence(model.name, cost, rate)):
            raise UsageError(
                "stopped before the first request; nothing was spent. Use --yes to go on without being asked, --budget to set a limit"
            )

    return ask_once


def folder_name(model: Model, plan: ProfilePlan) -> str:
    """Name of the default result folder: the same command always means the same folder.

    Characters that a file name should not have become dashes.
    """
    slug = "".join(c if c.isalnum() or c in "._" else "-" for c in model.name)[-60:].strip("-.")
    return f"profile-{slug}-{plan.scale}-{digest([model.name, _plain_plan(plan)], size=4)}"


def _plain_plan(plan: ProfilePlan) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(plan), default=str))


def _about(model: Model, plan: ProfilePlan, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    from genscope import __version__

    return {
        "kind": "profile",
        "genscope": __version__,
        "model": {**asdict(model.describe()), "identity": digest(model.identity())},
        "plan": _plain_plan(plan),
        "sections": {
            name: {"facts": dict(o.facts), "notes": list(o.notes), "claims": [dict(claim) for claim in o.claims]}
            for name, o in outcomes.items()
        },
    }
