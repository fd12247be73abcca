"""Charts of the study moe-pathways: accuracy and pathway distance of every domain over the updates, and correlations with test accuracy as the paper's table 1 has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from genscope.pages.blocks import Block

MEASURES = {
    "distance": "pathway distance", "smoothness": "pathway smoothness", "train_loss": "training loss", "entropy": "routing entropy", "list_length": "length of the lists", "log t": "log of the updates",
}  # fmt: skip

DRAWN = 32
"""Checkpoints that a curve shows, evenly spaced and the last; the records have all."""


def blocks(records: pl.DataFrame) -> Sequence[Block]:
    """Whatever these records have the data for."""
    import polars as pl

    claim = records.filter(pl.col("arm") == "claim")
    made: list[Block] = []
    for metric, title, y in (
        ("test_accuracy_at", "Test accuracy of each domain", "accuracy"),
        ("distance_at", "Distance of the pathways of memorized training rows", "share of the longer pathway"),
        ("list_length_at", "Experts in a layer's list", "experts"),
    ):
        made += _curves(claim.filter((pl.col("metric") == metric) & (pl.col("part") == "grokking")), title, y)
    made += _table(claim, "accuracy", "test accuracy")
    for metric, title, y in (
        ("bits_at", "Text: held-out loss of each domain", "bits per character"),
        ("distance_at", "Text: distance of the pathways of training blocks", "share of the longer pathway"),
    ):
        made += _curves(claim.filter((pl.col("metric") == metric) & (pl.col("part") == "text")), title, y)
    return [*made, *_table(claim, "skill", "skill on held-out text (minus bits per character)")]


def _curves(rows: pl.DataFrame, title: str, y: str) -> list[Block]:
    from genscope.pages.study_charts import curves

    if not len(rows):
        return []
    steps = sorted(set(rows["step"].to_list()))
    shown = {*steps[:: -(-len(steps) // DRAWN)], steps[-1]}
    points = [
        {"x": row["step"], "y": float(f"{row['value']:.4g}"), "name": row["condition"], "detail": f"{row['condition']} {row['seed']}"}
        for row in rows.sort("condition", "seed", "step").to_dicts()
        if row["step"] in shown
    ]
    return [
        curves(
            points,
            title=title,
            x="updates",
            y=y,
            caption="One line a seed."
            if len(shown) == len(steps)
            else f"One line a seed; {len(shown)} of {len(steps)} checkpoints are drawn.",
            log_x=True,
        )
    ]


def _table(rows: pl.DataFrame, word: str, what: str) -> list[Block]:
    import json

    import polars as pl

    from genscope.core.stats import paired_t
    from genscope.pages.blocks import Column, Table

    found = rows.filter(pl.col("metric") == f"spearman_with_{word}")
    if not len(found):
        return []
    domains = list(dict.fromkeys(found["condition"].to_list()))
    values: dict[tuple[str, str], list[float]] = {}
    for row in found.to_dicts():
        values.setdefault((json.loads(row["factors"])["by"], row["condition"]), []).append(row["value"])
    lines = []
    for name, title in MEASURES.items():
        line: dict[str, object] = {"measure": title}
        for domain in domains:
            held = values.get((name, domain), [])
            mean = paired_t(held) if len(held) > 1 else None
            line[domain] = None if not held else held[0] if mean is None else (mean.value, mean.low, mean.high)
        lines.append(line)
    caption = f"Rank correlation with {what} over the checkpoints, mean and 95 % interval over seeds. Any two trends correlate: compare log of the updates; nothing is judged on this table."
    return [Table([Column("measure", "measure"), *[Column(one, one, "number") for one in domains]], lines, caption)]
