"""Thinking: what a reasoning model writes before its answer is cut out and kept apart."""

from __future__ import annotations

import re

_TAG = r"(?:think|thinking|thought|reasoning)"
_BLOCK = re.compile(rf"<{_TAG}>(.*?)</{_TAG}>", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(rf"<{_TAG}>", re.IGNORECASE)
_CLOSE = re.compile(rf"</{_TAG}>", re.IGNORECASE)


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer). A block that was never closed (cut by the token limit) is thinking to the end; a lone closing tag
    (the chat template had opened it) ends the thinking before it.

    >>> split_thinking("<think>2 + 2</think>The answer is 4.")
    ('2 + 2', 'The answer is 4.')
    >>> split_thinking("so 4</think> 4"), split_thinking("<think>hm")
    (('so 4', '4'), ('hm', ''))
    """
    if "<" not in text:
        return "", text
    parts: list[str] = []
    lone = _CLOSE.search(text)
    first = _OPEN.search(text)
    if lone and (first is None or lone.start() < first.start()):
        parts.append(text[: lone.start()])
        text = text[lone.end() :]
    parts += _BLOCK.findall(text)
    text = _BLOCK.sub(" ", text)
    open_ = _OPEN.search(text)
    if open_:
        parts.append(text[open_.end() :])
        text = text[: open_.start()]
    return ("\n".join(part.strip() for part in parts), text.strip()) if parts else ("", text)
