"""Asking the Scylla questions: the ID probe, then both splits of every task, in blocks that do not depend on what else is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genscope.core.canonical import canonical
from genscope.core.errors import TaskError
from genscope.core.example import Example
from genscope.core.reply import TOO_LONG, GenerateJob, Message, Reply, Request, Sampling, ScoreJob, message_text
from genscope.core.response import Response
from genscope.core.seeds import Seed
from genscope.measures.likelihood import length_normalised
from genscope.models.ask import Asker, request_hash
from genscope.models.model import Model
from genscope.sections.profile.modes import ANSWER, SYSTEM
from genscope.sections.profile.scylla_plan import DEMONSTRATIONS, ScyllaConfig, Style
from genscope.tasks import scylla
from genscope.tasks.scylla import compact
from genscope.tasks.scylla.lists_file import read_lists

CHOICES = 10
"""Answers that are ranked in likelihood mode: the right one and nine wrong ones, so chance is 0.1."""
ACCEPTABLE = 6
"""Right answers (orders of a sum's entries, both directions of a tour) at most, of which the likeliest gives the likelihood scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSet:
    """One task of one seed, ready to be asked: where its ID data came from, its sampler, and its questions."""

    task: scylla.AlgorithmicTask
    seed: int
    source: scylla.IdSource
    kind: str
    sampler: scylla.Sampler
    id: Sequence[Example]
    ood: Sequence[Example]
    demonstrations: Mapping[str, Sequence[Example]]

    def questions(self, split: str) -> Sequence[Example]:
        """The test examples of a split, whole blocks of them."""
        return self.id if split == "id" else self.ood


@dataclass(frozen=True, slots=True)
class Skipped:
    """A task that could not be asked, and why."""

    task: str
    seed: int
    why: str


def root(seed: int) -> Seed:
    """The node of the seed tree below which everything random of a profile hangs."""
    return Seed("profile", "scylla", seed)


def whole_blocks(n: int, block: int) -> int:
    """The number of questions in the blocks that cover `n`."""
    return -(-n // block) * block


# --- the probe

PROBE_BLOCK = 32
"""Replies decoded together by models that work in blocks: all prompts are the same, need no padding, and 32 rows take 1.4 times as long as 16."""


def probe_jobs(task: scylla.AlgorithmicTask, config: ScyllaConfig, seed: int, model: Model) -> list[GenerateJob]:
    """Blocks of the probe prompt; each samples with a seed of its own, named by the number of the block."""
    text, opening = scylla.probe_prompt(task), scylla.probe_opening(task)
    block = min(PROBE_BLOCK, whole_blocks(config.probe_completions, model.block)) if model.block > 1 else 1
    forced = opening if "prefill" in model.abilities else ""
    request = Request(messages=(SYSTEM, Message("user", text)), prefill=forced, plain=f"{text}\n\n{opening}")
    jobs = []
    for number in range(-(-config.probe_completions // block)):
        draw = root(seed).child(task.name, "probe", number).integer(31)
        sampling = Sampling(
            max_tokens=config.probe_tokens, temperature=0.9, top_p=0.95, top_k=60, repetition_penalty=config.probe_penalty, seed=draw
        )
        jobs.append(GenerateJob(requests=(request,) * block, sampling=sampling, repeat=number))
    return jobs


def probe(
    asker: Asker, tasks: Sequence[scylla.AlgorithmicTask], config: ScyllaConfig
) -> dict[tuple[str, int], list[tuple[GenerateJob, Reply]]]:
    """Every (task, seed)'s replies to its probe prompt, each with the job it came from."""
    places, jobs = [], []
    for seed in config.seeds:
        for task in tasks:
            for job in probe_jobs(task, config, seed, asker.model):
                places.append((task.name, seed))
                jobs.append(job)
    answers: dict[tuple[str, int], list[tuple[GenerateJob, Reply]]] = {}
    for place, job, replies in zip(places, jobs, asker.generate(jobs, "asking for test inputs"), strict=True):
        answers.setdefault(place, []).extend((job, reply) for reply in replies)
    return {place: pairs[: config.probe_completions] for place, pairs in answers.items()}


def probe_responses(model: Model, place: tuple[str, int], pairs: Sequence[tuple[GenerateJob, Reply]]) -> list[Response]:
    """The rows of a probe."""
    name, seed = place
    task = scylla.task(name)
    return [
        Response(
            section="scylla", kind="probe", task=name, level=task.level, split="", seed=seed, index=index, example="", model=model.name, mode="probe",
            repeat=job.repeat, prompt_hash=request_hash(job), prompt=_shown(job.requests[0], model), reply=_opened(model, name) + reply.text, thinking=reply.thinking,
            target="", parsed=False, how="none", answer="", correct=False, score=None, chance=0.0, refused=reply.refused, tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out, truncated=reply.finish == "length", failed=_failure(reply), dropped=", ".join(reply.dropped),
        )
        for index, (job, reply) in enumerate(pairs)
    ]  # fmt: skip


def _opened(model: Model, name: str) -> str:
    """The list that the request had opened already, for models that continue it."""
    continues = "prefill" in model.abilities or "chat" not in model.abilities
    return scylla.probe_opening(scylla.task(name)).split("\n")[-1] if continues else ""


# --- from ID data to questions


def sources(asker: Asker, config: ScyllaConfig) -> tuple[dict[tuple[str, int], scylla.IdSource], list[Response]]:
    """Where each (task, seed) takes its ID data from, and the rows of the probe if one was made."""
    tasks = [scylla.task(name) for name in config.tasks]
    if config.id_source == "prior":
        return {(task.name, seed): scylla.IdSource.prior(task) for task in tasks for seed in config.seeds}, []
    if config.id_source not in ("auto", "examples", "elements"):
        lists = read_lists(Path(config.id_source).expanduser())
        return {(task.name, seed): scylla.IdSource.from_lists(task, lists) for task in tasks for seed in config.seeds}, []
    found, rows = {}, []
    for (name, seed), pairs in probe(asker, tasks, config).items():
        texts = [f"{_opened(asker.model, name)}{reply.text}" for _, reply in pairs if reply.finish != "failed"]
        found[name, seed] = scylla.extract(scylla.task(name), texts, root(seed).child(name, "extract").rng())
        rows += probe_responses(asker.model, (name, seed), pairs)
    return found, rows


def task_set(
    name: str, seed: int, source: scylla.IdSource, config: ScyllaConfig, block: int, exclude: frozenset[int] = frozenset()
) -> TaskSet:
    """The questions of one task and seed. Raises TaskError when the ID data does not carry them."""
    task = scylla.task(name)
    if len(source.elements) == 0:
        raise TaskError("no list was found in the replies to the probe prompt; give ID data with --id-source FILE, or --id-source prior")
    end = DEMONSTRATIONS + whole_blocks(config.n, block)
    kinds = {"auto": ("examples", "elements"), "examples": ("examples",), "elements": ("elements",)}.get(config.id_source, ("elements",))
    for kind in kinds:
        sampler = scylla.Sampler(task, source, kind, config.universe, root(seed), exclude)
        try:
            id_, ood = sampler.id(0, end), sampler.ood(0, end)
        except TaskError:
            if kind != kinds[-1]:
                continue
            raise
        return TaskSet(
            task=task, seed=seed, source=source, kind=kind, sampler=sampler, id=id_[DEMONSTRATIONS:], ood=ood[DEMONSTRATIONS:],
            demonstrations={"id": id_[:DEMONSTRATIONS], "ood": ood[:DEMONSTRATIONS]},
        )  # fmt: skip
    raise TaskError(f"{name}: no kind of ID data was tried")


def task_sets(found: dict[tuple[str, int], scylla.IdSource], config: ScyllaConfig, block: int) -> tuple[list[TaskSet], list[Skipped]]:
    """The questions of every task and seed, and the tasks that could not be asked. All skipped: TaskError with the first reason."""
    ready, skipped = [], []
    for (name, seed), source in found.items():
        try:
            ready.append(task_set(name, seed, source, config, block))
        except TaskError as error:
            skipped.append(Skipped(name, seed, str(error).removeprefix(f"{name}: ")))
    if not ready:
        raise TaskError(f"no task could be asked. {skipped[0].task}: {skipped[0].why}")
    return ready, skipped


# --- the questions


def request(
    task: scylla.AlgorithmicTask, example: Example, mode: str, demonstrations: Sequence[Example], style: Style = "mixed"
) -> Request:
    """What the model gets: chat turns for models with turns; for base models eight solved instances and the ninth, below the description ("mixed") or "bare";
    for models that read no other, the question in the compact style.
    """
    if style == "compact":
        return Request(plain=compact.prompt(task.name, example.input))
    asked = Message("user", scylla.solve_prompt(task, example, mode))
    return Request(
        messages=(SYSTEM, asked),
        prefill="" if mode == "cot" else scylla.answer_opening(task),
        plain=scylla.few_shot(task, demonstrations, example, description=style == "mixed"),
    )


def ask(asker: Asker, sets: Sequence[TaskSet], config: ScyllaConfig, mode: str) -> list[Response]:
    """Ask every question of every set, both splits, and grade. In mode "cot" a second stage is asked and graded apart (kind "second")."""
    blocks = [
        (item, split, item.questions(split)[start : start + asker.model.block])
        for item in sets
        for split in ("id", "ood")
        for start in range(0, len(item.questions(split)), asker.model.block)
    ]
    if mode == "likelihood":
        return _ask_likelihood(asker, blocks, config)
    jobs = [_answer_job(item, split, examples, config, mode, asker.model) for item, split, examples in blocks]
    answers = asker.generate(jobs, "asking the questions")
    rows = [
        row
        for block, job, replies in zip(blocks, jobs, answers, strict=True)
        for row in _graded(block, job, replies, config, mode, asker.model)
    ]
    if mode == "cot":
        second = [_second_job(job, replies, config, asker.model) for job, replies in zip(jobs, answers, strict=True)]
        for block, job, replies in zip(blocks, second, asker.generate(second, "asking for the final answers"), strict=True):
            rows += _graded(block, job, replies, config, mode, asker.model, kind="second")
    return rows


Block = tuple[TaskSet, str, Sequence[Example]]


def _answer_job(item: TaskSet, split: str, examples: Sequence[Example], config: ScyllaConfig, mode: str, model: Model) -> GenerateJob:
    chat = "chat" in model.abilities
    tokens = config.cot_tokens if mode == "cot" and chat else compact.MOST if "compact" in model.abilities else item.task.direct_tokens
    if chat and "prefill" not in model.abilities and mode != "cot":
        tokens += 64  # room for words before the answer, which cannot be forced
    requests = tuple(request(item.task, example, mode, item.demonstrations[split], config.style) for example in examples)
    return GenerateJob(requests=requests, sampling=Sampling(max_tokens=tokens, stop=() if chat else ("\n",)))


def _second_job(job: GenerateJob, replies: Sequence[Reply], config: ScyllaConfig, model: Model) -> GenerateJob:
    requests = []
    for first, reply in zip(job.requests, replies, strict=True):
        if "prefill" in model.abilities:
            requests.append(Request(messages=first.messages, prefill=f"{reply.text}\n\n{scylla.SECOND_STAGE}", plain=first.plain))
        else:
            turns = (Message("assistant", reply.text or "..."), Message("user", scylla.SECOND_STAGE))
            requests.append(Request(messages=(*first.messages, *turns), plain=first.plain))
    return GenerateJob(requests=tuple(requests), sampling=Sampling(max_tokens=config.second_tokens))


def _graded(
    block: Block, job: GenerateJob, replies: Sequence[Reply], config: ScyllaConfig, mode: str, model: Model, kind: str = "answer"
) -> list[Response]:
    item, split, examples = block
    chat = "chat" in model.abilities
    lead = "" if chat else f"{ANSWER} "
    if chat and "prefill" in model.abilities:
        lead = f"{scylla.SECOND_STAGE} " if kind == "second" else "" if mode == "cot" else scylla.answer_opening(item.task)
    rows = []
    for row, (example, reply) in enumerate(zip(examples, replies, strict=True)):
        score = item.task.score(example, lead + reply.text, grade=config.grade)
        rows.append(
            Response(
                section="scylla", kind=kind, task=item.task.name, level=item.task.level, split=split, seed=item.seed, index=example.index,
                example=example.id, model=model.name, mode=mode_name(mode, model), prompt_hash=request_hash(job, row),
                prompt=_shown(job.requests[row], model), reply=reply.text, thinking=reply.thinking, target=item.task.answer_text(example.target),
                parsed=score.parsed, how=score.how, answer="" if score.value is None else str(score.value)[:500], correct=score.correct,
                score=float(score.correct), chance=item.task.chance(example), tokens_in=reply.tokens_in, tokens_out=reply.tokens_out,
                truncated=reply.finish == "length", refused=reply.refused, failed=_failure(reply), dropped=", ".join(reply.dropped), factors=canonical(dict(example.factors)),
            )
        )  # fmt: skip
    return rows


def _ask_likelihood(asker: Asker, blocks: Sequence[Block], config: ScyllaConfig) -> list[Response]:
    places, jobs = [], []
    for item, split, examples in blocks:
        for example in examples:
            wrong = item.task.wrong_answers(
                example, CHOICES - 1, root(item.seed).child(item.task.name, split, "wrong", example.index).rng()
            )
            style = "brackets" if "chat" in asker.model.abilities else "plain"
            right = item.task.gold_answers(example, root(item.seed).child(item.task.name, split, "right", example.index).rng(), ACCEPTABLE)
            texts = [item.task.answer_text(answer, style) for answer in (example.target, *wrong, *right[1:])]
            choices = tuple(text[1:] if text.startswith("[") else f" {text}" for text in texts)  # the request has opened the bracket
            places.append((item, split, example, 1 + len(wrong)))
            asked = request(item.task, example, "likelihood", item.demonstrations[split], config.few_shot)
            jobs.append(ScoreJob(request=asked, continuations=choices))
    rows = []
    for (item, split, example, ranked), job, scores in zip(places, jobs, asker.score(jobs, "ranking answers"), strict=True):
        common = {
            "section": "scylla", "kind": "answer", "task": item.task.name, "level": item.task.level, "split": split, "seed": item.seed, "index": example.index,
            "example": example.id, "model": asker.model.name, "mode": "likelihood", "prompt_hash": request_hash(job), "prompt": _shown(job.request, asker.model),
            "target": item.task.answer_text(example.target), "chance": 1.0 / ranked,
        }  # fmt: skip
        if not scores:
            rows.append(Response(reply="", parsed=False, how="none", answer="", correct=False, score=None, failed=TOO_LONG, factors=canonical(dict(example.factors)), **common))  # fmt: skip
            continue
        means = [length_normalised(logprobs) for logprobs in scores]
        margin = means[0] - max(means[1:ranked])  # one right answer against the wrong ones, so that chance is known
        best = job.continuations[max(range(ranked), key=means.__getitem__)].strip()
        gold = max([scores[0], *scores[ranked:]], key=length_normalised)  # of all acceptable answers the likeliest
        factors = {**dict(example.factors), "gold_logprobs": [round(x, 6) for x in gold]}
        rows.append(
            Response(
                reply=best, answer=best, parsed=True, how="strict", correct=margin > 0, score=margin, factors=canonical(factors), **common
            )
        )
    return rows


def mode_name(mode: str, model: Model) -> str:
    """How the model was asked, for rows and pages."""
    return mode if "chat" in model.abilities or mode == "likelihood" else "compact" if "compact" in model.abilities else "few-shot"


def _shown(asked: Request, model: Model) -> str:
    return message_text(asked.messages, asked.prefill if "prefill" in model.abilities else "") if "chat" in model.abilities else asked.plain


def _failure(reply: Reply) -> str:
    return (reply.error or "no reply") if reply.finish == "failed" else ""
