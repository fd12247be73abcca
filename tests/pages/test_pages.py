"""Pages: same blocks, same bytes; hostile text inert; in a browser drawn, filtered by keyboard, and as wide as the screen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import genscope as gs
from genscope.pages.blocks import Answer, Chart, Column, Samples, Table, Verdicts, cell_text, interval_text
from genscope.pages.charts import accuracies, valley
from genscope.pages.page import SAMPLES_BYTES, limited, notebook_html, render_page, script_json, svg

HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=2">\x1b[31m{{ 7*7 }}'
ROWS = [
    {"level": f"{k} x", "split": split, "accuracy": 0.5, "low": 0.4, "high": 0.6, "chance": 0.1}
    for k in range(5)
    for split in ("id", "ood")
]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def sample(number: int, text: str = "x") -> dict[str, str]:
    return {
        "level": "0",
        "split": "ID",
        "task": "t",
        "verdict": "right",
        "prompt": text,
        "reply": text,
        "thinking": "",
        "target": str(number),
        "answer": "1",
        "how": "strict",
    }


def test_hostile_text_is_escaped_everywhere() -> None:
    blocks = [
        Answer(HOSTILE, HOSTILE), Table((Column("a", HOSTILE),), [{"a": HOSTILE}], HOSTILE), Samples([sample(1, HOSTILE)]),
        Chart({"data": {"values": [{"x": HOSTILE}]}}, HOSTILE),
        Verdicts([{"id": HOSTILE, "verdict": "inconclusive", "sentence": HOSTILE, "clauses": [], "n": 1, "placebo": None, "reason": HOSTILE}]),
    ]  # fmt: skip
    page = render_page(HOSTILE, "profile", blocks, badges=(HOSTILE,), script=False)
    assert "<script>window" not in page
    assert "<img" not in page
    assert "49" not in page.split("</style>")[1].replace("{{ 7*7 }}", "")
    assert page.count("<script") == 2
    assert render_page(HOSTILE, "profile", blocks, script=False) == render_page(HOSTILE, "profile", blocks, script=False)


def test_samples_keep_to_their_share_of_the_page() -> None:
    kept = limited([sample(number, "long " * 2_000) for number in range(1_000)])
    assert 200 < len(kept) < 1_000
    assert len(str(kept)) < SAMPLES_BYTES
    assert len(limited([sample(number) for number in range(300)])) == 300


def test_long_replies_push_no_group_off_the_page() -> None:
    """All levels, splits and verdicts of a chain of thought: 2 x 6 x 4 x 3 samples of 60 kB each."""
    reply = f"first words {'long ' * 12_000} The answer is 7."
    kept = limited([sample(number, reply) for number in range(144)])
    assert [row["target"] for row in kept] == [str(number) for number in range(144)]
    assert kept[0]["reply"].startswith("first words")
    assert "(cut here)" in kept[0]["reply"]
    assert kept[0]["reply"].endswith("The answer is 7.")
    page = render_page("t", "profile", [Samples([sample(number, reply) for number in range(144)])], script=False)
    assert len(page.encode()) < SAMPLES_BYTES + 20_000


def test_verdicts_print_no_interval_without_width_and_plain_margins() -> None:
    clauses = [
        {"metric": "length", "relation": "within", "margin": [3.0, 16.0], "effect": 8.0, "ci": [8.0, 8.0], "adjusted_p": None, "outcome": "holds"},
        {"metric": "skill", "relation": "rank", "margin": 0.0, "effect": -0.4683, "ci": [-0.507, -0.429], "adjusted_p": 0.0002, "outcome": "holds"},
        {"metric": "small", "relation": ">", "margin": 0.7, "effect": 0.98, "ci": [0.97, 0.99], "adjusted_p": None, "outcome": "holds"},
    ]  # fmt: skip
    claim = {"id": "C", "verdict": "reproduced", "sentence": "s", "clauses": clauses, "n": 9, "placebo": None, "reason": "r"}
    page = render_page("t", "profile", [Verdicts([claim])], script=False)
    assert "<dt>length within 3 to 16</dt><dd>8 · holds</dd>" in page
    assert "<dt>skill: a rank trend beyond 0</dt><dd>−0.468 (−0.507 to −0.429), p 0.0002 · holds</dd>" in page
    assert "<dt>small &gt; 0.7</dt><dd>0.980 (0.970 to 0.990) · holds</dd>" in page


def test_cells() -> None:
    assert [cell_text(kind, 0.0567) for kind in ("percent", "points", "number")] == ["6 %", "+6", "0.06"]
    assert cell_text("points", -0.001) == "0"
    assert interval_text("percent", (0.5, None, None)) == ""
    assert script_json({"a": "<&>\u2028"}) == '{"a":"\\u003c\\u0026\\u003e\\u2028"}'


def test_charts_are_data_and_static_pictures_the_same() -> None:
    assert valley(ROWS) == valley(ROWS)
    assert svg(valley(ROWS)) == svg(valley(ROWS))
    html = notebook_html([Answer("yes"), Chart(accuracies([{**row, "name": row["split"]} for row in ROWS], ["id", "ood"]), "t")])
    assert "<svg" in html
    assert "<script" not in html


def test_results_show_themselves_in_notebooks(tmp_path: Path) -> None:
    result = gs.profile("demo", tasks=["find_minimum", "two_sum"], n=4, scale="smoke", out=tmp_path / "o")
    assert "On lists it knows" in result._repr_html_()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of the demo, with a hostile sample put in."""
    import os

    folder = tmp_path_factory.mktemp("page")
    os.environ["GENSCOPE_HOME"] = str(folder / "home")
    result = gs.profile("demo", n=16, scale="smoke", mode="cot", out=folder / "o")
    import polars as pl

    hostile = result.responses.with_columns(reply=pl.when(pl.col("kind") == "answer").then(pl.lit(HOSTILE)).otherwise("reply"))
    from genscope.verbs.result_folder import Result
    from genscope.verbs.result_page import page as draw

    path = folder / "page.html"
    path.write_text(draw(Result(folder, result.about, result.records, hostile)), "utf-8")
    assert path.stat().st_size <= 2_000_000
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield running
        running.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_in_a_browser(browser: Any, page: Path, width: int, scheme: str) -> None:
    said: list[str] = []
    asked: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"file://{page}")
    tab.wait_for_function("document.querySelectorAll('.canvas svg').length === 3", timeout=20_000)
    assert said == []
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("window.hacked") is None
    assert tab.evaluate(CONTRAST) >= 4.5
    assert tab.evaluate("[...document.querySelectorAll('.canvas svg')].every(s => s.getBoundingClientRect().width <= innerWidth)")
    context.close()


@pytest.mark.browser
def test_filters_work_by_keyboard(browser: Any, page: Path) -> None:
    tab = browser.new_page()
    tab.goto(f"file://{page}")
    before = tab.locator(".sample:visible").count()
    tab.focus("select[name=split]")
    tab.keyboard.type("OOD")
    tab.keyboard.press("Tab")
    shown = tab.locator(".sample:visible").count()
    assert 0 < shown < before
    assert tab.locator(".sample[data-split=OOD]").count() == shown
    assert tab.locator("output").inner_text() == f"{shown} shown"
    tab.locator(".sample:visible summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.locator(".sample[open] pre").first.is_visible()
    tab.close()


CONTRAST = """() => {
  const lum = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = lum(getComputedStyle(document.body).backgroundColor);
  return Math.min(...['.answer p', '.lead', 'td', 'caption', 'dt', '.mark', '.verdict', 'footer', 'small'].map(s => document.querySelector(s)).filter(Boolean).map(e => {
    const ink = lum(getComputedStyle(e).color); return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05); }));
}"""
