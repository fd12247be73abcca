"""Orders and answers: once only, other code refused, stores that cannot be written end the run, and the same numbers wherever they are computed."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import genscope as gs
from genscope.core.errors import IncompleteError, MissingError, ModelError, StoreError, UsageError
from genscope.core.reply import GenerateJob, Message, Request, Sampling, ScoreJob, job_from_plain
from genscope.core.store import Store
from genscope.engine.blocks import failure
from genscope.engine.cells import cell_key, code_hash, plan
from genscope.engine.executor import executor, lost
from genscope.engine.local import LocalWorkers
from genscope.engine.worker import compute, once
from genscope.models.planted import PlantedSolver
from genscope.verbs import study as verb
from tests.engine.toy import Toy

FEW: dict[str, Any] = {"tasks": ["find_minimum"], "n": 4, "scale": "smoke", "mode": "direct"}


def order(number: int = 0, **changes: Any) -> dict[str, Any]:
    cells, _ = plan(Toy(), "standard", None, ["main"])
    store, where = Store.open(), "tests.engine.toy"
    key = cell_key(store, Toy(), cells[number], code_hash(where))
    return {
        "do": "cell",
        "study": f"{where}:Toy",
        "cell": json.loads(json.dumps(asdict(cells[number]))),
        "key": key,
        "fresh": "",
        **changes,
    }


def test_an_order_is_carried_out_once_and_once_more_by_each_fresh_run() -> None:
    assert [compute(order())["computed"] for _ in range(2)] == [True, False]
    assert [compute(order(fresh=run))["computed"] for run in ("a", "a", "b")] == [True, False, True]
    assert compute(order())["computed"] is False


def test_a_failed_computation_is_not_marked_as_done() -> None:
    store = Store.open()
    stack = ExitStack()
    assert stack.enter_context(once(store, "key", "run"))
    assert stack.__exit__(ModelError, ModelError("no"), None) is not True
    with once(store, "key", "run") as missing:
        assert missing


def test_a_worker_with_other_code_keeps_nothing() -> None:
    asked = order(key="0" * 40)
    answer = compute(asked)
    assert answer["kind"] == "StudyError"
    assert "other code, files or library versions" in answer["error"]
    assert "numpy" in answer["error"]
    assert Store.open().size() == (0, 0)


def test_what_a_worker_cannot_do_is_an_answer() -> None:
    assert "no_such" in compute(order(study="no_such_module:Toy"))["error"]
    assert compute({"do": "dance", "key": "k"})["kind"] == "KeyError"
    assert isinstance(failure(lost({"key": "k"}, "gone")), ModelError)
    assert isinstance(failure({"error": "MissingError: install it", "kind": "MissingError"}), MissingError)


def test_jobs_survive_the_line() -> None:
    asked = Request(messages=(Message("user", "é\ud800"),), prefill="[", plain="x")
    for job in (
        GenerateJob(requests=(asked, asked), sampling=Sampling(max_tokens=3, stop=("\n",)), repeat=2),
        ScoreJob(request=asked, continuations=("a", "b")),
    ):
        assert job_from_plain(json.loads(json.dumps(asdict(job)))) == job


def test_a_store_that_cannot_be_written_ends_a_study_before_anything_is_computed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    home.write_text("a file, where a folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        verb.run(Toy(), parts=["main"], out=tmp_path / "o")
    assert not (tmp_path / "log").exists()


def test_a_store_that_fills_up_midway_ends_the_run_and_keeps_what_was_finished(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    verb.run(Toy(), parts=["main"], out=tmp_path / "a", seeds=[0], workers=1)
    locks = home / "store" / "locks"
    for path in locks.iterdir():
        path.unlink()
    locks.rmdir()
    locks.write_text("")  # now no lock can be taken: the store is not writable to workers
    with pytest.raises(StoreError, match="cannot write .*what was finished before is kept"):
        verb.run(Toy(), parts=["main"], out=tmp_path / "b", workers=1)
    locks.unlink()
    assert len((tmp_path / "log").read_text().split()) == 4
    assert verb.run(Toy(), parts=["main"], out=tmp_path / "b").about["failed"] == {}
    assert len((tmp_path / "log").read_text().split()) == 20


def test_workers_are_kept_between_runs_and_replaced_when_they_die(monkeypatch: pytest.MonkeyPatch) -> None:
    place = LocalWorkers({}, 1)
    assert [answer["error"] for _, answer in place.run([order(0), order(1)])] == ["", ""]
    first = place._crew[0].worker
    assert [answer["computed"] for _, answer in place.run([order(0)])] == [False]
    assert place._crew[0].worker is first
    assert first is not None
    first.kill()
    assert ["ended with code" in answer["error"] for _, answer in place.run([order(2)])] == [True]
    assert [answer["error"] for _, answer in place.run([order(2)])] == [""]
    place.close()
    place.close()
    place = LocalWorkers({"workers": "2"}, None)
    running = place.run([order(3), order(4), order(5)])
    next(running)
    running.close()
    assert place._crew == []


def test_a_profile_on_workers_has_the_replies_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = gs.profile("demo", **FEW, out=tmp_path / "here")
    monkeypatch.setenv("GENSCOPE_HOME", f"file://{tmp_path}/shared")
    there = gs.profile("demo", **FEW, out=tmp_path / "there", on="local:workers=1")
    assert there.responses.equals(here.responses)
    assert there.page.read_bytes() == here.page.read_bytes()
    assert json.loads((tmp_path / "there" / "run.json").read_text())["blocks_computed"] == Store.open().size()[0]


def test_a_budget_stops_shards_as_it_stops_blocks(tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match="stopped at the budget"):
        gs.profile("demo", **FEW, out=tmp_path / "o", on="local:workers=1", budget="3000")


def test_a_study_in_a_store_of_one_process_or_on_an_unknown_place_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown place to run --on: 'slurn'. Did you mean slurm"):
        executor("slurn", None, Store.open())
    with pytest.raises(UsageError, match="--workers must be at least 1"):
        executor("local", 0, Store.open())
    with pytest.raises(UsageError, match="this one is an object"):
        gs.profile(PlantedSolver(), **FEW, on="ray", out=tmp_path)
    with pytest.raises(UsageError, match="asked over the network"):
        gs.profile("openai:x@http://127.0.0.1:9/v1", **FEW, on="local:workers=1", out=tmp_path)
    monkeypatch.setenv("GENSCOPE_HOME", "memory://x")
    with pytest.raises(UsageError, match="seen by one process only"):
        verb.run(Toy(), parts=["main"], out=tmp_path / "o")
    assert gs.profile("demo", **FEW, out=tmp_path / "memory").page.is_file()
