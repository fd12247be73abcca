"""The study moe-pathways on planted runs: what must be reproduced is, what must not is not; and the kernel part for real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from genscope.core.records import records_frame
from genscope.engine.study import Cell
from genscope.studies import moe_pathways as study


def planted(falls: bool, late: bool) -> dict[str, np.ndarray]:
    """A run of four domains: all fit at step 100; the rules generalize at 400, 800 and 1,600, or at once; lists shrink to one expert for the rules alone, or for nobody."""
    rng = np.random.default_rng(0)
    steps = np.arange(50, 5_001, 50)
    checkpoints = np.unique(np.geomspace(20, 5_000, 24).round().astype(int))
    solved = np.array([400, 800, 1_600, 10**9]) if late else np.array([100, 100, 100, 10**9])

    def at(times: np.ndarray, fitted: bool) -> np.ndarray:
        since = np.full(4, 100) if fitted else solved
        return np.where(times[:, None] >= since, 1.0, 0.1)

    loss = np.where(checkpoints[:, None, None] >= 100, 0.01, 2.0) * np.ones((1, 4, 128))
    loss[:, :, 100:] += 1.0  # never memorized
    g = rng.dirichlet(np.full(8, 0.7), (4, 128, 3))
    common = rng.dirichlet(np.full(8, 0.7), (4, 1, 3))
    routing = np.zeros((len(checkpoints), 4, 128, 3, 8))
    for c, t in enumerate(checkpoints):
        share = np.clip(np.log(t / 100) / np.log(50), 0, 1) * 0.9
        for domain in range(4):
            own = share if falls and domain < 3 else 0.0
            routing[c, domain] = (1 - own) * g[domain] + own * common[domain]
    return {
        "steps": steps, "train": at(steps, True), "test": at(steps, False), "checkpoints": checkpoints, "loss": loss, "routing": routing, "anchors": rng.standard_normal((len(checkpoints), 3, 8, 4)),
        "train_loss": loss.mean(2), "test_accuracy": at(checkpoints, False),
    }  # fmt: skip


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(arm: str, falls: bool = True, late: bool = True) -> dict[tuple[str, str], float]:
        monkeypatch.setattr(study, "_trained", lambda *_: planted(falls, late))
        cell = Cell(part="grokking", condition="run", seed=0, arms=(arm,), settings={"scale": "standard", "arm": arm})
        found: Any = list(study.MoEPathways().run(cell, None))  # pyright: ignore[reportArgumentType]
        frame = records_frame(found)
        return {(row["metric"], row["condition"]): row["value"] for row in frame.to_dicts()}

    return made


def test_crossings_delay_and_asynchrony(values: Any) -> None:
    late = values("claim")
    assert late["first_fitted", "add"] == 100
    assert [late["first_solved", name] for name in ("add", "sub", "sq")] == [400, 800, 1_600]
    assert late["ln_delay", "run"] == pytest.approx(np.log(16))
    assert late["ln_asynchrony", "run"] == pytest.approx(np.log(4))
    assert late["domains_generalized", "run"] == 3
    assert late["domains_fitted", "run"] == 4
    assert late["memorized_rows", "add"] == 100
    at_once = values("claim", late=False)
    assert at_once["ln_delay", "run"] == 0
    assert at_once["ln_asynchrony", "run"] == pytest.approx(0.0)
    assert values("random labels")["ln_delay", "run"] == 0


def test_a_checkpoint_without_smoothness_is_left_out_and_loses_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    held = planted(True, True)
    held["anchors"][5] = 0.0  # no cosine, no smoothness
    monkeypatch.setattr(study, "_trained", lambda *_: held)
    cell = Cell(part="grokking", condition="run", seed=0, arms=("claim",), settings={"scale": "standard", "arm": "claim"})
    found: Any = list(study.MoEPathways().run(cell, None))  # pyright: ignore[reportArgumentType]
    assert all(one.value is None or np.isfinite(one.value) for one in found)
    steps = {name: {one.step for one in found if one.metric == f"{name}_at"} for name in ("distance", "smoothness")}
    assert steps["distance"] - steps["smoothness"] == {int(held["checkpoints"][5])}
    assert any(one.metric == "spearman_with_accuracy" and one.factors == {"by": "smoothness"} for one in found)


def test_a_decline_of_the_rules_alone_is_seen_and_its_absence_too(values: Any) -> None:
    falling, flat = values("claim"), values("claim", falls=False)
    assert falling["distance_slope", "run"] < -0.03
    assert falling["slope_less_control", "run"] < -0.03
    assert abs(flat["distance_slope", "run"]) < 0.01
    assert abs(flat["slope_less_control", "run"]) < 0.01
    control = values("random labels")
    assert abs(control["distance_slope", "run"]) < 0.01
    assert abs(control["slope_less_control", "run"]) < 0.02


def test_distance_that_follows_accuracy_beyond_the_trend_is_seen_and_rotation_breaks_it() -> None:
    rng = np.random.default_rng(0)
    held = {"checkpoints": np.unique(np.geomspace(20, 5_000, 24).round().astype(int))}
    log_t = np.log(held["checkpoints"])
    domains: list[Any] = []
    for name in ("add", "sub", "sq"):
        accuracy = rng.random(len(log_t))
        series = {"test_accuracy": accuracy, "train_loss": rng.random(len(log_t))}
        domains.append(
            study._Domain(name=name, fitted=1, solved=2, member=np.arange(20), since=0, distance=-accuracy + 0.1 * log_t, series=series)
        )
    assert study._partial(held, domains, None) < -0.9
    rotated = [study._partial(held, domains, shift) for shift in range(20)]
    assert abs(np.mean(rotated)) < 0.2
    trend: list[Any] = [study._Domain(name=one.name, fitted=1, solved=2, member=one.member, since=0, distance=-log_t + 0.01 * rng.random(len(log_t)), series={**one.series, "test_accuracy": log_t + 0.01 * rng.random(len(log_t))}) for one in domains]  # fmt: skip
    assert abs(study._partial(held, trend, None)) < 0.5


def test_distance_and_effective_dimension_go_together_over_frozen_routers() -> None:
    for permuted in (False, True):
        found = []
        for seed in range(3):
            cell = Cell(part="kernel", condition="routers", seed=seed, settings={"scale": "standard", "permuted": permuted})
            found.append({one.metric: one.value for one in study._kernel(cell, study.Size(routers=60))}["distance_and_dimension"])
        assert (np.mean(found) > 0.25) is not permuted
