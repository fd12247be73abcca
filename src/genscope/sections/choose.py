"""Which sections run: those that fit the plan, plus what the user added, minus what they dropped."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from genscope.core.errors import ModelError, UsageError, unknown
from genscope.models.model import Model
from genscope.sections import PROFILE
from genscope.sections.section import ProfilePlan, Section


def table() -> dict[str, str]:
    """Name -> "module:class" of every profile section, those of other packages (entry point group `genscope.sections`) included."""
    return PROFILE | {point.name: point.value for point in entry_points(group="genscope.sections")}


def section(name: str) -> Section:
    """The section of that name; an unknown one is an error with the known."""
    known = table()
    if name not in known:
        raise UsageError(unknown("section", name, known))
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)()


def parse_with(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """`--with NAME[:key=value,...]` as a table of settings.

    >>> parse_with(["scylla:universe=matched,grade=verify", "questions"])
    {'scylla': {'universe': 'matched', 'grade': 'verify'}, 'questions': {}}
    """
    chosen: dict[str, dict[str, str]] = {}
    for text in texts:
        name, _, settings = text.partition(":")
        options = chosen.setdefault(name.strip(), {})
        for setting in filter(None, settings.split(",")):
            key, equals, value = setting.partition("=")
            if not equals or not key.strip():
                raise UsageError(f"--with {text}: {setting!r} is not key=value. Write --with {name}:key=value,key=value")
            options[key.strip()] = value.strip()
    return chosen


def choose(plan: ProfilePlan, model: Model, named: Mapping[str, Mapping[str, str]], dropped: Sequence[str]) -> list[Section]:
    """The sections to run, in the order of the page; each one's needs are checked against the model's abilities before anything is asked."""
    known = table()
    for name in [*named, *dropped]:
        if name not in known:
            raise UsageError(unknown("section", name, known))
    sections = [section(name) for name in known if name not in dropped]
    sections = [one for one in sections if one.name in named or one.fits(plan)]
    if not sections:
        raise UsageError(f"no section is left to run. Known: {', '.join(known)}; drop a --without")
    for one in sections:
        lacking = sorted(one.needs - model.abilities)
        if lacking:
            raise ModelError(
                f"section {one.name} needs a model that can {', '.join(lacking)}; {model.name} can {', '.join(sorted(model.abilities))}. "
                f"Choose another model, or --without {one.name}"
            )
    return sections
