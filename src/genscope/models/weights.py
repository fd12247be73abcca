"""What identifies a local model: the hash of every file that can change a reply, read without torch or transformers."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from genscope.core.canonical import digest
from genscope.core.errors import ModelError
from genscope.core.store import home, write_whole

_PATTERNS = (
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*", "vocab*", "merges.txt",
    "special_tokens_map.json", "added_tokens.json", "chat_template*", "adapter_config.json",
)  # fmt: skip
STYLE_FILE = "genscope.json"
"""Beside the weights of a model that genscope trained: {"style": "compact"} where it reads tasks in their compact style only."""
_CHUNK = 8 << 20
_LARGEST_HEADER = 100 << 20
_LARGEST_JSON = 64 << 20


def folder_identity(folder: Path) -> str:
    """Hash over names and contents of the folder's weights, configuration, tokenizer and chat template."""
    return digest({path.name: file_hash(path) for path in model_files(folder)})


def model_files(folder: Path) -> list[Path]:
    """The files that identify a model, by name."""
    return sorted({path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()})


def file_hash(path: Path) -> str:
    """blake2b of a file; remembered by path, size and time of change, so that weights are read once."""
    facts = path.stat()
    key = f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}"
    memory_file = home() / "hashes" / f"{digest(key)}.json"
    try:
        held = json.loads(memory_file.read_text())
        if held["key"] == key:
            return held["hash"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    state = hashlib.blake2b(digest_size=20)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    write_whole(memory_file, json.dumps({"key": key, "hash": state.hexdigest()}).encode())
    return state.hexdigest()


def parameter_count(folder: Path) -> int | None:
    """Number of weights in the folder's safetensors files, from their headers; None without any."""
    counts = [_header_count(path) for path in sorted(folder.glob("*.safetensors"))]
    return sum(counts) if counts else None


def _header_count(path: Path) -> int:
    """Entries of all tensors: a safetensors file begins with the length of its JSON header (8 bytes) and the header."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(_LARGEST_HEADER, path.stat().st_size):
                raise ValueError("header longer than the file")
            header = json.loads(file.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise ModelError(
            f"{path}: not a safetensors file ({error}). Save the model with save_pretrained(folder) and name that folder"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder; {} when the file is not there."""
    if not path.is_file():
        return {}
    if path.stat().st_size > _LARGEST_JSON:
        raise ModelError(f"{path}: {path.stat().st_size:,} bytes is too large for a configuration file")
    try:
        value = json.loads(path.read_text("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON ({error}). The model folder is damaged; save or download it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: not a JSON object. The model folder is damaged; save or download it again")
    return value


def check_folder(folder: Path) -> None:
    """ModelError when the folder is no model that genscope loads: missing, without configuration, or with pickled weights only."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder. Name a folder with config.json and safetensors weights, or a hub id as hf:ORG/NAME")
    adapter = (folder / "adapter_config.json").is_file()
    if not adapter and not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: not a model, config.json is missing. A model folder has config.json, tokenizer files and *.safetensors"
        )
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
        if pickled:
            raise ModelError(
                f"{folder}: its weights are pickled ({', '.join(pickled[:3])}), which can run code when they are loaded; genscope loads safetensors only. "
                "If you trust them, convert them once:\n"
                "  from transformers import AutoModelForCausalLM, AutoTokenizer\n"
                f"  AutoModelForCausalLM.from_pretrained({str(folder)!r}).save_pretrained('converted'); AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained('converted')"
            )
        raise ModelError(
            f"{folder}: no weights, there is no *.safetensors file. Save the model with save_pretrained(folder) and name that folder"
        )


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer renders chat turns."""
    return (
        (folder / "chat_template.jinja").is_file()
        or (folder / "chat_template.json").is_file()
        or bool(read_json(folder / "tokenizer_config.json").get("chat_template"))
    )


def installed(names: Iterable[str]) -> dict[str, str]:
    """Versions of the named packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
