"""Sections of an audit against answers worked by hand."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from genscope.core.errors import DataError
from genscope.core.progress import Progress
from genscope.core.seeds import Seed
from genscope.measures.near_duplicates import Bands, jaccard, near_pairs
from genscope.measures.one_feature import best_features, best_tokens, category_skill
from genscope.measures.words import shingles, windows, word_hashes
from genscope.sections.audit_section import AuditLab, AuditOutcome, Finding
from genscope.sections.choose_audit import section, settings, table
from genscope.tasks.dataset import Dataset, read


def run(name: str, data: Dataset, **options: str) -> AuditOutcome:
    one = section(name)
    assert one.fits(data), one.lacks(data)
    return one.run(AuditLab(data=data, options=settings(one, options), seed=Seed("test"), progress=Progress("silent")))


def only(outcome: AuditOutcome, kind: str) -> Finding:
    (found,) = [one for one in outcome.findings if one.kind == kind]
    return found


def sentences(count: int, words: int = 12, seed: str = "words") -> list[str]:
    rng = Seed("test", seed).rng()
    return [" ".join(f"w{k}" for k in rng.integers(0, 5_000, words)) for _ in range(count)]


def frame(**columns: Any) -> Dataset:
    return read(pl.DataFrame(columns), {role: role if role in columns else "none" for role in ("text", "label", "split", "id", "group")})


def test_exact_duplicates_inside_and_across_splits() -> None:
    a, b, c, d = sentences(4)
    data = frame(text=[a, b, a, c, a, b, d, "", ""], split=["train"] * 4 + ["test"] * 5)
    found = run("duplicates", data)
    inside, across = only(found, "duplicate"), only(found, "leak")
    assert inside.rows.tolist() == inside.remove.tolist() == [2]
    assert inside.partners is not None
    assert inside.partners.tolist() == [0]
    assert (inside.count, inside.of) == (1, 9)
    assert across.rows.tolist() == [4, 5]
    assert across.partners is not None
    assert across.partners.tolist() == [0, 1]
    assert (across.count, across.of, across.severity) == (2, 5, "high")
    # the training side is what a fix takes out: every copy there
    assert sorted(across.remove.tolist()) == [0, 1, 2]
    assert across.low is not None
    assert across.low == pytest.approx(0.1176, abs=1e-4)  # Wilson, 2 of 5
    values = {record.metric: record.value for record in found.records}
    assert values == {"duplicate_groups": 2, "duplicate_rows": 5, "largest_group": 3}
    assert run("duplicates", frame(text=[a, b, c])).findings == ()


def test_conflicts_and_the_least_error() -> None:
    a, b, c, d = sentences(4)
    data = frame(text=[a, a, a, b, b, c, c, d], label=["x", "x", "y", "x", "x", "x", None, "y"])
    found = run("conflicts", data)
    one = only(found, "conflict")
    assert one.rows.tolist() == one.remove.tolist() == [0, 1, 2]
    assert one.cases[0].rows == (0, 2)
    assert one.cases[0].note == "labels x and y"
    assert {record.metric: record.value for record in found.records}["least_error"] == pytest.approx(1 / 8)
    assert run("conflicts", frame(text=[a, a], label=["x", "x"])).findings == ()


def test_groups_on_both_sides_of_a_split_and_ids_counted_anew() -> None:
    text = sentences(8)
    split = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    data = frame(text=text, split=split, group=list("aabbacbd"), id=list("01230123"))
    found = run("leaks", data).findings
    assert {(one.kind, one.count, one.of) for one in found} == {("leak", 1, 2)}
    assert sorted(one.rows.tolist() for one in found) == [[4], [6]]
    assert sorted(sorted(one.remove.tolist()) for one in found) == [[0, 1], [2, 3]]
    returning = frame(text=text, split=split, id=["a", "b", "c", "d", "a", "e", "f", "g"])
    assert [one.rows.tolist() for one in run("leaks", returning).findings] == [[4]]


def test_label_mixes() -> None:
    text = sentences(400)
    label = ["x"] * 150 + ["y"] * 50 + ["x"] * 50 + ["y"] * 148 + ["z"] * 2
    found = run("imbalance", frame(text=text, label=label, split=["train"] * 200 + ["test"] * 200))
    shift = {record.metric: record.value for record in found.records if record.metric == "label_shift"}
    # |.75 - .25| + |.25 - .74| + |0 - .01|, halved
    assert shift["label_shift"] == pytest.approx(0.5)
    told = [one.what for one in found.findings]
    assert any("never occur in split train" in one for one in told)
    assert any("mix the labels differently: x is 75 % of the one and 25 % of the other" in one for one in told)
    alone = run("imbalance", frame(text=text[:5], label=["x"] * 5)).findings
    assert [(one.what, one.severity) for one in alone] == [("all rows have the same label", "high")]
    groups = run("imbalance", frame(text=text[:12], group=["a"] * 9 + ["b", "c", "d"]))
    assert {record.metric: record.value for record in groups.records}["effective_groups"] == pytest.approx(144 / 84)


def test_bad_values_of_every_kind() -> None:
    found = run(
        "bad_values",
        read(
            pl.DataFrame(
                {
                    "w": [1.0, 2.0, float("inf"), float("nan"), 5.0],
                    "c": [7] * 5,
                    "label": ["a", "A ", "b", None, "a"],
                    "id": ["p", "q", "p", "r", "s"],
                }
            ),
            {"label": "label", "id": "id"},
        ),
    )
    told = {one.what.split(" (")[0]: (one.count, one.of, one.rows.tolist()) for one in found.findings}
    assert told == {
        "1 row has no label": (1, 5, [3]),
        "1 row has an id that an earlier row has": (1, 5, [2]),
        "1 label is written in several ways": (3, 5, [0, 1, 4]),
        "2 rows hold a number that is NaN or infinite": (2, 5, [2, 3]),
        "1 column holds one value only": (1, 2, []),
    }
    text = run("bad_values", frame(text=["=cmd|' /C calc'!A0", "-5 degrees", "broken \ufffd here", "", "fine"]))
    assert {one.rows.tolist()[0]: one.count for one in text.findings} == {0: 1, 2: 1, 3: 1}
    arrays = run("bad_values", read((np.array([[1.0, 2], [np.nan, 1], [3, 3]]), np.array([0, 1, 0]))))
    assert [(one.count, one.severity, one.remove.tolist()) for one in arrays.findings] == [(1, "high", [1]), (1, "medium", [])]
    mixed = run("bad_values", read([{"text": "a b c d", "label": 1}, {"text": "e f g h", "label": "1.0"}]))
    assert mixed.findings


def test_answers_out_of_range_and_twice() -> None:
    data = read(pl.DataFrame({"solver": ["a", "a", "b"], "item": ["x", "x", "x"], "correct": [1, 0, 1]}))
    assert [(one.count, one.of) for one in run("bad_values", data).findings] == [(1, 3)]


def test_words_are_the_same_whatever_stands_around_them() -> None:
    hashes, starts = word_hashes(["The cat, the CAT; the cat!", "", "cat", "naïve Über", "NAÏVE über", "你好"])
    assert np.diff(starts).tolist() == [6, 0, 1, 2, 2, 2]
    words = [hashes[a:b].tolist() for a, b in pairwise(starts)]
    assert words[0] == words[0][:2] * 3
    assert words[2] == [words[0][1]]
    assert words[3] == words[4]
    assert len(set(hashes.tolist())) == 6
    runs, begin = shingles(hashes, starts, 3)
    assert np.diff(begin).tolist() == [4, 0, 1, 1, 1, 1]
    assert runs[0] == runs[2]
    assert (windows(hashes[:6], 3) == runs[:4]).all()


def test_near_pairs_are_those_of_the_slow_way() -> None:
    texts = sentences(40, 30)
    for k, changed in ((1, 1), (5, 2), (9, 6), (13, 15)):
        words = texts[k].split()
        texts.append(" ".join([*words[:-changed], *[f"new{j}" for j in range(changed)]]))
    runs, begin = shingles(*word_hashes(texts), 3)
    sets = [np.unique(runs[a:b]) for a, b in pairwise(begin)]
    slow = {(i, j): jaccard(sets[i], sets[j]) for j in range(len(texts)) for i in range(j)}
    # 28 runs; a change in the last m words spoils m of them
    assert slow[1, 40] == pytest.approx(27 / 29)
    assert slow[5, 41] == pytest.approx(26 / 30)
    bands = Bands()
    for start in range(0, len(texts), 10):
        bands.add(np.arange(start, min(start + 10, len(texts))), texts[start : start + 10])
    first, second, value = near_pairs(bands, lambda rows: [(rows, [texts[row] for row in rows])], 0.8)
    assert {(int(a), int(b)): pytest.approx(v) for a, b, v in zip(first, second, value, strict=True)} == {
        pair: v for pair, v in slow.items() if v >= 0.8
    }


def test_near_duplicates_across_splits() -> None:
    texts = sentences(50, 30)
    texts += [texts[3] + " indeed", texts[4].upper() + "!", texts[5]]
    found = run("near_duplicates", frame(text=texts, split=["train"] * 50 + ["test"] * 3))
    assert only(found, "near_duplicate").rows.tolist() == [50, 51]
    leak = only(found, "leak")
    assert leak.rows.tolist() == [50, 51]
    assert leak.partners is not None
    assert leak.partners.tolist() == [3, 4]
    assert leak.scores is not None
    assert leak.scores.tolist() == pytest.approx([28 / 29, 1.0])
    assert only(run("near_duplicates", frame(text=texts), remove="yes"), "near_duplicate").remove.tolist() == [50, 51]


def test_repeated_passages() -> None:
    texts = sentences(30, 40)
    passage = " ".join(texts[2].split()[5:30])
    texts[7] = f"{texts[7]} {passage} the end"
    texts[20] = f"so {passage}"
    found = run("repeats", frame(text=texts, split=["train"] * 15 + ["test"] * 15))
    inside, across = found.findings
    assert inside.rows.tolist() == [2, 7, 20]
    assert inside.scores is not None
    assert inside.scores.tolist() == [6, 6, 6]  # 25 words hold 6 runs of 20
    assert (across.rows.tolist(), across.of) == ([20], 15)
    assert run("repeats", frame(text=texts), words="26").findings == ()


def test_skill_of_features_with_known_pieces() -> None:
    rng = np.random.default_rng(0)
    n = 4_000
    y, half = rng.integers(0, 2, n), rng.integers(0, 2, n)
    side = rng.random(n) < 0.5
    linear = np.where(y == 1, 1.0, -1.0) + rng.uniform(-0.5, 0.5, n)
    three = np.where(y == 1, 0.0, np.where(side, -1.0, 1.0)) + rng.uniform(-0.4, 0.4, n)
    noisy = np.where(rng.random(n) < 0.8, y, 1 - y).astype(float)
    found = dict(best_features(np.column_stack([rng.normal(size=(n, 20)), linear, three, noisy]), y, half, top=5))
    assert (found[20].pieces, found[21].pieces, found[22].pieces) == (2, 3, 2)
    # one bin of 64 lies across the gap
    assert found[20].value == pytest.approx(1, abs=0.03)
    assert found[21].value == pytest.approx(1, abs=0.06)
    assert found[22].low < 0.6 < found[22].high  # right in .8 of the cases: skill .6
    null = [skill.value for _, skill in best_features(rng.normal(size=(n, 60)), y, half)]
    assert abs(float(np.mean(null))) < 0.02
    presence = np.column_stack([noisy, rng.integers(0, 2, n)])
    assert dict(best_tokens(presence, y, half))[0].value == pytest.approx(found[22].value, abs=1e-9)
    assert category_skill(noisy.astype(int), y, half).value == pytest.approx(found[22].value, abs=1e-9)
    with pytest.raises(DataError, match="two classes"):
        best_features(presence, np.zeros(n, int), half)


def test_a_shortcut_is_found_and_noise_is_not() -> None:
    texts = sentences(1_000, 12)
    label = np.random.default_rng(1).integers(0, 2, 1_000)
    planted = [f"{text} indeed" if one else text for text, one in zip(texts, label.tolist(), strict=True)]
    found = run("shortcuts", frame(text=planted, label=label.tolist()))
    assert found.findings[0].kind == "shortcut"
    assert any(one.what.startswith("token indeed alone tells") and one.severity == "high" for one in found.findings)
    assert run("shortcuts", frame(text=texts, label=label.tolist())).findings == []
    x = np.random.default_rng(2).integers(0, 200, (400, 6, 6)).astype(np.float64)
    y = np.arange(400) % 2
    x[y == 1] += 40
    assert {"mean", "largest value"} <= {one.what.split(" alone")[0] for one in run("shortcuts", read((x, y))).findings}


NEEDED = {"repetition": {"params": "8e8"}}
"""Settings without which a section does not run."""


@pytest.mark.parametrize("name", sorted(table()))
def test_every_section_takes_the_smallest_data_there_is(name: str) -> None:
    one = section(name)
    assert one.question.endswith("?")
    small = [
        frame(text=["one two three four"]), frame(text=["", ""], label=["a", "a"]), frame(text=["a b c d", "a b c d"], label=["a", "b"], split=["train", "test"], group=["g", "g"]),
        read((np.zeros((1, 2)), np.zeros(1, int))), read((np.full((3, 4), np.nan), np.array([0, 1, 0]))), read(pl.DataFrame({"w": [1.0], "label": ["x"]}), {"label": "label"}),
        read(pl.DataFrame({"i1": [1, 1], "i2": [1, 1], "i3": [0, 0]})),
    ]  # fmt: skip
    for data in small:
        if one.fits(data):
            with suppress(DataError):
                outcome = one.run(
                    AuditLab(data=data, options=settings(one, NEEDED.get(name, {})), seed=Seed("test"), progress=Progress("silent"))
                )
                assert all(found.count >= 0 and found.of >= 0 and len(found.cases) <= 3 for found in outcome.findings)
