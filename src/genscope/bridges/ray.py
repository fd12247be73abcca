"""Ray: orders as Ray tasks with retries, on a cluster that is running or on one made here for the run.

The side that talks to Ray is a process of its own (`python -m genscope.bridges.ray`), because Ray ends its driver's process when the cluster's head
is lost. It reads one JSON line an order and writes one an answer, as a worker does, and says how many orders it has room for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, TextIO

from genscope.core.errors import IncompleteError, UsageError, missing_extra
from genscope.core.store import home
from genscope.engine.executor import Answer, Executor, Order, lost, typed
from genscope.engine.local import ONE_THREAD

PATIENCE = 180.0
"""Seconds that a cluster may take to let us in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What may follow `--on ray:`."""

    address: str = ""
    """Of the cluster's head, such as 10.0.0.1:6379; else $RAY_ADDRESS, else a cluster that runs on this machine, else one is made for the run."""
    cpus: float = 1.0
    """Processors that Ray sets aside for an order."""
    gpus: float = 0.0
    memory_gb: float = 0.0
    """Memory that an order may need, in 1e9 bytes; 0: not said."""
    retries: int = 3
    """How often an order is given out again when its worker or its node is lost."""
    env: str = ""
    """Names of more environment variables that the workers get, joined by +. Ray shows them to whoever may see the cluster: no keys."""
    workers: int = 0
    """The most orders under way at once; 0: as many as the cluster has room for, and as many again waiting."""


class RayTasks(Executor):
    """Tasks of a Ray cluster whose nodes see the same store."""

    def __init__(self, options: Mapping[str, str], workers: int | None) -> None:
        kinds = {"address": str, "cpus": float, "gpus": float, "memory_gb": float, "retries": int, "env": str, "workers": int}
        if find_spec("ray") is None:
            raise missing_extra("--on ray runs on Ray", "ray")
        chosen = typed("ray", options, kinds)
        self.options = Options(**{**chosen, **({} if workers is None else {"workers": workers})})
        self._room = 0
        self._driver: subprocess.Popen[str] | None = None
        self._said: Any = None

    @property
    def width(self) -> int:
        self._ready()
        return max(1, self._room // 2)

    def run(self, orders: Iterable[Order]) -> Generator[tuple[Order, Answer], None, None]:
        source, under_way, answered, more = iter(orders), {}, 0, True
        try:
            while True:
                while more and (not under_way or len(under_way) < self._room):
                    order = next(source, None)
                    more = order is not None
                    if order is not None:
                        self._ready()
                        under_way[order["key"]] = order
                        self._tell(order)
                if not under_way:
                    return
                message = self._hear()
                if message is None:
                    raise self._gone(len(under_way), answered)
                if "room" in message:
                    self._room = message["room"]
                elif message["key"] in under_way:
                    answered += 1
                    yield under_way.pop(message["key"]), message
        finally:
            if under_way:
                self.close()

    def close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is None or driver.stdin is None or driver.stdout is None:
            return
        with contextlib.suppress(OSError):
            driver.stdin.close()
        try:
            driver.wait(10)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()
        driver.stdout.close()
        self._said.close()

    def _ready(self) -> None:
        """Start Ray's side and wait until it is connected."""
        if self._driver is not None:
            return
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (open as long as the driver runs)
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "genscope.bridges.ray"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        limit = threading.Timer(PATIENCE, self._driver.kill)
        limit.start()
        self._tell(asdict(self.options))
        message = self._hear()
        limit.cancel()
        if message is None or "room" not in message:
            why = (message or {}).get("lost") or f"no answer within {PATIENCE:.0f} s; {self._last_words()}"
            self.close()
            raise UsageError(
                f"Ray cannot be reached{f' at {self.options.address}' if self.options.address else ''}: {why}. "
                "Start a cluster (`ray start --head`, then `ray start --address=...` on the others) and name it as --on ray:address=HOST:PORT, or use --on local"
            )
        self._room = message["room"]

    def _tell(self, what: Mapping[str, Any]) -> None:
        if self._driver is not None and self._driver.stdin is not None:
            with contextlib.suppress(OSError):  # a driver that is gone is found out by listening
                self._driver.stdin.write(json.dumps(what) + "\n")
                self._driver.stdin.flush()

    def _hear(self) -> dict[str, Any] | None:
        if self._driver is None or self._driver.stdout is None:
            return None
        line = self._driver.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def _gone(self, under_way: int, answered: int) -> IncompleteError:
        return IncompleteError(
            f"the Ray cluster went away ({self._last_words()}). {answered} orders were finished and are kept in the store, {under_way} were under way. "
            "Start the cluster again and give the same command, which goes on from here; or go on with --on local"
        )

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read()[-20_000:].splitlines() if line.strip() and not line.startswith("    [")]
        return (lines[-1] if lines else "no message")[:300]


# --- Ray's side, in a process of its own


def environment(options: Options) -> tuple[dict[str, str], dict[str, str]]:
    """(what every worker gets, what it gets unless its node says otherwise)."""
    store = os.environ.get("GENSCOPE_HOME", "")
    where = store if "://" in store else str(home().absolute())
    more = {name: os.environ[name] for name in options.env.split("+") if name in os.environ}
    usual = {name: os.environ[name] for name in ("GENSCOPE_DATA", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM") if name in os.environ}
    return {"GENSCOPE_HOME": where, **ONE_THREAD, **more}, usual


def carry_out(line: str, always: Mapping[str, str], unless_set: Mapping[str, str]) -> str:
    """One order in a Ray worker."""
    os.environ.update(always)
    for name, value in unless_set.items():
        os.environ.setdefault(name, value)
    from genscope.engine.worker import compute_line

    return compute_line(line)


def serve(lines: TextIO, answers: TextIO) -> None:
    """Read options, then orders until the input ends; write room and answers."""
    import ray

    def say(what: Mapping[str, Any]) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    options = Options(**json.loads(lines.readline()))
    try:
        ray.init(address=options.address or None, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        say({"lost": str(error).strip().split("\n")[0][:300]})
        return
    always, unless_set = environment(options)
    memory = {"memory": options.memory_gb * 1e9} if options.memory_gb else {}
    task = ray.remote(carry_out).options(num_cpus=options.cpus, num_gpus=options.gpus, max_retries=options.retries, **memory)
    waiting = _Reader(lines)
    under_way: dict[Any, Order] = {}
    room = 0
    while not (waiting.ended and not waiting.lines):
        if (now := _room(ray.cluster_resources(), options)) != room:
            room = now
            say({"room": room})
        while waiting.lines:
            order = json.loads(line := waiting.lines.pop(0))
            under_way[task.remote(line, always, unless_set)] = order
        if not under_way:
            waiting.news.wait(1)
            waiting.news.clear()
            continue
        for done in ray.wait(list(under_way), timeout=0.1)[0]:
            say(_answer(ray, done, under_way.pop(done)))
    ray.shutdown()


def _room(has: Mapping[str, float], options: Options) -> int:
    """Twice what the cluster carries out at once: a free place has its next order waiting, and a cluster that can grow sees that it should."""
    places = [has.get("CPU", 0.0) / options.cpus] if options.cpus else []
    places += [has.get("GPU", 0.0) / options.gpus] if options.gpus else []
    return options.workers or max(1, 2 * int(min(places, default=1)))


def _answer(ray: Any, done: Any, order: Order) -> Answer:
    try:
        return json.loads(ray.get(done))
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        return lost(order, f"its Ray worker ended again and again (killed, or out of memory): {type(error).__name__}")
    except ray.exceptions.RayError as error:
        return lost(
            order, f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:300]}. Is the same genscope installed on every node?"
        )


class _Reader:
    """Lines of a stream, read by a thread."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.lines, self.ended, self.news = stream, [], False, threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.stream:
            self.lines.append(line)
            self.news.set()
        self.ended = True
        self.news.set()


if __name__ == "__main__":
    replies, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin, replies)
