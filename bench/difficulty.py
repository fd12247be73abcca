"""Item response theory and Glicko-2 against their peers: girth, the Python package `mirt`, py-irt (each in an environment of its own), one thread.

One simulated record of 1,000 solvers and 500 items (2PL, seed fixed): seconds of the fit, and the error of b against the difficulties that made it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = {"fast": (".venv-peers-irt", ("girth==0.8.0", "mirt==1.2.0")), "pyro": (".venv-peers-pyro", ("py-irt==0.7.1",))}
"""py-irt pins old versions of pandas and rich, so that it has an environment of its own (Python below 3.12)."""
EPOCHS = 500

RECORD = """
import numpy as np
from genscope.core.seeds import Seed
rng = Seed("bench", "2pl").rng()
theta, b, a = rng.standard_normal(1_000), rng.standard_normal(500), np.exp(0.3 * rng.standard_normal(500))
x = (rng.random((1_000, 500)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))).astype(np.int8)
np.savez(path, x=x, b=b)
"""
ERRORS = """
def b_errors(b, truth):
    import numpy as np
    scaled = (b - b.mean()) / b.std() * truth.std() + truth.mean()
    return {"rmse": float(np.sqrt(np.mean((b - truth) ** 2))), "rmse_scaled": float(np.sqrt(np.mean((scaled - truth) ** 2)))}
"""
"""Error of b as it is, and with location and scale taken from the truth (py-irt leaves its scale free)."""
OURS = ERRORS + (
    """
import json, sys, time, numpy as np
from genscope.measures.irt import difficulty_irt
from genscope.tasks.responses import ResponseRecord
held = np.load(sys.argv[1])
record = ResponseRecord.from_matrix(held["x"])
difficulty_irt(record.take(record.item < 20), "2pl")
found = {}
for name, errors in (("seconds", False), ("with_errors", True)):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        fit = difficulty_irt(ResponseRecord.from_matrix(held["x"]), "2pl", errors=errors)
        times.append(time.perf_counter() - began)
    found[name] = min(times)
prior = difficulty_irt(record, "2pl", errors=False, prior_b=2.0)
print(json.dumps({**found, **b_errors(fit.b, held["b"]), **{f"prior_{name}": value for name, value in b_errors(prior.b, held["b"]).items()}}))
"""
)
MIRT = (
    ERRORS
    + """
import json, sys, time, numpy as np, mirt
held = np.load(sys.argv[1])
x = held["x"].astype(np.int_)
mirt.fit_mirt(x[:, :20], "2PL", compute_standard_errors=False)
times = []
for _ in range(3):
    began = time.perf_counter()
    fit = mirt.fit_mirt(x, "2PL", compute_standard_errors=False, n_quadpts=int(sys.argv[2]))
    times.append(time.perf_counter() - began)
b = np.asarray(fit.model.parameters["difficulty"]).ravel()
print(json.dumps({"seconds": min(times), **b_errors(b, held["b"])}))
"""
)
GIRTH = (
    ERRORS
    + """
import json, sys, time, numpy as np
from girth import twopl_mml
held = np.load(sys.argv[1])
began = time.perf_counter()
fit = twopl_mml(held["x"].T.astype(int))
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, **b_errors(fit["Difficulty"], held["b"])}))
"""
)
PYIRT = (
    ERRORS
    + """
import json, sys, tempfile, time, numpy as np
from pathlib import Path
from py_irt.config import IrtConfig
from py_irt.training import IrtModelTrainer
held = np.load(sys.argv[1])
path = Path(tempfile.mkdtemp()) / "data.jsonlines"
path.write_text("".join(json.dumps({"subject_id": f"s{i}", "responses": {f"q{j}": int(v) for j, v in enumerate(row)}}) + "\\n" for i, row in enumerate(held["x"])))
trainer = IrtModelTrainer(data_path=path, config=IrtConfig(model_type="2pl", epochs=int(sys.argv[2]), seed=1, priors="hierarchical"), verbose=False)
began = time.perf_counter()
trainer.train(device="cpu")
seconds = time.perf_counter() - began
found = trainer.best_params
order = [int(str(found["item_ids"][k])[1:]) for k in range(len(found["diff"]))]
b = np.empty(len(order)); b[order] = np.asarray(found["diff"], float).ravel()
b *= np.sign(np.corrcoef(b, held["b"])[0, 1])
print(json.dumps({"seconds": seconds, **b_errors(b, held["b"])}))
"""
)
LARGE = """
import json, resource, time, numpy as np
from genscope.core.seeds import Seed
from genscope.measures.irt import difficulty_irt
from genscope.tasks.responses import ResponseRecord
rng = Seed("bench", "large").rng()
n, j = 10_000, 2_000
theta, b, a = rng.standard_normal(n), rng.standard_normal(j), np.exp(0.3 * rng.standard_normal(j))
x = np.empty((n, j), np.float32)
for start in range(0, n, 1_000):
    p = 1 / (1 + np.exp(-a * (theta[start : start + 1_000, None] - b)))
    x[start : start + 1_000] = np.where(rng.random(p.shape) < 0.6, np.nan, rng.random(p.shape) < p)
record = ResponseRecord.from_matrix(x)
del x
began, machine = time.perf_counter(), time.process_time()
fit = difficulty_irt(record, "2pl")
print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - machine, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "rmse": float(np.sqrt(np.mean((fit.b - b) ** 2))), "converged": float(fit.converged)}))
"""
GAMES = """
import json, time, numpy as np
from genscope.core.seeds import Seed
from genscope.measures.glicko2 import Glicko, Players, play
rng, constants, rates = Seed("bench", "glicko2").rng(), Glicko(), {}
for size in (1_000, 100_000):
    players = Players.new(5_000, constants)
    games = [(rng.integers(0, 2_500, size), rng.integers(2_500, 5_000, size), (rng.random(size) < 0.5).astype(float)) for _ in range(20)]
    began = time.perf_counter()
    for period, game in enumerate(games):
        play(players, *game, constants, period)
    rates[str(size)] = 20 * size / (time.perf_counter() - began)
print(json.dumps(rates))
"""


def difficulty(say: Callable[..., None], python: Callable[..., dict[str, float]]) -> None:
    """Every figure of the part `difficulty`; give the word girth to run girth too (minutes)."""
    one = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/record.npz"
        subprocess.run([sys.executable, "-c", f"path = {path!r}\n{RECORD}"], check=True, env={**os.environ, **one})
        # 21 nodes is its default, and too coarse for 500 items
        peers = {f"mirt, {nodes} nodes": python(MIRT, path, str(nodes), env=one, interpreter=_environment("fast")) for nodes in (21, 61)}
        peers[f"py-irt, {EPOCHS} epochs"] = python(PYIRT, path, str(EPOCHS), env=one, interpreter=_environment("pyro"))
        if "girth" in sys.argv:
            peers["girth"] = python(GIRTH, path, env=one, interpreter=_environment("fast"))
        ours = python(OURS, path, env=one)
    prior = {name: ours[f"prior_{name}"] for name in ("rmse", "rmse_scaled")}
    for name, found in {**peers, "ours": ours, "ours, prior N(0, 2^2) on b": prior}.items():
        seconds = f"{found['seconds']:.3f} s, " if "seconds" in found else ""
        sys.stdout.write(
            f"2PL of 1,000 x 500, {name}: {seconds}error of b {found['rmse']:.4f}, with location and scale of the truth {found['rmse_scaled']:.4f}\n"
        )
    name = min(peers, key=lambda one: peers[one]["seconds"])
    best = min(one["rmse"] for other, one in peers.items() if "py-irt" not in other)
    say(
        f"2PL of 1,000 x 500, times as fast as {name}",
        peers[name]["seconds"] / ours["seconds"],
        "",
        ">=",
        5.0,
        "the fastest peer; without standard errors",
    )
    say("2PL of 1,000 x 500, error of b", ours["rmse"], "", "<=", best + 0.002, "the best maximum likelihood peer's + .002")
    bayes = min(one["rmse_scaled"] for one in peers.values())
    say(
        "2PL of 1,000 x 500, error of b, scaled, with a prior",
        prior["rmse_scaled"],
        "",
        "<=",
        bayes + 0.002,
        "the best peer's + .002, py-irt with its priors among them",
    )
    say("2PL of 1,000 x 500, with standard errors", ours["with_errors"], " s", "<=", peers[name]["seconds"], f"{name} without them")
    large = python(LARGE, env=one)
    sys.stdout.write(f"2PL of 10,000 x 2,000, 60 % missing: error of b {large['rmse']:.4f}, CPU {large['cpu']:.0f} s\n")
    say("2PL of 10,000 x 2,000, 60 % missing, with standard errors", large["seconds"], " s", "<=", 60.0)
    say("  peak memory", large["memory"] / 2**30, " GiB", "<=", 4.0)
    for size, rate in python(GAMES, env=one).items():
        say(f"Glicko-2, games in periods of {int(size):,}", rate, " /s", ">=", 200_000.0)


def _environment(name: str) -> str:
    folder, packages = ENVIRONMENTS[name]
    interpreter = ROOT / folder / "bin" / "python"
    if not (ROOT / folder / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(ROOT / folder)], check=True)
        subprocess.run([str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
        (ROOT / folder / ".ready").touch()
    return str(interpreter)
