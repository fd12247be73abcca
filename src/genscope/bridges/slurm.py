"""Slurm: orders as Slurm jobs through submitit, in arrays; a job writes to the store and leaves its answer as one JSON line in a file.

submitit keeps the jobs' functions and logs in a folder of its own (its files are pickled by it and read by it, never by genscope). A login node
may go away: the jobs go on and write to the store, and the same command later finds what they left.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from genscope.core.errors import IncompleteError, UsageError, missing_extra
from genscope.core.store import write_whole
from genscope.engine.executor import Answer, Executor, Order, lost, typed

JOBS = 64
"""Orders under way at once where --workers does not say."""
LATE = 10.0
"""Seconds that an answer may come after its job is said to have ended: network file systems show new files late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What may follow `--on slurm:`."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    minutes: int = 240
    """Time limit of a job."""
    cpus: int = 1
    gpus: int = 0
    memory_gb: float = 0.0
    """Memory of a job, in GB; 0: the partition's default."""
    retries: int = 2
    """How often an order is submitted again when its job ends without an answer (a lost node, a time limit)."""
    poll: float = 2.0
    """Seconds between two looks at the answers."""
    folder: str = "genscope-runs/slurm"
    """Where submitit keeps its files; all nodes must see it."""
    cluster: str = "slurm"
    """"local": submitit's own processes on this machine, to try things out."""

    def parameters(self) -> dict[str, Any]:
        """As submitit names them."""
        slurm = {name: getattr(self, name) for name in ("partition", "account", "qos", "constraint") if getattr(self, name)}
        named = {f"slurm_{name}": value for name, value in slurm.items()} if self.cluster == "slurm" else {}
        memory = {"mem_gb": self.memory_gb} if self.memory_gb else {}
        return {"name": "genscope", "timeout_min": self.minutes, "cpus_per_task": self.cpus, "gpus_per_node": self.gpus, **memory, **named}


class SlurmJobs(Executor):
    """A Slurm job for each order; jobs submitted together are one array."""

    shard = 64
    spread = 1

    def __init__(self, options: Mapping[str, str], workers: int | None) -> None:
        kinds: dict[str, type] = {"partition": str, "account": str, "qos": str, "constraint": str, "minutes": int, "cpus": int, "gpus": int, "memory_gb": float, "retries": int, "poll": float, "folder": str, "cluster": str}  # fmt: skip
        if find_spec("submitit") is None:
            raise missing_extra("--on slurm submits jobs through submitit", "slurm")
        self.options = Options(**typed("slurm", options, kinds))
        if self.options.cluster not in ("slurm", "local"):
            raise UsageError(f"--on slurm: cluster must be slurm or local, got {self.options.cluster!r}")
        if self.options.cluster == "slurm" and shutil.which("sbatch") is None:
            raise UsageError(
                "--on slurm: this machine has no sbatch. Run it on a login node of the cluster, or try it out with --on slurm:cluster=local"
            )
        self.workers = workers or JOBS
        self._folder: Path | None = None

    @property
    def width(self) -> int:
        return self.workers

    def run(self, orders: Iterable[Order]) -> Generator[tuple[Order, Answer], None, None]:
        source, under_way = iter(orders), dict[str, _Submitted]()
        try:
            while True:
                if new := list(islice(source, self.workers - len(under_way))):
                    under_way |= self._submit([(order, 0) for order in new])
                if not under_way:
                    return
                ended = [one for one in under_way.values() if one.ended()]
                for one in ended:
                    answer = one.answer()
                    if answer is None and one.tries < self.options.retries:
                        under_way |= self._submit([(one.order, one.tries + 1)])
                        continue
                    del under_way[one.order["key"]]
                    yield (
                        one.order,
                        answer
                        or lost(
                            one.order,
                            f"its Slurm job {one.job.job_id} ended without an answer ({one.job.state}); see {one.job.paths.stderr}",
                        ),
                    )
                if not ended:
                    time.sleep(self.options.poll)
        finally:
            for one in under_way.values():
                one.job.cancel(check=False)
            for one in under_way.values():
                if one.here:
                    one.job.wait()

    def close(self) -> None:
        """Jobs end by themselves."""

    def _submit(self, orders: list[tuple[Order, int]]) -> dict[str, _Submitted]:
        import submitit

        if self._folder is None:
            base = Path(self.options.folder).expanduser().absolute()
            try:
                base.mkdir(parents=True, exist_ok=True)
                self._folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
            except OSError as error:
                raise UsageError(
                    f"--on slurm: {base} cannot be written ({error.strerror}). Name a folder that all nodes see: --on slurm:folder=PATH"
                ) from error
        executor = submitit.AutoExecutor(folder=self._folder / "jobs", cluster=self.options.cluster)
        executor.update_parameters(**self.options.parameters())
        here = self.options.cluster == "local"
        answers = [self._folder / "answers" / f"{order['key']}-{tries}.json" for order, tries in orders]
        calls: list[Callable[[], Any]] = [
            partial(carry_out, json.dumps(order), str(path)) for (order, _), path in zip(orders, answers, strict=True)
        ]
        try:
            jobs = executor.submit_array(calls) if len(calls) > 1 else [executor.submit(calls[0])]
        except (RuntimeError, OSError) as error:
            raise IncompleteError(
                f"Slurm did not take the jobs: {str(error).strip().splitlines()[-1][:300]}. What was finished is kept in the store; the same command goes on from here"
            ) from error
        return {
            order["key"]: _Submitted(order, tries, job, path, here) for (order, tries), job, path in zip(orders, jobs, answers, strict=True)
        }


@dataclass(slots=True)
class _Submitted:
    order: Order
    tries: int
    job: Any
    path: Path
    here: bool
    """A process on this machine, which is waited for to its end."""
    since: float = 0.0
    """When its job was first seen to have ended without an answer."""

    def ended(self) -> bool:
        """Whether its answer is there, or will not come any more."""
        if self.path.is_file():
            return not self.here or self.job.done()
        if not self.job.done():
            return False
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since > LATE

    def answer(self) -> Answer | None:
        try:
            return json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return None


def carry_out(line: str, answer: str) -> None:
    """One order in a Slurm job."""
    import os

    from genscope.engine.local import ONE_THREAD

    os.environ.update(ONE_THREAD)
    from genscope.engine.worker import compute_line

    write_whole(Path(answer), compute_line(line).encode())
