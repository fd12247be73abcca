"""Speed and memory of audits on made-up JSONL, one core: exact duplicates through the polars reader, near duplicates, repeated passages.

Called from `bench/run.py audits`. Rates are bytes of the file over CPU seconds and over wall seconds; memory is the peak beyond that of the imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

MADE = """
import json, sys
import numpy as np
rng = np.random.default_rng(0)
letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
words = ["".join(rng.choice(letters, n)) for n in rng.integers(2, 9, 20000)]
path, size, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "w") as file:
    written, row = 0, 0
    while written < total:
        text = " ".join(words[k] for k in rng.integers(0, len(words), max(4, size // 6)))
        line = json.dumps({"id": row, "text": text[:size], "label": "ab"[row % 2]}) + "\\n"
        written += file.write(line) * (2 if row % 50 == 0 else 1)
        if row % 50 == 0:
            file.write(line)
        row += 1
"""
RUN = """
import json, resource, sys, time
import polars as pl
from genscope.core.progress import Progress
from genscope.core.seeds import Seed
from genscope.sections.audit_section import AuditLab
from genscope.sections.choose_audit import section, settings
from genscope.tasks.dataset import read
path, name = sys.argv[1], sys.argv[2]
one = section(name)
import rensa, scipy.stats  # imports are not what is timed
small = read([{"text": "one two three four five", "label": "a"}] * 3)
one.run(AuditLab(data=small, options=settings(one, {}), seed=Seed("warm"), progress=Progress("silent")))
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wall, cpu = time.perf_counter(), time.process_time()
data = read(path, {"text": "text", "label": "label", "id": "none"})
read_wall, read_cpu = time.perf_counter() - wall, time.process_time() - cpu
found = one.run(AuditLab(data=data, options=settings(one, {}), seed=Seed("bench"), progress=Progress("silent")))
print(json.dumps({
    "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "read_cpu": read_cpu, "rows": data.rows, "bytes": data.size, "findings": [one.count for one in found.findings],
    "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) * 1024,
}))
"""
Say = Callable[..., None]
WANTED = {"duplicates": 200.0, "near_duplicates": 10.0, "repeats": 5.0}
"""MB/s of JSONL with documents of 1 kB."""
MEMORY = {"duplicates": 100.0, "near_duplicates": 400.0, "repeats": 400.0}
"""MB beyond the imports, for `megabytes` of text: fingerprints (56 bytes a row), bands (112), passages (at most 200 MB), and a block of 4 MB in several forms."""


def audits(say: Say, megabytes: int = 200) -> None:
    """Measure each audit on documents of 1 kB and 150 bytes."""
    env = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        for size in (1_000, 150):
            path = Path(folder) / f"{size}.jsonl"
            subprocess.run([sys.executable, "-c", MADE, str(path), str(size), str(megabytes * 1_000_000)], check=True, env=env)
            for name, wanted in WANTED.items():
                done = subprocess.run([sys.executable, "-c", RUN, str(path), name], check=True, capture_output=True, text=True, env=env)
                found = json.loads(done.stdout.strip().splitlines()[-1])
                mb = found["bytes"] / 1e6
                say(
                    f"audit {name}, documents of {size} B, CPU",
                    mb / found["cpu"],
                    " MB/s",
                    ">=",
                    wanted if size == 1_000 else wanted / 2,
                    f"{mb / found['wall']:.0f} by the clock",
                )
                say("  peak memory", found["memory"] / 1e6, " MB", "<=", MEMORY[name], f"{found['memory'] / found['rows']:.0f} bytes a row")
            path.unlink()


def largest_record(say: Say) -> None:
    """Peak memory beyond the imports on one line of 1 GB."""
    code = """
import json, resource, sys
from genscope.tasks.dataset import read
read([{"text": "one two three four five", "label": "a"}] * 3)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = read(sys.argv[1], {"label": "none"})
print(json.dumps({"memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024, "rows": data.rows, "faults": [(one.kind, one.count) for one in data.faults]}))
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.jsonl"
        with path.open("wb") as file:
            file.write(b'{"text": "five words in this one"}\n{"text": "')
            for _ in range(1_000):
                file.write(b"x" * 1_000_000)
            file.write(b'"}\n{"text": "five words in that one"}\n')
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        say(
            "audit of a line of 1 GB: peak memory",
            found["memory"],
            " MB",
            "<=",
            300,
            f"read {found['rows']} other rows, counted {found['faults']}",
        )
