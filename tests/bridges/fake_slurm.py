"""Enough of Slurm for submitit, as commands in a folder: sbatch starts a job's script at once (one process for each index of an array), sacct knows which ended."""

from __future__ import annotations

import sys
from pathlib import Path

SBATCH = """#!{python}
import os, re, subprocess, sys
script = sys.argv[-1]
text = open(script).read()
open({log!r}, "a").write(text)
array = re.search(r"--array=0-(\\d+)", text)
for index in range(int(array[1]) + 1 if array else 1):
    named = {{"SLURM_JOB_ID": str(700 + index), "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "here"}}
    if array:
        named |= {{"SLURM_ARRAY_JOB_ID": "700", "SLURM_ARRAY_TASK_ID": str(index)}}
    name = f"700_{{index}}" if array else "700"
    code = f"bash {{script}}; touch {folder}/ended-{{name}}"
    subprocess.Popen(["sh", "-c", code], env={{**os.environ, **named}}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
print("Submitted batch job 700")
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do case "$1" in --output|--error) shift;; esac; shift; done
exec "$@"
"""
SACCT = """#!{python}
import pathlib
print("JobID|State|NodeList")
for path in pathlib.Path({folder!r}).glob("ended-*"):
    print(path.name.removeprefix("ended-") + "|COMPLETED|here")
"""


def install(folder: Path) -> Path:
    """Write the commands into `folder`; the file in which sbatch keeps what it was given."""
    folder.mkdir()
    log = folder / "submitted"
    words = {"python": sys.executable, "folder": str(folder), "log": str(log)}
    for name, text in (("sbatch", SBATCH.format(**words)), ("srun", SRUN), ("sacct", SACCT.format(**words)), ("scancel", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return log
