"""What is committed in results/: no placebo is reproduced, every claim is the one in the code, and the board is generated from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from genscope.engine import board
from genscope.studies import study

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "results").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_no_placebo_is_reproduced(path: Path) -> None:
    held = json.loads(path.read_text("utf-8"))
    phenomena = [claim for claim in held["claims"] if claim["kind"] == "phenomenon"]
    assert phenomena
    for claim in phenomena:
        assert claim["placebo"]["verdict"] in ("not reproduced", "inconclusive", "void"), claim["id"]
        assert claim["verdict"] != "reproduced" or claim["placebo"]["verdict"] != "void"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_published_claims_are_those_of_the_code(path: Path) -> None:
    held = json.loads(path.read_text("utf-8"))
    one = study(held["study"])
    elsewhere = {name for claims in one.judged_elsewhere().values() for name in claims}
    expected = {claim.id: claim.hash for claim in one.claims if (claim.id in elsewhere) == ("model" in held)}
    assert {claim["id"]: claim["hash"] for claim in held["claims"]} == expected
    records = path.with_name(held["records"]["file"]).read_bytes()
    assert hashlib.sha256(records).hexdigest() == held["records"]["sha256"]


def test_the_board_is_generated_from_the_results() -> None:
    assert FILES
    assert board.table(ROOT / "results") in (ROOT / "docs" / "board.md").read_text("utf-8")
    assert board.summary(ROOT / "results") in (ROOT / "README.md").read_text("utf-8")
