"""Chat turns made fit for a model: its own system text, or none, or merged into the first user turn."""

from __future__ import annotations

from collections.abc import Sequence

from genscope.core.reply import Message


def with_system(messages: Sequence[Message], system: str | None) -> list[Message]:
    """The messages with the system text replaced (or dropped, by "none"); None leaves them as they are."""
    if system is None:
        return list(messages)
    rest = [message for message in messages if message.role != "system"]
    return rest if system == "none" else [Message("system", system), *rest]


def merged_system(messages: Sequence[Message]) -> list[Message]:
    """For models that take no system turn: its text goes before the first user message."""
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    return [Message(m.role, f"{system}\n\n{m.content}") if place == 0 and system else m for place, m in enumerate(rest)]
