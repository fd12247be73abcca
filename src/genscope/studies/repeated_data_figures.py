"""Figures of the repeated-data study: the table and curves over repeats, the course of training, and the predicates on real text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genscope.core.stats import paired_t
from genscope.pages.blocks import Block, Column, Table
from genscope.pages.study_charts import curves

if TYPE_CHECKING:
    import polars as pl


def figures(records: pl.DataFrame) -> list[Block]:
    """What there are records for."""
    blocks: list[Block] = []
    for part, title in (("grid", "Setting A"), ("induction", "Setting B"), ("text", "Characters of novels")):
        rows = _of(records, part)
        if len(rows):
            blocks += _over_repeats(records, part, title)
            blocks.append(_table(rows, title))
            blocks += _course(rows, title)
    if len(_of(records, "text")):
        blocks.append(_text_predicates(_of(records, "text")))
    return blocks


def _of(records: pl.DataFrame, part: str, arm: str = "claim") -> pl.DataFrame:
    return records.filter((records["part"] == part) & (records["arm"] == arm))


def _repeats(condition: str) -> int:
    return int(condition[2:]) if condition.startswith("E=") else 0


def _over_repeats(records: pl.DataFrame, part: str, title: str) -> list[Block]:
    rows = []
    for arm, name in (("claim", "repeated"), ("fresh", "fresh documents (placebo)")):
        found = _of(records, part, arm)
        chosen = found.filter((found["metric"] == "test_loss") & found["condition"].str.starts_with("E="))
        rows += [
            {"name": name, "x": _repeats(condition), "y": value, "detail": f"{name} {seed}"}
            for condition, value, seed in sorted(
                chosen.select("condition", "value", "seed").rows(), key=lambda row: (row[2], _repeats(row[0]))
            )
        ]
    if not rows:
        return []
    return [
        curves(rows, title=f"{title}: test loss over repeats", x="repeats E", y="nats a token", log_x=True,
               caption="Half of the training tokens are E repeats of a subset, which is the smaller the larger E is. One line a seed.")
    ]  # fmt: skip


COLUMNS = (
    ("test_loss", "test loss", "nats a token on new documents"), ("excess_harm", "excess", "test loss above that of the unique-only control; above 0: worse than leaving the repeats out"),
    ("memorization", "memorized", "1 - loss on repeated / loss on new documents"), ("copy_loss", "copying", "loss on copy tokens; on text: on a passage given three times"),
    ("base_loss", "other tokens", "loss off the copies"), ("prefix_highest", "best head", "prefix-matching score; the chance level stands in the records"),
    ("test_multiplier", "size by test", "effective size / size, by test loss"), ("copy_multiplier", "size by copying", "effective size / size, by copying loss"),
    ("novel_loss", "another novel", "nats a character"), ("plays_loss", "plays", "nats a character"),
)  # fmt: skip


def _table(rows: pl.DataFrame, title: str) -> Table:
    held: dict[str, dict[str, Any]] = {}
    for (condition, metric), part in rows.filter(rows["value"].is_not_null()).group_by("condition", "metric", maintain_order=True):
        found = paired_t(part["value"].to_list())
        held.setdefault(str(condition), {"condition": str(condition)})[str(metric)] = (found.value, found.low, found.high)
    shown = [one for one in COLUMNS if any(one[0] in row for row in held.values())]
    order = sorted((row for row in held.values() if "test_loss" in row), key=lambda row: _repeats(row["condition"]))
    columns = (
        Column("condition", "condition"),
        *[Column(name, label, "fine" if "loss" in name else "number", text) for name, label, text in shown],
    )
    filled = [{"condition": row["condition"], **{name: row.get(name) for name, _, _ in shown}} for row in order]
    return Table(columns, filled, f"{title}: means over seeds with paired-t intervals", main=title == "Setting A")


def _course(rows: pl.DataFrame, title: str) -> list[Block]:
    chosen = rows.filter((rows["metric"] == "test_loss_at") & rows["step"].is_not_null() & ~rows["condition"].str.starts_with("d="))
    if not len(chosen):
        return []
    first = chosen["seed"].min()
    lines = [
        {"name": condition, "x": step, "y": value, "detail": condition}
        for condition, step, value in chosen.filter(chosen["seed"] == first).select("condition", "step", "value").rows()
    ]
    lines.sort(key=lambda row: (_repeats(row["name"]), row["name"], row["x"]))
    return [curves(lines, title=f"{title}: test loss over training", x="step", y="nats a token", log_x=True, caption=f"Seed {first}.")]


def _text_predicates(rows: pl.DataFrame) -> Table:
    """P30.1 to P30.3 on real text, by the same rules; no verdict."""
    loss = {name: _by_seed(rows, "test_loss", name) for name in dict.fromkeys(rows["condition"].to_list())}
    repeated = sorted((name for name in loss if name.startswith("E=")), key=_repeats)
    middle, most = repeated[len(repeated) // 2], repeated[-1]
    held = [
        _difference(f"test loss at {middle} above that at {other}", loss[middle], loss[other])
        for other in ("f=0", most, "unique-only")
        if loss.get(other)
    ]
    for name in repeated:
        values = list(_by_seed(rows, "memorization", name).values())
        found = paired_t(values)
        held.append({"what": f"memorized at {name}", "value": (found.value, found.low, found.high), "n": found.n})
    return Table(
        (Column("what", "predicate"), Column("value", "value", "fine"), Column("n", "seeds", "count")),
        held,
        "The predicates of P30.1 to P30.3 on text (reported)",
    )


def _by_seed(rows: pl.DataFrame, metric: str, condition: str) -> dict[int, float]:
    chosen = rows.filter((rows["metric"] == metric) & (rows["condition"] == condition) & rows["value"].is_not_null())
    return dict(zip(chosen["seed"].to_list(), chosen["value"].to_list(), strict=True))


def _difference(what: str, one: dict[int, float], other: dict[int, float]) -> dict[str, Any]:
    found = paired_t([one[seed] - other[seed] for seed in one if seed in other])
    return {"what": what, "value": (found.value, found.low, found.high), "n": found.n}
