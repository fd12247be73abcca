"""Local workers: processes on this machine, one thread each, fed with one JSON line an order."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Mapping

from genscope.engine.executor import Answer, Executor, Order, lost, typed

ONE_THREAD: dict[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


class LocalWorkers(Executor):
    """As many processes as there are cores, or `workers`, kept until they are let go. A process that dies fails its order and is replaced."""

    def __init__(self, options: Mapping[str, str], workers: int | None) -> None:
        chosen = typed("local", options, {"workers": int})
        self.workers = workers or chosen.get("workers") or os.cpu_count() or 1
        self._crew: list[_Driver] = []
        self._waiting: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Order, Answer]] = queue.SimpleQueue()

    @property
    def width(self) -> int:
        return self.workers

    def run(self, orders: Iterable[Order]) -> Generator[tuple[Order, Answer], None, None]:
        source, under_way = iter(orders), 0
        try:
            while True:
                while under_way < self.workers and (order := next(source, None)) is not None:
                    under_way += 1
                    self._waiting.put(order)
                    if len(self._crew) < under_way:
                        self._crew.append(_Driver(self._waiting, self._done))
                if not under_way:
                    return
                with contextlib.suppress(queue.Empty):
                    pair = self._done.get(timeout=0.2)  # wakes up, so that an interrupt is heard
                    under_way -= 1
                    yield pair
        finally:
            if under_way:
                self._dismiss(kill=True)

    def close(self) -> None:
        self._dismiss(kill=False)

    def _dismiss(self, kill: bool) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for one in self._crew:
            if kill:
                one.kill()
            self._waiting.put(None)
        for one in self._crew:
            one.thread.join(5)
        self._crew, self._waiting, self._done = [], queue.SimpleQueue(), queue.SimpleQueue()


class _Driver:
    """A thread that feeds one worker process."""

    def __init__(self, waiting: queue.SimpleQueue[Order | None], done: queue.SimpleQueue[tuple[Order, Answer]]) -> None:
        self.waiting, self.done = waiting, done
        self.worker: subprocess.Popen[str] | None = None
        self.thread = threading.Thread(target=self._drive, daemon=True)
        self.thread.start()

    def kill(self) -> None:
        """End the process in the middle of its work."""
        if self.worker is not None:
            self.worker.kill()

    def _drive(self) -> None:
        while (order := self.waiting.get()) is not None:
            self.worker = self.worker or _start()
            answer = _ask(self.worker, order)
            if answer is None:
                answer = lost(order, f"its worker process ended with code {_end(self.worker)} (killed, or out of memory)")
                self.worker = None
            self.done.put((order, answer))
        if self.worker is not None:
            _end(self.worker)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "genscope", "worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **ONE_THREAD}
    )  # fmt: skip


def _end(worker: subprocess.Popen[str]) -> int:
    """End a worker and free its pipes; the code that it ended with."""
    if worker.stdin is not None and worker.stdout is not None:
        with contextlib.suppress(OSError):
            worker.stdin.close()
        worker.stdout.close()
    try:
        return worker.wait(1)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _ask(worker: subprocess.Popen[str], order: Order) -> Answer | None:
    if worker.stdin is None or worker.stdout is None:
        return None
    try:
        worker.stdin.write(json.dumps(order) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        return json.loads(line) if line else None
    except (OSError, ValueError):
        return None
