"""Judges: who scores what no program can check. A language model (local or behind an endpoint) or a file of human ratings; blind to who wrote what.

A judge sees the sentence, its options, the gold answer and one explanation under a number that says nothing of its origin, in an order drawn anew. It rates three
dimensions from 1 to 5: grammar (a well-formed sentence), support (the rule makes the gold option the answer), generality (it applies beyond this sentence).
Replies that hold no rating are counted, never guessed. Agreement of judges is Krippendorff's alpha; whether a judge may be believed is shown by a
control: with X and Y exchanged, support must fall.
"""

from __future__ import annotations

import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np

from genscope.core.canonical import digest
from genscope.core.errors import DataError, UsageError
from genscope.core.records import Record
from genscope.core.reply import GenerateJob, Message, Request, Sampling
from genscope.core.seeds import Seed
from genscope.core.stats import Interval, bootstrap_t
from genscope.core.text import clean
from genscope.measures.explanation_text import swapped
from genscope.measures.krippendorff import krippendorff_alpha
from genscope.models.ask import Asker
from genscope.tasks.winogrande_explanations import Item

Dimension = Literal["grammar", "support", "generality"]
DIMENSIONS: Mapping[Dimension, str] = {
    "grammar": "Is the explanation a grammatical, well-formed sentence?",
    "support": "Does the explanation make the given answer the right one, rather than the other option?",
    "generality": "Does the explanation state a general rule that applies beyond this sentence, rather than restate it?",
}
SCALE = (1, 5)
LARGEST = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a judge is shown: an item and one explanation of its gold option. `id` is a hash of these, so it says nothing of who wrote it."""

    item: Item
    explanation: str

    @property
    def id(self) -> str:
        """16 hex digits."""
        return digest([self.item.id, self.explanation], size=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """One judge's ratings: dimension -> one number a case (nan where none came); unparsed: replies without a rating, of `asked`."""

    judge: str
    values: Mapping[str, np.ndarray]
    unparsed: int = 0
    asked: int = 0


class Judge(ABC):
    """Rates explanations."""

    name: str

    @abstractmethod
    def rate(self, cases: Sequence[Case], dimensions: Sequence[Dimension]) -> Ratings:
        """Ratings of every case in the given order, whatever the order in which they are looked at."""


class ModelJudge(Judge):
    """A model of any kind that generates (smollm2, hf:, openai:MODEL@URL, ...), at temperature 0. A repeated case is asked once."""

    def __init__(self, asker: Asker, seed: Seed) -> None:
        self.asker, self.seed, self.name = asker, seed, asker.model.name

    def rate(self, cases: Sequence[Case], dimensions: Sequence[Dimension]) -> Ratings:
        known(dimensions)
        asked = list({(one.id, dimension): (one, dimension) for one in cases for dimension in dimensions}.values())
        order = self.seed.child("order").rng().permutation(len(asked))
        requests = [request(*asked[place]) for place in order]
        size = max(1, self.asker.model.block)
        jobs = [GenerateJob(requests=tuple(requests[k : k + size]), sampling=Sampling(max_tokens=8)) for k in range(0, len(requests), size)]
        replies = [reply for block in self.asker.generate(jobs, f"{self.name} judges") for reply in block]
        found = {}
        for place, reply in zip(order, replies, strict=True):
            case, dimension = asked[place]
            found[case.id, dimension] = float("nan") if reply.finish == "failed" else rating(reply.text)
        values = {dimension: np.array([found[case.id, dimension] for case in cases]) for dimension in dimensions}
        return Ratings(judge=self.name, values=values, unparsed=int(sum(one != one for one in found.values())), asked=len(found))


class HumanJudge(Judge):
    """A CSV file of ratings with the columns case (its id), judge, dimension, rating (a number; empty: none given). One judge of the file, by name."""

    def __init__(self, path: Path, judge: str) -> None:
        self.name = judge
        rows = [one for one in read_ratings(path) if one["judge"] == judge]
        if not rows:
            raise DataError(f"{path.name}: no rating by {judge!r}; judges: {', '.join(judges_in(path))}")
        self._held: dict[tuple[str, str], float] = {}
        for one in rows:
            key = (one["case"], one["dimension"])
            if key in self._held:
                raise DataError(f"{path.name}: {judge!r} rates case {one['case']} twice on {one['dimension']}")
            self._held[key] = float(one["rating"]) if one["rating"] else float("nan")

    def rate(self, cases: Sequence[Case], dimensions: Sequence[Dimension]) -> Ratings:
        known(dimensions)
        values = {dimension: np.array([self._held.get((case.id, dimension), float("nan")) for case in cases]) for dimension in dimensions}
        return Ratings(
            judge=self.name,
            values=values,
            unparsed=int(sum(np.isnan(one).sum() for one in values.values())),
            asked=len(cases) * len(dimensions),
        )


def rating_sheet(cases: Sequence[Case], dimensions: Sequence[Dimension], seed: Seed) -> str:
    """A CSV for people to fill in, blind: every case once a dimension in a drawn order, with an empty column `rating`. Cells that a spreadsheet would run get a quote."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(["case", "judge", "dimension", "rating", "question", "sentence", "option 1", "option 2", "answer", "explanation"])
    rows = [(case, dimension) for case in {one.id: one for one in cases}.values() for dimension in dimensions]
    for place in seed.child("sheet").rng().permutation(len(rows)):
        case, dimension = rows[place]
        shown = [case.item.sentence, *case.item.options, case.item.gold, case.explanation]
        writer.writerow([case.id, "", dimension, "", DIMENSIONS[dimension], *[_harmless(one) for one in shown]])
    return out.getvalue()


def read_ratings(path: Path) -> list[dict[str, str]]:
    """Rows of a ratings file; DataError for missing columns, an unknown dimension, or a rating outside 1 to 5, with the line number."""
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path.name}: larger than {LARGEST >> 20} MB")
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    for line, row in enumerate(rows, 2):
        lacking = [name for name in ("case", "judge", "dimension", "rating") if row.get(name) is None]
        if lacking:
            raise DataError(f"{path.name}, line {line}: no column {', '.join(lacking)}; case, judge, dimension and rating are needed")
        if row["dimension"] not in DIMENSIONS:
            raise DataError(f"{path.name}, line {line}: unknown dimension {row['dimension']!r}; known: {', '.join(DIMENSIONS)}")
        try:
            if row["rating"].strip() and not SCALE[0] <= float(row["rating"]) <= SCALE[1]:
                raise ValueError
        except ValueError as error:
            raise DataError(f"{path.name}, line {line}: the rating is {row['rating']!r}; {SCALE[0]} to {SCALE[1]}, or nothing") from error
    return rows


def judges_in(path: Path) -> list[str]:
    """Names of the judges in a ratings file, in order of appearance."""
    return list(dict.fromkeys(row["judge"] for row in read_ratings(path)))


def request(case: Case, dimension: Dimension) -> Request:
    """The question to a model judge. It names neither a person nor a model as the author."""
    one, two = case.item.options
    text = (
        f'Sentence: {case.item.sentence}\nThe blank "_" is filled by one of: {one}; {two}. The given answer: {case.item.gold}.\n'
        f'Explanation of the answer (X and Y stand for the options): {case.explanation}\n\n'
        f"{DIMENSIONS[dimension]} Answer with one number from 1 (not at all) to 5 (fully) and nothing else."
    )  # fmt: skip
    return Request(messages=(Message("user", text),), plain=f"{text}\nRating:")


def rating(reply: str) -> float:
    """The rating in a reply: its only number, or the first of "N", "N/5", "N out of 5" at its start; nan otherwise.

    >>> rating("4"), rating("Rating: 3/5."), rating("I would say 2 out of 5"), rating("between 2 and 4"), rating("10")
    (4.0, 3.0, 2.0, nan, nan)
    """
    text = re.sub(r"(?:/|\bout of\b)\s*5\b", "", clean(reply, 200))
    numbers = re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", text)
    if not numbers or (len(set(numbers)) > 1 and not re.match(rf"\s*{re.escape(numbers[0])}\s*(?:$|[\n.,:;])", text)):
        return float("nan")
    value = float(numbers[0])
    return value if SCALE[0] <= value <= SCALE[1] else float("nan")


def agreement_records(ratings: Sequence[Ratings], dimensions: Sequence[Dimension], source: str) -> list[Record]:
    """Krippendorff's alpha (ordinal) over the judges for each dimension, and each judge's share of replies without a rating."""
    records = [
        Record(source=source, metric="unparsed_share", value=one.unparsed / one.asked if one.asked else None, unit="fraction", n=one.asked, condition=one.judge, provenance="replies without a rating")
        for one in ratings
    ]  # fmt: skip
    if len(ratings) < 2:
        return records
    for dimension in dimensions:
        held = np.stack([one.values[dimension] for one in ratings])
        alpha = krippendorff_alpha(held, "ordinal")
        records.append(Record(source=source, metric="krippendorff_alpha", value=alpha, unit="alpha", n=int((np.isfinite(held).sum(0) >= 2).sum()), condition=dimension, provenance=f"ordinal, {len(ratings)} judges"))  # fmt: skip
    return records


def swap_control(judge: Judge, cases: Sequence[Case], seed: Seed) -> Interval:
    """Mean of support(rule) - support(rule with X and Y exchanged) with its interval over items: a judge is valid when the lower end lies above 0.

    Cases without both placeholders say nothing and are left out; UsageError when fewer than 2 are left or rated.
    """
    both = [one for one in cases if swapped(one.explanation) != one.explanation]
    turned = [replace(one, explanation=swapped(one.explanation)) for one in both]
    held = judge.rate([*both, *turned], ["support"]).values["support"]
    differences = held[: len(both)] - held[len(both) :]
    usable = differences[np.isfinite(differences)]
    if len(usable) < 2:
        raise UsageError(f"swap control of {judge.name}: only {len(usable)} of {len(cases)} cases were rated both ways")
    return bootstrap_t(usable, seed.rng())


def known(dimensions: Sequence[Dimension]) -> None:
    """UsageError for an unknown dimension."""
    for one in dimensions:
        if one not in DIMENSIONS:
            raise UsageError(f"unknown dimension {one!r}; known: {', '.join(DIMENSIONS)}")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
