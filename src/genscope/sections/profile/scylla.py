"""Scylla: does the model solve tasks with a skill that transfers, and at which complexity does it break? (Qi et al. 2025)

The model is asked to invent test inputs for each task; the numbers it writes are its familiar (ID) elements. Then it solves the
same tasks on familiar numbers and on numbers it never wrote (OOD), at equal lengths, over five levels of time complexity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from genscope.core.records import Record
from genscope.core.reply import message_text
from genscope.core.response import responses_frame
from genscope.models.ask import Asker, job_tokens
from genscope.models.model import Description, Model
from genscope.sections.profile import scylla_ask, scylla_scores, scylla_view
from genscope.sections.profile.modes import resolve_mode
from genscope.sections.profile.scylla_plan import DEMONSTRATIONS, ScyllaConfig, configure
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View
from genscope.studies import scylla_profile as study
from genscope.tasks import scylla


class ScyllaSection(Section):
    """ID and OOD accuracy over five complexity levels, the generalization valley and the critical complexity."""

    name = "scylla"
    question = "Does it solve tasks with a skill that transfers, or lean on familiar data, and at which complexity does it break?"
    needs = frozenset({"generate"})

    def fits(self, plan: ProfilePlan) -> bool:
        return plan.data is None

    def check(self, model: Model, plan: ProfilePlan) -> None:
        resolve_mode(configure(plan, model).mode, model)

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        config = configure(plan, model)
        mode = resolve_mode(config.mode, model)
        total = Cost(requests=0, tokens_in=0, tokens_out=0)
        probed = config.id_source in ("auto", "examples", "elements")
        for name in config.tasks:
            task = scylla.task(name)
            for seed in config.seeds:
                if probed:
                    for job in scylla_ask.probe_jobs(task, config, seed, model):
                        total += _job_cost(job, len(job.requests))
                total += _question_cost(model, task, config, mode).times(2 * scylla_ask.whole_blocks(config.n, model.block))
        return total

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        config = configure(plan, model)
        task = scylla.task(config.tasks[0])
        item = _example_set(task, config)
        asked = scylla_ask.request(task, item.id[0], resolve_mode(config.mode, model), item.demonstrations["id"], config.style)
        return (
            message_text(asked.messages, asked.prefill if "prefill" in model.abilities else "")
            if "chat" in model.abilities
            else asked.plain
        )

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        config = configure(plan, asker.model)
        mode = resolve_mode(config.mode, asker.model)
        found, probes = scylla_ask.sources(asker, config)
        sets, skipped = scylla_ask.task_sets(found, config, asker.model.block)
        rows = [row for row in scylla_ask.ask(asker, sets, config, mode) if row.index < DEMONSTRATIONS + config.n]
        responses = [*probes, *rows]
        frame = responses_frame(responses)
        records = [*scylla_scores.measure(frame, config), *_source_records(sets)]
        return Outcome(
            responses=responses,
            records=records,
            claims=study.judge_profile(frame),
            facts=_facts(config, mode, asker.model, sets, skipped),
            notes=_notes(sets, skipped, frame, config),
        )

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return scylla_view.view(records, responses, about, model)


def _job_cost(job: Any, requests: int) -> Cost:
    tokens_in, tokens_out = job_tokens(job)
    return Cost(requests=requests, tokens_in=tokens_in, tokens_out=tokens_out)


def _question_cost(model: Model, task: scylla.AlgorithmicTask, config: ScyllaConfig, mode: str) -> Cost:
    item = _example_set(task, config)
    request = scylla_ask.request(task, item.ood[0], mode, item.demonstrations["ood"], config.style)
    from genscope.models.budget import estimate_tokens

    text = "".join(message.content for message in request.messages) if "chat" in model.abilities else request.plain
    tokens_in = estimate_tokens(text)
    if mode == "likelihood":
        return Cost(requests=1, tokens_in=tokens_in + (scylla_ask.CHOICES + scylla_ask.ACCEPTABLE - 1) * 8, tokens_out=0)
    if mode == "cot" and "chat" in model.abilities:
        return Cost(requests=2, tokens_in=2 * tokens_in + config.cot_tokens, tokens_out=config.cot_tokens + config.second_tokens)
    return Cost(requests=1, tokens_in=tokens_in, tokens_out=task.direct_tokens)


def _example_set(task: scylla.AlgorithmicTask, config: ScyllaConfig) -> scylla_ask.TaskSet:
    prior = scylla.IdSource.prior(task)
    sampler = scylla.Sampler(task, prior, "elements", "paper", scylla_ask.root(config.seeds[0]).child("preview"))
    id_, ood = sampler.id(0, DEMONSTRATIONS + 1), sampler.ood(0, DEMONSTRATIONS + 1)
    demonstrations = {"id": id_[:DEMONSTRATIONS], "ood": ood[:DEMONSTRATIONS]}
    return scylla_ask.TaskSet(task=task, seed=0, source=prior, kind="elements", sampler=sampler, id=id_[DEMONSTRATIONS:], ood=ood[DEMONSTRATIONS:], demonstrations=demonstrations)  # fmt: skip


def _source_records(sets: list[scylla_ask.TaskSet]) -> list[Record]:
    records = []
    for item in sets:
        common = {
            "source": scylla_scores.SOURCE,
            "seed": item.seed,
            "level": item.task.level,
            "factors": {"task": item.task.name, "kind": item.kind},
        }
        elements = item.source.elements
        certificate = item.sampler.certificate(len(item.id))
        n = len(elements)
        records += [
            Record(metric="id_elements", value=n, unit="count", n=n, split="id", **common),
            Record(metric="id_distinct", value=len(set(elements.tolist())), unit="count", n=n, split="id", **common),
            Record(metric="id_examples", value=len(item.source.examples), unit="count", n=item.source.spans, split="id", **common),
            Record(metric="shared_elements", value=certificate.shared_elements, unit="count", n=n, **common),
            Record(metric="shared_examples", value=certificate.shared_examples, unit="count", n=len(item.id), **common),
        ]
    return records


def _facts(
    config: ScyllaConfig, mode: str, model: Model, sets: list[scylla_ask.TaskSet], skipped: list[scylla_ask.Skipped]
) -> dict[str, Any]:
    source = config.id_source if config.id_source in ("auto", "examples", "elements", "prior") else "file of lists"
    return {
        "mode": scylla_ask.mode_name(mode, model),
        "universe": config.universe,
        "n": config.n,
        "seeds": list(config.seeds),
        "tasks": sorted({item.task.name for item in sets}),
        "skipped": [{"task": one.task, "seed": one.seed, "why": one.why} for one in skipped],
        "id_source": source,
        "id_kinds": {f"{item.task.name}/{item.seed}": item.kind for item in sets},
        "probe": {"completions": config.probe_completions, "tokens": config.probe_tokens}
        if source in ("auto", "examples", "elements")
        else None,
        "grade": config.grade,
        "few_shot": None if "chat" in model.abilities else config.style,
        "unparsed": config.unparsed,
        "aggregate": config.aggregate,
        "resample": config.resample,
        "draws": config.draws,
        "certified": all(item.sampler.certificate(len(item.id)).ok for item in sets),
    }


def _notes(sets: list[scylla_ask.TaskSet], skipped: list[scylla_ask.Skipped], responses: pl.DataFrame, config: ScyllaConfig) -> list[str]:
    notes = [f"{one.task} (seed {one.seed}) was not asked: {one.why}" for one in skipped]
    drawn = [item for item in sets if item.kind == "elements" and config.id_source == "auto"]
    if drawn:
        fewest = {item.task.title: min(len(one.source.examples) for one in drawn if one.task is item.task) for item in drawn}
        notes.append(
            f"In {len(fewest)} task(s) the model wrote fewer different usable examples than the {DEMONSTRATIONS + len(drawn[0].id)} that a side takes ({DEMONSTRATIONS} are kept for "
            "demonstrations), or none that has new siblings; there the ID questions are drawn from its elements and list lengths. Usable examples it wrote: "
            + ", ".join(f"{title} {count}" for title, count in sorted(fewest.items()))
        )
    notes += list(dict.fromkeys(f"{item.task.title}: {note}" for item in sets for note in item.sampler.notes))
    dropped = sorted({name for names in responses["dropped"].unique() for name in names.split(", ") if name})
    refused = int(responses["refused"].sum())
    if refused:
        notes.append(f"{refused} of {len(responses)} replies were refusals; they are graded like any other reply")
    if dropped:
        notes.append(f"The server did not accept these parameters, and was asked without them: {', '.join(dropped)}")
    return notes
