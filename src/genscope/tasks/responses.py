"""Response record: which solver got which item right, any pattern of pairs missing; from triples, a matrix, lm-eval samples, or long and wide files.

Solvers are people, models or checkpoints; items are examples. What is estimated from it (item response theory, Glicko-2, rates) stands in measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.text import shorten

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike

Duplicates = Literal["error", "majority", "mean"]
ROLES: Mapping[str, tuple[str, ...]] = {
    "solver": ("solver", "model", "user", "userid", "user_id", "person", "student", "contestant", "subject"),
    "item": ("item", "example", "question", "problem", "item_id", "question_id", "problem_id", "task_id"),
    "right": ("right", "correct", "response", "score", "acc", "solved", "is_correct"),
    "period": ("period", "contest", "rating_period"),
    "weight": ("weight",),
}
"""Column names that are taken for each role of a long file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseRecord:
    """Answers in the order solver, item. solvers, items: names; solver, item: their places, one an answer.

    right: 0 or 1 (between them only where repeated answers were averaged); weight: how much an answer counts, > 0; period: rating period, or None.
    """

    solvers: tuple[str, ...]
    items: tuple[str, ...]
    solver: np.ndarray
    item: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    period: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.right)

    @property
    def share(self) -> float:
        """Share of solver-item pairs that were answered, in (0, 1]."""
        return len(self) / (len(self.solvers) * len(self.items))

    @classmethod
    def from_triples(
        cls, solvers: ArrayLike, items: ArrayLike, right: ArrayLike, *, weights: ArrayLike | None = None, periods: ArrayLike | None = None,
        duplicates: Duplicates = "error", threshold: float | None = None,
    ) -> ResponseRecord:  # fmt: skip
        """Columns of the same length, one row an answer. duplicates: what to do where a solver answered an item more than once
        ("majority": a tie counts as half; "mean": the share right); threshold: scores of at least this count as right.
        """
        import polars as pl

        if duplicates not in get_args(Duplicates):
            raise UsageError(unknown("way to treat duplicates", str(duplicates), get_args(Duplicates)))
        names = [np.asarray(one) for one in (solvers, items)]
        values = _binary(np.asarray(right), threshold)
        weight = np.ones(len(values)) if weights is None else np.asarray(weights, float)
        columns = {"solver": names[0].astype(str), "item": names[1].astype(str), "right": values, "weight": weight}
        if periods is not None:
            columns["period"] = np.asarray(periods)
        if len({len(column) for column in columns.values()}) > 1:
            raise DataError(
                f"responses: columns of different length: {', '.join(f'{name} {len(column):,}' for name, column in columns.items())}"
            )
        if not len(values):
            raise DataError("responses: there is no answer at all")
        if not (np.isfinite(weight) & (weight > 0)).all():
            raise DataError(f"responses: weights must be above 0, got {weight[~(np.isfinite(weight) & (weight > 0))][0]:g}")
        frame = pl.DataFrame(columns)
        solver_names, items_ = (frame[name].unique(maintain_order=True) for name in ("solver", "item"))
        frame = frame.with_columns(
            solver=frame["solver"].cast(pl.Enum(solver_names)).to_physical().cast(pl.Int64), item=frame["item"].cast(pl.Enum(items_)).to_physical().cast(pl.Int64)
        )  # fmt: skip
        frame = _without_duplicates(frame, duplicates, tuple(solver_names), tuple(items_)).sort("solver", "item", maintain_order=True)
        period = None
        if periods is not None:
            # periods are played in their sorted order, numbered from 0
            period = np.unique(frame["period"].to_numpy(), return_inverse=True)[1].astype(np.int64)
        who, which, answers, counts = (frame[name].to_numpy() for name in ("solver", "item", "right", "weight"))
        return cls._made(tuple(solver_names), tuple(items_), who, which, answers, counts, period)

    @classmethod
    def from_matrix(
        cls, matrix: ArrayLike, *, solvers: Sequence[str] | None = None, items: Sequence[str] | None = None, threshold: float | None = None
    ) -> ResponseRecord:
        """Solvers in rows, items in columns, NaN where there is no answer. A solver or item without any answer is an error that names it."""
        given = np.asarray(matrix)
        cells = (
            given.astype(float)
            if given.dtype != object
            else np.array([[np.nan if one is None else one for one in row] for row in given], float)
        )
        if cells.ndim != 2 or not cells.size:
            raise DataError(f"responses: a matrix has solvers in rows and items in columns, got shape {cells.shape}")
        rows = tuple(solvers) if solvers is not None else tuple(f"solver {k}" for k in range(cells.shape[0]))
        columns = tuple(items) if items is not None else tuple(f"item {k}" for k in range(cells.shape[1]))
        for what, names, size in (("solvers", rows, cells.shape[0]), ("items", columns, cells.shape[1])):
            if len(names) != size:
                raise DataError(f"responses: {len(names)} names for {size} {what}")
            if len(set(names)) != size:
                twice = next(name for name in names if names.count(name) > 1)
                raise DataError(f"responses: two {what} are called {shorten(twice, 60)!r}; names must be different")
        there = ~np.isnan(cells)
        for what, names, seen in (("solver", rows, there.any(1)), ("item", columns, there.any(0))):
            if not seen.all():
                lost = [names[k] for k in np.flatnonzero(~seen)]
                raise DataError(
                    f"responses: {len(lost)} {what}(s) without any answer: {', '.join(shorten(str(name), 40) for name in lost[:5])}{' ...' if len(lost) > 5 else ''}. "
                    "Leave them out: nothing can be said of them"
                )
        solver, item = np.nonzero(there)
        values = _binary(cells[there], threshold)
        return cls._made(rows, columns, solver, item, values, np.ones(len(values)), None)

    @classmethod
    def from_lm_eval(
        cls,
        paths: Sequence[Path],
        *,
        metric: str | None = None,
        filter: str | None = None,
        duplicates: Duplicates = "error",
        threshold: float | None = None,
    ) -> ResponseRecord:
        """Files that lm-evaluation-harness wrote with --log_samples; see `tasks.lm_eval_samples`."""
        from genscope.tasks.lm_eval_samples import read

        rows = read(paths, metric, filter)
        return cls.from_triples(
            rows["solver"].to_numpy(), rows["item"].to_numpy(), rows["right"].to_numpy(), duplicates=duplicates, threshold=threshold
        )

    @classmethod
    def from_file(
        cls, path: Path, *, columns: Mapping[str, str] | None = None, duplicates: Duplicates = "error", threshold: float | None = None
    ) -> ResponseRecord:
        """A CSV, TSV, JSONL or Parquet file: long (columns for solver, item and right; named by `columns`, else guessed) or wide (solver, then one column an item)."""
        return cls.from_frame(_table(path), str(path), columns=columns, duplicates=duplicates, threshold=threshold)

    @classmethod
    def from_frame(
        cls, frame: pl.DataFrame, where: str = "responses", *, columns: Mapping[str, str] | None = None, duplicates: Duplicates = "error", threshold: float | None = None
    ) -> ResponseRecord:  # fmt: skip
        """A polars frame in the long or wide form of `from_file`."""
        import polars as pl

        roles = long_columns(frame.columns, columns or {}, where)
        if roles is None:
            return cls._from_wide(frame, where, threshold)
        kept = frame.select(pl.col(column).alias(role) for role, column in roles.items()).drop_nulls(["solver", "item", "right"])
        right = _numbers(kept["right"], where, roles["right"])
        extra = {"weights": kept["weight"].cast(pl.Float64, strict=False).to_numpy()} if "weight" in roles else {}
        periods = {"periods": kept["period"].to_numpy()} if "period" in roles else {}
        return cls.from_triples(
            kept["solver"].cast(pl.String).to_numpy(),
            kept["item"].cast(pl.String).to_numpy(),
            right,
            duplicates=duplicates,
            threshold=threshold,
            **extra,
            **periods,
        )

    @classmethod
    def _from_wide(cls, frame: pl.DataFrame, where: str, threshold: float | None) -> ResponseRecord:
        import polars as pl

        first = frame.columns[0]
        body = frame.select(pl.exclude(first))
        if body.width < 2 or not len(frame):
            raise DataError(
                f"{where}: neither a long file (columns for solver, item and right) nor a wide one (a column of solvers, then one column an item); columns: {', '.join(frame.columns[:8])}"
            )
        cells = np.column_stack([_numbers(body[name], where, name) for name in body.columns])
        return cls.from_matrix(cells, solvers=[str(one) for one in frame[first]], items=body.columns, threshold=threshold)

    @classmethod
    def _made(
        cls, solvers: tuple[str, ...], items: tuple[str, ...], solver: Any, item: Any, right: Any, weight: Any, period: np.ndarray | None
    ) -> ResponseRecord:
        if np.ptp(right) == 0:
            raise DataError(
                f"responses: all {len(right):,} answers are {'right' if right[0] else 'wrong'}; difficulty cannot be told apart from ability then. Add solvers or items that differ"
            )
        return cls(
            solvers=solvers, items=items, solver=np.asarray(solver, np.int64), item=np.asarray(item, np.int64), right=np.asarray(right, float),
            weight=np.asarray(weight, float), period=period,
        )  # fmt: skip

    def take(self, keep: np.ndarray) -> ResponseRecord:
        """The answers where the mask `keep` is set; solvers and items left without any are dropped."""
        solver_places, solver = np.unique(self.solver[keep], return_inverse=True)
        item_places, item = np.unique(self.item[keep], return_inverse=True)
        if not len(solver):
            raise DataError("responses: no answer is left")
        return self._made(
            tuple(self.solvers[k] for k in solver_places), tuple(self.items[k] for k in item_places), solver, item, self.right[keep], self.weight[keep],
            None if self.period is None else self.period[keep],
        )  # fmt: skip

    def of_solvers(self, names: Sequence[str]) -> ResponseRecord:
        """The answers of these solvers."""
        places = {name: place for place, name in enumerate(self.solvers)}
        lost = [name for name in names if name not in places]
        if lost:
            raise DataError(unknown("solver", str(lost[0]), self.solvers[:20]))
        return self.take(np.isin(self.solver, [places[name] for name in names]))

    def matrix(self) -> np.ndarray:
        """Solvers x items, NaN where there is no answer."""
        cells = np.full((len(self.solvers), len(self.items)), np.nan)
        cells[self.solver, self.item] = self.right
        return cells

    def wrong_rate(self) -> np.ndarray:
        """Share of wrong answers of each item, in [0, 1]: the difficulty that knows nothing of who answered."""
        places = {"minlength": len(self.items)}
        return 1 - np.bincount(self.item, self.weight * self.right, **places) / np.bincount(self.item, self.weight, **places)


def long_columns(header: Sequence[str], named: Mapping[str, str], where: str = "responses") -> dict[str, str] | None:
    """Role -> column of a long file; None when solver, item and right are not all there and none was named."""
    lower = {name.strip().lower(): name for name in header}
    roles = {}
    for role, guesses in ROLES.items():
        if role in named:
            if named[role] not in header:
                raise DataError(f"{where}: " + unknown("column", named[role], list(header)[:30]))
            roles[role] = named[role]
        else:
            found = next((lower[guess] for guess in guesses if guess in lower), None)
            if found is not None:
                roles[role] = found
    lacking = [role for role in ("solver", "item", "right") if role not in roles]
    if lacking and any(role in named for role in ("solver", "item", "right")):
        raise DataError(f"{where}: no column for {', '.join(lacking)}; name it. Columns: {', '.join(list(header)[:30])}")
    return None if lacking else roles


def _binary(values: np.ndarray, threshold: float | None) -> np.ndarray:
    try:
        numbers = values.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"responses: answers must be 0 or 1, got {shorten(str(values.ravel()[0]), 40)!r}") from error
    if threshold is not None:
        if np.isnan(numbers).any():
            raise DataError("responses: a score is NaN; leave such rows out")
        return (numbers >= threshold).astype(float)
    bad = ~np.isin(numbers, (0.0, 1.0))
    if bad.any():
        raise DataError(
            f"responses: {int(bad.sum()):,} answer(s) are neither 0 nor 1, the first: {numbers[bad][0]:g}. Give a threshold at which a score counts as right, such as threshold=0.5"
        )
    return numbers


def _without_duplicates(frame: pl.DataFrame, duplicates: Duplicates, solvers: tuple[str, ...], items: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    pairs = ["solver", "item"]
    if frame.select(pl.struct(pairs).n_unique()).item() == len(frame):
        return frame
    if duplicates == "error":
        twice = frame.filter(pl.struct(pairs).is_duplicated())
        raise DataError(
            f"responses: {shorten(solvers[twice['solver'][0]], 40)!r} answered {shorten(items[twice['item'][0]], 40)!r} more than once ({twice.select(pl.struct(pairs).n_unique()).item():,} such pairs). "
            'Choose duplicates="majority" or "mean"'
        )
    mean = (pl.col("right") * pl.col("weight")).sum() / pl.col("weight").sum()
    right = mean if duplicates == "mean" else pl.when(mean > 0.5).then(1.0).when(mean < 0.5).then(0.0).otherwise(0.5)
    others = [pl.col("weight").mean(), *([pl.col("period").first()] if "period" in frame.columns else [])]
    return frame.group_by(pairs, maintain_order=True).agg(right.alias("right"), *others)


def _numbers(column: pl.Series, where: str, name: str) -> np.ndarray:
    import polars as pl

    found = (
        column.cast(pl.Float64, strict=False)
        if column.dtype != pl.String
        else column.str.strip_chars()
        .replace({"true": "1", "True": "1", "false": "0", "False": "0", "": None})
        .cast(pl.Float64, strict=False)
    )
    text = column.str.strip_chars() if column.dtype == pl.String else column.cast(pl.String)
    lost = found.is_null() & text.is_not_null() & ~text.is_in(["", "nan", "NaN", "NA"])
    if lost.any():
        raise DataError(
            f"{where}: column {shorten(name, 40)}: {shorten(str(column.filter(lost)[0]), 40)!r} is neither 0 nor 1. Answers are 0, 1, or empty where there is none"
        )
    return found.to_numpy().astype(float)


def _table(path: Path) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        raise DataError(f"responses {path}: no such file. Give a CSV, TSV, JSONL or Parquet file")
    kind = path.suffix.lower()
    try:
        if kind in (".csv", ".tsv"):
            return pl.read_csv(path, separator="\t" if kind == ".tsv" else ",", infer_schema=False, encoding="utf8-lossy")
        if kind == ".parquet":
            return pl.read_parquet(path)
        if kind in (".jsonl", ".ndjson"):
            return pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise DataError(f"responses {path} cannot be read as {kind[1:]}: {shorten(str(error))}") from error
    raise DataError(f"responses {path}: unknown kind of file {kind!r}. Give .csv, .tsv, .jsonl or .parquet")
