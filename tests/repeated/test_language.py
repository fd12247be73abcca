"""Copy-Markov: copies are copies, the mask leaves out what cannot be known, the floor is the entropy of the generator; real text in blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genscope.core.errors import DataError, MissingError, TaskError
from genscope.core.seeds import Seed
from genscope.tasks.copy_markov import BOS, FIRST_COPY, CopyMarkov
from genscope.tasks.packed_text import ALPHABET, as_tokens, characters, prose, token_file

LANGUAGE = CopyMarkov(seed=Seed("test", "language"))


def test_copy_tokens_repeat_their_source_and_the_first_of_a_span_is_not_in_the_mask() -> None:
    made = LANGUAGE.documents("test", np.arange(600))
    assert (made.tokens[:, 0] == BOS).all()
    assert (made.tokens[:, 1:] > 0).all()
    assert made.tokens.max() == 64
    rows, places = np.nonzero(made.source >= 0)
    assert (made.tokens[rows, places] == made.tokens[rows, made.source[rows, places]]).all()
    assert places.min() >= FIRST_COPY
    assert (made.source[rows, places] < places).all()
    starts = (made.source >= 0) & ~made.copied
    assert (made.source[made.copied] >= 0).all()
    for row, place in zip(*np.nonzero(starts), strict=True):
        length = 1
        while (
            place + length < 64
            and made.copied[row, place + length]
            and made.source[row, place + length] == made.source[row, place] + length
        ):
            length += 1
        assert length <= 16
        assert length >= 8 or place + length == 64
        # the whole span lies before the copy
        assert made.source[row, place] + length <= place
    # every 100 tokens outside copies from position 16 on begin 15 copies
    outside = ~made.copied[:, FIRST_COPY:]
    assert starts[:, FIRST_COPY:].sum() / outside.sum() == pytest.approx(0.15, abs=0.01)
    assert made.copied[:, 1:].mean() == pytest.approx(0.45, abs=0.02)


def test_tokens_outside_copies_follow_the_chain() -> None:
    language = CopyMarkov(seed=Seed("test", "small"), vocab=3, concentration=1.0, copy_rate=0.0)
    tokens = language.documents("x", np.arange(4_000)).tokens
    for row in range(4):
        after = tokens[:, 1:][tokens[:, :-1] == row]
        share = np.bincount(after, minlength=4)[1:] / len(after)
        assert share == pytest.approx(language.chain[row], abs=0.02)


def test_a_document_does_not_depend_on_its_neighbours_and_streams_are_apart() -> None:
    alone = LANGUAGE.documents("train", np.array([700]))
    among = LANGUAGE.documents("train", np.array([3, 700, 700, 12]))
    assert (alone.tokens[0] == among.tokens[1]).all()
    assert (among.tokens[1] == among.tokens[2]).all()
    other = LANGUAGE.documents("test", np.array([700]))
    assert (alone.tokens != other.tokens).mean() > 0.5
    again = CopyMarkov(seed=Seed("test", "language")).documents("train", np.array([700]))
    assert (again.tokens == alone.tokens).all()


def test_the_floor_is_the_entropy_of_the_mixture_worked_by_hand() -> None:
    # two symbols, spans of two: at position 16 the first token of a copy is that of a start in 1 .. 14
    language = CopyMarkov(seed=Seed("test", "two"), vocab=2, concentration=1.0, copy_rate=0.4, span=(2, 2), doc_len=18)
    made = language.documents("x", np.arange(64))
    floor = language.floor(made)
    row = int(np.flatnonzero(~made.copied[:, 16])[0])
    tokens = made.tokens[row]
    chain = language.chain[tokens[15]]
    first = np.array([(tokens[1:15] == 1).mean(), (tokens[1:15] == 2).mean()])
    p = 0.6 * chain + 0.4 * first
    assert floor[row, 15] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-6)
    before = language.chain[tokens[9]]
    assert floor[row, 9] == pytest.approx(-(before * np.log(before)).sum(), rel=1e-6)
    assert (floor[made.copied[:, 1:]] == 0).all()


def test_the_floor_equals_the_expected_loss_of_who_knows_the_state() -> None:
    """The generator's own log-probability of what came, averaged, is its entropy; the floor of the chain alone lies below."""
    made = LANGUAGE.documents("test", np.arange(3_000))
    n, length = made.tokens.shape
    losses = np.zeros((n, length - 1))
    for t in range(1, length):
        p = LANGUAGE.chain[made.tokens[:, t - 1], made.tokens[:, t] - 1].copy()
        if t >= FIRST_COPY:
            first = np.zeros(n)
            for span in range(8, 17):
                span = min(span, t - 1)
                first += (made.tokens[:, 1 : t - span + 1] == made.tokens[:, t, None]).mean(1) / 9
            p = 0.85 * p + 0.15 * first
        losses[:, t - 1] = np.where(made.copied[:, t], 0.0, -np.log(p))
    assert losses.mean() == pytest.approx(LANGUAGE.floor(made).mean(), abs=0.01)
    assert LANGUAGE.chain_floor(made).mean() < LANGUAGE.floor(made).mean()
    without = CopyMarkov(seed=Seed("test", "language"), copy_rate=0.0)
    plain = without.documents("test", np.arange(50))
    assert without.floor(plain) == pytest.approx(without.chain_floor(plain))


def test_settings_that_make_no_language_are_refused() -> None:
    with pytest.raises(TaskError, match="copy_rate in"):
        CopyMarkov(seed=Seed(0), copy_rate=1.0)
    with pytest.raises(TaskError, match="least <= 15"):
        CopyMarkov(seed=Seed(0), span=(16, 20))
    with pytest.raises(TaskError, match="more than 16 tokens"):
        CopyMarkov(seed=Seed(0), doc_len=16)
    with pytest.raises(TaskError, match="from 0 up"):
        LANGUAGE.documents("x", np.array([-1]))


def test_text_in_blocks() -> None:
    blocks = characters("abcdefg\n\u00e9", 4)
    assert (blocks.count, blocks.document_tokens, blocks.vocabulary) == (2, 4, 96)
    assert "".join(ALPHABET[one] for one in blocks.take(np.array([1]))[0]) == "efg\n"
    assert ALPHABET[as_tokens("\u00e9\u4e2d")[0]] == "?"
    with pytest.raises(DataError, match="numbered from 0 to 1"):
        blocks.take(np.array([2]))
    with pytest.raises(DataError, match="has no block of 10"):
        characters("abc", 10)


def test_token_files_are_read_in_place(tmp_path: Path) -> None:
    tokens = np.arange(100, dtype=np.uint16)
    tokens.tofile(tmp_path / "train.bin")
    np.save(tmp_path / "train.npy", tokens)
    for name in ("train.bin", "train.npy"):
        blocks = token_file(tmp_path / name, 8)
        assert isinstance(blocks.tokens, np.memmap)
        assert blocks.count == 12
        assert blocks.take(np.array([11, 0])).tolist() == [list(range(88, 96)), list(range(8))]
    np.save(tmp_path / "real.npy", np.ones((3, 3)))
    with pytest.raises(DataError, match="whole numbers in one dimension"):
        token_file(tmp_path / "real.npy", 2)
    with pytest.raises(DataError, match="no file of tokens"):
        token_file(tmp_path / "none.npy", 2)


def test_prose_that_is_not_here_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    with pytest.raises(MissingError, match="GENSCOPE_DATA"):
        prose("prose_train")
    (tmp_path / "30-repeated-data").mkdir()
    with pytest.raises(DataError, match="no texts"):
        prose("prose_train")
