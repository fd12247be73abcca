"""Charts as Vega-Lite specifications, made with altair. Colours are legible on light and dark ground and apart for colour-blind readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

ID_COLOUR = "#3f7fbf"
OOD_COLOUR = "#d9772b"
GREY = "#9aa3ad"
SPLIT_NAMES = {"id": "familiar (ID)", "ood": "new (OOD)"}


def valley(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy on familiar and new elements over the levels, with intervals and chance.

    rows: level (text), split ("id", "ood"), accuracy, low, high, chance (fractions).
    """
    import altair as alt

    levels, split, dodge, colour = _axes(alt, rows)
    base = alt.Chart(plain_data(alt, rows))
    tips = [
        alt.Tooltip("level:N"),
        alt.Tooltip("name:N", title="elements"),
        _percent_tip(alt, "accuracy"),
        _percent_tip(alt, "low"),
        _percent_tip(alt, "high"),
        _percent_tip(alt, "chance"),
    ]
    lines = base.mark_line(strokeWidth=1.5, opacity=0.45).encode(
        x=levels, xOffset=dodge, y=_percent_axis(alt, "accuracy", "accuracy"), color=colour
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=levels, xOffset=dodge, y=alt.Y("low:Q"), y2="high:Q", color=colour)
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=levels, xOffset=dodge, y=alt.Y("accuracy:Q"), color=colour, shape=split, tooltip=tips
    )
    chance = base.mark_tick(thickness=2, size=16, color=GREY).encode(x=levels, xOffset=dodge, y=alt.Y("chance:Q"), tooltip=tips)
    return finished(alt.layer(lines, chance, bars, points), 280)


def gaps(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The generalization gap of each level with its interval; the critical level in colour. rows: level, gap, low, high, critical (bool)."""
    import altair as alt

    base = alt.Chart(plain_data(alt, rows))
    levels = _level_axis(alt, rows)
    tips = [
        alt.Tooltip("level:N"),
        alt.Tooltip("gap:Q", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
    ]
    colour = alt.condition("datum.critical", alt.value(OOD_COLOUR), alt.value(GREY))
    bars = base.mark_bar(size=34, cornerRadiusEnd=3).encode(
        x=levels, y=_points_axis(alt, "gap", "gap, in points"), color=colour, tooltip=tips
    )
    rules = base.mark_rule(strokeWidth=2, opacity=0.8).encode(x=levels, y=alt.Y("low:Q"), y2="high:Q")
    return finished(alt.layer(bars, rules), 150)


def among_published(published: Sequence[Mapping[str, Any]], mine: Sequence[Mapping[str, Any]], comparable: bool) -> dict[str, Any]:
    """The score S over the levels: published models in grey, this one in colour (dashed where the protocol differs).

    Both: model, level, score.
    """
    import altair as alt

    levels = _level_axis(alt, mine)
    y = alt.Y("score:Q", title="generalization score S", scale=alt.Scale(domain=[-0.4, 1]))
    tips = [alt.Tooltip("model:N"), alt.Tooltip("level:N"), alt.Tooltip("score:Q", format=".3f")]
    grey = alt.Chart(plain_data(alt, published)).mark_line(strokeWidth=1, opacity=0.55, color=GREY, point={"size": 18, "color": GREY, "opacity": 0.55}).encode(x=levels, y=y, detail="model:N", tooltip=tips)  # fmt: skip
    own = alt.Chart(plain_data(alt, mine)).mark_line(strokeWidth=3, color=OOD_COLOUR, strokeDash=[1, 0] if comparable else [5, 4], point={"size": 70, "color": OOD_COLOUR, "filled": True}).encode(x=levels, y=y, tooltip=tips)  # fmt: skip
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(opacity=0.4).encode(y="zero:Q")
    return finished(alt.layer(zero, grey, own), 280)


def differences(rows: Sequence[Mapping[str, Any]], first: str, second: str) -> dict[str, Any]:
    """Paired differences of two models with intervals, one row a level. rows: level, difference, low, high (fractions, second minus first)."""
    import altair as alt

    y = alt.Y(
        "level:N", sort=[row["level"] for row in rows], title=None, axis=alt.Axis(labelLimit=160, grid=False, ticks=False, domain=False)
    )
    x = alt.X(
        "difference:Q",
        title=f"← {first} ahead   ·   {second} ahead →   (points)",
        axis=alt.Axis(labelExpr="format(100 * datum.value, '.0f')", tickCount=5),
    )
    base = alt.Chart(plain_data(alt, rows))
    tips = [alt.Tooltip("level:N"), _percent_tip(alt, "difference"), _percent_tip(alt, "low"), _percent_tip(alt, "high")]
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(opacity=0.5).encode(x=alt.X("zero:Q"))
    rules = base.mark_rule(strokeWidth=2, color=OOD_COLOUR).encode(y=y, x=alt.X("low:Q"), x2="high:Q")
    points = base.mark_point(filled=True, size=90, color=OOD_COLOUR, opacity=1).encode(y=y, x=x, tooltip=tips)
    return finished(alt.layer(zero, rules, points), 36 * max(3, len(rows)))


def accuracies(rows: Sequence[Mapping[str, Any]], series: Sequence[str]) -> dict[str, Any]:
    """Accuracy with intervals over levels for named series (splits). rows: level, name, accuracy, low, high, chance."""
    import altair as alt

    levels = _level_axis(alt, rows)
    colours = [ID_COLOUR, OOD_COLOUR, "#5a9e6f", "#8d6cab", GREY, "#b3446c", "#3a9c9a", "#a08218"]
    colour = alt.Color(
        "name:N",
        sort=list(series),
        scale=alt.Scale(domain=list(series), range=[colours[place % len(colours)] for place in range(len(series))]),
        legend=_legend(alt, len(series)) if len(series) > 1 else None,
    )
    dodge = alt.XOffset("name:N", sort=list(series))
    base = alt.Chart(plain_data(alt, rows))
    tips = [
        alt.Tooltip("level:N"),
        alt.Tooltip("name:N"),
        _percent_tip(alt, "accuracy"),
        _percent_tip(alt, "low"),
        _percent_tip(alt, "high"),
    ]
    rules = base.mark_rule(strokeWidth=2).encode(x=levels, xOffset=dodge, y=alt.Y("low:Q"), y2="high:Q", color=colour)
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=levels, xOffset=dodge, y=_percent_axis(alt, "accuracy", "accuracy"), color=colour, tooltip=tips
    )
    chance = base.mark_tick(thickness=2, size=16, color=GREY).encode(x=levels, xOffset=dodge, y=alt.Y("chance:Q"), tooltip=tips)
    return finished(alt.layer(chance, rules, points), 260)


def difficulty_curve(bins: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]], chance: float, title: str) -> dict[str, Any]:
    """Accuracy over difficulty: bins with intervals, the non-increasing curve, and what guessing gives. bins: difficulty, accuracy, low, high, items; curve: difficulty, accuracy."""
    import altair as alt

    x = alt.X("difficulty:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(grid=False))
    tips = [
        alt.Tooltip("difficulty:Q", format=".3g"),
        _percent_tip(alt, "accuracy"),
        _percent_tip(alt, "low"),
        _percent_tip(alt, "high"),
        alt.Tooltip("items:Q"),
    ]
    line = (
        alt.Chart(plain_data(alt, curve))
        .mark_line(strokeWidth=1.5, opacity=0.6, color=ID_COLOUR, interpolate="step-after")
        .encode(x=x, y=_percent_axis(alt, "accuracy", "accuracy"))
    )
    base = alt.Chart(plain_data(alt, bins))
    rules = base.mark_rule(strokeWidth=2, color=OOD_COLOUR).encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    points = base.mark_point(filled=True, size=80, opacity=1, color=OOD_COLOUR).encode(
        x=x, y=_percent_axis(alt, "accuracy", "accuracy"), tooltip=tips
    )
    layers = [line, rules, points]
    if chance > 0:
        layers.insert(0, alt.Chart(alt.Data(values=[{"chance": chance}])).mark_rule(strokeDash=[4, 4], color=GREY).encode(y="chance:Q"))
    return finished(alt.layer(*layers), 260)


def histogram(rows: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """Counts over a quantity. rows: low, high (ends of a bin), count."""
    import altair as alt

    tips = [alt.Tooltip("low:Q", format=".3g"), alt.Tooltip("high:Q", format=".3g"), alt.Tooltip("count:Q")]
    x = alt.X("low:Q", title=title, bin="binned", scale=alt.Scale(zero=False), axis=alt.Axis(grid=False))
    bars = (
        alt.Chart(plain_data(alt, rows))
        .mark_bar(color=ID_COLOUR)
        .encode(x=x, x2="high:Q", y=alt.Y("count:Q", title="items", axis=alt.Axis(tickCount=4)), tooltip=tips)
    )
    return finished(bars, 180)


def _axes(alt: Any, rows: Sequence[Mapping[str, Any]]) -> tuple[Any, Any, Any, Any]:
    names = list(SPLIT_NAMES.values())
    split = alt.Shape("name:N", scale=alt.Scale(domain=names, range=["circle", "diamond"]), legend=_legend(alt))
    colour = alt.Color("name:N", scale=alt.Scale(domain=names, range=[ID_COLOUR, OOD_COLOUR]), legend=_legend(alt))
    return _level_axis(alt, rows), split, alt.XOffset("name:N", sort=names, scale=alt.Scale(paddingOuter=1)), colour


def _legend(alt: Any, names: int = 2) -> alt.Legend:
    many: dict[str, Any] = {"columns": 2, "labelLimit": 150} if names > 3 else {"direction": "horizontal"}
    return alt.Legend(title=None, orient="top", symbolStrokeWidth=0, symbolOpacity=1, **many)


def _level_axis(alt: Any, rows: Sequence[Mapping[str, Any]]) -> alt.X:
    order = list(dict.fromkeys(row["level"] for row in rows))
    axis = alt.Axis(labelAngle=0, labelExpr="split(datum.label, ' ')", grid=False, ticks=False, labelLimit=90, labelPadding=6)
    return alt.X("level:N", sort=order, title=None, axis=axis)


def _percent_axis(alt: Any, field: str, title: str) -> alt.Y:
    axis = alt.Axis(labelExpr="format(100 * datum.value, '.0f') + ' %'", values=[0, 0.25, 0.5, 0.75, 1])
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=axis)


def _points_axis(alt: Any, field: str, title: str) -> alt.Y:
    return alt.Y(f"{field}:Q", title=title, axis=alt.Axis(labelExpr="format(100 * datum.value, '.0f')", tickCount=4))


def _percent_tip(alt: Any, field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", format=".1%")


def plain_data(alt: Any, rows: Sequence[Mapping[str, Any]]) -> alt.Data:
    """Rows as inline data, rounded; a row with a `split` gets its name for readers."""
    named = [{**row, "name": SPLIT_NAMES.get(str(row["split"]), row["split"])} if "split" in row else dict(row) for row in rows]
    return alt.Data(values=[{key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()} for row in named])


def finished(chart: Any, height: int) -> dict[str, Any]:
    """The specification of a chart as wide as its page."""
    spec = (
        chart.properties(width="container", height=height, background="transparent").configure_view(strokeWidth=0).to_dict(validate=False)
    )
    spec.pop("usermeta", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec
