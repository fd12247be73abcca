"""The page of a study's run, from its records and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.core.stats import paired_t
from genscope.pages.blocks import Answer, Block, Column, Facts, Heading, Note, Prose, Provenance, Table, Verdicts

if TYPE_CHECKING:
    import polars as pl

    from genscope.core.claims import Clause
    from genscope.engine.study import Study


def blocks(study: Study, about: Mapping[str, Any], records: pl.DataFrame) -> list[Block]:
    """Answer, claims, charts, our numbers beside the paper's, deviations and limits."""
    tone = "good" if about["claims"] and all(one["verdict"] == "reproduced" for one in about["claims"]) else "plain"
    page: list[Block] = [
        Answer(about["headline"], study.answer, tone),
        Facts({"Question": study.question, "Paper": f"{study.paper.authors} ({study.paper.year}), arXiv {study.paper.arxiv}", "Scale": about["scale"], "Seeds": ", ".join(map(str, about["seeds"]))}),
    ]  # fmt: skip
    warnings = [f"{name} failed: {why}" for name, why in about["failed"].items()]
    warnings += [
        f"{name}: the claim was edited after a run of it, so what was seen then could have shaped it; the calibration says what was done"
        for name in about["changed"]
    ]
    warnings += [
        f"part {one['part']} was not run ({', '.join(one['claims'])}): data {', '.join(one['data'])} is not in $GENSCOPE_DATA"
        for one in about["not_run"]
    ]
    if warnings:
        page.append(Note(warnings, "Not as it should be", "warn"))
    if about["claims"]:
        page.append(Verdicts(claims=[_said(study, one) for one in about["claims"]], title="Claims and their placebos"))
    elsewhere = [f"{', '.join(claims)}: {command}" for command, claims in study.judged_elsewhere().items()]
    if elsewhere:
        page.append(Note(elsewhere, "Judged by another command, on a model of yours"))
    if len(records):
        page += list(study.figures(records))
        beside = _beside(study, records)
        if beside.rows:
            page += [
                Heading(
                    "The paper's own numbers beside ours",
                    "Never mixed: the paper's are as printed, at its own scale; ours are means over seeds with 95 % paired-t intervals.",
                ),
                beside,
            ]
    power = [
        f"{name}: after three seeds, the run's {len(about['seeds'])} seeds could show {one['smallest_detectable']:.3g} in {one['metric']} (the margin leaves {one['room']:.3g})"
        for name, one in about["power"].items()
    ]
    page += [Note(list(study.deviations), "Where this differs from the paper")] if study.deviations else []
    page += [Note(list(study.limits), "What it does not show")] if study.limits else []
    page += [Note([study.calibration], "Calibrated on seed 999, before the verdict seeds")]
    page += [Note(power, "Power, from the spread of the first three seeds (their means were not looked at)")] if power else []
    page.append(
        Provenance({
            "Study": {"name": study.name, "parts": ", ".join(about["parts"]), "code": about["code"], "genscope": about["genscope"]},
            "Card": {"motivation": study.card.motivation, "generalization": study.card.type, "shift": study.card.shift, "source": study.card.source, "locus": study.card.locus},
            "Again": {"command": f"genscope study run {study.name} --scale {about['scale']}"},
        })
    )  # fmt: skip
    return page


def _said(study: Study, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A board's entry whose clauses say in words what is measured and what is compared with what."""
    claim = next((one for one in study.claims if one.id == entry["id"]), None)
    if claim is None or len(claim.clauses) != len(entry["clauses"]):
        return dict(entry)
    return {**entry, "clauses": [{**one, "said": _words(clause)} for one, clause in zip(entry["clauses"], claim.clauses, strict=True)]}


def _words(clause: Clause) -> str:
    metric = clause.metric.replace("_", " ")
    if clause.contrast is not None and clause.relation != "rank":
        return f"{metric}, {clause.contrast[1]} minus {clause.contrast[2]}"
    return f"{metric}, {' and '.join(map(str, clause.select.values()))}" if clause.select else metric


def _beside(study: Study, records: pl.DataFrame) -> Table:
    import polars as pl

    rows = []
    for one in study.published:
        part = records.filter(
            (pl.col("arm") == "claim")
            & (pl.col("metric") == one.metric)
            & (pl.col("condition") == one.condition)
            & pl.col("value").is_not_null()
        )
        if not len(part):
            continue
        found = paired_t(part["value"].to_list())
        rows.append({"what": one.what, "paper": one.text, "ours": (found.value, found.low, found.high), "n": found.n})
    columns = (Column("what", "quantity"), Column("paper", "paper"), Column("ours", "here", "fine"), Column("n", "seeds", "count"))
    return Table(columns, rows, "Paper and here", main=False)


def design(study: Study) -> list[Block]:
    """What a study asks, claims and controls, without any run."""
    rows = [
        {"claim": claim.id, "sentence": claim.sentence, "placebo": study.placebos[claim.id].kind if claim.id in study.placebos else "none: an instrument claim", "part": study.part_of(claim.id)}
        for claim in study.claims
    ]  # fmt: skip
    return [
        Prose([study.question, study.answer]),
        Table(
            (Column("claim", "claim"), Column("part", "part"), Column("sentence", "says"), Column("placebo", "placebo")),
            rows,
            "Claims",
            main=True,
        ),
    ]


def shown(study: Study, held: Sequence[Mapping[str, Any]]) -> list[Block]:
    """What `genscope study show` prints: the design, what it does not show, and the published verdicts (one entry a result file)."""
    parts = [f"{name}: {part.sentence}" + (f" (needs {', '.join(part.data)})" if part.data else "") for name, part in study.parts.items()]
    page = [*design(study), Note(parts, "Parts")]
    page += [Note(list(study.deviations), "Where this differs from the paper")] if study.deviations else []
    page += [Note(list(study.limits), "What it does not show")] if study.limits else []
    page.append(Note([study.calibration], "Calibrated on seed 999, before the verdict seeds"))
    verdicts = [
        f"{entry['id']} {entry['verdict']}{' on ' + one['model']['name'] if 'model' in one else ''} ({one['scale']}; placebo: {entry['placebo']['verdict'] if entry['placebo'] else 'none'})"
        for one in held
        for entry in one["claims"]
    ]
    return [*page, Note(verdicts or ["nothing yet"], "Published")]


def unpublished_blocks(study: Study) -> list[Block]:
    """The page of a study whose verdicts nobody has published yet."""
    return [Answer("Not run yet.", study.answer), *design(study), Note(list(study.limits), "What it does not show")][
        : 3 + bool(study.limits)
    ]


def profile_blocks(study: Study, held: Sequence[Mapping[str, Any]], first: bool = True) -> list[Block]:
    """What was judged on models: one group of claims a model; first: whether the page begins with it."""
    said = f"Judged on {len(held)} model{'s' if len(held) > 1 else ''}. For yours: {'; '.join(study.judged_elsewhere())}"
    page: list[Block] = [Answer(study.answer, said), *design(study)] if first else [Heading("On language models", said)]
    for one in held:
        page += [
            Heading(one["model"]["name"], f"{one['model']['sentence']} {one['headline']}"),
            Verdicts(claims=one["claims"], title="Claims and their placebos"),
        ]
        page += [Note(list(one["deviations"]), "Notes of this run")] if one["deviations"] else []
    page.append(Note([study.calibration], "Calibrated on seed 999, before the verdict seeds"))
    return page
