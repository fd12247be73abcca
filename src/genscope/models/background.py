"""Jobs that are answered in a thread of its own, with an event loop: works in notebooks, and no reply is lost when the run is interrupted."""

from __future__ import annotations

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

from genscope.core.errors import EndpointError
from genscope.core.reply import GenerateJob, OnReplies, Reply

FIRST_FAILURES = 5
"""When so many first jobs all fail for good, the run is stopped."""
GRACE = 5.0
"""Seconds in which replies under way are still taken when a run is interrupted."""


class Background(ABC):
    """One call of `generate`. name: of the model, for errors; stop: asked before each job."""

    def __init__(self, name: str, jobs: Sequence[GenerateJob], stop: Callable[[], bool], concurrency: int) -> None:
        self.name, self.jobs, self.stop, self.concurrency = name, jobs, stop, concurrency
        self.finished: queue.Queue[tuple[int, list[Reply]] | None] = queue.Queue()
        self.error: BaseException | None = None
        self.cancelled = False

    @abstractmethod
    async def all(self) -> None:
        """Answer all jobs, with `worker`; an error raised here concerns every request and is raised to the caller."""

    @abstractmethod
    async def answer(self, job: GenerateJob) -> list[Reply]:
        """The replies of one job; what fails for one request is a failed reply."""

    def deliver(self, done: OnReplies, advice: str) -> None:
        """Run, and hand each job's replies to `done` in the caller's thread; an interrupt, or an error of `done`, still takes what arrives within a few seconds."""
        thread = threading.Thread(target=self._main, name="genscope-asking", daemon=True)
        thread.start()
        early: list[Reply] = []
        try:
            while (item := self.finished.get()) is not None:
                place, replies = item
                done(place, replies)
                early += replies if len(early) < FIRST_FAILURES else []
                if len(early) >= min(FIRST_FAILURES, len(self.jobs)) and all(reply.finish == "failed" for reply in early):
                    raise EndpointError(
                        f"{self.name}: the first {len(early)} requests all failed, so the run was stopped. The last said: {early[-1].error}. {advice}; what was answered is kept"
                    )
        except BaseException:  # house: also for an interrupt, replies under way are taken before it goes on
            self.cancelled = True
            while (item := self._last_call()) is not None:
                done(*item)
            raise
        thread.join()
        if self.error is not None:
            raise self.error

    async def workers(self, waiting: Iterator[tuple[int, GenerateJob]]) -> None:
        """As many workers as may run at once; the first error stops all, after the replies under way."""
        tasks = [asyncio.create_task(self.worker(waiting)) for _ in range(self.concurrency)]
        try:
            await asyncio.gather(*tasks)
        except BaseException:  # house: whatever it is, replies under way are paid for and taken first
            self.cancelled = True
            await asyncio.wait(tasks, timeout=GRACE)
            raise

    async def worker(self, waiting: Iterator[tuple[int, GenerateJob]], most: int | None = None) -> None:
        """Take jobs until there are none, the run is stopped, or `most` are done."""
        count = 0
        while not self.cancelled and (most is None or count < most):
            item = next(waiting, None)
            if item is None or self.stop():
                return
            place, job = item
            self.finished.put((place, await self.answer(job)))
            count += 1

    def _main(self) -> None:
        try:
            asyncio.run(self.all())
        except BaseException as error:  # house: raised again in the caller's thread
            self.error = error
        finally:
            self.finished.put(None)

    def _last_call(self) -> tuple[int, list[Reply]] | None:
        """A reply that still arrives within the grace, or None."""
        try:
            return self.finished.get(timeout=GRACE)
        except queue.Empty:
            return None
