"""MNIST-1D: the published generator's own numbers (package mnist1d 0.0.2.post1, default settings, seed 42), and splits that do not meet."""

from __future__ import annotations

import numpy as np
import pytest

from genscope.core.errors import TaskError
from genscope.core.seeds import Seed
from genscope.tasks.mnist1d import certify, mnist1d, mnist1d_splits


def test_it_makes_the_packages_data() -> None:
    x, y = mnist1d(5_000, 42)
    assert x.shape == (5_000, 40)
    # printed by the package: make_dataset(get_dataset_args()), its training and test part joined
    assert y[:10].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1]
    assert x[0, :5] == pytest.approx(
        [-0.33200566736939013, -0.4719103656557236, -0.778697076293495, -1.0097408265367045, -0.8823525654053073]
    )
    assert x[4_999, -3:] == pytest.approx([0.6598756470890784, 0.8777343497528006, 1.1931518368352758])
    assert x[1_234, 17] == pytest.approx(0.4923463959387598)
    assert np.bincount(y).tolist() == [500] * 10


def test_it_leaves_global_random_numbers_alone_and_depends_on_its_seed() -> None:
    np.random.seed(3)
    expected = np.random.RandomState(3).rand()
    one, _ = mnist1d(50, 1)
    assert np.random.rand() == expected
    assert np.array_equal(one, mnist1d(50, 1)[0])
    assert not np.isclose(one, mnist1d(50, 2)[0]).all(1).any()
    assert (abs(one.mean()), one.std()) == pytest.approx((0, 1), abs=1e-12)


def test_splits_have_their_sizes_and_share_nothing() -> None:
    x, y, test_x, test_y = mnist1d_splits(300, 205, Seed("m"))
    assert (x.shape, y.shape, test_x.shape, test_y.shape) == ((300, 40), (300,), (205, 40), (205,))
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert certify(300, 205, Seed("m")).ok
    assert not np.array_equal(x, mnist1d_splits(300, 205, Seed("other"))[0])


@pytest.mark.parametrize(("call", "said"), [(lambda: mnist1d(9, 0), "at least 10"), (lambda: mnist1d(20, -1), "seed"), (lambda: mnist1d_splits(0, 5, Seed("x")), "at least 1")])  # fmt: skip
def test_what_cannot_be_made_is_refused(call: object, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        call()  # pyright: ignore[reportCallIssue]
