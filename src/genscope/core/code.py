"""The code behind a number: a module and every module of genscope that it imports, directly or not. Store keys hash it, so that edited code computes again."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Collection
from functools import cache
from pathlib import Path


def modules_behind(module: str, packages: Collection[str]) -> list[str]:
    """Names of `module` and of the modules that it imports, directly or not, from `packages` ("genscope.measures", ...); each has a source file.

    Imports inside functions count; a module that is named by a string is not found.
    """
    found: dict[str, None] = {}
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if source(name) is None:
            continue
        found[name] = None
        waiting += [one for one in _imports(name) if any(one == package or one.startswith(f"{package}.") for package in packages)]
    return list(found)


def source_hash(module: str, packages: Collection[str]) -> str:
    """Hash of the source files of `modules_behind`, comments and docstrings included."""
    return hashlib.blake2b("".join(sorted(_file_hash(one) for one in modules_behind(module, packages))).encode(), digest_size=8).hexdigest()


@cache
def source(module: str) -> Path | None:
    """The file of a module; None for a name that is no module, or has no Python source."""
    top, *rest = module.split(".")
    found = importlib.util.find_spec(top)
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return None
    if not rest:
        return Path(found.origin)
    # by path: find_spec of a longer name would import all that stands above it
    place = Path(found.origin).parent.joinpath(*rest)
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _imports(module: str) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(_text(module))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *[f"{node.module}.{alias.name}" for alias in node.names]]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(dict.fromkeys(found))


@cache
def _file_hash(module: str) -> str:
    return hashlib.blake2b(_text(module).encode(), digest_size=16).hexdigest()


def _text(module: str) -> str:
    path = source(module)
    return path.read_text("utf-8") if path else ""
