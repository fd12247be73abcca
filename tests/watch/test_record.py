"""The record: what a kill, a hostile hand or a newer version leaves of it; and the verb that shows it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import genscope as gs
from genscope.cli import main
from genscope.core.errors import DataError
from genscope.measures.training_dynamics import from_record
from genscope.verbs.watch import follow, show
from genscope.watch.record import read
from tests.watch import digits


def call(*words: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == code


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    x, y, order, _ = digits.data(0.3)
    model = digits.net(64)
    sample = {"train": (x[order[:128]], y[order[:128]]), "test": (x[order[1200:]], y[order[1200:]])}
    digits.train(
        tmp_path / "noisy", model, torch.optim.Adam(model.parameters(), lr=2e-3), x, y, order[:1200], 300, 64, sample=sample, every=20
    )
    return tmp_path / "noisy"


def test_a_record_is_read_back_as_a_frame_that_data_maps_are_made_of(run: Path) -> None:
    held = read(run)
    assert held.ended
    assert held.damaged == 0
    frame = held.frame()
    assert frame.columns == ["run", "step", "split", "quantity", "example", "value"]
    train = frame.filter((frame["split"] == "train") & frame["example"].is_not_null())
    found = from_record(train)
    assert len(found.ids) == 128
    accuracy = frame.filter((frame["split"] == "train") & (frame["quantity"] == "accuracy"))["value"].to_list()
    steps, predicted = held.examples("train", "prediction")
    assert accuracy == pytest.approx((predicted == held.targets("train")).mean(1).tolist(), abs=1e-5)
    first, last = held.learning_times()
    right = predicted == held.targets("train")
    for row in (0, 1, 2, 3):
        at = np.flatnonzero(right[:, row])
        assert first[row] == (steps[at[0]] if len(at) else np.inf)
        wrong = np.flatnonzero(~right[:, row])
        after = wrong[-1] + 1 if len(wrong) else 0
        assert last[row] == (steps[after] if after < len(steps) else np.inf)


def test_what_a_kill_leaves_is_read_and_a_torn_line_is_mended(run: Path) -> None:
    path = run / "record.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:40])
    held = read(run)
    assert len(held.looks) == 4
    assert not held.ended
    assert held.damaged == 0
    from genscope.watch.monitor import Monitor

    Monitor(run, digits.net(64), measures=["weight_distance"], resume=True).close()
    assert read(run).damaged == 1
    assert len(read(run).looks) == 4 or len(read(run).looks) == 5


def test_hostile_records_are_counted_cut_and_cleaned(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "record.jsonl"
    bad = [
        "[" * 5000, "3", "not json", json.dumps({"kind": "look", "step": -1, "values": {}}), json.dumps({"kind": "look", "step": "9", "values": {}}),
        '{"kind": "look", "step": 999, "values": {"train/loss": 1e999, "x": "y", "train/accuracy": true}, "examples": {"train": {"prediction": [1], "gradient": "no"}, "test": 3}}',
        json.dumps({"kind": "alert", "step": 1, "name": "<script>", "text": "\x1b[31m<script>alert(1)</script>" + "x" * 10_000, "numbers": {"a": "b"}}), json.dumps({"kind": "note", "text": "<img src=x>"}),
    ]  # fmt: skip
    with path.open("a") as file:
        file.write("\n".join(bad) + "\n")
    held = read(run)
    assert held.damaged == 5
    assert held.looks[-1].step == 999
    assert held.looks[-1].values == {"train/loss": None, "x": None, "train/accuracy": None}
    assert len(held.alerts[-1]["text"]) <= 600
    page = show(run).page.read_text()
    assert "<script>alert(1)" not in page
    assert "<img src=x>" not in page
    call("watch", str(run), "--once")
    assert "\x1b" not in capsys.readouterr().out


def test_a_newer_version_and_what_is_no_record_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record.jsonl"
    path.write_text(json.dumps({"kind": "run", "version": 2}) + "\n")
    with pytest.raises(DataError, match="newer genscope"):
        read(tmp_path)
    path.write_text(json.dumps({"kind": "look", "step": 1, "values": {}}) + "\n")
    with pytest.raises(DataError, match="not a training record"):
        read(tmp_path)
    call("watch", str(tmp_path / "none"), "--once", code=2)
    assert "Monitor(RUN" in capsys.readouterr().err


def test_the_page_and_json_say_what_the_run_did(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = show(run, tmp_path / "page")
    assert found.headline.startswith("Memorizing: ")
    page = found.page.read_text()
    for said in ("How far the weights went", "Rows that look as if their labels were wrong", "48 of 48 runs", "What to do"):
        assert said in page
    call("watch", str(run), "--json")
    plain = json.loads(capsys.readouterr().out)
    assert plain["alerts"][0]["name"] == "memorizing"
    assert plain["ended"] is True
    before = (run / "record.jsonl").read_bytes()
    gs.watch.show(run)
    assert (run / "record.jsonl").read_bytes() == before
    assert "<svg" in found._repr_html_()


def test_a_growing_file_is_followed_to_its_end(run: Path, tmp_path: Path) -> None:
    lines = (run / "record.jsonl").read_bytes().splitlines(keepends=True)
    target = tmp_path / "live" / "record.jsonl"
    target.parent.mkdir()

    def grow() -> None:
        with target.open("ab", buffering=0) as file:
            for line in lines:
                file.write(line[:20])
                time.sleep(0.01)
                file.write(line[20:])

    steps: list[int] = []
    told: list[str] = []
    growing = threading.Thread(target=grow)
    growing.start()
    found = follow(target.parent, lambda _, looks, fresh: (steps.extend(look.step for look in looks), told.extend(one.name for one in fresh))[0], pause=0.02)  # fmt: skip
    growing.join()
    assert steps == [look.step for look in found.looks]
    assert len(told) == len(set(told))
    assert "memorizing" in told
    with pytest.raises(DataError, match="no training record"):
        follow(tmp_path / "never", lambda *_: None, pause=0.01, patience=0.05)


def test_a_run_is_a_page_of_the_site_and_its_measures_are_listed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(run)
    call("report", "--runs", str(run.parent), "--out", str(tmp_path / "site"))
    assert "Memorizing" in (tmp_path / "site" / "index.html").read_text()
    assert (tmp_path / "site" / "runs" / "noisy.html").is_file()
    capsys.readouterr()
    call("list", "measures", "--json")
    names = [row["name"] for row in json.loads(capsys.readouterr().out)["Measures"]]
    assert "genscope.watch.measures.losses" in names
    assert "genscope.measures.coherence" in names
