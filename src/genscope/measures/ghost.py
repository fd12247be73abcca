"""Ghost norms: squared norms of per-example gradients from one backward pass, without the gradients (Goodfellow 2015; Li et al. 2022).

A linear layer with inputs A (T x in) and output gradients E (T x out) of one example has |E'A|^2 = sum over t, t' of (A A')(E E'); it costs T^2 (in + out) and
is used while 2 T^2 < in * out, else the layer's gradient is made and dropped. An embedding sums E_t . E_t' over positions with the same token. Where a
matrix serves both (tied embeddings) the cross term 2 sum P_{t, token(t')} (H_t . E_t') is added. Every other layer is made explicitly, by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.errors import UsageError

# B examples, T positions, I inputs, O outputs


@dataclass(slots=True)
class _Call:
    """One call of a module: its input, and the gradient of its output once the backward pass has been there."""

    given: Tensor
    slope: Tensor | None = None


@dataclass(slots=True)
class _Calls:
    """All calls of a module in one forward pass."""

    name: str
    module: nn.Module
    own: dict[str, str]
    """Parameter's name in the module -> its name in the net."""
    made: list[_Call] = field(default_factory=list)
    listening: bool = True


class Ghost:
    """Watches the layers of a net while it is used as a context; after each backward pass of a sum of losses it can be asked once, and forgets."""

    def __init__(self, net: nn.Module, names: Mapping[str, nn.Parameter]) -> None:
        places = {id(p): name for name, p in names.items()}
        self._layers: list[_Calls] = []
        for name, module in net.named_modules(remove_duplicate=True):
            own = {key: places[id(p)] for key, p in module.named_parameters(recurse=False) if id(p) in places}
            if own:
                self._layers.append(_Calls(name, module, own))
        unsupported = [layer.name for layer in self._layers if any(True for _ in layer.module.children())]
        if unsupported:
            raise UsageError(
                f"layers with parameters of their own around other layers have no ghost norm: {', '.join(unsupported[:5])}. Use engine vmap or loop"
            )
        self._hooks: list[Any] = []

    def __enter__(self) -> Ghost:
        for layer in self._layers:
            self._hooks.append(layer.module.register_forward_hook(self._watch(layer)))
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    @staticmethod
    def _watch(layer: _Calls) -> Any:
        def seen(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
            if not isinstance(out, Tensor) or not given or not isinstance(given[0], Tensor):
                raise UsageError(f"layer {layer.name}: ghost norms need one tensor in and one out. Use engine vmap or loop")
            if not out.requires_grad or not layer.listening:
                return
            call = _Call(given[0].detach())
            layer.made.append(call)
            out.register_hook(lambda slope: setattr(call, "slope", slope.detach()))

        return seen

    def squared_norms(self, b: int) -> dict[str, Tensor]:
        """|g_z|^2 of every example (float64), by module; the cross terms of tied matrices stand with the first module that holds them."""
        found: dict[str, Tensor] = {}
        holders: dict[str, list[_Calls]] = {}
        for layer in self._layers:
            if not layer.made:
                continue
            found[layer.name] = self._of_layer(layer, b).cpu()
            for name in layer.own.values():
                holders.setdefault(name, []).append(layer)
        for name, layers in holders.items():
            for k, one in enumerate(layers):
                for other in layers[k + 1 :]:
                    found[one.name] = found[one.name] + 2 * _cross(name, one, other, b).cpu()
        self._forget()
        return found

    def dots(self, mean: Mapping[str, Tensor], b: int) -> Tensor:
        """g_z . mean of every example (float64)."""
        total = torch.zeros(b, dtype=torch.float64)
        for layer in self._layers:
            for call in layer.made:
                if call.slope is not None:
                    total += _dot(layer, call, mean, b).double().cpu()
        self._forget()
        return total

    def _forget(self) -> None:
        for layer in self._layers:
            layer.made.clear()

    @staticmethod
    def _of_layer(layer: _Calls, b: int) -> Tensor:
        calls = [call for call in layer.made if call.slope is not None]
        if not calls:
            return torch.zeros(b, dtype=torch.float64)
        if isinstance(layer.module, nn.Linear):
            return _linear_norms(layer, calls, b)
        if isinstance(layer.module, nn.Embedding):
            tokens_BT, slopes_BTO = _tokens(layer, calls, b)
            same = (tokens_BT[:, :, None] == tokens_BT[:, None, :]).to(slopes_BTO.dtype)
            return (same * (slopes_BTO @ slopes_BTO.transpose(1, 2))).sum((1, 2)).double()
        made = [_made(layer, call, b) for call in calls]
        return torch.stack([torch.stack([one[key] for one in made]).sum(0).double().flatten(1).pow(2).sum(1) for key in layer.own]).sum(0)


def _rows(value: Tensor, b: int, name: str) -> Tensor:
    """(B, T, width) of a layer's input or output gradient, in float32 at least."""
    if value.shape[0] != b:
        raise UsageError(
            f"layer {name}: its first axis has {value.shape[0]} rows for {b} examples; ghost norms need the examples along it. Use engine vmap or loop"
        )
    return value.reshape(b, -1, value.shape[-1]).to(torch.promote_types(value.dtype, torch.float32))


def _linear_parts(layer: _Calls, calls: list[_Call], b: int) -> tuple[Tensor, Tensor]:
    a = torch.cat([_rows(call.given, b, layer.name) for call in calls], 1)
    e = torch.cat([_rows(call.slope, b, layer.name) for call in calls if call.slope is not None], 1)
    return a, e


def _linear_norms(layer: _Calls, calls: list[_Call], b: int) -> Tensor:
    a_BTI, e_BTO = _linear_parts(layer, calls, b)
    t = a_BTI.shape[1]
    found = torch.zeros(b, dtype=torch.float64, device=a_BTI.device)
    if "weight" in layer.own:
        if t == 1:
            found += a_BTI.double().pow(2).sum((1, 2)) * e_BTO.double().pow(2).sum((1, 2))
        elif 2 * t * t < a_BTI.shape[2] * e_BTO.shape[2]:
            found += ((a_BTI @ a_BTI.transpose(1, 2)) * (e_BTO @ e_BTO.transpose(1, 2))).double().sum((1, 2))
        else:
            found += (e_BTO.transpose(1, 2) @ a_BTI).double().pow(2).sum((1, 2))
    if "bias" in layer.own:
        found += e_BTO.sum(1).double().pow(2).sum(1)
    return found


def _tokens(layer: _Calls, calls: list[_Call], b: int) -> tuple[Tensor, Tensor]:
    tokens = torch.cat([call.given.reshape(b, -1) for call in calls], 1)
    slopes = torch.cat([_rows(call.slope, b, layer.name) for call in calls if call.slope is not None], 1)
    padding = getattr(layer.module, "padding_idx", None)
    if padding is not None:
        slopes = slopes * (tokens != padding)[:, :, None]
    return tokens, slopes


def _made(layer: _Calls, call: _Call, b: int) -> dict[str, Tensor]:
    """The layer's own per-example gradients, from its input and output gradient alone."""
    parameters = {key: p.detach() for key, p in layer.module.named_parameters(recurse=False) if key in layer.own}

    def value(own: dict[str, Tensor], given: Tensor, slope: Tensor) -> Tensor:
        return (torch.func.functional_call(layer.module, own, (given.unsqueeze(0),)) * slope.unsqueeze(0)).sum()

    if call.slope is None or call.given.shape[0] != b:
        raise UsageError(f"layer {layer.name}: ghost norms need the examples along the first axis. Use engine vmap or loop")
    layer.listening = False
    try:
        return torch.func.vmap(torch.func.grad(value), in_dims=(None, 0, 0))(parameters, call.given, call.slope)
    finally:
        layer.listening = True


def _cross(name: str, one: _Calls, other: _Calls, b: int) -> Tensor:
    """<g from one module, g from the other> of a matrix that both use."""
    calls = [[call for call in layer.made if call.slope is not None] for layer in (one, other)]
    if not calls[0] or not calls[1]:
        return torch.zeros(b, dtype=torch.float64)
    kinds = (type(one.module), type(other.module))
    if isinstance(one.module, nn.Embedding) and isinstance(other.module, nn.Linear):
        tokens_BT, slopes_BTI = _tokens(one, calls[0], b)
        heads_BSI, logits_BSV = _linear_parts(other, calls[1], b)
        picked_BST = logits_BSV.gather(2, tokens_BT[:, None, :].expand(-1, logits_BSV.shape[1], -1))
        return (picked_BST * (heads_BSI @ slopes_BTI.transpose(1, 2))).double().sum((1, 2))
    if isinstance(one.module, nn.Linear) and isinstance(other.module, nn.Embedding):
        return _cross(name, other, one, b)
    if isinstance(one.module, nn.Linear) and isinstance(other.module, nn.Linear):
        (a, e), (c, f) = _linear_parts(one, calls[0], b), _linear_parts(other, calls[1], b)
        return ((a @ c.transpose(1, 2)) * (e @ f.transpose(1, 2))).double().sum((1, 2))
    raise UsageError(
        f"parameter {name} is shared by a {kinds[0].__name__} and a {kinds[1].__name__}; ghost norms know linear layers and embeddings. Use engine vmap or loop"
    )


def _dot(layer: _Calls, call: _Call, mean: Mapping[str, Tensor], b: int) -> Tensor:
    """g_z . mean over one call's parameters."""
    if isinstance(layer.module, nn.Linear):
        a_BTI, e_BTO = _linear_parts(layer, [call], b)
        found = torch.zeros(b, device=a_BTI.device)
        if "weight" in layer.own:
            found = found + ((a_BTI @ mean[layer.own["weight"]].float().T) * e_BTO).sum((1, 2))
        if "bias" in layer.own:
            found = found + e_BTO.sum(1) @ mean[layer.own["bias"]].float()
        return found
    if isinstance(layer.module, nn.Embedding):
        tokens_BT, slopes_BTO = _tokens(layer, [call], b)
        return (mean[layer.own["weight"]].float()[tokens_BT] * slopes_BTO).sum((1, 2))
    made = _made(layer, call, b)
    return torch.stack([made[key].float().flatten(1) @ mean[name].float().flatten() for key, name in layer.own.items()]).sum(0)
