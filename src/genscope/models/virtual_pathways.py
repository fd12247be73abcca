"""Virtual pathways of a dense model (experimental): the hidden units of each MLP that an example drives hardest, in the place of experts.

A dense model has no router. Its MLPs have hidden units, and which of them an example uses differs from example to example: mean |h_u| over the example's tokens, the top
share kept and scaled to sum 1, is read as routing weights are. Nothing in the literature says that what holds of experts holds of units; a reviewer of Li, Fan, Zhou 2025
(arXiv 2506.21551) asked for such an analogue.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from genscope.core.errors import ModelError, UsageError
from genscope.models.reading import still
from genscope.models.routers import Routing, families

# B examples, T tokens, L layers, U hidden units


def read_virtual_routing(
    net: nn.Module, tokens: Tensor, mask: Tensor | None = None, *, top: float = 0.05, pattern: str | None = None, chunk: int = 64
) -> Routing:
    """Virtual routing weights of every example of `tokens` (B, T), shape (B, L, U); anchors: what each unit writes into the stream (L, U, D).

    top: share of the units of a layer that are kept for an example, in (0, 1]. pattern: names the linear maps out of the MLPs, such as "model.layers.*.mlp.down_proj";
    by default they are found by their shape. ModelError where there is none, or several sets fit.
    """
    if not 0 < top <= 1:
        raise UsageError(f"top, the share of hidden units that are kept, lies in (0, 1], got {top}")
    if tokens.ndim != 2 or not tokens.numel():
        raise UsageError(f"units are read from tokens of shape (examples, tokens), at least one of each; got {tuple(tokens.shape)}")
    counted = (torch.ones_like(tokens) if mask is None else mask).float()
    if counted.shape != tokens.shape or not bool((counted.sum(1) > 0).all()):
        raise UsageError("the mask has the shape of the tokens, and at least one token of every example counts")
    names = _outward(net, pattern)
    modules = [net.get_submodule(name) for name in names]
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen[name] = given[0].detach()

        return hook

    handles = [module.register_forward_pre_hook(keep(name)) for name, module in zip(names, modules, strict=True)]
    parts, device = [], next(net.parameters()).device
    try:
        with still(net):
            for rows in range(0, len(tokens), chunk):
                ids, real = tokens[rows : rows + chunk].to(device), counted[rows : rows + chunk].to(device)
                net(input_ids=ids, use_cache=False) if hasattr(net, "config") else net(ids)
                parts.append(torch.stack([_shares(seen[name], real, top) for name in names], dim=1))
    finally:
        for handle in handles:
            handle.remove()
    anchors = np.stack([_rows(module) for module in modules])
    return Routing(weights=torch.cat(parts).numpy(), anchors=anchors, names=tuple(names), said="probabilities")


def _shares(hidden: Tensor, real: Tensor, top: float) -> Tensor:
    """(B, U): mean |h| over the tokens that count, the largest kept, summing to 1."""
    driven = (hidden.float().abs().reshape(*real.shape, -1) * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    count = max(1, round(top * driven.shape[-1]))
    kept = torch.zeros_like(driven).scatter_(-1, driven.topk(count, dim=-1).indices, 1.0) * driven
    return (kept / kept.sum(-1, keepdim=True).clamp_min(1e-12)).double().cpu()


def _outward(net: nn.Module, pattern: str | None) -> list[str]:
    """Names of the maps from hidden units to the stream, in the order of the layers: all of one shape; where no pattern names them, those with half as many inputs again as
    outputs, or more.
    """
    sizes = {name: size for name, module in net.named_modules() if (size := _size(module))}
    if pattern is not None:
        chosen = [name for name in sizes if fnmatch.fnmatchcase(name, pattern)]
        if not chosen:
            raise ModelError(f"no linear map of the model is named {pattern!r}. Maps: {', '.join(families(list(sizes)))}")
        if len(shapes := {sizes[name] for name in chosen}) > 1:
            raise ModelError(
                f"the maps named {pattern!r} have different shapes (inputs, outputs): {', '.join(map(str, sorted(shapes)))}; name those of one"
            )
        return chosen
    wide = {name for name, (inputs, outputs) in sizes.items() if inputs >= 1.5 * outputs}
    found = {family: names for family, names in families([f"{name}." for name in sizes if name in wide]).items() if len(names) > 1}
    if len(found) != 1:
        raise ModelError(
            f"{'no' if not found else 'several'} sets of maps out of an MLP were found{': ' + ', '.join(found) if found else ''}; name one by pattern=..., such as model.layers.*.mlp.down_proj"
        )
    return [name.removesuffix(".") for name in next(iter(found.values()))]


def _size(module: nn.Module) -> tuple[int, int] | None:
    """(inputs, outputs) of a linear map: torch's Linear, or the transposed one of GPT-2."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    weight = getattr(module, "weight", None)
    return (weight.shape[0], weight.shape[1]) if type(module).__name__ == "Conv1D" and isinstance(weight, Tensor) else None


def _rows(module: nn.Module) -> np.ndarray:
    weight = module.weight.detach().float().cpu()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    return (weight.T if isinstance(module, nn.Linear) else weight).numpy()
