"""Packages import one way only, and core and tasks never import torch."""

from __future__ import annotations

import ast
from pathlib import Path

import genscope

LAYERS = [
    "core",
    "tasks",
    "models",
    "training",
    "measures",
    "interventions",
    "watch",
    "engine",
    "pages",
    "studies",
    "sections",
    "verbs",
    "bridges",
    "cli",
]
ROOT = Path(genscope.__file__).parent


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_imports_go_one_way() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if layer not in LAYERS:
            continue
        for module in imported(path):
            parts = module.split(".")
            if parts[0] == "genscope" and len(parts) > 1 and parts[1] in LAYERS and LAYERS.index(parts[1]) > LAYERS.index(layer):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert wrong == []


GRADIENTS = {"coherence.py", "coherence_path.py", "ghost.py", "joint.py"}
"""Measures that follow gradients and need torch; all others are numpy."""


def test_core_and_tasks_do_not_import_torch() -> None:
    heavy = {"torch", "transformers", "inspect_ai", "openai"}
    for layer in ("core", "tasks", "measures", "pages"):
        for path in (ROOT / layer).rglob("*.py"):
            if layer == "measures" and path.name in GRADIENTS:
                continue
            assert not {module.split(".")[0] for module in imported(path)} & heavy, path
