"""A net learns digits of which a fifth has a wrong label; genscope sees that it memorizes before a test set could tell.

python examples/watch_digits.py [RUN]      then: genscope watch RUN --once
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from genscope.watch import Monitor

WRONG, STEPS, BATCH = 0.2, 1_000, 64


def main(run: str = "runs/digits") -> None:
    """Train for a thousand steps under a monitor."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pixels, digit = load_digits(return_X_y=True)
    x = torch.tensor(pixels / 16, dtype=torch.float32)
    order = rng.permutation(len(x))
    train, test = order[:1200], order[1200:]
    label = digit.copy()
    wrong = train[rng.random(len(train)) < WRONG]
    label[wrong] = (label[wrong] + rng.integers(1, 10, len(wrong))) % 10
    y = torch.tensor(label)

    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    sample = {"train": (x[train[:256]], y[train[:256]]), "test": (x[test], y[test])}

    with Monitor(run, net, sample=sample, every=25, on_alert=lambda alert: print(f"step {alert.step}: {alert.sentence}")) as monitor:
        for _ in range(STEPS):
            rows = train[rng.choice(len(train), BATCH, replace=False)]
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            monitor.step(rows=rows)
    named = {int(row) for row in monitor.run.corrupt_like()}
    flipped = {place for place, row in enumerate(train[:256]) if row in set(wrong)}
    print(f"{len(named)} of 256 rows look wrong; {len(named & flipped)} of them are, of {len(flipped)} wrong ones")


if __name__ == "__main__":
    main(*sys.argv[1:2])
