"""`genscope list`: what is there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from genscope.core.seeds import Seed
from genscope.core.text import shorten
from genscope.pages.blocks import Column, Table

MEASURES = {
    "id_ood_gap": ("max(0, A_ID - A_OOD)", "genscope.measures.generalization_gap"),
    "generalization_score": ("S = A_OOD - gap", "genscope.measures.generalization_gap"),
    "level_scores": ("level gaps and scores, critical complexity, bootstrap", "genscope.measures.generalization_gap"),
    "preferred_complexity": ("the level that a probe task behaves like", "genscope.measures.preferred_complexity"),
    "min_k_prob": ("Min-K% memorization score", "genscope.measures.likelihood"),
    "score_divergence": ("KL and Jensen-Shannon divergence of likelihood scores", "genscope.measures.likelihood"),
    "paired_records": ("two models on the same questions", "genscope.measures.paired_accuracy"),
}
"""Name -> (what it is, module)."""
DATA = {
    "23-scylla": ("published scores of 28 models", "inside the package", "facts of arXiv 2410.01769"),
}
"""Data set -> (what it is, size, source and licence)."""


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
    rows = [{"name": name, "what": what, "module": module} for name, (what, module) in MEASURES.items()]
    return Table((Column("name", "measure"), Column("what", "what it is"), Column("module", "module")), rows, "Measures")


def _sections() -> Table:
    from genscope.sections.choose import section, table

    rows = [{"name": name, "question": section(name).question, "needs": ", ".join(sorted(section(name).needs))} for name in table()]
    return Table(
        (Column("name", "section"), Column("question", "question"), Column("needs", "needs a model that can")),
        rows,
        "Sections of `genscope profile`",
    )


def _studies() -> Table:
    from genscope.studies import scylla

    rows = [
        {"study": scylla.NAME, "claim": claim.id, "sentence": claim.sentence, "published": ", ".join(_published(claim.id)) or "not yet"}
        for claim in scylla.CLAIMS
    ]
    return Table(
        (
            Column("study", "study"),
            Column("claim", "claim"),
            Column("sentence", "claim in words"),
            Column("published", "published verdicts"),
        ),
        rows,
        "Claims judged by a profile",
    )


def _published(claim: str) -> list[str]:
    found = []
    for path in _result_files():
        held = json.loads(path.read_text("utf-8"))
        found += [f"{held['model']['name']}: {one['verdict']}" for one in held["claims"] if one["id"] == claim]
    return found


def _result_files() -> list[Path]:
    """Published results: of the installed package, or of the checkout that it is installed from."""
    inside = Path(str(files("genscope"))) / "results"
    checkout = Path(str(files("genscope"))).parents[1] / "results"
    return sorted(path for folder in (inside, checkout) if folder.is_dir() for path in folder.glob("*.json"))


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
            "name": name,
            "what": what,
            "size": size,
            "source": source,
            "here": "yes" if size == "inside the package" or (root and (Path(root) / name).is_dir()) else "no",
        }
        for name, (what, size, source) in DATA.items()
    ]
    columns = (
        Column("name", "data set"),
        Column("what", "what it is"),
        Column("size", "size"),
        Column("source", "source"),
        Column("here", "here"),
    )
    return Table(columns, rows, "Data sets of others are looked for in $GENSCOPE_DATA")


_LISTS: dict[str, Callable[[], Table]] = {
    "tasks": _tasks,
    "measures": _measures,
    "sections": _sections,
    "studies": _studies,
    "models": _models,
    "data": _data,
}
