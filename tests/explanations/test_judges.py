"""Judges: blind, with counted silence, agreement by Krippendorff's alpha, and the swap control; explanations by a model with retrieval."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genscope.core.claims import judge
from genscope.core.errors import DataError, UsageError
from genscope.core.reply import GenerateJob, OnReplies, Reply
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.measures.explanation_quality import JUDGED_CLAIMS, explanation_quality, judged_rows
from genscope.measures.judges import (
    Case,
    HumanJudge,
    Judge,
    ModelJudge,
    Ratings,
    agreement_records,
    rating,
    rating_sheet,
    request,
    swap_control,
)
from genscope.measures.krippendorff import krippendorff_alpha
from genscope.models.ask import Asker
from genscope.models.explain import HEADER, explain, hashed_vectors, retrieve
from genscope.models.model import Description, Model
from genscope.tasks.winogrande_explanations import Item

nan = float("nan")


class Scripted(Model):
    """Answers by a function of the prompt."""

    name = "scripted"
    abilities = frozenset({"generate", "chat"})
    block = 4
    spends = False

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer, self.seen = answer, []

    def identity(self) -> dict[str, Any]:
        return {"scripted": id(self)}

    def describe(self) -> Description:
        return Description(name=self.name, sentence="a test's")

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            self.seen += [one.plain for one in job.requests]
            done(place, [Reply(text=self.answer(one.plain)) for one in job.requests])


def item(number: int) -> Item:
    return Item(
        sentence=f"Ann met Bob {number} times because _ was free.",
        options=("Ann", "Bob"),
        gold="Ann",
        explanation=f"If X is free, X meets Y {'often ' * (number % 3)}",
    )


def asker(answer: Callable[[str], str]) -> tuple[Asker, Scripted]:
    model = Scripted(answer)
    return Asker(model=model, store=Store.open()), model


def test_krippendorffs_own_example() -> None:
    """Four raters, twelve units with gaps (Krippendorff 2011); the values are those of the package krippendorff 0.9."""
    x = np.array([
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3], [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ])  # fmt: skip
    assert krippendorff_alpha(x, "nominal") == pytest.approx(0.743421, abs=1e-6)
    assert krippendorff_alpha(x, "ordinal") == pytest.approx(0.815388, abs=1e-6)
    assert krippendorff_alpha(x, "interval") == pytest.approx(0.849107, abs=1e-6)
    assert krippendorff_alpha(np.array([[1.0, 2, 3], [1, 2, 3]])) == 1.0
    assert np.isnan(krippendorff_alpha(np.ones((2, 4))))
    assert krippendorff_alpha(np.array([[1.0, 2, 1, 2], [2, 1, 2, 1]]), "nominal") < 0
    with pytest.raises(UsageError, match="scale"):
        krippendorff_alpha(x, "ratio")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("reply", "value"),
    [("5", 5), (" 3 ", 3), ("4/5", 4), ("Rating: 2", 2), ("4. It is clear", 4), ("3 out of 5", 3), ("0", nan), ("6", nan), ("", nan), ("two", nan), ("2 or 3", nan), ("4 - because 2 reasons", nan), ("\x1b[31m4\x1b[0m", 4)],
)  # fmt: skip
def test_ratings_are_read_and_never_guessed(reply: str, value: float) -> None:
    assert rating(reply) == pytest.approx(value, nan_ok=True)


def test_a_judge_is_blind_and_its_silence_is_counted() -> None:
    cases = [Case(item=item(k), explanation=item(k).explanation) for k in range(6)]
    by_model = [Case(item=item(k), explanation=f"If X is free then X meets {k}") for k in range(6)]
    one, model = asker(lambda prompt: "no idea" if "meets 3" in prompt else "4")
    found = ModelJudge(one, Seed("judge")).rate([*cases, *by_model, cases[0]], ["support", "generality"])
    assert found.values["support"].tolist()[:3] == [4, 4, 4]
    assert np.isnan(found.values["support"][9])
    assert (found.unparsed, found.asked) == (2, 24)  # the repeated case was asked once
    assert len(model.seen) == 24
    text = " ".join(model.seen).lower()
    assert not {"human", "gpt", "person", "model", "machine"} & set(re.findall(r"[a-z]+", text))
    in_order = [f"meets {k}" in prompt for prompt in model.seen for k in range(6)]
    assert in_order != sorted(in_order)
    assert request(cases[0], "support").plain == request(Case(item=item(0), explanation=cases[0].explanation), "support").plain
    with pytest.raises(UsageError, match="unknown dimension 'style'"):
        ModelJudge(one, Seed("judge")).rate(cases, ["style"])  # pyright: ignore[reportArgumentType]


def test_people_rate_in_a_blind_sheet(tmp_path: Path) -> None:
    cases = [Case(item=item(k), explanation=("=SUM(A1)" if k == 1 else item(k).explanation)) for k in range(4)]
    sheet = list(csv.DictReader(StringIO(rating_sheet(cases, ["grammar", "support"], Seed("sheet")))))
    assert len(sheet) == 8
    assert [row["case"] for row in sheet] != [case.id for case in cases for _ in range(2)]
    assert any(row["explanation"] == "'=SUM(A1)" for row in sheet)
    path = tmp_path / "ratings.csv"
    path.write_text("case,judge,dimension,rating\n" + "".join(f"{row['case']},ann,{row['dimension']},{1 + n % 5}\n" for n, row in enumerate(sheet) if n != 7) + f"{sheet[7]['case']},ann,{sheet[7]['dimension']},\n")  # fmt: skip
    found = HumanJudge(path, "ann").rate(cases, ["grammar", "support"])
    assert (found.unparsed, found.asked) == (1, 8)
    place = [case.id for case in cases].index(sheet[2]["case"])
    assert found.values[sheet[2]["dimension"]][place] == 3.0  # pyright: ignore[reportArgumentType]
    for text, said in (
        ("case,judge,rating\na,ann,3\n", "no column dimension"), (f"case,judge,dimension,rating\n{cases[0].id},ann,support,9\n", "line 2: the rating is '9'"),
        (f"case,judge,dimension,rating\n{cases[0].id},ann,style,3\n", "unknown dimension"), ("case,judge,dimension,rating\nx,bob,support,3\n", "judges: bob"),
        ("case,judge,dimension,rating\nx,ann,support,3\nx,ann,support,4\n", "rates case x twice"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            HumanJudge(path, "ann")


class Fixed(Judge):
    """Rates by a function."""

    def __init__(self, name: str, value: Callable[[Case, str], float]) -> None:
        self.name, self.value = name, value

    def rate(self, cases: Sequence[Case], dimensions: Any) -> Ratings:
        return Ratings(judge=self.name, values={d: np.array([self.value(case, d) for case in cases]) for d in dimensions}, asked=len(cases))


def test_agreement_and_unparsed_share_are_records() -> None:
    cases = [Case(item=item(k), explanation=item(k).explanation) for k in range(5)]
    judges = [
        Fixed("one", lambda case, d: float(1 + cases.index(case) % 5)),
        Fixed("two", lambda case, d: float(1 + cases.index(case) % 5 if d == "support" else 3)),
    ]
    ratings = [one.rate(cases, ["support", "grammar"]) for one in judges]
    records = {(one.metric, one.condition): one for one in agreement_records(ratings, ["support", "grammar"], "judges")}
    assert records["krippendorff_alpha", "support"].value == 1.0
    assert (records["krippendorff_alpha", "grammar"].value or 0) < 0.2
    assert records["unparsed_share", "one"].value == 0.0


def test_the_swap_control_tells_a_judge_from_a_coin() -> None:
    cases = [Case(item=item(k), explanation=item(k).explanation) for k in range(30)]
    reads = Fixed("reads", lambda case, d: 5.0 if case.explanation.startswith("If X is free, X") else 2.0 + case.item.sentence.count("1"))
    found = swap_control(reads, cases, Seed("swap"))
    assert found.low is not None
    assert found.low > 0
    deaf = Fixed("deaf", lambda case, d: float(1 + len(case.item.sentence) % 5))
    assert swap_control(deaf, cases, Seed("swap")).value == 0.0
    with pytest.raises(UsageError, match="only 0 of 2 cases"):
        swap_control(reads, [Case(item=item(k), explanation="If free") for k in range(2)], Seed("swap"))


def test_the_abstracts_sentences_on_judged_ratings() -> None:
    def sides(worse: float) -> dict[str, list[Case]]:
        return {"human": [Case(item=item(k), explanation=f"human rule {k}") for k in range(60)], "model": [Case(item=item(k), explanation=f"model rule {k} {worse}") for k in range(60)]}  # fmt: skip

    def value(case: Case, dimension: str) -> float:
        jitter = (int(case.id[:2], 16) % 3 - 1) * 0.3
        lost = float(case.explanation.split()[-1]) if case.explanation.startswith("model") else 0.0
        return 3.5 + jitter * (0.1 if dimension == "grammar" else 1.0) - (0.0 if dimension == "grammar" else lost)

    ratings, _ = explanation_quality({"easy": sides(0.1), "hard": sides(1.5)}, [Fixed("a", value), Fixed("b", value)])
    assert len(ratings) == 2 * 2 * 60 * 3
    assert ratings["judges"].unique().to_list() == [2]
    rows = judged_rows(ratings)
    assert {claim.id: judge(claim, rows, Seed("j")).verdict for claim in JUDGED_CLAIMS} == {
        "J1": "reproduced",
        "J2": "reproduced",
        "J3": "reproduced",
    }
    ratings, _ = explanation_quality({"easy": sides(1.5), "hard": sides(0.1)}, [Fixed("a", value)])
    assert judge(JUDGED_CLAIMS[2], judged_rows(ratings), Seed("j")).verdict == "not reproduced"
    with pytest.raises(DataError, match="as many human as model"):
        explanation_quality({"easy": {"human": []}}, [])


# --- explanations by a model


def test_retrieval_leaves_out_the_item_and_its_copies_and_ends_with_the_nearest() -> None:
    pool = [
        item(1),
        item(2),
        item(2),
        Item(sentence="The _ sank near Oslo.", options=("ship", "raft"), gold="ship", explanation="If X leaks, X sinks"),
    ]
    (found,) = retrieve([item(1)], pool, 2)
    assert found[-1] == 1
    assert found == [3, 1]
    with pytest.raises(UsageError, match="only 2 explained sentences"):
        retrieve([item(1)], pool, 3)
    assert retrieve([item(1)], pool, 0) == [[]]
    vectors = hashed_vectors(["the dog runs", "the dog runs", "a cat sleeps", ""])
    assert np.linalg.norm(vectors[0]) == pytest.approx(1)
    assert vectors[0] @ vectors[1] == pytest.approx(1)
    assert vectors[0] @ vectors[2] < 0.3
    assert (vectors[3] ** 2).sum() <= 1


def test_the_prompt_shows_examples_and_asks_for_a_rule() -> None:
    one, model = asker(lambda prompt: " If X rests, X wins \n")
    pool = [item(k) for k in range(2, 8)]
    assert explain(one, [item(0), item(1)], pool, k=3) == ["If X rests, X wins", "If X rests, X wins"]
    prompt = model.seen[0]
    assert prompt.startswith(HEADER)
    assert prompt.count("###") == 3
    assert prompt.endswith("Answer: Ann\nWhy?")
    assert prompt.count("Why? If X is free") == 3
    assert 'What does "_" refer to?\nAnn or Bob?' in prompt
