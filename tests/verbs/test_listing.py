"""`genscope list` and `doctor` show what is there, and forget nothing."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from genscope.studies import PAPERS
from genscope.tasks.images import MNIST
from genscope.verbs.doctor import EXTRAS
from genscope.verbs.listing import DATA, listing


def test_every_study_is_listed() -> None:
    (table,) = listing("studies")
    assert {row["name"] for row in table.rows} == set(PAPERS)


def test_every_measure_is_listed_with_what_it_is() -> None:
    (table,) = listing("measures")
    by_name = {row["name"]: row for row in table.rows}
    for name, row in by_name.items():
        assert row["what"]
        assert row["functions"]
        importlib.import_module(name)
    assert "score_divergence" in by_name["genscope.measures.likelihood"]["functions"]


def test_listing_measures_imports_no_torch() -> None:
    code = "import sys; from genscope.verbs.listing import listing; listing('measures'); listing('data'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_data_sets_are_named_with_licence_and_hash_and_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def row() -> dict[str, object]:
        (table,) = listing("data")
        return {row["name"]: row for row in table.rows}[MNIST]

    monkeypatch.delenv("GENSCOPE_DATA", raising=False)
    assert row()["here"] == "no"
    assert row()["licence"] == "CC BY-SA 3.0"
    assert row()["sha256"] == DATA[MNIST].files
    monkeypatch.setenv("GENSCOPE_DATA", str(tmp_path))
    (tmp_path / MNIST).mkdir()
    for name in DATA[MNIST].files:
        (tmp_path / MNIST / name).write_bytes(b"other")
    assert str(row()["here"]).startswith("yes, but not the same t10k")
    monkeypatch.setitem(DATA[MNIST].files, name, hashlib.sha256(b"other").hexdigest())  # pyright: ignore[reportArgumentType]
    assert name not in str(row()["here"])


def test_doctor_knows_every_extra_of_the_package() -> None:
    import tomllib

    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"dev", "all"}
