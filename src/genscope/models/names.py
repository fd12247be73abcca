"""Models by one string: `smollm2`, `hf:FOLDER?dtype=f32`, `run:ID`, `gguf:FILE`, `openai:MODEL@URL`, `inspect:PROVIDER/MODEL`, `py:module:function`, `demo`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from genscope.core.errors import ModelError, UsageError, unknown
from genscope.models.model import Model

_LOCAL = ("adapter", "revision", "dtype", "device", "system", "template")
OPTIONS = {
    "smollm2": ("adapter", "dtype", "device", "system", "template"),
    "hf": _LOCAL,
    "run": ("dtype", "device", "system", "template"),
    "gguf": ("dtype", "device", "system", "template"),
    "openai": ("system", "timeout"),
    "inspect": ("system",),
    "py": (),
    "demo": (),
}
"""Kinds of models, and the options that each takes."""
EXAMPLES = {
    "smollm2": ("smollm2", "SmolLM2-135M-Instruct, embedded, four-bit (Q4_1) weights dequantised"),
    "hf": ("hf:./my-model", "a folder of safetensors, or a hub id"),
    "run": ("run:ID", "a model that genscope trained"),
    "gguf": ("gguf:./model.gguf", "a GGUF file, converted once"),
    "openai": ("openai:gpt-4o-mini or openai:my-model@http://localhost:8000/v1", "any OpenAI-compatible server"),
    "inspect": ("inspect:anthropic/claude-sonnet-4-0", "any provider of Inspect"),
    "py": ("py:my_module:answer", "a function, text to text"),
    "demo": ("demo", "a planted solver with a known valley; synthetic"),
}


@dataclass(frozen=True, slots=True)
class Name:
    """A model's string in parts."""

    kind: str
    body: str
    options: dict[str, str]


def parse(text: str) -> Name:
    """Split a model's string; UsageError for an unknown kind or option.

    >>> parse("hf:./m?dtype=f32&system=Be%20brief.")
    Name(kind='hf', body='./m', options={'dtype': 'f32', 'system': 'Be brief.'})
    >>> parse("openai:gpt-4o@https://host/v1").body
    'gpt-4o@https://host/v1'
    """
    head, _, query = text.strip().partition("?")
    kind, colon, body = head.partition(":")
    if kind not in OPTIONS:
        if Path(head).is_dir():
            raise UsageError(f"unknown model {head!r}. It is a folder: did you mean hf:{head}?")
        if head.endswith(".gguf"):
            raise UsageError(f"unknown model {head!r}. Did you mean gguf:{head}?")
        raise UsageError(unknown("model", kind if colon else head, [example for example, _ in EXAMPLES.values()]))
    if bool(body) == (kind in ("smollm2", "demo")):
        raise UsageError(f"{text!r}: write {EXAMPLES[kind][0]} ({EXAMPLES[kind][1]})")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in OPTIONS[kind]:
            raise UsageError(unknown(f"option of {kind} models:", option, OPTIONS[kind] or ["none"]))
    return Name(kind, body, options)


def make(text: str, *, key_env: str = "OPENAI_API_KEY", concurrency: int = 8) -> Model:
    """The model of that name. Nothing is loaded yet, but what can be checked (folder, file, wheel) is."""
    name = parse(text)
    return _MAKERS[name.kind](name, text.strip(), {"key_env": key_env, "concurrency": concurrency})


def _local(name: Name, text: str, origin: Any) -> Model:
    from genscope.models.lm import LocalLM, Options

    chosen: dict[str, Any] = dict(name.options)
    if "adapter" in chosen:
        chosen["adapter"] = Path(chosen["adapter"]).expanduser()
        if not (chosen["adapter"] / "adapter_config.json").is_file():
            raise ModelError(f"adapter={chosen['adapter']}: no adapter there, adapter_config.json is missing")
    return LocalLM(text, origin, Options(**chosen))


def _hf(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.models import weights
    from genscope.models.lm import folder_origin, hub_origin

    folder = Path(name.body).expanduser()
    looks_local = name.body.startswith((".", "/", "~")) or folder.exists() or name.body.count("/") > 1
    if looks_local:
        weights.check_folder(folder)
        return _local(name, text, folder_origin(folder))
    return _local(name, text, hub_origin(name.body, name.options.get("revision")))


def _run(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.core.store import home
    from genscope.models import weights
    from genscope.models.lm import folder_origin

    folder = home() / "runs" / name.body
    if not folder.is_dir() or "/" in name.body or name.body.startswith("."):
        known = sorted(path.name for path in (home() / "runs").glob("*")) if (home() / "runs").is_dir() else []
        raise ModelError(
            unknown("run", name.body, known)
            if known
            else f"unknown run {name.body!r}: no model was trained here yet (looked in {home() / 'runs'})"
        )
    weights.check_folder(folder)
    return _local(name, text, folder_origin(folder))


def _gguf(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.models.gguf import check_gguf
    from genscope.models.lm import gguf_origin

    path = Path(name.body).expanduser()
    check_gguf(path)
    return _local(name, text, gguf_origin(path, f"{path.name}, dequantised to bfloat16"))


def _smollm2(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.models.gguf import embedded_file
    from genscope.models.lm import gguf_origin

    return _local(name, text, gguf_origin(embedded_file(), "SmolLM2-135M-Instruct (Apache-2.0), four-bit (Q4_1), dequantised to bfloat16"))


def _openai(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.models.endpoint import Endpoint

    model, _, url = name.body.partition("@")
    try:
        timeout = float(name.options.get("timeout", "120"))
    except ValueError as error:
        raise UsageError(f"timeout takes seconds, got {name.options['timeout']!r}") from error
    return Endpoint(model, url or None, system=name.options.get("system"), timeout=timeout, **settings)


def _py(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.models.callable import CallableModel

    return CallableModel(name.body)


def _by_string(target: str) -> Any:
    """A maker in a higher layer, or one with imports of its own, named by a string."""

    def made(name: Name, text: str, settings: dict[str, Any]) -> Model:
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)(name, settings)

    return made


def _demo(name: Name, text: str, settings: dict[str, Any]) -> Model:
    from genscope.models.planted import PlantedSolver

    return PlantedSolver()


_MAKERS = {
    "smollm2": _smollm2, "hf": _hf, "run": _run, "gguf": _gguf, "openai": _openai, "py": _py, "demo": _demo, "inspect": _by_string("genscope.bridges.inspect:model"),
}  # fmt: skip
