"""Long repeated spans: runs of `words` words that stand in more than one row, as boilerplate, quotations and copied passages do.

Every run of that many words is hashed. Where there are more than MOST runs, only those whose hash falls into a share 1/m of the hash space are kept, so that memory is
bounded (12 bytes a run): a span of L words common to two rows is then missed with probability (1 - 1/m)^(L - words + 1). Lee et al. 2022 (arXiv 2107.06499) use 50 tokens.
"""

from __future__ import annotations

import numpy as np

from genscope.core.records import Record
from genscope.core.text import many
from genscope.measures.words import windows, word_hashes
from genscope.pages.blocks import Column, Table
from genscope.sections.audit.equal_rows import different_inputs, texts_in
from genscope.sections.audit.splits import training_first
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option, counted
from genscope.tasks.dataset import Dataset

MOST = 20_000_000
"""Runs that are kept at most: 240 MB, and as much again while they are sorted."""


class RepeatsSection(AuditSection):
    """Runs of words that several different inputs share."""

    name = "repeats"
    question = "Do long passages repeat in different rows?"
    kinds = frozenset({"text"})
    options = {"words": Option(default="20", help="least length of a repeated passage, in words, 5 to 1000")}  # noqa: RUF012

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=1, seconds=data.size / 20e6, memory=24 * min(MOST, data.size // 6))

    def run(self, lab: AuditLab) -> AuditOutcome:
        data, words = lab.data, lab.whole("words", 5, 1_000)
        single = different_inputs(data)
        hashes, rows, long, modulus = _runs(data, single, words)
        records = [
            Record(
                source="audit/repeats",
                metric="long_rows",
                value=float(long),
                unit="count",
                n=int(single.sum()),
                provenance=f"different inputs of {words} words or more",
            )
        ]
        notes = (
            [
                f"one run in {modulus} is looked at: a passage of {words + 3 * modulus} words is missed in {100 * (1 - 1 / modulus) ** (3 * modulus + 1):.0f} % of cases"
            ]
            if modulus > 1
            else []
        )
        order = np.lexsort((rows, hashes))
        hashes, rows = hashes[order], rows[order]
        again = _shared(hashes, rows)
        hashes, rows = hashes[again], rows[again]
        if not len(rows):
            return AuditOutcome(
                records=records,
                notes=notes,
                answer=f"No passage of {words} words stands in two of the {many(long, 'row')} that are long enough.",
            )
        first = np.r_[True, hashes[1:] != hashes[:-1]]
        group = np.cumsum(first) - 1
        leader = rows[np.flatnonzero(first)][group]
        flagged, place, runs = np.unique(rows, return_index=True, return_counts=True)
        other = np.r_[rows[1:], -1]
        partner = np.where(leader[place] != flagged, leader[place], other[place])
        records.append(
            Record(
                source="audit/repeats",
                metric="repeat_rows",
                value=float(len(flagged)),
                unit="count",
                n=long,
                provenance=f"rows that share a run of {words} words with another input",
            )
        )
        top = np.argsort(-runs, kind="stable")[:EXAMPLES]
        share = len(flagged) / max(1, long)
        findings = [
            counted(
                "repeat", f"{many(len(flagged), 'row shares', 'rows share')} a passage of {words} words or more with another row", len(flagged), long, "medium" if share >= 0.1 else "low",
                "strip headers, prompts and quotations that repeat, or split by their source: a model learns such passages by heart", rows=flagged, partners=partner, scores=runs.astype(float),
                cases=[Case(rows=(int(partner[k]), int(flagged[k])), note=f"about {int(runs[k]) * modulus + words - 1} words in shared passages") for k in top],
            ),
            *_across(data, rows, group, words),
        ]  # fmt: skip
        return AuditOutcome(
            findings=findings,
            records=records,
            notes=notes,
            tables=[_widest(rows, group)],
            answer=f"{len(flagged):,} of {many(long, 'row')} with {words} words or more share a passage of that length.",
        )


def _runs(data: Dataset, single: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """(hash of each kept run, its row, rows that are long enough, modulus)."""
    modulus, long = 1, 0
    hashes: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    held = 0
    for numbers, texts in texts_in(data, single):
        found, starts = word_hashes(texts)
        count = np.maximum(np.diff(starts) - words + 1, 0)
        long += int((count > 0).sum())
        every = windows(found, words)
        whole = np.repeat(numbers, np.diff(starts))[: len(every)]
        # a run that begins in one text and ends in the next is none
        end = np.repeat(starts[1:], np.diff(starts))[: len(every)]
        kept = (np.arange(len(every)) + words <= end) & (every % np.uint64(modulus) == 0)
        hashes.append(every[kept])
        rows.append(whole[kept].astype(np.uint32))
        held += int(kept.sum())
        while held > MOST:
            modulus *= 2
            masks = [one % np.uint64(modulus) == 0 for one in hashes]
            hashes = [one[mask] for one, mask in zip(hashes, masks, strict=True)]
            rows = [one[mask] for one, mask in zip(rows, masks, strict=True)]
            held = sum(len(one) for one in hashes)
    if not hashes:
        return np.empty(0, np.uint64), np.empty(0, np.int64), long, modulus
    return np.concatenate(hashes), np.concatenate(rows).astype(np.int64), long, modulus


def _shared(hashes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Places of runs that stand in two rows or more, each row once a run; `hashes` and `rows` are sorted by (hash, row)."""
    new = np.r_[True, (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])] if len(rows) else np.empty(0, bool)
    once = np.flatnonzero(new)
    value = hashes[once]
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    return once[counts[inverse] > 1] if len(once) else once


def _across(data: Dataset, rows: np.ndarray, group: np.ndarray, words: int) -> list[Finding]:
    """Rows of a later split with a passage that also stands in an earlier one."""
    if not data.has("split"):
        return []
    split, names = data.codes("split")
    order = training_first(names)
    findings = []
    for later in range(1, len(order)):
        for earlier in range(later):
            train, test = order[earlier], order[later]
            left, right = split[rows] == train, split[rows] == test
            shared = np.intersect1d(group[left], group[right])
            inside = right & np.isin(group, shared)
            flagged, place = np.unique(rows[inside], return_index=True)
            if not len(flagged):
                continue
            source = dict(zip(group[left][::-1].tolist(), rows[left][::-1].tolist(), strict=True))
            partner = np.array([source[int(one)] for one in group[inside][place]])
            of = int((split == test).sum())
            findings.append(
                counted(
                    "repeat", f"{len(flagged):,} of {of:,} rows of split {names[test]} share a passage of {words} words with split {names[train]}", len(flagged), of, "medium",
                    f"report figures on {names[test]} without these rows too", rows=flagged, partners=partner, cases=[Case(rows=(int(partner[k]), int(flagged[k])), note="a shared passage") for k in range(min(EXAMPLES, len(flagged)))],
                )
            )  # fmt: skip
    return findings


def _widest(rows: np.ndarray, group: np.ndarray) -> Table:
    """The passages that stand in most rows: for each first row that has one, the widest."""
    size = np.bincount(group)
    seen: set[int] = set()
    held = []
    start = np.r_[0, np.cumsum(size)]
    for one in np.argsort(-size, kind="stable"):
        row = int(rows[start[one]])
        if row not in seen:
            seen.add(row)
            held.append({"row": str(row), "rows": int(size[one])})
        if len(held) == 10:
            break
    return Table(
        (Column("row", "first row that has it"), Column("rows", "rows with it", "count")),
        held,
        "Passages that stand in most rows",
        folded=True,
    )
