"""Copying and prefix matching of SmolLM2-135M, by the clock on two threads: `genscope profile smollm2 --with copying` in a process of its own, nothing from the store."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def run(say: Callable[..., None], note: Callable[[str, str], None]) -> None:
    """The section with its default settings, weights loaded in it."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "genscope",
            "profile",
            "smollm2",
            "--with",
            "copying",
            "--without",
            "scylla",
            "--fresh",
            "--json",
            "--out",
            str(Path(folder) / "out"),
        ]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
        say("copying and prefix matching of SmolLM2-135M, two threads", time.perf_counter() - start, " s", "<=", 120)
