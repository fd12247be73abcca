"""Sentences with a blank `_` and two options (WinoGrande): two readings of the sentence, one of them right.

A language model is asked without a prompt, by partial scoring (Trinh and Le 2018): which option makes what follows the blank likelier?
Twins (sentences made from each other by a changed word) have the same options and nearly the same words.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genscope.core.errors import DataError
from genscope.core.text import clean, shorten

EXPLANATION_HARDNESS = "17-explanation-hardness"
"""Folder of $GENSCOPE_DATA with WinoGrande sentences of known hardness."""
TWIN = 80.0
"""Least similarity of twins, in percent (rapidfuzz ratio of the sentences)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """One sentence. right: place of the right option, 0 or 1; hardness: "easy", "hard" or "" where nobody said."""

    sentence: str
    options: tuple[str, str]
    right: int
    hardness: str = ""

    def __post_init__(self) -> None:
        if self.sentence.count("_") != 1:
            raise DataError(f"a sentence has exactly one blank _, got {self.sentence.count('_')} in {shorten(self.sentence, 80)!r}")
        if self.right not in (0, 1):
            raise DataError(f"the right option is 0 or 1, got {self.right!r}")

    def halves(self, option: int) -> tuple[str, str]:
        """(sentence up to and with the option, what follows): the second is scored after the first.

        >>> Blank(sentence="He ate the _ first.", options=("pie", "soup"), right=0).halves(1)
        ('He ate the soup', ' first.')
        """
        before, after = self.sentence.split("_")
        return before + self.options[option], after


def read_tsv(path: Path, hardness: str = "") -> list[Blank]:
    """Rows `sentence, option 1, option 2, right option, ...` (tab separated, no header) as the explanation-hardness data has them."""
    found = []
    for number, line in enumerate(path.read_text("utf-8-sig", "replace").split("\n"), 1):
        if not line.strip():
            continue
        cells = next(csv.reader([line], delimiter="\t", quoting=csv.QUOTE_NONE))
        if len(cells) < 4 or cells[3] not in cells[1:3]:
            raise DataError(f"{path}, line {number}: a row is sentence, option 1, option 2 and one of the two; got {shorten(line, 80)!r}")
        found.append(
            Blank(
                sentence=clean(cells[0], 2_000),
                options=(clean(cells[1], 200), clean(cells[2], 200)),
                right=cells[1:3].index(cells[3]),
                hardness=hardness,
            )
        )
    return found


def known_hardness(folder: Path) -> list[Blank]:
    """500 easy and 500 hard sentences: the test rows and the pool of 400 of each."""
    return [
        blank
        for hardness in ("easy", "hard")
        for name in ("test_100.tsv", "pool_400.tsv")
        for blank in read_tsv(folder / hardness / name, hardness)
    ]


def blank_from_row(row: Mapping[str, Any]) -> Blank:
    """A row with the columns sentence, option1, option2 and answer ("1" or "2"), as the WinoGrande data set has them."""
    answer = str(row.get("answer", "")).strip()
    if answer not in ("1", "2"):
        raise DataError(f'answer must be "1" or "2", got {shorten(answer, 40)!r}')
    return Blank(
        sentence=clean(str(row["sentence"]), 2_000),
        options=(clean(str(row["option1"]), 200), clean(str(row["option2"]), 200)),
        right=int(answer) - 1,
    )


def twins(blanks: Sequence[Blank]) -> list[int]:
    """Group of each sentence: sentences with the same two options and nearly the same words share one."""
    from rapidfuzz import fuzz

    groups: list[int] = []
    seen: dict[frozenset[str], list[int]] = {}
    for place, blank in enumerate(blanks):
        key = frozenset(option.casefold() for option in blank.options)
        like = next((other for other in seen.get(key, ()) if fuzz.ratio(blanks[other].sentence, blank.sentence) >= TWIN), None)
        groups.append(place if like is None else groups[like])
        seen.setdefault(key, []).append(place)
    return groups
