"""Speed, memory and agreement of the difficulty instruments; scikit-dimension in an environment of its own.

The intrinsic dimension and the class margin of 10,000 x 784 rows (MNIST's test set where $GENSCOPE_DATA has it, else noise of the same
shape), and the dimension of Gaussian balls beside scikit-dimension's estimator of the same kind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"

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


def hardness(
    say: Callable[..., None], note: Callable[[str, str], None], python: Callable[..., dict[str, float]], peers: Callable[..., str]
) -> None:
    """Print the figures. python: runs a script in a process of its own; peers: makes the peers' environment and gives its interpreter."""
    one = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE)}
    found = python(OURS, env=one)
    say(f"intrinsic dimension of 10,000 x 784 ({found['data']})", found["seconds"], " s", "<=", 10)
    say("  peak memory of the process", found["gib"], " GiB", "<=", 1)
    note("  processor time", f"{found['cpu']:.1f} s")
    note("class margin of the same, exact, all pairs", f"{found['margin_seconds']:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        ours = python(BALLS, folder, env=one)
        theirs = python(PEER, folder, env=one, interpreter=peers(("scikit-dimension==0.5.0",)))
    for m in ours:
        apart = 100 * abs(ours[m] / theirs[m] - 1)
        say(
            f"Gaussian ball of dimension {m} in 20 coordinates: apart from the peer",
            apart,
            " %",
            "<=",
            5,
            f"{ours[m]:.3f}, scikit-dimension {theirs[m]:.3f}",
        )
