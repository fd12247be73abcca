"""How far beyond the lengths of its examples a language model solves copying, sorting, counting and other tasks with a length axis.

Eight solved examples of lengths 2 to 8 stand before the question, as turns of a chat or as lines of a text; the questions are as long, twice and four times as long. A model that genscope trained on one of the tasks is asked
that task without examples, at its training lengths and up to twice as long. Zhou et al. 2024 (arXiv 2310.16028).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from genscope.core.canonical import digest
from genscope.core.errors import ModelError, UsageError, unknown
from genscope.core.records import Record
from genscope.core.reply import GenerateJob, Message, Reply, Request, Sampling, message_text
from genscope.core.response import Response
from genscope.core.seeds import Seed
from genscope.core.stats import wilson
from genscope.measures.length_curve import generalization_length
from genscope.models.ask import Asker, request_hash
from genscope.models.budget import estimate_tokens
from genscope.models.model import Description, Model
from genscope.pages.blocks import Answer, Block, Column, Facts, Note, Samples, Table
from genscope.pages.charts import accuracies
from genscope.sections.profile.modes import SYSTEM
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View
from genscope.tasks.length import END, START, TASKS, LengthExample, LengthTask

SOURCE = "profile/length"
SHOTS = (8, 3, 6, 2, 7, 4, 8, 5)
"""Lengths of the examples in the prompt. Not in growing order: a small model keeps to the length of the last ones."""
DEFAULT_TASKS = ("unique_copy", "repeat_copy", "sort", "count", "mode", "parity", "addition")
SETTINGS = {"smoke": (("unique_copy", "sort", "parity"), (4, 8, 16), 16), "standard": (DEFAULT_TASKS, (4, 8, 16, 32), 16)}
"""Scale -> (tasks, lengths, questions a task and length)."""
THRESHOLD = 0.9
SOLVED = "exact match at least 90 %"


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthPlan:
    """What is asked. shots: lengths of the examples in the prompt, none for a model that was trained on the task; known: the longest length it was shown."""

    tasks: tuple[LengthTask, ...]
    lengths: tuple[int, ...]
    n: int
    seed: int
    shots: tuple[int, ...]
    known: int


class LengthSection(Section):
    """Length-generalization curves; only when named: `--with length`, or `--with length:tasks=sort+parity,lengths=4+8+16`."""

    name = "length"
    question = "How far beyond the lengths of its examples does it solve copying, sorting and counting?"
    needs = frozenset({"generate"})

    def fits(self, plan: ProfilePlan) -> bool:
        return False

    def check(self, model: Model, plan: ProfilePlan) -> None:
        _configure(plan, model)

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        total = Cost(requests=0, tokens_in=0, tokens_out=0)
        for _, examples, job in _jobs(_configure(plan, model), model):
            tokens = sum(estimate_tokens(message.content) for request in job.requests for message in request.messages)
            total += Cost(requests=len(examples), tokens_in=tokens, tokens_out=job.sampling.max_tokens * len(examples))
        return total

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        _, _, job = _jobs(_configure(plan, model), model)[0]
        return _shown(job.requests[0], model)

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        config = _configure(plan, asker.model)
        jobs = _jobs(config, asker.model)
        answers = asker.generate([job for _, _, job in jobs], "asking longer questions")
        rows = [
            _response(task, example, reply, job, row, asker.model, config.seed)
            for (task, examples, job), replies in zip(jobs, answers, strict=True)
            for row, (example, reply) in enumerate(zip(examples, replies, strict=True))
        ]
        facts = {
            "tasks": [task.name for task in config.tasks],
            "lengths": list(config.lengths),
            "n": config.n,
            "examples": f"{len(SHOTS)} of lengths {min(SHOTS)} to {max(SHOTS)}"
            if config.shots
            else f"none; it was trained on lengths up to {config.known}",
            "known": config.known,
        }
        return Outcome(responses=rows, records=list(_measure(rows)), facts=facts)

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return _view(records.filter(pl.col("source") == SOURCE), responses.filter(pl.col("section") == "length"), about)


def _configure(plan: ProfilePlan, model: Model) -> LengthPlan:
    chosen, lengths, n = SETTINGS.get(plan.scale, (DEFAULT_TASKS, (4, 8, 16, 32, 64), 64))
    shots, known = SHOTS, max(SHOTS)
    if "compact" in model.abilities:
        chosen, known = (_trained_task(model),), int(model.trained_on["lengths"][1])
        shots, lengths = (), tuple(sorted({max(1, known // 2), known, round(1.5 * known), 2 * known}))
    own = chosen
    for name, value in plan.options.get("length", {}).items():
        if name == "tasks":
            chosen = tuple(value.split("+"))
        elif name in ("lengths", "n"):
            numbers = value.split("+")
            if not all(one.isdigit() and int(one) > 0 for one in numbers) or (name == "n" and len(numbers) > 1):
                raise UsageError(
                    f"length: {name} takes {'whole numbers joined by +' if name == 'lengths' else 'a whole number'}, got {value!r}"
                )
            lengths, n = (tuple(sorted({int(one) for one in numbers})), n) if name == "lengths" else (lengths, int(value))
        else:
            raise UsageError(unknown("option of length", name, ("tasks", "lengths", "n")))
    for name in chosen:
        if name not in TASKS:
            raise UsageError(unknown("length task", name, TASKS))
        if not shots and name not in own:
            raise UsageError(f"{model.name} was trained on {own[0]} and knows the words of that task only; it cannot be asked {name}")
    tasks = tuple(TASKS[name] if shots else replace(TASKS[name], symbols=int(model.trained_on["symbols"])) for name in chosen)
    for task in tasks:
        if max(lengths) > task.longest:
            raise UsageError(f"{task.name}: lengths go up to {task.longest}, got {max(lengths)}")
    return LengthPlan(tasks=tasks, lengths=lengths, n=n, seed=plan.seeds[0], shots=shots, known=known)


def _trained_task(model: Model) -> str:
    """The length task that a model was trained on; ModelError where it was another task."""
    name = str(model.trained_on.get("task", ""))
    if name not in TASKS:
        raise ModelError(
            f"{model.name} was trained from scratch on another family of tasks and reads no length task. Leave --with length out"
        )
    return name


def _line(task: LengthTask, codes: Sequence[int]) -> str:
    return " ".join(task.word(code) for code in codes if code not in (START, END))


def _request(task: LengthTask, example: LengthExample, shots: Sequence[LengthExample]) -> Request:
    if not shots:
        words = " ".join(task.word(code) for code in example.prompt)
        return Request(messages=(Message("user", words),), plain=words)
    lead = f"The task is {task.title}. Reply with the answer only."
    turns = [(_line(task, one.prompt), _line(task, one.answer)) for one in shots]
    asked = _line(task, example.prompt)
    messages = [message for question, answer in turns for message in (Message("user", question), Message("assistant", answer))]
    messages = [*messages, Message("user", asked)]
    messages[0] = Message("user", f"{lead}\n\n{messages[0].content}")
    shown = "\n".join(f"{question} {answer}" for question, answer in turns)
    return Request(messages=(SYSTEM, *messages), plain=f"{shown}\n{asked}")


def _jobs(config: LengthPlan, model: Model) -> list[tuple[LengthTask, list[LengthExample], GenerateJob]]:
    """Blocks of one task and length; a larger n adds blocks and changes none."""
    jobs = []
    for task in config.tasks:
        seed = Seed("profile", "length", config.seed)
        shots = [task.sample(length, seed.child("shots", task.name, place).rng()) for place, length in enumerate(config.shots)]
        for length in config.lengths:
            count = -(-config.n // model.block) * model.block
            examples = task.examples(length, count, seed.child("questions"))
            for start in range(0, count, model.block):
                part = examples[start : start + model.block]
                words = max(len(one.answer) for one in part)
                # a word is at most two tokens for most vocabularies; room for an unasked-for sentence
                room = 3 * words + 16 if shots else words
                sampling = Sampling(max_tokens=room, stop=() if "chat" in model.abilities or not shots else ("\n",))
                jobs.append((task, part, GenerateJob(requests=tuple(_request(task, one, shots) for one in part), sampling=sampling)))
    return jobs


def score(task: LengthTask, example: LengthExample, reply: str) -> tuple[bool, str]:
    """(right, the words that were read): the first line with words, what stands before a `>`, `=`, "answer:" or "answer is" left out."""
    wanted = [task.word(code) for code in example.answer if code != END]
    for line in reply[:8_000].splitlines():
        tail = re.split(r"[>=]|\banswer\b\s{0,3}(?:is\b)?\s{0,3}:?", line, flags=re.IGNORECASE)[-1]
        words = re.findall(r"\w+", tail)
        if words:
            return [word.lower() for word in words] == wanted, " ".join(words)[:500]
    return False, ""


def _response(task: LengthTask, example: LengthExample, reply: Reply, job: GenerateJob, row: int, model: Model, seed: int) -> Response:
    right, read = score(task, example, reply.text)
    return Response(
        section="length", kind="answer", task=task.name, level=example.length, split="", seed=seed, index=row, example=digest([task.name, example.prompt]), model=model.name,
        mode="8 examples", prompt_hash=request_hash(job, row), prompt=_shown(job.requests[row], model), reply=reply.text, thinking=reply.thinking, target=_line(task, example.answer),
        parsed=bool(read), how="strict" if read else "none", answer=read, correct=right, score=float(right), chance=task.chance(example.length), refused=reply.refused,
        tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, truncated=reply.finish == "length", failed=(reply.error or "no reply") if reply.finish == "failed" else "",
        dropped=", ".join(reply.dropped),
    )  # fmt: skip


def _measure(rows: Sequence[Response]) -> list[Record]:
    records = []
    for task in dict.fromkeys(row.task for row in rows):
        curve = {}
        for length in sorted({row.level or 0 for row in rows if row.task == task}):
            part = [row for row in rows if row.task == task and row.level == length]
            came = [row for row in part if not row.failed]
            common: dict[str, Any] = {"source": SOURCE, "condition": task, "level": length, "n": len(came)}
            if came:
                found = wilson(sum(row.correct for row in came), len(came))
                curve[length] = found.value
                records += [
                    Record(metric="exact_match", value=found.value, low=found.low, high=found.high, unit="fraction", provenance="whole answer right; Wilson", **common),
                    Record(metric="chance", value=came[0].chance, unit="fraction", **common),
                ]  # fmt: skip
            for what, count in (
                ("unparsed", sum(not row.parsed for row in came)),
                ("truncated", sum(row.truncated for row in came)),
                ("failed", len(part) - len(came)),
            ):
                records.append(Record(metric=what, value=count, unit="count", **common))
        if curve:
            records.append(
                Record(
                    source=SOURCE,
                    condition=task,
                    metric="generalization_length",
                    value=generalization_length(curve, THRESHOLD),
                    unit="symbols",
                    n=len(curve),
                    provenance=f"largest length up to which {SOLVED}",
                )
            )
    return records


def _view(records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any]) -> View:
    rows = records.to_dicts()
    at = {(row["condition"], row["level"], row["metric"]): row for row in rows}
    tasks, lengths = about["facts"]["tasks"], about["facts"]["lengths"]
    table, chart = [], []
    for task in tasks:
        reached = at.get((task, None, "generalization_length"))
        made: dict[str, Any] = {"task": TASKS[task].title, "reached": None if reached is None else int(reached["value"])}
        for length in lengths:
            found = at.get((task, length, "exact_match"))
            made[str(length)] = None if found is None else (found["value"], found["low"], found["high"])
            if found is not None:
                chart.append(
                    {
                        "level": f"{length} symbols",
                        "name": TASKS[task].title,
                        "accuracy": found["value"],
                        "low": found["low"],
                        "high": found["high"],
                        "chance": at[task, length, "chance"]["value"],
                    }
                )
        for what in ("unparsed", "truncated", "failed"):
            made[what] = sum(int(row["value"]) for row in rows if row["condition"] == task and row["metric"] == what)
        table.append(made)
    columns = (
        Column("task", "task"), *(Column(str(length), str(length), "percent") for length in lengths), Column("reached", "solves up to", "count", f"the largest length up to which {SOLVED} at every length asked"),
        *(Column(what, what, "count") for what in ("unparsed", "truncated", "failed")),
    )  # fmt: skip
    facts = about["facts"]
    blocks: list[Block] = [Facts({"examples in the prompt": facts["examples"], "questions a task and length": str(facts["n"])})]
    blocks += [Note(list(about["notes"]))] if about["notes"] else []
    blocks.append(
        Table(
            columns,
            table,
            "Whole answers right by length (percent, 95 % intervals); chance is 50 % for parity, 10 % for mode, near 0 else.",
            main=True,
        )
    )
    return View(
        answer=_answer(table, lengths, int(facts["known"])),
        blocks=[*blocks, *_chart(chart, tasks)],
        samples=[Samples(_samples(responses), "Longer questions and replies")],
        facts={
            "tasks": ", ".join(facts["tasks"]),
            "lengths": ", ".join(map(str, facts["lengths"])),
            "questions a task and length": str(facts["n"]),
            "examples": str(facts["examples"]),
            "longest length shown": str(facts["known"]),
        },
    )


def _chart(rows: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> list[Block]:
    from genscope.pages.blocks import Chart

    if not rows:
        return []
    return [
        Chart(
            accuracies(rows, [TASKS[task].title for task in tasks]),
            "Exact match by length.",
            "Grey dashes: what guessing gives.",
            alt="Exact match over lengths, one colour a task",
        )
    ]


def _answer(table: Sequence[Mapping[str, Any]], lengths: Sequence[int], known: int) -> Answer:
    solved = [row for row in table if row["reached"]]
    far = [row["task"] for row in solved if row["reached"] > known]
    if not solved:
        return Answer(
            f"Of {len(table)} tasks it solves none even at the shortest length asked ({min(lengths)} symbols).", f"Solved: {SOLVED}."
        )
    beyond = (
        f"beyond the lengths it was shown (up to {known}): {', '.join(far)}"
        if far
        else f"none beyond the lengths it was shown (up to {known})"
    )
    return Answer(
        f"Of {len(table)} tasks it solves {len(solved)} at short lengths, {beyond}.", f"Solved: {SOLVED} at every length up to there."
    )


def _samples(responses: pl.DataFrame) -> list[dict[str, str]]:
    rows = (
        responses.sample(fraction=1.0, shuffle=True, seed=Seed("profile", "length", "samples").integer(31))
        .group_by("task", "level", "correct", maintain_order=True)
        .head(2)
    )
    return [
        {
            "level": f"{row['level']} symbols", "split": "", "task": TASKS[row["task"]].title, "verdict": "failed" if row["failed"] else "unparsed" if not row["parsed"] else "right" if row["correct"] else "wrong",
            "prompt": row["prompt"], "reply": row["reply"], "thinking": row["thinking"], "target": row["target"], "answer": row["answer"], "how": row["how"],
        }
        for row in rows.sort("task", "level", maintain_order=True).to_dicts()
    ]  # fmt: skip


def _shown(request: Request, model: Model) -> str:
    return message_text(request.messages, "") if "chat" in model.abilities else request.plain
