"""Speed, memory and agreement of the difficulty instruments; scikit-dimension in an environment of its own.

`python bench/hardness.py`: the intrinsic dimension and the class margin of 10,000 x 784 rows (MNIST's test set where $GENSCOPE_DATA has it, else noise of the same
shape), and the dimension of Gaussian balls beside scikit-dimension's estimator of the same kind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers"
SOURCE = HERE.parent / "src"

OURS = """
import json, resource, time
import numpy as np
from genscope.core.seeds import Seed
from genscope.measures.class_margin import class_margin
from genscope.measures.intrinsic_dimension import intrinsic_dimension
try:
    from genscope.tasks.images import mnist_test
    x, y = mnist_test(); x = x.reshape(len(x), -1); data = "MNIST test set"
except LookupError:
    x = Seed("bench").rng().random((10_000, 784)).astype(np.float32); y = np.arange(10_000) % 10; data = "noise"
began, cpu = time.perf_counter(), time.process_time()
found = intrinsic_dimension(x)
took, busy = time.perf_counter() - began, time.process_time() - cpu
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
began = time.perf_counter(); margin = class_margin(x, y); margin_took = time.perf_counter() - began
print(json.dumps({"data": data, "seconds": took, "cpu": busy, "gib": memory, "m": found.value, "margin_seconds": margin_took, "margin": margin.value,
                  "gib_after_margin": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
"""
BALLS = """
import json, sys
import numpy as np
from genscope.core.seeds import Seed
from genscope.measures.intrinsic_dimension import intrinsic_dimension
found = {}
for m in (2, 5, 10):
    x = Seed("ball", m).rng().standard_normal((2_000, m)) @ np.linalg.qr(Seed("turn", m).rng().standard_normal((20, m)))[0].T
    np.save(f"{sys.argv[1]}/{m}.npy", x)
    found[m] = intrinsic_dimension(x, k=20).value
print(json.dumps(found))
"""
PEER = """
import json, sys
import numpy as np
from skdim.id import MLE
print(json.dumps({m: float(MLE().fit(np.load(f"{sys.argv[1]}/{m}.npy"), n_neighbors=20, comb="mle").dimension_) for m in (2, 5, 10)}))
"""


def run(code: str, *words: str, interpreter: str = sys.executable) -> dict[str, float]:
    """A script in a process of its own; it prints one JSON object last."""
    env = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([interpreter, "-c", code, *words], capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.strip().splitlines()[-1])


def say(what: str, value: str, wanted: str) -> None:
    sys.stdout.write(f"{what:<66} {value:>14}   (wanted: {wanted})\n")
    sys.stdout.flush()


def peers() -> str:
    """An environment with scikit-dimension."""
    interpreter = str(PEERS / "bin" / "python")
    if not (PEERS / ".dimension").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run(
            [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "scikit-dimension==0.5.0"], check=True
        )
        (PEERS / ".dimension").touch()
    return interpreter


if __name__ == "__main__":
    found = run(OURS)
    say(f"intrinsic dimension of 10,000 x 784 ({found['data']})", f"{found['seconds']:.1f} s", "<= 10 s")
    say("  processor time", f"{found['cpu']:.1f} s", "-")
    say("  peak memory of the process", f"{found['gib']:.2f} GiB", "<= 1 GiB")
    say("class margin of the same, exact, all pairs", f"{found['margin_seconds']:.1f} s", "-")
    with tempfile.TemporaryDirectory() as folder:
        ours = run(BALLS, folder)
        theirs = run(PEER, folder, interpreter=peers())
    for m in ours:
        apart = abs(ours[m] / theirs[m] - 1)
        say(f"Gaussian ball of dimension {m} in 20 coordinates, k = 20", f"{ours[m]:.3f}", f"scikit-dimension {theirs[m]:.3f}, apart {100 * apart:.2f} %, <= 5 %")  # fmt: skip
