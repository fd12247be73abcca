"""Near duplicates: texts that share most of their runs of three words, inside a split and across splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genscope.core.records import Record
from genscope.core.text import many
from genscope.measures.near_duplicates import BYTES_A_ROW, Bands, clusters, near_pairs
from genscope.sections.audit.equal_rows import different_inputs, texts_in
from genscope.sections.audit.splits import training_first
from genscope.sections.audit_section import EXAMPLES, AuditCost, AuditLab, AuditOutcome, AuditSection, Case, Finding, Option, counted
from genscope.tasks.dataset import Dataset


class NearDuplicatesSection(AuditSection):
    """Pairs of different inputs whose Jaccard similarity over runs of three words is at least `threshold`."""

    name = "near_duplicates"
    question = "Are there texts that say nearly the same?"
    kinds = frozenset({"text"})
    options = {  # noqa: RUF012
        "threshold": Option(default="0.8", help="least Jaccard similarity of two texts' runs of three words, 0.5 to 1"),
        "rows": Option(default="3000000", help="rows that are compared; 112 bytes of memory each"),
        "remove": Option(default="no", help="yes: --fix keeps one of each cluster"),
    }

    def cost(self, data: Dataset) -> AuditCost:
        return AuditCost(passes=2, seconds=data.size / 20e6, memory=BYTES_A_ROW * min(data.rows, 3_000_000))

    def run(self, lab: AuditLab) -> AuditOutcome:
        data, threshold = lab.data, lab.number("threshold", 0.5, 1.0)
        most, remove = lab.whole("rows", 2, 100_000_000), lab.choice("remove", ("yes", "no")) == "yes"
        single = different_inputs(data)
        bands, looked = Bands(), 0
        for rows, texts in texts_in(data, single):
            if looked + len(rows) > most:
                rows, texts = rows[: most - looked], texts[: most - looked]
            bands.add(rows, texts)
            looked += len(rows)
            if looked >= most:
                break

        def texts_of(rows: np.ndarray) -> Iterator[tuple[np.ndarray, list[str]]]:
            mask = np.zeros(data.rows, bool)
            mask[rows] = True
            return texts_in(data, mask)

        first, second, value = near_pairs(bands, texts_of, threshold)
        root = clusters(first, second)
        records = [
            Record(source="audit/near_duplicates", metric="near_pairs", value=float(len(first)), unit="count", n=looked, provenance=f"MinHash candidates confirmed, Jaccard of runs of three words >= {threshold:g}"),
            Record(source="audit/near_duplicates", metric="near_rows", value=float(len(root)), unit="count", n=looked, provenance="rows in such a pair"),
        ]  # fmt: skip
        whole = int(single.sum())
        notes = (
            [f"the first {looked:,} of {whole:,} different inputs were compared (--with near_duplicates:rows=...)"]
            if looked < whole
            else []
        )
        if not len(first):
            return AuditOutcome(
                records=records,
                notes=notes,
                answer=f"No two of {looked:,} different inputs share {100 * threshold:.0f} % of their runs of three words.",
            )
        findings = _inside(data, first, second, value, root, looked, threshold, remove)
        if data.has("split"):
            findings += _across(data, first, second, value, threshold)
        facts = {"threshold": f"Jaccard {threshold:g} of runs of three words"}
        return AuditOutcome(
            findings=findings,
            records=records,
            notes=notes,
            facts=facts,
            answer=f"{len(root):,} rows fall into {len(set(root.values())):,} clusters of nearly equal texts.",
        )


def _inside(
    data: Dataset,
    first: np.ndarray,
    second: np.ndarray,
    value: np.ndarray,
    root: dict[int, int],
    looked: int,
    threshold: float,
    remove: bool,
) -> list[Finding]:
    """Every row of a cluster but its first, with the nearest earlier row."""
    order = np.lexsort((-value, second))
    rows, leading = np.unique(second[order], return_index=True)
    partner, score = first[order][leading], value[order][leading]
    later = np.array([row for row, base in root.items() if row != base])
    top = np.argsort(-score, kind="stable")[:EXAMPLES]
    share = len(rows) / max(1, looked)
    return [
        counted(
            "near_duplicate", f"{many(len(rows), 'row nearly repeats', 'rows nearly repeat')} an earlier row (similarity {threshold:g} or more)", len(rows), looked, "medium" if share >= 0.05 else "low",
            "look whether they are templates or edits of one text; if so, split and resample by cluster", rows=rows, partners=partner, scores=score,
            cases=[Case(rows=(int(partner[k]), int(rows[k])), note=f"similarity {score[k]:.2f}") for k in top], remove=np.sort(later) if remove else np.empty(0, np.int64),
        )
    ]  # fmt: skip


def _across(data: Dataset, first: np.ndarray, second: np.ndarray, value: np.ndarray, threshold: float) -> list[Finding]:
    """Pairs that lie in two splits; the row of the later split is flagged, with its most similar one in the earlier."""
    split, names = data.codes("split")
    place = {code: rank for rank, code in enumerate(training_first(names))}
    a, b = split[first], split[second]
    findings = []
    pairs = {
        (min(x, y, key=place.__getitem__), max(x, y, key=place.__getitem__))
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
        if x != y and x >= 0 and y >= 0
    }
    for train, test in sorted(pairs, key=lambda pair: (place[pair[1]], place[pair[0]])):
        forward, back = (a == train) & (b == test), (a == test) & (b == train)
        rows, partner, score = np.r_[second[forward], first[back]], np.r_[first[forward], second[back]], np.r_[value[forward], value[back]]
        order = np.lexsort((-score, rows))
        flagged, leading = np.unique(rows[order], return_index=True)
        partner, score = partner[order][leading], score[order][leading]
        of = int((split == test).sum())
        top = np.argsort(-score, kind="stable")[:EXAMPLES]
        findings.append(
            counted(
                "leak", f"{len(flagged):,} of {of:,} rows of split {names[test]} nearly repeat a row of split {names[train]} (similarity {threshold:g} or more)", len(flagged), of, "high" if len(flagged) >= 0.01 * of else "medium",
                f"keep clusters of similar texts on one side; report figures on {names[test]} without these rows too", rows=flagged, partners=partner, scores=score,
                cases=[Case(rows=(int(partner[k]), int(flagged[k])), note=f"similarity {score[k]:.2f}") for k in top],
            )
        )  # fmt: skip
    return findings
