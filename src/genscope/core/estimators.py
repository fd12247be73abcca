"""Estimators that a clause can name: from rows to an effect with its interval, its p value and its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.core.stats import (
    Interval,
    bootstrap_t,
    bootstrap_t_difference,
    clopper_pearson,
    fisher,
    median_interval,
    paired_t,
    spearman,
    spearman_bootstrap,
    spearman_permutation,
    t_beyond,
    welch_t,
    wilson,
)

if TYPE_CHECKING:
    import polars as pl

    from genscope.core.claims import Clause


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """effect with the ends of its interval (None without one), the number of units, and p and standard error where the test has them."""

    effect: float
    low: float | None
    high: float | None
    n: int
    p: float | None = None
    standard_error: float | None = None
    df: float | None = None
    method: str


def estimate(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    """The estimate of a clause on the rows of its metric; UsageError for an unknown test or a missing column."""
    if clause.test not in _ESTIMATORS:
        from genscope.core.errors import unknown

        raise UsageError(unknown("test", clause.test, _ESTIMATORS))
    needed = {*clause.pair, *clause.cluster, *clause.strata, *((clause.contrast[0],) if clause.contrast else ())}
    lacking = sorted(needed - set(rows.columns))
    if lacking:
        raise UsageError(f"clause on {clause.metric}: no column {', '.join(lacking)} in the records; columns: {', '.join(rows.columns)}")
    return _ESTIMATORS[clause.test](clause, rows, seed)


def _from(interval: Interval, p: float | None = None, df: float | None = None) -> Estimate:
    quantile = 1.96
    if df is not None and df >= 1:
        from scipy.special import stdtrit

        quantile = float(stdtrit(df, 0.5 + interval.level / 2))
    error = None if interval.low is None or interval.high is None else (interval.high - interval.low) / (2 * quantile)
    return Estimate(
        effect=interval.value, low=interval.low, high=interval.high, n=interval.n, p=p, standard_error=error, df=df, method=interval.method
    )


def _recorded(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    """Mean of the rows' values, with the mean of their own lower and of their own upper ends (such as those of a grouped bootstrap inside each seed).

    Split seeds of one data set share its rows: their values vary less than a fresh data set would make them, so a t interval over seeds is too short.
    The mean of the ends is the interval under perfect correlation, the longest that the mean can need. A row without ends stands for itself.
    """
    if not {"low", "high"} <= set(rows.columns):
        raise UsageError(f"clause on {clause.metric}: the test recorded reads the columns low and high, which these records lack")
    value = float(rows["value"].to_numpy().mean())
    if rows["low"].null_count() == len(rows):
        return Estimate(effect=value, low=None, high=None, n=len(rows), method="values without intervals")
    low, high = (float(rows[end].fill_null(rows["value"]).to_numpy().mean()) for end in ("low", "high"))
    return _from(Interval(value, low, high, len(rows), "mean of the rows' own intervals", 1 - clause.alpha))


def _labels(rows: pl.DataFrame, columns: Sequence[str]) -> list[Any] | None:
    return rows.select(columns).rows() if columns else None


def _sides(clause: Clause, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    if clause.contrast is None:
        raise UsageError(f"clause on {clause.metric}: the test {clause.test} compares two sides; give it a contrast (column, a, b)")
    column, a, b = clause.contrast
    first, second = (rows.filter(pl.col(column) == value) for value in (a, b))
    if not len(first) or not len(second):
        raise UsageError(f"clause on {clause.metric}: no row with {column} = {a if not len(first) else b}")
    return first, second


def _differences(clause: Clause, rows: pl.DataFrame) -> np.ndarray:
    """a - b for each unit named by `clause.pair`; several rows of a unit are averaged first."""
    import polars as pl

    if clause.contrast is None:
        units = rows.group_by(clause.pair, maintain_order=True).agg(pl.col("value").mean()) if clause.pair else rows
        return units["value"].to_numpy()
    if not clause.pair:
        raise UsageError(f"clause on {clause.metric}: a paired test needs `pair`, the columns that name a unit")
    first, second = (side.group_by(clause.pair, maintain_order=True).agg(pl.col("value").mean()) for side in _sides(clause, rows))
    joined = first.join(second, on=list(clause.pair), suffix="_b", maintain_order="left")
    return (joined["value"] - joined["value_b"]).to_numpy()


def unit_values(clause: Clause, rows: pl.DataFrame) -> np.ndarray:
    """The values that a paired test would see, one a unit; empty when a side or a column is not there."""
    if clause.contrast is not None and not {clause.contrast[1], clause.contrast[2]} <= set(rows[clause.contrast[0]].to_list()):
        return np.empty(0)
    return _differences(clause, rows) if len(rows) else np.empty(0)


def _paired_t(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    differences = _differences(clause, rows)
    interval = paired_t(differences, 1 - clause.alpha)
    return _from(interval, _beyond_margin(clause, differences), len(differences) - 1)


def _beyond_margin(clause: Clause, differences: np.ndarray) -> float | None:
    """p of the clause's own relation to its margin: of `within` the larger of its two sides."""
    if clause.relation == "rank":
        return None
    if isinstance(clause.margin, tuple):
        sides = [t_beyond(differences, clause.margin[0]), t_beyond(differences, clause.margin[1], above=False)]
        return None if None in sides else max(one for one in sides if one is not None)
    if clause.relation == "<":
        return t_beyond(differences, clause.margin, above=False)
    return t_beyond(differences, -clause.margin if clause.relation == "not worse than" else clause.margin)


def _welch_t(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    first, second = _sides(clause, rows)
    return _from(welch_t(first["value"].to_numpy(), second["value"].to_numpy(), 1 - clause.alpha))


def _bootstrap_t(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    level = 1 - clause.alpha
    if clause.contrast is None:
        return _from(
            bootstrap_t(
                rows["value"].to_numpy(),
                seed.rng(),
                clusters=_labels(rows, clause.cluster),
                strata=_labels(rows, clause.strata),
                level=level,
            )
        )
    first, second = _sides(clause, rows)
    clusters, strata = ((_labels(first, columns), _labels(second, columns)) for columns in (clause.cluster, clause.strata))
    interval = bootstrap_t_difference(
        first["value"].to_numpy(), second["value"].to_numpy(), seed.rng(), level=level,
        clusters=None if clusters[0] is None else clusters, strata=None if strata[0] is None else strata,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return _from(interval)


def _median(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    return _from(median_interval(rows["value"].to_numpy(), seed.rng(), clusters=_labels(rows, clause.cluster), level=1 - clause.alpha))


def _proportion(function: Callable[..., Interval]) -> Callable[[Clause, pl.DataFrame, Seed], Estimate]:
    def found(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
        values = rows["value"].to_numpy()
        if not np.isin(values, (0.0, 1.0)).all():
            raise UsageError(f"clause on {clause.metric}: {clause.test} counts successes, and some values are neither 0 nor 1")
        return _from(function(int(values.sum()), len(values), 1 - clause.alpha))

    return found


def _least(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    return _alone(float(rows["value"].min()), len(rows), "smallest of all rows")  # pyright: ignore[reportArgumentType]


def _most(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    return _alone(float(rows["value"].max()), len(rows), "largest of all rows")  # pyright: ignore[reportArgumentType]


def _point(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    """The mean, or the difference of means, by itself: for clauses on a sign only, where the paper's own test is another clause."""
    if clause.contrast is None:
        return _alone(float(rows["value"].to_numpy().mean()), len(rows), "the estimate alone")
    first, second = (side["value"].to_numpy() for side in _sides(clause, rows))
    return _alone(float(first.mean() - second.mean()), len(first) + len(second), "the estimate alone")


def _alone(value: float, n: int, method: str) -> Estimate:
    return Estimate(effect=value, low=None, high=None, n=n, method=method)


def _spearman_clusters(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    """rho between the contrast's column and the value (turned, where it should fall), with the bootstrap over the units that `cluster` names."""
    if clause.contrast is None or clause.contrast[1] not in ("falls", "rises"):
        raise UsageError(f'clause on {clause.metric}: spearman_clusters needs contrast=(column, "falls" or "rises", "")')
    x, y = rows[clause.contrast[0]].to_numpy().astype(float), rows["value"].to_numpy()
    turned = -y if clause.contrast[1] == "falls" else y
    return _from(spearman_bootstrap(x, turned, seed.rng(), clusters=_labels(rows, clause.cluster), level=1 - clause.alpha))


def _fisher(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    first, second = _sides(clause, rows)
    counts = []
    for side in (first, second):
        values = side["value"].to_numpy()
        if not np.isin(values, (0.0, 1.0)).all():
            raise UsageError(f"clause on {clause.metric}: fisher counts successes, and some values are neither 0 nor 1")
        counts += [int(values.sum()), len(values)]
    interval, p = fisher(*counts, level=1 - clause.alpha)
    return _from(interval, p)


def _sign(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    """Share of the paired units whose value is above 0 among those where it is not 0 (sign test); without any such unit 0.5, and no interval."""
    moved = _differences(clause, rows)
    moved = moved[moved != 0]
    if not len(moved):
        return Estimate(effect=0.5, low=None, high=None, n=0, method="sign test; every unit is 0")
    return _from(clopper_pearson(int((moved > 0).sum()), len(moved), 1 - clause.alpha))


def _spearman(clause: Clause, rows: pl.DataFrame, seed: Seed) -> Estimate:
    """rho between the contrast's column and the value; p one-sided in the contrast's direction ("falls" or "rises"), labels shuffled over clusters."""
    if clause.contrast is None or clause.contrast[1] not in ("falls", "rises"):
        raise UsageError(f'clause on {clause.metric}: a rank clause needs contrast=(column, "falls" or "rises", "")')
    column, direction, _ = clause.contrast
    x, y = rows[column].to_numpy().astype(float), rows["value"].to_numpy()
    names = _labels(rows, clause.cluster)
    rho, p = spearman_permutation(x, y, seed.rng(), clusters=names, alternative="less" if direction == "falls" else "greater")
    if math.isnan(rho):
        return Estimate(effect=0.0, low=None, high=None, n=len(y), p=1.0, method="no spread in one of the two")
    low, high = _rho_interval(x, y, names, seed.child("interval"), clause.alpha)
    n = len(y) if names is None else len(set(names))
    return Estimate(effect=rho, low=low, high=high, n=n, p=p, standard_error=(high - low) / (2 * 1.96), method="Spearman; labels permuted over clusters, interval by resampling rows inside clusters")  # fmt: skip


def _rho_interval(
    x: np.ndarray, y: np.ndarray, names: Sequence[Any] | None, seed: Seed, alpha: float, draws: int = 500
) -> tuple[float, float]:
    """Percentile bootstrap: rows resampled inside clusters (all rows without any)."""
    rng = seed.rng()
    groups: dict[Any, list[int]] = {}
    for place, name in enumerate(names if names is not None else [0] * len(x)):
        groups.setdefault(name, []).append(place)
    members = [np.array(rows) for rows in groups.values()]
    found = []
    for _ in range(draws):
        chosen = np.concatenate([rows[rng.integers(0, len(rows), len(rows))] for rows in members])
        found.append(spearman(x[chosen], y[chosen]))
    low, high = np.nanquantile(found, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


_ESTIMATORS: dict[str, Callable[[Any, Any, Seed], Estimate]] = {
    "paired_t": _paired_t,
    "recorded": _recorded,
    "sign": _sign,
    "welch_t": _welch_t,
    "bootstrap_t": _bootstrap_t,
    "bootstrap_median": _median,
    "wilson": _proportion(wilson),
    "clopper_pearson": _proportion(clopper_pearson),
    "spearman_permutation": _spearman,
    "spearman_clusters": _spearman_clusters,
    "fisher": _fisher,
    "minimum": _least,
    "maximum": _most,
    "estimate": _point,
}
