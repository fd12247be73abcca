"""The sandbox: honest programs run; greedy, slow, prying and noisy ones give None and leave nothing behind."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from genscope.core import sandbox
from genscope.core.errors import MissingError, UsageError
from genscope.core.sandbox import Sandbox

needs_walls = pytest.mark.skipif(not sandbox.available(), reason="bubblewrap is not here, or may make no namespaces")


@needs_walls
def test_an_honest_program_runs_on_its_input() -> None:
    assert Sandbox()("print(sum(map(int, input().split())))", "3 4") == "7\n"
    assert Sandbox()("import math, collections, heapq, itertools\nprint(math.comb(10, 3))", "") == "120\n"


@needs_walls
@pytest.mark.parametrize(
    "program",
    [
        "while True: pass", "import time; time.sleep(60)", "x = bytearray(2 << 30)", "while True: print('x' * 10_000)", "raise SystemExit(1)", "print(", "import os; os.abort()",
    ],
)  # fmt: skip
def test_what_is_slow_greedy_noisy_or_broken_gives_nothing(program: str) -> None:
    start = time.monotonic()
    assert Sandbox(seconds=1.5)(program, "") is None
    assert time.monotonic() - start < 5


@needs_walls
def test_no_file_of_the_machine_is_seen_or_written(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    see = f"import os\nprint(os.path.exists({str(secret)!r}), os.path.exists('/etc/passwd'), os.path.exists('/root/.ssh'), os.environ.get('HOME'))"
    assert Sandbox()(see, "") == "False False False None\n"
    assert Sandbox()("open('/usr/evil', 'w')", "") is None
    assert Sandbox()("open('/program.py', 'w')", "") is None
    assert Sandbox()("open('/tmp/own', 'w').write('x'); print(open('/tmp/own').read())", "") == "x\n"
    assert not Path("/tmp/own").exists()


@needs_walls
def test_there_is_no_network() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(2)
        reached = []
        waiting = threading.Thread(target=lambda: reached.append(_accepted(server)))
        waiting.start()
        made = Sandbox(seconds=5)(
            f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), timeout=1)\nprint('reached')", ""
        )
        waiting.join()
    assert made is None
    assert reached == [False]


def _accepted(server: socket.socket) -> bool:
    try:
        server.accept()
    except TimeoutError:
        return False
    return True


@needs_walls
def test_threads_may_start_and_processes_may_not() -> None:
    threads = "import threading\nmade = []\none = threading.Thread(target=lambda: made.append(1))\none.start(); one.join()\nprint(made)"
    assert Sandbox()(threads, "") == "[1]\n"
    for how in (
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.system('true') == 0 or 1 / 0",
    ):
        made = Sandbox()(f"import os, subprocess\ntry:\n    {how}\nexcept (OSError, ZeroDivisionError):\n    print('refused')", "")
        assert made == "refused\n", how


@needs_walls
def test_nothing_runs_on_after_the_clock_has_run_out() -> None:
    assert Sandbox(seconds=1)("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\ntime.sleep(60)", "") is None
    time.sleep(0.2)
    assert [one for one in Path("/proc").glob("[0-9]*/cmdline") if b"/program.py" in _read(one)] == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_limits_are_checked_and_without_walls_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="above 0"):
        Sandbox(seconds=0)
    monkeypatch.setattr(sandbox.shutil, "which", lambda _: None)
    with pytest.raises(MissingError, match="bubblewrap"):
        Sandbox()
