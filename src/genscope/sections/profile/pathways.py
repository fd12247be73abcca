"""Pathways of a mixture-of-experts model: which experts its own training text uses, how alike these traces are, and how that changed over the checkpoints of its training.

Li, Fan and Zhou (2025, arXiv 2506.21551) report that after memorization the pathways of training text become more alike and smoother while skill still grows. The study
`moe-pathways` puts that to the test; this section shows the numbers for a model of the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.canonical import digest
from genscope.core.errors import DataError, UsageError, unknown
from genscope.core.records import Record
from genscope.core.seeds import Seed
from genscope.models.ask import Asker
from genscope.models.model import Description, Model
from genscope.models.names import make, parse
from genscope.pages.blocks import Answer, Block, Column, Facts, Note, Table
from genscope.sections.section import Cost, Outcome, ProfilePlan, Section, View

if TYPE_CHECKING:
    import polars as pl

VERSION = 1
SOURCE = "profile/pathways"
NUMBERS = {"samples": 128, "tokens": 64, "pairs": 1_000}
"""Samples of the text that are read, tokens of each, and pairs whose distance is taken."""
TEXTS = ("text", "tau", "revisions", "checkpoints")
LARGEST = 1 << 24
"""Bytes of a text that are read."""
SERIES = {
    "distance": ("distance", "fraction", "edit distance of two samples' pathways, a share of the longer"),
    "list_length": (
        "list",
        "count",
        "experts in a layer's list; a sharper router has shorter ones, and smaller distances without any sharing",
    ),
    "smoothness": ("smoothness", "score", "1 where neighbouring layers are equally close"),
    "mean_cos": ("cosine", "score", "mean cosine of the routing of neighbouring layers"),
    "entropy": ("entropy", "nats", "0 to ln of the number of experts"),
    "loss": ("loss", "nats", "mean over tokens"),
}


class PathwaysSection(Section):
    """Pathways of a mixture of experts, also over checkpoints: `--with pathways:text=train.txt,checkpoints=step1000+step2000` (folders of the same training, in order, before the
    model itself) or `revisions=a+b` (branches of a hub id). Only when named.
    """

    name = "pathways"
    question = "Which experts does its training text use, and did the traces grow more alike?"
    needs = frozenset({"inside"})

    def fits(self, plan: ProfilePlan) -> bool:
        return False

    def check(self, model: Model, plan: ProfilePlan) -> None:
        _options(plan)
        for name in _names(model.name, plan):
            make(name)

    def cost(self, model: Model, plan: ProfilePlan) -> Cost:
        options = _options(plan)
        rows = options["samples"] * len(_names(model.name, plan))
        return Cost(requests=rows, tokens_in=rows * options["tokens"], tokens_out=0)

    def preview(self, model: Model, plan: ProfilePlan) -> str:
        return _options(plan)["text"][:400]

    def run(self, asker: Asker, plan: ProfilePlan) -> Outcome:
        options, names = _options(plan), _names(asker.model.name, plan)
        found = []
        with asker.progress.work("pathways of checkpoints", len(names)) as advance:
            for name in names:
                model = asker.model if name == asker.model.name else make(name)
                key = asker.store.key("pathways", [VERSION, model.identity(), {**options, "text": digest(options["text"])}, plan.seeds[0]])
                held = None if asker.fresh else asker.store.get(key)
                if held is None:
                    held = _measured(model, options, Seed(SOURCE, plan.seeds[0]))
                    asker.store.put(key, held)
                    asker.computed += 1
                    if model is not asker.model:
                        model.close()
                found.append(held)
                advance(1)
        shapes = {tuple(one["facts"][part] for part in ("layers", "experts", "samples")) for one in found}
        if len(shapes) > 1:
            raise DataError(
                f"the checkpoints differ in (MoE layers, experts, samples): {', '.join(map(str, sorted(shapes)))}; give those of one model, with one tokenizer"
            )
        records = [
            Record(source=SOURCE, metric=metric, value=value, unit=SERIES[metric][1], n=one["facts"]["samples"], condition=name, step=place, provenance=SERIES[metric][2])
            for place, (name, one) in enumerate(zip(names, found, strict=True)) for metric, value in one["values"].items()
        ]  # fmt: skip
        records += [
            Record(source=SOURCE, metric="layer_distance", value=value, unit="fraction", n=options["pairs"], condition=name, step=place, factors={"layer": layer}, provenance="distance of the lists of this layer alone")
            for place, (name, one) in enumerate(zip(names, found, strict=True)) for layer, value in enumerate(one["layers"])
        ]  # fmt: skip
        records += _memorized(names, [one["losses"] for one in found])
        last = found[-1]
        notes = list(last["notes"])
        if len(names) == 1:
            notes.append(
                "One checkpoint has no trend: give earlier ones of the same training by checkpoints=FOLDER+FOLDER or revisions=A+B."
            )
        elif len(names) < 3:
            notes.append("Two checkpoints show a difference; memorization times need three.")
        own = bool(plan.options.get("pathways", {}).get("text"))
        if not own:
            notes.append(
                "The text is the source of Python's own library, which may not be in the training data; the paper's claim is about memorized training text: give some by text=FILE."
            )
        facts = {
            **last["facts"],
            "tau": options["tau"],
            "text": "the user's" if own else "Python's library",
            "example": last["example"],
            "checkpoints": names,
        }
        return Outcome(records=records, facts=facts, notes=notes)

    def view(self, records: pl.DataFrame, responses: pl.DataFrame, about: Mapping[str, Any], model: Description) -> View:
        return _view(records.filter(records["source"] == SOURCE).to_dicts(), about)


def _options(plan: ProfilePlan) -> dict[str, Any]:
    """Numbers, tau and the text."""
    given = dict(plan.options.get("pathways", {}))
    for name, value in given.items():
        if name not in NUMBERS and name not in TEXTS:
            raise UsageError(unknown("option of pathways", name, [*NUMBERS, *TEXTS]))
        if name in NUMBERS and (not value.isdigit() or int(value) < 2):
            raise UsageError(f"pathways: {name} must be a whole number of at least 2, got {value!r}")
    try:
        tau = float(given.get("tau", "0.7"))
    except ValueError:
        tau = -1.0
    if not 0 < tau < 1:
        raise UsageError(f"pathways: tau, the share of routing weight that a list must exceed, lies inside (0, 1), got {given['tau']!r}")
    return {**NUMBERS, **{name: int(given[name]) for name in NUMBERS if name in given}, "tau": tau, "text": _text(given.get("text"))}


def _text(path: str | None) -> str:
    if not path:
        from genscope.tasks.text_domains import python_source

        return python_source(200_000)
    try:
        text = Path(path).expanduser().read_bytes()[:LARGEST].decode("utf-8", "replace").strip()
    except OSError as error:
        raise DataError(f"--with pathways:text={path}: the file cannot be read ({error.strerror})") from error
    if not text:
        raise DataError(f"--with pathways:text={path}: the file is empty")
    return text


def _names(name: str, plan: ProfilePlan) -> list[str]:
    """The checkpoints as models, the profiled one last."""
    given = plan.options.get("pathways", {})
    if "revisions" in given and "checkpoints" in given:
        raise UsageError("pathways takes revisions (of a hub id) or checkpoints (folders), not both")
    if "checkpoints" in given:
        return [*(f"hf:{one}" for one in given["checkpoints"].split("+") if one), name]
    if "revisions" in given:
        base = parse(name)
        if base.kind != "hf" or Path(base.body).expanduser().is_dir():
            raise UsageError(
                f"pathways:revisions are branches of a hub id, such as hf:allenai/OLMoE-1B-7B-0924; {name} is none. Use checkpoints=FOLDER+FOLDER"
            )
        joined = "&" if "?" in name else "?"
        return [*(f"{name}{joined}revision={one}" for one in given["revisions"].split("+") if one), name]
    return [name]


def _measured(model: Model, options: Mapping[str, Any], seed: Seed) -> dict[str, Any]:
    import torch

    from genscope.measures.pathways import Pathways, sampled_pairs
    from genscope.models.reading import context_of, token_losses
    from genscope.models.routers import find_routers, read_routing

    net, tokenizer = model.inside("float32")
    routers = find_routers(net)
    ids = tokenizer(options["text"], add_special_tokens=False)["input_ids"]
    length = min(options["tokens"], context_of(net) or options["tokens"])
    count = min(options["samples"], len(ids) // length)
    if count < 2:
        raise DataError(
            f"pathways: the text has {len(ids)} tokens; two samples of {length} are needed at least. Give a longer text, or tokens=N"
        )
    starts = np.linspace(0, len(ids) // length - 1, count).astype(int) * length
    rows = np.asarray(ids)[starts[:, None] + np.arange(length)]
    routing = read_routing(net, torch.from_numpy(rows), routers=routers)
    losses = token_losses(net, rows, 32).mean(1)
    if not np.isfinite(losses).all():
        raise DataError(
            f"{model.name}: the loss of {int((~np.isfinite(losses)).sum())} of {count} samples is no number; this checkpoint has diverged or is damaged"
        )
    paths = Pathways(weights=routing.weights, anchors=routing.anchors, tau=options["tau"])
    pairs = sampled_pairs(count, options["pairs"], seed)
    values: dict[str, float] = {
        "distance": paths.distance(pairs),
        "list_length": float(paths.lengths.mean()),
        "entropy": float(paths.entropy.mean()),
        "loss": float(losses.mean()),
    }
    notes = []
    if len(routers) > 1:
        found, lost = _smoothness(paths)
        cosines = paths.mean_cos[np.isfinite(paths.mean_cos)]
        values |= ({} if not len(cosines) else {"mean_cos": float(cosines.mean())}) | ({} if found is None else {"smoothness": found})
        if lost:
            notes.append(f"{lost} of {count} samples have no smoothness: no two neighbouring layers point the same way.")
    else:
        notes.append("The model has one MoE layer: smoothness compares neighbouring layers and is left out.")
    return {
        "values": values, "layers": paths.layer_distance(pairs).tolist(), "losses": losses.tolist(), "notes": notes, "example": paths.printed(0),
        "facts": {"layers": len(routers), "experts": int(routing.weights.shape[2]), "samples": count, "tokens": length, "routers": routing.said},
    }  # fmt: skip


def _smoothness(paths: Any) -> tuple[float | None, int]:
    """(mean, examples without one)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # counted instead
        values = paths.smoothness
    there = np.isfinite(values)
    return (float(values[there].mean()) if there.any() else None), int((~there).sum())


def _memorized(names: Sequence[str], losses: Sequence[Sequence[float]]) -> list[Record]:
    """Share of the samples that are memorized since each checkpoint, by the paper's threshold; of three checkpoints at least."""
    from genscope.measures.memorization_time import choose_eps, memorization_time

    if len(names) < 3:
        return []
    held, steps = np.array(losses), list(range(len(names)))
    eps = choose_eps(held, steps)
    times = memorization_time(held, steps, eps.value)
    return [
        Record(source=SOURCE, metric="memorized", value=float((times <= place).mean()), unit="fraction", n=len(times), condition=name, step=place, factors={"eps": eps.value}, provenance="loss at most eps from here on, and within 0.05 nats of the last")
        for place, name in enumerate(names)
    ]  # fmt: skip


def _view(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> View:
    import json

    facts = about["facts"]
    names: list[str] = list(facts["checkpoints"])
    value = {(row["metric"], row["step"]): row["value"] for row in rows if row["metric"] != "layer_distance"}
    last = len(names) - 1
    now = value["distance", last]
    sentence = f"Two samples of the text differ in {100 * now:.0f} % of their pathways."
    if last:
        before = value["distance", 0]
        change = (
            "grew more alike" if now < before - 0.005 else "grew less alike" if now > before + 0.005 else "stayed as alike as they were"
        )
        sentence = f"The pathways of the text {change} over {len(names)} checkpoints: they differ in {100 * before:.0f} % at first and in {100 * now:.0f} % at the end."
        inside = {place: value["distance", place] for place in range(1, last)}
        far = max(inside, key=lambda place: abs(inside[place] - (before + now) / 2), default=None)  # the checkpoint furthest from both ends
        if far is not None and not min(before, now) - 0.05 <= inside[far] <= max(before, now) + 0.05:
            sentence += f" Not steadily: {100 * inside[far]:.0f} % at {_short(names)[far]}."
    detail = f"A layer's list has {value['list_length', last]:.1f} of {facts['experts']} experts; routing entropy {value['entropy', last]:.2f} nats of {np.log(facts['experts']):.2f}; loss {value['loss', last]:.2f} nats a token."
    if last:
        detail += f" At first {value['list_length', 0]:.1f} experts and loss {value['loss', 0]:.2f}. Shorter lists alone make distances smaller, and any two trends go together: this is a sign, no proof."
    shown = [name for name in (*SERIES, "memorized") if any((name, place) in value for place in range(last + 1))]
    labels = {**{name: one[0] for name, one in SERIES.items()}, "memorized": "memorized"}
    helps = {**{name: one[2] for name, one in SERIES.items()}, "memorized": "share of the samples whose loss stays low from here on"}
    short = _short(names)
    table = [{"checkpoint": name, **{metric: value.get((metric, place)) for metric in shown}} for place, name in enumerate(short)]
    columns = [Column("checkpoint", "checkpoint"), *[Column(name, labels[name], "number", helps[name]) for name in shown]]
    by_layer = {(json.loads(row["factors"])["layer"], row["step"]): row["value"] for row in rows if row["metric"] == "layer_distance"}
    ends = [("first", 0), ("last", last)] if last else [("last", 0)]
    layers = [{"layer": str(layer), **{word: by_layer[layer, place] for word, place in ends}} for layer in range(facts["layers"])]
    titles = {"first": "first checkpoint", "last": "last checkpoint" if last else "distance"}
    blocks: list[Block] = [
        Facts(
            {
                "text": f"{facts['text']}, {facts['samples']} samples of {facts['tokens']} tokens", "MoE layers": str(facts["layers"]), "experts": str(facts["experts"]), "tau": f"{facts['tau']:g}",
                "routers say": str(facts["routers"]), "a pathway": str(facts["example"])[:120],
            }
        ),
        *([Note(list(about["notes"]))] if about["notes"] else []),
        *_chart(names, value, last),
        Table(columns, table, "Checkpoints, in the order of training", main=True),
        Table([Column("layer", "layer, from 0"), *[Column(word, titles[word], "number") for word, _ in ends]], layers, "Distance by the lists of one layer alone"),
    ]  # fmt: skip
    return View(
        answer=Answer(sentence, detail),
        blocks=blocks,
        facts={name: ", ".join(one) if isinstance(one, list) else str(one) for name, one in facts.items()},
    )


def _short(names: Sequence[str]) -> list[str]:
    """The last part of each name, where these differ: "hf:runs/mine/checkpoint-500" is "checkpoint-500", "hf:a/b?revision=step5" is "step5"."""
    parts = [name.rpartition("revision=")[2].rstrip("/").rpartition("/")[2] for name in names]
    return parts if len(set(parts)) == len(parts) else list(names)


def _chart(names: Sequence[str], value: Mapping[tuple[str, int], float], last: int) -> list[Block]:
    if last < 2:
        return []
    from genscope.pages.study_charts import curves

    points = [
        {"x": place + 1, "y": value[metric, place], "name": SERIES[metric][0]} for metric in ("distance", "smoothness") for place in range(last + 1) if (metric, place) in value
    ]  # fmt: skip
    return [curves(points, title="Pathways over the checkpoints", x="checkpoint", y="", caption="Lower distance: more alike.")]
