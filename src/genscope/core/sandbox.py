"""Running a program that a model wrote: own process, no network, no files of this machine but Python's own, limits of time, memory and output, no children.

bubblewrap gives the program namespaces of its own (users, processes, network, mounts) and a system-call filter that lets it start threads but no processes;
resource limits are set by prlimit inside. Without bubblewrap nothing is run: a subprocess with limits alone could still read files and reach the network.
"""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from genscope.core.errors import MissingError, UsageError

SYSTEM = ("bin", "lib", "lib32", "lib64", "sbin")
"""Folders beside /usr that hold programs and libraries."""
MACHINES = {"x86_64": (0xC000003E, 56, 435, (57, 58)), "aarch64": (0xC00000B7, 220, 435, ())}
"""Machine -> its number in the kernel's audit interface, then the numbers of the system calls clone, clone3, and (fork, vfork)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Limits of one run. seconds: by the clock and of processor time; memory: bytes of address space a process; output: bytes of standard output."""

    seconds: float = 10.0
    memory: int = 512 << 20
    output: int = 1 << 20

    def __post_init__(self) -> None:
        if min(self.seconds, self.memory, self.output) <= 0:
            raise UsageError(f"limits of a sandbox must be above 0, got {self.seconds} s, {self.memory} and {self.output} bytes")
        if not available():
            raise MissingError(
                "Programs run only in a sandbox: this needs Linux on x86_64 or aarch64 with bubblewrap and prlimit (Debian: apt-get install bubblewrap util-linux), and user namespaces that are allowed"
            )

    def __call__(self, program: str, given: str) -> str | None:
        """Standard output of a Python program with `given` as standard input; None where it failed, was too slow, or took or wrote too much."""
        with tempfile.TemporaryDirectory(prefix="genscope-sandbox-") as held:
            folder = Path(held)
            (folder / "program.py").write_text(program, "utf-8", errors="replace")
            (folder / "input").write_text(given, "utf-8", errors="replace")
            (folder / "filter").write_bytes(no_children(platform.machine()))
            with (folder / "input").open("rb") as source, (folder / "output").open("wb") as target, (folder / "filter").open("rb") as rules:
                try:
                    ended = subprocess.run(
                        self._command(folder / "program.py", rules.fileno()), stdin=source, stdout=target, stderr=subprocess.DEVNULL, timeout=self.seconds, check=False, env={},
                        pass_fds=[rules.fileno()],
                    )  # fmt: skip
                except subprocess.TimeoutExpired:
                    return None
            made = folder / "output"
            if ended.returncode != 0 or made.stat().st_size >= self.output:
                return None
            return made.read_text("utf-8", errors="replace")

    def _command(self, program: Path, rules: int) -> list[str]:
        limits = [f"--as={self.memory}", f"--cpu={max(1, round(self.seconds))}", f"--fsize={self.output}", "--core=0", "--nofile=64"]
        inside = ["--ro-bind", str(program), "/program.py", "--seccomp", str(rules)]
        return [*_walls(), *inside, _found("prlimit"), *limits, "--", _python(), "-I", "-S", "/program.py"]


def no_children(machine: str) -> bytes:
    """A system-call filter (classic BPF, as seccomp reads it) under which fork, vfork and clone fail unless they start a thread; clone3 is absent, so that clone is used."""
    audit, clone, clone3, forks = MACHINES[machine]
    allow, refuse, absent, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    # (code, jump if true, jump if false, value): load a word, compare, return; a jump is the number of lines that are passed over
    load, equal, least, set_, back = 0x20, 0x15, 0x35, 0x45, 0x06
    rows: list[tuple[int, int, int, int]] = [(load, 0, 0, 4), (equal, 1, 0, audit), (back, 0, 0, kill), (load, 0, 0, 0)]
    rows += [(least, 0, 1, 0x40000000), (back, 0, 0, refuse)]
    for one in forks:
        rows += [(equal, 0, 1, one), (back, 0, 0, refuse)]
    rows += [
        (equal, 0, 1, clone3),
        (back, 0, 0, absent),
        (equal, 0, 2, clone),
        (load, 0, 0, 16),
        (set_, 0, 1, 0x00010000),
        (back, 0, 0, allow),
    ]
    # what comes here is clone without CLONE_THREAD, or another call
    return b"".join(
        struct.pack("=HBBI", *row) for row in [*rows, (load, 0, 0, 0), (equal, 0, 1, clone), (back, 0, 0, refuse), (back, 0, 0, allow)]
    )


def available() -> bool:
    """Whether a program can be run in a sandbox on this machine: tried with one that does nothing."""
    if not (sys.platform == "linux" and platform.machine() in MACHINES and shutil.which("bwrap") and shutil.which("prlimit")):
        return False
    try:
        return subprocess.run([*_walls(), _python(), "-I", "-S", "-c", ""], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _walls() -> list[str]:
    made = [
        _found("bwrap"), "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
        "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LANG", "C.UTF-8", "--setenv", "OMP_NUM_THREADS", "1", "--ro-bind", "/usr", "/usr",
    ]  # fmt: skip
    for name in SYSTEM:
        place = Path("/", name)
        if place.is_symlink():
            made += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            made += ["--ro-bind", str(place), str(place)]
    home = Path(sys.base_prefix)
    if not home.is_relative_to("/usr"):
        made += ["--ro-bind", str(home), "/python"]
    return [*made, "--size", str(16 << 20), "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--chdir", "/tmp"]


def _found(program: str) -> str:
    return shutil.which(program) or program


def _python() -> str:
    home = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str((home if home.is_relative_to("/usr") else Path("/python")) / "bin" / version)
