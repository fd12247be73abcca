"""Gradient coherence: how many examples a step on one example helps.

alpha = |mean g|^2 / mean |g|^2 over the per-example gradients g of m examples, in [0, 1]; m-coherence C = m alpha, in [0, m]: 1 when each example
helps only itself, m when all gradients are equal. Source: Chatterjee & Zielinski 2022 (arXiv 2203.10036).

Three engines, which agree: `ghost` (one backward pass a chunk; per-example norms from layer inputs and output gradients, no per-example gradient of a
linear layer is ever stored), `vmap` (torch.func), `loop` (one example after the other).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from genscope.core.errors import TrainingError, UsageError
from genscope.measures.ghost import Ghost

# M examples, B examples of a chunk, P parameters
Data = Mapping[str, Tensor]
"""Named tensors with the examples along the first axis."""
Losses = Callable[[nn.Module, Data], Tensor]
"""The loss of every example of a batch, shape (B,): reduction "none"."""
Engine = Literal["ghost", "vmap", "loop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coherence:
    """Coherence of one set of examples at one point of training.

    alpha in [0, 1], NaN when every gradient is 0 (`converged`); m_coherence = m alpha; mean_sq: mean |g_z|^2; grad_sq: |mean g|^2;
    low, high: 95 % jackknife interval of m_coherence (None without `per_example`); norms_sq: |g_z|^2; dots: g_z . mean g (None unless asked for);
    modules: m-coherence of each module's parameters alone; skipped: parameters that take no gradient.
    """

    alpha: float
    m_coherence: float
    mean_sq: float
    grad_sq: float
    m: int
    converged: bool
    norms_sq: Float[np.ndarray, " M"]
    dots: Float[np.ndarray, " M"] | None = None
    low: float | None = None
    high: float | None = None
    modules: Mapping[str, float]
    skipped: int = 0

    @property
    def noise_scale(self) -> float:
        """B_simple = tr(covariance) / |G|^2 of McCandlish et al. 2018 (plug-in), examples: (m - C) / (C - 1); infinite or negative where C <= 1."""
        return noise_scale(self.m_coherence, self.m)

    @property
    def share(self) -> Float[np.ndarray, " M"]:
        """g_z . mean g / |mean g|^2, mean 1: each example's part of the step."""
        return self._dots() / self.grad_sq

    @property
    def help(self) -> Float[np.ndarray, " M"]:
        """g_z . mean g / |g_z|^2: how much the common step helps an example, of what its own step would; negative: it is hurt. NaN where g_z = 0."""
        return np.divide(self._dots(), self.norms_sq, out=np.full(self.m, np.nan), where=self.norms_sq > 0)

    def _dots(self) -> Float[np.ndarray, " M"]:
        if self.dots is None:
            raise UsageError("per-example coherence was not computed: call coherence(..., per_example=True)")
        return self.dots


def coherence(
    net: nn.Module, losses: Losses, data: Data, *, engine: Engine = "ghost", per_example: bool = False, chunk: int = 256
) -> Coherence:
    """Coherence of the examples in `data` under a net, which is left exactly as it was (mode, gradients, buffers, random state).

    Measured in evaluation mode. Raises where per-example gradients do not exist (BatchNorm in training mode), are not finite, or the loss is already a mean.
    """
    m = _size(data)
    if engine not in ("ghost", "vmap", "loop"):
        raise UsageError(f"engine must be ghost, vmap or loop, got {engine!r}")
    names = {name: p for name, p in net.named_parameters() if p.requires_grad}
    if not names:
        raise UsageError("no parameter of the net takes a gradient")
    _refuse_batch_norm(net)
    with _undisturbed(net):
        total, norms, by_module, dots = (_ghost if engine == "ghost" else _explicit)(net, losses, data, names, chunk, per_example, engine)
    total_sq = {name: float(one.double().pow(2).sum()) for name, one in total.items()}
    norms_sq, grad_sq = norms.numpy(), sum(total_sq.values()) / m**2
    if not np.isfinite(norms_sq).all() or not math.isfinite(grad_sq):
        raise TrainingError(f"{int((~np.isfinite(norms_sq)).sum())} of {m} per-example gradients are not finite")
    mean_sq = float(norms_sq.mean())
    alpha = grad_sq / mean_sq if mean_sq > 0 else float("nan")
    found = None if dots is None else dots.numpy()
    low, high = (None, None) if found is None or mean_sq == 0 else jackknife(norms_sq, found, grad_sq)
    return Coherence(
        alpha=alpha, m_coherence=m * alpha, mean_sq=mean_sq, grad_sq=grad_sq, m=m, converged=mean_sq == 0, norms_sq=norms_sq, dots=found, low=low, high=high,
        modules=_by_module(total_sq, by_module), skipped=sum(not p.requires_grad for p in net.parameters()),
    )  # fmt: skip


def classification(net: nn.Module, batch: Data) -> Tensor:
    """Cross-entropy (nats) of every example; data named x and y."""
    return nn.functional.cross_entropy(net(batch["x"]), batch["y"], reduction="none")


def noise_scale(m_coherence: float, m: int) -> float:
    """(m - C) / (C - 1), examples.

    >>> noise_scale(2.0, 10)
    8.0
    """
    return (m - m_coherence) / (m_coherence - 1) if m_coherence != 1 else math.inf


def invert_batch_coherence(
    alpha_batch: float, k: int, m: int | None = None, *, mean_batch_sq: float | None = None, grad_sq: float | None = None
) -> float:
    """alpha of single examples from mini-batches of k examples (k is the batch's size, not the number of batches).

    Without m: batches drawn independently, alpha = a / (k - (k - 1) a). With m, the mean squared norm of the batch gradients and |mean g|^2: batches that
    partition the same m examples, exact in expectation over partitions.

    >>> invert_batch_coherence(0.5, 10)
    0.09090909090909091
    """
    if k < 1:
        raise UsageError(f"k, the examples of a batch, must be at least 1, got {k}")
    if m is None:
        return alpha_batch / (k - (k - 1) * alpha_batch)
    if mean_batch_sq is None or grad_sq is None:
        raise UsageError("batches that partition m examples need mean_batch_sq and grad_sq")
    if m <= k:
        raise UsageError(f"m must be above k, got m = {m} and k = {k}")
    return grad_sq * (m - k) / (k * (m - 1) * mean_batch_sq - (k - 1) * m * grad_sq)


def jackknife(norms_sq: Float[np.ndarray, " M"], dots: Float[np.ndarray, " M"], grad_sq: float) -> tuple[float | None, float | None]:
    """95 % interval of m-coherence: leave-one-out values are exact from |g_z|^2 and g_z . mean g, without the Gram matrix. On log C where all values are positive."""
    m = len(norms_sq)
    if m < 3:
        return None, None
    total = norms_sq.sum()
    left_sq = m * m * grad_sq - 2 * m * dots + norms_sq  # |sum without z|^2
    rest = total - norms_sq
    if (rest <= 0).any():
        return None, None
    values, whole = left_sq / rest, m * m * grad_sq / total
    logs = bool((values > 0).all() and whole > 0)
    scaled, centre = (np.log(values), math.log(whole)) if logs else (values, whole)
    half = 1.96 * math.sqrt((m - 1) / m * float(((scaled - scaled.mean()) ** 2).sum()))
    low, high = centre - half, centre + half
    return (math.exp(low), math.exp(high)) if logs else (low, high)


def group_shares(share: Float[np.ndarray, " M"], groups: Sequence[Any] | np.ndarray) -> dict[Any, float]:
    """f^p = <g, g^p> / <g, g> of every group: the part of the squared step that comes from it; they sum to 1.

    >>> group_shares(np.array([1.5, 0.5]), ["a", "b"])
    {'a': 0.75, 'b': 0.25}
    """
    labels = np.asarray(groups)
    return {group: float(share[labels == group].sum() / len(share)) for group in dict.fromkeys(labels.tolist())}


def cumulative_help(
    share: Float[np.ndarray, "S M"], grad_sq: Float[np.ndarray, " S"], steps: Sequence[int] | np.ndarray, rows: np.ndarray
) -> Float[np.ndarray, " S"]:
    """i^p_t = (1/|p|) sum over steps up to t of <g, g^p>, with summed gradients g: how much a group's examples were helped so far, each on average.

    share, grad_sq: `Coherence.share` and `.grad_sq` at each measured step; between two of them the trapezoid stands for the steps that were not measured.
    rows: the examples of the group (a mask, or places). 0 at the first step.

    >>> cumulative_help(np.ones((3, 4)), np.full(3, 0.5), [0, 1, 3], np.array([True, True, False, False]))
    array([0., 2., 6.])
    """
    m, at = share.shape[1], np.asarray(steps, float)
    if share.shape[0] != len(at) or len(grad_sq) != len(at):
        raise UsageError(f"{share.shape[0]} rows of shares and {len(grad_sq)} squared gradients for {len(at)} steps")
    mine = share[:, rows]
    if not mine.shape[1]:
        raise UsageError("the group has no example")
    rate = m * np.asarray(grad_sq, float) * mine.mean(1, dtype=float)
    return np.concatenate([[0.0], np.cumsum(np.diff(at) * (rate[1:] + rate[:-1]) / 2)])


def learning_times(correct: Int[np.ndarray, "S M"], steps: Sequence[int]) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """(learnt_first, learnt_last) of every example: the first step at which it is correct, and the first from which it stays so; infinite when never.

    >>> learning_times(np.array([[0, 1], [1, 1], [0, 1], [1, 1]]), [0, 10, 20, 30])
    (array([10.,  0.]), array([30.,  0.]))
    """
    held, at = np.asarray(correct, bool), np.append(np.asarray(steps, float), np.inf)
    if held.shape[0] != len(steps):
        raise UsageError(f"{held.shape[0]} rows of correctness for {len(steps)} steps")
    first = np.where(held.any(0), held.argmax(0), len(steps))
    wrong = ~held
    last = np.where(wrong.any(0), len(steps) - wrong[::-1].argmax(0), 0)
    return at[first], at[last]


def _zeros(names: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """A sum of gradients to begin with, in float32 at least."""
    return {name: torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32)) for name, p in names.items()}


def _size(data: Data) -> int:
    sizes = {name: len(value) for name, value in data.items()}
    if len(set(sizes.values())) != 1:
        raise UsageError(f"every tensor has one row an example, got {sizes}")
    m = next(iter(sizes.values()))
    if m < 2:
        raise UsageError(f"coherence needs at least 2 examples, got {m}")
    return m


def _refuse_batch_norm(net: nn.Module) -> None:
    kinds = (nn.modules.batchnorm._BatchNorm,)
    mixing = [name for name, module in net.named_modules() if isinstance(module, kinds) and module.training]
    if mixing:
        raise UsageError(
            f"BatchNorm in training mode mixes examples, so that per-example gradients do not exist: {', '.join(mixing[:5])}. "
            "Call net.eval() first, or use GroupNorm"
        )


@contextmanager
def _undisturbed(net: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _checked(values: Tensor, b: int) -> Tensor:
    if values.shape != (b,):
        raise UsageError(f'the loss must be one value an example (reduction "none"), shape ({b},); got shape {tuple(values.shape)}')
    return values


_Found = tuple[dict[str, Tensor], Tensor, dict[str, Tensor], Tensor | None]


def _ghost(
    net: nn.Module, losses: Losses, data: Data, names: Mapping[str, nn.Parameter], chunk: int, per_example: bool, engine: str
) -> _Found:
    m, total, norms, by_module = _size(data), _zeros(names), [], {}
    with Ghost(net, names) as ghost:
        for part in _chunks(data, chunk):
            b = _rows(part)
            ghost.expect(b)
            value = _checked(losses(net, part), b).sum()
            slopes = _slopes(value, names, ghost.spared())
            for name, slope in {**slopes, **ghost.totals()}.items():
                if slope is not None:
                    total[name] += slope.to(total[name])
            found = ghost.squared_norms()
            for name, values in found.items():
                by_module.setdefault(name, []).append(values)
            norms.append(sum(found.values()))
        dots = None
        if per_example:
            mean = {name: one / m for name, one in total.items()}
            made = []
            for part in _chunks(data, chunk):
                ghost.expect(_rows(part), mean)
                value = losses(net, part).sum()
                _slopes(value, names, ghost.spared())
                made.append(ghost.dots())
            dots = torch.cat(made)
    return total, torch.cat(norms), {name: torch.cat(values) for name, values in by_module.items()}, dots  # pyright: ignore[reportArgumentType, reportCallIssue]


def _slopes(value: Tensor, names: Mapping[str, nn.Parameter], spared: frozenset[str]) -> dict[str, Tensor | None]:
    """Gradients of a sum of losses with respect to all parameters but the spared ones."""
    asked = {name: p for name, p in names.items() if name not in spared}
    return dict(zip(asked, torch.autograd.grad(value, list(asked.values()), allow_unused=True), strict=True))


def _explicit(
    net: nn.Module, losses: Losses, data: Data, names: Mapping[str, nn.Parameter], chunk: int, per_example: bool, engine: str
) -> _Found:
    m, total, dots = _size(data), _zeros(names), []
    squares: dict[str, list[Tensor]] = {name: [] for name in names}
    for part in _chunks(data, chunk):
        for name, g in per_example_gradients(net, losses, part, engine).items():
            total[name] += g.to(total[name].dtype).sum(0)
            squares[name].append(g.double().flatten(1).pow(2).sum(1))
    norms = {name: torch.cat(values) for name, values in squares.items()}
    if per_example:
        for part in _chunks(data, chunk):
            made = per_example_gradients(net, losses, part, engine)
            dots.append(torch.stack([(g.double().flatten(1) @ (total[name].double().flatten() / m)) for name, g in made.items()]).sum(0))
    return total, torch.stack(list(norms.values())).sum(0), norms, torch.cat(dots) if dots else None


def per_example_gradients(net: nn.Module, losses: Losses, data: Data, engine: str = "vmap") -> dict[str, Float[Tensor, "B ..."]]:
    """The gradient of every example with respect to every parameter that takes one, by name: the slow, explicit way."""
    names = {name: p for name, p in net.named_parameters() if p.requires_grad}
    if engine == "loop":
        made: dict[str, list[Tensor]] = {name: [] for name in names}
        for row in range(_rows(data)):
            value = _checked(losses(net, {k: v[row : row + 1] for k, v in data.items()}), 1).sum()
            for name, slope in zip(names, torch.autograd.grad(value, list(names.values()), allow_unused=True), strict=True):
                made[name].append(torch.zeros_like(names[name]) if slope is None else slope)
        return {name: torch.stack(values) for name, values in made.items()}

    def one(parameters: dict[str, Tensor], example: dict[str, Tensor]) -> Tensor:
        bound = _Bound(net, parameters)
        return _checked(losses(bound, {k: v.unsqueeze(0) for k, v in example.items()}), 1).sum()  # pyright: ignore[reportArgumentType]

    plain = {name: p.detach() for name, p in names.items()}
    return torch.func.vmap(torch.func.grad(one), in_dims=(None, 0))(plain, dict(data))


class _Bound:
    """A net called with other parameters; everything else is the net's."""

    def __init__(self, net: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        self._net, self._parameters = net, parameters

    def __call__(self, *values: Any, **named: Any) -> Any:
        return torch.func.functional_call(self._net, dict(self._parameters), values, named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._net, name)


def _rows(data: Data) -> int:
    return len(next(iter(data.values())))


def _chunks(data: Data, chunk: int) -> Iterator[Data]:
    """The examples in pieces (views)."""
    for start in range(0, _rows(data), chunk):
        yield {name: value[start : start + chunk] for name, value in data.items()}


def _by_module(total_sq: Mapping[str, float], squares: Mapping[str, Tensor]) -> dict[str, float]:
    """m-coherence of each module's parameters: |sum g|^2 / sum |g|^2 over the names below it."""
    numerators: dict[str, float] = {}
    for name, value in total_sq.items():
        place = name.rpartition(".")[0] or name
        numerators[place] = numerators.get(place, 0.0) + value
    denominators: dict[str, float] = {}
    for name, values in squares.items():
        place = name if name in numerators else name.rpartition(".")[0] or name
        denominators[place] = denominators.get(place, 0.0) + float(values.sum())
    return {place: numerators[place] / denominators[place] for place in numerators if denominators.get(place, 0.0) > 0}
