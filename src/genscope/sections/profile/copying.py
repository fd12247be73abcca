"""Copying and induction heads of a language model: does it copy what stands earlier in its context, and which heads look at what came next last time?

A passage eleven times in a row (written for this test, so that no model has it by heart), random tokens four times in a row, and the prefix-matching score of every head on
these. Training on repeated data damages this machinery first (Hernandez et al. 2022, arXiv 2205.10487; Olsson et al. 2022). Any causal language model with softmax attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core.canonical import digest
from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.models.ask import Asker
from genscope.models.model import Description, Model
from genscope.pages.blocks import Answer, Block, Column, Facts, Note, Table
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View

if TYPE_CHECKING:
    import polars as pl

VERSION = 1
SOURCE = "profile/copying"
OPTIONS = {"copies": 11, "block": 25, "sequences": 8}
LARGEST = 1 << 20
"""Bytes of a passage's file that are read."""
PASSAGE = (
    "The ferry to Orsund left an hour late because the cook had lost a crate of onions between the quay and the second deck. Nobody was sorry. Marta counted the gulls on the "
    "railing, wrote the number inside the lid of her violin case, and asked the mate whether the lighthouse still sold postcards. He said it sold nothing but weather. By noon the "
    "fog had eaten the northern shore, a boy from Telle was teaching two surveyors to whistle through a key, and the onions, it turned out, had been on the piano all the time."
)
"""Written for this section."""


class CopyingSection(Section):
    """Copying loss, copying gain and prefix-matching scores; only when named: `--with copying`, or `--with copying:copies=8,text=paragraph.txt`."""

    name = "copying"
    question = "Does it copy from its context, and which heads do the work?"
    needs = frozenset({"inside"})

    def fits(self, plan: ProfilePlan) -> bool:
        return False

    def check(self, model: Model, plan: ProfilePlan) -> None:
        _options(plan)

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        options, passage = _options(plan)
        tokens = options["copies"] * len(passage) // 4 + options["sequences"] * (4 * options["block"] + 1)
        return Cost(requests=1 + options["sequences"], tokens_in=tokens, tokens_out=0)

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        options, passage = _options(plan)
        return f"{passage}\n\n({options['copies']} times in a row)"

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        options, passage = _options(plan)
        key = asker.store.key("copying of a language model", [VERSION, asker.model.identity(), options, digest(passage), plan.seeds[0]])
        held = None if asker.fresh else asker.store.get(key)
        if held is None:
            held = _measured(asker, options, passage, Seed(SOURCE, plan.seeds[0]))
            asker.store.put(key, held)
            asker.computed += 1
        records = [
            *[Record(source=SOURCE, metric=f"copying_{name}", value=value, unit="nats", n=part["n"], condition=condition, provenance=PROVENANCE[name]) for condition, part in held["copying"].items() for name, value in part["losses"].items()],
            *[Record(source=SOURCE, metric=f"prefix_{name}", value=value, unit="fraction", n=options["sequences"], provenance=PROVENANCE[name]) for name, value in held["prefix"].items()],
            *[Record(source=SOURCE, metric="prefix_score", value=value, unit="fraction", n=options["sequences"], condition="head", factors={"layer": layer, "head": head}, provenance="share of attention on tokens that followed an earlier occurrence") for layer, row in enumerate(held["heads"]) for head, value in enumerate(row)],
            Record(source=SOURCE, metric="uniform_loss", value=held["uniform_loss"], unit="nats", n=1, provenance="ln of the vocabulary: guessing at random"),
        ]  # fmt: skip
        facts = {**held["facts"], "passage": "the user's" if plan.options.get("copying", {}).get("text") else "genscope's own"}
        return Outcome(records=records, facts=facts, notes=held["notes"])

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return _view(records.filter(records["source"] == SOURCE).to_dicts(), about)


PROVENANCE = {
    "whole": "mean token loss over all copies", "first": "on the first copy", "later": "on the later copies", "gain": "first - later", "highest": "best head", "top3": "mean of the three best heads",
    "mean": "mean over all heads", "chance": "uniform attention on the same sequences",
}  # fmt: skip


def _options(plan: ProfilePlan) -> tuple[dict[str, int], str]:
    """(numbers, passage)."""
    given = dict(plan.options.get("copying", {}))
    text = given.pop("text", "")
    for name, value in given.items():
        if name not in OPTIONS:
            raise UsageError(unknown("option of copying", name, [*OPTIONS, "text"]))
        if not value.isdigit() or int(value) < 2:
            raise UsageError(f"copying: {name} must be a whole number of at least 2, got {value!r}")
    if not text:
        return OPTIONS | {name: int(value) for name, value in given.items()}, PASSAGE
    try:
        passage = Path(text).expanduser().read_bytes()[:LARGEST].decode("utf-8", "replace").strip()
    except OSError as error:
        raise DataError(f"--with copying:text={text}: the file cannot be read ({error.strerror})") from error
    if not passage:
        raise DataError(f"--with copying:text={text}: the file is empty")
    return OPTIONS | {name: int(value) for name, value in given.items()}, passage


def _measured(asker: Asker, options: Mapping[str, int], passage: str, seed: Seed) -> dict[str, Any]:
    from genscope.measures.copying import copying_loss, copying_of
    from genscope.measures.prefix_matching import prefix_matching, repeated_blocks
    from genscope.models.reading import context_of, token_losses

    net, tokenizer = asker.model.inside("float32")
    bos, words = begin_of(tokenizer), middle_of(tokenizer)
    block, copies, rows = options["block"], 4, options["sequences"]
    room, notes = context_of(net), []
    if room is not None and (room - (bos is not None)) // copies < block:
        block = max(2, (room - (bos is not None)) // copies)
        notes.append(f"The context of {room} tokens holds four blocks of {block} tokens, not of {options['block']}.")
    ids = tokenizer(passage, add_special_tokens=False)["input_ids"]
    with asker.progress.work("copying and heads", 3) as advance:
        on_passage = copying_loss(net, ids, copies=options["copies"], bos=bos)
        advance(1)
        random = repeated_blocks(words, seed, block=block, copies=copies, sequences=rows, bos=bos)
        on_random = copying_of(token_losses(net, random), block, copies, bos is not None)
        advance(1)
        heads = prefix_matching(net, words, seed, block=block, copies=copies, sequences=rows, bos=bos)
        advance(1)
    if on_passage.tokens < len(ids):
        notes.append(f"The passage was cut to {on_passage.tokens} of {len(ids)} tokens, so that {options['copies']} copies fit.")
    return {
        "copying": {name: {"losses": {"whole": one.whole, "first": one.first, "later": one.later, "gain": one.gain}, "n": n} for name, one, n in (("passage", on_passage, 1), ("random tokens", on_random, rows))},
        "prefix": {"highest": heads.highest, "top3": heads.top3, "mean": heads.mean, "chance": heads.chance}, "heads": [[float(one) for one in row] for row in heads.scores],
        "uniform_loss": math.log(len(tokenizer)), "notes": notes,
        "facts": {"copies": options["copies"], "tokens": on_passage.tokens, "block": block, "sequences": rows, "begins": "no token of its own" if bos is None else str(tokenizer.convert_ids_to_tokens(bos))},
    }  # fmt: skip


def begin_of(tokenizer: Any) -> int | None:
    """The token that a sequence begins with: the tokenizer's BOS, else its end-of-text token, else none."""
    return next((one for one in (tokenizer.bos_token_id, tokenizer.eos_token_id) if one is not None), None)


def middle_of(tokenizer: Any) -> Sequence[int]:
    """Tokens to draw random sequences from: neither the most frequent nor the rarest. Merges of byte-pair vocabularies stand in the order of their frequency, so these are the
    entries from 10 % to 60 % of the vocabulary (of fewer than 1,000: all), special tokens left out.
    """
    size, special = len(tokenizer), set(tokenizer.all_special_ids)
    low, high = (size // 10, 6 * size // 10) if size >= 1_000 else (0, size)
    return [one for one in range(low, high) if one not in special]


def _view(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> View:
    import json

    value = {(row["metric"], row["condition"]): row["value"] for row in rows}
    prefix = {name: value["prefix_" + name, ""] for name in ("highest", "top3", "mean", "chance")}
    heads = sorted(
        ({**json.loads(row["factors"]), "score": row["value"]} for row in rows if row["condition"] == "head"), key=lambda one: -one["score"]
    )
    above = sum(1 for one in heads if one["score"] >= 0.5)
    gain = value["copying_gain", "passage"]
    copies = value["copying_gain", "random tokens"] > 1.0
    sentence = f"{'It copies' if copies else 'It hardly copies'} from its context: on random tokens the loss falls from {value['copying_first', 'random tokens']:.1f} to {value['copying_later', 'random tokens']:.1f} nats a token when they come again."
    detail = (
        f"Its best head gives {100 * prefix['highest']:.0f} % of its attention to what followed last time (chance {100 * prefix['chance']:.0f} %); {above} of {len(heads)} heads give half or more. "
        f"A passage in {about['facts']['copies']} copies costs {value['copying_first', 'passage']:.2f} nats a token the first time and {value['copying_later', 'passage']:.2f} later (gain {gain:.2f}; without copying 0)."
    )
    table = [
        {
            "what": name,
            **{one: value[f"copying_{one}", name] for one in ("first", "later", "gain", "whole")},
            "chance": value["uniform_loss", ""],
        }
        for name in ("passage", "random tokens")
    ]
    columns = (
        Column("what", "text"), Column("first", "first copy", "number", "nats a token"), Column("later", "later copies", "number", "nats a token"), Column("gain", "gain", "number", "first - later; a model that cannot copy: 0"),
        Column("whole", "all copies", "number", "the paper's copying loss"), Column("chance", "random guessing", "number", "ln of the vocabulary"),
    )  # fmt: skip
    scores = [
        {"what": label, "score": prefix[name]}
        for name, label in (
            ("highest", "best head"),
            ("top3", "mean of the three best"),
            ("mean", "mean of all heads"),
            ("chance", "chance: uniform attention"),
        )
    ]
    best = [{"head": f"layer {one['layer']}, head {one['head']}", "score": one["score"]} for one in heads[:12]]
    facts = about["facts"]
    blocks: list[Block] = [
        Facts(
            {
                "passage": f"{facts['passage']}, {facts['tokens']} tokens",
                "copies": str(facts["copies"]),
                "random block": f"{facts['block']} tokens, four times",
                "sequences": str(facts["sequences"]),
                "begins with": facts["begins"],
            }
        )
    ]
    blocks += [Note(list(about["notes"]))] if about["notes"] else []
    blocks += [
        Table(columns, table, "Copying", main=True),
        Table((Column("what", "prefix-matching score"), Column("score", "score", "number", "0 to 1")), scores, "Heads together"),
        Table((Column("head", "head, from 0"), Column("score", "score", "number", f"chance {prefix['chance']:.2f}")), best, "Heads that look most at what came next last time"),
    ]  # fmt: skip
    return View(answer=Answer(sentence, detail), blocks=blocks, facts={name: str(one) for name, one in facts.items()})
