"""Profile section genil: models that know, that know nothing, and that answer nonsense, on made-up sentences; no sentence may reach a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest

from genscope.core.errors import UsageError
from genscope.core.reply import GenerateJob, OnReplies, OnScores, Reply, Request, ScoreJob
from genscope.models.model import Description, Model
from genscope.verbs.profile import profile
from tests.genil import made_up

WORDS = ("All ", "always", "Typical")


def broad(request: Request) -> bool:
    return any(word in request.messages[-1].content.split("\n")[0] for word in WORDS)


class Knower(Model):
    """Scores yes above no for broad sentences; `way` turns it round or makes it know nothing."""

    name, abilities, block, spends = "knower", frozenset({"generate", "score", "chat"}), 8, False

    def __init__(self, way: str = "knows") -> None:
        self.way = way

    def identity(self) -> dict[str, Any]:
        return {"kind": "knower", "way": self.way}

    def describe(self) -> Description:
        return Description(name=self.name, sentence="made up")

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        raise NotImplementedError

    def score(self, jobs: Sequence[ScoreJob], done: OnScores, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            yes = 0.5 if self.way == "nothing" else 0.9 if broad(job.request) == (self.way == "knows") else 0.1
            done(place, [[log(yes / 2)], [log(yes / 2)], [log((1 - yes) / 2)], [log((1 - yes) / 2)]])


class Rater(Model):
    """Rates by numbers; every `nonsense`-th reply holds none."""

    name, abilities, block, spends = "rater", frozenset({"generate", "chat"}), 8, False

    def __init__(self, nonsense: int = 0) -> None:
        self.nonsense, self.asked = nonsense, 0

    def identity(self) -> dict[str, Any]:
        return {"kind": "rater", "nonsense": self.nonsense}

    def describe(self) -> Description:
        return Description(name=self.name, sentence="made up")

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            replies = []
            for request in job.requests:
                self.asked += 1
                silent = self.nonsense and self.asked % self.nonsense == 0
                replies.append(Reply(text="\x1b[31mI cannot tell" if silent else "95" if broad(request) else "5 out of 100"))
            done(place, replies)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made_up.write(tmp_path, rows=220)
    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    return tmp_path


def asked(model: Model, out: Path, options: str = "rows=40") -> tuple[dict[str, Any], dict[tuple[str, str, str], float], str]:
    made: Any = profile(model, with_=[f"genil:{options}"], without=["scylla"], out=out)
    facts = json.loads((out / "result.json").read_text("utf-8"))["sections"]["genil"]["facts"]
    values = {(row["metric"], row["condition"], json.loads(row["factors"]).get("by", "")): row["value"] for row in made.records.to_dicts()}
    return facts, values, (out / "index.html").read_text("utf-8") + str(made.responses.to_dicts())


def test_a_model_that_reads_the_context_beats_the_pair_and_one_that_knows_nothing_is_at_chance(data: Path) -> None:
    facts, values, page = asked(Knower(), data / "a")
    _, nothing, _ = asked(Knower("nothing"), data / "b")
    _, turned, _ = asked(Knower("turned"), data / "c")
    chance = values["prevalence", "pooled", ""]
    assert facts["way"] == "probability of yes"
    assert facts["rows"] > facts["positives"] > 30
    # one made-up row in ten has the other label's wording: 0.9 of the positives among the flagged, the rest among all
    precision = 0.9 * chance / (0.9 * chance + 0.1 * (1 - chance))
    assert values["average_precision", "pooled", "model"] == pytest.approx(0.9 * precision + 0.1 * chance, abs=0.08)
    assert values["average_precision", "macro", "model"] == pytest.approx(values["average_precision", "pooled", "model"], abs=0.08)
    assert nothing["average_precision", "pooled", "model"] == pytest.approx(chance)
    assert turned["average_precision", "pooled", "model"] < chance
    assert values["over_pair_alone", "pooled", ""] == pytest.approx(
        values["average_precision", "pooled", "model"] - values["average_precision", "pooled", "pair alone"]
    )
    assert chance < values["average_precision", "pooled", "pair alone"] < values["average_precision", "pooled", "model"]
    assert "reads more than the pair" in page
    assert "market stall" not in page
    assert "as everybody knows" not in page


def test_ratings_count_as_fractions_and_nonsense_as_fifty(data: Path) -> None:
    facts, values, page = asked(Rater(), data / "a", "rows=40,languages=en+fr")
    some, _, _ = asked(Rater(nonsense=4), data / "b", "rows=40,languages=en+fr")
    assert facts["way"] == "rating from 0 to 100"
    assert (facts["unparsed"], some["unparsed"]) == (0, facts["rows"] // 4)
    assert values["average_precision", "en", "model"] > 0.5
    assert {condition for _, condition, _ in values} >= {"en", "fr"}
    assert "market stall" not in page


def test_solved_examples_are_of_the_training_side_and_of_the_same_language(data: Path) -> None:
    from genscope.sections.profile import genil as module
    from genscope.sections.section import ProfilePlan

    plan = module._plan(ProfilePlan(options={"genil": {"shots": "4", "rows": "20", "languages": "en+fr"}}))
    requests = module._requests(plan, Knower())
    assert len(requests) == len(plan.asked)
    test = set(plan.asked.sentence)
    for language, request in zip(plan.asked.language, requests, strict=True):
        roles = [message.role for message in request.messages]
        assert roles == ["user", "assistant"] * 4 + ["user"]
        assert [message.content for message in request.messages[1::2]] == ["yes", "no", "yes", "no"]
        shown = [message.content.split("\n")[0].removeprefix("Sentence: ") for message in request.messages[:-1:2]]
        assert not test & set(shown)
        assert all(f"({language} " in one for one in shown)


@pytest.mark.parametrize(
    ("option", "said"), [("rows=0", "at least 10"), ("languages=de", "unknown language"), ("topics=3", "unknown option"), ("shots=-1", "at least 0")]
)  # fmt: skip
def test_bad_options_are_named(data: Path, option: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        profile(Knower(), with_=[f"genil:{option}"], without=["scylla"], out=data / "no")
