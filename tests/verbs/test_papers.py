"""The verbs of executable papers from the command line, each study at smoke scale, and the site in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from genscope.cli import main
from genscope.studies import study, table
from genscope.verbs import study as verb
from genscope.verbs.papers import search
from genscope.verbs.report import report

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
TRAINED = [name for name in table() if study(name).own_parts()]


def cli(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_every_study_works_at_smoke_scale_and_judges_nothing_there(name: str, tmp_path: Path) -> None:
    if any(part.data for part in study(name).parts.values()) and not os.environ.get("GENSCOPE_DATA"):
        parts = [part for part in study(name).own_parts() if not study(name).parts[part].data]
    else:
        parts = None
    found = verb.run(name, scale="smoke", parts=parts, out=tmp_path / "a", workers=2)
    assert found.about["failed"] == {}
    assert found.code == 0
    # an instrument claim with a single known answer may hold at any scale
    assert {entry["verdict"] for entry in found.about["claims"] if entry["kind"] == "phenomenon"} == {"inconclusive"}
    # a barely trained model may have no gap at all, and then no critical level that could move
    assert all(entry["clauses"] or "a precondition does not hold" in entry["reason"] for entry in found.about["claims"])
    assert found.records["value"].is_not_nan().all()
    assert {"claim"} < set(found.records["arm"].unique())
    again = verb.run(name, scale="smoke", parts=parts, out=tmp_path / "b", workers=2)
    assert json.loads((tmp_path / "b" / "run.json").read_text())["cells_computed"] == 0
    assert again.page.read_bytes() == found.page.read_bytes()


def test_list_show_check_and_papers(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cli(capsys, "study", "list", "--json")
    assert code == 0
    assert {row["name"] for row in json.loads(out)["Executable papers"]} == set(table())
    code, out, _ = cli(capsys, "study", "show", "simplicity-bias")
    assert code == 0
    assert "Does my network use all the evidence" in out
    assert all(part in out for part in ("Where this differs from the paper", "C31.6 reproduced", "dominoes: two digit images"))
    code, out, _ = cli(capsys, "study", "show", "coherent-gradients", "--json")
    shown = json.loads(out)
    assert {claim["id"] for claim in shown["claims"]} == {f"C14.{k}" for k in range(1, 7)}
    code, out, _ = cli(capsys, "study", "check", "simplicity-bias", "--json")
    assert json.loads(out)["wrong"] == []
    assert code == (5 if json.loads(out)["code"] == "changed" else 0)
    code, out, _ = cli(capsys, "study", "run", "simplicity-bias", "--scale", "smoke", "--part", "slabs", "--dry-run")
    assert json.loads(out)["cells"] == 7


def test_papers_are_found_by_stem_beginning_any_word_and_axis() -> None:
    def names(words: list[str], **axes: str) -> list[str]:
        return [row["name"] for row in search(words, axes).rows]

    assert names(["memorizing"])[0] in ("coherent-gradients", "scylla", "moe-pathways")
    assert names(["ensemble"]) == ["simplicity-bias"]
    assert names(["shortc*"]) == ["simplicity-bias"]
    assert set(names(["ensembles", "prompt"])) == {"simplicity-bias", "scylla"}
    assert names(["zebra"]) == []
    assert names(['"); DROP TABLE papers --']) == names(["drop", "table", "papers"])
    assert names([], shift="label") == ["coherent-gradients"]
    assert len(names([])) == len(table())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["study", "run", "simplicity"], 2, "Did you mean simplicity-bias"),
        (["study", "run", "simplicity-bias", "--scale", "huge"], 2, "unknown scale 'huge'"),
        (["study", "run", "simplicity-bias", "--part", "slab"], 2, "Did you mean slabs"),
        (["study", "run", "simplicity-bias", "--seeds", "x"], 2, "--seeds takes whole numbers"),
        (["study", "run", "simplicity-bias", "--part", "dominoes"], 3, "data is missing"),
        (["study", "run", "scylla", "--part", "profile"], 2, "genscope profile MODEL"),
        (["study", "show", "nothing"], 2, "unknown study"),
        (["papers", "--type", "robust"], 2, "Did you mean robustness"),
        (["profile", "demo", "--with", "coherence", "--data", "no.csv"], 2, "can"),
    ],
)
def test_bad_input_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.delenv("GENSCOPE_DATA", raising=False)
    got, _, err = cli(capsys, *words)
    assert (got, said in err, "Traceback" in err) == (code, True, False), err
    assert err.startswith("genscope: ")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run = folder / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "index.html").write_text("<!doctype html><title>mine</title>")
    (run / "result.json").write_text(
        json.dumps({"kind": "profile", "model": {"name": "<b>mine</b>"}, "headline": "<script>window.hacked=1</script>"})
    )
    (folder / "runs" / "broken").mkdir()
    (folder / "runs" / "broken" / "result.json").write_text("[]")
    made = report(folder / "out", folder / "runs")
    assert made["pages"] == 1 + len(table()) + 1
    return folder / "out"


def test_the_site_has_one_chart_script_and_a_page_a_paper(site: Path) -> None:
    names = sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())
    assert names == sorted(["charts.js", "index.html", "runs/mine.html", *(f"papers/{name}.html" for name in table())])
    assert all(path.stat().st_size < 200_000 for path in site.rglob("*.html"))
    assert "<script>window.hacked" not in (site / "index.html").read_text()
    # claims that were edited after a run say so where they are published
    page = (site / "papers" / "moe-pathways.html").read_text()
    assert [f"{name}: the claim was edited after a run" in page for name in ("P13.3", "P13.4", "P13.5")] == [False, True, True]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield running
        running.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_site_in_a_browser(browser: Any, site: Path, width: int, scheme: str) -> None:
    tab = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(f"file://{site}/index.html")
    shown = lambda: [one.get_attribute("href") for one in tab.locator(".paper:visible h2 a").all()]  # noqa: E731
    assert len(shown()) == len(table())
    tab.fill("input[name=words]", "ensembles shortcut")
    assert shown() == ["papers/simplicity-bias.html"]
    tab.fill("input[name=words]", "zebra")
    assert shown() == []
    assert tab.locator("#none").is_visible()
    tab.fill("input[name=words]", "")
    tab.select_option("select[name=shift]", "label")
    assert shown() == ["papers/coherent-gradients.html"]
    assert tab.locator("output").inner_text() == f"1 of {len(table())} papers"
    tab.focus("input[name=words]")
    for _ in range(7):
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('href')") == "papers/coherent-gradients.html"
    for name in table():
        tab.goto(f"file://{site}/papers/{name}.html")
        tab.wait_for_timeout(400)
        assert tab.locator("svg").count() == tab.locator(".canvas").count()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []
    assert tab.evaluate("window.hacked") is None


def test_colours_have_contrast_in_both_schemes() -> None:
    style = files("genscope.pages").joinpath("page.css").read_text("utf-8")
    schemes = [dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", block)) for block in re.findall(r":root\{([^}]*)\}", style)]
    assert len(schemes) == 2

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for scheme in schemes:
        for ink, ground in product(("ink", "soft", "accent", "id", "good", "bad", "open"), ("ground", "panel")):
            high, low = sorted((luminance(scheme[ink]), luminance(scheme[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground, scheme)


def test_coherence_of_a_language_model_on_a_file(tmp_path: Path) -> None:
    import genscope as gs
    from tests.models.tiny import tiny_model

    folder = tiny_model(tmp_path / "tiny")
    data = tmp_path / "q.csv"
    pl.DataFrame(
        {"question": [f"{k} plus 1?" for k in range(8)] + ["again?"] * 2, "answer": [str(k + 1) for k in range(8)] + ["yes"] * 2}
    ).write_csv(data)
    arguments = {"data": data, "with_": ["coherence:m=10"], "without": ["scylla", "questions"]}
    found = gs.profile(f"hf:{folder}", **arguments, out=tmp_path / "o")
    rows = found.records.filter(pl.col("source") == "profile/coherence")
    value = {row["metric"]: row["value"] for row in rows.filter(pl.col("condition") == "").to_dicts()}
    assert 0 < value["m_coherence"] <= 10
    assert value["alpha"] == pytest.approx(value["m_coherence"] / 10)
    assert len(rows.filter(pl.col("metric") == "help")) == 10
    assert "A training step on one example helps as if" in found.headline
    again = gs.profile(f"hf:{folder}", **arguments, out=tmp_path / "p")
    assert json.loads((tmp_path / "p" / "run.json").read_text())["blocks_computed"] == 0
    assert again.page.read_bytes() == found.page.read_bytes()
