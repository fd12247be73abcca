"""Detector of generalizing statements for any text: the sparse classifier trained on GeniL, with its error rates on held-out pairs of each language.

Trained once on the training side of an `unseen-pair` split and kept in the store by the content of the nine files. A row is flagged when its probability
reaches THRESHOLD, fixed beforehand; true and false positive rates at it come from the held-out side and correct the share of flagged rows
(genscope.measures.adjusted_count). The rates hold for web sentences like GeniL's; text of another kind may have others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.models.association_prior import AssociationPrior
from genscope.models.genil.counts import Counts, count
from genscope.models.genil.sparse import LEAST_ROWS, Fitted, Vocabulary, fit
from genscope.tasks.genil import GENIL, LANGUAGES, Rows, load, mark, split
from genscope.tasks.images import data_folder

VERSION = 1
THRESHOLD = 0.1
"""Probability from which a row is flagged: nearly twice the share of generalizing rows in GeniL."""
NAMED = (("characters", "grams"), ("words", "terms"), ("relations", "around"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A trained classifier with the names of its columns, and held-out labels and flags by language."""

    fitted: Fitted
    names: dict[str, tuple[str, ...]]
    held: dict[str, tuple[Int[np.ndarray, " h"], Int[np.ndarray, " h"]]]

    def scores(self, rows: Rows) -> Float[np.ndarray, " n"]:
        """Log-odds (nats) that rows generalize."""
        if not len(rows):
            return np.zeros(0)
        counts = count([mark(*one) for one in zip(rows.sentence, rows.identity, rows.attribute, strict=True)], rows.language)
        return self.fitted.scores(rows, self._aligned(counts), np.arange(len(rows)))

    def flags(self, scores: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """1 where the probability reaches the threshold."""
        return (scores >= math.log(THRESHOLD / (1 - THRESHOLD))).astype(int)

    def errors(self, language: str) -> tuple[float, float]:
        """(true positive rate, false positive rate) on held-out pairs of the language."""
        y, seen = self.held[language]
        return float(seen[y == 1].mean()), float(seen[y == 0].mean())

    def _aligned(self, counts: Counts) -> Counts:
        """The counts with the columns of the training vocabulary, in its order."""
        place = {name: {word: k for k, word in enumerate(self.names[name])} for name, _ in NAMED}
        return Counts(
            context=counts.context, mentions=counts.mentions, pair=counts.pair, spelling=_columns(counts.spelling, counts.grams, place["characters"]),
            marked=_columns(counts.marked, counts.terms, place["words"]), relations=_columns(counts.relations, counts.around, place["relations"]),
        )  # fmt: skip


def detector(store: Store) -> Detector:
    """The detector, from the store or trained now (about 40 s on one core). MissingError when GeniL is not in $GENSCOPE_DATA."""
    folder = data_folder(
        GENIL,
        "GeniL, which the detector of generalizations is trained on,",
        "https://github.com/google-research-datasets/GeniL (folder dataset; CC-BY-4.0)",
    )
    content = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in sorted(folder.glob("*.csv*"))]
    key = store.key("genil detector", [VERSION, THRESHOLD, content])
    with store.alone(key):
        found = store.get_arrays(key)
        if found is None:
            store.put_arrays(key, *_taken_apart(_trained(load())))
            found = store.get_arrays(key)
    if found is None:
        raise OSError(f"the store lost {key} while it was written")
    return _put_together(*found)


def _trained(rows: Rows) -> Detector:
    counts = count([mark(*one) for one in zip(rows.sentence, rows.identity, rows.attribute, strict=True)], rows.language, LEAST_ROWS)
    made = split(rows, "unseen-pair", Seed("genil", "detector"))
    whole = fit(rows, counts, made.train)
    names = {block: tuple(getattr(counts, attribute)[k] for k in whole.vocabularies[block].columns) for block, attribute in NAMED}
    own = {block: Vocabulary(columns=np.arange(len(one.columns)), idf=one.idf) for block, one in whole.vocabularies.items()}
    fitted = Fitted(blocks=whole.blocks, vocabularies=own, prior=whole.prior, with_pair=False, weights=whole.weights, bias=whole.bias)
    empty = Detector(fitted=fitted, names=names, held={})
    flagged = empty.flags(whole.scores(rows, counts, made.test))
    y, spoken = rows.generalizing[made.test].astype(int), np.array(rows.language)[made.test]
    return Detector(
        fitted=fitted, names=names, held={one: (y[spoken == one], flagged[spoken == one]) for one in LANGUAGES if (spoken == one).any()}
    )


def _columns(matrix: Any, names: Sequence[str], place: dict[str, int]) -> Any:
    """Columns by name; those that training did not have are dropped."""
    from scipy.sparse import csr_array

    to = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    kept = np.flatnonzero(to >= 0)
    chooser = csr_array((np.ones(len(kept), dtype=np.float32), (kept, to[kept])), shape=(len(names), len(place)))
    return csr_array(matrix @ chooser)


def _taken_apart(one: Detector) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    prior = one.fitted.prior
    arrays = {"weights": one.fitted.weights, **{f"idf.{block}": held.idf for block, held in one.fitted.vocabularies.items()}}
    for language, (y, seen) in one.held.items():
        arrays |= {f"y.{language}": y, f"seen.{language}": seen}
    tables = [] if prior is None else [[[list(key), *held] for key, held in table.items()] for table in prior.counts]  # pyright: ignore[reportArgumentType]
    about = {
        "bias": one.fitted.bias, "names": {name: list(held) for name, held in one.names.items()}, "tables": tables,
        "base": [] if prior is None else [[key, *held] for key, held in prior.base.items()], "overall": [] if prior is None else list(prior.overall),
    }  # fmt: skip
    return arrays, about


def _put_together(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> Detector:
    prior = AssociationPrior(
        counts=tuple({tuple(key): (n, k) for key, n, k in table} for table in about["tables"]), base={key: (n, k) for key, n, k in about["base"]},
        overall=(about["overall"][0], about["overall"][1]),
    )  # fmt: skip
    vocabularies = {block: Vocabulary(columns=np.arange(len(arrays[f"idf.{block}"])), idf=arrays[f"idf.{block}"]) for block, _ in NAMED}
    fitted = Fitted(
        blocks=("characters", "words", "relations", "prior"), vocabularies=vocabularies, prior=prior, with_pair=False, weights=arrays["weights"], bias=float(about["bias"])
    )  # fmt: skip
    languages = [name.removeprefix("y.") for name in arrays if name.startswith("y.")]
    return Detector(
        fitted=fitted, names={name: tuple(held) for name, held in about["names"].items()},
        held={one: (arrays[f"y.{one}"], arrays[f"seen.{one}"]) for one in languages},
    )  # fmt: skip
