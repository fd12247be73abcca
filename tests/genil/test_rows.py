"""GeniL's loader, mentions and splits, on made-up sentences in the same format."""

from __future__ import annotations

import itertools
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genscope.core.errors import DataError, MissingError, TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.tasks import genil
from genscope.tasks.words import folded, words
from tests.genil import made_up


def test_every_known_defect_is_handled_and_counted(tmp_path: Path) -> None:
    accent = "Le boulanger est pressé."
    made_up.put(
        tmp_path / "en.csv",
        [
            ("The bakers are quick.", "1", "1.0", "Bakers", "quick"),
            ("The bakers are quick.", "1", "1.0", "Bakers", "quick"),
            ("The bakers are quick.", "0", "", "Bakers", "quick"),
            ("The bakers are NA.", "1", "", "Bakers", "NA"),
            ("The null bakers.", "0", "0.0", "Bakers", "null"),
            (unicodedata.normalize("NFD", accent), "0", "", "boulanger", unicodedata.normalize("NFD", "pressé")),
            (accent, "0", "0", "boulanger", "pressé"),
            ("   ", "0", "0", "Bakers", "quick"),
        ],
    )
    rows = genil.load(["en"], tmp_path)
    assert rows.attribute == ("quick", "NA", "null", "pressé")
    assert rows.found == {"rows_read": 8, "repeats": 3, "conflicting_repeats": 1, "empty": 1, "promoting_missing": 1, "not_nfc": 1}
    assert rows.generalizing.tolist() == [1, 1, 0, 0]
    assert rows.promoting.tolist() == [1, -1, -1, -1]  # blank is missing, and it means nothing where nothing generalizes
    assert rows.ids() == ["en:0", "en:3", "en:4", "en:5"]
    assert len(rows.take([2])) == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [([("a b", "2", "", "a", "b")], "generalizing must be 0 or 1, got '2'"), ([("a b", "1", "yes", "a", "b")], "promoting must be 0 or 1"),
     ([("a" * 30_000, "1", "1", "a", "b")], "more than 20,000 characters")],
)  # fmt: skip
def test_bad_values_are_named_without_their_sentence(tmp_path: Path, lines: list[tuple[str, str, str, str, str]], said: str) -> None:
    made_up.put(tmp_path / "en.csv", lines)
    with pytest.raises(DataError, match=said):
        genil.load(["en"], tmp_path)


def test_bad_files_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="ar, bn, en, es, fr, hi, id, ms, pt"):
        genil.load(["de"], tmp_path)
    with pytest.raises(DataError, match="no file en"):
        genil.load(["en"], tmp_path)
    (tmp_path / "en.csv").write_bytes(b"sentence,identity\na,b\n")
    with pytest.raises(DataError, match="no column attribute, generalizing, promoting"):
        genil.load(["en"], tmp_path)
    (tmp_path / "en.csv").write_bytes(b"sentence\n\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        genil.load(["en"], tmp_path)
    (tmp_path / "en.csv").unlink()
    (tmp_path / "en.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        genil.load(["en"], tmp_path)
    monkeypatch.setenv("GENSCOPE_DATA", "")
    with pytest.raises(MissingError, match="CC-BY-4.0"):
        genil.load()


@pytest.mark.skipif(
    not os.environ.get("GENSCOPE_DATA") or not (Path(os.environ["GENSCOPE_DATA"]) / genil.GENIL).is_dir(), reason="GeniL is not here"
)
def test_the_release_has_the_counts_of_its_sheet() -> None:
    rows = genil.load()
    assert rows.found == {
        "rows_read": 45_414,
        "repeats": 1_662,
        "conflicting_repeats": 50,
        "empty": 0,
        "promoting_missing": 14,
        "not_nfc": 3_260,
    }
    assert len(rows) == 43_752
    assert not any(attribute == "" for attribute in rows.attribute)


def test_words_of_scripts_with_combining_marks_stay_whole() -> None:
    hindi, bengali = "\u0939\u093f\u0928\u094d\u0926\u0940", "\u09ac\u09be\u0982\u09b2\u09be"  # names of the two languages
    assert [word for word, _, _ in words(f"{hindi}, {bengali}!")] == [hindi, bengali]
    assert folded("E\u0301TE\u0301") == "\u00e9t\u00e9"


@pytest.mark.parametrize(
    ("sentence", "identity", "attribute", "spans", "matches"),
    [
        ("The baker and the bakery are quick.", "baker", "quick", ([(4, 9)], [(29, 34)]), ("exact", "exact")),
        ("Two bakeries are quick.", "bakery", "quick", ([(4, 12)], [(17, 22)]), ("prefix", "exact")),
        ("Iranian bread.", "Iran", "bread", ([(0, 7)], [(8, 13)]), ("inside", "exact")),
        ("Old master bakers are old.", "master bakers", "bakers", ([(4, 17)], []), ("exact", "none")),
        ("Nothing here.", "tailor", "calm", ([], []), ("none", "none")),
    ],
)
def test_mentions_are_found_longest_first_with_fallbacks(
    sentence: str, identity: str, attribute: str, spans: object, matches: object
) -> None:
    found = genil.mark(sentence, identity, attribute)
    assert ([*found.identity], [*found.attribute]) == spans
    assert (found.identity_match, found.attribute_match) == matches


@given(st.text(max_size=60), st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=200, deadline=None)
def test_spans_lie_in_the_text_and_never_overlap(sentence: str, identity: str, attribute: str) -> None:
    found = genil.mark(sentence, identity, attribute)
    spans = sorted([*found.identity, *found.attribute])
    assert all(0 <= begin < end <= len(found.text) for begin, end in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@pytest.fixture
def rows(tmp_path: Path) -> genil.Rows:
    return genil.load(folder=made_up.write(tmp_path))


@pytest.mark.parametrize("name", [*genil.DEALT, "leave-language-out", "english-only"])
def test_splits_share_nothing_and_are_the_same_again(rows: genil.Rows, name: str) -> None:
    language = "fr" if name == "leave-language-out" else None
    made = genil.split(rows, name, Seed("s", 1), language)
    assert made.certify(rows).ok
    assert not set(made.train) & set(made.test)
    assert len(made.train) + len(made.test) + made.left_out == len(rows)
    again, other = (genil.split(rows, name, Seed("s", k), language) for k in (1, 2))
    assert np.array_equal(made.test, again.test)
    if name in genil.DEALT:
        assert not np.array_equal(made.test, other.test)
        assert 0.2 <= len(made.test) / len(rows) < 0.3
    else:
        assert {rows.language[k] for k in made.test} == ({"fr"} if language else set(genil.LANGUAGES) - {"en"})


def test_a_sentence_under_two_pairs_never_stands_on_both_sides() -> None:
    n = 60
    rows = genil.Rows(
        language=("en",) * (2 * n), number=np.arange(2 * n), sentence=tuple(f"sentence {k // 2}" for k in range(2 * n)),
        identity=tuple(f"trade {k % 7}" for k in range(2 * n)), attribute=tuple(f"trait {k % 11}" for k in range(2 * n)),
        generalizing=np.arange(2 * n) % 3 % 2, promoting=np.full(2 * n, -1),
    )  # fmt: skip
    made = genil.split(rows, "unseen-pair", Seed("s"))
    proof = made.certify(rows)
    assert (proof.shared_examples, proof.shared_elements) == (0, 0)
    assert made.left_out > 0
    leaky = genil.Split(name="unseen-pair", train=np.arange(0, 120, 2), test=np.arange(1, 120, 2), left_out=0)
    assert leaky.certify(rows).shared_examples == 60


def test_splits_say_what_is_wrong(rows: genil.Rows) -> None:
    with pytest.raises(TaskError, match="Did you mean unseen-pair"):
        genil.split(rows, "unseen-pairs", Seed("s"))
    with pytest.raises(TaskError, match="takes a test language"):
        genil.split(rows, "leave-language-out", Seed("s"))
    with pytest.raises(DataError, match="split by-sentence.*both labels"):
        genil.split(rows.relabelled(np.zeros(len(rows))), "by-sentence", Seed("s"))


def test_folds_and_samples(rows: genil.Rows) -> None:
    fold = genil.folds(rows, 5, Seed("f"))
    of: dict[str, set[int]] = {}
    for sentence, one in zip(rows.sentence, fold.tolist(), strict=True):
        of.setdefault(sentence, set()).add(one)
    assert all(len(found) == 1 for found in of.values())
    assert np.bincount(fold).min() > 0.15 * len(rows)
    places, weights = genil.sampled(rows, 50, 4, Seed("w"))
    y = rows.generalizing[places]
    for language in genil.LANGUAGES:
        spoken = np.array(rows.language)
        here = spoken[places] == language
        assert (y[here] == 1).sum() == 10
        assert (y[here] == 0).sum() == 40
        # weights bring back the counts of all rows
        assert weights[here & (y == 1)].sum() == pytest.approx((rows.generalizing[spoken == language] == 1).sum())
        assert weights[here].sum() == pytest.approx((spoken == language).sum())
