"""Inspect, both ways: `inspect eval genscope/find_minimum --model ...`, and `genscope profile inspect:PROVIDER/MODEL`.

The only module that imports inspect_ai. It is loaded by Inspect at every start (entry point), so it imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

try:
    from inspect_ai import Task, task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
    from inspect_ai.scorer import CORRECT, INCORRECT, Target, accuracy, grouped, scorer, stderr
    from inspect_ai.scorer import Score as InspectScore
    from inspect_ai.solver import TaskState, generate, system_message
except ImportError as error:
    from genscope.core.errors import missing_extra

    raise missing_extra("Inspect is another package", "inspect") from error

from genscope.core.errors import EndpointError
from genscope.core.example import Example
from genscope.core.reply import GenerateJob, Message, OnReplies, Reply, Request, Sampling
from genscope.core.seeds import Seed
from genscope.core.text import REPLY_CHARACTERS, clean, shorten, without_keys
from genscope.models.background import Background
from genscope.models.model import Description, Model
from genscope.models.names import Name
from genscope.models.thinking import split_thinking
from genscope.models.turns import with_system
from genscope.tasks import scylla

SYSTEM = "You are a helpful AI assistant."

# --- our tasks in Inspect


def scylla_task(name: str, n: int, seed: int, universe: str, mode: str, grade: str) -> Task:
    """One Scylla task: n familiar (0..99) and n new questions; the sample ids are those of genscope."""
    one = scylla.task(name)
    sampler = scylla.Sampler(one, scylla.IdSource.prior(one), "elements", universe, Seed("inspect", seed))
    examples = [*sampler.id(0, n), *sampler.ood(0, n)]
    samples = [
        Sample(
            id=example.id, input=scylla.solve_prompt(one, example, mode), target=one.answer_text(example.target),
            metadata={"split": example.split, "level": example.level, "example": asdict(example)},
        )
        for example in examples
    ]  # fmt: skip
    solver = [system_message(SYSTEM), generate()]
    return Task(
        dataset=MemoryDataset(samples, name=name),
        solver=solver,
        scorer=scylla_scorer(name, grade),
        config=GenerateConfig(temperature=0.0),
        version=one.version,
    )


@scorer(metrics=[grouped(accuracy(), "split"), stderr()])
def scylla_scorer(name: str, grade: str = "verify") -> Any:
    """Our parser and verifier; accuracy for each split and over both."""
    one = scylla.task(name)

    async def score(state: TaskState, target: Target) -> InspectScore:
        found = one.score(Example(**state.metadata["example"]), split_thinking(clean(state.output.completion))[1], grade=grade)
        how = {"how": found.how, "parsed": found.parsed}
        return InspectScore(
            value=CORRECT if found.correct else INCORRECT, answer=None if found.value is None else str(found.value), metadata=how
        )

    return score


def _exported(name: str) -> Callable[..., Task]:
    def made(n: int = 64, seed: int = 0, universe: str = "paper", mode: str = "cot", grade: str = "verify") -> Task:
        return scylla_task(name, n, seed, universe, mode, grade)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"{scylla.task(name).title}: {scylla.task(name).description}"
    return task(name=name)(made)


for _name in scylla.NAMES:
    globals()[_name] = _exported(_name)

# --- Inspect's models in our profile


class InspectModel(Model):
    """A model of any provider that Inspect has. Keys, retries and rate limits are Inspect's."""

    abilities = frozenset({"generate", "sample", "chat"})
    block = 1
    spends = True

    def __init__(self, name: str, concurrency: int = 8, system: str | None = None) -> None:
        self.name, self.model, self.concurrency, self.system = f"inspect:{name}", name, concurrency, system

    def identity(self) -> dict[str, Any]:
        return {"kind": "inspect", "version": 1, "model": self.model, "system": self.system}

    def describe(self) -> Description:
        return Description(name=self.name, sentence=f"{self.model} through Inspect", facts={"system": self.system} if self.system else {})

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        _Run(self, jobs, stop).deliver(done, f"Check the provider's package and key, as for `inspect eval --model {self.model}`")


class _Run(Background):
    """One call of `generate`."""

    def __init__(self, subject: InspectModel, jobs: Sequence[GenerateJob], stop: Callable[[], bool]) -> None:
        super().__init__(subject.name, jobs, stop, subject.concurrency)
        self.subject = subject
        self.model: Any = None

    async def all(self) -> None:
        try:
            self.model = get_model(self.subject.model, memoize=False)
        except (Exception, SystemExit) as error:  # house: whatever a provider raises (a missing key or package) is said in one sentence
            raise EndpointError(
                f"{self.name}: Inspect could not ask it ({_words(error)}). Check the provider's package and key, as for `inspect eval --model {self.subject.model}`"
            ) from None
        await self.workers(iter(enumerate(self.jobs)))

    async def answer(self, job: GenerateJob) -> list[Reply]:
        return [await self._reply(request, job.sampling) for request in job.requests]

    async def _reply(self, request: Request, sampling: Sampling) -> Reply:
        try:
            return await self._asked(request, sampling)
        except Exception as error:  # house: a request that a provider refuses is a failed reply, named and counted
            return Reply(text="", finish="failed", error=_words(error))

    async def _asked(self, request: Request, sampling: Sampling) -> Reply:
        messages = with_system(request.messages, self.subject.system)
        if request.prefill:
            messages = [*messages[:-1], Message(messages[-1].role, f'{messages[-1].content}\nBegin your reply with: "{request.prefill}"')]
        config = GenerateConfig(max_tokens=sampling.max_tokens, temperature=sampling.temperature)
        if sampling.temperature > 0:
            config = config.merge(GenerateConfig(top_p=sampling.top_p, seed=sampling.seed))
        output = await self.model.generate([_turn(message) for message in messages], config=config)
        raw = output.completion
        thinking, text = split_thinking(clean(raw))
        reasoning = "" if not output.choices else "\n".join(
            part.reasoning for part in (output.message.content if isinstance(output.message.content, list) else []) if part.type == "reasoning"
        )  # fmt: skip
        cut = output.stop_reason in ("max_tokens", "model_length") or len(raw) > REPLY_CHARACTERS
        usage = output.usage
        return Reply(
            text=text, thinking=clean(reasoning) or thinking, finish="failed" if output.error else "length" if cut else "stop", error=shorten(output.error or ""),
            refused=output.stop_reason == "content_filter", tokens_in=usage.input_tokens if usage else 0, tokens_out=usage.output_tokens if usage else 0,
        )  # fmt: skip


def _words(error: BaseException) -> str:
    return shorten(without_keys(f"{type(error).__name__}: {error}"), 300)


def _turn(message: Message) -> ChatMessage:
    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[message.role](content=message.content)


def model(name: Name, settings: dict[str, Any]) -> Model:
    """The maker behind `inspect:PROVIDER/MODEL`."""
    return InspectModel(name.body, concurrency=settings["concurrency"], system=name.options.get("system"))
