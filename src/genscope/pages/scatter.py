"""Scatter charts: points of named series; and the data map of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genscope.pages.blocks import Chart
from genscope.pages.charts import finished, plain_data
from genscope.pages.study_charts import COLOURS

REGION_NAMES = {"easy": "easy to learn", "ambiguous": "ambiguous", "hard": "hard to learn"}


def scatter(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    x: str,
    y: str,
    caption: str = "",
    size: int = 40,
    height: int = 280,
    shapes: bool = True,
) -> Chart:
    """Points, one series a name. rows: x, y, name, and `detail` for the tooltip."""
    import altair as alt

    series = list(dict.fromkeys(row["name"] for row in rows))
    legend = alt.Legend(title=None, orient="top", columns=3, labelLimit=220, symbolOpacity=1) if len(series) > 1 else None
    colours = alt.Scale(domain=series, range=[COLOURS[k % len(COLOURS)] for k in range(len(series))])
    tips = [alt.Tooltip("name:N"), alt.Tooltip("detail:N"), alt.Tooltip("x:Q", format=".4g"), alt.Tooltip("y:Q", format=".4g")]
    encoded: dict[str, Any] = {"color": alt.Color("name:N", sort=series, scale=colours, legend=legend)}
    if shapes and len(series) > 1:
        encoded["shape"] = alt.Shape("name:N", sort=series, scale=alt.Scale(domain=series), legend=legend)
    points = (
        alt.Chart(plain_data(alt, rows))
        .mark_point(filled=True, size=size, opacity=0.6)
        .encode(
            x=alt.X("x:Q", title=x, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=8)),
            y=alt.Y("y:Q", title=y, scale=alt.Scale(zero=False)),
            tooltip=tips,
            **encoded,
        )
    )
    return Chart(finished(points, height), title, caption, alt=f"{title}: {y} against {x}")


def data_map(rows: Sequence[Mapping[str, Any]], *, title: str = "Data map", caption: str = "") -> Chart:
    """Confidence over variability, one point an example. rows: example, confidence, variability, region ("easy", "ambiguous", "hard")."""
    order = list(REGION_NAMES)
    points = [
        {"name": REGION_NAMES[row["region"]], "x": row["variability"], "y": row["confidence"], "detail": str(row["example"])}
        for row in sorted(rows, key=lambda row: order.index(row["region"]))
    ]
    return scatter(
        points, title=title, x="variability (standard deviation over epochs)", y="confidence (mean probability of the label)", caption=caption, size=24, height=320
    )  # fmt: skip
