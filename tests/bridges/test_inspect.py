"""Our tasks in Inspect, and Inspect's models in our profile, with a provider of our own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, modelapi

import genscope as gs
from genscope.bridges import inspect as bridge
from genscope.core.reply import GenerateJob, Message, Reply, Request, Sampling
from genscope.models.planted import PlantedSolver
from genscope.tasks import scylla

pytestmark = pytest.mark.filterwarnings("ignore")  # Inspect's own dependencies warn


ASKED: list[str] = []
"""Which model each request went to."""


@modelapi(name="genscope_test")
class Provider(ModelAPI):
    """The planted solver as an Inspect provider; `right` always answers rightly, `wrong` never, `sometimes` raises at each third request, `broken` at each."""

    async def generate(self, input: list[ChatMessage], tools: list[Any], tool_choice: Any, config: GenerateConfig) -> ModelOutput:
        ASKED.append(self.model_name)
        if self.model_name.endswith("broken") or (self.model_name.endswith("sometimes") and len(ASKED) % 3 == 0):
            raise ValueError("content refused; key sk-0123456789abcdefABCDEF")
        p = 0.0 if self.model_name.endswith("wrong") else 1.0
        solver = PlantedSolver([p] * 5, [p] * 5, unparsable=0.0)
        request = Request(messages=tuple(Message("user", message.text) for message in input if message.role == "user"))
        reply = solver._reply(request, Sampling(max_tokens=64, temperature=config.temperature or 0.0, seed=config.seed or 0), 0, 0)
        return ModelOutput.from_content(self.model_name, reply.text)


def test_all_twenty_tasks_are_exported_and_registered() -> None:
    from inspect_ai._util.registry import registry_info

    for name in scylla.NAMES:
        assert registry_info(getattr(bridge, name)).name == f"genscope/{name}"


@pytest.mark.parametrize(("model", "expected"), [("right", 1.0), ("wrong", 0.0)])
def test_eval_scores_with_our_parser(model: str, expected: float, tmp_path: Path) -> None:
    log = inspect_eval("genscope/two_sum", model=f"genscope_test/{model}", task_args={"n": 4}, log_dir=str(tmp_path), display="none")[0]
    assert log.status == "success"
    assert log.results is not None
    values = {metric.name: metric.value for score in log.results.scores for metric in score.metrics.values()}
    assert values["id"] == expected
    assert values["ood"] == expected


def test_sample_ids_are_the_examples_ids() -> None:
    task = bridge.scylla_task("sort_numbers", 3, 0, "paper", "cot", "verify")
    one = scylla.task("sort_numbers")
    sampler = scylla.Sampler(one, scylla.IdSource.prior(one), "elements", "paper", gs.Seed("inspect", 0))
    assert [sample.id for sample in task.dataset] == [example.id for example in [*sampler.id(0, 3), *sampler.ood(0, 3)]]


def test_profile_of_an_inspect_model(tmp_path: Path) -> None:
    result = gs.profile("inspect:genscope_test/right", tasks=["find_minimum", "two_sum"], n=4, scale="smoke", out=tmp_path / "out")
    answers = result.responses.filter(result.responses["kind"] == "answer")
    assert len(answers) == 16
    assert answers["correct"].all()


def test_a_provider_that_does_not_exist_is_a_clear_error() -> None:
    with pytest.raises(gs.core.errors.EndpointError, match="Inspect could not ask it"):
        gs.profile("inspect:nobody/model", tasks=["find_minimum"], n=2, scale="smoke")


def test_a_request_that_a_provider_refuses_is_a_counted_row(tmp_path: Path) -> None:
    ASKED.clear()
    how: dict[str, Any] = {"tasks": ["find_minimum"], "n": 6, "scale": "smoke", "id_source": "prior", "mode": "direct", "concurrency": 1}
    result = gs.profile("inspect:genscope_test/sometimes", **how, out=tmp_path / "out")
    failed = [text for text in result.responses["failed"] if text]
    assert len(result.responses) == 12
    assert len(failed) == 4
    assert all("ValueError: content refused" in text and "0123456789abcdef" not in text for text in failed)


def test_a_provider_that_always_fails_stops_the_run() -> None:
    ASKED.clear()
    with pytest.raises(gs.core.errors.EndpointError, match="the first 5 requests all failed.*content refused.*as for `inspect eval"):
        gs.profile("inspect:genscope_test/broken", tasks=["find_minimum"], n=32, scale="smoke", id_source="prior", concurrency=2)
    assert len(ASKED) < 20


def test_an_error_of_the_caller_ends_the_run_and_loses_no_reply() -> None:
    ASKED.clear()
    found: list[int] = []

    def done(place: int, replies: list[Reply]) -> None:
        found.append(place)
        if len(found) == 3:
            raise gs.core.errors.UsageError("disk full")

    one = bridge.InspectModel("genscope_test/right", concurrency=2)
    ask = Request(messages=(Message("user", scylla.probe_prompt(scylla.task("find_minimum"))),))
    jobs = [GenerateJob(requests=(ask,), sampling=Sampling(max_tokens=8, temperature=0.9, seed=k), repeat=k) for k in range(200)]
    with pytest.raises(gs.core.errors.UsageError, match="disk full"):
        one.generate(jobs, done, lambda: False)
    time.sleep(0.5)  # whatever went on by itself would ask by now
    assert len(found) == len(ASKED) < 200


def test_the_bridge_imports_no_torch() -> None:
    code = "import genscope.bridges.inspect, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
