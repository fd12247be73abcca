"""What a profile says about where its ID questions came from."""

from __future__ import annotations

from pathlib import Path

import pytest

import genscope as gs

WRITES = """
def few(text):
    return '[3, 1, 2] [4, 5, 6, 7] [3, 1, 2]' if 'Write' in text else 'The answer is 1'
def many(text):
    return ' '.join(str([k, k + 1, k + 2, k + 5]) for k in range(60)) if 'Write' in text else 'The answer is 1'
"""


@pytest.mark.parametrize(("function", "id_source", "said"), [("few", "auto", True), ("few", "elements", False), ("many", "auto", False)])
def test_the_fall_back_to_elements_is_said_with_its_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, id_source: str, said: bool
) -> None:
    module = f"writes_{function}_{id_source}"
    (tmp_path / f"{module}.py").write_text(WRITES)
    monkeypatch.chdir(tmp_path)
    result = gs.profile(f"py:{module}:{function}", tasks=["find_minimum"], n=4, scale="smoke", id_source=id_source, out=tmp_path / "o")
    notes = " ".join(result.about["sections"]["scylla"]["notes"])
    wanted = "In 1 task(s) the model wrote fewer different usable examples than the 12 that a side takes"
    assert (wanted in notes) == said
    assert ("Usable examples it wrote: finding minimum 2" in notes) == said
    assert result.about["sections"]["scylla"]["facts"]["id_kinds"]["find_minimum/0"] == ("examples" if function == "many" else "elements")
