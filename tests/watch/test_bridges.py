"""Trainers of others and loggers: one step an update, whatever the accumulation; a resumed run goes on; Lightning by the names of its hooks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from genscope.bridges import lightning, loggers
from genscope.watch.monitor import Monitor
from genscope.watch.record import read
from tests.watch import digits

transformers = pytest.importorskip("transformers")


def tiny() -> Any:
    config = transformers.GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(config)


def trainer(folder: Path, model: Any, steps: int, callbacks: list[Any]) -> Any:
    torch.manual_seed(1)
    rows = torch.randint(0, 50, (64, 12))
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "out"), max_steps=steps, per_device_train_batch_size=4, gradient_accumulation_steps=2, save_steps=6, logging_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=3,
    )  # fmt: skip
    return transformers.Trainer(
        model=model, args=arguments, train_dataset=[{"input_ids": row, "labels": row} for row in rows], callbacks=callbacks
    )


def test_the_callback_of_hugging_face_sees_updates_and_resumes(tmp_path: Path) -> None:
    from genscope.bridges.hf_trainer import WatchCallback

    torch.manual_seed(2)
    sample = {"train": {"input_ids": torch.randint(0, 50, (8, 12))}, "test": {"input_ids": torch.randint(0, 50, (8, 12))}}

    def callback(run: str) -> WatchCallback:
        return WatchCallback(tmp_path / run, sample=sample, every=3)

    one = tiny()
    trainer(tmp_path, one, 6, [callback("run")]).train()
    held = read(tmp_path / "run")
    assert [look.step for look in held.looks] == [0, 3, 6]
    assert held.series("batch")[1].tolist() == [8, 8]
    assert not held.notes
    assert held.series("train/loss")[1][0] == pytest.approx(3.9, abs=0.3)  # ln 50
    assert 0 < held.series("coherence")[1][0] <= 8
    plain = tiny()
    trainer(tmp_path / "plain", plain, 6, []).train()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), plain.parameters(), strict=True))
    trainer(tmp_path, tiny(), 9, [callback("run")]).train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-6"))
    assert [look.step for look in read(tmp_path / "run").looks] == [0, 3, 6, 9]


def test_losses_of_sequences_are_those_of_the_model() -> None:
    from genscope.bridges.hf_trainer import language_modeling

    model = tiny().eval()
    ids = torch.randint(0, 50, (3, 12))
    each, nothing = language_modeling(model, {"input_ids": ids})
    assert nothing is None
    assert each.mean().item() == pytest.approx(model(input_ids=ids, labels=ids).loss.item(), rel=1e-5)
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    short, _ = language_modeling(model, {"input_ids": ids, "attention_mask": mask})
    alone = model(input_ids=ids[:1, :6], labels=ids[:1, :6]).loss.item()
    assert short[0].item() == pytest.approx(alone, rel=1e-5)
    assert torch.allclose(short[1:], each[1:])


def test_the_callback_of_lightning_counts_updates_not_batches(tmp_path: Path) -> None:
    x, y, _, _ = digits.data()
    model = digits.net(8)
    callback = lightning.WatchCallback(tmp_path, sample=(x[:16], y[:16]), every=2)
    loop = SimpleNamespace(global_step=0, is_global_zero=True)
    callback.on_train_start(loop, model)
    for batch in range(8):
        loop.global_step = (batch + 1) // 2
        callback.on_train_batch_end(loop, model, None, None, batch)
    callback.on_train_end(loop, model)
    assert [look.step for look in read(tmp_path).looks] == [0, 2, 4]
    second = lightning.WatchCallback(tmp_path / "other")
    second.on_train_start(SimpleNamespace(global_step=0, is_global_zero=False), model)
    second.on_train_batch_end(loop, model, None, None, 0)
    second.on_train_end(loop, model)
    assert not (tmp_path / "other").exists()


def test_numbers_go_to_other_loggers(tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []
    board = SimpleNamespace(add_scalar=lambda name, value, step: seen.append((name, value, step)))
    run = SimpleNamespace(log=lambda numbers, step: seen.append((tuple(numbers), step)))
    with Monitor(
        tmp_path, nn.Linear(2, 2), every=1, sinks=[loggers.tensorboard(board), loggers.wandb(run), loggers.trackio(run, "g")]
    ) as monitor:
        monitor.step(batch=4)
    assert seen[0] == ("genscope/weight_distance", 0.0, 0)
    assert seen[1] == (("genscope/weight_distance",), 0)
    assert seen[-1] == (("g/batch", "g/weight_distance"), 1)
