"""The page of a result: the views of its parts, joined. Drawn from the records, responses and result.json only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from genscope.models.model import Description
from genscope.pages.blocks import Block, Provenance, Verdicts
from genscope.pages.page import notebook_html, render_page

if TYPE_CHECKING:
    from genscope.sections.section import View
    from genscope.verbs.result_folder import Result

VIEWS = {"profile": "genscope.verbs.result_page:profile_views", "compare": "genscope.verbs.compare_view:views"}
"""Kind of result -> the function that makes its views, in the order of the page."""


def views(result: Result) -> Mapping[str, View]:
    """The views of a result, by name."""
    module, _, function = VIEWS[result.about["kind"]].partition(":")
    return getattr(importlib.import_module(module), function)(result)


def profile_views(result: Result) -> Mapping[str, View]:
    """One view a section."""
    import polars as pl

    from genscope.sections.choose import section

    model = description(result.about["model"])
    made = {}
    for name, about in result.about["sections"].items():
        records = result.records.filter(pl.col("source") == f"profile/{name}")
        responses = result.responses.filter(pl.col("section") == name)
        made[name] = section(name).view(records, responses, about, model)
    return made


def description(plain: Mapping[str, object]) -> Description:
    """A model's description from result.json."""
    return Description(**{name: plain[name] for name in ("name", "sentence", "parameters", "facts")})  # pyright: ignore[reportArgumentType]


def blocks(result: Result) -> list[Block]:
    """Everything on the page, top to bottom: the answers, the parts, the claims, the samples, where it comes from."""
    parts = list(views(result).values())
    claims = [claim for about in result.about["sections"].values() for claim in about["claims"]]
    page: list[Block] = [part.answer for part in parts]
    page += [block for part in parts for block in part.blocks]
    if claims:
        page.append(Verdicts(claims=claims))
    page += [block for part in parts for block in part.samples]
    page.append(Provenance(groups=provenance(result, parts)))
    return page


def provenance(result: Result, parts: list[View]) -> dict[str, dict[str, str]]:
    """What was asked of what, and how: enough to run it again."""
    models = result.about.get("models") or [result.about["model"]]
    groups = {}
    for model in models:
        parameters = f"{model['parameters']:,}" if model["parameters"] else "unknown"
        groups[f"Model {model['name']}"] = {
            "what": model["sentence"],
            "parameters": parameters,
            **model["facts"],
            "identity": model["identity"],
        }
    for part, name in zip(parts, views(result), strict=True):
        groups[f"Section {name}"] = dict(part.facts)
    groups["Made with"] = {
        "genscope": result.about["genscope"],
        "questions and replies": "responses.parquet",
        "numbers": "records.parquet",
        "run": "run.json",
    }
    return groups


def page(result: Result) -> str:
    """The whole page as HTML."""
    about = result.about
    synthetic = any("Synthetic" in model["sentence"] for model in about.get("models") or [about["model"]])
    badges = ("synthetic model",) if synthetic else ()
    return render_page(title(result), about["kind"], blocks(result), badges=badges)


def title(result: Result) -> str:
    """The page's title: the verb's subject."""
    about = result.about
    return " and ".join(model["name"] for model in about["models"]) if "models" in about else about["model"]["name"]


def notebook(result: Result) -> str:
    """Static HTML for a notebook: answers, charts and tables, no script."""
    parts = list(views(result).values())
    return notebook_html([part.answer for part in parts] + [block for part in parts for block in part.blocks])
