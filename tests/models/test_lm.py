"""Local language models: batches equal single rows, scores equal the slow loop, identity follows every file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genscope.core.errors import ModelError
from genscope.core.reply import GenerateJob, Message, Reply, Request, Sampling, ScoreJob
from genscope.models import names
from genscope.models.gguf import check_gguf
from genscope.models.weights import file_hash, parameter_count
from tests.models.tiny import NO_SYSTEM, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


def _load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


def requests(count: int, prefill: str = "") -> tuple[Request, ...]:
    return tuple(
        Request(messages=(Message("system", "s"), Message("user", "word " * (1 + (7 * n) % 5) + str(n))), prefill=prefill, plain=f"plain {n}") for n in range(count)
    )  # fmt: skip


def generate(model: names.Model, rows: tuple[Request, ...], **sampling: object) -> list[Reply]:
    found: list[Reply] = []
    job = GenerateJob(requests=rows, sampling=Sampling(**{"max_tokens": 12, **sampling}))  # pyright: ignore[reportArgumentType]
    model.generate([job], lambda _, replies: found.extend(replies), lambda: False)
    return found


def test_a_block_equals_its_rows_one_by_one_in_order(folder: Path) -> None:
    model = names.make(f"hf:{folder}?dtype=f32")
    rows = requests(9)
    together, alone = generate(model, rows), [generate(model, (row,))[0] for row in rows]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert [reply.tokens_in for reply in together] == [reply.tokens_in for reply in alone]
    assert len({reply.text for reply in together}) > 3
    assert {reply.finish for reply in together} <= {"stop", "length"}


def test_greedy_ignores_the_folders_own_sampling_settings(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "hot"
    shutil.copytree(folder, other)
    (other / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 5.0, "repetition_penalty": 3.0, "eos_token_id": 1})
    )
    texts = [[reply.text for reply in generate(names.make(f"hf:{one}?dtype=f32"), requests(4))] for one in (folder, other)]
    assert texts[0] == texts[1]


def test_sampling_is_reproducible_and_leaves_the_global_generator_alone(folder: Path) -> None:
    import torch

    model = names.make(f"hf:{folder}?dtype=f32")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (generate(model, requests(4), temperature=1.0, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first == again
    assert first != other


@pytest.mark.parametrize(("top_k", "top_p"), [(60, 0.95), (5, 0.5), (1, 0.1), (10_000, 0.99)])
def test_nucleus_of_the_top_equals_both_filters_of_transformers(top_k: int, top_p: float) -> None:
    import torch
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    from genscope.models.lm import _NucleusOfTop

    scores = torch.randn(16, 2_000, generator=torch.Generator().manual_seed(3)) * 3
    ids = torch.zeros(16, 1, dtype=torch.long)
    wanted = TopPLogitsWarper(top_p)(ids, TopKLogitsWarper(top_k)(ids, scores))
    assert torch.equal(_NucleusOfTop(top_k, top_p)(ids, scores), wanted)


def test_stop_texts_end_a_reply(folder: Path) -> None:
    model = names.make(f"hf:{folder}?dtype=f32")
    whole = generate(model, requests(6), max_tokens=30)
    stop = next(reply.text[3] for reply in whole if len(reply.text) > 5)
    cut = generate(model, requests(6), max_tokens=30, stop=(stop,))
    assert all(stop not in reply.text for reply in cut)
    for short, long in zip(cut, whole, strict=True):
        assert long.text.startswith(short.text)
        assert short.finish == ("stop" if stop in long.text else long.finish)


def test_prefill_and_system_option_reach_the_prompt(folder: Path) -> None:
    base = generate(names.make(f"hf:{folder}?dtype=f32"), requests(1))[0].tokens_in
    assert generate(names.make(f"hf:{folder}?dtype=f32"), requests(1, "The answer"))[0].tokens_in == base + 10
    assert generate(names.make(f"hf:{folder}?dtype=f32&system=longer"), requests(1))[0].tokens_in == base + 5
    assert generate(names.make(f"hf:{folder}?dtype=f32&system=none"), requests(1))[0].tokens_in == base - len("<system>s")


def test_a_template_without_system_turns_gets_it_merged(tmp_path: Path) -> None:
    model = names.make(f"hf:{tiny_model(tmp_path / 'm', template=NO_SYSTEM)}?dtype=f32")
    text = model._rendered(requests(1)[0])  # pyright: ignore[reportAttributeAccessIssue]
    assert text.startswith("<user>s\n\nword")


def test_base_models_get_the_plain_text(tmp_path: Path, folder: Path) -> None:
    base = names.make(f"hf:{tiny_model(tmp_path / 'm', template=None)}")
    assert "chat" not in base.abilities
    assert generate(base, requests(1))[0].tokens_in == len("plain 0")
    assert "chat" in names.make(f"hf:{folder}").abilities
    assert "chat" not in names.make(f"hf:{folder}?template=none").abilities


def test_scores_equal_the_slow_forward_pass(folder: Path) -> None:
    import torch

    model = names.make(f"hf:{folder}?dtype=f32")
    job = ScoreJob(request=requests(1)[0], continuations=("12", "7, 8, 9", "x"))
    found: list[list[float]] = []
    model.score([job], lambda _, scores: found.extend(scores), lambda: False)
    network, tokenizer = model._load()  # pyright: ignore[reportAttributeAccessIssue]
    prefix = model._tokens(model._rendered(job.request))  # pyright: ignore[reportAttributeAccessIssue]
    for text, ours in zip(job.continuations, found, strict=True):
        tail = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = network(torch.tensor([prefix + tail])).logits[0].float().log_softmax(-1)
        slow = [logits[len(prefix) + place - 1, token].item() for place, token in enumerate(tail)]
        assert ours == pytest.approx(slow, abs=1e-4)


def test_a_prompt_beyond_the_context_is_a_failed_row_only(tmp_path: Path) -> None:
    model = names.make(f"hf:{tiny_model(tmp_path / 'm', context=64)}?dtype=f32")
    long = Request(messages=(Message("user", "x" * 200),))
    short = Request(messages=(Message("user", "hi"),))
    replies = generate(model, (short, long, short))
    assert [reply.finish == "failed" for reply in replies] == [False, True, False]
    assert "exceed the model's context of 64" in replies[1].error


def test_adapters_change_replies_and_identity(folder: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    tuned.save_pretrained(tmp_path / "adapter")
    assert torch.is_tensor(next(tuned.parameters()))
    plain, option, own = (
        names.make(f"hf:{folder}"),
        names.make(f"hf:{folder}?adapter={tmp_path / 'adapter'}"),
        names.make(f"hf:{tmp_path / 'adapter'}"),
    )
    assert plain.identity() != option.identity()
    texts = [[reply.text for reply in generate(one, requests(4))] for one in (plain, option, own)]
    assert texts[1] == texts[2] != texts[0]


def test_identity_follows_weights_tokenizer_and_options(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    same = names.make(f"hf:{copy}").identity()
    assert same["weights"] == names.make(f"hf:{folder}").identity()["weights"]
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        path = copy / name
        before = path.read_bytes()
        path.write_bytes(before[:-3] + bytes([before[-3] ^ 1]) + before[-2:] if path.suffix == ".safetensors" else before + b"\n")
        assert names.make(f"hf:{copy}").identity()["weights"] != same["weights"]
        path.write_bytes(before)
    assert names.make(f"hf:{folder}?dtype=bf16").identity() != names.make(f"hf:{folder}?dtype=f32").identity()


def test_hashes_are_remembered_by_path_size_and_time(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(folder / "model.safetensors", path)
    first, facts = file_hash(path), path.stat()
    content = path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert file_hash(path) == first  # same path, size and time: not read again
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert file_hash(path) != first
    assert parameter_count(folder) == sum(p.numel() for p in _load(folder).parameters())


def test_identity_and_description_import_no_torch(folder: Path) -> None:
    code = (
        "import sys; from genscope.models import names\n"
        f"m = names.make('hf:{folder}'); m.identity(); m.describe(); m.abilities\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_folders_that_are_no_model(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        names.make(f"hf:{tmp_path}/nothing")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        names.make(f"hf:{tmp_path}")
    pickled = tmp_path / "pickled"
    shutil.copytree(folder, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"(?s)pickled \(pytorch_model\.bin\).*AutoModelForCausalLM\.from_pretrained.*save_pretrained"):
        names.make(f"hf:{pickled}")
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="not a safetensors file"):
        names.make(f"hf:{broken}").describe()
    with pytest.raises(ModelError, match="neither a folder nor a model that the hub gives"):
        names.make("hf:nobody/nothing").identity()
    with pytest.raises(ModelError, match="dtype must be one of"):
        names.make(f"hf:{folder}?dtype=f64")
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="not a GGUF file"):
        check_gguf(fake)
