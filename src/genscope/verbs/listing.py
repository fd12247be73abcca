"""`genscope list`: what is there."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from genscope.core.seeds import Seed
from genscope.core.text import shorten
from genscope.pages.blocks import Column, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set of others, looked for in $GENSCOPE_DATA. files: name -> sha256 of each file that a study reads; none where any version of that form will do."""

    what: str
    size: str
    licence: str
    source: str
    files: Mapping[str, str] = field(default_factory=dict)


DATA = {
    "31-simplicity-bias": DataSet(
        what="MNIST's test set, 10,000 digits", size="1.7 MB", licence="CC BY-SA 3.0", source="https://yann.lecun.com/exdb/mnist",
        files={
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "mnist": DataSet(what="MNIST's training set, 60,000 digits (scale paper)", size="10 MB", licence="CC BY-SA 3.0", source="https://yann.lecun.com/exdb/mnist"),
    "cifar-10": DataSet(what="CIFAR-10, binary version (scale paper)", size="170 MB", licence="none stated; for research", source="https://www.cs.toronto.edu/~kriz/cifar.html"),
}  # fmt: skip
"""Folder -> what it holds. What a package needs no file for (published numbers of 28 models) is inside the package."""


def listing(what: str) -> list[Table]:
    """The tables of one kind, or of all."""
    return [made() for name, made in _LISTS.items() if what in ("all", name)]


def _tasks() -> Table:
    from genscope.tasks import scylla

    rows = []
    for name in scylla.NAMES:
        task = scylla.task(name)
        example = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("list")).id(0, 1)[0]
        rows.append(
            {
                "name": name, "level": "probe" if task.level is None else scylla.LEVEL_LABELS[task.level], "chance": task.chance(example),
                "example": shorten(task.prompt(example), 64), "answer": shorten(task.answer_text(example.target), 40),
            }
        )  # fmt: skip
    columns = (
        Column("name", "task"),
        Column("level", "level", "level"),
        Column("chance", "chance", "percent"),
        Column("example", "example"),
        Column("answer", "answer"),
    )
    card = scylla.task("find_minimum").card
    caption = f"Tasks (Scylla). Card: {card.motivation}, {card.type}, {card.shift} shift, {card.source}, {card.locus}. Chance is that of the example."
    return Table(columns, rows, caption)


def _measures() -> Table:
    """One row a module of `genscope.measures`, read from its source: nothing is imported, and no measure is forgotten."""
    rows = []
    for path in sorted(Path(str(files("genscope.measures"))).glob("[a-z]*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        named = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")]
        what = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")
        rows.append({"name": f"genscope.measures.{path.stem}", "what": what, "functions": ", ".join(named)})
    columns = (Column("name", "module"), Column("what", "what it measures"), Column("functions", "functions and values"))
    return Table(columns, rows, "Measures")


def _sections() -> Table:
    from genscope.sections.choose import section, table

    rows = [{"name": name, "question": section(name).question, "needs": ", ".join(sorted(section(name).needs))} for name in table()]
    return Table(
        (Column("name", "section"), Column("question", "question"), Column("needs", "needs a model that can")),
        rows,
        "Sections of `genscope profile`",
    )


def _studies() -> Table:
    from genscope.verbs.papers import studies_table

    return studies_table()


def _models() -> Table:
    from genscope.models.names import EXAMPLES, OPTIONS

    rows = [
        {"kind": kind, "write": example, "what": what, "options": ", ".join(OPTIONS[kind]) or "–"}
        for kind, (example, what) in EXAMPLES.items()
    ]
    return Table(
        (Column("kind", "kind"), Column("write", "write"), Column("what", "what it is"), Column("options", "options after ?")),
        rows,
        "Models",
    )


def _data() -> Table:
    root = os.environ.get("GENSCOPE_DATA", "")
    rows = [
        {
            "name": name, "what": one.what, "size": one.size, "licence": one.licence, "source": one.source, "sha256": dict(one.files),
            "short": ", ".join(hash_[:8] for hash_ in one.files.values()) or "any", "here": _state(Path(root).expanduser() / name, one) if root else "no",
        }
        for name, one in DATA.items()
    ]  # fmt: skip
    columns = (
        Column("name", "data set"), Column("what", "what it is"), Column("size", "size"), Column("licence", "licence"), Column("source", "source"),
        Column("short", "sha256"), Column("here", "here"),
    )  # fmt: skip
    return Table(columns, rows, "Data sets of others are looked for in $GENSCOPE_DATA (`--json` has the whole sha256 of each file)")


def _state(folder: Path, one: DataSet) -> str:
    """Whether a data set is there, and is the one that the studies were run on."""
    if not folder.is_dir():
        return "no"
    other = [name for name, known in one.files.items() if not (folder / name).is_file() or _sha256(folder / name) != known]
    return f"yes, but not the same {', '.join(other)}" if other else "yes"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_LISTS: dict[str, Callable[[], Table]] = {
    "tasks": _tasks,
    "measures": _measures,
    "sections": _sections,
    "studies": _studies,
    "models": _models,
    "data": _data,
}
