"""One offline HTML file from blocks: the same blocks give the same bytes; everything from models, users and servers is escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from genscope.core.store import home, write_whole
from genscope.core.text import clean
from genscope.pages.blocks import Block, Chart, Samples, cell_text, interval_text, signed

SAMPLES_BYTES = 500_000
"""The sample browser's share of a page."""
SAMPLE_CHARACTERS = 2_000
"""Characters of a prompt or reply that a page shows; the rest is in responses.parquet."""

RESULT_FOOTER = "Every number is in <records.parquet>, every question and reply in <responses.parquet>, beside this page."


def render_page(
    title: str,
    kind: str,
    blocks: Sequence[Block],
    *,
    badges: Sequence[str] = (),
    script: bool = True,
    footer: str = RESULT_FOOTER,
    home_link: str = "",
    library_file: str = "",
) -> str:
    """The page as a text. `script=False` leaves the chart library out (for byte comparisons); with `library_file` it is loaded from that file beside the page;
    footer: names in <angle brackets> are shown as file names; home_link: address of the site's front page."""
    charts = [block for block in blocks if isinstance(block, Chart)]
    code = asset("page.js")
    library = chart_library() if script and charts and not library_file else ""
    specs = {f"chart-{number}": chart.spec for number, chart in enumerate(charts)}
    names = {id(chart): f"chart-{number}" for number, chart in enumerate(charts)}
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        + "script-src "
        + " ".join([*(script_hash(one) for one in (library, code) if one), *(["file: 'self'"] if library_file else [])])
    )
    template = environment().get_template("page.html.j2")
    return template.render(
        title=clean(title, 200), kind=kind, blocks=[_shown(block) for block in blocks], badges=list(badges), chart_name=lambda chart: names[id(chart)], policy=policy, style=asset("page.css"),
        specs=script_json(specs), code=code, library=library,
        footer=_footer(footer), home_link=home_link, library_file=library_file if charts and script else "",
    )  # fmt: skip


def notebook_html(blocks: Sequence[Block]) -> str:
    """Static HTML without script, for notebooks: charts as SVG."""
    template = environment().get_template("notebook.html.j2")
    return template.render(blocks=[_shown(block) for block in blocks], svg=lambda chart: svg(chart.spec), style=asset("page.css"))


def svg(spec: Mapping[str, Any], width: int = 680) -> str:
    """A chart as static SVG."""
    import vl_convert

    return vl_convert.vegalite_to_svg({**spec, "width": width, "background": "white"})


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element.

    >>> script_json("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.translate({ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"})


def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script (0.9 MB); bundling takes a second, so the bundle is kept in the user's cache."""
    import vl_convert

    path = home() / "assets" / f"charts-{version('vl-convert-python')}.js"
    if path.is_file():
        return path.read_text("utf-8")
    bundle = vl_convert.javascript_bundle(None)  # pyright: ignore[reportArgumentType]
    bundle = bundle.replace("</script", "<\\/script")
    write_whole(path, bundle.encode())
    return bundle


def limited(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Sample rows, cleaned and shortened until all fit the page's share, so that long replies push no level off the page; of more rows than fit at 250 characters, the first ones."""
    cleaned = [{name: clean(str(value)) for name, value in row.items()} for row in rows]
    characters = SAMPLE_CHARACTERS
    while characters > 250 and sum(_size(_shortened(row, characters)) for row in cleaned) > SAMPLES_BYTES:
        characters //= 2
    kept, size = [], 0
    for row in cleaned:
        short = _shortened(row, characters)
        size += _size(short)
        if size > SAMPLES_BYTES:
            break
        kept.append(short)
    return kept


def _shortened(row: Mapping[str, str], characters: int) -> dict[str, str]:
    """Texts cut in the middle: a prompt ends with its question, and a reply with its answer."""
    half = characters // 2
    return {name: text if len(text) <= characters else f"{text[:half]} … (cut here) … {text[-half:]}" for name, text in row.items()}


def _size(row: Mapping[str, str]) -> int:
    """Bytes of a row on the page, about: its texts escaped, and the marks around them."""
    return sum(len(html.escape(value).encode("utf-8", "replace")) for value in row.values()) + 600


def _shown(block: Block) -> Any:
    return Samples(limited(block.rows), block.title, block.lead) if isinstance(block, Samples) else block


def script_hash(script: str) -> str:
    """A script's entry in the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def asset(name: str) -> str:
    """A file of this package, as text."""
    return files("genscope.pages").joinpath(name).read_text("utf-8")


@cache
def environment() -> Any:
    """The templates, with everything escaped unless marked safe."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        cell=lambda value, kind: cell_text(kind, value),
        interval=lambda value, kind: interval_text(kind, value),
        number=_number,
        asked=_asked,
    )
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    return environment


def _footer(text: str) -> list[tuple[str, bool]]:
    """Pieces of the footer, and whether each is a file name."""
    return [(piece, bool(place % 2)) for place, piece in enumerate(text.replace(">", "<").split("<"))]


def _number(value: float | None) -> str:
    """Three digits after the point; none where they are all 0, as in a median length."""
    return "–" if value is None else signed(value, 3, plus=False).removesuffix(".000")


def _asked(clause: Mapping[str, Any]) -> str:
    """What a clause asks of its metric.

    >>> _asked({"metric": "length", "relation": "within", "margin": [3.0, 16.0]}), _asked({"metric": "skill", "relation": "rank", "margin": 0.0})
    ('length within 3 to 16', 'skill: a rank trend beyond 0')
    """
    metric, relation, margin = clause.get("said", clause["metric"]), clause["relation"], clause["margin"]
    if relation == "within":
        return f"{metric} within {margin[0]:g} to {margin[1]:g}"
    return f"{metric}: a rank trend beyond {margin:g}" if relation == "rank" else f"{metric} {relation} {margin:g}"
