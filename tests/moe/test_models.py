"""Routers of any mixture of experts, the small one, its task and its training; pathways during a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genscope.core.errors import ModelError, TaskError, UsageError
from genscope.core.seeds import Seed
from genscope.models.routers import as_probabilities, find_routers, read_routing
from genscope.models.tiny_moe import Experts, TinyMoE
from genscope.tasks.modular_ops import ModularOps
from genscope.training.modular_moe import MoECourse, optimizer_of, train_modular
from genscope.watch.measures.pathways import RoutingPathways
from genscope.watch.monitor import Monitor
from genscope.watch.record import read

transformers = pytest.importorskip("transformers")


def model(kind: str) -> Any:
    common = {
        "vocab_size": 60,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    torch.manual_seed(0)
    if kind == "olmoe":
        return transformers.OlmoeForCausalLM(transformers.OlmoeConfig(**common, num_experts=6, num_experts_per_tok=2)).eval()
    return transformers.MixtralForCausalLM(transformers.MixtralConfig(**common, num_local_experts=4, num_experts_per_tok=2)).eval()


@pytest.mark.parametrize(("kind", "experts"), [("olmoe", 6), ("mixtral", 4)])
def test_routing_of_models_of_transformers_is_the_softmax_of_input_times_weight(kind: str, experts: int) -> None:
    net = model(kind)
    ids = torch.randint(0, 60, (3, 7), generator=torch.Generator().manual_seed(1))
    found = find_routers(net)
    assert [tuple(one.weight.shape) for one in found] == [(experts, 16)] * 2
    seen: dict[str, torch.Tensor] = {}

    def keeping(name: str) -> Any:
        def hook(module: Any, given: Any) -> None:
            seen[name] = given[0].detach()

        return hook

    handles = [one.module.register_forward_pre_hook(keeping(one.name)) for one in found]
    with torch.no_grad():
        net(input_ids=ids, use_cache=False)
    for handle in handles:
        handle.remove()
    wanted = torch.stack([(seen[one.name].reshape(3, 7, 16).double() @ one.weight.double().T).softmax(-1).mean(1) for one in found], 1)
    made = read_routing(net, ids)
    assert np.allclose(made.weights, wanted.detach().numpy(), atol=1e-5)
    assert np.allclose(made.weights.sum(-1), 1)
    # what a model says of itself, padding left out
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    cut = read_routing(net, ids, mask)
    alone = read_routing(net, ids[:1, :4])
    assert np.allclose(cut.weights[0], alone.weights[0], atol=1e-5)
    assert np.allclose(cut.weights[1:], made.weights[1:], atol=1e-5)


def test_probabilities_are_not_softmaxed_twice() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    once, said = as_probabilities(logits)
    assert said == "logits"
    again, told = as_probabilities(once.float())
    assert told == "probabilities"
    assert torch.allclose(once.float(), again.float(), atol=1e-6)


def test_a_dense_model_is_told_what_else_there_is() -> None:
    dense = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=1, n_head=2))
    with pytest.raises(ModelError, match="dense model"):
        find_routers(dense)
    with pytest.raises(ModelError, match="no matrix of the model is named"):
        find_routers(model("olmoe"), "nothing.*")


def test_the_mixture_is_the_sum_over_its_best_experts_one_by_one() -> None:
    shape = TinyMoE(vocabulary=9, outputs=5, width=8, heads=2, experts=4, expert_width=3, top=2)
    torch.manual_seed(0)
    mixture = Experts(shape)
    x = torch.randn(2, 3, 8)
    g = (x @ mixture.gate.weight.T).softmax(-1)
    wanted = torch.zeros(2, 3, 8)
    for b in range(2):
        for t in range(3):
            for k in g[b, t].topk(2).indices.tolist():
                rows = slice(3 * k, 3 * k + 3)
                hidden = torch.nn.functional.gelu(mixture.up.weight[rows] @ x[b, t] + mixture.up.bias[rows])
                wanted[b, t] += g[b, t, k] * (mixture.down.weight[:, rows] @ hidden + mixture.bias[k])
    assert torch.allclose(mixture(x), wanted, atol=1e-6)
    alone = torch.nn.Linear(3, 8)  # every expert starts as a layer of its own would
    for one in (mixture.down.weight, mixture.bias):
        assert one.abs().max() <= 3**-0.5
        assert one.std().item() == pytest.approx(alone.weight.std().item(), rel=0.4)
    mixture.gate.weight.data.zero_()
    mixture(torch.randn(1, 64, 8))
    assert mixture.balance.item() == pytest.approx(1.0)


def test_matrices_decay_and_biases_do_not() -> None:
    net = TinyMoE(vocabulary=9, outputs=5, width=8).build(Seed("d"))
    decayed, free = optimizer_of(net, MoECourse(weight_decay=4.0)).param_groups
    names = {id(one): name for name, one in net.named_parameters()}
    assert (decayed["weight_decay"], free["weight_decay"]) == (4.0, 0.0)
    assert {names[id(one)] for one in free["params"]} == {name for name in names.values() if name.endswith("bias") or "norm" in name}
    assert "blocks.0.experts.bias" in {names[id(one)] for one in free["params"]}
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_the_table_of_operations() -> None:
    task = ModularOps(p=7)
    train, test = task.make(Seed("m"))
    rows = np.concatenate([train.tokens, test.tokens])
    answers = np.concatenate([train.answers, test.answers])
    assert len(rows) == 4 * 49 == len({tuple(one) for one in rows.tolist()})
    for (a, b, op), c in zip(rows.tolist(), answers.tolist(), strict=True):
        name = task.names[op - 7]
        if name != "rand":
            assert c == {"add": a + b, "sub": a - b, "sq": a * a + b * b}[name] % 7
    assert (train.domain == 0).sum() == int(0.7 * 49)
    assert (train.domain == 3).sum() == int(0.15 * 49)
    assert task.certify(Seed("m")) == 0
    assert len(set(answers[rows[:, 2] == 7 + 3].tolist())) > 3
    with pytest.raises(TaskError, match="prime"):
        ModularOps(p=9)
    with pytest.raises(TaskError, match="unknown operation"):
        ModularOps(domains={"x": "power"}, fractions={"x": 0.5})


def test_a_short_training_memorizes_and_keeps_what_the_study_reads() -> None:
    task = ModularOps(p=5)
    arrays, about = train_modular(task, TinyMoE(vocabulary=task.vocabulary, outputs=5, width=16, layers=3), MoECourse(steps=150, batch=32, lr=5e-3, weight_decay=0.0, every=25, checkpoints=5, probe=3), Seed("t"))  # fmt: skip
    assert arrays["steps"].tolist() == [25, 50, 75, 100, 125, 150]
    assert arrays["checkpoints"][0] == 20
    assert arrays["checkpoints"][-1] == 150
    assert arrays["train"].shape == (6, 4)
    assert arrays["routing"].shape == (5, 4, 3, 3, 8)
    assert np.allclose(arrays["routing"].sum(-1), 1, atol=1e-5)
    assert arrays["anchors"].shape == (5, 3, 8, 16)
    assert arrays["train"][-1].min() > 0.9
    assert about["rows"] == 3 * int(0.7 * 25) + int(0.15 * 25)
    again, _ = train_modular(task, TinyMoE(vocabulary=task.vocabulary, outputs=5, width=16, layers=3), MoECourse(steps=150, batch=32, lr=5e-3, weight_decay=0.0, every=25, checkpoints=5, probe=3), Seed("t"))  # fmt: skip
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
    with pytest.raises(UsageError, match="3 checkpoints"):
        MoECourse(checkpoints=2)


def test_pathways_are_watched_during_a_run(tmp_path: Path) -> None:
    net = model("olmoe")
    ids = torch.randint(0, 60, (8, 6), generator=torch.Generator().manual_seed(2))
    with Monitor(tmp_path / "a", net, sample={"train": {"input_ids": ids}}, judge=lambda net, data: (torch.zeros(len(data["input_ids"])), None), measures=["pathways"], every=1) as monitor:  # fmt: skip
        monitor.step()
    values = read(tmp_path / "a").looks[-1].values
    assert 0 < (values["pathway_distance"] or 0) <= 1
    assert 1 <= (values["list_length"] or 0) <= 6
    assert (values["routing_entropy"] or 9) <= np.log(6) + 1e-6
    assert (values["pathway_smoothness"] or 9) <= 1
    with pytest.raises(UsageError, match="dense model"):
        Monitor(tmp_path / "b", torch.nn.Linear(2, 2), sample={"train": {"input_ids": ids}}, measures=["pathways"])
    with pytest.raises(UsageError, match="token rows"):
        Monitor(tmp_path / "c", net, sample={"train": {"x": torch.zeros(3, 2)}}, measures=[RoutingPathways()])
