"""Named splits of GeniL, deterministic from a seed, with a certificate that nothing is on both sides.

Groups are dealt to the test side language by language until it has 20 % of the language's rows: by-sentence deals exact sentences, unseen-pair
(language, identity, attribute), unseen-identity and unseen-attribute one of the two. A sentence can stand under several pairs, so where pairs,
identities or attributes are dealt, training rows whose sentence is in the test are left out as well (and counted). The release has no
split of its own: these are not the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from genscope.core.errors import DataError, TaskError, unknown
from genscope.core.seeds import Seed
from genscope.tasks.genil.rows import LANGUAGES, Rows
from genscope.tasks.task import Certificate

TEST_SHARE = 0.2
DEALT: dict[str, Callable[[Rows], list[Hashable]]] = {
    "by-sentence": lambda rows: list(rows.sentence),
    "unseen-pair": lambda rows: [*rows.pairs()],
    "unseen-identity": lambda rows: [(language, identity) for language, identity, _ in rows.pairs()],
    "unseen-attribute": lambda rows: [(language, attribute) for language, _, attribute in rows.pairs()],
}
NAMES = (*DEALT, "leave-language-out", "english-only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Places of the rows in each side. left_out: rows in neither, because their sentence stands in the test under another pair."""

    name: str
    train: Int[np.ndarray, " a"]
    test: Int[np.ndarray, " b"]
    left_out: int

    def certify(self, rows: Rows) -> Certificate:
        """shared_examples: sentences on both sides; shared_elements: dealt groups (pairs, identities, attributes; languages) on both sides."""
        groups = DEALT[self.name](rows) if self.name in DEALT else list(rows.language)
        return Certificate(
            sizes={"train": len(self.train), "test": len(self.test)}, shared_examples=_shared(rows.sentence, self),
            shared_elements=_shared(groups, self), notes=(f"{self.left_out} training rows left out: their sentence is in the test",),
        )  # fmt: skip


def split(rows: Rows, name: str, seed: Seed, language: str | None = None) -> Split:
    """The split of that name; `language`: the test language of `leave-language-out`. A side without both labels is an error that names the split."""
    if name not in NAMES:
        raise TaskError(unknown("GeniL split", name, NAMES))
    if (name == "leave-language-out") != (language is not None) or (language is not None and language not in LANGUAGES):
        raise TaskError(
            f"leave-language-out, and no other split, takes a test language out of {', '.join(LANGUAGES)}; got {name} with {language!r}"
        )
    spoken = np.array(rows.language)
    if name in DEALT:
        test = _dealt(DEALT[name](rows), spoken, seed.child("genil split", name))
    else:
        test = spoken == language if language else spoken != "en"
    asked = {sentence for sentence, held in zip(rows.sentence, test, strict=True) if held}
    leaks = np.array([sentence in asked for sentence in rows.sentence]) & ~test
    made = Split(name=name, train=np.flatnonzero(~test & ~leaks), test=np.flatnonzero(test), left_out=int(leaks.sum()))
    for side, places in (("training", made.train), ("test", made.test)):
        if len(np.unique(rows.generalizing[places])) < 2:
            raise DataError(
                f"GeniL split {name}: the {side} side ({len(places)} rows) does not have both labels; take more rows or languages"
            )
    return made


def _dealt(groups: list[Hashable], spoken: np.ndarray, seed: Seed) -> np.ndarray:
    """Which rows are in the test: whole groups in random order until a language has its share."""
    test = np.zeros(len(groups), dtype=bool)
    first: dict[Hashable, str] = {}
    for group, language in zip(groups, spoken, strict=True):
        first.setdefault(group, language)
    for language in sorted(set(first.values())):
        names = sorted((group for group, where in first.items() if where == language), key=repr)
        members: dict[Hashable, list[int]] = {name: [] for name in names}
        for place, group in enumerate(groups):
            if group in members:
                members[group].append(place)
        wanted = TEST_SHARE * sum(map(len, members.values()))
        held = 0
        for at in seed.child(language).rng().permutation(len(names)):
            if held >= wanted:
                break
            chosen = members[names[at]]
            test[chosen] = True
            held += len(chosen)
    return test


def _shared(names: Sequence[Hashable], made: Split) -> int:
    return len({names[k] for k in made.train} & {names[k] for k in made.test})


def thinned(rows: Rows, share: float, seed: Seed) -> Rows:
    """A share of the rows, whole sentences: for quick runs."""
    names = sorted(set(rows.sentence))
    keep = seed.child("genil rows").rng().random(len(names)) < share
    chosen = {name for name, kept in zip(names, keep, strict=True) if kept}
    return rows.take([place for place, sentence in enumerate(rows.sentence) if sentence in chosen])


def folds(rows: Rows, count: int, seed: Seed) -> Int[np.ndarray, " n"]:
    """A fold, 0 to count - 1, for each row; rows of one sentence share it, and each language and label is spread evenly over the folds."""
    if count < 2:
        raise TaskError(f"cross-fitting needs at least 2 folds, got {count}")
    first: dict[str, tuple[str, int]] = {}
    for sentence, language, label in zip(rows.sentence, rows.language, rows.generalizing.tolist(), strict=True):
        held = first.get(sentence)
        first[sentence] = (language, label if held is None else max(held[1], label))
    fold: dict[str, int] = {}
    for stratum in sorted(set(first.values())):
        names = sorted(name for name, where in first.items() if where == stratum)
        for k, at in enumerate(seed.child("genil folds", *stratum).rng().permutation(len(names))):
            fold[names[at]] = k % count
    return np.array([fold[sentence] for sentence in rows.sentence])


def sampled(rows: Rows, most: int, per_positive: int, seed: Seed) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """(places, weights): positives with `per_positive` negatives each, at most `most` rows a language; a weight is 1 / sampling rate of language and label.

    Weights make average precision estimate that of all rows.
    """
    spoken = np.array(rows.language)
    chosen, weights = [], []
    for language in sorted(set(rows.language)):
        sides = [np.flatnonzero((spoken == language) & (rows.generalizing == label)) for label in (1, 0)]
        positives = min(len(sides[0]), max(1, most // (1 + per_positive)))
        for label, (side, wanted) in enumerate(zip(sides, (positives, positives * per_positive), strict=True)):
            held = np.sort(seed.child("genil sample", language, label).rng().permutation(side)[: min(wanted, len(side))])
            chosen.append(held)
            weights.append(np.full(len(held), len(side) / max(1, len(held))))
    places = np.concatenate(chosen)
    order = np.argsort(places)
    return places[order], np.concatenate(weights)[order]
