"""The command line teaches by example, and completes itself in shells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genscope.cli import app, main

COMMANDS = ["profile", "compare", "list", "doctor", "papers", "report", "study", "study list", "study show", "study run", "study check"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_of_its_own(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command.split(), "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert f"For example:\n\n  genscope {command}" in shown


def test_the_first_help_says_what_each_command_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    rows = {line.split()[1]: line.split()[2:-1] for line in shown.splitlines() if line.startswith("│ ") and len(line.split()) > 2}
    for command in {command.split()[0] for command in COMMANDS}:
        assert len(rows[command]) > 2, f"{command} has no description"
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_knows_commands_and_flags(tmp_path: Path, shell: str) -> None:
    script = app.generate_completion(shell=shell)
    assert "profile" in script
    assert "id-source" in script
    if shell == "bash":
        (tmp_path / "completion").write_text(script)
        assert subprocess.run(["bash", "-n", str(tmp_path / "completion")], check=False).returncode == 0


def test_completion_script_loads_no_torch() -> None:
    code = "import sys; from genscope.cli import app; app.generate_completion(shell='bash'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
