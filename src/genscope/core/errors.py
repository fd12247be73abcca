"""Errors of genscope: each says what was wrong, the value, what is allowed and what to do next.

The command line prints the message without a traceback and leaves with `exit_code`:
2 usage, 3 a missing extra or missing data, 4 an incomplete run, 130 an interrupt.
"""

from __future__ import annotations

from collections.abc import Iterable


class GenscopeError(Exception):
    """Base of every error that genscope raises on purpose."""

    exit_code = 2


class UsageError(GenscopeError, ValueError):
    """A flag, name or combination that genscope does not know."""


class TaskError(GenscopeError, ValueError):
    """A task, level or instance that cannot be made as asked."""


class DataError(GenscopeError, ValueError):
    """A file or column of the user's that cannot be read as asked."""


class ModelError(GenscopeError, ValueError):
    """A model that cannot be loaded, or cannot do what is asked of it."""


class TrainingError(GenscopeError, ArithmeticError):
    """A training run that went wrong: a loss that is no number, a layer that does not fit."""


class StudyError(GenscopeError, ValueError):
    """A study that cannot be run as asked: splits that overlap, an unknown part."""


class EndpointError(ModelError):
    """A server that refuses, or fails for good, after the retries."""


class StoreError(GenscopeError, OSError):
    """The store cannot be written: no space, no permission."""


class MissingError(GenscopeError, LookupError):
    """An extra that is not installed, or data that is not there."""

    exit_code = 3


class IncompleteError(GenscopeError, RuntimeError):
    """The run stopped cleanly before its end (its budget was spent); the same command resumes it."""

    exit_code = 4


def missing_extra(what: str, extra: str) -> MissingError:
    """The error for a feature whose extra is not installed.

    >>> print(missing_extra("This model runs on transformers", "hf"))
    This model runs on transformers. Install it with: pip install "genscope[hf]"
    """
    return MissingError(f'{what}. Install it with: pip install "genscope[{extra}]"')


def unknown(kind: str, value: str, allowed: Iterable[str]) -> str:
    """Message for a name that is not known, with the nearest ones that are.

    >>> unknown("task", "two_sums", ["two_sum", "sort_numbers"])
    "unknown task 'two_sums'. Did you mean two_sum? Known: two_sum, sort_numbers."
    """
    from rapidfuzz import fuzz, process

    names = list(allowed)
    near = [name for name, score, _ in process.extract(value.lower(), names, scorer=fuzz.WRatio, limit=3) if score >= 70]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"unknown {kind} {value!r}.{hint} Known: {', '.join(names)}."
