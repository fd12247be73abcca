"""WinoGrande sentences with rule explanations by people and by GPT-3, at two hardnesses (data of Saha et al. 2022), and WinoGrande's own files.

Tab-separated, no header, six columns: sentence with one blank `_`, option 1, option 2, gold option, "agree" or "disagree" (the explainer's view of the gold
label, not of the explanation), explanation: a rule over the placeholders X and Y. Read as UTF-8 with or without a byte-order mark, split at `\\n` only (other
separators occur inside texts), quotes are text, a last line may lack its newline.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genscope.core.errors import DataError
from genscope.core.example import example_id
from genscope.core.text import clean
from genscope.tasks.images import data_folder

DATA = "17-explanation-hardness"
Hardness = Literal["easy", "medium", "hard"]
LARGEST = 64 << 20
BLANK = "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A sentence with one blank and the two options for it. gold: one of them; explanation: a person's rule, "" without one; agrees: whether that person
    agrees with the gold label; line: in its file, from 1.
    """

    sentence: str
    options: tuple[str, str]
    gold: str
    explanation: str = ""
    agrees: bool = True
    line: int = 0

    @property
    def id(self) -> str:
        """Depends on sentence and options only."""
        return example_id("winogrande", {"sentence": self.sentence, "options": list(self.options)})

    @property
    def other(self) -> str:
        """The option that is not gold."""
        return self.options[1] if self.gold == self.options[0] else self.options[0]

    def filled(self, option: str) -> tuple[str, str]:
        """(text up to and with the option, text after it)."""
        before, _, after = self.sentence.partition(BLANK)
        return before + option, after


def checked(item: Item, where: str) -> Item:
    """The item; DataError for a sentence without exactly one blank, a gold that is no option, or equal options."""
    blanks = item.sentence.count(BLANK)
    if blanks != 1:
        raise DataError(f"{where}: the sentence has {blanks} blanks `_`, one is needed")
    if item.gold not in item.options:
        raise DataError(f"{where}: the gold option {item.gold!r} is neither {item.options[0]!r} nor {item.options[1]!r}")
    if item.options[0] == item.options[1] or not all(item.options):
        raise DataError(f"{where}: two different options are needed, got {item.options[0]!r} and {item.options[1]!r}")
    return item


def read_items(path: Path) -> list[Item]:
    """The items of a TSV file, in order; DataError names the file and line of what is wrong."""
    items = []
    for line, text in _lines(path):
        where, cells = f"{path.name}, line {line}", text.split("\t")
        if len(cells) != 6:
            raise DataError(f"{where}: {len(cells)} columns; sentence, two options, gold, agree or disagree, and explanation are needed")
        sentence, one, two, gold, view, explanation = (clean(cell).strip() for cell in cells)
        if view not in ("agree", "disagree"):
            raise DataError(f"{where}: the fifth column says {view!r}; agree or disagree is needed")
        if not explanation:
            raise DataError(f"{where}: the explanation is empty")
        items.append(checked(Item(sentence=sentence, options=(one, two), gold=gold, explanation=explanation, agrees=view == "agree", line=line), where))  # fmt: skip
    if not items:
        raise DataError(f"{path.name}: no item in it")
    return items


def read_rules(path: Path, items: Sequence[Item]) -> list[str]:
    """One model explanation a line, aligned with `items`; as many as items, none of them empty."""
    rules = [clean(text).strip() for _, text in _lines(path, blank=True)]
    if len(rules) != len(items):
        raise DataError(f"{path.name}: {len(rules)} explanations for {len(items)} items; they are paired by line")
    if not all(rules):
        raise DataError(f"{path.name}, line {rules.index('') + 1}: the explanation is empty")
    return rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One hardness of the data: test items, GPT-3's rule for each, and the pools of explained sentences by size."""

    hardness: str
    test: tuple[Item, ...]
    model_rules: tuple[str, ...]
    pools: dict[int, tuple[Item, ...]]

    @property
    def pool(self) -> tuple[Item, ...]:
        """The largest pool."""
        return self.pools[max(self.pools)]

    @property
    def everything(self) -> tuple[Item, ...]:
        """Test items and the largest pool, the test items first."""
        return (*self.test, *self.pool)


def explained(hardness: Hardness, folder: Path | None = None) -> Explained:
    """The released files of one hardness, from $GENSCOPE_DATA (or the folder that holds easy, hard, medium)."""
    root = folder or data_folder(
        DATA,
        "The explained WinoGrande sentences",
        "github.com/swarnaHub/ExplanationHardness (folder data; MIT), with the folders easy and hard",
    )
    where = root / hardness
    if not where.is_dir():
        raise DataError(f"{root}: no folder {hardness}; the released sets are easy, medium and hard")
    tests = sorted(where.glob("test_*.tsv"))
    if len(tests) != 1:
        raise DataError(f"{where}: one file test_N.tsv is needed, found {len(tests)}")
    test = read_items(tests[0])
    pools = {
        int(path.stem.split("_")[1]): tuple(read_items(path)) for path in where.glob("pool_*.tsv") if path.stem.split("_")[1].isdigit()
    }
    if not pools:
        raise DataError(f"{where}: no file pool_N.tsv")
    return Explained(hardness=hardness, test=tuple(test), model_rules=tuple(read_rules(where / "gpt_generations.txt", test)), pools=pools)


def read_winogrande(path: Path) -> list[Item]:
    """WinoGrande's own JSONL (sentence, option1, option2, answer "1" or "2"; qID or guid is not read): full scale."""
    items = []
    for line, text in _lines(path):
        where = f"{path.name}, line {line}"
        try:
            row = json.loads(text)
            options = (str(row["option1"]), str(row["option2"]))
            answer = str(row["answer"])
            sentence = str(row["sentence"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{where}: an object with sentence, option1, option2 and answer is needed ({error})") from error
        if answer not in ("1", "2"):
            raise DataError(f'{where}: the answer is {answer!r}; "1" or "2" is needed (the test split has none)')
        items.append(checked(Item(sentence=sentence, options=options, gold=options[int(answer) - 1], line=line), where))
    return items


def twins(items: Sequence[Item]) -> list[int]:
    """Group of each item: WinoGrande's twins (the same options, and sentences that differ in a few words) and copies are in one group."""
    from rapidfuzz import fuzz

    groups, by_options = list(range(len(items))), {}
    for place, item in enumerate(items):
        key = frozenset(one.lower() for one in item.options)
        for earlier in by_options.setdefault(key, []):
            if fuzz.token_sort_ratio(item.sentence, items[earlier].sentence) >= 75:
                groups[place] = groups[earlier]
                break
        by_options[key].append(place)
    return groups


def audited(sets: Iterable[Explained]) -> dict[str, int]:
    """What to know before trusting a split: copies inside a pool, sentences shared by test and pool, and items whose explainer disputes the gold label."""
    found: dict[str, int] = {}
    for one in sets:
        ids = [item.id for item in one.pool]
        found[f"{one.hardness}: copies in the pool"] = len(ids) - len(set(ids))
        found[f"{one.hardness}: sentences in test and pool"] = len({item.id for item in one.test} & set(ids))
        found[f"{one.hardness}: disputed in test"] = sum(not item.agrees for item in one.test)
        found[f"{one.hardness}: disputed in pool"] = sum(not item.agrees for item in one.pool)
    return found


def _lines(path: Path, blank: bool = False) -> list[tuple[int, str]]:
    """(number, text) of each line, split at newlines only; a last empty one is no line, other blank ones are left out unless asked for."""
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path.name}: larger than {LARGEST >> 20} MB")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 ({error})") from error
    lines = text.split("\n")
    if lines and not lines[-1].strip():
        lines.pop()
    return [(number, one.rstrip("\r")) for number, one in enumerate(lines, 1) if blank or one.strip()]
