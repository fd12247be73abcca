"""`make bench`: every speed and size of the README's promises, as ratios in one run. Peers are installed in an environment of their own.

Give words to run some parts only: audits, instances, grading, generate, profile, start, size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers"


def python(code: str, *words: str, env: dict[str, str] | None = None, interpreter: str = sys.executable) -> dict[str, float]:
    """Run a script in a process of its own; it prints one JSON object."""
    done = subprocess.run([interpreter, "-c", code, *words], capture_output=True, text=True, check=True, env={**os.environ, **(env or {})})
    return json.loads(done.stdout.strip().splitlines()[-1])


def say(what: str, value: str, wanted: str) -> None:
    sys.stdout.write(f"{what:<58} {value:>16}   (wanted: {wanted})\n")
    sys.stdout.flush()


def peers() -> str:
    """An environment with reasoning-gym."""
    interpreter = str(PEERS / "bin" / "python")
    if not (PEERS / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "reasoning-gym==0.1.25"], check=True)
        (PEERS / ".ready").touch()
    return interpreter


INSTANCES = """
import json, time
import numpy as np
from genscope.core.seeds import Seed
from genscope.tasks import scylla
from genscope.tasks.scylla.sampler import BLOCK
rates = {}
for name in scylla.NAMES:
    task = scylla.task(name)
    most = 8 if name == "tsp" else 12
    least = max(task.lengths[0], 4)
    shapes = tuple((n, n) if name == "longest_common_subarray" else n for n in range(least, most + 1))
    prior = scylla.IdSource.prior(task)
    source = scylla.IdSource(prior.elements, prior.completion, shapes, np.zeros(len(shapes), dtype=int))
    scylla.Sampler(task, source, "elements", "paper", Seed("warm")).ood(0, BLOCK)
    sampler = scylla.Sampler(task, source, "elements", "paper", Seed("bench"))
    began = time.perf_counter()
    made = len(sampler.id(0, 4 * BLOCK)) + len(sampler.ood(0, 4 * BLOCK))
    rates[name] = made / (time.perf_counter() - began)
print(json.dumps(rates))
"""
PEER = """
import json, time, reasoning_gym
rates = {}
for name in ("number_sorting", "countdown"):
    data = reasoning_gym.create_dataset(name, size=4000, seed=1)
    data[0]
    began = time.perf_counter(); count = 0
    while time.perf_counter() - began < 2 and count < 4000:
        data[count]; count += 1
    rates[name] = count / (time.perf_counter() - began)
print(json.dumps(rates))
"""


def instances() -> None:
    one = {"OMP_NUM_THREADS": "1"}
    ours, theirs = python(INSTANCES, env=one), python(PEER, interpreter=peers(), env=one)
    from genscope.tasks import scylla

    easy = [name for name in scylla.NAMES if scylla.task(name).level in (0, 1)]
    slowest = min(easy, key=ours.__getitem__)
    say(
        f"instances/s, slowest of levels 0 and 1 ({slowest})",
        f"{ours[slowest]:,.0f}",
        f">= number_sorting of reasoning-gym, {theirs['number_sorting']:,.0f}",
    )
    say("  as a ratio", f"{ours[slowest] / theirs['number_sorting']:.2f}", ">= 1")
    rest = [name for name in scylla.NAMES if name not in easy and name != "tsp"]
    slowest = min(rest, key=ours.__getitem__)
    say(
        f"instances/s, slowest other list task, n <= 12 ({slowest})",
        f"{ours[slowest]:,.0f}",
        f">= 1,000; countdown of reasoning-gym {theirs['countdown']:,.0f}",
    )
    say("instances/s, tsp, n <= 8", f"{ours['tsp']:,.0f}", ">= 100")


def grading() -> None:
    from genscope.core.seeds import Seed
    from genscope.tasks import scylla

    for size, wanted in ((200, 0.1), (8_000, 1.0)):
        worst, which = 0.0, ""
        for name in scylla.NAMES:
            task = scylla.task(name)
            example = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("grade")).ood(0, 1)[0]
            end = f" The answer is {task.answer_text(example.target)}."
            reply = ("I look at [1, 2, 3] and 45, then 6. " * 400)[: max(0, size - len(end))] + end
            times = []
            for _ in range(200):
                began = time.perf_counter()
                task.score(example, reply)
                times.append(time.perf_counter() - began)
            typical = 1_000 * sorted(times)[100]
            if typical > worst:
                worst, which = typical, name
        say(f"grading a reply of {size:,} characters, slowest ({which})", f"{worst:.3f} ms", f"<= {wanted} ms")


SETUP = """
import json, resource, sys, time
from genscope.core.seeds import Seed
from genscope.core.reply import GenerateJob, Sampling
from genscope.models import names
from genscope.sections.profile import scylla_ask
from genscope.tasks import scylla
model = names.make("smollm2")
jobs = []
for name in ("find_minimum", "two_sum", "three_sum"):
    task = scylla.task(name)
    sampler = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("bench"))
    for split in (sampler.id(0, 32), sampler.ood(0, 32)):
        for start in (0, 16):
            rows = tuple(scylla_ask.request(task, example, "direct", ()) for example in split[start : start + 16])
            jobs.append(GenerateJob(requests=rows, sampling=Sampling(max_tokens=24)))
model._load()
"""
OURS = (
    SETUP
    + """
import tempfile
from pathlib import Path
from genscope.core.store import Store
from genscope.models.ask import Asker
asker = Asker(model, Store.open(Path(tempfile.mkdtemp())))
asker.generate(jobs[:1], "warm"); began = time.perf_counter()
asker.generate(jobs[1:], "bench")
print(json.dumps({"seconds": time.perf_counter() - began, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""
)
RAW = (
    SETUP
    + """
import torch
network, tokenizer = model._load()
tokenizer.padding_side = "left"
def block(job):
    batch = tokenizer([model._rendered(request) for request in job.requests], return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        out = network.generate(**batch, max_new_tokens=24, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    tokenizer.batch_decode(out[:, batch["input_ids"].shape[1]:], skip_special_tokens=True)
block(jobs[0]); began = time.perf_counter()
for job in jobs[1:]: block(job)
print(json.dumps({"seconds": time.perf_counter() - began, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""
)


def generate() -> None:
    runs = [(python(OURS), python(RAW)) for _ in range(2)]
    ours = min(run[0]["seconds"] for run in runs)
    raw = min(run[1]["seconds"] for run in runs)
    say("replies/s of a profile over raw model.generate", f"{raw / ours:.2f}", ">= 0.8")
    say("  replies/s", f"{176 / ours:.1f}", "-")
    say(
        "peak memory over that of raw model.generate",
        f"{max(r[0]['memory'] for r in runs) / max(r[1]['memory'] for r in runs):.2f}",
        "<= 1.3",
    )


def profile() -> None:
    for scale, first, second in (("smoke", "120 s", "5 s"), ("standard", "900 s", "5 s")):
        if scale not in sys.argv and scale == "standard":
            continue
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "GENSCOPE_HOME": folder}
            times = []
            subprocess.run([sys.executable, "-m", "genscope", "profile", "smollm2", "--dry-run"], env=env, check=True, capture_output=True)
            for _ in range(2):
                began = time.perf_counter()
                command = [sys.executable, "-m", "genscope", "profile", "smollm2", "--scale", scale, "--out", f"{folder}/out"]
                subprocess.run(command, env=env, check=True, capture_output=True)
                times.append(time.perf_counter() - began)
        say(f"profile of SmolLM2 at {scale}, once set up", f"{times[0]:.0f} s", f"<= {first}")
        say("  the same again, all in the store", f"{times[1]:.1f} s", f"<= {second}")


def start() -> None:
    for what, words, wanted in (
        ("import genscope", ["-c", "import genscope"], 0.25),
        ("genscope --help", ["-m", "genscope", "--help"], 0.6),
    ):
        times, bare = [], []
        for _ in range(7):
            for kept, command in ((times, words), (bare, ["-c", "pass"])):
                began = time.perf_counter()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                kept.append(time.perf_counter() - began)
        say(what, f"{sorted(times)[3] - (sorted(bare)[3] if 'import' in what else 0):.3f} s", f"<= {wanted} s")


def size() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        command = [
            f"{folder}/bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-c",
            str(HERE.parent / "constraints.txt"),
            str(HERE.parent),
        ]
        before = _megabytes(Path(folder))
        subprocess.run(command, check=True)
        subprocess.run([f"{folder}/bin/python", "-m", "compileall", "-q", f"{folder}/lib"], check=False, capture_output=True)
        say("core install, with bytecode", f"{_megabytes(Path(folder)) - before:.0f} MB", "<= 600 MB")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def audits() -> None:
    from audit import audits as measured
    from audit import largest_record

    measured(say)
    largest_record(say)


PARTS = {
    "audits": audits,
    "instances": instances,
    "grading": grading,
    "start": start,
    "size": size,
    "generate": generate,
    "profile": profile,
}

if __name__ == "__main__":
    chosen = [word for word in sys.argv[1:] if word in PARTS] or list(PARTS)
    for name in chosen:
        PARTS[name]()
