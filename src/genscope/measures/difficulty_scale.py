"""One scale for difficulties of any origin, in the columns of Easy2Hard-Bench: rating in [0, 1], its standard deviation, its quantile, and the raw scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genscope.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike


def quantiles(values: ArrayLike) -> np.ndarray:
    """Mid-rank percentile of each value, in (0, 1): (rank - 1/2) / n, ties share their mean rank.

    >>> quantiles([3.0, 1.0, 1.0, 9.0])
    array([0.625, 0.25 , 0.25 , 0.875])
    """
    from scipy.stats import rankdata

    x = np.asarray(values, float)
    return (rankdata(x) - 0.5) / max(1, len(x))


def normalise(table: pl.DataFrame, notion: str | None = None) -> pl.DataFrame:
    """A difficulty table of one notion as example, rating, rating_std, rating_quantile, unnorm_rating, unnorm_rating_std; more is harder.

    rating = (raw - min)/(max - min) over the set, rating_std = raw std by the same factor. All values alike: DataError, there is nothing to scale.
    """
    import polars as pl

    from genscope.core.difficulty import oriented

    turned = oriented(table)
    if notion is not None:
        turned = turned.filter(pl.col("notion") == notion)
    if turned["notion"].n_unique() != 1:
        raise DataError(
            f"normalise takes one notion of difficulty, got {', '.join(turned['notion'].unique(maintain_order=True)) or 'none'}; name it"
        )
    raw = turned["value"].to_numpy()
    width = float(np.ptp(raw))
    if width == 0:
        raise DataError(f"all {len(raw)} difficulties are {raw[0]:g}; there is no scale from easy to hard")
    return turned.select(
        "example", rating=(pl.col("value") - raw.min()) / width, rating_std=pl.col("sd") / width, rating_quantile=pl.Series(quantiles(raw)),
        unnorm_rating=pl.col("value"), unnorm_rating_std=pl.col("sd"),
    )  # fmt: skip
