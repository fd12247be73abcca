"""Ray: the same records as here; a node killed midway loses no cell and computes none twice; a cluster that goes away is a clear end and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import genscope as gs
from genscope.bridges.ray import Options, RayTasks, environment
from genscope.core.errors import IncompleteError, UsageError
from genscope.core.store import Store
from genscope.engine.executor import executor
from genscope.verbs import study as verb
from tests.engine.toy import Toy

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
ROOT = Path(__file__).parents[2]


class Nodes:
    """Two nodes in a process of their own."""

    def __init__(self) -> None:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bridges.ray_cluster"],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.address = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    yield found
    found.close()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    for name in ("TOY_LOG", "TOY_DONE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "TOY_LOG", tmp_path / "TOY_DONE"


def names(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def killed_after(nodes: Nodes, what: str, log: Path, count: int) -> threading.Thread:
    """Kills a node as soon as so many cells were begun."""

    def kill() -> None:
        while len(names(log)) < count:
            time.sleep(0.02)
        nodes.kill(what)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def toy(out: Path, on: str) -> verb.StudyResult:
    return verb.run(Toy(), parts=["main"], out=out, on=on)


@pytest.mark.slow
def test_a_node_killed_midway_loses_no_cell_and_none_is_computed_twice(
    nodes: Nodes, logs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, done = logs
    monkeypatch.setenv("GENSCOPE_HOME", str(tmp_path / "shared"))
    killing = killed_after(nodes, "node", begun, 5)
    monkeypatch.setenv("TOY_WAIT", "0.5")
    found = toy(tmp_path / "ray", f"ray:address={nodes.address},env=TOY_LOG+TOY_DONE+TOY_WAIT")
    killing.join()
    assert found.about["failed"] == {}
    assert len(names(done)) == len(set(names(done))) == 20
    assert 20 <= len(names(begun)) <= 21  # the one that the dead node was at
    assert json.loads((tmp_path / "ray" / "run.json").read_text())["on"] == "ray"
    monkeypatch.setenv("GENSCOPE_HOME", str(tmp_path / "here"))
    here = toy(tmp_path / "local", "local")
    assert found.records.equals(here.records)
    assert found.page.read_bytes() == here.page.read_bytes()


@pytest.mark.slow
def test_a_profile_on_ray_has_the_replies_of_one_process(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"tasks": ["find_minimum", "two_sum"], "n": 20, "scale": "smoke"}
    here = gs.profile("demo", **few, out=tmp_path / "local")
    monkeypatch.setenv("GENSCOPE_HOME", f"file://{tmp_path}/shared")
    there = gs.profile("demo", **few, out=tmp_path / "ray", on=f"ray:address={nodes.address}")
    assert there.responses.equals(here.responses)
    assert there.page.read_bytes() == here.page.read_bytes()
    blocks = [json.loads((tmp_path / name / "run.json").read_text())["blocks_computed"] for name in ("local", "ray")]
    assert blocks[0] == blocks[1] == Store.open().size()[0]


@pytest.mark.slow
def test_a_cluster_that_goes_away_ends_the_run_clearly_and_loses_nothing(
    nodes: Nodes, logs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, done = logs
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "3")
    monkeypatch.setenv("TOY_WAIT", "0.3")
    killing = killed_after(nodes, "head", begun, 4)
    with pytest.raises(IncompleteError, match=r"the Ray cluster went away .*are kept in the store.*--on local"):
        toy(tmp_path / "ray", f"ray:address={nodes.address},env=TOY_LOG+TOY_DONE+TOY_WAIT")
    killing.join()
    before = names(done)
    assert 0 < len(before) < 20
    monkeypatch.delenv("TOY_WAIT")
    assert toy(tmp_path / "local", "local").about["failed"] == {}
    assert len(names(done)) == len(set(names(done))) == 20
    monkeypatch.setattr("genscope.bridges.ray.PATIENCE", 4.0)
    again = executor(f"ray:address={nodes.address}", None, Store.open())
    with pytest.raises(UsageError, match=f"Ray cannot be reached at {nodes.address}.*--on local"):
        list(again.run([{"do": "cell", "key": "k"}]))


def test_what_workers_get_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("GENSCOPE_DATA", "/data")
    monkeypatch.setenv("GENSCOPE_HOME", "relative")
    monkeypatch.chdir(tmp_path)
    always, unless_set = environment(Options())
    assert always["GENSCOPE_HOME"] == str(tmp_path / "relative")
    assert always["OMP_NUM_THREADS"] == "1"
    assert unless_set["GENSCOPE_DATA"] == "/data"
    assert "secret" not in {*always.values(), *unless_set.values()}
    monkeypatch.setenv("GENSCOPE_HOME", "s3://bucket/x")
    assert (
        environment(Options(env="MINE+OPENAI_API_KEY"))[0] | {"GENSCOPE_HOME": "s3://bucket/x", "OPENAI_API_KEY": "secret"}
        == environment(Options(env="OPENAI_API_KEY"))[0]
    )


def test_wrong_options_are_refused_before_ray_is_started() -> None:
    for text, said in (("ray:adress=x", "Did you mean address"), ("ray:cpus=two", "takes a number"), ("ray:cpus", "is not option=value")):
        with pytest.raises(UsageError, match=said):
            executor(text, None, Store.open())
    assert "ray" not in sys.modules
    RayTasks({}, 3).close()
