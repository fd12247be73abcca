"""Lab: where a cell trains. A recipe is carried out once, whoever asks for it, and the trained net is kept in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.store import Store

if TYPE_CHECKING:
    import torch

    from genscope.training.loop import Trained
    from genscope.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Lab:
    """What a study's `run` may use: trained nets by recipe, and anything else that is worth keeping, under keys that hold the code's hash."""

    store: Store
    code: str
    fresh: bool = False

    def train(self, recipe: Recipe, rows: Callable[[Any], tuple[np.ndarray, np.ndarray]]) -> Trained:
        """The net of a recipe, from the store or trained now on `rows(recipe.data)` = (x, y). Of a chain every link is trained once and kept."""
        import torch

        from genscope.training.loop import Trained, train

        def made() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
            start = None if recipe.after is None else self.train(recipe.after, rows).net.state_dict()
            x, y = rows(recipe.data)
            found = train(recipe, torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y)).long(), start)
            about = {"updates": found.updates, "loss": found.loss, "accuracy": found.accuracy, "curve": found.curve}
            return {name: value.numpy() for name, value in found.net.state_dict().items()}, about

        weights, about = self.keep("trained net", recipe.plain(), made)
        net = recipe.net.build(recipe.seed.child("weights"))
        net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        return Trained(net=net.eval(), updates=about["updates"], loss=about["loss"], accuracy=about["accuracy"], curve=about["curve"])

    def keep(
        self, kind: str, parts: Any, make: Callable[[], tuple[dict[str, np.ndarray], dict[str, Any]]]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and facts under a key; made at most once, even when several workers ask at the same time."""
        key = self.store.key(kind, [parts, self.code])
        with self.store.alone(key):
            held = None if self.fresh else self.store.get_arrays(key)
            if held is None:
                self.store.put_arrays(key, *make())
                held = self.store.get_arrays(key)
        if held is None:
            raise OSError(f"the store lost {key} while it was written")
        return held


def predictor(net: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Rows -> logits, as arrays."""
    import torch

    from genscope.training.loop import logits_of

    return lambda x: logits_of(net, torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))).numpy()
