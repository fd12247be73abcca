"""The section pathways on a mixture of experts over its checkpoints, text as domains, and the units of dense models in the place of experts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import genscope as gs
from genscope.core.errors import DataError, GenscopeError, ModelError, UsageError
from genscope.core.seeds import Seed
from genscope.measures.pathways import Pathways
from genscope.models.tiny_gpt import TinyGPT
from genscope.models.tiny_moe import TinyMoE
from genscope.models.virtual_pathways import read_virtual_routing
from genscope.sections.profile.pathways import _memorized
from genscope.tasks import text_domains
from genscope.training.modular_moe import MoECourse
from genscope.training.text_moe import train_text
from tests.models.tiny import tiny_model

transformers = pytest.importorskip("transformers")
FEW = ",samples=12,tokens=16,pairs=40"
TEXT = "the quick brown fox jumps over the lazy dog while seven wizards box with five quacking zephyrs. " * 4


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three checkpoints; in the last every token takes the same experts."""
    made = [tiny_model(tmp_path / f"checkpoint-{step}", seed=seed, experts=6) for seed, step in enumerate((10, 20, 30))]
    net: Any = transformers.AutoModelForCausalLM.from_pretrained(made[2])
    with torch.no_grad():
        for layer in net.model.layers:
            layer.mlp.gate.weight.zero_()
    net.save_pretrained(made[2])
    (tmp_path / "text.txt").write_text(TEXT)
    return made


def profile(folders: list[Path], more: str, tmp_path: Path, out: str = "o") -> Any:
    earlier = "+".join(map(str, folders[:-1]))
    return gs.profile(f"hf:{folders[-1]}", with_=[f"pathways:text={tmp_path / 'text.txt'},checkpoints={earlier}{more}"], without=["scylla"], scale="smoke", out=tmp_path / out)  # fmt: skip


def test_checkpoints_whose_pathways_collapse_are_seen_to_grow_alike(folders: list[Path], tmp_path: Path) -> None:
    profile(folders, FEW, tmp_path)
    rows = pl.read_parquet(tmp_path / "o" / "records.parquet").filter(pl.col("source") == "profile/pathways")
    distance = rows.filter(pl.col("metric") == "distance").sort("step")["value"].to_list()
    assert len(distance) == 3
    assert distance[0] > 0.1
    assert distance[2] == 0.0
    assert (
        rows.filter((pl.col("metric") == "list_length") & (pl.col("step") == 2))["value"][0] == 5.0
    )  # of 6 equal weights, the fifth exceeds 0.7
    entropy = rows.filter((pl.col("metric") == "entropy") & (pl.col("step") == 2))["value"][0]
    assert entropy == pytest.approx(np.log(6))
    layers = rows.filter((pl.col("metric") == "layer_distance") & (pl.col("step") == 0))
    assert [json.loads(one)["layer"] for one in layers["factors"]] == [0, 1]
    assert rows.filter(pl.col("metric") == "memorized").height == 3
    page = (tmp_path / "o" / "index.html").read_text()
    assert "grew more alike over 3 checkpoints" in page
    assert "checkpoint-10" in page
    assert "Not steadily" not in page
    # the collapsed one in the middle
    profile([folders[0], folders[2], folders[1]], FEW, tmp_path, "p")
    assert "Not steadily: 0 % at checkpoint-30" in (tmp_path / "p" / "index.html").read_text()


def test_samples_count_as_memorized_from_the_checkpoint_on_at_which_their_loss_stays_low() -> None:
    found = _memorized(["a", "b", "c"], [[2.0, 2.0, 2.0, 2.0], [0.05, 2.0, 2.0, 2.0], [0.05, 0.05, 0.05, 2.0]])
    assert [one.value for one in found] == [0.0, 0.25, 0.75]
    assert found[0].factors == {"eps": 0.1}
    assert _memorized(["a", "b"], [[1.0], [0.1]]) == []


def test_one_checkpoint_has_no_trend_and_says_so(folders: list[Path], tmp_path: Path) -> None:
    gs.profile(f"hf:{folders[0]}", with_=["pathways:samples=12,tokens=16,pairs=40"], without=["scylla"], scale="smoke", out=tmp_path / "o")
    page = (tmp_path / "o" / "index.html").read_text()
    assert "One checkpoint has no trend" in page
    assert "may not be in the training data" in page


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        (",tau=1.5", UsageError, "inside .0, 1., got '1.5'"), (",samples=1", UsageError, "whole number of at least 2, got '1'"), (",size=3", UsageError, "size"), (",tokens=300", DataError, "two samples of 300 are needed"),
        (",revisions=a", UsageError, "not both"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(folders: list[Path], tmp_path: Path, more: str, kind: type[GenscopeError], words: str) -> None:
    with pytest.raises(kind, match=words):
        profile(folders, more, tmp_path)


def test_dense_models_and_mixed_checkpoints_are_refused(folders: list[Path], tmp_path: Path) -> None:
    dense = tiny_model(tmp_path / "dense")
    with pytest.raises(ModelError, match="virtual_pathways"):
        profile([dense], FEW, tmp_path)
    other = tiny_model(tmp_path / "other", experts=4)
    with pytest.raises(DataError, match=r"the checkpoints differ in \(MoE layers, experts, samples\)"):
        profile([other, *folders], FEW, tmp_path)
    with pytest.raises(UsageError, match="branches of a hub id"):
        gs.profile(f"hf:{folders[0]}", with_=["pathways:revisions=a+b"], without=["scylla"])


# --- dense models


def test_units_of_a_dense_model_stand_in_the_place_of_experts() -> None:
    net: Any = TinyGPT(vocab_size=30, max_position_embeddings=16, width=16).build(Seed("t"))
    tokens = torch.from_numpy(Seed("t", "tokens").rng().integers(0, 30, (6, 10)))
    net.train()
    made = read_virtual_routing(net, tokens, top=0.25)
    assert net.training
    assert made.weights.shape == (6, 2, 64)
    assert made.anchors.shape == (2, 64, 16)
    assert made.names == ("layers.0.mlp_out", "layers.1.mlp_out")
    assert ((made.weights > 0).sum(-1) == 16).all()
    assert np.allclose(made.weights.sum(-1), 1)
    # what the hidden units of the first layer are, by hand
    seen: list[torch.Tensor] = []
    handle = net.layers[0].mlp_out.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    with torch.no_grad():
        net.eval()(input_ids=tokens)
    handle.remove()
    strength = seen[0].abs().mean(1)
    assert (np.sort(made.weights[0, 0].nonzero()[0]) == np.sort(strength[0].topk(16).indices.numpy())).all()
    assert 0 < Pathways(weights=made.weights, anchors=made.anchors).distance() <= 1
    # padding does not count
    mask = torch.ones_like(tokens)
    mask[:, 7:] = 0
    assert np.allclose(
        read_virtual_routing(net, tokens, mask).weights[:, 0], read_virtual_routing(net, tokens[:, :7]).weights[:, 0], atol=1e-6
    )


def test_units_of_models_of_transformers_are_found_and_others_named() -> None:
    small: dict[str, Any] = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16}
    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(**small))
    tokens = torch.zeros(2, 5, dtype=torch.long)
    assert read_virtual_routing(gpt, tokens).names == ("transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj")
    with pytest.raises(ModelError, match="no linear map of the model is named 'nothing'"):
        read_virtual_routing(gpt, tokens, pattern="nothing")
    with pytest.raises(ModelError, match="no sets of maps out of an MLP"):
        read_virtual_routing(torch.nn.Linear(3, 3), tokens)
    with pytest.raises(UsageError, match="at least one token of every example counts"):
        read_virtual_routing(gpt, tokens, torch.zeros_like(tokens))
    with pytest.raises(ModelError, match="different shapes"):
        read_virtual_routing(gpt, tokens, pattern="*.c_*")
    with pytest.raises(UsageError, match=r"lies in \(0, 1\], got 0"):
        read_virtual_routing(gpt, tokens, top=0)


# --- text


def test_text_has_three_domains_of_one_size_without_shared_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def prose(name: str) -> str:
        return ("whether it rains " if name == "drama_ood" else "it was the best of times ") * 2_000

    monkeypatch.setattr(text_domains, "prose", prose)
    source = text_domains.python_source(50_000)
    assert len(source) == 50_000
    assert "import" in source
    with pytest.raises(UsageError, match="at least 1,300 characters"):
        text_domains.text_domains(65, 100)
    monkeypatch.setattr(text_domains, "prose", lambda name: "".join(map(str, Seed(name).rng().integers(0, 10**9, 4_000))))
    domains = text_domains.text_domains(17, 20_000)
    assert [one.name for one in domains] == ["novels", "plays", "Python source"]
    for one in domains:
        assert 1_000 < one.train.count <= 20_000 // 17
        held = {row.tobytes() for row in one.held_out.take(np.arange(one.held_out.count))}
        assert not held & {row.tobytes() for row in one.train.take(np.arange(one.train.count))}
    shape = TinyMoE(vocabulary=domains[0].train.vocabulary, outputs=domains[0].train.vocabulary, context=16, width=16, layers=2)
    arrays, about = train_text(domains, shape, MoECourse(batch=32, lr=1e-2, weight_decay=0.0, checkpoints=4, probe=8), Seed("t"))
    assert about["steps"] == about["blocks"] // 32
    assert arrays["routing"].shape == (4, 3, 8, 2, 8)
    assert np.allclose(arrays["routing"].sum(-1), 1, atol=1e-4)
    assert (arrays["bits"][-1] < arrays["bits"][0]).all()
    assert 3.0 < arrays["bits"][-1, 0] < 4.0  # digits alone: log2 10 = 3.3 (2.3 would be nats)
