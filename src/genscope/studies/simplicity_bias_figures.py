"""Charts of the study simplicity-bias."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from genscope.pages.blocks import Block
from genscope.pages.study_charts import arms_by_condition, spreads

NAMES = {"standard_auc": "as it is", "block_auc": "simplest block randomised", "rest_auc": "everything else randomised"}
ROWS = {"standard": "as they are", "block": "simplest block randomised", "rest": "everything else randomised"}


def figures(records: pl.DataFrame) -> Sequence[Block]:
    """The blocks of the page."""
    blocks: list[Block] = [
        arms_by_condition(records, NAMES, title="What the networks use", value="AUC",
                          caption="AUC on test rows: as they are, with the simplest block randomised, and with everything else randomised. Each small point is a seed; 0.5 is chance.")
    ]  # fmt: skip
    held = records.filter((pl.col("metric") == "positive_score") & (pl.col("arm") == "claim")).with_columns(
        rows=pl.col("factors").str.json_path_match("$.rows"), quantile=pl.col("factors").str.json_path_match("$.quantile").cast(pl.Float64)
    )
    if len(held):
        mean = held.group_by("condition", "rows", "quantile", maintain_order=True).agg(pl.col("value").mean())
        rows = [
            {"where": condition, "what": ROWS[version], **{f"q{round(100 * q)}": value for q, value in part.select("quantile", "value").rows()}}
            for (condition, version), part in mean.group_by("condition", "rows", maintain_order=True)
        ]  # fmt: skip
        blocks.append(spreads(rows, title="Scores of rows of class 1", value="logit 1 minus logit 0",
                              caption="5 % to 95 % of the rows (line), the middle half (bar), the median (tick); quantiles averaged over seeds. Above 0 a row is classified right."))  # fmt: skip
    return blocks
