"""Verbs end to end: the planted valley is recovered, runs resume byte for byte, own questions, comparisons, and bad input."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import genscope as gs
from genscope.cli import main
from genscope.core.errors import DataError, EndpointError, GenscopeError, IncompleteError, TaskError, UsageError
from genscope.measures.generalization_gap import Counts, TaskOutcome, level_scores
from genscope.models.planted import P_ID, P_OOD, PlantedSolver
from genscope.sections.profile.scylla_view import Numbers
from genscope.tasks import scylla
from genscope.tasks.scylla.published import GENERALIZATION_SCORES, QWEN15_ACCURACY
from tests.models.server import serving
from tests.models.tiny import tiny_model

Result = gs.Result
FEW: dict[str, Any] = {"tasks": ["find_minimum", "two_sum"], "n": 4, "scale": "smoke"}


def numbers(result: Result) -> Numbers:
    return Numbers(result.records)


@pytest.mark.slow
def test_scy_1_a_planted_valley_is_recovered_through_text(tmp_path: Path) -> None:
    result = gs.profile(PlantedSolver(), tasks=scylla.ANCHORS, n=256, mode="cot", with_=["scylla:unparsed=exclude"], out=tmp_path / "o")
    found = numbers(result)
    for level, (p_id, p_ood) in enumerate(zip(P_ID, P_OOD, strict=True)):
        assert found.value("level_score", level) == pytest.approx(p_ood - max(0.0, p_id - p_ood), abs=0.10)
    assert found.critical == 2
    assert found.value("level_p_critical", 2) >= 0.95
    unparsed = sum(found.value("level_unparsed", level, split) for level in range(5) for split in ("id", "ood"))
    assert unparsed / (17 * 512) == pytest.approx(0.05, abs=0.01)


def test_all_unparsable_gives_zero_and_a_warning(tmp_path: Path) -> None:
    result = gs.profile(PlantedSolver(unparsable=1.0), **FEW, with_=["scylla:unparsed=exclude"], out=tmp_path / "o")
    assert numbers(result).value("overall_accuracy", split="id") == 0
    assert "No reply could be read as an answer" in result.page.read_text()


def test_scores_agree_with_the_published_ones_on_qwen15() -> None:
    """Figure 5 to Table 2 by gap-of-means: S within 0.06 at every level (Figure 5 is rounded and Table 2 averages tasks first)."""
    table = {one.model: one.scores for one in GENERALIZATION_SCORES}
    far = 0
    for model, levels in QWEN15_ACCURACY.items():
        outcomes = [
            TaskOutcome(
                task=str(k),
                level=k,
                id=Counts(right=round(1e4 * a), wrong=10_000 - round(1e4 * a)),
                ood=Counts(right=round(1e4 * b), wrong=10_000 - round(1e4 * b)),
            )
            for k, (a, b) in enumerate(levels)
        ]
        ours = level_scores(outcomes, gs.Seed("q"), draws=10).score
        far += sum(abs(mine - theirs) > 0.06 for mine, theirs in zip(ours, table[model], strict=True))
    assert far <= 3


def test_the_same_run_twice_computes_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        result = gs.profile("demo", **FEW, out=tmp_path / name)
        pages.append(result.page.read_bytes())
    assert pages[0] == pages[1]
    assert json.loads((tmp_path / "b" / "run.json").read_text())["blocks_computed"] == 0
    assert gs.read_result(tmp_path / "b").about == gs.read_result(tmp_path / "a").about


def test_a_larger_n_or_another_task_adds_blocks_and_recomputes_none(tmp_path: Path) -> None:
    def computed(**changes: Any) -> int:
        gs.profile("demo", **{**FEW, **changes}, out=tmp_path / "o")
        return json.loads((tmp_path / "o" / "run.json").read_text())["blocks_computed"]

    assert computed() == 2 + 4 + 4  # probes, first and second stage
    assert computed(n=16) == 0
    assert computed(n=20) == 8
    assert computed(tasks=["two_sum", "three_sum", "find_minimum"]) == 5


def test_a_stored_profile_of_a_local_model_imports_no_torch(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    gs.profile(f"hf:{folder}", tasks=["find_minimum"], n=4, scale="smoke", id_source="prior", out=tmp_path / "a")
    code = (
        "import sys, genscope as gs\n"
        f"gs.profile('hf:{folder}', tasks=['find_minimum'], n=4, scale='smoke', id_source='prior', out=sys.argv[1])\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], check=False).returncode == 0
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()


@pytest.mark.parametrize("mode", ["direct", "cot", "likelihood"])
@pytest.mark.parametrize("template", [True, False])
def test_every_mode_on_chat_and_base_models(mode: str, template: bool, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m") if template else tiny_model(tmp_path / "m", template=None)
    with_ = ["scylla:cot_tokens=8,second_tokens=8"]
    result = gs.profile(
        f"hf:{folder}",
        tasks=["find_minimum", "sort_numbers"],
        n=4,
        scale="smoke",
        mode=mode,
        id_source="prior",
        with_=with_,
        out=tmp_path / "o",
    )
    answers = result.responses.filter(pl.col("kind") == "answer")
    assert len(answers) == 16
    if mode == "likelihood":
        assert set(answers["chance"].round(3)) == {0.1}
        assert len(result.records.filter(pl.col("metric") == "min_k_probability")) == 10
    elif not template:
        assert answers["prompt"][0].count("Input:") == 9


@pytest.mark.slow
def test_killed_at_twenty_random_moments_the_page_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    command = [sys.executable, "-m", "genscope", "profile", f"hf:{folder}", "--tasks", "find_minimum,sort_numbers,two_sum", "--n", "16", "--scale", "smoke", "--id-source", "prior", "--mode", "direct"]  # fmt: skip
    base = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(home: str, out: str, seconds: float | None) -> int:
        running = subprocess.Popen(
            [*command, "--out", str(tmp_path / out)],
            env={**base, "GENSCOPE_HOME": str(tmp_path / home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return running.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            return running.wait()

    began = time.monotonic()
    assert run("calm", "calm", None) == 0
    whole = time.monotonic() - began
    moments = random.Random(3)
    for _ in range(20):
        run("storm", "storm", moments.uniform(0.1, 1.1) * whole)
    assert run("storm", "storm", None) == 0
    assert (tmp_path / "storm" / "index.html").read_bytes() == (tmp_path / "calm" / "index.html").read_bytes()


def test_two_profiles_sharing_a_store_at_once_both_end_right(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "genscope",
        "profile",
        "demo",
        "--tasks",
        "find_minimum,two_sum",
        "--n",
        "16",
        "--scale",
        "smoke",
        "--out",
    ]
    running = [subprocess.Popen([*command, str(tmp_path / name)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for name in "ab"]
    assert [one.wait() for one in running] == [0, 0]
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()


# --- endpoints


def test_an_endpoint_that_fails_now_and_then_is_counted_and_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        name = f"openai:sometimes@{server.url}"
        first = gs.profile(
            name, tasks=["find_minimum"], n=8, scale="smoke", id_source="prior", mode="direct", concurrency=1, out=tmp_path / "a"
        )
        failed = first.responses.filter(pl.col("failed") != "")
        assert 4 <= len(failed) <= 6
        assert "HTTP 422: bad question" in failed["failed"][0]
        asked = len(server.seen)
        second = gs.profile(
            name, tasks=["find_minimum"], n=8, scale="smoke", id_source="prior", mode="direct", concurrency=1, out=tmp_path / "b"
        )
        assert len(server.seen) - asked == len(failed)
        assert len(second.responses.filter(pl.col("failed") != "")) < len(failed)


def test_a_budget_stops_cleanly_and_the_same_command_resumes(tmp_path: Path) -> None:
    with serving() as server:
        how: dict[str, Any] = {
            "tasks": ["find_minimum"],
            "n": 16,
            "scale": "smoke",
            "id_source": "prior",
            "mode": "direct",
            "concurrency": 2,
            "out": tmp_path / "o",
        }
        name = f"openai:normal@{server.url}"
        with pytest.raises(IncompleteError, match="stopped at the budget .* with [0-9]+ of 32 blocks unasked"):
            gs.profile(name, budget="700", **how)
        asked = len(server.seen)
        assert 0 < asked < 32
        result = gs.profile(name, **how)
        assert len(server.seen) == 32
        assert len(result.responses) == 32


def test_hostile_replies_are_inert_on_the_page_and_keys_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key-123")
    with serving() as server:
        gs.profile(f"openai:hostile@{server.url}", tasks=["find_minimum"], n=4, scale="smoke", id_source="prior", out=tmp_path / "o")
    page = (tmp_path / "o" / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    for path in [*(tmp_path / "o").iterdir(), *(tmp_path / "genscope-home").rglob("*.json")]:
        assert b"very-secret" not in path.read_bytes()


def test_dropped_parameters_are_said_on_the_page_also_from_the_store(tmp_path: Path) -> None:
    with serving() as server:
        for out in ("a", "b"):
            gs.profile(
                f"openai:no-temperature@{server.url}", tasks=["find_minimum"], n=4, scale="smoke", id_source="prior", out=tmp_path / out
            )
    pages = [(tmp_path / out / "index.html").read_text() for out in "ab"]
    assert pages[0] == pages[1]
    assert "asked without them: temperature" in pages[0]


def test_an_endpoint_that_costs_asks_once_and_needs_somebody_to_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genscope.models.endpoint._is_loopback", lambda url: False)
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    questions: list[str] = []

    def refuse(question: str) -> bool:
        questions.append(question)
        return False

    with serving() as server, pytest.raises(UsageError, match="nothing was spent"):
        gs.profile(f"openai:normal@{server.url}", **FEW, yes=False, confirm=refuse, price="1,2")
    assert re.search(r"about [\d,]+ requests, [\d,]+ tokens in and at most [\d,]+ tokens out, at most [\d.]+ in the currency", questions[0])
    assert server.seen == []


# --- the user's own questions


def test_own_questions_from_csv_and_jsonl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def answer(text): return 'The answer is ' + ('4' if '2 + 2' in text else '5') + '.'\n")
    monkeypatch.chdir(tmp_path)
    table = "question,answer,split,level\n2 + 2?,4,id,easy\n1 + 3?,4,ood,easy\n2 + 3?,5,ood,hard\n,7,id,easy\n"
    (tmp_path / "q.csv").write_text(table)
    result = gs.profile("py:mine:answer", data=tmp_path / "q.csv", out=tmp_path / "o")
    assert result.about["sections"]["questions"]["facts"]["columns"] == {
        "input": "question",
        "target": "answer",
        "level": "level",
        "split": "split",
        "scorer": "number",
    }
    assert result.headline == "It answers 67 % of 3 questions right (21 to 94 %): 100 % on id, 50 % on ood (difference −39 to 91 points)."
    assert "1 row(s) of the file have no question" in result.page.read_text()
    lines = [{"q": "pick", "options": ["red", "5"], "answer": "B"}, {"q": "2 + 2", "options": ["4", "6"], "answer": "4"}]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    choice = gs.profile("py:mine:answer", data=tmp_path / "q.jsonl", columns={"input": "q"}, out=tmp_path / "c")
    assert choice.responses["chance"].to_list() == [0.5, 0.5]
    assert choice.responses["correct"].to_list() == [True, True]


@pytest.mark.parametrize(
    ("name", "content", "columns", "words"),
    [
        ("q.csv", "question,answer\n1,2\n", {"input": "questio"}, "unknown column 'questio'. Did you mean question"),
        ("q.csv", "a,b\n1,2\n", {}, "Name it with --input; columns: a, b"),
        ("q.csv", "", {}, "cannot be read as csv"),
        ("q.csv", "question,answer\n,\n", {}, "no row has both"),
        ("q.csv", "id,question,answer\n1,a,b\n1,c,d\n", {}, "the id '1' stands in more than one row"),
        ("q.jsonl", "{broken", {}, "line 1: not JSON"),
        ("q.jsonl", "[1]", {}, "not an object"),
        ("q.xlsx", "x", {}, "unknown kind of file"),
        ("q.csv", "question,answer\na,b\n", {"scorer": "number"}, "'b' is not a number"),
        ("q.csv", "question,answer\na,b\n", {"scorer": "exakt"}, "Did you mean exact"),
        ("none.csv", None, {}, "no such file"),
    ],
)
def test_bad_question_files(tmp_path: Path, name: str, content: str | None, columns: dict[str, str], words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises((DataError, UsageError), match=re.escape(words)):
        gs.profile("demo", data=tmp_path / name, columns=columns)


# --- compare


def test_compare_two_models_pairs_ood_outside_both_id_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two.py").write_text(
        "import re\n"
        "def low(text):\n    return '[1, 2, 3, 4, 5] [6, 7, 8, 9, 10, 11, 12]' * 3 if 'Write' in text else 'The answer is 0'\n"
        "def high(text):\n    n = [int(x) for x in re.findall(r'\\d+', text.split('Input:')[-1].split('Reply')[0])]\n"
        "    return '[101, 102, 103, 104] [105, 106, 107, 108, 109, 110]' * 3 if 'Write' in text else f'The answer is {min(n)}'\n"
    )
    monkeypatch.chdir(tmp_path)
    how: dict[str, Any] = {"tasks": ["find_minimum"], "n": 32, "scale": "smoke", "mode": "direct"}
    result = gs.compare("py:two:low", "py:two:high", **how, out=tmp_path / "o")
    ood = result.responses.filter((pl.col("kind") == "answer") & (pl.col("split") == "ood"))
    asked = {int(x) for prompt in ood["prompt"] for x in re.findall(r"\d+", prompt.split("Input:")[-1].split("Reply")[0])}
    assert not asked & {*range(1, 13), *range(101, 111)}
    both = [ood.filter(pl.col("model") == arm)["example"].to_list() for arm in "ab"]
    assert both[0] == both[1]
    assert result.headline.endswith("py:two:high is ahead by 85 to 100 points.")
    row = result.records.filter((pl.col("metric") == "only_b") & pl.col("level").is_null()).to_dicts()[0]
    assert row["value"] == 32


def test_compare_folders_pairs_only_the_same_questions(tmp_path: Path) -> None:
    for name, solver, seeds in (("a", PlantedSolver(), (0,)), ("b", PlantedSolver(unparsable=0.3), (0,)), ("c", PlantedSolver(), (1,))):
        gs.profile(solver, **FEW, id_source="prior", seeds=seeds, out=tmp_path / name)
    result = gs.compare(tmp_path / "a", tmp_path / "b", out=tmp_path / "o")
    assert result.about["kind"] == "compare"
    with pytest.raises(DataError, match="of 8 and 8 OOD questions they share 0"):
        gs.compare(tmp_path / "a", tmp_path / "c")
    with pytest.raises(UsageError, match="two models or two result folders"):
        gs.compare(tmp_path / "a", "demo")
    with pytest.raises(UsageError, match="are the same model"):
        gs.compare("demo", "demo")


# --- the command line


def cli(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_the_command_line_prints_the_answer_and_the_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = cli(capsys, "profile", "demo", "--tasks", "find_minimum", "--n", "4", "--out", str(tmp_path / "o"))
    assert code == 0
    assert "On lists it knows" in out
    assert str(tmp_path / "o" / "index.html") in out.replace("\n", "")
    code, out, _ = cli(capsys, "profile", "demo", "--tasks", "find_minimum", "--n", "4", "--out", str(tmp_path / "o"), "--json")
    assert json.loads(out)["headline"].startswith("On lists it knows")


def test_dry_run_asks_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = cli(capsys, "profile", "openai:m@http://127.0.0.1:9/v1", "--dry-run", "--price", "1,2", "--levels", "O(N),O([N,N^2])")
    assert code == 0
    assert "requests" in out
    assert "money at most" in out
    assert "Let's think step by step." in out
    assert not (tmp_path / "genscope-home" / "store").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["profil", "demo"], 2, 'Did you mean "profile"'),
        (["profile", "demo", "--taks", "x"], 2, "Did you mean --tasks"),
        (["profile", "demo", "--tasks", "find_minimun"], 2, "Did you mean find_minimum"),
        (["profile", "demo", "--levels", "9"], 2, "level must be 0 to 4"),
        (["profile", "demo", "--n", "0"], 2, "n must be at least 1"),
        (["profile", "demo", "--n", "many"], 2, "many"),
        (["profile", "demo", "--scale", "hugee"], 2, "unknown scale 'hugee'"),
        (["profile", "demo", "--seeds", "a"], 2, "--seeds takes whole numbers"),
        (["profile", "demo", "--with", "scila"], 2, "unknown section 'scila'. Did you mean scylla"),
        (["profile", "demo", "--with", "scylla:universe=all"], 2, "universe must be one of paper, code, matched"),
        (["profile", "demo", "--with", "scylla:univers=paper"], 2, "Did you mean universe"),
        (["profile", "demo", "--with", "scylla:universe"], 2, "is not key=value"),
        (["profile", "demo", "--without", "scylla"], 2, "no section is left"),
        (["profile", "demo", "--mode", "likelihood"], 2, "cannot score"),
        (["profile", "demo", "--with", "questions"], 2, "needs --data FILE"),
        (["profile", "demo", "--id-source", "nowhere.txt", "--n", "2"], 2, "no such file"),
        (["profile", "nomodel"], 2, "unknown model"),
        (["profile", "gguf:none.gguf"], 2, "no such file"),
        (["profile", "demo", "--budget", "x"], 2, "--budget takes"),
        (["profile", "demo", "--publish"], 2, "--publish"),
        (["compare", "demo", "demo"], 2, "same model"),
    ],
)
def test_bad_input_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    got, _, err = cli(capsys, *words)
    assert got == code
    assert said in err
    assert "Traceback" not in err
    assert err.startswith("genscope: ")


def test_lists_and_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(name in cli(capsys, "list", "tasks", "--json")[1] for name in scylla.NAMES)
    for what in ("measures", "sections", "studies", "models", "data"):
        assert cli(capsys, "list", what)[0] == 0
    assert "genscope" in cli(capsys, "doctor", "--prune", "90")[1]


def test_id_source_from_a_file_and_an_empty_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists.txt").write_text("\n".join(str(list(range(k, k + 6))) for k in range(60)) + "\n7 8 9 10\n")
    result = gs.profile("demo", tasks=["find_minimum"], n=4, id_source=str(tmp_path / "lists.txt"), scale="smoke", out=tmp_path / "o")
    assert result.about["sections"]["scylla"]["facts"]["id_source"] == "file of lists"
    (tmp_path / "silent.py").write_text("def answer(text): return ''\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskError, match="no list was found in the replies"):
        gs.profile("py:silent:answer", **FEW)
    (tmp_path / "bad.txt").write_text("[1, 2]\nfoo\n")
    with pytest.raises(DataError, match="line 2"):
        gs.profile("demo", **{**FEW, "id_source": str(tmp_path / "bad.txt")})


def test_every_error_class_has_an_exit_code() -> None:
    assert {GenscopeError.exit_code, EndpointError.exit_code, IncompleteError.exit_code} == {2, 4}
