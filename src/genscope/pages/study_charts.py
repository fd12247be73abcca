"""Charts of studies: seeds as points, means with intervals, claim and placebo side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.core.stats import paired_t
from genscope.pages.blocks import Chart
from genscope.pages.charts import GREY, ID_COLOUR, OOD_COLOUR, finished, plain_data

if TYPE_CHECKING:
    import polars as pl

COLOURS = (ID_COLOUR, OOD_COLOUR, "#5a9e6f", "#8d6cab", "#b8860b", GREY, "#b3446c", "#3a9c9a")


def arms_by_condition(
    records: pl.DataFrame,
    names: Mapping[str, str],
    *,
    title: str,
    value: str,
    caption: str = "",
    domain: tuple[float, float] | None = (0.0, 1.0),
    conditions: Sequence[str] | None = None,
) -> Chart:
    """Several metrics for each condition and arm: a point a seed, mean and 95 % paired-t interval beside it. names: metric -> name in the legend."""
    import polars as pl

    rows = []
    chosen = records.filter(pl.col("metric").is_in(list(names)) & pl.col("value").is_not_null())
    order = list(conditions or dict.fromkeys(chosen["condition"].to_list()))
    for (condition, arm, metric), part in chosen.group_by("condition", "arm", "metric", maintain_order=True):
        if condition not in order:
            continue
        values = part["value"].to_list()
        found = paired_t(values)
        where = f"{condition}" if arm == "claim" else f"{condition} · {arm}"
        rows += [
            {"where": where, "what": names[str(metric)], "value": one, "seed": seed, "mean": found.value, "low": found.low, "high": found.high, "n": len(values)}
            for one, seed in zip(values, part["seed"].to_list(), strict=True)
        ]  # fmt: skip
    rows.sort(key=lambda row: (order.index(row["where"].split(" · ")[0]), row["where"]))
    return Chart(_dots(rows, list(names.values()), value, domain), title, caption, alt=f"{title}: {value} by condition, arm and measure")


def _dots(rows: Sequence[Mapping[str, Any]], series: Sequence[str], value: str, domain: tuple[float, float] | None) -> dict[str, Any]:
    import altair as alt

    places = list(dict.fromkeys(row["where"] for row in rows))
    y = alt.Y("where:N", sort=places, title=None, axis=alt.Axis(labelLimit=190, grid=True, ticks=False, domain=False))
    dodge = alt.YOffset("what:N", sort=list(series), scale=alt.Scale(paddingOuter=0.6))
    scale = alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=False)
    colour = alt.Color(
        "what:N", sort=list(series), scale=alt.Scale(domain=list(series), range=[COLOURS[k % len(COLOURS)] for k in range(len(series))]),
        legend=alt.Legend(title=None, orient="top", columns=1, labelLimit=300, symbolStrokeWidth=0, symbolOpacity=1) if len(series) > 1 else None,
    )  # fmt: skip
    base = alt.Chart(plain_data(alt, rows))
    tips = [
        alt.Tooltip("where:N"),
        alt.Tooltip("what:N"),
        alt.Tooltip("seed:N"),
        alt.Tooltip("value:Q", format=".4f"),
        alt.Tooltip("mean:Q", format=".4f"),
        alt.Tooltip("n:Q"),
    ]
    seeds = base.mark_point(filled=True, size=22, opacity=0.45).encode(
        y=y, yOffset=dodge, x=alt.X("value:Q", title=value, scale=scale, axis=alt.Axis(tickCount=5)), color=colour, tooltip=tips
    )
    rules = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, clip=True)
        .encode(y=y, yOffset=dodge, x=alt.X("low:Q", title=value), x2="high:Q", color=colour)
    )
    means = base.mark_tick(thickness=3, size=12).encode(y=y, yOffset=dodge, x=alt.X("mean:Q", title=value), color=colour, tooltip=tips)
    return finished(alt.layer(seeds, rules, means), max(120, 17 * len(places) * max(1, len(series)) + 20))


def spreads(rows: Sequence[Mapping[str, Any]], *, title: str, value: str, caption: str = "") -> Chart:
    """Distributions by their quantiles, one line each. rows: where, what (name in the legend), q5, q25, q50, q75, q95."""
    import altair as alt

    places, series = (list(dict.fromkeys(row[name] for row in rows)) for name in ("where", "what"))
    y = alt.Y("where:N", sort=places, title=None, axis=alt.Axis(labelLimit=190, grid=True, ticks=False, domain=False))
    dodge = alt.YOffset("what:N", sort=series, scale=alt.Scale(paddingOuter=0.6))
    colour = alt.Color(
        "what:N", sort=series, scale=alt.Scale(domain=series, range=[COLOURS[k % len(COLOURS)] for k in range(len(series))]),
        legend=alt.Legend(title=None, orient="top", columns=1, labelLimit=300),
    )  # fmt: skip
    base = alt.Chart(plain_data(alt, rows)).encode(
        y=y,
        yOffset=dodge,
        color=colour,
        tooltip=["where:N", "what:N", *(alt.Tooltip(f"q{q}:Q", format=".2f") for q in (5, 25, 50, 75, 95))],
    )
    line = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("q5:Q", title=value), x2="q95:Q")
    middle = base.mark_rule(strokeWidth=6, opacity=0.45).encode(x=alt.X("q25:Q", title=value), x2="q75:Q")
    median = base.mark_tick(thickness=3, size=12).encode(x=alt.X("q50:Q", title=value))
    tall = max(120, 17 * len(places) * max(1, len(series)) + 20)
    return Chart(finished(alt.layer(line, middle, median), tall), title, caption, alt=f"{title}: quantiles of {value} by condition")


def curves(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    x: str,
    y: str,
    caption: str = "",
    log_x: bool = False,
    log_y: bool = False,
    height: int = 260,
) -> Chart:
    """Lines over x, one a name. rows: x, y, name, and `detail` to draw several lines of one name (seeds)."""
    import altair as alt

    series = list(dict.fromkeys(row["name"] for row in rows))
    colour = alt.Color(
        "name:N", sort=series, scale=alt.Scale(domain=series, range=[COLOURS[k % len(COLOURS)] for k in range(len(series))]), legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=220)
    )  # fmt: skip
    whole = all(isinstance(row["x"], int) for row in rows)
    scale = alt.Scale(type="log") if log_x else alt.Scale(zero=False, nice=False)
    x_axis = alt.X("x:Q", title=x, scale=scale, axis=alt.Axis(grid=False, tickMinStep=1 if whole else alt.Undefined))
    y_axis = alt.Y("y:Q", title=y, scale=alt.Scale(type="log") if log_y else alt.Scale())
    tips = [alt.Tooltip("name:N"), alt.Tooltip("x:Q"), alt.Tooltip("y:Q", format=".4g")]
    lines = (
        alt.Chart(plain_data(alt, rows))
        .mark_line(strokeWidth=1.6, opacity=0.8)
        .encode(x=x_axis, y=y_axis, color=colour, detail="detail:N", tooltip=tips)
    )
    return Chart(finished(lines, height), title, caption, alt=f"{title}: {y} over {x}")


def skills(rows: Sequence[Mapping[str, Any]], title: str, caption: str) -> Chart:
    """Values from 0 to 1 with intervals, one row a name, in the order given. rows: name, value, low, high."""
    import altair as alt

    y = alt.Y(
        "name:N", sort=[row["name"] for row in rows], title=None, axis=alt.Axis(labelLimit=220, grid=False, ticks=False, domain=False)
    )
    base = alt.Chart(plain_data(alt, rows))
    tips = [
        alt.Tooltip("name:N"),
        alt.Tooltip("value:Q", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
    ]
    rules = base.mark_rule(strokeWidth=2, color=COLOURS[1], clip=True).encode(
        y=y, x=alt.X("low:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1])), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=80, color=COLOURS[1], opacity=1, clip=True).encode(y=y, x=alt.X("value:Q"), tooltip=tips)
    told = " ".join(f"{row['name']}: {row['value']:.2f}." for row in rows[:5])
    return Chart(finished(alt.layer(rules, points), 26 * max(3, len(rows))), title, caption, alt=f"{title}: {told}")
