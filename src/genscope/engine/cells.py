"""Cells: which ones a run has, and the key under which each one's records lie in the store."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genscope.core.canonical import digest
from genscope.core.code import modules_behind, source
from genscope.core.errors import MissingError, StudyError, UsageError, unknown
from genscope.core.store import Store
from genscope.engine.study import SCALES, Cell, Scale, Study

COUNTED = ("core.seeds", "tasks", "models", "training", "measures", "interventions")
"""Packages whose code can change a cell's numbers."""


def plan(study: Study, scale: Scale, seeds: Sequence[int] | None, parts: Sequence[str] | None) -> tuple[list[Cell], list[str]]:
    """The cells of a run in their fixed order, and the parts left out because their data is not here (MissingError when no part is left)."""
    if scale not in SCALES:
        raise UsageError(unknown("scale", str(scale), SCALES))
    for part in parts or ():
        if part not in study.parts:
            raise StudyError(unknown("part", part, study.parts))
        if study.parts[part].command:
            raise StudyError(f"{study.name}, part {part}: it is judged on a model of yours: {study.parts[part].command}")
    wanted = list(parts or study.own_parts())
    lacking = {name: [data for data in study.parts[name].data if not has_data(data)] for name in wanted}
    absent = [name for name in wanted if lacking[name]]
    if len(absent) == len(wanted):
        raise MissingError(
            f"{study.name}: data is missing ({', '.join(sorted({one for name in absent for one in lacking[name]}))}). "
            "`genscope list data` says where to get it; set GENSCOPE_DATA to the folder that holds these folders"
        )
    chosen = tuple(seeds) if seeds is not None else study.seeds if scale != "smoke" else study.seeds[:1]
    if len(set(chosen)) != len(chosen) or not chosen:
        raise UsageError(f"seeds must be different whole numbers, at least one; got {list(chosen)}")
    cells = [cell for cell in study.cells(scale, chosen) if cell.part in wanted and cell.part not in absent]
    names = [cell.title for cell in cells]
    if len(set(names)) != len(names):
        raise StudyError(f"{study.name}: two cells have the same name ({next(name for name in names if names.count(name) > 1)})")
    return cells, absent


def has_data(folder: str) -> bool:
    """Whether a data set of others is in $GENSCOPE_DATA."""
    root = os.environ.get("GENSCOPE_DATA", "")
    return bool(root) and (Path(root).expanduser() / folder).is_dir()


def cell_key(store: Store, study: Study, cell: Cell, code: str) -> str:
    """The key of a cell's records: the cell, the code that makes them, and the versions of what computes them."""
    what = [
        study.name,
        cell.part,
        cell.condition,
        cell.seed,
        list(cell.arms),
        dict(cell.settings),
        code,
        {name: _version(name) for name in ("numpy", "torch", "scipy")},
    ]
    return store.key("study cell", what)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@cache
def code_hash(module: str) -> str:
    """Hash of the code behind a study's numbers: its module without claims, texts and figures, and every module of genscope below it that it
    imports (directly or not) in `COUNTED`. Comments and docstrings do not count.
    """
    hashes = []
    for name in modules_behind(module, [f"genscope.{one}" for one in COUNTED]):
        path = source(name)
        if path is not None:
            hashes.append(digest(ast.dump(_bare(ast.parse(path.read_text("utf-8")), of_study=name == module))))
    return digest(sorted(hashes))


class _Strip(ast.NodeTransformer):
    def _undocumented(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = getattr(node, "body", [])
        kept = [
            one
            for one in body
            if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str))
        ]
        node.body = kept  # pyright: ignore[reportAttributeAccessIssue]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _undocumented  # noqa: N815


def _bare(tree: ast.Module, of_study: bool) -> ast.Module:
    _Strip().visit(tree)
    if not of_study:
        return tree
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == "Study" for base in node.bases):
            # what a study says and draws does not change its numbers; the cells are in the key by value
            node.body = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name not in ("figures", "cells", "certify")]
        elif isinstance(node, ast.Assign) and _says(node.value):
            continue
        kept.append(node)
    tree.body = kept
    return tree


def _says(value: ast.expr) -> bool:
    """Whether an assignment holds claims, placebos or other texts of the study."""
    parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
    names = {"Claim", "Placebo", "Part", "Paper", "Published", "Card", "Clause", "Precondition"}
    return bool(parts) and all(isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id in names for one in parts)
