"""Sequence models: the training loop beside a bare one, greedy decoding with a cache beside recomputation, RASP-L in batches beside a loop over sequences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent

TRAIN = """
import json, time, sys
import numpy as np, torch
torch.set_num_threads(1)
from genscope.core.seeds import Seed
from genscope.training import sequences
UPDATES = 60
recipe = sequences.SequenceRecipe(task="unique_copy", symbols=60, seed=Seed("bench"), updates=UPDATES, look_every=10**6)
task, codes = recipe.make_task(), sequences.token_table(recipe.make_task())
rng = Seed("bench", "data").rng()
batches = [[sequences.as_tokens(task.sample(int(n), rng), codes) for n in rng.integers(1, 21, 64)] for _ in range(UPDATES)]
tokens = sum(len(p) + len(a) for batch in batches for p, a in batch)

def ours():
    held, sequences.exact_match = sequences.exact_match, lambda *a, **k: {1: 0.0}
    began = time.perf_counter(); sequences.train_sequences(recipe); spent = time.perf_counter() - began
    sequences.exact_match = held
    return tokens / spent

def bare():
    net = recipe.net(len(codes)).build(Seed("bench", "net")).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    padded = []
    for batch in batches:
        width = max(len(p) + len(a) for p, a in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long); labels = torch.full((len(batch), width), -100)
        for row, (p, a) in enumerate(batch):
            ids[row, : len(p) + len(a)] = torch.tensor([*p, *a]); labels[row, len(p) : len(p) + len(a)] = torch.tensor(a)
        padded.append((ids, labels))
    began = time.perf_counter()
    for ids, labels in padded:
        loss = net(input_ids=ids, labels=labels, use_cache=False).loss
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return tokens / (time.perf_counter() - began)

ours(); bare()
rates = [(ours(), bare()) for _ in range(3)]
print(json.dumps({"ours": max(a for a, _ in rates), "bare": max(b for _, b in rates)}))
"""
DECODE = """
import json, time
import torch
torch.set_num_threads(1)
from genscope.core.seeds import Seed
from genscope.models.small_lm import SmallLM
from genscope.training.sequences import greedy
net = SmallLM(vocabulary=62, table=128).build(Seed("bench")).eval()
prompts = torch.randint(2, 62, (200, 42), generator=torch.Generator().manual_seed(0))

@torch.no_grad()
def recomputed():
    rows = []
    for prompt in prompts:  # one sequence at a time, the whole of it again for every token
        row = prompt[None]
        for _ in range(41):
            row = torch.cat([row, net(input_ids=row, use_cache=False).logits[:, -1].argmax(-1)[:, None]], 1)
        rows.append(row[0, 42:].tolist())
    return rows

@torch.no_grad()
def in_batch():
    rows = prompts
    for _ in range(41):
        rows = torch.cat([rows, net(input_ids=rows, use_cache=False).logits[:, -1].argmax(-1)[:, None]], 1)
    return rows[:, 42:].tolist()

def timed(f):
    began = time.perf_counter(); found = f(); return time.perf_counter() - began, found
greedy(net, prompts[:2], 1, 3)
a, b, c = (timed(one)[0] for one in (lambda: greedy(net, prompts, 1, 41), in_batch, recomputed))
# the same tokens up to the end token, in float64: near ties fall differently in float32 with the shape of a batch
net, prompts = net.double(), prompts[:20]
one, two, three = greedy(net, prompts, 1, 41), *([row[: row.index(1) + 1] if 1 in row else row for row in found] for found in (in_batch(), recomputed()))
print(json.dumps({"cached": a, "batch": b, "single": c, "equal": float(one == two == three)}))
"""
RASP = """
import json, time
import numpy as np
from genscope.core.seeds import Seed
from genscope.tasks.rasp import run
from genscope.tasks.rasp.programs import PROGRAMS
from tests.tasks.test_rasp import oracle
tokens = Seed("bench").rng().integers(0, 9, (1000, 50))
ratios = {}
for name in ("sort", "majority", "unique_copy"):
    program = PROGRAMS[name]
    began = time.perf_counter(); whole = run(program, tokens); ours = time.perf_counter() - began
    graph = program.graph(); few = tokens[:4]
    began = time.perf_counter(); slow = [oracle(graph, row) for row in few.tolist()]; loop = (time.perf_counter() - began) * len(tokens) / len(few)
    assert slow == whole[:4].tolist()
    ratios[name] = loop / ours
print(json.dumps(ratios))
"""


def sequences(say: Callable[..., None], note: Callable[[str, str], None]) -> None:
    """Print the three figures."""
    trained = _run(TRAIN)
    say("training of 2 layers, d 64, tokens/s over a bare loop", trained["ours"] / trained["bare"], "", ">=", 0.85)
    note("  tokens/s", f"{trained['ours']:,.0f}, bare loop of the same model {trained['bare']:,.0f}")
    decoded = _run(DECODE)
    if not decoded["equal"]:
        raise SystemExit("bench: the three ways of decoding differ")
    say("greedy decoding of 200 x 41 tokens over recomputation in a batch", decoded["batch"] / decoded["cached"], "", ">=", 5)
    note("  over recomputation one by one", f"{decoded['single'] / decoded['cached']:.1f}")
    ratios = _run(RASP)
    slowest = min(ratios, key=ratios.__getitem__)
    say(f"RASP-L on 1,000 sequences of 50 over a loop ({slowest})", ratios[slowest], "", ">=", 20)


def _run(code: str) -> dict[str, float]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.strip().splitlines()[-1])
