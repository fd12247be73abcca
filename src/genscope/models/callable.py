"""A Python function as a model: `py:module:function`, text in, text out.

The function receives the last user message as a text; one with a parameter named `messages` receives all turns as a list of
{"role", "content"}. What it raises or returns besides text makes a failed reply, not a crash.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genscope.core.errors import ModelError
from genscope.core.reply import GenerateJob, OnReplies, Reply, Request
from genscope.core.text import REPLY_CHARACTERS, clean, shorten
from genscope.models.model import Description, Model
from genscope.models.thinking import split_thinking
from genscope.models.weights import file_hash


class CallableModel(Model):
    """The user's own function. Its source file is part of the identity: edit it and replies are asked anew."""

    abilities = frozenset({"generate", "sample", "chat"})
    block = 1
    spends = False

    def __init__(self, spec: str) -> None:
        self.name = f"py:{spec}"
        self.function, self.file = _resolve(spec)
        self.takes_messages = "messages" in inspect.signature(self.function).parameters

    def identity(self) -> dict[str, Any]:
        return {"kind": "callable", "version": 1, "name": self.name, "source": file_hash(self.file) if self.file else None}

    def describe(self) -> Description:
        return Description(name=self.name, sentence="A Python function of the user's")

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        for place, job in enumerate(jobs):
            if stop():
                return
            done(place, [self._reply(request) for request in job.requests])

    def _reply(self, request: Request) -> Reply:
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        last = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), request.plain)
        try:
            text = self.function(messages=turns) if self.takes_messages else self.function(last)
        except Exception as error:  # house: any error of the user's own function is a failed reply, named and counted
            return Reply(text="", finish="failed", error=shorten(f"{type(error).__name__}: {error}"))
        if not isinstance(text, str):
            return Reply(text="", finish="failed", error=f"the function returned {type(text).__name__}, not a text")
        thinking, answer = split_thinking(clean(text))
        return Reply(text=answer, thinking=thinking, tokens_out=len(text) // 4, finish="length" if len(text) > REPLY_CHARACTERS else "stop")


def _resolve(spec: str) -> tuple[Callable[..., Any], Path | None]:
    module, _, attribute = spec.partition(":")
    if not module or not attribute:
        raise ModelError(f"py:{spec}: write py:MODULE:FUNCTION, such as py:my_model:answer")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise ModelError(
            f"py:{spec}: cannot import {module!r} ({error}). It is looked for in the current folder and among installed packages"
        ) from error
    function = getattr(loaded, attribute, None)
    if not callable(function):
        known = ", ".join(name for name, value in vars(loaded).items() if callable(value) and not name.startswith("_")) or "none"
        raise ModelError(f"py:{spec}: {module} has no function {attribute!r}. Its functions: {shorten(known, 300)}")
    file = getattr(loaded, "__file__", None)
    return function, Path(file) if file else None
