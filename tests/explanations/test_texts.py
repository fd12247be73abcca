"""Rules as texts, and the loader of the released files with every trap."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from genscope.core.errors import DataError, MissingError
from genscope.engine.cells import has_data
from genscope.measures.explanation_text import agreement, instantiate, is_rule, novelty, option_leak, swapped, tokens, uses
from genscope.tasks.winogrande_explanations import DATA, Item, audited, explained, read_items, read_rules, read_winogrande, twins
from tests.explanations.made_up import folder, row


def test_novelty_by_hand() -> None:
    assert novelty("If X is tall, then Y looks up", "Ann is tall") == pytest.approx(2 / 4)  # is, tall known; looks, up new
    assert novelty("If the x-ray breaks", "the ray") == pytest.approx(1 / 3)  # "x" of x-ray is left out as well: the, ray known, breaks new
    assert math.isnan(novelty("If X then Y", "anything"))
    assert tokens("It's 3 O'Neil's") == ["it's", "o'neil", "s"]


def test_words_are_whole_and_case_counts_for_placeholders() -> None:
    assert uses("X's dog", "X")
    assert not uses("XY and x", "X")
    assert option_leak("If the iron's hot", ("iron", "skirt"))
    assert not option_leak("If the ironing is done", ("iron", "skirt"))
    assert option_leak("a c++ (fast) program", ("c++", "java"))
    assert is_rule("If X")
    assert not is_rule("if X")
    assert swapped(swapped("If X's Y hits XY")) == "If X's Y hits XY"
    assert instantiate("X sees Y", "Y", "X") == "Y sees X"


def test_agreement_is_symmetric_counts_copies_and_is_one_on_itself() -> None:
    a, b = "if x is tall then y is small", "if y is small"
    assert agreement(a, b) == agreement(b, a) == pytest.approx(2 * 4 / (8 + 4))
    assert agreement("dog dog cat", "dog cat cat") == pytest.approx(2 * 2 / 6)
    assert agreement(a, a) == 1.0
    assert agreement("a b", "c d") == 0.0
    assert math.isnan(agreement("1", "2"))


def test_the_released_form_is_read_with_its_traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_DATA", str(folder(tmp_path)))
    easy, hard = explained("easy"), explained("hard")
    assert (len(easy.test), len(easy.pool), sorted(easy.pools)) == (12, 16, [8, 16])
    assert easy.test[0].sentence.startswith("Ann")  # no byte-order mark
    assert hard.test[0].agrees is False
    assert easy.test[3].filled("Zed") == ("Dot envied Eve on day 3 because Zed", " was calm easy.")
    assert easy.test[3].other == "Dot"
    assert audited([easy, hard])["hard: disputed in test"] == 4
    text = '"A said\x0b it" because _ won.\tA "x"\tB\tB\tagree\tIf X says "it", Y wins'
    (tmp_path / "odd.tsv").write_bytes(text.encode() + b"\r\n" + row(1, "easy").encode())
    items = read_items(tmp_path / "odd.tsv")
    assert len(items) == 2
    assert items[0].options == ('A "x"', "B")
    assert items[0].explanation.endswith("wins")
    monkeypatch.delenv("GENSCOPE_DATA")
    with pytest.raises(MissingError, match="ExplanationHardness"):
        explained("easy")
    with pytest.raises(DataError, match="no folder medium"):
        explained("medium", tmp_path / DATA)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c[:5], "line 2: 5 columns"), (lambda c: [c[0].replace("_", "it"), *c[1:]], "line 2: the sentence has 0 blanks"), (lambda c: [c[0] + "_", *c[1:]], "2 blanks"),
        (lambda c: [*c[:3], "Zed", *c[4:]], "gold option 'Zed' is neither"), (lambda c: [*c[:4], "maybe", c[5]], "says 'maybe'"), (lambda c: [*c[:5], " "], "explanation is empty"),
        (lambda c: [c[0], c[1], c[1], c[1], *c[4:]], "two different options"),
    ],
)  # fmt: skip
def test_bad_lines_are_named(tmp_path: Path, change: object, said: str) -> None:
    cells = change(row(2, "easy").split("\t"))  # pyright: ignore[reportCallIssue]
    (tmp_path / "bad.tsv").write_text(row(1, "easy") + "\n" + "\t".join(cells) + "\n", "utf-8")
    with pytest.raises(DataError, match=said):
        read_items(tmp_path / "bad.tsv")


def test_rules_are_paired_by_line(tmp_path: Path) -> None:
    items = [Item(sentence="_ won.", options=("a", "b"), gold="a")] * 3
    path = tmp_path / "rules.txt"
    path.write_text("If X\nIf Y\u2028still the same line\nIf Z", "utf-8")
    assert read_rules(path, items)[1] == "If Ystill the same line"
    path.write_text("If X\n\nIf Z\n", "utf-8")
    with pytest.raises(DataError, match="line 2: the explanation is empty"):
        read_rules(path, items)
    path.write_text("If X\nIf Z\n", "utf-8")
    with pytest.raises(DataError, match="2 explanations for 3 items"):
        read_rules(path, items)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_rules(path, items)


def test_winograndes_own_file_and_its_twins(tmp_path: Path) -> None:
    rows = [
        {"sentence": "Sam beat Tom at chess because _ was good.", "option1": "Sam", "option2": "Tom", "answer": "1"},
        {"sentence": "Sam beat Tom at chess because _ was bad.", "option1": "Sam", "option2": "Tom", "answer": "2"},
        {"sentence": "After the long walk to the harbour the _ had a rest.", "option1": "Tom", "option2": "Sam", "answer": "2"},
    ]
    path = tmp_path / "train_xs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    items = read_winogrande(path)
    assert [item.gold for item in items] == ["Sam", "Tom", "Sam"]
    groups = twins([*items, items[2]])
    assert groups[0] == groups[1] != groups[2] == groups[3]
    path.write_text(json.dumps({**rows[0], "answer": ""}))
    with pytest.raises(DataError, match="line 1: the answer is ''"):
        read_winogrande(path)


@pytest.mark.skipif(not has_data(DATA), reason="the released sentences are not here")
def test_the_sheets_measurements_on_the_released_texts() -> None:
    wanted = {"easy": (0.596, 0.520, -0.076, 0.598, 0.567, 20, 3), "hard": (0.618, 0.544, -0.074, 0.475, 0.633, 19, 0)}
    for hardness, (human, model, apart, agree, pool, model_y, human_y) in wanted.items():
        one = explained(hardness)  # pyright: ignore[reportArgumentType]
        assert (len(one.test), len(one.pool)) == (100, 400)
        ours = np.array([novelty(item.explanation, item.sentence) for item in one.test])
        theirs = np.array([novelty(rule, item.sentence) for item, rule in zip(one.test, one.model_rules, strict=True)])
        assert (ours.mean(), theirs.mean(), (theirs - ours).mean()) == (
            pytest.approx(human, abs=6e-4),
            pytest.approx(model, abs=6e-4),
            pytest.approx(apart, abs=6e-4),
        )
        assert np.mean([agreement(item.explanation, rule) for item, rule in zip(one.test, one.model_rules, strict=True)]) == pytest.approx(
            agree, abs=6e-4
        )
        assert np.mean([novelty(item.explanation, item.sentence) for item in one.pool]) == pytest.approx(pool, abs=6e-4)
        assert sum(not uses(rule, "Y") for rule in one.model_rules) == model_y
        assert sum(not uses(item.explanation, "Y") for item in one.test) == human_y
        assert all(is_rule(rule) for rule in (*one.model_rules, *(item.explanation for item in one.everything)))
