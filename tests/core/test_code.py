"""Code behind a number: what is found, and that an edit below changes the hash."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genscope.core import code


def _forget() -> None:
    for held in (code.source, code._imports, code._file_hash):
        held.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "planted_code"
    root.mkdir()
    files = {
        "__init__": "",
        "section": "def run():\n    from planted_code.measure import mean\n    return mean\n",
        "measure": "from planted_code import below\nimport json\nmean = below\n",
        "below": "VALUE = 1\n",
        "beside": "VALUE = 2\n",
    }
    for name, text in files.items():
        (root / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    _forget()
    yield root
    _forget()
    sys.modules.pop("planted_code", None)


def test_imports_are_followed_inside_the_named_packages_only(package: Path) -> None:
    found = code.modules_behind("planted_code.section", ["planted_code"])
    assert set(found) == {"planted_code.section", "planted_code.measure", "planted_code", "planted_code.below"}
    assert code.modules_behind("planted_code.section", ["planted_code.measure"]) == ["planted_code.section", "planted_code.measure"]


def test_an_edit_below_changes_the_hash_and_one_beside_does_not(package: Path) -> None:
    first = code.source_hash("planted_code.section", ["planted_code"])
    (package / "beside.py").write_text("VALUE = 3\n")
    _forget()
    assert code.source_hash("planted_code.section", ["planted_code"]) == first
    (package / "below.py").write_text("VALUE = 4\n")
    _forget()
    assert str(code.source("planted_code.below")) == str(package / "below.py")
    assert code.source_hash("planted_code.section", ["planted_code"]) != first
