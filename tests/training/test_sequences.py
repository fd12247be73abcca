"""Small language models: the loss against its definition, decoding with and without a cache, variants, and models that load again by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from genscope.core.errors import ModelError, TaskError, TrainingError, UsageError
from genscope.core.seeds import Seed
from genscope.models import names
from genscope.models.small_lm import POSITIONS, SmallLM, word_tokenizer
from genscope.tasks.length import TASKS
from genscope.training.packing import IGNORED, pack
from genscope.training.sequences import (
    SequenceRecipe,
    as_tokens,
    beyond,
    exact_match,
    greedy,
    keep_run,
    mean_loss,
    token_table,
    train_sequences,
)

SHORT = SequenceRecipe(task="majority", seed=Seed("t"), lengths=(1, 5), updates=60, batch=16, width=16, heads=2, table=32, look_every=30)


def pairs_of(lengths: tuple[int, ...], codes: dict[int, int]) -> list[Any]:
    return [as_tokens(TASKS["unique_copy"].sample(length, Seed("loss", length).rng()), codes) for length in lengths]


@pytest.mark.parametrize(("whole", "log_n_base"), [(False, None), (True, None), (False, 20.0)])
@pytest.mark.parametrize("positions", ["learned", "none", "rope"])
def test_a_packed_batch_has_the_loss_and_gradients_of_its_sequences_one_by_one(positions: Any, whole: bool, log_n_base: Any) -> None:
    codes = token_table(TASKS["unique_copy"])
    pairs, offsets = (
        pairs_of((2, 5, 1, 3), codes),
        [3, 0, 6, 9],
    )  # 6 follows 3 + 2 * 2 + 2 - ...: neighbours must not look like one sequence
    batch = pack(pairs, offsets, context=24, whole=whole)
    assert batch.tokens.shape == (2, 24)
    assert int((batch.labels != IGNORED).sum()) == sum(len(a) + (len(p) - 1 if whole else 0) for p, a in pairs)
    net: Any = SmallLM(vocabulary=2 + len(codes), width=16, heads=2, positions=positions, log_n_base=log_n_base).build(Seed("net"))
    terms = []
    for (prompt, answer), offset in zip(pairs, offsets, strict=True):
        row = torch.tensor([[*prompt, *answer]])
        logits = net(input_ids=row, position_ids=torch.arange(row.shape[1])[None] + offset).logits[0]
        terms += [-logits[t - 1].log_softmax(-1)[row[0, t]] for t in range(1 if whole else len(prompt), row.shape[1])]
    one_by_one = torch.stack(terms).mean()
    together = mean_loss(net, batch)
    assert float(together.detach()) == pytest.approx(float(one_by_one.detach()), rel=1e-5)
    wanted = torch.autograd.grad(one_by_one, [p for p in net.parameters() if p.requires_grad])
    found = torch.autograd.grad(together, [p for p in net.parameters() if p.requires_grad])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(wanted, found, strict=True))


def test_neighbours_never_look_like_one_sequence() -> None:
    batch = pack([([5, 6], [7]), ([8], [9, 9])], [0, 3], context=8)
    assert batch.positions[0].tolist() == [0, 1, 2, 2, 3, 4, 0, 0]
    assert batch.labels[0].tolist() == [IGNORED, IGNORED, 7, IGNORED, 9, 9, IGNORED, IGNORED]
    assert pack([([5, 6], [7]), ([8], [9, 9])], [0, 3], context=1).tokens.tolist() == [[5, 6, 7], [8, 9, 9]]


def test_log_n_temperature_scales_queries_by_the_keys_they_see() -> None:
    """At as many keys as the base the temperature is 1; with base b and n keys, log n / log b."""
    plain, sharp = (SmallLM(vocabulary=9, layers=1, width=16, heads=2, log_n_base=base).build(Seed("t")).eval() for base in (None, 4.0))
    tokens = torch.tensor([[2, 3, 4, 5, 6, 7, 8, 2]])
    with torch.no_grad():
        one, two = plain(input_ids=tokens).logits[0], sharp(input_ids=tokens).logits[0]
        assert torch.allclose(one[3], two[3], atol=1e-6)
        assert not torch.allclose(one[7], two[7], atol=1e-6)
        plain.transformer.h[0].attn.c_attn.weight[:, :16] *= 1.5  # log 8 / log 4
        plain.transformer.h[0].attn.c_attn.bias[:16] *= 1.5
        assert torch.allclose(plain(input_ids=tokens).logits[0, 7], two[7], atol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
def test_decoding_with_a_cache_equals_decoding_without(positions: Any) -> None:
    net: Any = SmallLM(vocabulary=12, width=16, heads=2, table=40, positions=positions).build(Seed("decode", positions)).eval()
    prompts = torch.randint(2, 12, (5, 6), generator=torch.Generator().manual_seed(0))
    rows = greedy(net, prompts, end=3, most=12)
    for prompt, answer in zip(prompts.tolist(), rows, strict=True):
        sequence = list(prompt)
        for token in answer:
            with torch.no_grad():
                assert int(net(input_ids=torch.tensor([sequence])).logits[0, -1].argmax()) == token
            sequence.append(token)
        assert answer.index(3) == len(answer) - 1 if 3 in answer else len(answer) == 12


def test_without_positions_the_order_of_what_was_seen_is_not_known() -> None:
    net: Any = SmallLM(vocabulary=9, layers=1, width=16, heads=2, positions="none").build(Seed("none")).eval()
    with torch.no_grad():
        one, two = (net(input_ids=torch.tensor([row])).logits[0, -1] for row in ([2, 3, 4, 5], [4, 2, 3, 5]))
    assert torch.allclose(one, two, atol=1e-5)
    assert not net.transformer.wpe.weight.requires_grad


def test_training_is_repeatable_and_learns() -> None:
    runs = [train_sequences(SHORT) for _ in range(2)]
    assert runs[0].curve == runs[1].curve
    assert runs[0].curve[-1]["loss"] < runs[0].curve[0]["loss"] or runs[0].curve[-1]["id_exact_match"] > 0.8
    longer = train_sequences(replace(SHORT, updates=400, look_every=100, lr=3e-3))
    assert longer.curve[-1]["id_exact_match"] > 0.9
    found = exact_match(longer.net, longer.task, longer.codes, (6, 8), 50, Seed("ood"), table=32)
    assert set(found) == {6, 8}
    assert all(0 <= share <= 1 for share in found.values())
    stopped = train_sequences(replace(SHORT, updates=400, look_every=50, lr=3e-3, stop_at=0.5))
    assert stopped.updates < 400


def test_a_trained_model_loads_by_its_run_and_as_a_folder_and_answers_the_same(home: Path) -> None:
    from genscope.core.reply import GenerateJob, Message, Request, Sampling
    from genscope.core.store import Store
    from genscope.models.ask import Asker

    trained = train_sequences(replace(SHORT, updates=200, lr=3e-3, look_every=200))
    name = keep_run(trained, SHORT)
    assert (home / "runs" / name / "model.safetensors").is_file()
    task, codes = trained.task, trained.codes
    examples = task.examples(5, 8, Seed("again"))
    direct = greedy(trained.net, torch.tensor([[codes[code] for code in one.prompt] for one in examples]), codes[examples[0].answer[-1]], 3)
    words = {token: task.word(code) for code, token in codes.items()}
    texts = [" ".join(task.word(code) for code in one.prompt) for one in examples]
    for model in (names.make(f"run:{name}"), names.make(f"hf:{home / 'runs' / name}")):
        assert "chat" not in model.abilities
        job = GenerateJob(
            requests=tuple(Request(messages=(Message("user", text),), plain=text) for text in texts), sampling=Sampling(max_tokens=3)
        )
        got = Asker(model, Store.open()).generate([job], "asking")[0]
        assert [reply.text.split() for reply in got] == [[words[token] for token in row if words[token] != "EoS"] for row in direct]
    with pytest.raises(ModelError, match="Did you mean"):
        names.make("run:" + name[:-1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="test lengths .4, 5. are inside the training range 1 to 5"):
        beyond(SHORT, [4, 5, 6])
    beyond(SHORT, [6, 10])
    with pytest.raises(UsageError, match="Did you mean unique_copy"):
        SequenceRecipe(task="unique_copi", seed=Seed("x"))
    with pytest.raises(UsageError, match="longer than the position table of 16"):
        train_sequences(replace(SHORT, lengths=(1, 20), table=16))
    trained = train_sequences(replace(SHORT, updates=1))
    with pytest.raises(UsageError, match="needs 44 tokens, the position table has 32"):
        exact_match(trained.net, trained.task, trained.codes, [40], 2, Seed("x"), table=32)
    with pytest.raises(TaskError, match="used at most once"):
        train_sequences(SequenceRecipe(task="unique_copy", symbols=8, seed=Seed("x"), lengths=(1, 20), updates=1))
    with pytest.raises(TrainingError, match="nan|inf"):
        train_sequences(replace(SHORT, lr=1e30, clip=1e30, updates=30))
    with pytest.raises(ModelError, match="heads divide"):
        SmallLM(vocabulary=4, width=10, heads=4)
    with pytest.raises(ModelError, match="every word once"):
        word_tokenizer(["a", "a"], "a")
