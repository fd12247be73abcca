"""Fixtures for all tests: a home of its own, one torch thread, and no browser tests where there is no browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave browser tests out, and say so, where no Chromium is installed; continuous integration requires it."""
    if shutil.which("chromium"):
        return
    if os.environ.get("GENSCOPE_REQUIRE_BROWSER"):
        raise pytest.UsageError("Chromium is required here and is not installed")
    browser = [item for item in items if item.get_closest_marker("browser")]
    if browser:
        config.hook.pytest_deselected(items=browser)
        items[:] = [item for item in items if item not in browser]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A genscope home of the test's own, so that no test reads another's store or the user's."""
    folder = tmp_path / "genscope-home"
    monkeypatch.setenv("GENSCOPE_HOME", str(folder))
    return folder
