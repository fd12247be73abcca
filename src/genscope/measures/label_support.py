"""Whether a rule speaks for the gold option, by a language model: an automatic proxy for the judged label-supportiveness of an explanation.

    P(o) = probability of the part of the sentence *after* the blank, given what stands before it with option o filled in (partial scoring)
    support(rule) = [log P(gold) - log P(other)] with the instantiated rule in front  -  the same without it            nats

X and Y are instantiated both ways; the one under which rule and sentence are likelier together (summed over the two fillings, so that the gold label plays
no part in the choice) is taken. Supportive if > 0. Its control: with X and Y exchanged, support must fall; a judge that does not notice is not valid.
With X = gold this is no simulatability: rules that name an option leak and are reported apart. Source: our definition after Saha et al. 2022; partial scoring:
Trinh and Le 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genscope.core.errors import UsageError
from genscope.core.reply import Request, ScoreJob
from genscope.measures.explanation_text import instantiate
from genscope.models.ask import Asker
from genscope.tasks.winogrande_explanations import Item

HEAD = "\n"
"""What every scored text follows: a language model's first token needs something before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """support of the rule as instantiated, and with X and Y exchanged; bare: log P(gold) - log P(other) without a rule; all in nats. x_is_gold: which
    instantiation was likelier. Not finite where nothing stands after the blank.
    """

    support: float
    exchanged: float
    bare: float
    x_is_gold: bool


def partial_margins(
    asker: Asker, items: Sequence[Item], fronts: Sequence[str] | None = None, label: str = "scoring sentences"
) -> list[tuple[float, float]]:
    """(log P(gold) - log P(other), log-likelihood of front and sentence summed over both fillings) of each item, in nats; nan where nothing follows the blank.

    fronts: a text before each sentence. The model needs the abilities "score" and "inside" (its tokenizer tells which tokens follow the blank).
    """
    if fronts is not None and len(fronts) != len(items):
        raise UsageError(f"{len(fronts)} rules for {len(items)} items")
    if not {"score", "inside"} <= asker.model.abilities:
        raise UsageError(
            f"{asker.model.name} cannot score texts; label support needs a local model (hf:, gguf:, smollm2), with ?template=none"
        )
    pairs = []
    for place, item in enumerate(items):
        front = "" if fronts is None else f"{_sentence(fronts[place])} "
        pairs.append(
            [
                tuple(f"{front}{part}" if k == 0 else part for k, part in enumerate(item.filled(option)))
                for option in (item.gold, item.other)
            ]
        )
    jobs = [ScoreJob(request=Request(plain=HEAD), continuations=tuple(before + after for before, after in pair)) for pair in pairs]
    found = []
    for pair, scored in zip(pairs, asker.score(jobs, label), strict=True):
        after = []
        for (before, tail), logs in zip(pair, scored, strict=True):
            start = _tokens_before(asker, before, before + tail) if tail.strip() else len(logs)
            after.append(math.fsum(logs[start:]) if start < len(logs) else math.nan)
        totals = [math.fsum(logs) for logs in scored]
        most = max(totals)
        found.append((after[0] - after[1], most + math.log(sum(math.exp(one - most) for one in totals))))
    return found


def label_support(
    asker: Asker, items: Sequence[Item], rules: Sequence[str], *, filled: bool = True, label: str = "judging rules"
) -> list[Support]:
    """Support of each rule for its item. filled=False keeps the placeholders (then `exchanged` is that of the rule with X and Y exchanged)."""
    if filled:
        ways = [[instantiate(rule, *(item.gold, item.other)[::step]) for item, rule in zip(items, rules, strict=True)] for step in (1, -1)]
    else:
        ways = [[rule if step == 1 else instantiate(rule, "Y", "X") for rule in rules] for step in (1, -1)]
    bare = partial_margins(asker, items, label=f"{label}: without")
    first, second = (partial_margins(asker, items, way, f"{label}: X {'gold' if k == 0 else 'other'}") for k, way in enumerate(ways))
    made = []
    for (margin, _), (gold, gold_total), (other, other_total) in zip(bare, first, second, strict=True):
        x_is_gold = not filled or gold_total >= other_total
        one, two = (gold, other) if x_is_gold else (other, gold)
        made.append(Support(support=one - margin, exchanged=two - margin, bare=margin, x_is_gold=x_is_gold))
    return made


def _sentence(rule: str) -> str:
    return rule if rule.rstrip().endswith((".", "!", "?")) else f"{rule.rstrip()}."


def _tokens_before(asker: Asker, before: str, whole: str) -> int:
    """Tokens of the whole text that lie wholly in what stands before the blank's end; a token that straddles it belongs to what follows."""
    request = Request(plain=HEAD)
    one, both = asker.model.answer_tokens(request, before)[1], asker.model.answer_tokens(request, whole)[1]
    return next((k for k, (a, b) in enumerate(zip(one, both, strict=False)) if a != b), min(len(one), len(both)))
