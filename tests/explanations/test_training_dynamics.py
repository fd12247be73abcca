"""Training dynamics: the sheet's known answer, its bound, what a log refuses, and the files of allenai/cartography."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genscope.core.difficulty import wide
from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import spearman
from genscope.engine.cells import has_data
from genscope.measures.cartography import read_coordinates, read_dynamics, write_dynamics
from genscope.measures.training_dynamics import Dynamics, DynamicsLog, from_record
from genscope.tasks.images import data_folder
from genscope.tasks.winogrande_explanations import DATA


def logits(p: float) -> list[float]:
    """Two logits under which class 1 has probability p."""
    return [0.0, float(np.log(p / (1 - p)))]


def logged() -> DynamicsLog:
    """The sheet's example "a" (gold class 1), and "b" that is never right."""
    log = DynamicsLog()
    for epoch, p in enumerate((0.2, 0.6, 0.5 - 1e-9, 0.9)):
        log.log(["a", "b"], np.array([logits(p), logits(0.9)]), np.array([1, 0]), epoch)
    return log


def test_the_known_answer() -> None:
    found = logged().dynamics()
    assert found.confidence == pytest.approx([0.55, 0.1], abs=1e-6)
    assert found.variability == pytest.approx([0.25, 0.0], abs=1e-6)
    assert found.correctness.tolist() == [2, 0]
    assert found.forgetting.tolist() == [1.0, np.inf]
    assert found.closeness == pytest.approx([0.2475, 0.09], abs=1e-6)
    table = found.table()
    assert table["forgetting"].to_list() == [1, None]
    assert found.between(first=1).confidence[0] == pytest.approx((0.6 + 0.5 + 0.9) / 3, abs=1e-6)
    assert found.between(last=0).correctness.tolist() == [0, 0]
    with pytest.raises(UsageError, match="no epoch from 7"):
        found.between(first=7)


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_variability_is_bounded_and_population(epochs: int, n: int, number: int) -> None:
    gold = Seed("d", number).rng().random((epochs, n))
    found = Dynamics(ids=tuple(map(str, range(n))), gold=gold, right=gold > 0.5, epochs=tuple(range(epochs)))
    assert (found.variability <= np.sqrt(found.closeness) + 1e-12).all()
    assert found.variability == pytest.approx(np.sqrt((gold**2).mean(0) - gold.mean(0) ** 2), abs=1e-7)


def test_regions_and_groups_do_not_depend_on_the_order_of_rows() -> None:
    gold = np.array([[0.9, 0.1, 0.1, 0.9, 0.5, 0.5], [0.9, 0.1, 0.9, 0.9, 0.5, 0.5]])
    ids = tuple("fedcba")
    found = Dynamics(ids=ids, gold=gold, right=gold > 0.6, epochs=(0, 1))
    assert dict(zip(ids, found.regions(1 / 6), strict=True)) == {
        "f": "easy",
        "e": "hard",
        "d": "ambiguous",
        "c": "easy",
        "b": "easy",
        "a": "easy",
    }
    groups = {name: [ids[row] for row in rows] for name, rows in found.groups(2).items()}
    assert groups["hard"] == ["e", "a"]
    assert set(groups["easy"]) == {"c", "f"}
    turned = Dynamics(ids=ids[::-1], gold=gold[:, ::-1], right=gold[:, ::-1] > 0.6, epochs=(0, 1))
    assert {name: [ids[::-1][row] for row in rows] for name, rows in turned.groups(2).items()} == groups
    with pytest.raises(UsageError, match="at least 9 examples"):
        found.groups(3)


def test_a_data_map_is_a_difficulty_table() -> None:
    table = wide(logged().dynamics().difficulty())
    assert table.columns == ["example", "confidence", "variability", "correctness"]
    assert table.row(0)[1:] == (pytest.approx(0.55, abs=1e-6), pytest.approx(0.25, abs=1e-6), 0.5)
    rows = logged().dynamics().difficulty()
    assert rows.filter(pl.col("notion") == "confidence")["sd"].to_list() == [
        pytest.approx(0.25 / np.sqrt(3), abs=1e-6),
        pytest.approx(0, abs=1e-9),
    ]
    assert rows["n"].unique().to_list() == [4]


def test_what_a_log_refuses() -> None:
    log, one = logged(), np.array([logits(0.5)])
    with pytest.raises(DataError, match="'a' was logged twice in epoch 3"):
        log.log(["a"], one, np.array([1]), 3)
    log.log(["a", "c", "d"], np.repeat(one, 3, 0), np.array([1, 0, 0]), 9)
    with pytest.raises(DataError, match="epoch 9 has other examples than epoch 0: 3 are in one of them only \\(first: 'b', 'c', 'd'"):
        log.dynamics()
    for ids, scores, gold, said in (
        (["x"], one, np.array([2]), "gold label 2 of example 'x'"), (["x"], one * np.nan, np.array([0]), "NaN or infinite"),
        (["x", "y"], one, np.array([0]), "do not belong together"), (["x"], one[0], np.array([0]), "do not belong together"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said):
            DynamicsLog().log(ids, scores, gold, 0)
    with pytest.raises(DataError, match="nothing was logged"):
        DynamicsLog().dynamics()


def test_from_a_training_record() -> None:
    found = logged().dynamics()
    rows = [
        {"step": epoch, "example": name, "quantity": quantity, "value": float(values[place, k])}
        for place, epoch in enumerate(found.epochs) for k, name in enumerate(found.ids) for quantity, values in (("gold_probability", found.gold), ("correct", found.right))
    ]  # fmt: skip
    record = pl.DataFrame([*rows, {"step": 0, "example": "a", "quantity": "loss", "value": 1.0}])
    again = from_record(record)
    assert np.allclose(again.gold, found.gold)
    assert np.array_equal(again.right, found.right)
    with pytest.raises(DataError, match="needs the quantities"):
        from_record(record.filter(pl.col("quantity") != "correct"))
    with pytest.raises(DataError, match="'a' stands twice at step 0"):
        from_record(pl.concat([record, record[:1]]))
    with pytest.raises(DataError, match="without the column step"):
        from_record(record.drop("step"))


def test_cartography_files_go_both_ways_and_bad_ones_are_named(tmp_path: Path) -> None:
    wanted = logged().dynamics()
    scores = {0: 0.2, 1: 0.6, 2: 0.5 - 1e-9, 3: 0.9}
    for epoch, p in scores.items():
        path = write_dynamics(tmp_path, epoch, ["a", "b"], np.array([logits(p), logits(0.9)]), [1, 0])
    row = json.loads(path.read_text().splitlines()[0])
    assert set(row) == {"guid", "logits_epoch_3", "gold"}
    assert path.parent.name == "training_dynamics"
    found = read_dynamics(tmp_path)
    assert np.allclose(found.gold, wanted.gold)
    assert found.when == "train"
    (tmp_path / "training_dynamics" / "dynamics_epoch_1.jsonl").rename(tmp_path / "kept")
    with pytest.raises(DataError, match="epoch 1 is missing"):
        read_dynamics(tmp_path)
    for text, said in (
        ('{"guid": "z", "logits_epoch_1": [0, 1], "gold": 0}\n', "other examples"), ('{"guid": "a", "logits_epoch_0": [0, 1], "gold": 0}\n', "line 1: needs guid, logits_epoch_1"),
        ("[1]\n", "line 1: not a JSON object"), ("{bad\n", "cannot be read"), ('{"guid": "a", "logits_epoch_1": [0, 1], "gold": 5}\n', "gold label 5"),
        ('{"guid": "a", "logits_epoch_1": [0, 1], "gold": 0}\n{"guid": "b", "logits_epoch_1": [0], "gold": 0}\n', "1, 2 logits"),
        ('{"guid": "a", "logits_epoch_1": [0, 1], "gold": 0}\n' * 2, "logged twice"),
    ):  # fmt: skip
        (tmp_path / "training_dynamics" / "dynamics_epoch_1.jsonl").write_text(text)
        with pytest.raises(DataError, match=said):
            read_dynamics(tmp_path)
    with pytest.raises(DataError, match="no file dynamics_epoch_0"):
        read_dynamics(tmp_path / "nowhere")


def test_coordinates_are_read_and_a_repeated_guid_is_refused(tmp_path: Path) -> None:
    line = '{"guid":7,"index":0,"confidence":0.5,"variability":0.1,"correctness":3}\n'
    (tmp_path / "map.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    assert read_coordinates(tmp_path / "map.jsonl.gz").row(0) == ("7", 0.5, 0.1, 3)
    (tmp_path / "map.jsonl").write_text(line * 2)
    with pytest.raises(DataError, match="'7' stands more than once"):
        read_coordinates(tmp_path / "map.jsonl")


@pytest.mark.skipif(not has_data(DATA), reason="the released data map is not here")
def test_the_released_data_map() -> None:
    found = read_coordinates(data_folder(DATA, "", "") / "winogrande_roberta_large_data_map.jsonl.gz")
    assert len(found) == 40_398
    assert found["guid"].n_unique() == 40_398
    assert found["correctness"].value_counts().sort("correctness")["count"].to_list() == [27, 84, 266, 698, 2_208, 12_215, 24_900]
    assert found["confidence"].mean() == pytest.approx(0.89743, abs=5e-6)
    assert found["variability"].mean() == pytest.approx(0.14802, abs=5e-6)
    assert spearman(found["confidence"].to_numpy(), found["variability"].to_numpy()) == pytest.approx(-0.9125, abs=5e-5)
    assert (found["confidence"] < 0.5).mean() == pytest.approx(0.01131, abs=5e-6)
    ranked = found["confidence"].sort()
    assert (ranked[499], ranked[-500]) == (pytest.approx(0.5093, abs=5e-5), pytest.approx(0.99888, abs=5e-6))
