"""Response records: every way in, and every error of what cannot be a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genscope.core.errors import DataError, TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.tasks.attempts import simulate
from genscope.tasks.responses import ResponseRecord

MATRIX = [[1, 0, np.nan], [0, 1, 1], [1, 1, 0]]


def same(a: ResponseRecord, b: ResponseRecord) -> bool:
    return (a.solvers, a.items) == (b.solvers, b.items) and np.array_equal(a.matrix(), b.matrix(), equal_nan=True)


def test_matrix_and_triples_are_the_same_record() -> None:
    one = ResponseRecord.from_matrix(MATRIX, solvers=["a", "b", "c"], items=["x", "y", "z"])
    two = ResponseRecord.from_triples(list("aabbbccc"), list("xyxyzxyz"), [1, 0, 0, 1, 1, 1, 1, 0])
    assert same(one, two)
    assert len(one) == 8
    assert one.share == pytest.approx(8 / 9)
    assert one.wrong_rate() == pytest.approx([1 / 3, 1 / 3, 1 / 2])


def test_files_long_and_wide_in_every_form(tmp_path: Path) -> None:
    wanted = ResponseRecord.from_matrix(MATRIX, solvers=["a", "b", "c"], items=["x", "y", "z"])
    (tmp_path / "wide.csv").write_text("userid,x,y,z\na,1,0,\nb,0,1,1\nc,1,1,0\n")
    long = pl.DataFrame(
        {"model": list("aabbbccc"), "example": list("xyxyzxyz"), "correct": [True, False, False, True, True, True, True, False]}
    )
    long.write_parquet(tmp_path / "long.parquet")
    long.write_csv(tmp_path / "long.csv")
    long.write_ndjson(tmp_path / "long.jsonl")
    long.rename({"model": "who", "example": "what", "correct": "ok"}).write_csv(tmp_path / "named.tsv", separator="\t")
    for name in ("wide.csv", "long.parquet", "long.csv", "long.jsonl"):
        assert same(ResponseRecord.from_file(tmp_path / name), wanted), name
    assert same(ResponseRecord.from_file(tmp_path / "named.tsv", columns={"solver": "who", "item": "what", "right": "ok"}), wanted)


def test_repeated_answers_need_a_choice() -> None:
    rows: tuple[Any, ...] = (list("aaabb"), list("xxxxy"), [1, 1, 0, 0, 1])
    with pytest.raises(DataError, match="'a' answered 'x' more than once"):
        ResponseRecord.from_triples(*rows)
    assert ResponseRecord.from_triples(*rows, duplicates="majority").matrix()[0, 0] == 1.0
    assert ResponseRecord.from_triples(*rows, duplicates="mean").matrix()[0, 0] == pytest.approx(2 / 3)
    assert ResponseRecord.from_triples(list("aab"), list("xxx"), [1, 0, 0], duplicates="majority").matrix()[0, 0] == 0.5
    with pytest.raises(UsageError, match="duplicates"):
        ResponseRecord.from_triples(*rows, duplicates="first")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ResponseRecord.from_matrix([[0.5, 1], [0, 1]]), "neither 0 nor 1, the first: 0.5. Give a threshold"),
        (lambda: ResponseRecord.from_matrix([[np.nan, np.nan], [0, 1]], solvers=["ada", "bob"]), "1 solver\\(s\\) without any answer: ada"),
        (lambda: ResponseRecord.from_matrix([[1, np.nan], [0, np.nan]], items=["x", "y"]), "1 item\\(s\\) without any answer: y"),
        (lambda: ResponseRecord.from_matrix([[1, 1], [1, 1]]), "all 4 answers are right"),
        (lambda: ResponseRecord.from_matrix([[1, 0]], items=["x", "x"]), "two items are called 'x'"),
        (lambda: ResponseRecord.from_matrix([[1, 0]], items=["x"]), "1 names for 2 items"),
        (lambda: ResponseRecord.from_matrix([1, 0]), "solvers in rows"),
        (lambda: ResponseRecord.from_triples([], [], []), "no answer at all"),
        (lambda: ResponseRecord.from_triples(["a"], ["x", "y"], [1, 0]), "different length"),
        (lambda: ResponseRecord.from_triples(["a", "b"], ["x", "x"], ["yes", "no"]), "must be 0 or 1, got 'yes'"),
        (lambda: ResponseRecord.from_triples(["a", "b"], ["x", "x"], [1, 0], weights=[1, 0]), "weights must be above 0"),
        (lambda: ResponseRecord.from_triples(["a", "b"], ["x", "x"], [1, np.nan], threshold=0.5), "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(make: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        make()


def test_a_threshold_makes_scores_right_or_wrong() -> None:
    record = ResponseRecord.from_matrix([[0.5, 0.4], [0.9, 0.1]], threshold=0.5)
    assert record.matrix().tolist() == [[1, 0], [1, 0]]


def test_bad_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("model,item,correct\na,x,maybe\n")
    (tmp_path / "b.txt").write_text("x")
    (tmp_path / "c.csv").write_text("only\n1\n")
    for name, said in (
        ("a.csv", "'maybe' is neither"),
        ("b.txt", "unknown kind of file"),
        ("c.csv", "neither a long file"),
        ("d.csv", "no such file"),
    ):
        with pytest.raises(DataError, match=said):
            ResponseRecord.from_file(tmp_path / name)
    with pytest.raises(DataError, match="unknown column 'nobody'"):
        ResponseRecord.from_file(tmp_path / "a.csv", columns={"solver": "nobody"})


def samples(folder: Path, model: str, task: str, rows: list[dict[str, Any]]) -> None:
    (folder / model).mkdir(exist_ok=True)
    (folder / model / f"samples_{task}_2026-01-31T12-00-00.123456.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_samples_of_lm_evaluation_harness(tmp_path: Path) -> None:
    for model, right in (("org__small", (0, 0, 1)), ("org__large", (1, 1, 1))):
        samples(
            tmp_path,
            model,
            "arc_easy",
            [{"doc_id": k, "doc": {"q": "?"}, "acc": float(one), "acc_norm": 1.0 - one} for k, one in enumerate(right)],
        )
    record = ResponseRecord.from_lm_eval([tmp_path])
    assert record.solvers == ("org__large", "org__small")
    assert record.items == ("arc_easy/0", "arc_easy/1", "arc_easy/2")
    assert record.matrix().tolist() == [[1, 1, 1], [0, 0, 1]]
    assert ResponseRecord.from_lm_eval([tmp_path], metric="acc_norm").matrix().tolist() == [[0, 0, 0], [1, 1, 0]]
    with pytest.raises(DataError, match="unknown metric 'bleu'"):
        ResponseRecord.from_lm_eval([tmp_path], metric="bleu")
    samples(
        tmp_path,
        "org__large",
        "gsm8k",
        [{"doc_id": 0, "filter": name, "exact_match": one} for name, one in (("strict-match", 0.0), ("flexible-extract", 1.0))],
    )
    with pytest.raises(DataError, match="several filters \\(flexible-extract, strict-match\\)"):
        ResponseRecord.from_lm_eval([tmp_path])
    assert ResponseRecord.from_lm_eval([tmp_path], filter="strict-match").matrix()[0, 3] == 0
    with pytest.raises(DataError, match="log_samples"):
        ResponseRecord.from_lm_eval([tmp_path / "org__none"] if (tmp_path / "org__none").mkdir() is None else [])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "samples_x.jsonl").write_text("{not json\n")
    with pytest.raises(DataError, match="line 1: not JSON"):
        ResponseRecord.from_lm_eval([tmp_path / "bad"])


def test_a_part_of_a_record() -> None:
    record = ResponseRecord.from_matrix(MATRIX, solvers=["a", "b", "c"], items=["x", "y", "z"])
    part = record.of_solvers(["c", "b"])
    assert part.solvers == ("b", "c")
    assert part.matrix().tolist() == [[0, 1, 1], [1, 1, 0]]
    assert record.take(record.item < 2).items == ("x", "y")
    with pytest.raises(DataError, match="unknown solver 'd'"):
        record.of_solvers(["d"])


def test_simulated_attempts() -> None:
    whole, some, random = (simulate(Seed("s"), pattern=pattern) for pattern in ("complete", "selective", "random"))  # pyright: ignore[reportArgumentType]
    assert whole.record.share == 1
    assert 0.3 < some.record.share < 0.45
    assert np.array_equal(*(np.bincount(one.record.item) for one in (some, random)))
    cells = [one.record.matrix() for one in (whole, some, random)]
    for part in cells[1:]:
        assert (part[~np.isnan(part)] == cells[0][~np.isnan(part)]).all()
    near = [np.abs(one.difficulty[one.record.item] - one.ability[one.record.solver]).mean() for one in (some, random)]
    assert near[0] < 0.7 * near[1]
    with pytest.raises(TaskError, match="pattern"):
        simulate(Seed("s"), pattern="odd")  # pyright: ignore[reportArgumentType]
