"""Reading the body of a chat completion: untrusted, of any type anywhere, never a crash."""

from __future__ import annotations

import json
from typing import Any

from genscope.core.reply import Reply
from genscope.core.text import REPLY_CHARACTERS, clean, shorten
from genscope.models.thinking import split_thinking


def read_completion(body: str, dropped: tuple[str, ...] = ()) -> Reply:
    """The reply that a response body holds; a failed one that says why when it holds none.

    Text above 64,000 characters is cut and counts as truncated. A refusal or content filter is a reply with `refused`.
    """
    try:
        held = json.loads(body)
    except (ValueError, RecursionError):
        kind = "an HTML page" if body.lstrip()[:1] == "<" else "no JSON" if body.strip() else "an empty body"
        return Reply(text="", finish="failed", error=f"the server sent {kind}: {shorten(body, 80)!r}", dropped=dropped)
    choice = _first(_get(held, "choices"))
    message = _get(choice, "message")
    if not isinstance(message, dict):
        said = _get(_get(held, "error"), "message")
        return Reply(
            text="", finish="failed", error=f"the server sent no choice{': ' + shorten(str(said), 200) if said else ''}", dropped=dropped
        )
    raw = _text(message.get("content"))
    refusal = _text(message.get("refusal"))
    thinking, answer = split_thinking(clean(raw))
    apart = clean(_text(message.get("reasoning_content")) or _text(message.get("reasoning")))
    ended = _get(choice, "finish_reason")
    cut = ended == "length" or len(raw) > REPLY_CHARACTERS
    return Reply(
        text=answer or clean(refusal), thinking="\n".join(part for part in (apart, thinking) if part), finish="length" if cut else "stop", dropped=dropped,
        refused=bool(refusal) or ended == "content_filter", tokens_in=_count(held, "prompt_tokens"), tokens_out=_count(held, "completion_tokens"),
    )  # fmt: skip


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _text(value: Any) -> str:
    """Content as a text: a string, or a list of parts with "text" in them; anything else is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part) if isinstance(part, str) else _text(_get(part, "text")) for part in value)
    return ""


def _count(held: Any, name: str) -> int:
    value = _get(_get(held, "usage"), name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0
