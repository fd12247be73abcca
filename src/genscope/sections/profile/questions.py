"""The user's own questions as a section of the profile: accuracy per split and level, with chance, intervals and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from genscope.core.canonical import canonical
from genscope.core.errors import DataError, UsageError
from genscope.core.example import Example
from genscope.core.records import Record
from genscope.core.reply import TOO_LONG, GenerateJob, Message, Reply, Request, Sampling, ScoreJob, message_text
from genscope.core.response import Response, responses_frame
from genscope.core.stats import Interval, wilson
from genscope.core.stats.mover import mover
from genscope.measures.likelihood import length_normalised
from genscope.models.ask import Asker, request_hash
from genscope.models.budget import estimate_tokens
from genscope.models.model import Description, Model
from genscope.sections.profile import questions_view
from genscope.sections.profile.modes import ANSWER, MODES, SYSTEM, resolve_mode
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View
from genscope.tasks.easy2hard import is_easy2hard
from genscope.tasks.questions import QuestionFile, load

SOURCE = "profile/questions"
DIRECT_TOKENS = 64
COT_TOKENS = 2_048


class QuestionsSection(Section):
    """Accuracy on the questions of `--data FILE`, per split and level."""

    name = "questions"
    question = "How often is it right on my own questions, by split and level?"
    needs = frozenset({"generate"})

    def fits(self, plan: ProfilePlan) -> bool:
        # a set of Easy2Hard-Bench has columns and scorers of its own: section difficulty asks it
        return plan.data is not None and not is_easy2hard(plan.data)

    def check(self, model: Model, plan: ProfilePlan) -> None:
        self._read(plan)
        self._mode(plan, model)

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        read, mode = self._read(plan), self._mode(plan, model)
        examples = _chosen(read.examples, plan.n)
        tokens_in = sum(estimate_tokens(asked(read, example, mode).messages[-1].content) for example in examples)
        tokens_out = {"cot": COT_TOKENS, "direct": DIRECT_TOKENS}.get(mode, 0) * len(examples)
        return Cost(requests=len(examples), tokens_in=tokens_in, tokens_out=tokens_out)

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        read = self._read(plan)
        return shown(asked(read, read.examples[0], self._mode(plan, model)), model)

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        read, mode = self._read(plan), self._mode(plan, asker.model)
        examples = _chosen(read.examples, plan.n)
        rows = ranked(asker, read, examples) if mode == "likelihood" else answered(asker, read, examples, mode)
        facts = {
            "file": (plan.data or "").__str__().rsplit("/", 1)[-1], "columns": read.columns, "scorer": read.task.scorer, "mode": mode, "n": len(rows),
            "levels": _level_names(examples), "skipped_rows": read.skipped,
        }  # fmt: skip
        notes = [f"{read.skipped} row(s) of the file have no question or no answer and were left out."] if read.skipped else []
        return Outcome(responses=rows, records=list(measure(responses_frame(rows))), facts=facts, notes=notes)

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return questions_view.view(records, responses, about, model)

    def _read(self, plan: ProfilePlan) -> QuestionFile:
        if plan.data is None:
            raise DataError("section questions needs --data FILE (CSV, JSONL or Parquet)")
        return load(plan.data, plan.columns)

    def _mode(self, plan: ProfilePlan, model: Model) -> str:
        if plan.mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}; got {plan.mode!r}")
        mode = resolve_mode(plan.mode, model)
        if mode == "likelihood":
            read = self._read(plan)
            if read.task.scorer != "choice" or "score" not in model.abilities:
                raise UsageError(
                    f"mode likelihood ranks options: it needs the scorer choice (here: {read.task.scorer}) and a local model; {model.name} can {', '.join(sorted(model.abilities))}"
                )
        return mode


def _chosen(examples: Sequence[Example], n: int | None) -> list[Example]:
    """The first n of each split, or all."""
    return [example for example in examples if n is None or example.index < n]


def asked(read: QuestionFile, example: Example, mode: str) -> Request:
    """The question as it is put in a mode: direct, cot or likelihood."""
    question = read.task.prompt(example)
    ending = "Let's think step by step." if mode == "cot" else "Reply with the answer only."
    text = f"{question}\n\n{read.task.answer_rule()}\n{ending}" if mode != "likelihood" else question
    return Request(
        messages=(SYSTEM, Message("user", text)), prefill="" if mode == "cot" else ANSWER, plain=f"Question: {question}\nAnswer:"
    )


def asked_directly(read: QuestionFile, example: Example) -> Request:
    """The question as it is put without a chain of thought."""
    return asked(read, example, "direct")


def answered(asker: Asker, read: QuestionFile, examples: Sequence[Example], mode: str) -> list[Response]:
    """The model's graded reply to each question."""
    model = asker.model
    chat = "chat" in model.abilities
    sampling = Sampling(max_tokens=COT_TOKENS if mode == "cot" and chat else DIRECT_TOKENS, stop=() if chat else ("\n",))
    blocks = [part[start : start + model.block] for part in _by_split(examples) for start in range(0, len(part), model.block)]
    jobs = [GenerateJob(requests=tuple(asked(read, example, mode) for example in block), sampling=sampling) for block in blocks]
    answers = asker.generate(jobs, "asking your questions")
    lead = f"{ANSWER} " if not chat or (mode != "cot" and "prefill" in model.abilities) else ""
    return [
        _response(read, example, reply, lead, job, row, mode if chat else "plain", model)
        for block, job, replies in zip(blocks, jobs, answers, strict=True)
        for row, (example, reply) in enumerate(zip(block, replies, strict=True))
    ]


def _response(
    read: QuestionFile, example: Example, reply: Reply, lead: str, job: GenerateJob, row: int, mode: str, model: Model
) -> Response:
    score = read.task.score(example, lead + reply.text)
    return Response(
        section="questions", kind="answer", task=read.task.name, level=example.level, split=example.split, index=example.index, example=example.id,
        model=model.name, mode=mode, prompt_hash=request_hash(job, row), prompt=shown(job.requests[row], model), reply=reply.text, thinking=reply.thinking,
        target=_target(example), parsed=score.parsed, how=score.how, answer="" if score.value is None else str(score.value)[:500], correct=score.correct,
        score=float(score.correct), chance=read.task.chance(example), tokens_in=reply.tokens_in, tokens_out=reply.tokens_out,
        truncated=reply.finish == "length", failed=(reply.error or "no reply") if reply.finish == "failed" else "", dropped=", ".join(reply.dropped),
        factors=canonical(dict(example.factors)),
    )  # fmt: skip


def ranked(asker: Asker, read: QuestionFile, examples: Sequence[Example]) -> list[Response]:
    """The model's likeliest option for each question."""
    jobs = [
        ScoreJob(request=asked(read, example, "likelihood"), continuations=tuple(f" {option}" for option in example.input["choices"]))
        for example in examples
    ]
    rows = []
    for example, job, scores in zip(examples, jobs, asker.score(jobs, "ranking options"), strict=True):
        means = [length_normalised(logprobs) for logprobs in scores]
        best = max(range(len(means)), key=means.__getitem__, default=None)
        others = [mean for place, mean in enumerate(means) if place != example.target]
        rows.append(
            Response(
                section="questions", kind="answer", task=read.task.name, level=example.level, split=example.split, index=example.index, example=example.id,
                model=asker.model.name, mode="likelihood", prompt_hash=request_hash(job), prompt=shown(job.request, asker.model),
                reply="" if best is None else job.continuations[best].strip(), target=_target(example), parsed=best is not None, how="none" if best is None else "strict",
                answer="" if best is None else str(best), correct=best == example.target, score=means[example.target] - max(others) if others else None,
                chance=read.task.chance(example), failed=TOO_LONG if best is None else "", factors=canonical(dict(example.factors)),
            )
        )  # fmt: skip
    return rows


def measure(responses: pl.DataFrame) -> Iterable[Record]:
    """Accuracy with Wilson interval, chance and counts: over all, per split, per level, and per split and level; the difference of two splits."""
    yield from _cell(responses, "", None)
    splits = [name for name in dict.fromkeys(responses["split"]) if name]
    levels = sorted(level for level in responses["level"].unique() if level is not None)
    for split in splits:
        yield from _cell(responses.filter(pl.col("split") == split), split, None)
    for level in levels:
        part = responses.filter(pl.col("level") == level)
        yield from _cell(part, "", level)
        for split in splits:
            yield from _cell(part.filter(pl.col("split") == split), split, level)
    if len(splits) == 2:
        first, second = (_accuracy(responses.filter(pl.col("split") == split)) for split in splits)
        if first and second:
            found = mover([(1, first), (-1, second)])
            yield Record(source=SOURCE, metric="difference", value=found.value, low=found.low, high=found.high, unit="fraction", n=found.n, factors={"first": splits[0], "second": splits[1]}, provenance="first minus second split; MOVER")  # fmt: skip


def _cell(part: pl.DataFrame, split: str, level: int | None) -> Iterable[Record]:
    if not len(part):
        return
    came = part.filter(pl.col("failed") == "")
    interval = _accuracy(part)
    common = {"source": SOURCE, "split": split, "level": level, "n": len(came)}
    if interval:
        yield Record(
            metric="accuracy",
            value=interval.value,
            low=interval.low,
            high=interval.high,
            unit="fraction",
            provenance="Wilson interval",
            **common,
        )
        yield Record(metric="chance", value=float(came["chance"].mean()), unit="fraction", **common)  # pyright: ignore[reportArgumentType]
    for what, count in (
        ("unparsed", int((~came["parsed"]).sum())),
        ("truncated", int(came["truncated"].sum())),
        ("failed", len(part) - len(came)),
    ):
        yield Record(metric=what, value=count, unit="count", **common)


def _accuracy(part: pl.DataFrame) -> Interval | None:
    came = part.filter(pl.col("failed") == "")
    return wilson(int(came["correct"].sum()), len(came)) if len(came) else None


def _by_split(examples: Sequence[Example]) -> list[list[Example]]:
    parts: dict[str, list[Example]] = {}
    for example in examples:
        parts.setdefault(example.split, []).append(example)
    return list(parts.values())


def _level_names(examples: Sequence[Example]) -> dict[str, str]:
    return {str(example.level): str(example.factors["level"]) for example in examples if example.level is not None}


def _target(example: Example) -> str:
    options = example.input.get("choices")
    return str(options[example.target]) if options and isinstance(example.target, int) else str(example.target)


def shown(request: Request, model: Model) -> str:
    """A request as the model would get it."""
    return (
        message_text(request.messages, request.prefill if "prefill" in model.abilities else "")
        if "chat" in model.abilities
        else request.plain
    )
