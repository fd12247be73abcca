"""A profile is ranked among the published models only where it was asked as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import genscope as gs
from genscope.models.planted import PlantedSolver
from genscope.sections.profile.scylla_published import other_protocol
from genscope.tasks import scylla

SAME: dict[str, Any] = {"mode": "cot", "n": 256, "universe": "paper", "tasks": list(scylla.ANCHORS), "probe": {"completions": 32}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"universe": "code", "tasks": list(scylla.NAMES)}, ""),
        ({"mode": "direct"}, "answers were direct"),
        ({"n": 255}, "255 + 255 questions a task"),
        ({"universe": "matched"}, "digits of the familiar ones"),
        ({"tasks": list(scylla.ANCHORS[1:])}, "1 of the 17 tasks left out"),
        ({"probe": None}, "was not asked for"),
    ],
)
def test_every_difference_of_protocol_is_said(change: dict[str, Any], said: str) -> None:
    found = other_protocol({**SAME, **change})
    assert len(found) == bool(said)
    assert said in " ".join(found)


def test_another_protocol_is_drawn_apart_and_not_ranked(tmp_path: Path) -> None:
    page = gs.profile("demo", n=4, scale="smoke", mode="direct", out=tmp_path / "o").page.read_text()
    assert (
        "not ranked: answers were direct, not a chain of thought; 4 + 4 questions a task, not 256 + 256; 12 of the 17 tasks left out."
        in page
    )
    assert "(this run)" not in page
    assert '"strokeDash":[5,4]' in page


@pytest.mark.slow
def test_the_same_protocol_is_ranked(tmp_path: Path) -> None:
    page = gs.profile(PlantedSolver(), tasks=scylla.ANCHORS, n=256, scale="smoke", mode="cot", out=tmp_path / "o").page.read_text()
    assert "measured by the same protocol" in page
    assert "demo (this run)" in page
    assert '"strokeDash":[1,0]' in page


def test_accuracy_above_chance_and_the_fit_error_stand_on_the_page(tmp_path: Path) -> None:
    result = gs.profile(
        "demo", n=4, scale="smoke", tasks=["find_minimum", "three_sum", "longest_common_subarray"], mode="direct", out=tmp_path / "o"
    )
    page = result.page.read_text()
    assert "Above chance: accuracies corrected for guessing" in page
    assert "(fit error " in page
