"""The study engine: two workers against one on eight cells of 20 seconds of arithmetic, and what the engine adds to a cell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent

RUN = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from busy import Busy
from genscope.verbs import study
began = time.perf_counter()
found = study.run(Busy(), scale="standard", workers=int(sys.argv[2]), out=sys.argv[3])
wall = time.perf_counter() - began
assert not found.about["failed"], found.about["failed"]
again = time.perf_counter()
study.run(Busy(), scale="standard", workers=int(sys.argv[2]), out=sys.argv[3])
print(json.dumps({"wall": wall, "cells": json.load(open(sys.argv[3] + "/run.json"))["cpu_seconds"], "again": time.perf_counter() - again}))
"""
BUSY = '''
"""A study whose cells multiply matrices for a fixed amount of work."""

from genscope.core.card import Card
from genscope.core.claims import Claim, Clause
from genscope.engine.study import Cell, Paper, Part, Placebo, Study


class Busy(Study):
    """Eight cells of equal work."""

    name, question, answer, extra = "busy", "How fast is the engine?", "As fast as its cells.", "core"
    paper = Paper(0, "0000.00000", "Busy", 2026, "nobody")
    card = Card(motivation="practical", type="robustness", shift="covariate", source="fully generated", locus="train-test")
    claims = (Claim(id="B1", kind="instrument", sentence="One is one.", minimum_n=2, clauses=(Clause(metric="one", relation=">", margin=0.5, test="paired_t", pair=("seed",)),)),)
    parts = {"main": Part(sentence="all", claims=("B1",))}
    placebos = {}
    seeds = tuple(range(8))

    def cells(self, scale, seeds):
        return [Cell(part="main", condition="busy", seed=seed, settings={"work": WORK}) for seed in seeds]

    def run(self, cell, lab):
        import torch

        torch.set_num_threads(1)
        a = torch.randn(384, 384)
        for _ in range(cell.settings["work"]):
            a = (a @ a).clamp(-1, 1)
        return [cell.record("one", 1.0 + 1e-3 * cell.seed)]
'''
CALIBRATE = """
import json, time, torch
torch.set_num_threads(1)
a = torch.randn(384, 384)
began, rounds = time.perf_counter(), 0
while time.perf_counter() - began < 3:
    a = (a @ a).clamp(-1, 1); rounds += 1
print(json.dumps(rounds / (time.perf_counter() - began)))
"""


def run(say: Callable[..., None], note: Callable[[str, str], None], seconds: float = 20.0) -> None:
    """Print the figures; about five minutes."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CALIBRATE], capture_output=True, text=True, check=True, env=one_thread)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        # a fifth more than asked for, so that no cell falls below
        Path(folder, "busy.py").write_text(BUSY.replace("WORK", str(round(1.2 * seconds * float(done.stdout)))))
        path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        for workers in (1, 2):
            environment = {**one_thread, "PYTHONPATH": path, "GENSCOPE_HOME": f"{folder}/home-{workers}"}
            command = [sys.executable, "-c", RUN, folder, str(workers), f"{folder}/out-{workers}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            found[workers] = json.loads(done.stdout.strip().splitlines()[-1])
    cell = found[1]["cells"] / 8
    say(f"two workers over one, eight cells of {cell:.0f} s", found[1]["wall"] / found[2]["wall"], "", ">=", 1.8)
    say("engine's own time, of a cell (one worker)", 100 * (found[1]["wall"] / found[1]["cells"] - 1), " %", "<=", 5)
    note("  the same run again, all in the store", f"{found[1]['again']:.2f} s")
