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
    "12-genil": DataSet(
        what="GeniL, 45,414 sentences in nine languages (offensive stereotypes)", size="3.6 MB", licence="CC-BY-4.0", source="https://github.com/google-research-datasets/GeniL",
        files={
            "ar.csv.gz": "ac0a9b8f929e74d4a526babf0433bb679b8db07aa2375c04ac021235acb2d66f",
            "bn.csv.gz": "feb563fb9a5609485b7d5c2784626c83f5a62a8da7d92080f1e81245ea652a07",
            "en.csv.gz": "45619ac1f9579f1bdf5a5563cf7bb10f5cba3393f1b0cf796f492f87241df6f0",
            "es.csv.gz": "5855b4ba005aaa6428934d1e549925e02cf51f90ef11d53a43f5fb47a31cf336",
            "fr.csv.gz": "14a62af07e32e47f6acf71ee0cffc5b1c046c377df26e0558d097a1184439b12",
            "hi.csv.gz": "515ee4a0342ed91e1b80da84248222e2940837c79e0202d6f72694aebaf38919",
            "id.csv.gz": "ba1681328d0ac32293446a0f9d88c93a040ffb5f152120b5cfb1d5e1bb32d8a7",
            "ms.csv.gz": "2a84a6b43a1f1f5a00eaa3db8473981ae65b719e0b67d2edf2f611e4ee23e9d5",
            "pt.csv.gz": "7d604ac1a9e1661c598a0111e9eec84b1bf69de05dff4acb2325136af61edf19",
        },
    ),
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
    return [made() for name, made in _LISTS.items() if what in ("all", name.split("/")[0])]


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
    for path in [
        path for package in ("measures", "watch.measures") for path in sorted(Path(str(files(f"genscope.{package}"))).glob("[a-z]*.py"))
    ]:
        tree = ast.parse(path.read_text("utf-8"))
        named = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")]
        what = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")
        rows.append(
            {
                "name": f"genscope.{'watch.' * (path.parent.parent.name == 'watch')}measures.{path.stem}",
                "what": what,
                "functions": ", ".join(named),
            }
        )
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


def _audits() -> Table:
    from genscope.sections.choose_audit import section, table

    rows = []
    for name in table():
        one = section(name)
        rows.append({"name": name, "question": one.question, "kinds": ", ".join(sorted(one.kinds)), "needs": ", ".join(f"--{role}" for role in sorted(one.roles)), "options": "; ".join(f"{key}={option.default}: {option.help}" for key, option in one.options.items())})  # fmt: skip
    columns = (
        Column("name", "section"),
        Column("question", "question"),
        Column("kinds", "reads"),
        Column("needs", "needs"),
        Column("options", "options after --with NAME:"),
    )
    return Table(columns, rows, "Sections of `genscope audit`")


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
    "sections/audit": _audits,
    "studies": _studies,
    "models": _models,
    "data": _data,
}
