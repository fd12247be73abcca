"""Charts of the study coherent-gradients."""

from __future__ import annotations

import polars as pl

from genscope.core.stats import paired_t
from genscope.pages.blocks import Block, Note
from genscope.pages.study_charts import arms_by_condition, curves

OPTIMIZERS = ["SGD", "RA3", "M3", "RM3", "winsorized 2", "winsorized 8"]


def figures(records: pl.DataFrame) -> list[Block]:
    """The blocks of the page."""
    claim = records.filter(pl.col("arm") == "claim")
    blocks: list[Block] = []
    lines = _by_condition(claim.filter((pl.col("metric") == "m_coherence") & (pl.col("step") > 0)))
    if lines:
        blocks.append(curves(lines, title="Coherence along training", x="step (log scale)", y="m-coherence of the training set (log scale)", log_x=True, log_y=True,
                             caption="How many examples a step on one example helps. 1: each helps itself only. One line a seed."))  # fmt: skip
    blocks += _beside_a_random_walk(claim.filter(pl.col("condition") == "random labels"))
    blocks += _groups(records.filter(pl.col("condition") == "half random labels"))
    suppression = records.filter(pl.col("part") == "suppression")
    if len(suppression):
        names = {"corrupt_accuracy": "corrupt labels learned", "test_accuracy": "test accuracy"}
        blocks.append(arms_by_condition(suppression, names, title="What suppression does", value="fraction", conditions=OPTIMIZERS,
                                        caption="Share of wrong training labels learned, and accuracy on clean test images; the placebo runs plain SGD under every name."))  # fmt: skip
    lines = _by_condition(claim.filter(pl.col("metric") == "corrupt_accuracy_on_the_way"))
    if lines:
        blocks.append(curves(lines, title="How memorization comes", x="updates", y="corrupt labels learned", caption="One line a seed. The claim is judged at the last update; where a rule only delays, the lines meet."))  # fmt: skip
    return blocks


def _by_condition(records: pl.DataFrame) -> list[dict[str, object]]:
    """Points of one line a seed, named by condition."""
    return [
        {"name": condition, "x": step, "y": value, "detail": f"{condition} {seed}"}
        for condition, step, value, seed in records.select("condition", "step", "value", "seed").rows()
    ]


def _groups(records: pl.DataFrame) -> list[Block]:
    """Who makes the step, and who was helped so far: means over seeds, as far as every seed trained."""
    lines = {
        ("pristine_share_of_step", "claim"): "pristine examples", ("pristine_share_of_step", "tags permuted"): "tags permuted (placebo)",
        ("pristine_cumulative_help", "claim"): "pristine examples", ("corrupt_cumulative_help", "claim"): "corrupt examples",
    }  # fmt: skip
    share, help_so_far = [], []
    for (metric, arm), name in lines.items():
        part = records.filter((pl.col("metric") == metric) & (pl.col("arm") == arm) & (pl.col("step") > 0))
        seeds = part["seed"].n_unique()
        for (step,), one in sorted(part.group_by("step"), key=lambda found: found[0]):
            if len(one) == seeds:
                into = share if metric == "pristine_share_of_step" else help_so_far
                into.append({"name": name, "x": step, "y": float(one["value"].mean()), "detail": name})  # pyright: ignore[reportArgumentType]
    if not share or not help_so_far:
        return []
    held = records.filter((pl.col("metric") == "pristine_share") & (pl.col("arm") == "claim"))["value"].to_list()
    own = paired_t(held)
    return [
        curves(share, title="Who makes the step", x="step (log scale)", y="part of the squared step", log_x=True,
               caption=f"Mean over seeds on half random labels. Pristine examples are {100 * own.value:.0f} % of all; a part above that means they pull together. A part above 1: the others pull back."),
        curves(help_so_far, title="Who was helped so far", x="step (log scale)", y="cumulative help of an example (log scale)", log_x=True, log_y=True,
               caption="The summed gradient's agreement with the group's own, added up over the steps and divided by the examples of the group."),
    ]  # fmt: skip


def _beside_a_random_walk(records: pl.DataFrame) -> list[Block]:
    """What C14.2's factor is when the weights wander: its placebo leaves the choice of a maximum after a minimum untested."""
    found = {
        name: sorted(records.filter(records["metric"] == name)["value"].to_list()) for name in ("rise_ratio", "random_walk_rise_ratio")
    }
    if not all(found.values()):
        return []
    real, walk = (", ".join(f"{value:.1f}" for value in values) for values in found.values())
    said = f"Maximum over minimum of m-coherence on random labels, by seed: {real} in training; {walk} when the weights move by random directions of the same step lengths. A factor of 2 alone would not tell them apart in every seed; the size of the rise does."
    return [Note([said], "C14.2 beside a random walk")]
