"""Claims on synthetic records: satisfied, violated, under-powered; hashes; preconditions; Holm; placebo rates."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from genscope.core.claims import Claim, Clause, Precondition, judge, judge_all
from genscope.core.errors import UsageError
from genscope.core.seeds import Seed

SEED = Seed("test", "claims")


def claim(*clauses: Clause, minimum_n: int = 1, preconditions: tuple[Precondition, ...] = ()) -> Claim:
    return Claim(id="T-1", kind="phenomenon", sentence="test", clauses=clauses, minimum_n=minimum_n, preconditions=preconditions)


def frame(values: object, metric: str = "m", **columns: object) -> pl.DataFrame:
    return pl.DataFrame({"metric": metric, "value": np.asarray(values, float), **columns})


def normal(mean: float, n: int, name: str) -> np.ndarray:
    return SEED.child(name).rng().normal(mean, 1.0, n)


ABOVE = Clause(metric="m", relation=">", margin=0.0, test="bootstrap_t")


@pytest.mark.parametrize(
    ("mean", "n", "verdict"),
    [(1.0, 200, "reproduced"), (-1.0, 200, "not reproduced"), (0.0, 20, "inconclusive")],
)
def test_the_three_verdicts(mean: float, n: int, verdict: str) -> None:
    found = judge(claim(ABOVE), frame(normal(mean, n, "three")), SEED)
    assert found.verdict == verdict
    if verdict == "inconclusive":
        detectable = found.clauses[0].smallest_detectable
        assert detectable is not None
        assert detectable == pytest.approx(2.8 / np.sqrt(20), rel=0.4)


@pytest.mark.parametrize(
    ("clause", "value", "verdict"),
    [
        (Clause(metric="m", relation="<", margin=0.5, test="wilson"), 0.2, "reproduced"),
        (Clause(metric="m", relation="<", margin=0.5, test="wilson"), 0.8, "not reproduced"),
        (Clause(metric="m", relation="<", margin=0.5, test="wilson"), 0.5, "inconclusive"),
        (Clause(metric="m", relation=">", margin=0.5, test="clopper_pearson"), 0.8, "reproduced"),
        (Clause(metric="m", relation=">", margin=0.5, at_least=0.9, test="wilson"), 0.8, "not reproduced"),
        (Clause(metric="m", relation=">", margin=0.5, at_least=0.82, test="wilson"), 0.8, "inconclusive"),
        (Clause(metric="m", relation="within", margin=(0.1, 0.4), test="wilson"), 0.25, "reproduced"),
        (Clause(metric="m", relation="within", margin=(0.1, 0.4), test="wilson"), 0.8, "not reproduced"),
        (Clause(metric="m", relation="within", margin=(0.1, 0.4), test="wilson"), 0.4, "inconclusive"),
        (Clause(metric="m", relation="not worse than", margin=-0.5, test="wilson"), 0.8, "reproduced"),
        (Clause(metric="m", relation="not worse than", margin=-0.5, test="wilson"), 0.2, "not reproduced"),
    ],
)
def test_relations_on_a_share_of_200(clause: Clause, value: float, verdict: str) -> None:
    ones = round(200 * value)
    assert judge(claim(clause), frame([1.0] * ones + [0.0] * (200 - ones)), SEED).verdict == verdict


def test_paired_contrast_pairs_by_the_named_columns() -> None:
    """Seeds differ by far more than the arms: only pairing shows the effect of 1 (a minus b)."""
    seeds = np.arange(5)
    base, noise = 10.0 * seeds, normal(0, 5, "paired") * 0.1
    records = pl.concat([frame(base + 1 + noise, arm="a", seed=seeds), frame(base, arm="b", seed=seeds[::1])])
    paired = Clause(metric="m", relation=">", margin=0.5, contrast=("arm", "a", "b"), pair=("seed",), test="paired_t")
    welch = Clause(metric="m", relation=">", margin=0.5, contrast=("arm", "a", "b"), test="welch_t")
    assert judge(claim(paired), records, SEED).verdict == "reproduced"
    assert judge(claim(welch), records, SEED).verdict == "inconclusive"
    swapped = replace(paired, contrast=("arm", "b", "a"))
    assert judge(claim(swapped), records, SEED).verdict == "not reproduced"


RANK = Clause(metric="m", relation="rank", margin=0.0, contrast=("level", "falls", ""), test="spearman_permutation", cluster=("task",))


@pytest.mark.parametrize(("slope", "tasks", "verdict"), [(-0.5, 15, "reproduced"), (0.5, 15, "not reproduced"), (-0.5, 2, "inconclusive")])
def test_rank(slope: float, tasks: int, verdict: str) -> None:
    task = np.repeat(np.arange(tasks), 40)
    level = task % 5
    records = frame(slope * level + normal(0, len(task), "rank"), level=level, task=task)
    assert judge(claim(RANK), records, SEED).verdict == verdict


def test_a_permuted_label_is_reproduced_no_more_often_than_alpha() -> None:
    """A placebo over 100 permutations: rejections stay near 5 % (at most 12, binomial p of more < .005)."""
    task = np.repeat(np.arange(12), 20)
    values = -0.5 * (task % 4) + normal(0, len(task), "placebo")
    found = 0
    fast = claim(RANK)
    for number in range(100):
        labels = SEED.child("perm", number).rng().permutation(np.arange(12) % 4)
        records = frame(values, level=labels[task], task=task)
        from genscope.core.stats import spearman_permutation

        rho, p = spearman_permutation(
            records["level"].to_numpy(), records["value"].to_numpy(), SEED.child(number).rng(), clusters=task.tolist(), draws=300
        )
        found += rho < 0 and p < 0.05
    assert fast.clauses[0].alpha == 0.05
    assert found <= 12


def test_too_few_rows_and_unmet_preconditions_are_inconclusive_with_the_numbers() -> None:
    strong = frame(normal(3, 50, "strong"))
    few = judge(claim(ABOVE, minimum_n=60), strong, SEED)
    assert (few.verdict, "60 are needed" in few.reason) == ("inconclusive", True)
    need = Precondition(metric="acc", relation=">=", value=0.99, sentence="it trains")
    unmet = judge(claim(ABOVE, preconditions=(need,)), pl.concat([strong, frame([0.9], "acc")]), SEED)
    assert (unmet.verdict, "it trains (found 0.9)" in unmet.reason) == ("inconclusive", True)
    met = judge(claim(ABOVE, preconditions=(need,)), pl.concat([strong, frame([0.995], "acc")]), SEED)
    assert met.verdict == "reproduced"
    absent = judge(claim(ABOVE, preconditions=(need,)), strong, SEED)
    assert absent.verdict == "inconclusive"


def test_all_alike_is_judged_by_value_and_shows_no_interval() -> None:
    found = judge(claim(ABOVE), frame([1.0] * 5), SEED)
    assert found.verdict == "reproduced"
    assert found.plain()["ci"] is None
    assert judge(claim(ABOVE), frame([1.0]), SEED).verdict == "inconclusive"


def test_one_refuted_clause_refutes_and_one_open_clause_opens() -> None:
    good, bad, unsure = (frame(normal(mean, n, name), metric=name) for mean, n, name in ((2, 100, "g"), (-2, 100, "b"), (0, 30, "u")))
    clauses = {name: replace(ABOVE, metric=name) for name in "gbu"}
    records = pl.concat([good, bad, unsure])
    assert judge(claim(clauses["g"], clauses["b"], clauses["u"]), records, SEED).verdict == "not reproduced"
    both = judge(claim(clauses["g"], clauses["u"]), records, SEED)
    assert both.verdict == "inconclusive"
    assert both.plain()["effect"] == both.clauses[1].estimate.effect


def test_holm_runs_over_all_claims_judged_together() -> None:
    task = np.repeat(np.arange(10), 30)
    records = frame(-0.35 * (task % 5) + normal(0, 300, "holm"), level=task % 5, task=task)
    alone = judge(claim(RANK), records, SEED).clauses[0]
    many = [replace(claim(RANK), id=f"T-{number}") for number in range(4)]
    together = judge_all(many, records, SEED)[0].clauses[0]
    assert alone.adjusted_p == alone.estimate.p
    assert together.adjusted_p is not None
    assert together.estimate.p is not None
    assert together.adjusted_p >= 3 * together.estimate.p * 0.99


def test_the_hash_is_stable_across_processes_and_changes_with_every_field() -> None:
    one = claim(ABOVE)
    code = (
        "from genscope.core.claims import *\n"
        "c = Clause(metric='m', relation='>', margin=0.0, test='bootstrap_t')\n"
        "print(Claim(id='T-1', kind='phenomenon', sentence='test', clauses=(c,), minimum_n=1).hash)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == one.hash
    edits = [
        replace(one, sentence="tests"), replace(one, minimum_n=2), replace(one, kind="instrument"), replace(one, clauses=(replace(ABOVE, margin=0.1),)),
        replace(one, clauses=(replace(ABOVE, alpha=0.1),)), replace(one, clauses=(replace(ABOVE, at_least=0.1),)), replace(one, clauses=(replace(ABOVE, select={"a": 1}),)),
        replace(one, preconditions=(Precondition(metric="x", relation=">=", value=1, sentence="s"),)),
    ]  # fmt: skip
    assert len({one.hash, *(edit.hash for edit in edits)}) == len(edits) + 1


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="unknown test 'bootstrap_tt'. Did you mean bootstrap_t"):
        judge(claim(replace(ABOVE, test="bootstrap_tt")), frame([1.0, 2.0]), SEED)
    with pytest.raises(UsageError, match="no column seed"):
        judge(claim(replace(ABOVE, cluster=("seed",))), frame([1.0, 2.0]), SEED)
    with pytest.raises(UsageError, match="relation must be one of"):
        Clause(metric="m", relation=">>", margin=0.0, test="wilson")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="pair \\(low, high\\)"):
        Clause(metric="m", relation="within", margin=0.5, test="wilson")
    with pytest.raises(UsageError, match="neither 0 nor 1"):
        judge(claim(replace(ABOVE, test="wilson")), frame([0.5, 1.0]), SEED)
