"""Lexicon, detector, and the sections of audit and profile that use them, on made-up sentences; no sentence may reach a page."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genscope.core.errors import DataError, MissingError, UsageError
from genscope.core.reply import GenerateJob, OnReplies, Reply
from genscope.core.seeds import Seed
from genscope.core.stats import Interval
from genscope.core.store import Store
from genscope.measures.average_precision import average_precision
from genscope.measures.group_generalization import group_generalizations, records_of
from genscope.models.genil import detector as module
from genscope.models.model import Description, Model
from genscope.tasks import genil
from genscope.tasks.genil.lexicon import Lexicon, co_occurrences, in_script, lexicon_of, read_lexicon
from genscope.verbs.audit import audit
from genscope.verbs.profile import profile
from tests.genil import made_up

TERMS = Lexicon(language="en", identities=("baker", "master baker", "Tailors"), attributes=("quick", "hard-working", "calm"))


def found(text: str, lexicon: Lexicon = TERMS) -> list[tuple[str, str]]:
    rows = co_occurrences([(0, text)], lexicon).rows
    return list(zip(rows.identity, rows.attribute, strict=True))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("The bakers are quick.", [("baker", "quick")]),
        ("A MASTER BAKER is hard-working and calm.", [("master baker", "hard-working"), ("master baker", "calm")]),
        ("The bakers met. Tailors are calm!", [("Tailors", "calm")]),
        ("Bakersfield is quick.", []),
        ("Bake quick", []),
        ("", []),
    ],
)
def test_terms_are_found_as_whole_words_within_a_sentence(text: str, pairs: list[tuple[str, str]]) -> None:
    assert found(text) == pairs


def test_what_is_left_out_is_counted_and_hostile_texts_do_no_harm() -> None:
    cyrillic = "\u041f\u0435\u043a\u0430\u0440\u044c"
    texts = [
        (0, "Bakers are quick."),
        (1, " "),
        (2, cyrillic),
        (7, "quick " * 400 + "bakers"),
        (8, "\x00\x1b[31m<script>bakers</script> quick"),
    ]
    made = co_occurrences(texts, TERMS)
    assert made.met == {"texts": 5, "empty": 1, "other_script": 1, "sentences": 3, "cut": 1}
    assert made.source.tolist() == [0, 8]
    assert in_script("\u0939\u093f\u0928\u094d\u0926\u0940", "hi")
    assert not in_script("\u0939\u093f\u0928\u094d\u0926\u0940", "bn")


def test_lexicons_of_ones_own_and_bad_ones(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("kind,term\nidentity,Bakers\nidentity,bakers\nattribute,quick\n", "utf-8")
    assert read_lexicon(path, "en") == Lexicon(language="en", identities=("Bakers",), attributes=("quick",))
    for text, said in (
        ("kind,term\ngroup,Bakers\n", "row 0 needs a kind"),
        ("kind,term\nidentity,Bakers\n", "needs groups and attributes"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(DataError, match=said):
            read_lexicon(path, "en")
    path.write_text("kind,term\nidentity,a\nattribute,b\n", "utf-8")
    with pytest.raises(UsageError, match="unknown GeniL language"):
        read_lexicon(path, "de")
    with pytest.raises(DataError, match="cannot be read"):
        read_lexicon(tmp_path / "none.csv", "en")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> genil.Rows:
    made_up.write(tmp_path, rows=220)
    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    return genil.load()


def test_the_detector_is_the_same_from_the_store_and_reads_new_text(data: genil.Rows) -> None:
    direct = module._trained(data)
    kept, again = module.detector(Store.open()), module.detector(Store.open())
    some = data.take(np.arange(0, len(data), 7))
    scores = [one.scores(some) for one in (direct, kept, again)]
    assert np.allclose(scores[0], scores[1], atol=1e-6)
    assert np.array_equal(scores[1], scores[2])
    lexicon = lexicon_of(data, "en")
    texts = [(0, "All Potters are merry."), (1, "Letter 3: the merry train brought the Potters home.")]
    rows = co_occurrences(texts, lexicon).rows
    new = kept.scores(rows)
    assert new[0] > new[1] + 1
    assert kept.flags(np.array([-5.0, 0.0])).tolist() == [0, 1]
    assert len(kept.scores(rows.take([]))) == 0
    tpr, fpr = kept.errors("en")
    assert tpr > fpr + 0.3


def test_held_out_rates_come_from_pairs_that_training_did_not_have(data: genil.Rows) -> None:
    made = genil.split(data, "unseen-pair", Seed("genil", "detector"))
    held = module._trained(data).held
    assert sum(len(y) for y, _ in held.values()) == len(made.test)
    assert sum(int(y.sum()) for y, _ in held.values()) == int(data.generalizing[made.test].sum())


def test_without_the_data_the_detector_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_DATA", "")
    with pytest.raises(MissingError, match="google-research-datasets/GeniL"):
        module.detector(Store.open())


def test_groups_are_counted_flagged_and_corrected() -> None:
    def half(flags: np.ndarray, seed: Seed) -> Interval:
        return Interval(float(flags.mean()) / 2, 0.0, 1.0, len(flags), "half")

    whole, shown, fewer = group_generalizations(["a"] * 4 + ["b"] * 2, np.array([1, 1, 0, 0, 1, 0]), half, Seed("g"), least=3)
    assert (whole.n, whole.flagged, whole.expected) == (6, 3, 1.5)
    assert [(one.group, one.n, one.flagged, one.rate.value) for one in shown] == [("a", 4, 2, 0.25)]
    assert fewer == 1
    values = {(one.condition, one.metric): one.value for one in records_of(whole, shown, "s")}
    assert values["a", "flagged_share"] == 0.5
    assert values["", "co_occurrences"] == 6


def test_an_audit_finds_the_rate_and_shows_no_sentence(data: genil.Rows, tmp_path: Path) -> None:
    other = made_up.write(tmp_path / "other", rows=400, seed=5)
    fresh = genil.load(["en"], other)
    path = tmp_path / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text",), *[(sentence,) for sentence in fresh.sentence]])
    result: Any = audit(path, text="text", with_=["generalizations:language=en,least=20"], out=tmp_path / "out", show_text=True)
    held = json.loads((tmp_path / "out" / "result.json").read_text("utf-8"))
    section = held["sections"]["generalizations"]
    (finding,) = [one for one in held["findings"] if one["kind"] == "generalization"]
    truth = float(fresh.generalizing.mean())
    assert finding["of"] == len(fresh)
    assert finding["low"] <= truth <= finding["high"]
    assert finding["count"] / finding["of"] == pytest.approx(truth, abs=0.08)
    assert section["tables"]
    written = (
        "".join(part.read_text("utf-8", "replace") for part in (tmp_path / "out").glob("*.html"))
        + json.dumps(section)
        + json.dumps(finding)
    )
    assert not any(sentence[:30] in written for sentence in fresh.sentence)
    assert result is not None
    with pytest.raises(UsageError, match="pt"):
        audit(path, text="text", with_=["generalizations:language=de"], out=tmp_path / "out2")


class Writer(Model):
    """Broad sentences about half of the groups, narrow ones about the others."""

    name, abilities, block, spends = "writer", frozenset({"generate", "sample", "chat"}), 16, False

    def identity(self) -> dict[str, Any]:
        return {"kind": "writer"}

    def describe(self) -> Description:
        return Description(name="writer", sentence="made up")

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            done(place, [self._reply(request.messages[-1].content, job.repeat) for request in job.requests])

    def _reply(self, asked: str, repeat: int) -> Reply:
        group = next(one for one in made_up.TRADES if one in asked)
        trait = made_up.TRAITS[repeat % 12]
        form = made_up.BROAD[repeat % 3] if group < "N" else made_up.NARROW[repeat % 4]
        return Reply(
            text=form.format(i=group, a=trait, n=repeat), finish="failed" if repeat == 3 else "stop", error="made up" if repeat == 3 else ""
        )


def test_a_profile_tells_groups_that_are_generalized_about(data: genil.Rows, tmp_path: Path) -> None:
    made: Any = profile(Writer(), with_=["generalizations:groups=10,samples=24"], without=["scylla"], out=tmp_path / "out")
    held = json.loads((tmp_path / "out" / "result.json").read_text("utf-8"))["sections"]["generalizations"]["facts"]
    assert (held["replies"], held["failed"], held["co_occurrences"]) == (240, 10, 230)
    rates = {row["condition"]: row["value"] for row in made.records.to_dicts() if row["metric"] == "generalization_rate"}
    assert (
        min(rates[group] for group in made_up.TRADES if group < "N") > max(rates[group] for group in made_up.TRADES if group >= "N") + 0.3
    )
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "about" in page
    assert "as everybody knows" not in page
    assert "as everybody knows" not in str(made.responses["reply"].to_list())
    for option, said in (("groups=0", "at least 1"), ("text=maybe", "yes or no"), ("topics=3", "unknown option")):
        with pytest.raises(UsageError, match=said):
            profile(Writer(), with_=[f"generalizations:{option}"], without=["scylla"], out=tmp_path / "no")


def test_average_precision_of_the_detector_on_pairs_it_never_had(data: genil.Rows) -> None:
    one = module._trained(data)
    made = genil.split(data, "unseen-pair", Seed("genil", "detector"))
    rows = data.take(made.test)
    assert average_precision(rows.generalizing, one.scores(rows)) > rows.generalizing.mean() + 0.3
