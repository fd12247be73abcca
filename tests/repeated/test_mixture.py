"""Repeated mixture: f, E and R at a fixed number of tokens, repeats spread over the whole run, nothing repeated in the unique stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.interventions.repeated_mixture import RepeatedMixture
from genscope.tasks.copy_markov import CopyMarkov
from genscope.tasks.packed_text import Blocks, characters

ENDLESS = CopyMarkov(seed=Seed("test")).stream("train")


def mixture(fraction: float, repeats: float, documents: int, **more: object) -> RepeatedMixture:
    return RepeatedMixture(source=ENDLESS, fraction=fraction, repeats=repeats, total_tokens=64 * documents, seed=Seed("mix"), **more)  # type: ignore[arg-type]


def test_ten_percent_a_hundred_times_is_a_thousandth_of_the_data() -> None:
    plan = mixture(0.1, 100, 10_000).plan()
    assert (plan.fraction, plan.repeats, plan.subset_documents, plan.unique_documents) == (0.1, 100.0, 10, 9_000)
    assert (plan.total_tokens, plan.subset_tokens, plan.unique_tokens) == (640_000, 640, 576_000)
    assert plan.share_repeated == pytest.approx(0.001)
    assert plan.share_repeated == pytest.approx(plan.fraction / plan.repeats)


def test_the_sheets_grid() -> None:
    subsets = [mixture(0.5, e, 25_600).plan().subset_documents for e in (4, 16, 64, 256, 1024, 4096)]
    assert subsets == [3200, 800, 200, 50, 12, 3]
    # rounding to whole documents changes E, and says so
    assert mixture(0.5, 1024, 25_600).plan().repeats == pytest.approx(12_800 / 12)


@given(fraction=st.floats(0.05, 0.95), repeats=st.integers(1, 40), documents=st.integers(900, 1_200))
def test_the_stream_is_what_the_plan_says(fraction: float, repeats: int, documents: int) -> None:
    mixed = mixture(fraction, repeats, documents)
    plan = mixed.plan()
    numbers, repeated = mixed.order()
    assert len(numbers) == plan.total_documents == documents
    assert repeated.sum() == round(plan.fraction * documents)
    counts = np.unique(numbers[repeated], return_counts=True)
    assert counts[0].tolist() == sorted(mixed.repeated_subset.tolist())
    assert set(counts[1].tolist()) <= {int(np.floor(plan.repeats)), int(np.ceil(plan.repeats))}
    unique = numbers[~repeated]
    assert len(set(unique.tolist())) == len(unique) == plan.unique_documents
    assert not set(unique.tolist()) & set(numbers[repeated].tolist())
    # every window holds the fraction
    shares = np.convolve(repeated, np.ones(32), "valid")
    assert np.abs(shares - 32 * plan.fraction).max() <= 1


def test_repeats_are_spread_over_the_run_and_not_epoch_by_epoch() -> None:
    numbers, repeated = mixture(0.5, 16, 25_600).order()
    first = numbers[repeated][:800]
    # in epochs the first 800 repeats would be 800 different documents; drawn at random about 63 % of them
    assert 0.55 < len(set(first.tolist())) / 800 < 0.70
    halves = [np.isin(mixture(0.5, 16, 25_600).repeated_subset, part) for part in np.split(numbers[repeated], 2)]
    assert all(half.mean() > 0.99 for half in halves)


def test_arms_of_a_seed_differ_in_what_is_repeated_only() -> None:
    few, many = mixture(0.5, 4, 2_560), mixture(0.5, 64, 2_560)
    assert (few.unique == many.unique).all()
    assert set(many.repeated_subset.tolist()) <= set(few.repeated_subset.tolist())
    (a, where), (b, same) = few.order(), many.order()
    assert (where == same).all()
    assert (a[~where] == b[~where]).all()
    held = list(few.batches(32, unique_only=True))
    assert len(held) == 80
    assert all(batch.shape == (16, 64) for batch in held)
    assert (np.concatenate(held) == ENDLESS.take(few.unique)).all()


def test_the_placebo_puts_new_documents_in_place_of_repeats() -> None:
    real, fresh, other = mixture(0.5, 64, 2_560), mixture(0.5, 64, 2_560, fresh=1), mixture(0.5, 64, 2_560, fresh=2)
    (a, where), (b, same) = real.order(), fresh.order()
    assert (where == same).all()
    assert (a[~where] == b[~where]).all()
    assert len(set(b.tolist())) == len(b)
    assert not set(b[where].tolist()) & set(other.order()[0][where].tolist())
    assert len(fresh.repeated_subset) == len(real.repeated_subset)
    assert set(fresh.repeated_subset.tolist()) <= set(b[where].tolist())


def test_a_finite_source_is_drawn_from_at_random_and_keeps_its_reserve() -> None:
    text = Blocks(np.arange(8_000) % 96, 8, 96)
    mixed = RepeatedMixture(source=text, fraction=0.2, repeats=10, total_tokens=800 * 8, seed=Seed("a"), reserved=300)
    assert mixed.plan().subset_documents == 16
    assert sorted(mixed.unique.tolist()) != mixed.unique.tolist()
    assert not set(mixed.unique.tolist()) & set(mixed.repeated_subset.tolist())
    with pytest.raises(DataError, match=r"the source has 1,000 documents; \(1 - f\) T \+ R \+ test needs 1,056"):
        RepeatedMixture(source=text, fraction=0.2, repeats=10, total_tokens=800 * 8, seed=Seed("a"), reserved=400)


def test_impossible_mixtures_say_what_is_possible() -> None:
    with pytest.raises(UsageError, match=r"E can be at most 50 here, or f at least 0.51"):
        mixture(0.5, 51, 100)
    with pytest.raises(UsageError, match=r"\[0, 1\), got 1"):
        mixture(1.0, 2, 100)
    with pytest.raises(UsageError, match="at least 1, got 0.5"):
        mixture(0.5, 0.5, 100)
    with pytest.raises(UsageError, match="f must be at least 0.01"):
        mixture(0.001, 1, 100)
    assert mixture(0.5, 50, 100).plan().subset_documents == 1
    assert mixture(0.0, 1, 100).plan().subset_documents == 0
    assert len(characters("x" * 100, 10).take(np.arange(10))) == 10
