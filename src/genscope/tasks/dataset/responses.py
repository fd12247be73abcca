"""Response matrices: who answered which item rightly; long (solver, item, correct) or wide (a column an item), as one long frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genscope.tasks.dataset.value import number

if TYPE_CHECKING:
    import polars as pl

    from genscope.tasks.dataset.value import Dataset


def items_of(data: Dataset) -> tuple[str, ...]:
    """The item columns of a wide matrix; none of a long one."""
    return () if data.has("item") else data.features


def long_frame(data: Dataset) -> pl.DataFrame:
    """solver, item (text), correct (0 to 1, null = no answer), weight (solvers with this pattern, 1 unless there is a count column)."""
    import polars as pl

    if data.has("solver", "item", "correct"):
        columns = [data.roles[role] for role in ("solver", "item", "correct")]
        parts = [
            frame.select(
                pl.col(columns[0]).alias("solver"),
                pl.col(columns[1]).alias("item"),
                _share(columns[2]).alias("correct"),
                pl.lit(1.0).alias("weight"),
            )
            for frame in data.batches(columns)
        ]
        return pl.concat(parts)
    items = items_of(data)
    extra = [data.roles[role] for role in ("solver", "count") if data.has(role)]
    parts = []
    for frame in data.batches([*items, *extra]):
        solver = pl.col(data.roles["solver"]) if data.has("solver") else pl.col("row").cast(pl.String)
        weight = number(data.roles["count"]) if data.has("count") else pl.lit(1.0)
        wide = frame.select(solver.alias("solver"), weight.alias("weight"), *[_share(item) for item in items])
        parts.append(wide.unpivot(list(items), index=["solver", "weight"], variable_name="item", value_name="correct"))
    return pl.concat(parts).select("solver", "item", "correct", "weight")


def _share(name: str) -> pl.Expr:
    return number(name).fill_nan(None)
