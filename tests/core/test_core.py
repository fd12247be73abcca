"""Seeds, canonical forms, store, text and records."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genscope as gs
from genscope.core.canonical import canonical, digest
from genscope.core.card import Card
from genscope.core.errors import StoreError, UsageError
from genscope.core.example import Example
from genscope.core.records import Record, records_frame
from genscope.core.response import Response, responses_frame
from genscope.core.seeds import Seed
from genscope.core.store import Store, home, write_whole
from genscope.core.text import REPLY_CHARACTERS, clean, shorten, without_keys


def test_seeds_are_paths_of_names() -> None:
    assert Seed("a", 1).child("b") == Seed("a", 1, "b")
    assert Seed("a", 1).integer() != Seed("a", "1").integer()
    assert Seed("ab").integer() != Seed("a", "b").integer()
    assert Seed("x").rng().integers(1 << 60) == Seed("x").rng().integers(1 << 60)
    assert 0 <= Seed("x").integer(8) < 256
    draws = [Seed("family", member).rng().normal(size=200) for member in range(40)]
    assert np.abs(np.corrcoef(draws) - np.eye(40)).max() < 0.35


def test_a_seed_is_the_same_in_every_process() -> None:
    code = "from genscope.core.seeds import Seed; print(Seed('p', 3).integer())"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "3"}
    ).stdout
    assert int(printed) == Seed("p", 3).integer()


def test_example_ids_depend_on_the_question_alone() -> None:
    one = Example(task="t", input={"l": [1, 2], "k": 3}, target=1, split="id", index=4)
    assert one.id == Example(task="t", input={"k": 3, "l": [1, 2]}, target=2, split="ood", index=9).id
    assert one.id != Example(task="t", input={"l": [2, 1], "k": 3}, target=1).id
    assert one.id != Example(task="u", input={"l": [1, 2], "k": 3}, target=1).id


def test_canonical_json_refuses_nan() -> None:
    assert canonical({"b": 1, "a": [True, None]}) == '{"a":[true,null],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(math.nan)
    assert digest("\ud800") == digest("\ud800")


def test_cards_refuse_other_words() -> None:
    with pytest.raises(UsageError, match="shift must be one of covariate, label, full, double, assumed; got 'big'"):
        Card(motivation="practical", type="robustness", shift="big", source="fully generated", locus="train-test")  # pyright: ignore[reportArgumentType]


def test_store_gives_back_what_was_put(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    key = store.key("k", {"a": 1})
    assert store.get(key) is None
    store.put(key, {"x": [1, "é\ud800"]})
    assert store.get(key) == {"x": [1, "é\ud800"]}
    assert store.size()[0] == 1
    assert key != store.key("k", {"a": 2}) != store.key("other", {"a": 2})


@pytest.mark.parametrize("damage", [b"", b"{", b'{"key": "x"}', b"\xff\xfe", None])
def test_a_damaged_value_counts_as_missing_and_is_reported(tmp_path: Path, damage: bytes | None) -> None:
    store = Store.open(tmp_path)
    key = store.key("k", 1)
    store.put(key, "value")
    path = store.path(key)
    path.write_bytes(path.read_bytes().replace(b"value", b"valve") if damage is None else damage)
    assert store.get(key) is None
    assert store.damaged == [key]
    store.put(key, "value")
    assert store.get(key) == "value"


def test_no_space_is_a_clear_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left on the disk. Free some space"):
        write_whole(tmp_path / "a" / "b.json", b"x")
    assert list((tmp_path / "a").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        write_whole(tmp_path / "file" / "b.json", b"x")


def test_many_processes_may_share_a_store(tmp_path: Path) -> None:
    code = (
        "import sys; from genscope.core.store import Store; from pathlib import Path\n"
        "s = Store.open(Path(sys.argv[1]))\n"
        "for i in range(60):\n"
        "    k = s.key('k', i % 20); v = s.get(k); assert v in (None, [i % 20] * 500), v; s.put(k, [i % 20] * 500)\n"
        "assert not s.damaged"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert Store.open(tmp_path).size()[0] == 20
    assert not list(tmp_path.rglob("*.tmp"))


def test_prune_removes_old_values_and_left_over_files(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for name in ("old", "new"):
        store.put(store.key("k", name), name)
    old = store.path(store.key("k", "old"))
    os.utime(old, (0, 0))
    left = old.parent / ".x.tmp"
    left.write_text("x")
    os.utime(left, (0, 0))
    assert store.prune(1)[0] == 2
    assert store.get(store.key("k", "new")) == "new"


def test_home_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GENSCOPE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home() == tmp_path / "genscope"


def test_hostile_text_is_made_harmless() -> None:
    assert clean("\x1b]0;title\x07a\x1b[2Jb\x9b31mc\x00\u202ed\ud800") == "abcd\ufffd"
    assert clean("a\tb\nc") == "a\tb\nc"
    assert len(clean("x" * 10**6)) == REPLY_CHARACTERS
    assert shorten("a\n b  c" + "x" * 500, 10) == "a b cxxxx…"


def test_keys_are_blotted_out() -> None:
    assert "abc" not in without_keys("Incorrect key: abc-123 given", "abc-123")
    assert without_keys("Authorization: Bearer eyJhbGciOi.x") == "Authorization: [key]"
    assert without_keys("bad sk-proj1234567890") == "bad [key]"
    assert without_keys("api key_9f8e7d6c5b4a refused, token abcd1234efgh too") == "api [key] refused, [key] too"
    assert (
        without_keys("Incorrect API key provided. The token consumption is high")
        == "Incorrect API key provided. The token consumption is high"
    )


def test_frames_have_fixed_schemas_even_when_empty() -> None:
    assert responses_frame([]).columns == list(Response.__annotations__)
    frame = records_frame([Record(source="s", metric="m", value=math.nan, unit="fraction", n=3, low=math.inf, factors={"b": 1, "a": 2})])
    assert frame["value"].to_list() == [None]
    assert frame["low"].to_list() == [None]
    assert json.loads(frame["factors"][0]) == {"a": 2, "b": 1}
    assert records_frame([]).schema == frame.schema


def test_the_top_offers_its_names_lazily() -> None:
    assert set(gs.__all__) <= set(dir(gs))
    with pytest.raises(AttributeError, match="no attribute 'profiles'"):
        _ = gs.profiles  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("module", ["genscope", "genscope.cli", "genscope.verbs.profile", "genscope.models.names", "genscope.tasks.scylla"])
def test_importing_loads_no_torch(module: str) -> None:
    code = f"import {module}, sys; heavy = [m for m in ('torch', 'transformers', 'altair', 'inspect_ai', 'openai') if m in sys.modules]; sys.exit(str(heavy) if heavy else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
