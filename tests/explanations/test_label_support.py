"""Label support: partial scoring equals the slow way on a real (tiny) language model, and knows which rule speaks for which option."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from genscope.core.errors import UsageError
from genscope.core.reply import OnScores, Request, ScoreJob
from genscope.core.store import Store
from genscope.measures.label_support import HEAD, label_support, partial_margins
from genscope.models import names
from genscope.models.ask import Asker
from genscope.models.model import Description, Model
from genscope.tasks.winogrande_explanations import Item
from tests.models.tiny import tiny_model

ITEM = Item(sentence="Ann beat Bob because _ was fast.", options=("Ann", "Bob"), gold="Ann")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Reader(Model):
    """Tokens are words. It believes what the rule in front says: "If NAME ..." makes the text after that name likelier."""

    name = "reader"
    abilities = frozenset({"score", "inside"})
    block = 1
    spends = False

    def identity(self) -> dict[str, Any]:
        return {"reader": 1}

    def describe(self) -> Description:
        return Description(name=self.name, sentence="a test's")

    def generate(self, jobs: Any, done: Any, stop: Any) -> None:
        raise NotImplementedError

    def answer_tokens(self, request: Request, answer: str) -> tuple[list[int], list[int]]:
        return [0], [hash(word) for word in answer.split()]

    def score(self, jobs: Sequence[ScoreJob], done: OnScores, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            found = []
            for text in job.continuations:
                rule, _, sentence = text.rpartition(". Ann beat") if ". Ann beat" in text else ("", "", text)
                named = rule.split()[1] if rule else ""
                filled = sentence.split("because ")[1].split()[0]
                logs = [-2.0 if named == "Bob" and k == 1 else -1.0 for k in range(len(text.split()))]
                tail = -0.5 if named == filled else -3.0 if named else -1.0
                logs[-2:] = [tail, tail]
                found.append(logs)
            done(place, found)


def test_by_hand() -> None:
    asker = Asker(model=Reader(), store=Store.open())
    ((margin, total),) = partial_margins(asker, [ITEM])
    assert margin == 0.0
    # 7 words: five at -1 and two at -1, for both fillings
    assert total == pytest.approx(-7 + math.log(2))
    found = label_support(asker, [ITEM, ITEM], ["If X is fast, X wins", "If Y is fast, Y wins"])
    # instantiated as Ann: gold tail -1, other tail -6; as Bob the reverse, with one word less likely: the way with Ann is taken for both
    assert [one.support for one in found] == pytest.approx([5.0, 5.0])
    assert [one.exchanged for one in found] == pytest.approx([-5.0, -5.0])
    assert [one.x_is_gold for one in found] == [True, False]
    kept = label_support(asker, [ITEM], ["If Bob is fast, Bob wins"], filled=False)[0]
    assert (kept.support, kept.exchanged) == (-5.0, -5.0)


def test_nothing_after_the_blank_is_no_number() -> None:
    asker = Asker(model=Reader(), store=Store.open())
    bare = Item(sentence="It was because _", options=("Ann", "Bob"), gold="Ann")
    assert math.isnan(partial_margins(asker, [bare])[0][0])


def test_a_real_language_model_equals_the_slow_way(tmp_path: Path) -> None:
    model = names.make(f"hf:{tiny_model(tmp_path / 'tiny', template=None)}")
    asker = Asker(model=model, store=Store.open())
    rule = "If X runs, Y waits"
    ((margin, _),) = partial_margins(asker, [ITEM], [rule])
    slow = []
    for option in (ITEM.gold, ITEM.other):
        before, after = ITEM.filled(option)
        (scores,) = asker.score([ScoreJob(request=Request(plain=f"{HEAD}{rule}. {before}"), continuations=(after,))], "slow")
        slow.append(sum(scores[0]))
    assert margin == pytest.approx(slow[0] - slow[1], abs=1e-4)


def test_what_cannot_score_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a local model"):
        partial_margins(Asker(model=names.make("demo"), store=Store.open()), [ITEM])
    with pytest.raises(UsageError, match="2 rules for 1 items"):
        partial_margins(Asker(model=Reader(), store=Store.open()), [ITEM], ["a", "b"])
