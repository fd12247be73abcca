"""Repetition: how often the text of a training set repeats, and whether that lies where repeats hurt a model of the user's size most.

Documents that say the same (equal words, or a Jaccard similarity of 0.8 over runs of five words) are one group of E copies; passages of `words` words are counted apart. The
zone is the law of Hernandez et al. 2022 (measures/danger_zone.py): guidance, fitted at 100 billion tokens and a repeated fraction of about 10 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genscope.core.errors import UsageError
from genscope.core.records import Record
from genscope.core.text import large
from genscope.measures.danger_zone import FITTED_TOKENS, LEAST_FRACTION, DangerZone, danger_zone, fitted_range
from genscope.measures.near_duplicates import BYTES_A_ROW, Bands, clusters, near_pairs
from genscope.measures.repeat_counts import Passages, by_repeats, effective_fraction, share_between
from genscope.measures.words import text_hashes, word_hashes
from genscope.pages.blocks import Column, Table
from genscope.sections.audit.equal_rows import texts_in
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option
from genscope.tasks.dataset import Dataset

MOST = 4_000_000
"""Runs of words that are kept at most."""
THRESHOLD, RUN = 0.8, 5
TOKENS_A_WORD = 1.3
"""Tokens of a byte-pair vocabulary per English word: what turns words of the data into tokens."""


@dataclass(frozen=True, slots=True)
class Counted:
    """rows: those with a word; group: of each, the first row that says the same; words: of each."""

    rows: np.ndarray
    group: np.ndarray
    words: np.ndarray


class RepetitionSection(AuditSection):
    """Repeats of documents and passages beside the danger zone of a model's size; only when named: `--with repetition:params=8e8,tokens=1e11`."""

    name = "repetition"
    question = "Does the data repeat as often as hurts a language model of my size?"
    kinds = frozenset({"text"})
    default = False
    options = {  # noqa: RUF012
        "params": Option(default="", help="parameters of the model that will be trained on the data, as 8e8 (needed)"),
        "tokens": Option(default="", help="tokens that it will be trained on, as 1e11; by default one pass over the data"),
        "words": Option(default="50", help="length of a passage, in words, 5 to 1000"),
        "near": Option(default="yes", help="no: only documents of equal words are the same"),
    }

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=3, seconds=data.size / 8e6, memory=48 * min(MOST, data.size // 6) + (BYTES_A_ROW + 48) * data.rows)

    def run(self, lab: AuditLab) -> AuditOutcome:
        zone, tokens, data = _zone(lab), _tokens(lab), lab.data
        near, length = lab.choice("near", ("yes", "no")) == "yes", lab.whole("words", 5, 1_000)
        counted, passages = _counted(data, near, length)
        if not len(counted.rows):
            return AuditOutcome(answer="There is no word in the data.", notes=[fitted_range()])
        place, repeats = np.unique(counted.group, return_inverse=True, return_counts=True)[1:]
        words = np.bincount(place, weights=counted.words)
        total = float(words.sum())
        passes = 1.0 if tokens is None else tokens / (TOKENS_A_WORD * total)
        f = effective_fraction(repeats, words)
        inside = share_between(repeats * passes, words, zone.low, zone.high)
        findings = _documents(counted, place, repeats, passes, zone, inside, total)
        count, where = passages.counts()
        among = np.ones(len(count))
        spans = effective_fraction(count, among)
        # passages of documents that are named already say nothing new
        apart = ~np.isin(where, findings[0].rows) if findings else np.ones(len(where), bool)
        spans_inside = share_between(count[apart] * passes, among[apart], zone.low, zone.high)
        findings += _spans(counted, count[apart], where[apart], passes, zone, spans_inside, length)
        measured = {
            "effective_fraction": (f, "fraction", len(repeats)), "zone_fraction": (inside, "fraction", len(repeats)), "passage_fraction": (spans, "fraction", len(count)),
            "passage_zone_fraction": (spans_inside, "fraction", int(apart.sum())), "zone_low": (zone.low, "repeats", 1), "zone_high": (zone.high, "repeats", 1),
            "passes": (passes, "passes", 1), "words": (total, "count", len(counted.rows)), "most_repeats": (float(repeats.max()), "count", len(repeats)),
        }  # fmt: skip
        records = [
            Record(
                source="audit/repetition",
                metric=name,
                value=value,
                unit=unit,
                n=n,
                provenance="words under groups of equal or nearly equal documents",
            )
            for name, (value, unit, n) in measured.items()
        ]
        return AuditOutcome(
            findings=findings, records=records, notes=_notes(zone, tokens, passes, passages), tables=[_table(repeats, words, passes, zone, total)], facts=_facts(zone, passes, near, length),
            answer=f"{100 * f:.1f} % of the words stand in documents that repeat, {100 * inside:.1f} % between the {zone.low:,.0f} and {zone.high:,.0f} repeats that hurt a model of {large(zone.parameters)} parameters most.",
        )  # fmt: skip


def _zone(lab: AuditLab) -> DangerZone:
    if not lab.options["params"]:
        raise UsageError(
            "section repetition needs the size of your model: --with repetition:params=8e8 (its parameters), and tokens=1e11 if it sees the data more or less than once"
        )
    return danger_zone(lab.number("params", 1e3, 1e16))


def _tokens(lab: AuditLab) -> float | None:
    return lab.number("tokens", 1, 1e18) if lab.options["tokens"] else None


def _counted(data: Dataset, near: bool, length: int) -> tuple[Counted, Passages]:
    """One pass for the words of documents and passages; two more where near duplicates are looked for."""
    passages = Passages(length, MOST)
    rows, hashes, words = [], [], []
    for numbers, texts in texts_in(data, np.ones(data.rows, bool)):
        found, starts = word_hashes(texts)
        passages.add(numbers, found, starts)
        rows.append(numbers)
        hashes.append(text_hashes(found, starts))
        words.append(np.diff(starts))
    if not rows:
        return Counted(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), passages
    row, mark, count = np.concatenate(rows), np.concatenate(hashes), np.concatenate(words).astype(float)
    row, mark, count = row[count > 0], mark[count > 0], count[count > 0]
    _, first, place = np.unique(mark, return_index=True, return_inverse=True)
    group = row[first][place]
    if near:
        roots = _near(data, np.unique(group))
        group = np.array([roots.get(one, one) for one in group.tolist()], np.int64)
    return Counted(row, group, count), passages


def _near(data: Dataset, single: np.ndarray) -> dict[int, int]:
    """Row -> first row of its cluster of nearly equal documents."""

    def texts_of(rows: np.ndarray) -> Iterator[tuple[np.ndarray, list[str]]]:
        mask = np.zeros(data.rows, bool)
        mask[rows] = True
        return texts_in(data, mask)

    bands = Bands(run=RUN)
    for rows, texts in texts_of(single):
        bands.add(rows, texts)
    first, second, _ = near_pairs(bands, texts_of, THRESHOLD)
    return clusters(first, second)


def _documents(
    counted: Counted, place: np.ndarray, repeats: np.ndarray, passes: float, zone: DangerZone, share: float, total: float
) -> list[Finding]:
    """Copies of documents that repeat as often as the zone holds, when they make up enough of the words."""
    if share < LEAST_FRACTION:
        return []
    seen = repeats * passes
    flagged = (seen[place] >= max(zone.low, 2)) & (seen[place] <= zone.high)
    rows, group, times = counted.rows[flagged], counted.group[flagged], seen[place][flagged]
    later = rows != group
    top = np.unique(group, return_index=True)[1]
    top = top[np.argsort(-times[top], kind="stable")][:EXAMPLES]
    return [
        Finding(
            kind="repetition", what=f"{100 * share:.1f} % of the words stand in documents that are seen {times.min():,.0f} to {times.max():,.0f} times: inside the danger zone of {zone.low:,.0f} to {zone.high:,.0f} repeats for {large(zone.parameters)} parameters",
            count=round(counted.words[flagged].sum()), of=round(total), unit="words", severity="medium", size=share, rows=rows, partners=np.where(later, group, -1), scores=times,
            cases=[Case(rows=(int(group[k]),), note=f"seen {times[k]:,.0f} times") for k in top], remove=rows[later],
            advice="keep fewer copies (or one): in the paper's fits this range of repeats cost up to half of a model's effective size at a tenth of the tokens, copying above all",
        )
    ]  # fmt: skip


def _spans(
    counted: Counted, count: np.ndarray, where: np.ndarray, passes: float, zone: DangerZone, share: float, length: int
) -> list[Finding]:
    """Passages inside the zone, in documents that differ."""
    if share < LEAST_FRACTION:
        return []
    seen = count * passes
    flagged = (seen >= max(zone.low, 2)) & (seen <= zone.high)
    rows = np.unique(where[flagged])
    return [
        Finding(
            kind="repetition", what=f"{100 * share:.1f} % of the passages of {length} words are seen {seen[flagged].min():,.0f} to {seen[flagged].max():,.0f} times: inside the danger zone of {zone.low:,.0f} to {zone.high:,.0f} repeats, though their documents differ",
            count=len(rows), of=len(counted.rows), severity="medium", size=share, rows=rows, cases=[Case(rows=(int(row),), note="holds such a passage") for row in rows[:EXAMPLES]],
            advice="strip headers, licences and prompts that repeat, or keep fewer of them",
        )
    ]  # fmt: skip


def _table(repeats: np.ndarray, words: np.ndarray, passes: float, zone: DangerZone, total: float) -> Table:
    rows = []
    for one in by_repeats(repeats, words):
        seen = (max(one.least, 1) * passes, one.most * passes)
        meets = one.least >= 2 and seen[1] >= zone.low and seen[0] <= zone.high
        rows.append(
            {"repeats": f"{one.least:,}" if one.least == one.most else f"{one.least:,} to {one.most:,}", "groups": one.groups, "once": round(one.once), "share": one.words / total, "zone": "meets the zone" if meets else ""}
        )  # fmt: skip
    columns = (
        Column("repeats", "copies in the data (E)"), Column("groups", "different documents", "count"), Column("once", "words of one copy (R)", "count"),
        Column("share", "share of all words (f)", "percent"), Column("zone", "danger zone"),
    )  # fmt: skip
    return Table(columns, rows, "Documents by number of copies, weighted by words", main=True)


def _facts(zone: DangerZone, passes: float, near: bool, length: int) -> dict[str, str]:
    return {
        "model": f"{large(zone.parameters)} parameters", "danger zone": f"{zone.low:,.0f} to {zone.high:,.0f} repeats", "passes over the data": f"{passes:.3g}",
        "same document": f"equal words{f', or Jaccard {THRESHOLD} over runs of {RUN} words' if near else ''}", "passage": f"{length} words",
    }  # fmt: skip


def _notes(zone: DangerZone, tokens: float | None, passes: float, passages: Passages) -> list[str]:
    notes = [fitted_range()]
    if zone.extrapolated:
        notes.append(f"A model of {large(zone.parameters)} parameters is outside the sizes that were measured: its zone is extrapolated.")
    if tokens is not None:
        far = max(tokens / FITTED_TOKENS, FITTED_TOKENS / tokens)
        notes.append(
            f"Copies are multiplied by {passes:.3g} passes over the data ({large(tokens)} tokens, {TOKENS_A_WORD} a word)."
            + (f" A training on {large(tokens)} tokens is {far:,.0f} times off the {large(FITTED_TOKENS)} of the fit." if far > 3 else "")
        )
    if passes >= 2:
        notes.append(
            "With several passes all text repeats; the law is about a part of the text that repeats more than the rest, and does not judge the passes themselves."
        )
    if passages.modulus > 1:
        notes.append(f"Passages: one run of words in {passages.modulus} was counted, with all of its copies.")
    return notes
