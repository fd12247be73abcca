"""Bad input and faults of a profile: each is one clear line, nothing asked is lost, and no traceback without --debug."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import genscope as gs
from genscope.cli import DEFECT, main
from genscope.core.errors import MissingError, ModelError, StoreError, TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.models.planted import PlantedSolver
from genscope.tasks import scylla
from tests.models.server import serving
from tests.models.tiny import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
FEW: dict[str, Any] = {"tasks": ["find_minimum"], "n": 4, "scale": "smoke", "id_source": "prior", "mode": "direct"}
WORDS = ["--tasks", "find_minimum", "--n", "4", "--scale", "smoke", "--id-source", "prior", "--mode", "direct"]


def cli(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0), capsys.readouterr().err


# --- models that are none


@pytest.mark.parametrize("rest", [b"", b"\x03\x00\x00\x00junk", b"\xff" * 200])
def test_a_gguf_file_that_is_cut_short_or_damaged(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + rest)
    with pytest.raises(ModelError, match=r"x\.gguf: cannot be converted \(.*download it again"):
        gs.profile(f"gguf:{tmp_path / 'x.gguf'}", **FEW)
    assert not list((tmp_path / "genscope-home" / "models").glob(".converting*"))


def test_a_folder_whose_files_do_not_belong_together(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    for number, change in enumerate(({"hidden_size": "big"}, {"model_type": "nosuch"}, {"num_attention_heads": 0}, {"hidden_size": 7})):
        (folder / "config.json").write_text(json.dumps({**config, **change, "seed": number}))
        with pytest.raises(ModelError, match="cannot be loaded"):
            gs.profile(f"hf:{folder}", **FEW)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="cannot be loaded .*tokenizer"):
        gs.profile(f"hf:{folder}", **FEW)


# --- missing extras


@pytest.mark.parametrize(
    ("model", "package", "extra"),
    [
        ("openai:m@http://127.0.0.1:9/v1", "openai", "llm"),
        ("hf:FOLDER", "transformers", "hf"),
        ("hf:FOLDER", "torch", "hf"),
        ("inspect:openai/m", "inspect_ai", "inspect"),
    ],
)
def test_a_missing_extra_names_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, package: str, extra: str
) -> None:
    folder = tiny_model(tmp_path / "m")
    monkeypatch.delitem(sys.modules, "genscope.bridges.inspect", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingError):
        gs.profile(model.replace("FOLDER", str(folder)), **FEW)
    code, said = cli(capsys, "profile", model.replace("FOLDER", str(folder)), *WORDS, "--yes")
    assert code == 3
    assert f'pip install "genscope[{extra}]"' in said
    assert "Traceback" not in said


# --- more than there are, and overlaps


def test_more_questions_than_there_are(tmp_path: Path) -> None:
    (tmp_path / "lists.txt").write_text("1 2\n2 1\n")
    with pytest.raises(
        TaskError, match=r"find_minimum: 24 different ID instances were asked for, and there are 4 \(elements, 2 distinct ID elements\)"
    ):
        gs.profile("demo", **{**FEW, "n": 16, "id_source": str(tmp_path / "lists.txt")})


def test_one_task_that_cannot_be_asked_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "lists.txt").write_text("10 20 30 40 50 60\n" * 3)
    how = {**FEW, "tasks": ["sort_numbers", "three_sum_multiple_ten"], "id_source": str(tmp_path / "lists.txt")}
    result = gs.profile("demo", **how, out=tmp_path / "o")
    assert [one["task"] for one in result.about["sections"]["scylla"]["facts"]["skipped"]] == ["three_sum_multiple_ten"]
    assert "three_sum_multiple_ten (seed 0) was not asked" in result.page.read_text()


def test_a_certificate_sees_familiar_elements_among_the_new() -> None:
    task = scylla.task("sort_numbers")
    one = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("overlap"))
    assert one.certificate(8).ok
    block = one._block("ood", 0)
    familiar = min(one.id_elements)
    block[3] = replace(block[3], input={"l": [familiar, *block[3].input["l"][1:]]})
    assert one.certificate(8).shared_elements == 1
    assert not one.certificate(8).ok
    block[3] = one.id(2, 3)[0]
    assert one.certificate(8).shared_examples == 1


# --- the disk


def test_a_result_folder_that_cannot_be_one_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    for out in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with serving() as server, pytest.raises(UsageError, match="taken is a file, not a folder"):
            gs.profile(f"openai:normal@{server.url}", **FEW, out=out)
        assert server.seen == []


def test_a_full_disk_is_one_line_and_what_was_answered_is_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def full_after_five(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")

    with serving() as server:
        words = ["profile", f"openai:normal@{server.url}", *WORDS, "--concurrency", "1", "--out", str(tmp_path / "o")]
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full_after_five)
            code, said = cli(capsys, *words)
        assert code == StoreError.exit_code
        assert "no space left on the disk" in said
        assert "Traceback" not in said
        before = len(server.seen)
        assert cli(capsys, *words)[0] == 0
        assert len(server.seen) - before == 8 - 5


# --- what is nobody's fault but ours


def test_a_defect_is_one_line_and_a_traceback_only_with_debug(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: PlantedSolver, *_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(PlantedSolver, "generate", broken)
    words = ["profile", "demo", *WORDS, "--out", str(tmp_path / "o")]
    code, said = cli(capsys, *words)
    assert code == DEFECT
    assert "ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said
    assert "Traceback" in cli(capsys, *words, "--debug")[1]


@pytest.mark.parametrize(
    ("words", "command"), [(["profile"], "profile "), (["study", "run"], "study run "), (["profil"], ""), (["compare", "demo"], "compare ")]
)
def test_a_wrong_command_line_points_to_examples(capsys: pytest.CaptureFixture[str], words: list[str], command: str) -> None:
    code, said = cli(capsys, *words)
    assert code == 2
    assert f"Examples: genscope {command}--help" in said


def test_two_folders_are_only_read(tmp_path: Path) -> None:
    for name in "ab":
        gs.profile("demo", **FEW, out=tmp_path / name)
    with pytest.raises(UsageError, match="two result folders are only read"):
        gs.compare(tmp_path / "a", tmp_path / "b", dry_run=True)
