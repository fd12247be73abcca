"""Claims of Scylla that a profile judges, on a language model: what it takes for familiar (SCY-4), and that accuracy falls with complexity (SCY-5).

Qi et al. 2025, "Quantifying Generalization Complexity for Large Language Models" (arXiv 2410.01769), sections 3.2.2 and 4.
Both are judged on the rows of a profile; each has a placebo that keeps the rows and removes the mechanism.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from genscope.core.claims import Claim, Clause, Precondition, Verdict, judge_all, with_placebo
from genscope.core.seeds import Seed
from genscope.engine.study import Placebo
from genscope.tasks import scylla

NAME = "scylla"
FLAT = tuple(name for name in scylla.NAMES if name not in ("tsp", "longest_common_subarray"))
"""Tasks whose probe asks for plain lists (no pairs of lists, no matrices)."""
ENOUGH = 300
"""Elements that a probe prompt must have given to count in SCY-4."""

ID_PRIOR = Claim(
    id="SCY-4",
    kind="phenomenon",
    sentence="Asked to invent test inputs, a language model writes small numbers in short lists: at least 80 % of the elements are at most 100, "
    "and the median list has 3 to 16 entries.",
    clauses=(
        Clause(metric="small", relation=">", margin=0.70, at_least=0.80, test="bootstrap_t", cluster=("completion",)),
        Clause(metric="length", relation="within", margin=(3.0, 16.0), test="bootstrap_median", cluster=("completion",)),
    ),
    minimum_n=3 * ENOUGH,
    preconditions=(Precondition(metric="prompts", relation=">=", value=3, reduce="count", sentence=f"at least 3 probe prompts gave {ENOUGH} elements or more"),),
)  # fmt: skip

ORDERING = Claim(
    id="SCY-5",
    kind="phenomenon",
    sentence="Accuracy above chance falls with the complexity of the task, and is at least 10 points higher on O(N) than on O(2^N) tasks.",
    clauses=(
        Clause(
            metric="skill", relation="rank", margin=0.0, contrast=("level", "falls", ""), test="spearman_permutation", cluster=("task",)
        ),
        Clause(metric="skill", relation=">", margin=0.10, contrast=("level", 0, 4), test="bootstrap_t", strata=("task",)),
    ),
    minimum_n=5 * 3 * 2 * 16,
    preconditions=(
        Precondition(metric="levels", relation=">=", value=5, reduce="count", sentence="every level has at least 3 tasks with replies"),
    ),
)

CLAIMS = (ID_PRIOR, ORDERING)


PLACEBOS = {
    "SCY-4": Placebo(kind="uniform random lists (0..9999, 2 to 64 entries) through the same extraction", arm="random lists"),
    "SCY-5": Placebo(kind="level labels permuted over tasks", arm="permuted"),
}
CALIBRATION = (
    "Profile: on the number of elements that a probe prompt yields (the precondition of SCY-4) and never on their values: wording of the probe, an opened "
    "bracket as the beginning of the reply, no repetition penalty, 32 replies of 96 tokens."
)


def judge_profile(responses: pl.DataFrame) -> list[dict[str, Any]]:
    """Verdicts on SCY-4 and SCY-5 with their placebos', in the form of the board; a claim without rows is left out."""
    seed = Seed("study", NAME)
    frames = {
        ID_PRIOR.id: (_prior_frame(responses), _prior_placebo(responses, seed)),
        ORDERING.id: (_skill_frame(responses), _permuted(_skill_frame(responses), seed)),
    }
    present = [claim for claim in CLAIMS if len(frames[claim.id][0])]
    if not present:
        return []
    real = {claim.id: frames[claim.id][0] for claim in present}
    control = {claim.id: frames[claim.id][1] for claim in present}
    verdicts = _judged(present, real, seed.child("verdict"))
    placebos = _judged(present, control, seed.child("placebo"))
    return [with_placebo(verdict, placebo, PLACEBOS[verdict.claim.id].kind) for verdict, placebo in zip(verdicts, placebos, strict=True)]


def _judged(claims: Sequence[Claim], frames: Mapping[str, pl.DataFrame], seed: Seed) -> list[Verdict]:
    long = pl.concat([frame.with_columns(claim=pl.lit(name)) for name, frame in frames.items()], how="diagonal")
    return judge_all(claims, long, seed)


# --- SCY-4


def _prior_frame(responses: pl.DataFrame) -> pl.DataFrame:
    probes = responses.filter((pl.col("kind") == "probe") & (pl.col("failed") == "") & pl.col("task").is_in(FLAT))
    texts = {key: part["reply"].to_list() for key, part in probes.group_by("task", "seed", maintain_order=True)}
    return _elements_frame(texts)


def _prior_placebo(responses: pl.DataFrame, seed: Seed) -> pl.DataFrame:
    """As many completions, with as many lists in each as the model wrote there, but uniform random ones."""
    probes = responses.filter((pl.col("kind") == "probe") & (pl.col("failed") == "") & pl.col("task").is_in(FLAT))
    rng = seed.child("placebo", "SCY-4").rng()
    texts: dict[tuple[Any, ...], list[str]] = {}
    for key, part in probes.group_by("task", "seed", maintain_order=True):
        texts[key] = [
            "\n".join(str(rng.integers(0, 10_000, rng.integers(2, 65)).tolist()) for _ in range(max(1, reply.count("["))))
            for reply in part["reply"]
        ]
    return _elements_frame(texts)


def _elements_frame(texts: Mapping[tuple[Any, ...], Sequence[str]]) -> pl.DataFrame:
    schema = {"metric": pl.String, "value": pl.Float64, "completion": pl.String, "task": pl.String}
    frames = []
    for (task, run), replies in texts.items():
        found = scylla.extract(scylla.task(task), replies, Seed("study", NAME, task, run).rng(), examples=False)
        if len(found.elements) < ENOUGH:
            continue
        names = [f"{task}/{run}/{place}" for place in found.completion.tolist()]
        small = (found.elements <= 100).astype(float)
        frames.append(pl.DataFrame({"metric": "small", "value": small, "completion": names, "task": task}, schema=schema))
        lengths = np.array([sum(shape) if isinstance(shape, tuple) else shape for shape in found.shapes], float)
        clusters = [f"{task}/{run}/{place}" for place in found.shape_completion.tolist()]
        frames.append(pl.DataFrame({"metric": "length", "value": lengths, "completion": clusters, "task": task}, schema=schema))
        frames.append(
            pl.DataFrame({"metric": ["prompts"], "value": [float(len(found.elements))], "completion": [""], "task": [task]}, schema=schema)
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


# --- SCY-5


def _skill_frame(responses: pl.DataFrame) -> pl.DataFrame:
    rows = responses.filter((pl.col("kind") == "answer") & (pl.col("failed") == "") & pl.col("level").is_not_null())
    skill = rows.select(
        pl.lit("skill").alias("metric"),
        (pl.col("correct").cast(pl.Float64) - pl.col("chance")).alias("value"),
        "task",
        "level",
        "split",
        "seed",
        "example",
    )
    return _with_levels(skill)


def _permuted(skill: pl.DataFrame, seed: Seed) -> pl.DataFrame:
    rows = skill.filter(pl.col("metric") == "skill")
    if not len(rows):
        return skill
    tasks = rows.select("task", "level").unique(maintain_order=True)
    levels = seed.child("placebo", "SCY-5").rng().permutation(tasks["level"].to_numpy())
    relabelled = dict(zip(tasks["task"].to_list(), levels.tolist(), strict=True))
    return _with_levels(rows.with_columns(level=pl.col("task").replace_strict(relabelled, return_dtype=pl.Int64)))


def _with_levels(skill: pl.DataFrame) -> pl.DataFrame:
    full = (
        skill.group_by("level", maintain_order=True)
        .agg(pl.col("task").n_unique().alias("tasks"))
        .filter(pl.col("tasks") >= 3)
        .sort("level")
    )
    marks = full.select(pl.lit("levels").alias("metric"), pl.col("tasks").cast(pl.Float64).alias("value"), "level")
    return pl.concat([skill, marks], how="diagonal")
