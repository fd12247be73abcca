"""The engine on a toy study: verdicts, placebos, failures, resuming, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from genscope.core.claims import Clause
from genscope.core.errors import MissingError, StudyError, UsageError
from genscope.core.store import Store
from genscope.engine import synthetic
from genscope.engine.cells import cell_key, code_hash, plan
from genscope.engine.publish import check_study, publish_study
from genscope.engine.verdict import exit_code, preflight
from genscope.studies import study, table
from genscope.verbs import study as verb
from tests.engine.toy import CLAIMS, Toy


def toy(out: Path, **settings: object) -> verb.StudyResult:
    return verb.run(Toy(), parts=["main"], out=out, workers=2, **settings)  # pyright: ignore[reportArgumentType]


def test_a_real_effect_is_reproduced_and_its_placebo_is_not(tmp_path: Path) -> None:
    found = toy(tmp_path)
    (entry,) = found.about["claims"]
    assert (entry["verdict"], entry["placebo"]["verdict"], found.code) == ("reproduced", "not reproduced", 0)
    assert entry["effect"] == pytest.approx(0.5, abs=0.05)
    assert entry["n"] == 5
    assert found.about["power"]["T1"]["enough"]
    assert "1 reproduced" in found.about["headline"]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"index.html", "records.parquet", "result.json", "run.json"}
    assert "No mechanism" not in found.page.read_text()
    assert "no mechanism in either condition" in found.page.read_text()
    assert "<svg" in found._repr_html_() or "T1" in found._repr_html_()


@pytest.mark.parametrize(
    ("settings", "verdict", "code"),
    [({"TOY_EFFECT": "0.0"}, "not reproduced", 1), ({"TOY_TRAINED": "0.5"}, "inconclusive", 4), ({"TOY_LEAK": "1"}, "inconclusive", 4)],
)
def test_no_effect_no_training_and_a_placebo_that_is_reproduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], verdict: str, code: int
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = toy(tmp_path)
    assert (found.about["claims"][0]["verdict"], found.code) == (verdict, code)


def test_too_few_seeds_are_inconclusive_and_say_how_many_are_needed(tmp_path: Path) -> None:
    found = toy(tmp_path, seeds=[0, 1])
    assert found.about["claims"][0]["verdict"] == "inconclusive"
    assert "at least 5 are needed" in found.about["claims"][0]["reason"]


def test_failed_cells_are_shown_with_their_cause_and_the_rest_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_FAIL", "with-claim-1")
    monkeypatch.setenv("TOY_DIE", "without-off-3")
    found = toy(tmp_path)
    assert found.about["failed"]["main/with (claim), seed 1"] == "TrainingError: the training loss is nan after 10 updates"
    assert "ended with code 9" in found.about["failed"]["main/without (off), seed 3"]
    assert len(found.records) == 3 * 18
    assert found.records.filter(pl.col("metric") == "undefined")["value"].null_count() == 18  # a value that is no number loses no cell
    assert found.about["claims"][0]["verdict"] in ("reproduced", "inconclusive")
    for name in ("TOY_FAIL", "TOY_DIE"):
        monkeypatch.delenv(name)
    again = toy(tmp_path)
    assert not again.about["failed"]
    assert json.loads((tmp_path / "run.json").read_text())["cells_computed"] == 2


def test_a_finished_cell_is_not_computed_again_and_a_damaged_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    first = toy(tmp_path / "a")
    page = first.page.read_bytes()
    assert len(log.read_text().split()) == 20
    toy(tmp_path / "b")
    assert len(log.read_text().split()) == 20
    cells, _ = plan(Toy(), "standard", None, ["main"])
    store = Store.open()
    path = store.path(cell_key(store, Toy(), cells[3], code_hash("tests.engine.toy")))
    path.write_text(path.read_text()[:40])
    third = toy(tmp_path / "c")
    assert len(log.read_text().split()) == 21
    assert json.loads((tmp_path / "c" / "run.json").read_text())["damaged_store_files"] == 1
    assert third.page.read_bytes() == page


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_as_an_undisturbed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-c",
        "from tests.engine.toy import Toy; from genscope.verbs import study; import sys; study.run(Toy(), parts=['main'], out=sys.argv[1], workers=2)",
        str(tmp_path / "out"),
    ]
    slow = {**os.environ, "TOY_LOG": str(log), "TOY_WAIT": "0.15"}
    for _ in range(3):
        process = subprocess.Popen(command, env=slow, start_new_session=True)
        time.sleep(1.6)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=slow, check=True)
    assert len(log.read_text().split()) <= 20 + 3 * 2
    monkeypatch.setenv("GENSCOPE_HOME", str(tmp_path / "other-home"))
    undisturbed = toy(tmp_path / "undisturbed")
    assert (tmp_path / "out" / "index.html").read_bytes() == undisturbed.page.read_bytes()


def test_two_runs_at_once_both_end_right(tmp_path: Path) -> None:
    found: list[verb.StudyResult] = []
    threads = [threading.Thread(target=lambda place=place: found.append(toy(tmp_path / place))) for place in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0].page.read_bytes() == found[1].page.read_bytes()


def test_a_claim_edited_after_its_run_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(tmp_path)
    from dataclasses import replace

    easier = replace(CLAIMS[0], clauses=(replace(CLAIMS[0].clauses[0], margin=0.1),))
    monkeypatch.setattr(Toy, "claims", (easier,))
    found = toy(tmp_path)
    assert (found.code, found.about["changed"], found.about["claims"][0]["changed"]) == (5, ["T1"], True)
    assert "edited after a run of it" in found.page.read_text()


def test_a_study_with_a_leak_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_SHARED", "12")
    with pytest.raises(StudyError, match="data: 12"):
        toy(tmp_path)


def test_what_cannot_be_run_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match="unknown study 'simplicity'. Did you mean simplicity-bias"):
        study("simplicity")
    with pytest.raises(UsageError, match="unknown scale"):
        plan(Toy(), "big", None, None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(StudyError, match="unknown part 'mian'. Did you mean main"):
        plan(Toy(), "standard", None, ["mian"])
    with pytest.raises(UsageError, match="different whole numbers"):
        plan(Toy(), "standard", [1, 1], None)
    with pytest.raises(MissingError, match="no-such-data"):
        plan(Toy(), "standard", None, ["other"])
    assert plan(Toy(), "standard", None, None)[1] == ["other"]
    with pytest.raises(StudyError, match="genscope profile MODEL"):
        plan(study("scylla"), "standard", None, ["profile"])
    assert {cell.part for cell in plan(study("scylla"), "standard", None, None)[0]} == {"from scratch"}


def test_exit_codes() -> None:
    def entries(*verdicts: str) -> list[dict[str, str]]:
        return [{"verdict": one} for one in verdicts]

    assert exit_code(entries("reproduced", "reproduced"), "standard", 0, False) == 0
    assert exit_code(entries("inconclusive", "not reproduced"), "standard", 0, False) == 1
    assert exit_code(entries("inconclusive", "reproduced"), "standard", 0, False) == 4
    assert exit_code(entries("reproduced"), "standard", 0, True) == 5
    assert exit_code(entries("inconclusive"), "smoke", 0, False) == 0
    assert exit_code(entries("inconclusive"), "smoke", 1, False) == 1
    assert exit_code(entries("reproduced"), "standard", 0, False, not_run=1) == 4
    assert exit_code([], "standard", 3, False) == 4


def test_a_run_whose_cells_all_failed_is_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{condition}-{arm}-{seed}" for seed in range(5) for condition in ("with", "without") for arm in ("claim", "off")]
    monkeypatch.setenv("TOY_FAIL", " ".join(names))
    found = toy(tmp_path)
    assert (len(found.about["failed"]), found.code) == (20, 4)
    assert found.about["claims"][0]["verdict"] == "inconclusive"
    assert "failed: TrainingError" in found.page.read_text()


def test_no_worker_and_a_class_that_workers_cannot_import_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="workers must be at least 1"):
        verb.run(Toy(), workers=0)
    monkeypatch.setattr(Toy, "__module__", "__main__")
    with pytest.raises(StudyError, match="a file of its own"):
        verb.ready(Toy())


def test_verdicts_made_by_other_code_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from genscope.engine import published

    held = [{"study": "simplicity-bias", "code": "another", "claims": []}]
    monkeypatch.setattr(published, "published", lambda name: held)
    found = verb.check("simplicity-bias")
    assert (found["code"], found["exit_code"]) == ("changed", 5)
    held[0]["code"] = code_hash("genscope.studies.simplicity_bias")
    assert verb.check("simplicity-bias")["code"] == "same"


def test_preflight_pools_the_arms_and_does_not_see_the_means() -> None:
    def frame(shift: float) -> pl.DataFrame:
        rows = [
            {"arm": arm, "metric": "score", "condition": condition, "seed": seed, "value": value + (shift if condition == "with" else 0)}
            for arm, spread in (("claim", 1.0), ("off", 3.0))
            for condition, values in (("with", (0.0, spread, -spread)), ("without", (0.0, 0.0, 0.0)))
            for seed, value in enumerate(values)
        ]
        return pl.DataFrame(rows)

    found = [preflight(Toy(), frame(shift), CLAIMS, 5)["T1"] for shift in (0.0, 100.0)]
    assert found[0] == found[1]
    # variances 1 and 9, pooled 5: standard error sqrt(5 / 5) = 1; the two quantiles of t with 4 degrees of freedom are 2.776 and 0.941
    assert found[0]["smallest_detectable"] == pytest.approx(2.776 + 0.941, abs=0.01)
    assert not found[0]["enough"]


@pytest.mark.parametrize("name", list(table()))
def test_every_claim_judges_as_it_should_on_made_up_records(name: str) -> None:
    one = study(name)
    elsewhere = {claim for claims in one.judged_elsewhere().values() for claim in claims}
    checked = [claim for claim in one.claims if claim.id not in elsewhere and not synthetic.ranks(claim)]
    assert [text for claim in checked for text in synthetic.wrong(claim)] == []
    assert {claim.id for claim in one.claims if claim.kind == "phenomenon"} <= set(one.placebos)
    assert sorted(claim for part in one.parts.values() for claim in part.claims) == sorted(claim.id for claim in one.claims)


def test_a_claim_that_contradicts_itself_is_found() -> None:
    from dataclasses import replace

    clause = Clause(metric="score", relation=">", margin=1.0, test="paired_t", pair=("seed",))
    bad = replace(CLAIMS[0], clauses=(clause, replace(clause, relation="<", margin=0.5)), preconditions=())
    with pytest.raises(StudyError, match="contradict"):
        synthetic.check(bad)


def test_the_codes_hash_follows_numbers_and_not_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(sys.modules["tests.engine.toy"].__file__ or "").read_text()
    monkeypatch.syspath_prepend(str(tmp_path))

    def hashed(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return code_hash(name)

    same = hashed("toy_a", source)
    assert (
        hashed(
            "toy_b", source.replace("It does.", "It did.").replace("margin=0.2", "margin=0.3").replace("# fmt: skip", "# another comment")
        )
        == same
    )
    assert hashed("toy_c", source.replace("0.01 *", "0.02 *")) != same


def test_publishing_has_guards_and_keeps_what_was_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(root), str(root / "src"))))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="checkout"):
        check_study(Toy(), "standard", None, None, False)
    (tmp_path / "src" / "genscope").mkdir(parents=True)
    (tmp_path / "src" / "genscope" / "a.py").write_text("")
    for words in (["init", "-q"], ["add", "src"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], check=True)
    for scale, seeds, parts, said in (
        ("smoke", None, None, "too little"),
        ("standard", [0], None, "fixed list"),
        ("standard", None, ["main"], "all parts"),
    ):
        with pytest.raises(UsageError, match=said):
            check_study(Toy(), scale, seeds, parts, False)
    monkeypatch.setattr(Toy, "parts", {"main": Toy.parts["main"]})
    found = toy(tmp_path / "out")
    path = publish_study(Toy(), found.about, found.folder)
    held = json.loads(path.read_text())
    assert (held["study"], held["claims"][0]["hash"]) == ("toy", CLAIMS[0].hash)
    with pytest.raises(UsageError, match="--again"):
        check_study(Toy(), "standard", None, None, False)
    publish_study(Toy(), found.about, found.folder)
    assert [one["study"] for one in json.loads(path.read_text())["earlier"]] == ["toy"]
    with pytest.raises(UsageError, match="were not computed"):
        publish_study(Toy(), {**found.about, "failed": {"cell": "why"}}, found.folder)
    (tmp_path / "src" / "genscope" / "a.py").write_text("changed")
    with pytest.raises(UsageError, match="not committed"):
        check_study(Toy(), "standard", None, None, True)
