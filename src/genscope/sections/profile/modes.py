"""How a model is asked: directly, in two stages of thought, or by ranking; and what "auto" means for it."""

from __future__ import annotations

from genscope.core.errors import ModelError
from genscope.core.reply import Message
from genscope.models.model import Model

MODES = ("auto", "direct", "cot", "likelihood")
SYSTEM = Message("system", "You are a helpful AI assistant.")
ANSWER = "The answer is"
"""How a direct reply begins; forced where the model can."""
SMALL = 1_000_000_000
"""Models below this many parameters are asked directly: a chain of thought is of no use to them."""


def resolve_mode(mode: str, model: Model) -> str:
    """The mode that "auto" stands for with this model: cot for endpoints and large local models, direct for small ones and base models."""
    if mode == "likelihood" and "score" not in model.abilities:
        raise ModelError(
            f"mode likelihood needs a model that can score given answers; {model.name} cannot score. Use --mode cot or direct, or a local model"
        )
    if mode != "auto":
        return mode
    parameters = model.describe().parameters
    small = parameters is not None and parameters < SMALL
    return "cot" if "chat" in model.abilities and not small else "direct"
