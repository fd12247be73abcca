"""`make` does its own set-up; what it cannot set up is one clear line, and pip gets what the user says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(tmp_path: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the Makefile in an empty folder with a made-up interpreter."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # this suite may be run by make itself
    return subprocess.run(["make", f"PYTHON={interpreter}", *words], cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["profile", "test"])
def test_a_missing_venv_module_is_one_clear_line(tmp_path: Path, target: str) -> None:
    done = make(tmp_path, 'case "$*" in *"import venv"*) exit 1;; esac', target)
    assert done.returncode != 0
    assert done.stdout == "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv\n"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_old_python_is_one_clear_line(tmp_path: Path) -> None:
    done = make(tmp_path, 'case "$*" in *version_info*) exit 1;; *--version*) echo "Python 3.10.2";; esac', "profile")
    assert "genscope needs Python 3.11 or newer" in done.stdout
    assert "Python 3.10.2" in done.stdout


def test_pip_gets_the_users_arguments_and_the_constraints(tmp_path: Path) -> None:
    done = make(tmp_path, "exit 0", "-n", "profile", "PIP_ARGS=--extra-index-url https://mirror")
    installs = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert all("--extra-index-url https://mirror" in line for line in installs)
    assert all("-c constraints.txt" in line or "--no-deps" in line for line in installs)
