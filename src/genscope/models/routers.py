"""Routers of a mixture-of-experts model: where they are, and the routing weights they give to each example of a batch.

A router is found by the shape of its weight (experts x hidden size), one in each MoE block; where that is ambiguous, by a pattern of the user's. Routing weights are
the softmax over ALL experts, also where the model renormalises its top k, and are averaged over the tokens of an example without padding. Some releases of
transformers return softmaxed values as `router_logits`: non-negative rows that sum to 1 are taken as they are.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from genscope.core.errors import ModelError, UsageError

# B examples, T tokens, L MoE layers, K experts, D hidden size
Said = Literal["logits", "probabilities"]
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts")
"""Where configurations of transformers say how many experts a layer has."""
NAMES = ("gate", "router", "wg", "classifier")
"""What the module that holds a router's weight, or the one around it, is usually called."""
DENSE = (
    "it is a dense model, without experts. Dense alternatives: `--with coherence` (per-example gradients), distance from the initial weights and first-learned "
    "steps in `genscope watch`, and genscope.models.virtual_pathways (experimental, hidden units in the place of experts)"
)


@dataclass(frozen=True, slots=True)
class Router:
    """A router: the name of its weight, the module that holds it, and the weight (K, D)."""

    name: str
    module: nn.Module
    weight: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Routing weights of examples, mean over their tokens (rows sum to 1), the routers' rows, the routers' names, and whether the routers said logits or probabilities."""

    weights: Float[np.ndarray, "B L K"]
    anchors: Float[np.ndarray, "L K D"]
    names: tuple[str, ...]
    said: Said


def find_routers(net: nn.Module, pattern: str | None = None) -> tuple[Router, ...]:
    """The routers in the order of the layers. pattern: overrides the search, such as "model.layers.*.mlp.gate.weight".

    ModelError for a dense model, for several candidates, and for layers that differ in their number of experts.
    """
    matrices = {name: p for name, p in net.named_parameters() if p.ndim == 2}
    if pattern is not None:
        chosen = [name for name in matrices if fnmatch.fnmatchcase(name, pattern)]
        if not chosen:
            raise ModelError(f"no matrix of the model is named {pattern!r}. Matrices: {', '.join(families(matrices))}")
    else:
        chosen = _by_shape(net, matrices)
    found = tuple(Router(name, net.get_submodule(name.rpartition(".")[0]), matrices[name]) for name in chosen)
    shapes = {tuple(one.weight.shape) for one in found}
    if len(shapes) > 1:
        raise ModelError(
            f"the routers have different shapes (experts, hidden size): {', '.join(map(str, sorted(shapes)))}; name some of them by a pattern"
        )
    return found


def _by_shape(net: nn.Module, matrices: Mapping[str, Tensor]) -> list[str]:
    config: Any = getattr(net, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    experts = next((int(value) for name in EXPERTS if isinstance(value := getattr(config, name, None), int)), None)
    hidden = getattr(config, "hidden_size", None)
    if experts is not None and hidden is not None:
        fitting = [name for name, p in matrices.items() if tuple(p.shape) == (experts, hidden)]
    else:
        fitting = [name for name, p in matrices.items() if 1 < p.shape[0] < p.shape[1] and _named(name)]
    found = families(fitting)
    if len(found) > 1:
        found = {family: names for family, names in found.items() if _named(names[0])} or found
    if not found:
        wanted = "named gate or router" if experts is None else f"of shape ({experts}, {hidden})"
        raise ModelError(f"no router: the model has no matrix {wanted} in its blocks; {DENSE}")
    if len(found) > 1:
        raise ModelError(f"several sets of matrices could be the routers: {', '.join(found)}. Choose one by its pattern")
    return next(iter(found.values()))


def _named(name: str) -> bool:
    return any(part in NAMES for part in name.split(".")[-3:-1])


def families(names: Sequence[str] | Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Names of modules or parameters that differ in their numbers only, under the pattern that they share."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(re.sub(r"(?<=\.)\d+(?=\.)", "*", name), []).append(name)
    return found


def as_probabilities(values: Float[Tensor, "N K"]) -> tuple[Float[Tensor, "N K"], Said]:
    """Softmax over all experts in float64, of values that are logits; non-negative rows that sum to 1 (within 1e-3) are probabilities already, and are kept.

    >>> as_probabilities(torch.tensor([[0.0, 0.0]])), as_probabilities(torch.tensor([[0.25, 0.75]]))
    ((tensor([[0.5000, 0.5000]], dtype=torch.float64), 'logits'), (tensor([[0.2500, 0.7500]], dtype=torch.float64), 'probabilities'))
    """
    held = values.double()
    if bool((held >= 0).all()) and bool(((held.sum(-1) - 1).abs() <= 1e-3).all()):
        return held / held.sum(-1, keepdim=True), "probabilities"
    return held.softmax(-1), "logits"


def from_router_logits(
    router_logits: Sequence[Tensor], mask: Tensor, anchors: Float[np.ndarray, "L K D"], names: Sequence[str] = ()
) -> Routing:
    """Routing from what a model returned with output_router_logits=True: L tensors (B x T, K). mask (B, T): 1 where a token counts, 0 for padding."""
    b, t = mask.shape
    rows, said = zip(*(as_probabilities(one.reshape(b * t, -1)) for one in router_logits), strict=True)
    means = torch.stack([_mean_over_tokens(one, mask) for one in rows], dim=1)
    return Routing(weights=means.numpy(), anchors=anchors, names=tuple(names), said=_agreed(said))


def read_routing(
    net: nn.Module, tokens: Tensor, mask: Tensor | None = None, *, routers: Sequence[Router] | None = None, chunk: int = 64
) -> Routing:
    """Routing weights of every example of `tokens` (B, T), in evaluation mode. mask (B, T): 1 where a token counts, 0 for padding (default: all count).

    The net is left as it was (mode, gradients, random state). Reads the routers' own output where it holds all experts, else multiplies what goes in by the weight.
    """
    found = tuple(routers) if routers is not None else find_routers(net)
    if tokens.ndim != 2 or not tokens.numel():
        raise UsageError(f"routing is read from tokens of shape (examples, tokens), at least one of each; got {tuple(tokens.shape)}")
    real = torch.ones_like(tokens) if mask is None else mask
    if real.shape != tokens.shape or not bool((real.sum(1) > 0).all()):
        raise UsageError("the mask has the shape of the tokens, and at least one token of every example counts")
    device, parts, said = found[0].weight.device, [], set()
    with _watched(net, found) as seen:
        for rows in range(0, len(tokens), chunk):
            ids, counted = tokens[rows : rows + chunk].to(device), real[rows : rows + chunk].to(device)
            seen.clear()
            _forward(net, ids, counted if mask is not None else None)
            lost = [one.name for one in found if one.name not in seen]
            if lost:
                raise ModelError(f"the router {lost[0]} was not called in a forward pass; name those that are by a pattern")
            layers = []
            for one in found:
                values, kind = as_probabilities(seen[one.name])
                layers.append(_mean_over_tokens(values, counted))
                said.add(kind)
            parts.append(torch.stack(layers, dim=1).cpu())
    anchors = torch.stack([one.weight.detach().float().cpu() for one in found])
    return Routing(weights=torch.cat(parts).numpy(), anchors=anchors.numpy(), names=tuple(one.name for one in found), said=_agreed(said))


def _forward(net: nn.Module, ids: Tensor, mask: Tensor | None) -> None:
    if hasattr(net, "config"):
        given = {} if mask is None else {"attention_mask": mask}
        net(input_ids=ids, use_cache=False, **given)
    else:
        net(ids)


def _mean_over_tokens(values: Float[Tensor, "N K"], mask: Tensor) -> Float[Tensor, "B K"]:
    b, t = mask.shape
    if values.shape[0] != b * t:
        raise ModelError(
            f"a router saw {values.shape[0]} tokens of a batch of {b} x {t}; models that drop or repeat tokens before routing cannot be read"
        )
    counted = mask.double()
    return (values.reshape(b, t, -1) * counted[..., None]).sum(1) / counted.sum(1)[:, None]


def _agreed(said: Any) -> Said:
    kinds = set(said)
    if len(kinds) > 1:
        raise ModelError("some routers gave logits and others probabilities; read them apart")
    return kinds.pop()


@contextmanager
def _watched(net: nn.Module, routers: Sequence[Router]) -> Iterator[dict[str, Tensor]]:
    """Hooks that keep what each router gives to every token; the net undisturbed otherwise."""
    seen: dict[str, Tensor] = {}

    def keep(router: Router) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
            seen[router.name] = _values(router, given, out)

        return hook

    modes = {module: module.training for module in net.modules()}
    handles = [one.module.register_forward_hook(keep(one)) for one in routers]
    net.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            yield seen
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


def _values(router: Router, given: tuple[Any, ...], out: Any) -> Float[Tensor, "N K"]:
    """A router's values for all experts: its output, or the first of its outputs, that has them, else input times weight. A top-k gate, whose other experts are
    -inf or 0, does not count."""
    k = len(router.weight)
    for one in out if isinstance(out, (tuple, list)) else (out,):
        if isinstance(one, Tensor) and one.shape[-1:] == (k,) and one.is_floating_point() and bool(torch.isfinite(one).all()):
            held = one.detach().reshape(-1, k)
            if not (bool((held >= 0).all()) and bool((held == 0).any())):
                return held
    entered = next((one for one in given if isinstance(one, Tensor) and one.shape[-1] == router.weight.shape[1]), None)
    if entered is None:
        raise ModelError(
            f"the router {router.name} gives no value for all {k} experts, and takes no input of size {router.weight.shape[1]}"
        )
    bias = getattr(router.module, "bias", None)
    return nn.functional.linear(
        entered.detach().reshape(-1, entered.shape[-1]).float(),
        router.weight.detach().float(),
        None if bias is None else bias.detach().float(),
    )
