"""System 14: known answers of coherence, agreement of its three engines, robust optimizers against definitions, label noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from genscope.core.errors import TrainingError, UsageError
from genscope.core.seeds import Seed
from genscope.interventions.label_noise import label_noise
from genscope.interventions.median import M3, RA3, RM3, median_of_three
from genscope.interventions.winsorize import WinsorizedSGD, winsorized_mean
from genscope.measures import ghost
from genscope.measures.coherence import (
    Data,
    classification,
    coherence,
    cumulative_help,
    group_shares,
    invert_batch_coherence,
    jackknife,
    learning_times,
    noise_scale,
    per_example_gradients,
)
from genscope.models.nets import MLP

ENGINES = ("ghost", "vmap", "loop")


def dot_loss(net: nn.Module, batch: Data) -> Tensor:
    """Its gradient is the example itself."""
    return net(batch["x"])[:, 0]


def of_gradients(rows: Any, **more: Any) -> Any:
    x = torch.as_tensor(rows, dtype=torch.float32)
    return coherence(nn.Linear(x.shape[1], 1, bias=False), dot_loss, {"x": x}, **more)


@pytest.mark.parametrize("engine", ENGINES)
def test_known_gradients(engine: Any) -> None:
    same = of_gradients([[1.0, 2.0]] * 5, engine=engine)
    assert (same.alpha, same.m_coherence) == (pytest.approx(1.0), pytest.approx(5.0))
    orthogonal = of_gradients(np.diag([1.0, 2.0, 3.0, 4.0]), engine=engine)
    assert orthogonal.m_coherence == pytest.approx(1.0)
    assert orthogonal.alpha == pytest.approx(0.25)
    copies = of_gradients(np.repeat(np.eye(3), 4, axis=0), engine=engine)
    assert copies.m_coherence == pytest.approx(4.0)
    opposed = of_gradients([[1.0, 0.0], [-1.0, 0.0]], engine=engine)
    assert opposed.alpha == pytest.approx(0.0, abs=1e-12)
    nothing = of_gradients(np.zeros((3, 2)), engine=engine)
    assert np.isnan(nothing.alpha)
    assert nothing.converged


def test_fitted_examples_dilute_alpha_by_their_share_and_scale_does_not_matter() -> None:
    rows = Seed("dilute").rng().standard_normal((6, 4))
    alone, diluted = of_gradients(rows), of_gradients(np.vstack([rows, np.zeros((2, 4))]))
    assert diluted.alpha == pytest.approx(0.75 * alone.alpha)
    assert of_gradients(7.0 * rows).alpha == pytest.approx(alone.alpha)


@pytest.mark.parametrize(("shared", "wanted"), [(True, 2.5), (False, 1.0)])
def test_the_papers_linear_example_keeps_its_coherence_through_training(shared: bool, wanted: float) -> None:
    y = torch.tensor([1.0, -1.0, -1.0, 1.0])
    x = torch.zeros(4, 6)
    x[range(4), range(4)] = y
    x[:, 5] = y if shared else 0.0
    net = nn.Linear(6, 1, bias=False)
    nn.init.zeros_(net.weight)
    squared = lambda net, batch: 0.5 * (batch["y"] - net(batch["x"])[:, 0]) ** 2  # noqa: E731
    test_row, test_label = torch.tensor([[0, 0, 0, 0, -1.0, -1.0 if shared else 0.0]]), -1.0
    for _ in range(20):
        assert coherence(net, squared, {"x": x, "y": y}).m_coherence == pytest.approx(wanted, rel=1e-5)
        squared(net, {"x": x, "y": y}).mean().backward()
        with torch.no_grad():
            net.weight -= 0.5 * net.weight.grad
            net.weight.grad = None
    assert (float(net(test_row).detach()) * test_label > 0.5) is shared


class Small(nn.Module):
    """A tied language model with attention, layer norm and dropout."""

    def __init__(self, tied: bool = True, vocabulary: int = 11, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(6, width)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.places(torch.arange(tokens.shape[1]).expand_as(tokens))
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        return self.head(self.drop(x + self.out((q @ k.transpose(-1, -2) / 8**0.5).softmax(-1) @ v)))


def next_token(net: nn.Module, batch: Data) -> Tensor:
    logits = net(batch["tokens"])[:, :-1]
    return nn.functional.cross_entropy(logits.transpose(1, 2), batch["tokens"][:, 1:], reduction="none").mean(1)


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def cases() -> list[tuple[str, Callable[[], tuple[nn.Module, Any, Data]]]]:
    def tokens(tied: bool) -> tuple[nn.Module, Any, Data]:
        torch.manual_seed(0)
        return Small(tied), next_token, {"tokens": torch.randint(0, 11, (9, 6), generator=torch.Generator().manual_seed(1))}

    def images() -> tuple[nn.Module, Any, Data]:
        torch.manual_seed(0)
        g = torch.Generator().manual_seed(2)
        return Conv(), classification, {"x": torch.randn(9, 1, 6, 6, generator=g), "y": torch.randint(0, 4, (9,), generator=g)}

    def rows() -> tuple[nn.Module, Any, Data]:
        g = torch.Generator().manual_seed(3)
        return (
            MLP(inputs=5, width=7, depth=2, outputs=3).build(Seed("m")),
            classification,
            {"x": torch.randn(9, 5, generator=g), "y": torch.randint(0, 3, (9,), generator=g)},
        )

    return [
        ("mlp", rows),
        ("convolution", images),
        ("language model", lambda: tokens(False)),
        ("tied language model", lambda: tokens(True)),
    ]


@pytest.mark.parametrize("make", [one for _, one in cases()], ids=[name for name, _ in cases()])
def test_engines_agree_and_chunks_do_not_matter(make: Callable[[], tuple[nn.Module, Any, Data]]) -> None:
    net, losses, data = make()
    slow = coherence(net, losses, data, engine="loop", per_example=True)
    for settings_ in ({"engine": "ghost"}, {"engine": "vmap"}, {"engine": "ghost", "chunk": 4}):
        fast = coherence(net, losses, data, per_example=True, **settings_)  # pyright: ignore[reportArgumentType]
        assert np.allclose(fast.norms_sq, slow.norms_sq, rtol=1e-4)
        assert np.allclose(fast.dots, slow.dots, rtol=1e-4, atol=1e-6 * slow.grad_sq)
        assert fast.m_coherence == pytest.approx(slow.m_coherence, rel=1e-4)
        assert float(np.mean(fast.dots)) == pytest.approx(fast.grad_sq, rel=1e-3)
        assert fast.share.mean() == pytest.approx(1.0, rel=1e-3)
        assert np.average(fast.help, weights=fast.norms_sq) == pytest.approx(fast.alpha, rel=1e-3)
        if settings_["engine"] == "ghost":
            mine, theirs = dict(fast.modules), dict(slow.modules)
            for name in set(mine) & set(theirs) - {"embedding", "head"}:
                assert mine[name] == pytest.approx(theirs[name], rel=1e-3)


def test_leaving_out_the_cross_term_of_a_tied_matrix_would_be_seen() -> None:
    from genscope.measures import ghost

    net, losses, data = cases()[3][1]()
    right = coherence(net, losses, data).mean_sq
    kept, ghost._cross = ghost._cross, lambda name, one, other, b: torch.zeros(b, dtype=torch.float64)
    try:
        assert abs(coherence(net, losses, data).mean_sq / right - 1) > 0.01
    finally:
        ghost._cross = kept


def test_a_llama_of_transformers_agrees_with_the_slow_loop() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=32
    )  # fmt: skip
    net = transformers.LlamaForCausalLM(config)
    tokens = {"tokens": torch.randint(0, 50, (5, 12), generator=torch.Generator().manual_seed(4))}

    def losses(net, batch):
        return nn.functional.cross_entropy(
            net(input_ids=batch["tokens"]).logits[:, :-1].transpose(1, 2), batch["tokens"][:, 1:], reduction="none"
        ).mean(1)

    fast, slow = (coherence(net, losses, tokens, engine=engine, per_example=True) for engine in ("ghost", "loop"))
    assert np.allclose(fast.norms_sq, slow.norms_sq, rtol=1e-4)
    assert np.allclose(fast.dots, slow.dots, rtol=1e-3, atol=1e-7)


def test_measuring_changes_nothing() -> None:
    net, losses, data = cases()[3][1]()
    net.train()
    net.norm.eval()
    net.out.weight.grad = torch.ones_like(net.out.weight)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes, state = [module.training for module in net.modules()], torch.random.get_rng_state()
    coherence(net, losses, data, per_example=True)
    assert modes == [module.training for module in net.modules()]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(net.out.weight.grad, torch.ones_like(net.out.weight))
    assert net.head.weight.grad is None
    assert torch.equal(state, torch.random.get_rng_state())
    assert not net.out._forward_hooks


def test_frozen_parameters_are_left_out_and_counted() -> None:
    net, losses, data = cases()[0][1]()
    whole = coherence(net, losses, data)
    next(iter(net.parameters())).requires_grad_(False)
    part = {engine: coherence(net, losses, data, engine=engine) for engine in ENGINES}
    assert part["ghost"].skipped == 1
    assert part["ghost"].mean_sq < whole.mean_sq
    assert part["ghost"].mean_sq == pytest.approx(part["loop"].mean_sq, rel=1e-5)


def test_what_cannot_be_measured_is_refused() -> None:
    data = {"x": torch.randn(4, 3), "y": torch.zeros(4, dtype=torch.long)}
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    with pytest.raises(UsageError, match=r"BatchNorm in training mode.*: 1\."):
        coherence(net, classification, data)
    coherence(net.eval(), classification, data)
    net = nn.Linear(3, 3)
    with pytest.raises(UsageError, match="one value an example"):
        coherence(net, lambda n, b: nn.functional.cross_entropy(n(b["x"]), b["y"]), data)
    with pytest.raises(UsageError, match="at least 2 examples"):
        coherence(net, classification, {name: value[:1] for name, value in data.items()})
    with pytest.raises(TrainingError, match="1 of 4 per-example gradients are not finite"):
        coherence(net, classification, {**data, "x": torch.cat([data["x"][:3], torch.full((1, 3), torch.inf)])})
    with pytest.raises(UsageError, match="no parameter"):
        coherence(nn.Linear(3, 3).requires_grad_(False), classification, data)


def test_batches_amplify_coherence_and_the_inversions_undo_it() -> None:
    rng = Seed("batches").rng()
    m, k, rows = 24, 4, Seed("g").rng().standard_normal((24, 6)) + 0.4
    one = of_gradients(rows)
    squares = []
    for _ in range(4_000):
        means = rng.permutation(rows).reshape(m // k, k, -1).mean(1)
        squares.append((means**2).sum(1).mean())
    assert invert_batch_coherence(0.0, k, m, mean_batch_sq=float(np.mean(squares)), grad_sq=one.grad_sq) == pytest.approx(
        one.alpha, rel=0.01
    )
    drawn = rows[rng.integers(0, m, (60_000, k))].mean(1)
    batch_alpha = one.grad_sq / (drawn**2).sum(1).mean()
    assert batch_alpha == pytest.approx(k * one.alpha / (1 + (k - 1) * one.alpha), rel=0.02)
    assert invert_batch_coherence(batch_alpha, k) == pytest.approx(one.alpha, rel=0.03)
    for words, said in (((0.5, 0), "at least 1"), ((0.5, 4, 4), "mean_batch_sq")):
        with pytest.raises(UsageError, match=said):
            invert_batch_coherence(*words)


def test_noise_scale_is_trace_over_squared_mean() -> None:
    rows = Seed("noise").rng().standard_normal((30, 5)) + 1.0
    found = of_gradients(rows)
    gbar = rows.mean(0)
    trace = 30 / 29 * ((rows**2).sum(1).mean() - gbar @ gbar)
    unbiased = (gbar @ gbar) - trace / 30
    assert found.noise_scale == pytest.approx((30 * (found.mean_sq - found.grad_sq) / (29)) / unbiased, rel=1e-5)
    assert noise_scale(1.0, 5) == float("inf")


def test_the_jackknife_is_that_of_leaving_each_example_out() -> None:
    rows = Seed("jack").rng().standard_normal((12, 4)) + 0.5
    found = of_gradients(rows, per_example=True)
    left = np.log([of_gradients(np.delete(rows, k, 0)).m_coherence for k in range(12)])
    half = 1.96 * np.sqrt(11 / 12 * ((left - left.mean()) ** 2).sum())
    assert np.log([found.low, found.high]) == pytest.approx(np.log(found.m_coherence) + np.array([-half, half]), rel=1e-4)
    assert jackknife(np.ones(2), np.ones(2), 1.0) == (None, None)


@pytest.mark.slow
def test_the_jackknife_covers() -> None:
    rng, hits = Seed("cover").rng(), 0
    mean, spread = np.array([0.5, 0, 0]), 1.0
    population = mean @ mean / (mean @ mean + 3 * spread**2)
    for _ in range(400):
        rows = mean + spread * rng.standard_normal((80, 3))
        gbar, norms = rows.mean(0), (rows**2).sum(1)
        low, high = jackknife(norms, rows @ gbar, float(gbar @ gbar))
        # C estimates m alpha + (1 - alpha): the pair of an example with itself counts
        wanted = 80 * population + (1 - population)
        hits += low is not None and high is not None and low <= wanted <= high
    assert 0.90 <= hits / 400 <= 0.98


def test_group_shares_sum_to_one_and_are_inner_products() -> None:
    rows = Seed("groups").rng().standard_normal((8, 3)) + 1
    found = of_gradients(rows, per_example=True)
    groups = np.array(list("aabbbbba"))
    shares = group_shares(found.share, groups)
    total = rows.sum(0)
    assert sum(shares.values()) == pytest.approx(1.0, rel=1e-5)
    assert shares["a"] == pytest.approx(total @ rows[groups == "a"].sum(0) / (total @ total), rel=1e-4)


def test_cumulative_help_adds_inner_products_up_over_the_steps() -> None:
    rng, group = Seed("help").rng(), np.array([True, True, False, False, False])
    by_step = rng.standard_normal((4, 5, 3)) + 0.5
    found = [of_gradients(rows, per_example=True) for rows in by_step]
    rates = [float(rows.sum(0) @ rows[group].sum(0)) / 2 for rows in by_step]
    # steps 0, 1, 2 and 4: the step that was not measured is the mean of its neighbours
    wanted = [0, (rates[0] + rates[1]) / 2, rates[0] / 2 + rates[1] + rates[2] / 2, rates[0] / 2 + rates[1] + 1.5 * rates[2] + rates[3]]
    share, grad_sq = np.stack([one.share for one in found]), np.array([one.grad_sq for one in found])
    assert cumulative_help(share, grad_sq, [0, 1, 2, 4], group) == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(UsageError, match="no example"):
        cumulative_help(share, grad_sq, [0, 1, 2, 4], ~(group | True))
    with pytest.raises(UsageError, match="for 3 steps"):
        cumulative_help(share, grad_sq, [0, 1, 2], group)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.Embedding(7, 6), nn.LayerNorm(6), nn.Flatten(), nn.Linear(18, 4)).to(dtype)
    data = {"x": torch.randint(0, 7, (9, 3)), "y": torch.arange(9) % 4}
    ghosts, loop = (coherence(net, classification, data, per_example=True, engine=engine) for engine in ("ghost", "loop"))
    near = 1e-9 if dtype == torch.float64 else 0.05
    assert ghosts.m_coherence == pytest.approx(loop.m_coherence, rel=near)
    assert ghosts.share == pytest.approx(loop.share, rel=near, abs=near)


def test_layers_let_go_of_their_gradients_while_the_graph_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ghost._Call] = []

    class Watched(ghost._Call):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(ghost, "_Call", Watched)
    net = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3))
    coherence(net, classification, {"x": torch.randn(4, 6), "y": torch.tensor([0, 1, 2, 0])}, per_example=True)
    assert len(made) == 6
    assert all(call.slope is None and call.given.numel() == 0 for call in made)


def test_learning_times() -> None:
    never, at_once, late = [0, 0, 0], [1, 1, 1], [1, 0, 1]
    first, last = learning_times(np.array([never, at_once, late]).T, [0, 5, 9])
    assert first.tolist() == [np.inf, 0, 0]
    assert last.tolist() == [np.inf, 0, 9]
    with pytest.raises(UsageError, match="rows of correctness"):
        learning_times(np.ones((2, 3), int), [0])


@given(st.integers(3, 40), st.sampled_from([0, 1, 2, 5, 8, 10, 25, 50]), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_winsorizing_equals_numpys_nearest_percentiles(b: int, c: float, number: int) -> None:
    g = Seed("w", number).rng().standard_normal((b, 3)).astype(np.float32)
    low, high = (np.percentile(g, q, axis=0, method="nearest") for q in (c, 100 - c))
    wanted = np.clip(g, np.minimum(low, high), np.maximum(low, high)).mean(0)
    assert np.allclose(winsorized_mean(torch.from_numpy(g), c).numpy(), wanted, atol=1e-6)


def test_winsorizing_a_hundred_clips_two_at_each_end_and_five_none() -> None:
    g = torch.arange(100.0)
    assert float(winsorized_mean(g, 2)) == pytest.approx((2 * 2 + sum(range(2, 98)) + 2 * 97) / 100)
    assert float(winsorized_mean(torch.tensor([0.0, 1, 2, 3, 100]), 10)) == pytest.approx(21.2)


def test_winsorized_sgd_with_c_zero_is_sgd() -> None:
    net, losses, data = cases()[0][1]()
    import copy

    other = copy.deepcopy(net)
    clipped, plain = WinsorizedSGD(net.parameters(), 0.1, 0.0), torch.optim.SGD(other.parameters(), 0.1)
    for _ in range(5):
        for (name, p), sample in zip(net.named_parameters(), per_example_gradients(net, losses, data).values(), strict=True):
            p.grad_sample = sample
            assert name
        clipped.step()
        plain.zero_grad()
        losses(other, data).mean().backward()
        plain.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    with pytest.raises(UsageError, match="c is a percentage"):
        WinsorizedSGD(net.parameters(), 0.1, 60)
    with pytest.raises(UsageError, match="grad_sample"):
        WinsorizedSGD([nn.Parameter(torch.zeros(1))], 0.1, 1).step()


def _stepped(kind: Any, gradients: list[float], **more: Any) -> list[float]:
    p = nn.Parameter(torch.tensor([10.0]))
    optimizer, seen = kind([p], lr=1.0, **more), []
    for g in gradients:
        p.grad = torch.tensor([g])
        optimizer.step()
        seen.append(float(p.detach()))
    return seen


def test_medians_and_means_of_three_batches() -> None:
    assert _stepped(RM3, [1.0, 9.0, 2.0, 0.0]) == [10.0, 10.0, 8.0, 6.0]
    assert _stepped(RA3, [1.0, 9.0, 2.0, 1.0]) == [10.0, 10.0, 6.0, 2.0]
    assert _stepped(M3, [1.0, 9.0, 2.0, 0.0, 0.0, 5.0]) == [10.0, 10.0, 8.0, 8.0, 8.0, 8.0]
    assert _stepped(RM3, [0.0, 0.0, 0.0], weight_decay=0.1) == [10.0, 10.0, 9.0]
    assert float(median_of_three([torch.tensor([x]) for x in (3e38, 1.0, -3e38)])) == 1.0
    with pytest.raises(UsageError, match="no momentum"):
        RM3([nn.Parameter(torch.zeros(1))], 0.1, momentum=0.9)


@pytest.mark.parametrize("scheme", ["permute", "uniform"])
def test_label_noise_marks_only_labels_that_changed(scheme: Any) -> None:
    y = np.repeat(np.arange(10), 500)
    noisy, corrupt = label_noise(y, 0.5, 10, Seed("noise"), scheme)
    assert np.array_equal(corrupt, noisy != y)
    assert abs(corrupt.mean() - 0.45) < 0.02
    if scheme == "permute":
        assert np.array_equal(np.bincount(noisy), np.bincount(y))
    assert not label_noise(y, 0.0, 10, Seed("noise"), scheme)[1].any()
    with pytest.raises(UsageError, match="share in"):
        label_noise(y, 1.5, 10, Seed("noise"))
