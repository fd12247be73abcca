"""Generalizing statements about groups in a text: sentences that name a group and an attribute, and how many of them generalize, by group.

A co-occurrence is not a generalization: about one in seventeen is, in GeniL. The classifier of system 12 reads the context; its known error rates turn
flags into rates with intervals. The section is about people: rows are named, and no sentence is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from genscope.core.store import Store
from genscope.core.text import many, shorten
from genscope.measures.adjusted_count import adjusted_count
from genscope.measures.group_generalization import GroupCount, group_generalizations, records_of
from genscope.pages.blocks import Column, Table
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option
from genscope.tasks.dataset import Dataset
from genscope.tasks.genil import LANGUAGES
from genscope.tasks.genil.lexicon import Lexicon, co_occurrences, lexicon_of, read_lexicon

SOURCE = "audit/generalizations"
COLUMNS = (
    Column("group", "group"), Column("n", "co-occurrences", "count"), Column("flagged", "flagged", "count", "at or above the classifier's threshold; most may be false"),
    Column("rate", "generalize", "percent", "adjusted count with 95 % interval"), Column("expected", "about so many", "count"),
)  # fmt: skip


class GeneralizationsSection(AuditSection):
    """Only when named: `--with generalizations:language=en`; needs GeniL in $GENSCOPE_DATA."""

    name = "generalizations"
    question = "Does the text generalize about groups, and how much of what names a group and an attribute together does?"
    kinds = frozenset({"text"})
    people = True
    default = False
    extra = "embed"
    options: ClassVar[Mapping[str, Option]] = {
        "language": Option(default="en", help=f"language of the text: {', '.join(LANGUAGES)}"),
        "lexicon": Option(default="", help="CSV of your own groups and attributes (columns kind, term); GeniL's by default"),
        "least": Option(default="10", help="co-occurrences that a group needs for a line of its own"),
    }

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=1, seconds=40 + data.rows / 3_000, memory=1_200_000_000)

    def run(self, lab: AuditLab) -> AuditOutcome:
        from genscope.models.genil.detector import THRESHOLD, detector
        from genscope.tasks.genil import load

        language = lab.choice("language", LANGUAGES)
        least = lab.whole("least", 1, 10_000_000)
        lexicon = (
            read_lexicon(Path(lab.options["lexicon"]).expanduser(), language)
            if lab.options["lexicon"]
            else lexicon_of(load([language]), language)
        )
        found = co_occurrences(
            ((int(row), str(text)) for frame in lab.data.inputs() for row, text in frame.select("row", "text").iter_rows()), lexicon
        )
        notes = _notes(found.met, lexicon)
        facts = {
            "language": language,
            "groups looked for": len(lexicon.identities),
            "attributes looked for": len(lexicon.attributes),
            **found.met,
            "co-occurrences": len(found.rows),
        }
        if not len(found.rows):
            return AuditOutcome(facts=facts, notes=notes, answer="No sentence names a group and an attribute of the lexicon.")
        model = detector(Store.open())
        scores = model.scores(found.rows)
        flagged = model.flags(scores)

        whole, shown, fewer = group_generalizations(
            found.rows.identity, flagged, lambda flags, seed: adjusted_count(flags, *model.held[language], seed), lab.seed, least
        )
        tpr, fpr = model.errors(language)
        facts |= {"threshold": THRESHOLD, "true positive rate": f"{tpr:.2f}", "false positive rate": f"{fpr:.3f}"}
        notes.append("Error rates are those of held-out web sentences of GeniL in the same language; text of another kind may have others.")
        notes.append(
            "Co-occurrences are counted as if they were independent; where several stand in one sentence or text, the intervals are too narrow."
        )
        if fewer:
            notes.append(f"{many(fewer, 'group')} with fewer than {least} co-occurrences have no line of their own.")
        return AuditOutcome(
            findings=[_finding(whole, found.source, scores, flagged)], records=records_of(whole, shown, SOURCE), facts=facts, notes=notes,
            tables=[_table(whole, shown)], answer=_answer(whole),
        )  # fmt: skip


def _finding(whole: GroupCount, source: np.ndarray, scores: np.ndarray, flagged: np.ndarray) -> Finding:
    """The estimated count; flagged rows by falling score."""
    order = np.argsort(-scores, kind="stable")
    best: dict[int, float] = {}
    for place in order[flagged[order] == 1]:
        best.setdefault(int(source[place]), float(scores[place]))
    rows = np.array(list(best), dtype=np.int64)
    known = not np.isnan(whole.rate.value)
    some = known and whole.rate.low is not None and whole.rate.low > 0
    return Finding(
        kind="generalization", what=f"sentences that generalize about a group, estimated from {many(whole.n, 'co-occurrence')} of a group and an attribute", unit="co-occurrences",
        count=round(whole.expected) if known else 0, of=whole.n, low=whole.rate.low, high=whole.rate.high, severity="medium" if some else "info", rows=rows,
        scores=np.array([best[int(row)] for row in rows]), cases=[Case(rows=(int(row),), note=f"score {best[int(row)]:.1f}") for row in rows[:EXAMPLES]],
        advice="read the flagged rows, highest score first; do not take the co-occurrence count, or the share of flagged rows, for the number of generalizations",
    )  # fmt: skip


def _table(whole: GroupCount, shown: list[GroupCount]) -> Table:
    rows = [
        {"group": shorten(one.group, 60) or "all", "n": one.n, "flagged": one.flagged, "rate": (one.rate.value, one.rate.low, one.rate.high), "expected": None if np.isnan(one.expected) else round(one.expected)}
        for one in (whole, *shown[:60])
    ]  # fmt: skip
    return Table(COLUMNS, rows, "Co-occurrences of a group with an attribute, and the share of them that generalizes", main=True)


def _answer(whole: GroupCount) -> str:
    if np.isnan(whole.rate.value):
        return (
            f"{many(whole.n, 'co-occurrence')} of a group and an attribute; the classifier does not tell generalizations in this language."
        )
    span = (
        ""
        if whole.rate.low is None or whole.rate.high is None
        else f" (95 % interval {100 * whole.rate.low:.1f} to {100 * whole.rate.high:.1f})"
    )
    return f"Of {many(whole.n, 'co-occurrence')} of a group and an attribute, about {100 * whole.rate.value:.1f} % generalize about the group{span}."


def _notes(met: dict[str, int], lexicon: Lexicon) -> list[str]:
    notes = []
    if met["other_script"]:
        notes.append(
            f"{many(met['other_script'], 'text')} not mainly in the script of language {lexicon.language} were left out; name the language with language=..."
        )
    if met["empty"]:
        notes.append(f"{many(met['empty'], 'empty text')} left out.")
    if met["cut"]:
        notes.append(f"{many(met['cut'], 'sentence')} cut to 1,000 characters.")
    return notes
