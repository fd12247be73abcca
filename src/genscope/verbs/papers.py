"""`genscope papers WORDS`: which executable papers bear on my question? Full-text search over questions, claims and cards."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import get_args

from genscope.core.card import AXES
from genscope.core.errors import UsageError, unknown
from genscope.engine.published import published, verdict_of
from genscope.engine.study import Study
from genscope.pages.blocks import Column, Table
from genscope.studies import study, table

_COLUMNS = (
    Column("name", "study"),
    Column("question", "question"),
    Column("paper", "paper"),
    Column("verdicts", "published verdicts"),
    Column("run", "run it"),
)


def everything() -> list[Study]:
    """Every study, by number of its paper."""
    return sorted((study(name) for name in table()), key=lambda one: (one.paper.number, one.name))


def studies_table() -> Table:
    """All studies in one table."""
    return Table(_COLUMNS, [_row(one) for one in everything()], "Executable papers")


def search(words: Sequence[str], axes: Mapping[str, str]) -> Table:
    """Studies that match any of the words (stemmed; word* matches beginnings), best first, and every axis of the card."""
    for axis, value in axes.items():
        allowed = get_args(AXES[axis])
        if value not in allowed:
            raise UsageError(unknown(axis, value, allowed))
    chosen = [one for one in everything() if all(getattr(one.card, axis) == value for axis, value in axes.items())]
    terms = [term for word in words for term in re.findall(r"\w+\*?", word.lower())]
    if terms:
        order = _ranked(chosen, terms)
        chosen = [one for name in order for one in chosen if one.name == name]
    said = f"Executable papers about {' '.join(words)}" if terms else "Executable papers"
    return Table(_COLUMNS, [_row(one) for one in chosen], said if chosen else f"{said}: none. `genscope papers` shows all")


def _ranked(studies: Sequence[Study], terms: Sequence[str]) -> list[str]:
    """Names by bm25 over an FTS5 table in memory (porter stemming); a title counts more than a claim."""
    index = sqlite3.connect(":memory:")
    try:
        index.execute("CREATE VIRTUAL TABLE papers USING fts5(name, title, words, claims, tokenize='porter unicode61')")
        for one in studies:
            words = " ".join(
                [one.question, one.answer, " ".join(sorted(one.fields)), " ".join(asdict(one.card).values()), one.paper.authors]
            )
            claims = " ".join(claim.sentence for claim in one.claims)
            index.execute("INSERT INTO papers VALUES (?, ?, ?, ?)", (one.name, f"{one.name} {one.paper.title}", words, claims))
        query = " OR ".join(f'"{term[:-1]}"*' if term.endswith("*") else f'"{term}"' for term in terms)
        return [
            name for (name,) in index.execute("SELECT name FROM papers WHERE papers MATCH ? ORDER BY bm25(papers, 0, 4, 3, 1)", (query,))
        ]
    finally:
        index.close()


def _row(one: Study) -> dict[str, str]:
    paper = one.paper
    verdicts = [f"{claim.id} {found}" for claim in one.claims if (found := verdict_of(one.name, claim.id))]
    return {
        "name": one.name, "question": one.question, "paper": f"{paper.title} ({paper.year}, arXiv {paper.arxiv})", "verdicts": "; ".join(verdicts) or "not yet",
        "run": "; ".join([*([f"genscope study run {one.name}"] if one.own_parts() else []), *one.judged_elsewhere()]), "type": one.card.type, "shift": one.card.shift,
    }  # fmt: skip


def badges(one: Study) -> list[tuple[str, str]]:
    """(claim id, published verdict) of a study's claims; the first file's where several models were judged."""
    held = published(one.name)
    verdicts = {entry["id"]: entry["verdict"] for file in reversed(held) for entry in file["claims"]}
    return [(claim.id, verdicts.get(claim.id, "not run")) for claim in one.claims]
