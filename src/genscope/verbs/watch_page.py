"""The page of a training run, from its record only: what is alarming, then curves by split, what carries the gradient, and how far the weights went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genscope.core.errors import UsageError
from genscope.core.text import many
from genscope.measures.growth_fit import best, fit_growth
from genscope.pages.blocks import Answer, Block, Card, Cards, Chart, Column, Facts, Heading, Note, Provenance, Table
from genscope.pages.charts import histogram
from genscope.pages.study_charts import curves
from genscope.watch.alerts import Alert, alerts, corrupt_like
from genscope.watch.record import Run

FOOTER = "Every look is in <record.jsonl>, beside this page."
POINTS = 400
"""Points of a curve that are drawn, at most."""
ROWS = 12
WORDS = {
    "loss": "loss (nats)", "accuracy": "accuracy", "coherence": "m-coherence", "noise_scale": "noise scale", "weight_distance": "distance from the start", "repeated": "rows seen before",
    "copying": "copying",
}  # fmt: skip
TONES = {"memorizing": "warn", "overfitting": "warn", "not finite": "warn"}


def headline(run: Run) -> str:
    """The answer in one sentence."""
    if not run.looks:
        return "Nothing was looked at yet."
    found = alerts(run)
    last = f"step {run.looks[-1].step:,}"
    if not found:
        return f"No alert in {many(len(run.looks), 'look')}, up to {last}."
    rest = f" {len(found) - 1} more below." if len(found) > 1 else ""
    return f"{found[0].sentence} Since step {found[0].step:,}.{rest}"


def blocks(run: Run) -> list[Block]:
    """Everything on the page, top to bottom."""
    found = alerts(run)
    state = "over" if run.ended else "going on, or stopped without saying so"
    page: list[Block] = [
        Answer(headline(run), f"The run is {state}.", "warn" if any(one.name in TONES for one in found) else "plain"),
        Facts(_facts(run)),
    ]
    if found:
        page += [Heading("Alerts", "In the order in which they came."), Cards([_card(one) for one in found])]
    if run.looks:
        page.append(looks_table(run))
        page += _charts(run)
    notes = [f"step {one['step']:,}: {one['text']}" for one in run.notes]
    if run.damaged:
        notes.append(f"{many(run.damaged, 'line')} of the record could not be read and are left out.")
    if notes:
        page.append(Note(notes, "In the record"))
    page.append(
        Provenance(
            groups={
                "Run": _facts(run),
                "Made with": {"genscope": str(run.header["genscope"]), "record": f"version {run.header['version']}"},
            }
        )
    )
    return page


def looks_table(run: Run) -> Table:
    """The newest looks, newest last; at most twelve, evenly spaced over the run, and always the last."""
    names = [
        name
        for name in run.names()
        if name.rpartition("/")[2] in ("loss", "accuracy", "coherence", "noise_scale", "weight_distance", "repeated", "copying")
    ]
    chosen = np.unique(np.linspace(0, len(run.looks) - 1, min(ROWS, len(run.looks))).round().astype(int))
    columns = [Column("step", "step", "count")]
    for name in names:
        split, _, quantity = name.rpartition("/")
        columns.append(
            Column(
                name,
                f"{split} {WORDS[quantity].removesuffix(' (nats)')}".strip(),
                "percent" if quantity in ("accuracy", "repeated", "copying") else "number",
            )
        )
    rows = [{"step": run.looks[k].step, **{name: run.looks[k].values.get(name) for name in names}} for k in chosen]
    return Table(columns, rows, "What was seen", main=True)


def alerts_text(found: Sequence[Alert]) -> list[str]:
    """Alerts as lines for a terminal."""
    return [f"step {one.step:,}, {one.name}: {one.sentence} What to do: {one.advice}." for one in found]


def _facts(run: Run) -> dict[str, str]:
    facts = {
        "looks": f"{len(run.looks):,}",
        "steps": f"{run.looks[-1].step:,}" if run.looks else "0",
        "every": f"{run.header.get('every', 0):,} steps",
    }
    facts |= {f"rows of {split}": f"{held['rows']:,}" for split, held in run.header["sample"].items()}
    return {**facts, "parameters": f"{run.header.get('parameters', 0):,}"}


def _card(one: Alert) -> Card:
    numbers = {name.replace("_", " "): f"{value:,.4g}" for name, value in one.numbers.items() if value is not None}
    return Card(
        tag=one.name, text=one.sentence, tone="warn" if one.name in TONES else "plain", facts={"since step": f"{one.step:,}", **numbers},
        advice=f"What to do: {one.advice}. How far to trust it: {one.evidence}.", table=None,
    )  # fmt: skip


def _charts(run: Run) -> list[Block]:
    made: list[Block] = []
    for quantity in ("accuracy", "loss", "copying"):
        names = [name for name in run.names() if name.rpartition("/")[2] == quantity]
        rows = [row for name in names for row in _line(run, name, name.rpartition("/")[0] or quantity)]
        if rows:
            made.append(curves(rows, title=f"{WORDS[quantity].capitalize()} on the fixed rows", x="step", y=WORDS[quantity], height=220))
    made += _gradient(run)
    scale = _line(run, "noise_scale", "gradient noise scale") + _line(run, "batch", "batch")
    if any(row["name"] != "batch" for row in scale):
        made.append(
            curves(
                [row for row in scale if row["y"] > 0],
                title="Noise scale beside the batch",
                x="step",
                y="rows",
                log_y=True,
                height=220,
                caption="Far above the batch: a larger one would pay. Below half of it: rows are wasted.",
            )
        )
    made += _distance(run)
    _, last = run.learning_times(next(iter(run.header["sample"]), ""))
    if np.isfinite(last).sum() > 10:
        made.append(_learned(last))
    return made


def _gradient(run: Run) -> list[Block]:
    split = next(iter(run.header["sample"]), "")
    targets = run.targets(split)
    steps, predicted = run.examples(split, "prediction")
    if not len(steps) or not len(targets):
        return []
    suspect = corrupt_like(predicted, targets)
    rows = [
        {"x": int(step), "y": float(one.mean()), "name": "share of the rows", "detail": "rows"}
        for step, one in zip(steps, suspect, strict=True)
    ]
    place = {int(step): t for t, step in enumerate(steps)}
    for look in run.looks:
        squares = look.examples.get(split, {}).get("gradient")
        if squares is not None and look.step in place:
            held = np.nan_to_num(np.array(squares, dtype=float))
            if held.sum() > 0 and len(held) <= suspect.shape[1]:
                rows.append(
                    {
                        "x": look.step,
                        "y": float(held[suspect[place[look.step]][: len(held)]].sum() / held.sum()),
                        "name": "share of the squared gradients",
                        "detail": "gradient",
                    }
                )
    caption = "Rows that the net gave the same other label three looks in a row. Where they are many and carry most of the gradient, it is memorizing."
    return [curves(_thinned(rows), title="Rows that look as if their labels were wrong", x="step", y="share", height=220, caption=caption)]


def _distance(run: Run) -> list[Block]:
    steps, distance = run.series("weight_distance")
    rows = [{"x": int(t), "y": float(d), "name": "distance", "detail": "d"} for t, d in zip(steps, distance, strict=True) if t > 0]
    if len(rows) < 2:
        return []
    said = "From the first step on."
    try:
        fits = fit_growth(steps[steps > 0], distance[steps > 0], first=1)
    except UsageError:
        fits = {}
    if fits:
        law = best(fits)
        grid = np.unique(np.geomspace(rows[0]["x"], rows[-1]["x"], 60).astype(int))
        rows += [{"x": int(t), "y": float(d), "name": f"{law} t", "detail": "fit"} for t, d in zip(grid, fits[law].at(grid), strict=True)]
        said = f"Best of log t, sqrt t and t on held-out blocks: {law} (R² {fits[law].r2:.3f}); power law t^{fits['power'].b:.2f}."
    return [
        curves(
            _thinned(rows), title="How far the weights went", x="step", y="distance from the start", log_x=True, height=220, caption=said
        )
    ]


def _learned(last: np.ndarray) -> Block:
    kept = last[np.isfinite(last)]
    edges = np.unique(np.linspace(0, kept.max() or 1, 21))
    counts = np.histogram(kept, edges)[0]
    rows: list[dict[str, Any]] = [
        {"low": float(edges[k]), "high": float(edges[k + 1]), "count": int(count)} for k, count in enumerate(counts)
    ]
    never = int((~np.isfinite(last)).sum())
    return Chart(
        histogram(rows, "step from which a row stayed right"),
        "When rows were learned.",
        f"{many(never, 'row')} not yet.",
        alt="Histogram of the step from which each training row stayed right",
    )


def _line(run: Run, name: str, title: str) -> list[dict[str, Any]]:
    steps, values = run.series(name)
    return _thinned(
        [{"x": int(step), "y": float(value), "name": title, "detail": title} for step, value in zip(steps, values, strict=True)]
    )


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        made += [mine[k] for k in np.unique(np.linspace(0, len(mine) - 1, min(POINTS, len(mine))).round().astype(int))]
    return made
