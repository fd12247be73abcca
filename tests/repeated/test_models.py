"""The tiny decoder and how models are read: attention of both ways alike, smearing, positions, and nothing of the model changed by looking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genscope.core.errors import ModelError, TrainingError
from genscope.core.seeds import Seed
from genscope.measures.copying import copying_loss
from genscope.measures.prefix_matching import prefix_matching
from genscope.models.log_n_attention import register
from genscope.models.reading import attentions, context_of, token_losses
from genscope.models.small_lm import SmallLM
from genscope.models.tiny_gpt import TinyGPT
from genscope.training.document_lm import DocumentCourse, fit_documents, log_spaced

TOKENS = Seed("test", "tokens").rng().integers(0, 30, (3, 20))


def built(**more: Any) -> Any:
    return TinyGPT(vocab_size=30, max_position_embeddings=32, width=16, **more).build(Seed("test", "net")).eval()


@pytest.mark.parametrize("more", [{}, {"smeared": False}, {"positions": "rotary"}, {"positions": "rotary", "smeared": False}])
def test_the_parameters_are_counted_and_both_ways_of_attention_agree(more: dict[str, Any]) -> None:
    net = built(**more)
    assert sum(p.numel() for p in net.parameters()) == net.config.parameters
    rows = torch.from_numpy(TOKENS)
    fast, slow = net(input_ids=rows), net(input_ids=rows, output_attentions=True)
    assert torch.allclose(fast.logits, slow.logits, atol=1e-5)
    assert fast.attentions is None
    assert len(slow.attentions) == 2
    for layer in slow.attentions:
        assert layer.shape == (3, 2, 20, 20)
        assert torch.allclose(layer.sum(-1), torch.ones(3, 2, 20), atol=1e-5)
        assert layer.triu(1).abs().max() == 0
    # nothing later is seen
    other = rows.clone()
    other[:, 12:] = 0
    assert torch.allclose(net(input_ids=other).logits[:, :12], fast.logits[:, :12], atol=1e-5)


def test_a_fully_smeared_key_is_that_of_the_token_before() -> None:
    net = built()
    plain = built(smeared=False)
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if "smear" not in name})
    rows = torch.from_numpy(TOKENS)
    with torch.no_grad():
        net.layers[0].smear.fill_(100.0)  # s = 1
        whole = net(input_ids=rows, output_attentions=True).attentions[0]
        own = plain(input_ids=rows, output_attentions=True).attentions[0]
        net.layers[0].smear.fill_(-100.0)  # s = 0
        none = net(input_ids=rows, output_attentions=True).attentions[0]
    assert torch.allclose(none, own, atol=1e-6)
    # query t gives position s the weight (before normalising) that it would give to s - 1; the first key stays
    ratio = whole[:, :, 10, 3] / whole[:, :, 10, 2]
    assert torch.allclose(ratio, own[:, :, 10, 2] / own[:, :, 10, 1], rtol=1e-4)
    assert torch.allclose(whole[:, :, 10, 1] / whole[:, :, 10, 0], torch.ones(3, 2), rtol=1e-4)


def test_rotary_attention_depends_on_distance_only() -> None:
    net = built(positions="rotary", smeared=False)
    pair = torch.tensor([[5, 9, 5, 9, 5, 9]])
    seen = net(input_ids=pair, output_attentions=True).attentions[0]
    # same tokens at the same distances: ratios of weights agree wherever the query stands
    assert torch.allclose(seen[0, :, 5, 5] / seen[0, :, 5, 4], seen[0, :, 3, 3] / seen[0, :, 3, 2], rtol=1e-4)


def test_settings_that_make_no_model_are_refused() -> None:
    with pytest.raises(ModelError, match="heads divide"):
        TinyGPT(vocab_size=10, width=15, heads=2)
    with pytest.raises(ModelError, match="even width"):
        TinyGPT(vocab_size=10, width=6, heads=2, positions="rotary")
    with pytest.raises(ModelError, match="longer than the model's context of 32"):
        built()(input_ids=torch.zeros(1, 33, dtype=torch.long))


class Induction(nn.Module):
    """A planted model: its only head looks at what followed the token's last occurrence `distance` before, and it predicts the token there."""

    def __init__(self, distance: int) -> None:
        super().__init__()
        self.distance, self.weight = distance, nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, output_attentions: bool = False, use_cache: bool = False) -> Any:
        b, t = input_ids.shape
        look = torch.zeros(b, 1, t, t)
        for query in range(t):
            look[:, 0, query, query - self.distance + 1 if query >= self.distance else 0] = 1.0
        logits = 50.0 * look[:, 0] @ nn.functional.one_hot(input_ids, 60).float()
        return type("Output", (), {"logits": logits, "attentions": (look,) if output_attentions else None})()


def test_a_planted_induction_head_scores_one_and_copies_without_loss() -> None:
    net = Induction(7)
    found = prefix_matching(net, range(1, 60), Seed("p"), block=7, sequences=2, bos=0)
    assert found.highest == 1.0
    assert 0 < found.chance < 0.2
    copied = copying_loss(net, list(range(10, 17)), copies=5, bos=0)
    assert copied.tokens == 7
    # 34 of 35 tokens... the first of copy 2 is predicted from the last of copy 1: it has no earlier occurrence yet
    assert copied.later < 50 / 28 + 1e-3
    assert copied.gain > 40
    assert prefix_matching(Induction(8), range(1, 60), Seed("p"), block=7, sequences=2, bos=0).highest < 0.1


def test_looking_changes_nothing() -> None:
    net: Any = SmallLM(vocabulary=40, width=16, heads=2, positions="rope").build(Seed("hf")).train()
    net.model.layers[0].eval()
    modes = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state, own = torch.get_rng_state(), net.config._attn_implementation
    assert own != "eager"
    held = attentions(net, TOKENS)
    token_losses(net, TOKENS)
    prefix_matching(net, range(5, 40), Seed("a"), block=9, bos=1)
    assert [module.training for module in net.modules()] == modes
    assert net.config._attn_implementation == own
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert len(held) == 2
    assert np.allclose(held[0].sum(-1), 1, atol=1e-5)


def test_losses_are_those_of_transformers() -> None:
    net = SmallLM(vocabulary=40, width=16, heads=2).build(Seed("hf")).eval()
    rows = torch.from_numpy(TOKENS)
    with torch.no_grad():
        theirs = net(input_ids=rows, labels=rows).loss
    assert token_losses(net, TOKENS, batch=2).mean() == pytest.approx(float(theirs), rel=1e-5)


def test_models_that_cannot_be_read_are_a_clear_error() -> None:
    own_way = SmallLM(vocabulary=40, width=16, heads=2, positions="rope", log_n_base=8.0).build(Seed("hf")).eval()
    with pytest.raises(ModelError, match=f"computes attention its own way \\({register()}\\)"):
        attentions(own_way, TOKENS)

    class Silent(Induction):
        def forward(self, *args: Any, **more: Any) -> Any:
            return super().forward(more["input_ids"], False)

    with pytest.raises(ModelError, match="Silent gives no attention weights"):
        attentions(Silent(3), TOKENS)
    with pytest.raises(ModelError, match="a block can have 7 at most"):
        prefix_matching(built(), range(1, 30), Seed("p"), block=9, bos=0)
    with pytest.raises(ModelError, match="Ask for fewer copies"):
        copying_loss(built(), list(range(20)), copies=11)
    with pytest.raises(ModelError, match="the passage has 2 tokens"):
        copying_loss(built(), [1, 2], copies=3)
    assert context_of(built()) == 32
    assert context_of(Induction(2)) is None


def test_a_long_passage_is_cut_so_that_all_copies_fit() -> None:
    found = copying_loss(built(), list(range(25)), copies=3, bos=0)
    assert (found.tokens, found.copies) == (10, 3)


def test_training_learns_and_looks_where_asked() -> None:
    rng = Seed("stream").rng()
    # every document is one of four: a model that learns has a loss of ln 4 on the first token at most
    documents = rng.integers(1, 30, (4, 16))
    net = built().train()
    seen: list[tuple[int, bool]] = []
    stream = (documents[rng.integers(0, 4, 16)] for _ in range(150))
    course = DocumentCourse(steps=120, lr=1e-2, warmup=20)
    loss = fit_documents(net, stream, course, log_spaced(120, 4), lambda step: seen.append((step, net.training)))
    assert [step for step, _ in seen] == list(log_spaced(120, 4))
    assert not any(training for _, training in seen)
    assert loss < 0.3
    assert not net.training


def test_a_stream_that_ends_early_or_a_loss_that_is_no_number_is_an_error() -> None:
    with pytest.raises(TrainingError, match="ended after 2 of 5 steps"):
        fit_documents(built(), iter([TOKENS, TOKENS]), DocumentCourse(steps=5), (), lambda _: None)
    broken = built()
    with torch.no_grad():
        broken.head.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="loss is nan after 1 steps"):
        fit_documents(broken, iter([TOKENS]), DocumentCourse(steps=1), (), lambda _: None)
