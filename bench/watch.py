"""Time of a monitored training step over that of the same step without, at the default cadence, in turns in one process; and the memory that a look adds."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genscope.core.seeds import Seed
from genscope.models.small_lm import SmallLM
from genscope.watch.measure import Data
from genscope.watch.monitor import Monitor, classify

STEPS = 400
WIDE = 4_096
"""Width at which the weights are most of the memory."""


def run(say: Callable[..., None], note: Callable[[str, str], None]) -> None:
    """A dense net on batches of 128 rows, and a decoder of 0.8M parameters on batches of 16 sequences of 64 tokens; samples of 256 and 32 rows a split."""
    torch.set_num_threads(1)
    net, (x, y), splits = dense()
    say("monitored step, dense net, a look every 100 steps", _ratio(net, (x, y), 128, splits, classify, STEPS), "x", "<=", 1.1, "without")
    ids = torch.randint(0, 256, (512, 64))
    decoder = SmallLM(vocabulary=256, layers=4, width=128, heads=4, table=64).build(Seed("bench"))
    words: dict[str, Any] = {"train": {"x": ids[:32], "y": ids[:32]}, "test": {"x": ids[32:64], "y": ids[32:64]}}
    ratio = _ratio(decoder, (ids, ids), 16, words, next_token, 200)
    say("monitored step, decoder of 0.8M parameters, the same cadence", ratio, "x", "<=", 1.1, "without")
    with_one, without = (_peak(monitored) for monitored in (True, False))
    parameters = sum(one.numel() for one in dense(WIDE)[0].parameters()) * 4 / 1e6
    note(
        "  peak memory of 20 steps with looks before and after, over that of the steps alone (a wide dense net, each in its own process)",
        f"{with_one - without:.0f} MB above {without:.0f} MB; parameters {parameters:.0f} MB, kept once more as the start",
    )


def _peak(monitored: bool) -> float:
    """MB at the peak of a process that trains the wide net for 20 steps."""
    order = [sys.executable, "-c", f"import watch; watch.train_dense({monitored})"]
    return float(subprocess.run(order, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout)


def train_dense(monitored: bool) -> None:
    """20 steps of the wide net in this process; prints its peak memory in MB."""
    torch.set_num_threads(1)
    net, (x, y), splits = dense(WIDE)
    _seconds(net, (x, y), 128, splits if monitored else None, classify, 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def dense(width: int = 512) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], dict[str, Any]]:
    """(net, rows, sample)."""
    x, y = torch.randn(4096, 784), torch.randint(0, 10, (4096,))
    net = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    return net, (x, y), {"train": (x[:256], y[:256]), "test": (x[256:512], y[256:512])}


def next_token(net: nn.Module, data: Data) -> tuple[torch.Tensor, None]:
    """Mean loss of each sequence."""
    rows = data["x"]
    # positions for every sequence: one row for all of them would have no gradient of each
    scores = net(input_ids=rows, position_ids=torch.arange(rows.shape[1]).expand(rows.shape)).logits[:, :-1]
    return nn.functional.cross_entropy(scores.transpose(1, 2), data["y"][:, 1:], reduction="none").mean(1), None


def _ratio(net: nn.Module, rows: tuple[torch.Tensor, torch.Tensor], batch: int, sample: dict[str, Any], judge: Any, steps: int) -> float:
    """Processor time with the monitor over that without, median of three pairs."""
    _seconds(deepcopy(net), rows, batch, None, judge, 20)
    pairs = [
        (_seconds(deepcopy(net), rows, batch, sample, judge, steps), _seconds(deepcopy(net), rows, batch, None, judge, steps))
        for _ in range(3)
    ]
    return sorted(one / two for one, two in pairs)[1]


def _seconds(
    net: nn.Module, rows: tuple[torch.Tensor, torch.Tensor], batch: int, sample: dict[str, Any] | None, judge: Any, steps: int
) -> float:
    optimizer = torch.optim.AdamW(net.parameters())
    with tempfile.TemporaryDirectory() as folder:
        monitor = Monitor(Path(folder) / "run", net, sample=sample, judge=judge) if sample else None
        start = time.process_time()
        for step in range(steps):
            at = (step * batch) % (len(rows[0]) - batch + 1)
            data = {"x": rows[0][at : at + batch], "y": rows[1][at : at + batch]}
            loss = judge(net, data)[0].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if monitor:
                monitor.step(batch=batch)
        took = time.process_time() - start
        if monitor:
            monitor.close()
    return took
