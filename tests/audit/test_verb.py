"""`genscope audit` end to end: result folder, page, exit codes, cleaned copies, and that nothing of the input changes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import genscope as gs
from genscope.cli import main
from genscope.core.errors import DataError, StoreError, UsageError
from genscope.tasks.dataset import clean, read
from genscope.verbs.audit_result import AuditResult, safe_csv


def cli(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def rows() -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    made: list[dict[str, object]] = [
        {
            "id": f"r{k}",
            "text": " ".join(f"w{n}" for n in rng.integers(0, 9_999, 15)),
            "label": "ab"[k % 2],
            "split": "train" if k < 40 else "test",
        }
        for k in range(60)
    ]
    made[41]["text"] = made[3]["text"]  # a leak, and a conflict? r41 is b, r3 is b
    made[5]["text"] = made[4]["text"]  # a conflict inside train
    made[7] = {**made[7], "text": made[9]["text"], "id": "=1+1"}  # a duplicate
    made[50]["text"] = "<script>window.hacked=1</script> \u001b[31mred and some more words here"
    made[51]["text"] = made[50]["text"]
    made[51]["label"] = made[50]["label"]
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "d.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def audited(*args: object, **options: object) -> AuditResult:
    found = gs.audit(*args, **options)  # type: ignore[arg-type]
    assert isinstance(found, AuditResult)
    return found


def test_an_audit_from_the_command_line(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
    before = state(data.parent)
    code, out, err = cli(capsys, "audit", str(data), "--out", str(tmp_path / "o"))
    assert (code, err.count("Traceback")) == (0, 0)
    assert "1 of 20 rows of split test also stand in split train" in out
    assert state(data.parent) == before
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "index.html",
        "result.json",
        "run.json",
        "records.parquet",
        "flagged.parquet",
        "flagged.csv",
    }
    code, out, _ = cli(capsys, "audit", str(data), "--out", str(tmp_path / "p"), "--json", "--fail-on", "conflict")
    plain = json.loads(out)
    assert (code, plain["exit_code"]) == (1, 1)
    assert plain["findings"][0]["severity"] == "high"
    kinds = {one["kind"] for one in plain["findings"]}
    assert {"leak", "conflict", "duplicate"} <= kinds
    assert json.loads((tmp_path / "p" / "run.json").read_text())["sections_computed"] == 0
    assert (tmp_path / "o" / "index.html").read_bytes() == (tmp_path / "p" / "index.html").read_bytes()
    assert cli(capsys, "audit", str(data), "--out", str(tmp_path / "o"), "--fail-on", "shortcut,near_duplicates")[0] == 0
    for words, said in (
        (["--fail-on", "leaks_"], "Did you mean leak"),
        (["--with", "duplicate"], "Did you mean duplicates"),
        (["--with", "repeats:word=3"], "Did you mean words"),
        (["--with", "repeats:words=2"], "words must be a number from 5 to 1000"),
        (["--with", "near_duplicates:remove=maybe"], "unknown value 'maybe'"),
        (["--label", "lable"], "Did you mean label"),
        (["--out", str(data)], str(data)),
    ):
        code, _, err = cli(capsys, "audit", str(data), *words)
        assert (code, said in err, "Traceback" in err) == (2, True, False), err


def test_texts_are_shown_only_when_asked_and_escaped(data: Path, tmp_path: Path) -> None:
    secret = str(rows()[3]["text"])
    hidden = audited(data, out=tmp_path / "a")
    assert secret not in hidden.page.read_text()
    assert secret not in json.dumps(hidden.about)
    shown = audited(data, out=tmp_path / "b", show_text=True)
    page = shown.page.read_text()
    assert secret in page
    assert "<script>window" not in page
    assert "\x1b" not in page
    assert "script" in shown._repr_html_()


def test_flagged_rows_are_a_table_without_formulas(data: Path, tmp_path: Path) -> None:
    found = audited(data, out=tmp_path / "o")
    flagged = found.flagged
    assert flagged.columns == ["finding", "section", "kind", "severity", "row", "id", "partner", "score"]
    leak = flagged.filter((pl.col("section") == "duplicates") & (pl.col("kind") == "leak"))
    assert leak.select("row", "id", "partner").rows() == [(41, "r41", 3)]
    text = (tmp_path / "o" / "flagged.csv").read_text()
    assert "'=1+1" not in text or ",=1+1" not in text
    assert ",=1+1," not in text
    assert safe_csv(pl.DataFrame({"a": ["=x", "+1", "-2", "@y", "\tz", "ok", None]})).decode().splitlines()[1:] == [
        "'=x",
        "'+1",
        "'-2",
        "'@y",
        "'\tz",
        "ok",
        "",
    ]


def test_fix_writes_a_copy_and_a_list_and_never_over_anything(data: Path, tmp_path: Path) -> None:
    before = state(data.parent)
    found = audited(data, out=tmp_path / "o", fix=True)
    target, removed = data.with_name("d.clean.jsonl"), data.with_name("d.removed.csv")
    assert {name: held for name, held in state(data.parent).items() if name == "d.jsonl"} == before
    kept = [json.loads(line)["id"] for line in target.read_text().splitlines()]
    gone = set(pl.read_csv(removed)["row"].to_list())
    # r3 leaks into the test, r4 and r5 contradict each other, r9 repeats r7, r51 repeats r50
    assert gone == {3, 4, 5, 9, 51}
    assert kept == [row["id"] for place, row in enumerate(rows()) if place not in gone]
    lines = set(data.read_bytes().splitlines())
    assert set(target.read_bytes().splitlines()) < lines
    assert found.about["fixed"] == {"file": "d.clean.jsonl", "removed_file": "d.removed.csv", "kept": 55, "removed": 5}
    with pytest.raises(DataError, match="writes over nothing"):
        audited(data, out=tmp_path / "o", fix=True)
    again = audited(target, out=tmp_path / "p", fail_on=["leak", "conflict", "duplicate"])
    assert again.code == 0
    with pytest.raises(DataError, match="a frame in memory has none"):
        gs.audit(pl.DataFrame(rows()), out=tmp_path / "q", fix=True)


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "json", "jsonl.gz", "csv.gz", "npz", "folder", "images"])
def test_a_cleaned_copy_reads_as_the_rows_that_are_left(tmp_path: Path, form: str) -> None:
    import gzip

    frame = pl.DataFrame(
        {
            "id": list("abcdef"),
            "text": ["one two, three", 'say "four" five', "six\nseven eight", "one two, three", "nine", "=ten"],
            "label": list("ababab"),
        }
    )
    path = tmp_path / f"d.{form}"
    if form == "tsv":
        frame = frame.with_columns(pl.col("text").str.replace("\n", " "))
    if form == "parquet":
        frame.write_parquet(path)
    elif form == "json":
        path.write_text(json.dumps(frame.to_dicts()))
    elif form == "jsonl.gz":
        path.write_bytes(gzip.compress(frame.write_ndjson().encode()))
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    elif form == "npz":
        np.savez(
            path,
            train_x=np.arange(8).reshape(4, 2),
            train_y=np.arange(4),
            test_x=np.arange(4).reshape(2, 2),
            test_y=np.arange(2),
            names=np.array(["k"]),
        )
    elif form == "folder":
        (path / "sub").mkdir(parents=True)
        frame.head(2).write_csv(path / "train.csv")
        frame.tail(4).write_csv(path / "sub" / "test.csv")
    elif form == "images":
        image = pytest.importorskip("PIL.Image")
        for k in range(6):
            (path / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
            image.new("L", (8, 8), 40 * k).save(path / "ab"[k % 2] / f"{k}.png")
    else:
        frame.write_csv(path, separator="\t" if form == "tsv" else ",", quote_style="never" if form == "tsv" else "necessary")
    named = {"text": "text", "label": "label", "id": "id"} if form not in ("npz", "images") else {}
    data = read(path, named)
    before = state(tmp_path)
    target = clean.clean_name(data)
    clean.write_clean(data, np.array([1, 3]), target)
    assert {name: held for name, held in state(tmp_path).items() if name in before} == before
    left = read(target, named)
    keep = [row for row in range(data.rows) if row not in (1, 3)]
    assert left.rows == data.rows - 2
    assert left.prints["input"].to_list() == data.prints["input"].gather(keep).to_list()
    if data.has("label"):
        assert left.column("label").to_list() == [data.column("label").to_list()[row] for row in keep]
    if form == "npz":
        with np.load(target) as held:
            assert held["train_y"].tolist() == [0, 2]
            assert held["names"].tolist() == ["k"]


def test_an_interrupted_fix_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    path.write_text("".join(json.dumps({"text": f"row number {k} of many rows in here"}) + "\n" for k in range(200_000)))
    code = (
        "import sys, time, numpy as np; from pathlib import Path; from genscope.tasks.dataset import read, clean, lines\n"
        "data = read(Path(sys.argv[1])); target = clean.clean_name(data); slow = lines.records\n"
        "def records(block):\n    print('writing', flush=True); time.sleep(0.2); return slow(block)\n"
        "lines.records = records; lines.BLOCK = 1000\nclean.write_clean(data, np.array([1]), target)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    process.stdout.close()
    assert not (tmp_path / "big.clean.jsonl").exists()
    assert read(path).rows == 200_000


def test_a_fix_that_fails_half_way_cleans_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = read(data)
    target = clean.clean_name(held)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clean, "_lines", full)
    with pytest.raises(StoreError, match="No space left"):
        clean.write_clean(held, np.array([1]), target)
    assert [path.name for path in data.parent.iterdir()] == ["d.jsonl"]


def test_no_permission_to_write_is_said_before_the_work(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StoreError, match="no permission to write"):
        audited(data, out=tmp_path / "o", fix=True)
    assert not (tmp_path / "o").exists()


def test_dry_run_and_python(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
    code, out, _ = cli(capsys, "audit", str(data), "--dry-run", "--json", "--without", "repeats")
    plain = json.loads(out)
    assert (code, plain["rows"], plain["roles"]["text"]) == (0, 60, "text")
    assert "repeats" in plain["not_run"]
    assert set(plain["sections"]) >= {"duplicates", "near_duplicates", "conflicts", "shortcuts"}
    frame = audited(pl.DataFrame(rows()), out=tmp_path / "f")
    assert {one["kind"] for one in frame.findings} >= {"leak", "conflict"}
    with pytest.raises(UsageError, match="no section is left"):
        gs.audit(
            data,
            without=["duplicates", "near_duplicates", "repeats", "conflicts", "leaks", "imbalance", "shortcuts", "bad_values", *_others()],
        )


def _others() -> list[str]:
    from genscope.sections.choose_audit import table

    return list(table())


def test_a_changed_file_is_audited_anew(data: Path, tmp_path: Path) -> None:
    audited(data, out=tmp_path / "a")
    time.sleep(0.01)
    data.write_text("".join(json.dumps({**row, "text": f"{row['id']} {row['text']}"}) + "\n" for row in rows()))
    assert all(one["section"] != "duplicates" for one in audited(data, out=tmp_path / "b").findings)
