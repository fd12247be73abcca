"""Charts of the study large-batch: the arms' accuracy, accuracy by batch size, and distance from the start over log t."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block


def blocks(records: pl.DataFrame) -> Sequence[Block]:
    """Whatever these records have the data for."""
    return [*_arms(records), *_batch_sizes(records), *_distances(records)]


def _arms(records: pl.DataFrame) -> list[Block]:
    import polars as pl

    from genscope.pages.blocks import Note
    from genscope.pages.study_charts import arms_by_condition

    rows = records.filter(pl.col("part") == "gap")
    if not len(rows):
        return []
    names = {
        "test_accuracy": "running statistics of the training",
        "recalibrated_test_accuracy": "statistics recomputed over the training set",
    }
    found: list[Block] = [
        arms_by_condition(rows, names, title="The gap and its remedies", value="test accuracy", domain=None,
                          caption="Accuracy after the last update; each small point is a seed. Claims are judged on the running statistics. LB+noise is not judged.")
    ]  # fmt: skip
    large = rows.filter((pl.col("metric") == "train_accuracy") & (pl.col("condition") == "LB") & (pl.col("arm") == "claim"))["value"].mean()
    if isinstance(large, float):
        why = "below 60 %: the gap is one of optimisation" if large < 0.6 else "so what it lacks on test rows is generalization, not fit"
        found.append(Note([f"The large batch fits {100 * large:.1f} % of its training set in the same epochs, {why}."], "Fit"))
    return found


def _batch_sizes(records: pl.DataFrame) -> list[Block]:
    import json

    import polars as pl

    from genscope.pages.study_charts import arms_by_condition

    rows = records.filter((pl.col("part") == "updates") & (pl.col("metric") == "test_accuracy") & (pl.col("arm") == "claim"))
    if not len(rows):
        return []
    batches = [json.loads(text).get("batch") for text in rows["factors"].to_list()]
    named = rows.with_columns(condition=pl.Series([f"batch {b:,}, {c}" for b, c in zip(batches, rows["condition"].to_list(), strict=True)]))
    order = sorted(set(named["condition"].to_list()), key=_place)
    return [
        arms_by_condition(named, {"test_accuracy": "test accuracy"}, title="Equal epochs and equal updates", value="test accuracy", domain=None, conditions=order,
                          caption="Learning rate by the root of the batch ratio, ghost batches of the small batch's size.")
    ]  # fmt: skip


def _place(name: str) -> tuple[str, int]:
    """By grid, then by batch size, of a name such as "batch 1,024, equal updates"."""
    batch, _, grid = name.partition(", ")
    return grid, int(batch.removeprefix("batch ").replace(",", ""))


def _distances(records: pl.DataFrame) -> list[Block]:
    import json

    import polars as pl

    from genscope.pages.blocks import Note
    from genscope.pages.study_charts import arms_by_condition, curves

    rows = records.filter((pl.col("metric") == "distance") & pl.col("arm").is_in(["claim", "walk in random order"]))
    if not len(rows):
        return []
    first = rows["seed"].min()
    sizes = [json.loads(text)["batch"] for text in rows["factors"].to_list()]
    # at the smallest batch both rules are the same run
    rows = rows.with_columns(batch=pl.Series(sizes)).filter((pl.col("batch") > min(sizes)) | (pl.col("condition") == "constant lr"))
    lines = [
        {"name": f"batch {batch:,}{'' if condition == 'constant lr' else ', sqrt lr'}" if arm == "claim" else "random walk", "x": step, "y": value, "detail": arm}
        for condition, arm, batch, step, value in rows.filter(pl.col("seed") == first).select("condition", "arm", "batch", "step", "value").rows()
    ]  # fmt: skip
    found: list[Block] = [
        curves(lines, title="Distance from the start", x="updates (log scale)", y="|w_t - w_0|", log_x=True, caption=f"Seed {first}. A straight line is growth like log t. sqrt lr: with ghost batches. Random walk: steps of the smallest batch's lengths, in random order.")
    ]  # fmt: skip
    fits = records.filter((pl.col("metric") == "growth_r2") & (pl.col("arm") == "claim") & (pl.col("condition") == "constant lr"))
    factors = [json.loads(text) for text in fits["factors"].to_list()]
    named = fits.with_columns(
        condition=pl.Series(
            [f"batch {one['batch']:,}, {one['law']} t" if one["law"] != "power" else f"batch {one['batch']:,}, a t^b" for one in factors]
        )
    )
    found.append(arms_by_condition(named, {"growth_r2": "R^2"}, title="Which law fits", value="R^2", domain=None, caption="At constant learning rate. The power law has a free exponent and is not judged."))  # fmt: skip
    walk = records.filter((pl.col("metric") == "walk_in_own_order_log_growth") & (pl.col("arm") == "claim"))["value"].to_list()
    alpha = records.filter((pl.col("metric") == "potential_exponent") & (pl.col("arm") == "claim"))["value"].drop_nulls()
    said = []
    if walk:
        said.append(f"A random walk whose steps have the run's own lengths in the run's own order passes the same test of log growth in {sum(walk):.0f} of {len(walk)} seeds.{' Falling step lengths alone can do it, so log growth does not by itself show a random potential.' if any(walk) else ''}")  # fmt: skip
    if len(alpha):
        said.append(f"Around the initial weights the loss varies over random directions with exponent alpha = {alpha.mean():.2f} (the theory of log growth supposes 2).")  # fmt: skip
    return [*found, Note(said, "Beside the claims on distance")] if said else found
