"""Slurm through submitit's local executor: the same records as here, jobs that die are submitted again, and what cannot be is said before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import genscope as gs
from genscope.bridges.slurm import Options
from genscope.core.errors import UsageError
from genscope.core.store import Store
from genscope.engine.executor import executor
from genscope.verbs import study as verb
from tests.bridges import fake_slurm
from tests.engine.toy import Toy

pytest.importorskip("submitit")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("genscope.bridges.slurm.LATE", 0.5)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "src"))))
    return f"slurm:cluster=local,poll=0.1,retries=1,folder={tmp_path}/slurm"


@pytest.mark.slow
def test_a_study_on_slurm_has_the_records_of_one_here(on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_HOME", str(tmp_path / "shared"))
    monkeypatch.setenv("TOY_FAIL", "with-claim-0")
    monkeypatch.setenv("TOY_DIE", "without-off-0")
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    settings: dict[str, Any] = {"parts": ["main"], "seeds": [0]}
    found = verb.run(Toy(), **settings, out=tmp_path / "slurm-out", on=on, workers=3)
    assert found.about["failed"]["main/with (claim), seed 0"] == "TrainingError: the training loss is nan after 10 updates"
    assert "ended without an answer" in found.about["failed"]["main/without (off), seed 0"]
    begun = log.read_text().split()
    assert begun.count("without-off-0") == 2  # once, and its one retry
    assert len(begun) == 4 + 1
    for name in ("TOY_FAIL", "TOY_DIE"):
        monkeypatch.delenv(name)
    again = verb.run(Toy(), **settings, out=tmp_path / "slurm-out", on=on, workers=3)
    assert json.loads((tmp_path / "slurm-out" / "run.json").read_text())["cells_computed"] == 2
    monkeypatch.setenv("GENSCOPE_HOME", str(tmp_path / "here"))
    here = verb.run(Toy(), **settings, out=tmp_path / "local", workers=1)
    assert again.records.equals(here.records)
    assert again.page.read_bytes() == here.page.read_bytes()


@pytest.mark.slow
def test_a_profile_on_slurm_has_the_replies_of_one_process(on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"tasks": ["find_minimum"], "n": 16, "scale": "smoke", "mode": "direct"}
    here = gs.profile("demo", **few, out=tmp_path / "local")
    monkeypatch.setenv("GENSCOPE_HOME", str(tmp_path / "shared"))
    there = gs.profile("demo", **few, out=tmp_path / "there", on=on)
    assert there.responses.equals(here.responses)
    assert there.page.read_bytes() == here.page.read_bytes()


@pytest.mark.slow
def test_jobs_go_through_sbatch_as_one_array(on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=os.pathsep)
    place = on.replace("cluster=local", "partition=short,minutes=30")
    found = verb.run(Toy(), parts=["main"], seeds=[0], out=tmp_path / "out", on=place)
    assert found.about["failed"] == {}
    assert len(found.records) == 12
    script = submitted.read_text()
    for line in ("--array=0-3", "--partition=short", "--time=30", "--job-name=genscope", "--cpus-per-task=1"):
        assert script.count(f"#SBATCH {line}") == 1


def test_options_are_named_as_submitit_names_them() -> None:
    assert Options(partition="short", gpus=1, minutes=60, memory_gb=8).parameters() == {
        "name": "genscope", "timeout_min": 60, "cpus_per_task": 1, "gpus_per_node": 1, "mem_gb": 8, "slurm_partition": "short",
    }  # fmt: skip
    assert "slurm_partition" not in Options(partition="short", cluster="local").parameters()


def test_what_cannot_be_is_said_before_a_job_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "file").write_text("")
    for text, said in (
        ("slurm", "no sbatch"),
        ("slurm:cluster=remote", "must be slurm or local"),
        ("slurm:minutes=-1", "must be 0 or more"),
        ("slurm:time=1", "unknown option of --on slurm"),
    ):
        with pytest.raises(UsageError, match=said):
            executor(text, None, Store.open())
    unwritable = executor(f"slurm:cluster=local,folder={tmp_path}/file/x", None, Store.open())
    with pytest.raises(UsageError, match="Name a folder that all nodes see"):
        list(unwritable.run([{"do": "cell", "key": "k", "fresh": ""}]))
