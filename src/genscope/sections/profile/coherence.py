"""Gradient coherence of a language model on the user's own questions: how many examples a training step on one would help, and which it would hurt.

An example is one question with its right answer; its loss is the mean over the answer's tokens (nats). Chatterjee & Zielinski 2022 (arXiv 2203.10036).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import digest
from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.example import Example
from genscope.core.records import Record
from genscope.core.text import shorten
from genscope.models.ask import Asker
from genscope.models.model import Description, Model
from genscope.pages.blocks import Answer, Block, Column, Facts, Note, Table
from genscope.sections.profile.questions import asked_directly
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View
from genscope.tasks.questions import QuestionFile, load

if TYPE_CHECKING:
    import polars as pl

VERSION = 1
EXAMPLES, TOKENS = 64, 128
OPTIONS = {"m": EXAMPLES, "tokens": TOKENS}
KINDS = (
    ("embeddings", ("embed", "wte", "wpe", "lm_head")),
    ("norms", ("norm", "ln_")),
    ("attention", ("attn", "attention")),
    ("MLP", ("mlp", "feed_forward", "fc")),
)


class CoherenceSection(Section):
    """m-coherence, noise scale and per-example help on `--data FILE`; only when named: `--with coherence`."""

    name = "coherence"
    question = "Would a training step on one of my examples help the others, and which would it hurt?"
    needs = frozenset({"inside"})

    def fits(self, plan: ProfilePlan) -> bool:
        return False

    def check(self, model: Model, plan: ProfilePlan) -> None:
        _chosen(plan)

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        _, examples, _ = _chosen(plan)
        return Cost(requests=2 * len(examples), tokens_in=0, tokens_out=0)

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        read, examples, _ = _chosen(plan)
        return f"{asked_directly(read, examples[0]).messages[-1].content}\n\n{_answer(read, examples[0])}"

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        read, examples, most = _chosen(plan)
        key = asker.store.key(
            "coherence of a language model", [VERSION, asker.model.identity(), [example.id for example in examples], read.task.name, most]
        )
        held = None if asker.fresh else asker.store.get(key)
        if held is None:
            held = _measured(asker, read, examples, most)
            asker.store.put(key, held)
            asker.computed += 1
        source = "profile/coherence"
        records = [
            Record(source=source, metric="m_coherence", value=held["m_coherence"], unit="examples", n=held["m"], low=held["low"], high=held["high"], provenance="|sum g|^2 / sum |g|^2; jackknife"),
            Record(source=source, metric="alpha", value=held["alpha"], unit="fraction", n=held["m"], provenance="m-coherence / m"),
            Record(source=source, metric="noise_scale", value=held["noise_scale"], unit="examples", n=held["m"], provenance="(m - C) / (C - 1)"),
            Record(source=source, metric="loss", value=held["loss"], unit="nats", n=held["m"], provenance="mean over examples of the mean over answer tokens"),
            *[Record(source=source, metric="m_coherence", value=value, unit="examples", n=held["m"], condition=kind, provenance="parameters of this kind alone") for kind, value in held["kinds"].items()],
            *[Record(source=source, metric="help", value=value, unit="fraction", n=1, condition="example", factors={"example": example.id, "text": shorten(str(example.input), 160), "target": shorten(str(example.target), 80)}, provenance="g_z . mean g / |g_z|^2") for example, value in zip(examples, held["help"], strict=True)],
        ]  # fmt: skip
        facts = {
            "m": held["m"],
            "tokens": most,
            "cut": held["cut"],
            "file": plan.data.name if plan.data else "",
            "loss": "mean over the answer's tokens, nats",
        }
        notes = (
            [f"{held['cut']} examples were longer than {most} tokens; the beginning of their question was left out"] if held["cut"] else []
        )
        return Outcome(records=records, facts=facts, notes=notes)

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return _view(records.filter(records["source"] == "profile/coherence"), about)


def _chosen(plan: ProfilePlan) -> tuple[QuestionFile, tuple[Example, ...], int]:
    """The file, the first m examples, and the most tokens of one."""
    if plan.data is None:
        raise DataError("section coherence needs --data FILE (CSV, JSONL or Parquet) with questions and right answers")
    options = dict(plan.options.get("coherence", {}))
    for name, value in options.items():
        if name not in OPTIONS:
            raise UsageError(unknown("option of coherence", name, OPTIONS))
        if not value.isdigit() or int(value) < 2:
            raise UsageError(f"coherence: {name} must be a whole number of at least 2, got {value!r}")
    read = load(plan.data, plan.columns)
    m = int(options.get("m", plan.n or EXAMPLES))
    if len(read.examples) < 2:
        raise DataError(
            f"{plan.data}: coherence compares examples, and there {'is' if len(read.examples) == 1 else 'are'} {len(read.examples)} with a question and an answer"
        )
    return read, read.examples[:m], int(options.get("tokens", TOKENS))


def _answer(read: QuestionFile, example: Example) -> str:
    target = example.target
    return " " + (", ".join(map(str, target)) if isinstance(target, (list, tuple)) else str(target))


def _measured(asker: Asker, read: QuestionFile, examples: Sequence[Example], most: int) -> dict[str, Any]:
    import torch
    from torch.nn.functional import cross_entropy

    from genscope.measures.coherence import coherence

    pairs = [asker.model.answer_tokens(asked_directly(read, example), _answer(read, example)) for example in examples]
    lost = [example.id for example, (_, answer) in zip(examples, pairs, strict=True) if not answer]
    if lost:
        raise DataError(f"the answer of example {lost[0]} has no token for this model; leave that row out")
    cut = sum(len(prompt) + len(answer) > most for prompt, answer in pairs)
    answers = [answer[: most - 1] for _, answer in pairs]
    prompts = [prompt[-(most - len(answer)) :] for (prompt, _), answer in zip(pairs, answers, strict=True)]
    width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    tokens = torch.zeros(len(pairs), width, dtype=torch.long)
    counted = torch.zeros(len(pairs), width)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        tokens[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        counted[row, len(prompt) : len(prompt) + len(answer)] = 1.0 / len(answer)
    net, _ = asker.model.inside("float32")
    device = next(net.parameters()).device

    def losses(module: Any, batch: Mapping[str, Any]) -> Any:
        # padding stands after the answer: causal attention never looks there
        logits = module(input_ids=batch["tokens"]).logits[:, :-1]
        each = cross_entropy(logits.transpose(1, 2), batch["tokens"][:, 1:], reduction="none")
        return (each * batch["counted"][:, 1:]).sum(1)

    data = {"tokens": tokens.to(device), "counted": counted.to(device)}
    with asker.progress.work("gradients of examples", 1) as advance:
        found = coherence(net, losses, data, per_example=True, chunk=2)
        with torch.no_grad():
            loss = float(
                torch.cat(
                    [losses(net, {name: part[rows : rows + 8] for name, part in data.items()}) for rows in range(0, len(pairs), 8)]
                ).mean()
            )
        advance(1)
    return {
        "m": found.m, "alpha": found.alpha, "m_coherence": found.m_coherence, "low": found.low, "high": found.high, "noise_scale": found.noise_scale, "loss": loss,
        "help": [float(value) for value in found.help], "kinds": _kinds(found.modules), "cut": cut, "examples": digest([example.id for example in examples]),
    }  # fmt: skip


def _kinds(modules: Mapping[str, float]) -> dict[str, float]:
    """Median m-coherence of the modules of each kind."""
    from statistics import median

    groups: dict[str, list[float]] = {}
    for name, value in modules.items():
        kind = next((kind for kind, parts in KINDS if any(part in name.lower() for part in parts)), "other")
        groups.setdefault(kind, []).append(value)
    return {kind: float(median(values)) for kind, values in sorted(groups.items())}


def _view(records: pl.DataFrame, about: Mapping[str, Any]) -> View:
    import json

    rows = records.to_dicts()
    whole = {row["metric"]: row for row in rows if not row["condition"]}
    c, m = whole["m_coherence"], whole["m_coherence"]["n"]
    helped = [{**json.loads(row["factors"]), "help": row["value"]} for row in rows if row["condition"] == "example"]
    hurt = sum(1 for row in helped if row["help"] is not None and row["help"] < 0)
    span = "" if c["low"] is None else f" ({c['low']:.1f} to {c['high']:.1f})"
    noise = whole["noise_scale"]["value"]
    detail = f"1 would mean that each example helps only itself, {m} that all pull the same way. The common step would hurt {hurt} of {m} examples."
    if noise is not None and noise > 0:
        detail += f" Gradient noise scale: about {noise:,.0f} examples; batches beyond that bring little."
    kinds = [{"kind": row["condition"], "c": row["value"]} for row in rows if row["metric"] == "m_coherence" and row["condition"]]
    worst = sorted((row for row in helped if row["help"] is not None), key=lambda row: row["help"])[:12]
    facts = about["facts"]
    blocks: list[Block] = [Facts({"examples": str(m), "loss": f"{whole['loss']['value']:.2f} nats a token", "file": facts["file"]})]
    blocks += [Note(list(about["notes"]))] if about["notes"] else []
    blocks += [
        Table((Column("kind", "parameters"), Column("c", "m-coherence", "number", "median over the modules of this kind")), kinds, "m-coherence by kind of parameter", main=True),
        Table((Column("text", "question"), Column("target", "given answer"), Column("help", "help", "number", "g_z . mean g / |g_z|²; negative: the common step makes it worse")), worst,
              "Examples that the common step helps least: look here for wrong answers and odd ones"),
    ]  # fmt: skip
    return View(
        answer=Answer(f"A training step on one example helps as if {c['value']:.1f} of {m} examples shared it{span}.", detail),
        blocks=blocks,
        facts={name: str(value) for name, value in facts.items()},
    )
