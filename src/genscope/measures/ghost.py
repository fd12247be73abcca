"""Ghost norms: squared norms of per-example gradients from one backward pass, without the gradients (Goodfellow 2015; Li et al. 2022).

A linear layer with inputs A (T x in) and output gradients E (T x out) of one example has |E'A|^2 = sum over t, t' of (A A')(E E'); it costs T^2 (in + out) and
is used while 2 T^2 < in * out, else the layer's gradient is made and dropped. An embedding sums E_t . E_t' over positions with the same token. Where a
matrix serves both (tied embeddings) the cross term 2 sum P_{t, token(t')} (H_t . E_t') is added. Every other layer is made explicitly, by itself.
"""

from __future__ import annotations

from collections import Counter
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
    from_below: bool = False
    """Whether the input depends on trained parameters."""
    slope: Tensor | None = None

    def drop(self) -> None:
        """Let go of both: the hook that holds this call lives as long as the graph, which would otherwise keep every layer's gradients to the end."""
        self.given, self.slope = self.given.new_empty(0), None


@dataclass(slots=True)
class _Calls:
    """All calls of a module in one forward pass."""

    name: str
    module: nn.Module
    own: dict[str, str]
    """Parameter's name in the module -> its name in the net."""
    alone: bool
    """No other module holds one of its parameters."""
    made: list[_Call] = field(default_factory=list)
    found: Tensor | None = None
    total: Tensor | None = None
    """The weight's gradient summed over the examples, where it is made here and not by the backward pass."""
    listening: bool = True


class Ghost:
    """Watches the layers of a net while it is used as a context: `expect`, then one forward and backward pass of a sum of losses, then `squared_norms` or
    `dots`. A layer's part is computed while the backward pass is there, so that no output gradient is kept (but for layers that are called twice or share a matrix).
    """

    def __init__(self, net: nn.Module, names: Mapping[str, nn.Parameter]) -> None:
        places = {id(p): name for name, p in names.items()}
        self._layers: list[_Calls] = []
        for name, module in net.named_modules(remove_duplicate=True):
            own = {key: places[id(p)] for key, p in module.named_parameters(recurse=False) if id(p) in places}
            if own:
                self._layers.append(_Calls(name, module, own, True))
        unsupported = [layer.name for layer in self._layers if any(True for _ in layer.module.children())]
        if unsupported:
            raise UsageError(
                f"layers with parameters of their own around other layers have no ghost norm: {', '.join(unsupported[:5])}. Use engine vmap or loop"
            )
        holders = Counter(name for layer in self._layers for name in set(layer.own.values()))
        for layer in self._layers:
            layer.alone = all(holders[name] == 1 for name in layer.own.values())
        self._hooks: list[Any] = []
        self._b = 0
        self._mean: Mapping[str, Tensor] | None = None

    def __enter__(self) -> Ghost:
        for layer in self._layers:
            self._hooks.append(layer.module.register_forward_hook(self._watch(layer)))
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def expect(self, b: int, mean: Mapping[str, Tensor] | None = None) -> None:
        """The next pass has b examples; it is asked for g_z . mean of each where a mean is given, for |g_z|^2 otherwise."""
        self._b, self._mean = b, mean
        for layer in self._layers:
            layer.made.clear()
            layer.found = layer.total = None

    def spared(self) -> frozenset[str]:
        """After the forward pass: the weights whose gradients the backward pass need not make, because nobody asks for them (dots) or `totals` will have them:
        per-example gradients that are made a few at a time in the processor's cache give norm and sum at once, for the work of the sum alone.
        """
        chosen = _passed_by if self._mean is not None else _in_cache
        return frozenset(layer.own["weight"] for layer in self._layers if chosen(layer))

    def totals(self) -> dict[str, Tensor]:
        """The gradients of the weights in `spared`; ask before `squared_norms`."""
        return {layer.own["weight"]: layer.total for layer in self._layers if layer.total is not None}

    def _watch(self, layer: _Calls) -> Any:
        def seen(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
            if not isinstance(out, Tensor) or not given or not isinstance(given[0], Tensor):
                raise UsageError(f"layer {layer.name}: ghost norms need one tensor in and one out. Use engine vmap or loop")
            if not out.requires_grad or not layer.listening:
                return
            call = _Call(given[0].detach(), given[0].requires_grad)
            layer.made.append(call)
            out.register_hook(lambda slope: self._arrived(layer, call, slope.detach()))

        return seen

    def _arrived(self, layer: _Calls, call: _Call, slope: Tensor) -> None:
        call.slope = slope
        with torch.no_grad():
            if self._mean is not None:
                part = _dot(layer, call, self._mean, self._b).double()
                layer.found = part if layer.found is None else layer.found + part
            elif layer.alone and len(layer.made) == 1:
                layer.found = _few_at_a_time(layer, call, self._b) if _in_cache(layer) else _of_layer(layer, [call], self._b)
            else:
                return
        layer.made.remove(call)
        call.drop()

    def squared_norms(self) -> dict[str, Tensor]:
        """|g_z|^2 of every example (float64), by module; the cross terms of tied matrices stand with the first module that holds them."""
        found: dict[str, Tensor] = {}
        holders: dict[str, list[_Calls]] = {}
        for layer in self._layers:
            if layer.found is not None:
                found[layer.name] = layer.found.cpu()
            elif layer.made:
                calls = [call for call in layer.made if call.slope is not None]
                found[layer.name] = (_of_layer(layer, calls, self._b) if calls else torch.zeros(self._b, dtype=torch.float64)).cpu()
                for name in layer.own.values():
                    holders.setdefault(name, []).append(layer)
        for name, layers in holders.items():
            for k, one in enumerate(layers):
                for other in layers[k + 1 :]:
                    found[one.name] = found[one.name] + 2 * _cross(name, one, other, self._b).cpu()
        self.expect(0)
        return found

    def dots(self) -> Tensor:
        """g_z . mean of every example (float64)."""
        parts = [layer.found.cpu() for layer in self._layers if layer.found is not None]
        total = torch.stack(parts).sum(0) if parts else torch.zeros(self._b, dtype=torch.float64)
        self.expect(0)
        return total


CACHED = 2**17
"""Numbers in the largest weight whose per-example gradients are made a few at a time (0.5 MB each)."""


def _passed_by(layer: _Calls) -> bool:
    """Whether the backward pass comes by a linear layer even when nobody asks for its weight: for its bias, or on its way to layers below."""
    linear = isinstance(layer.module, nn.Linear) and layer.alone and "weight" in layer.own and bool(layer.made)
    return linear and ("bias" in layer.own or all(call.from_below for call in layer.made))


def _in_cache(layer: _Calls) -> bool:
    """Whether a linear layer's per-example gradients are made a few at a time, and the backward pass is spared their sum."""
    if not _passed_by(layer) or len(layer.made) != 1:
        return False
    given = layer.made[0].given
    return given.ndim > 2 and given.dtype == torch.float32 and sum(p.numel() for p in layer.module.parameters()) <= CACHED


def _few_at_a_time(layer: _Calls, call: _Call, b: int) -> Tensor:
    """|g_z|^2 of a linear layer from its per-example gradients, which are summed into `layer.total` and dropped."""
    a_BTI, e_BTO = _linear_parts(layer, [call], b)
    few = max(1, 2 * CACHED // (a_BTI.shape[2] * e_BTO.shape[2]))
    total, found = torch.zeros(e_BTO.shape[2], a_BTI.shape[2], device=a_BTI.device), []
    for start in range(0, b, few):
        g_FOI = e_BTO[start : start + few].transpose(1, 2) @ a_BTI[start : start + few]
        found.append(torch.linalg.vector_norm(g_FOI.flatten(1), dim=1))
        total += g_FOI.sum(0)
    layer.total = total
    norms = torch.cat(found).double().pow(2)
    return norms + _square(e_BTO.sum(1)) if "bias" in layer.own else norms


def _of_layer(layer: _Calls, calls: list[_Call], b: int) -> Tensor:
    """|g_z|^2 of a layer's own parameters over all its calls (float64)."""
    if isinstance(layer.module, nn.Linear):
        return _linear_norms(layer, calls, b)
    if isinstance(layer.module, nn.Embedding):
        return _embedding_norms(*_tokens(layer, calls, b))
    made = [_made(layer, call, b) for call in calls]
    return torch.stack([_square(sum((one[key] for one in made[1:]), made[0][key])) for key in layer.own]).sum(0)


def _square(value: Tensor) -> Tensor:
    """Squared length of every row (float64)."""
    return torch.linalg.vector_norm(value.flatten(1), dim=1).double().pow(2)


def _rows(value: Tensor, b: int, name: str) -> Tensor:
    """(B, T, width) of a layer's input or output gradient, in float32 at least."""
    if value.shape[0] != b:
        raise UsageError(
            f"layer {name}: its first axis has {value.shape[0]} rows for {b} examples; ghost norms need the examples along it. Use engine vmap or loop"
        )
    return value.reshape(b, -1, value.shape[-1]).to(torch.promote_types(value.dtype, torch.float32))


def _linear_parts(layer: _Calls, calls: list[_Call], b: int) -> tuple[Tensor, Tensor]:
    a = [_rows(call.given, b, layer.name) for call in calls]
    e = [_rows(call.slope, b, layer.name) for call in calls if call.slope is not None]
    return _joined(a), _joined(e)


def _joined(parts: list[Tensor]) -> Tensor:
    """Calls one behind the other along the positions; a single one is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _linear_norms(layer: _Calls, calls: list[_Call], b: int) -> Tensor:
    a_BTI, e_BTO = _linear_parts(layer, calls, b)
    t = a_BTI.shape[1]
    if t == 1:
        slope_sq = _square(e_BTO)
        return slope_sq * (_square(a_BTI) * ("weight" in layer.own) + ("bias" in layer.own))
    found = torch.zeros(b, dtype=torch.float64, device=a_BTI.device)
    if "weight" in layer.own:
        if 2 * t * t < a_BTI.shape[2] * e_BTO.shape[2]:
            found += _inner(a_BTI @ a_BTI.transpose(1, 2), e_BTO @ e_BTO.transpose(1, 2))
        else:
            found += _square(e_BTO.transpose(1, 2) @ a_BTI)
    if "bias" in layer.own:
        found += _square(e_BTO.sum(1))
    return found


def _inner(one: Tensor, two: Tensor) -> Tensor:
    """Inner product of every row of one with that of two (float64)."""
    return torch.linalg.vecdot(one.flatten(1), two.flatten(1)).double()


def _embedding_norms(tokens_BT: Tensor, slopes_BTO: Tensor) -> Tensor:
    ordered = tokens_BT.sort(1).values
    if not (ordered[:, 1:] == ordered[:, :-1]).any():
        return _square(slopes_BTO)
    same = (tokens_BT[:, :, None] == tokens_BT[:, None, :]).to(slopes_BTO.dtype)
    return _inner(same, slopes_BTO @ slopes_BTO.transpose(1, 2))


def _tokens(layer: _Calls, calls: list[_Call], b: int) -> tuple[Tensor, Tensor]:
    tokens = _joined([call.given.reshape(b, -1) for call in calls])
    slopes = _joined([_rows(call.slope, b, layer.name) for call in calls if call.slope is not None])
    padding = getattr(layer.module, "padding_idx", None)
    if padding is not None:
        slopes = slopes * (tokens != padding)[:, :, None]
    return tokens, slopes


def _made(layer: _Calls, call: _Call, b: int) -> dict[str, Tensor]:
    """The layer's own per-example gradients, from its input and output gradient alone."""
    if call.slope is None or call.given.shape[0] != b:
        raise UsageError(f"layer {layer.name}: ghost norms need the examples along the first axis. Use engine vmap or loop")
    module, slope_B = layer.module, call.slope
    if isinstance(module, nn.LayerNorm) and call.given.ndim > 1 + len(module.normalized_shape):
        normal = nn.functional.layer_norm(call.given, module.normalized_shape, None, None, module.eps)
        across = tuple(range(1, call.given.ndim - len(module.normalized_shape)))
        each = {"weight": lambda: (normal * slope_B).sum(across), "bias": lambda: slope_B.sum(across)}
        return {key: each[key]() for key in layer.own}
    parameters = {key: p.detach() for key, p in module.named_parameters(recurse=False) if key in layer.own}

    def value(own: dict[str, Tensor], given: Tensor, slope: Tensor) -> Tensor:
        return (torch.func.functional_call(module, own, (given.unsqueeze(0),)) * slope.unsqueeze(0)).sum()

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
        return _inner(picked_BST, heads_BSI @ slopes_BTI.transpose(1, 2))
    if isinstance(one.module, nn.Linear) and isinstance(other.module, nn.Embedding):
        return _cross(name, other, one, b)
    if isinstance(one.module, nn.Linear) and isinstance(other.module, nn.Linear):
        (a, e), (c, f) = _linear_parts(one, calls[0], b), _linear_parts(other, calls[1], b)
        return _inner(a @ c.transpose(1, 2), e @ f.transpose(1, 2))
    raise UsageError(
        f"parameter {name} is shared by a {kinds[0].__name__} and a {kinds[1].__name__}; ghost norms know linear layers and embeddings. Use engine vmap or loop"
    )


def _dot(layer: _Calls, call: _Call, mean: Mapping[str, Tensor], b: int) -> Tensor:
    """g_z . mean over one call's parameters."""
    if isinstance(layer.module, nn.Linear):
        a_BTI, e_BTO = _linear_parts(layer, [call], b)
        found = torch.zeros(b, device=a_BTI.device)
        if "weight" in layer.own:
            found = found + ((a_BTI @ mean[layer.own["weight"]].to(a_BTI.dtype).T) * e_BTO).sum((1, 2))
        if "bias" in layer.own:
            found = found + e_BTO.sum(1) @ mean[layer.own["bias"]].to(e_BTO.dtype)
        return found
    if isinstance(layer.module, nn.Embedding):
        tokens_BT, slopes_BTO = _tokens(layer, [call], b)
        return (mean[layer.own["weight"]].to(slopes_BTO.dtype)[tokens_BT] * slopes_BTO).sum((1, 2))
    made = _made(layer, call, b)
    exact = {key: torch.promote_types(one.dtype, torch.float32) for key, one in made.items()}
    return torch.stack([made[key].to(exact[key]).flatten(1) @ mean[name].to(exact[key]).flatten() for key, name in layer.own.items()]).sum(
        0
    )
