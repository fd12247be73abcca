"""The training loop for classifiers: minibatches by index from one tensor, shuffled every epoch. It knows neither the net nor the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from genscope.core.errors import TrainingError
from genscope.core.seeds import Seed
from genscope.models.nets import generator
from genscope.training.recipe import Optimizer, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained net in evaluation mode, with how far it got: updates made, loss (nats) and accuracy on the whole training set, and these at each check."""

    net: nn.Module
    updates: int
    loss: float
    accuracy: float
    curve: list[dict[str, float]] = field(default_factory=list)


def train(recipe: Recipe, x: Tensor, y: Tensor, weights: Mapping[str, Tensor] | None = None) -> Trained:
    """Train by the recipe on rows x with classes y, from `weights` or new ones. TrainingError when the loss is no longer a number."""
    net = recipe.net.build(recipe.seed.child("weights")).train()
    if weights is not None:
        net.load_state_dict(weights)
    optimizer = make_optimizer(recipe.optimizer, list(net.parameters()))
    order, noise = generator(recipe.seed.child("order")), generator(recipe.seed.child("adversary"))
    curve: list[dict[str, float]] = []
    done, places, start = 0, torch.empty(0, dtype=torch.long), 0
    while done < recipe.updates:
        if start + recipe.batch > len(places):
            places, start = torch.randperm(len(x), generator=order), 0
        chosen = places[start : start + recipe.batch]
        start += recipe.batch
        x_batch, y_batch = x[chosen], y[chosen]
        if recipe.adversary is not None:
            scale = min(1.0, done / max(1.0, recipe.ramp * recipe.updates))
            x_batch = x_batch + recipe.adversary.delta(net, x_batch, y_batch, scale=scale, generator=noise)
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x_batch), y_batch).backward()
        optimizer.step()
        done += 1
        if done % recipe.stop.every == 0 or done == recipe.updates:
            loss, accuracy = evaluate(net, x, y)
            curve.append({"updates": done, "loss": loss, "accuracy": accuracy})
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the training loss is {loss} after {done} updates (learning rate {recipe.optimizer.lr}); a smaller one may do"
                )
            if _reached(recipe, loss, accuracy, done):
                break
    loss, accuracy = (curve[-1]["loss"], curve[-1]["accuracy"]) if curve else evaluate(net, x, y)
    return Trained(net=net.eval(), updates=done, loss=loss, accuracy=accuracy, curve=curve)


def follow(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    batch: int,
    steps: int,
    seed: Seed,
    update: Callable[[Tensor, Tensor], None],
    look: Callable[[int], bool],
    at: Sequence[int],
) -> int:
    """Training that is watched: `update(x, y)` makes one step on a minibatch, `look(step)` is called before step 0 and after every step in `at`, and ends the
    training by returning True. Minibatches of one epoch share no row and the last, smaller one is left out. Returns the steps made.
    """
    order, watched = generator(seed.child("order")), set(at)
    places, start = torch.empty(0, dtype=torch.long), 0
    if 0 in watched and look(0):
        return 0
    for step in range(1, steps + 1):
        if start + batch > len(places):
            places, start = torch.randperm(len(x), generator=order), 0
        chosen = places[start : start + batch]
        start += batch
        update(x[chosen], y[chosen])
        if step in watched and look(step):
            return step
    return steps


def checkpoints(steps: int, every_until: int = 50, count: int = 80) -> list[int]:
    """Steps to look at: each one up to `every_until`, then about evenly on a log scale up to `steps`, `count` in all; 0 and `steps` are among them."""
    head = list(range(min(every_until, steps) + 1))
    rest = max(0, count - len(head))
    tail = [round(every_until * (steps / every_until) ** (k / rest)) for k in range(1, rest + 1)] if steps > every_until else []
    return sorted({*head, *tail, steps})


def _reached(recipe: Recipe, loss: float, accuracy: float, done: int) -> bool:
    if recipe.adversary is not None and done < recipe.ramp * recipe.updates:
        return False
    below, at_least = recipe.stop.loss_below, recipe.stop.accuracy_at_least
    return (below is not None and loss < below) or (at_least is not None and accuracy >= at_least)


def make_optimizer(what: Optimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of a recipe over these parameters."""
    if what.kind == "adam":
        return torch.optim.Adam(parameters, lr=what.lr, weight_decay=what.weight_decay)
    return torch.optim.SGD(parameters, lr=what.lr, momentum=what.momentum, weight_decay=what.weight_decay)


@torch.no_grad()
def evaluate(net: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy; leaves the net's mode as it was."""
    logits = logits_of(net, x)
    return float(nn.functional.cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean())


@torch.no_grad()
def logits_of(net: nn.Module, x: Tensor, rows: int = 4_096) -> Tensor:
    """Outputs for all rows, computed in pieces, in evaluation mode; the mode is put back."""
    was = net.training
    net.eval()
    out = torch.cat([net(part) for part in x.split(rows)])
    net.train(was)
    return out
