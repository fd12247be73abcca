"""`make bench`: every promise on speed and size, measured in one run, each also as a ratio to what is wanted. Peers are installed in an environment of their own.

Give words to run some parts only (PARTS, below); with profile, smoke or standard for one scale (both by default); with difficulty, girth to wait for that peer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import coherence as bench_coherence
import study as bench_study

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers"


def python(code: str, *words: str, env: dict[str, str] | None = None, interpreter: str = sys.executable) -> dict[str, float]:
    """Run a script in a process of its own; it prints one JSON object."""
    done = subprocess.run([interpreter, "-c", code, *words], capture_output=True, text=True, check=True, env={**os.environ, **(env or {})})
    return json.loads(done.stdout.strip().splitlines()[-1])


def say(what: str, value: float, unit: str, relation: str, wanted: float, of: str = "") -> None:
    """One line: what was measured, what is wanted, and the ratio of the two (for ">=" 1 or more is kept, for "<=" 1 or less)."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 3
    kept = value >= wanted if relation == ">=" else value <= wanted
    target = f"{relation} {wanted:,.{0 if wanted >= 100 else 2}f}{unit}{f', {of}' if of else ''}"
    sys.stdout.write(
        f"{what:<68} {value:>12,.{digits}f}{unit:<4} ratio {value / wanted:>7.2f}  {'kept  ' if kept else 'MISSED'} (wanted: {target})\n"
    )
    sys.stdout.flush()


def note(what: str, text: str) -> None:
    """A line beside the figures, for which nothing is wanted."""
    sys.stdout.write(f"{what:<68} {text}\n")
    sys.stdout.flush()


def peers(*requirements: Sequence[str]) -> str:
    """The peers' environment with these packages (each a list of words for pip, installed once); its interpreter."""
    interpreter = str(PEERS / "bin" / "python")
    if not Path(interpreter).exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    ready = PEERS / ".ready"
    held = ready.read_text().splitlines() if ready.exists() else []
    for words in requirements:
        if " ".join(words) not in held:
            subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words], check=True)
            held.append(" ".join(words))
            ready.write_text("\n".join(held))
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
    ours, theirs = python(INSTANCES, env=one), python(PEER, interpreter=peers(("reasoning-gym==0.1.25",)), env=one)
    from genscope.tasks import scylla

    easy = [name for name in scylla.NAMES if scylla.task(name).level in (0, 1)]
    slowest = min(easy, key=ours.__getitem__)
    say(
        f"instances/s, slowest of levels 0 and 1 ({slowest})",
        ours[slowest],
        "/s",
        ">=",
        theirs["number_sorting"],
        "number_sorting of reasoning-gym",
    )
    rest = [name for name in scylla.NAMES if name not in easy and name != "tsp"]
    slowest = min(rest, key=ours.__getitem__)
    say(f"instances/s, slowest other list task, n <= 12 ({slowest})", ours[slowest], "/s", ">=", 1_000)
    say("  the same against a peer", ours[slowest], "/s", ">=", theirs["countdown"], "countdown of reasoning-gym")
    say("instances/s, tsp, n <= 8", ours["tsp"], "/s", ">=", 100)


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
        say(f"grading a reply of {size:,} characters, slowest ({which})", worst, "ms", "<=", wanted)


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
    say(
        "replies/s of a profile, 176 prompts in blocks of 16",
        176 / ours,
        "/s",
        ">=",
        0.8 * 176 / raw,
        "0.8 x raw model.generate, same prompts and batches",
    )
    say("  replies/s over those of raw model.generate", raw / ours, "", ">=", 0.8)
    memory = [max(run[which]["memory"] for run in runs) for which in (0, 1)]
    say("peak memory over that of raw model.generate", memory[0] / memory[1], "", "<=", 1.3)


AGAIN = """
import json, sys
from genscope.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    code = left.code or 0
print(json.dumps({"code": code, "heavy": sum(name in sys.modules for name in ("torch", "transformers"))}))
"""
"""A run that tells whether torch or transformers were imported."""


def profile() -> None:
    only = [word for word in sys.argv[1:] if word in ("smoke", "standard")]
    for scale, wanted in (("smoke", 120.0), ("standard", 900.0)):
        if only and scale not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            env = {"GENSCOPE_HOME": folder}
            python(AGAIN, "profile", "smollm2", "--dry-run", "--json", env=env)  # sets up: converts the weights
            words = ("profile", "smollm2", "--scale", scale, "--out", f"{folder}/out", "--json")
            seconds, heavy, asked = [], [], []
            for _ in range(2):
                began = time.perf_counter()
                heavy.append(python(AGAIN, *words, env=env)["heavy"])
                seconds.append(time.perf_counter() - began)
                asked.append(json.loads(Path(folder, "out", "run.json").read_text())["blocks_computed"])
        say(f"profile of SmolLM2 at {scale}, once set up ({asked[0]} blocks asked)", seconds[0], "s", "<=", wanted)
        say(f"  the same again ({asked[1]} blocks asked, {heavy[1]} of torch and transformers imported)", seconds[1], "s", "<=", 5)


def start() -> None:
    for what, words, wanted in (
        ("import genscope, over a bare interpreter", ["-c", "import genscope, sys; assert 'torch' not in sys.modules"], 0.25),
        ("genscope --help, interpreter included", ["-m", "genscope", "--help"], 0.6),
    ):
        times, bare = [], []
        for _ in range(7):
            for kept, command in ((times, words), (bare, ["-c", "pass"])):
                began = time.perf_counter()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                kept.append(time.perf_counter() - began)
        say(what, sorted(times)[3] - (sorted(bare)[3] if "import" in what else 0), "s", "<=", wanted)


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
        say("core install with bytecode", _megabytes(Path(folder)) - before, "MB", "<=", 600)


def cluster() -> None:
    from cluster import cluster as measured

    local, ray, ready, shortest = measured()
    times = f"{local:.0f} s on local workers, {ray:.0f} s on Ray, which was ready after {ready:.0f} s; shortest cell {shortest:.0f} s"
    say("Ray over the local workers, eight cells of 20 s", local / ray, "x", ">=", 0.9, times)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def difficulty() -> None:
    from difficulty import difficulty as run

    run(say, python)


def audits() -> None:
    from audit import audits as measured
    from audit import largest_record

    measured(say)
    largest_record(say)


def genil() -> None:
    found = json.loads(subprocess.run([sys.executable, str(HERE / "genil.py")], capture_output=True, text=True, check=True).stdout)
    say(f"GeniL's sparse model on {found['rows']:,.0f} rows, all nine languages", found["seconds"], " s", "<=", 240)


def study() -> None:
    bench_study.run(say, note)


def coherence() -> None:
    bench_coherence.run(lambda wanted: peers(*wanted), say, note)


def sequences() -> None:
    from sequences import sequences as run

    run(say, note)


def hardness() -> None:
    from hardness import hardness as run

    run(say, note, python, peers)


def ghost_batch_norm() -> None:
    from ghost_batch_norm import run

    run(say, note)


def watch() -> None:
    from watch import run

    run(say, note)


def copying() -> None:
    from copying import run

    run(say, note)


def pathways() -> None:
    from pathways import run

    run(say, note)


PARTS = {
    "audits": audits,
    "genil": genil,
    "instances": instances,
    "grading": grading,
    "start": start,
    "size": size,
    "generate": generate,
    "profile": profile,
    "cluster": cluster,
    "study": study,
    "coherence": coherence,
    "difficulty": difficulty,
    "hardness": hardness,
    "sequences": sequences,
    "ghost-batch-norm": ghost_batch_norm,
    "watch": watch,
    "copying": copying,
    "pathways": pathways,
}

if __name__ == "__main__":
    unknown = [word for word in sys.argv[1:] if word not in (*PARTS, "smoke", "standard", "girth")]
    if unknown:
        sys.exit(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}, and smoke or standard with profile")
    chosen = [word for word in sys.argv[1:] if word in PARTS] or list(PARTS)
    for name in chosen:
        PARTS[name]()
