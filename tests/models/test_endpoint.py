"""The endpoint against a real server that misbehaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from genscope.core.errors import EndpointError, MissingError, UsageError
from genscope.core.reply import GenerateJob, Message, Reply, Request, Sampling
from genscope.models.endpoint import Endpoint
from tests.models.server import Server, serving

KEY = "sk-secret-9f8e7d6c5b4a"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def jobs(count: int, prefill: str = "", temperature: float = 0.0) -> list[GenerateJob]:
    sampling = Sampling(max_tokens=50, temperature=temperature, top_p=0.9, top_k=60 if temperature else 0, seed=7)
    messages = (Message("system", "Be brief."), Message("user", "Which?"))
    return [
        GenerateJob(requests=(Request(messages=messages, prefill=prefill),), sampling=sampling, repeat=number) for number in range(count)
    ]


def endpoint(server: Server, model: str, **options: float | str) -> Endpoint:
    settings: dict = {"timeout": 0.4, "retries": 1, "concurrency": 4, **options}
    return Endpoint(model, server.url, **settings)


def ask(one: Endpoint, count: int = 3, **how: str | float) -> list[Reply]:
    found: dict[int, Reply] = {}
    one.generate(jobs(count, **how), lambda place, replies: found.update({place: replies[0]}), lambda: False)  # pyright: ignore[reportArgumentType]
    return [found[place] for place in sorted(found)]


def test_a_normal_server(server: Server) -> None:
    replies = ask(endpoint(server, "normal"), 5)
    assert [reply.text for reply in replies] == ["I looked. The answer is 1."] * 5
    assert (replies[0].tokens_in, replies[0].tokens_out, replies[0].finish) == (10, 5, "stop")
    assert server.keys == [f"Bearer {KEY}"] * 5
    assert server.seen[0]["temperature"] == 0.0
    assert "seed" not in server.seen[0]


@pytest.mark.parametrize(
    ("model", "words"), [("401", "Check the key in OPENAI_API_KEY"), ("404", "Check the model's name"), ("redirects", "Name the address")]
)
def test_what_concerns_every_request_is_one_clear_error(server: Server, model: str, words: str) -> None:
    with pytest.raises(EndpointError, match=words) as caught:
        ask(endpoint(server, model), 10)
    assert KEY not in str(caught.value)
    assert server.counts[model] == 1


def test_too_many_requests_are_retried(server: Server) -> None:
    assert all(reply.finish == "stop" for reply in ask(endpoint(server, "429", timeout=5, retries=3), 3))


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("malformed", "no JSON"),
        ("empty-body", "an empty body"),
        ("html", "an HTML page"),
        ("strange", "no choice"),
        ("no-choices", "overloaded"),
    ],
)
def test_unreadable_answers_are_failed_replies(server: Server, model: str, error: str) -> None:
    found: list[Reply] = []
    with pytest.raises(EndpointError, match="the first 2 requests all failed"):
        endpoint(server, model).generate(jobs(2), lambda _, replies: found.extend(replies), lambda: False)
    assert all(reply.finish == "failed" and error in reply.error for reply in found)


@pytest.mark.parametrize(
    ("model", "error"),
    [("500", "HTTP 500"), ("timeout", "no answer within 0.4 s"), ("drip", "no answer within 0.4 s"), ("closes", "Error")],
)
def test_servers_that_fail_for_good(server: Server, model: str, error: str) -> None:
    found: list[Reply] = []
    with pytest.raises(EndpointError, match="requests all failed"):
        endpoint(server, model, retries=0).generate(jobs(2), lambda _, replies: found.extend(replies), lambda: False)
    assert error in found[0].error
    assert "<b>" not in found[0].error or model == "500"


def test_single_failures_are_counted_and_lose_nothing(server: Server) -> None:
    replies = ask(endpoint(server, "sometimes", retries=0), 9)
    assert len(replies) == 9
    assert [reply.finish for reply in replies].count("failed") == 3


@pytest.mark.parametrize("model", ["empty-reply", "null"])
def test_empty_replies_are_replies(server: Server, model: str) -> None:
    assert [(reply.text, reply.finish) for reply in ask(endpoint(server, model))] == [("", "stop")] * 3


def test_content_in_parts(server: Server) -> None:
    assert ask(endpoint(server, "parts"), 1)[0].text == "The answer is 1."


def test_huge_replies_are_cut_and_counted(server: Server) -> None:
    reply = ask(endpoint(server, "5mb", timeout=20), 1)[0]
    assert (len(reply.text), reply.finish) == (64_000, "length")


def test_bodies_without_end_are_not_read(server: Server) -> None:
    with pytest.raises(EndpointError, match="larger than 8,388,608 bytes"):
        ask(endpoint(server, "9mb", timeout=20, retries=0), 1)


def test_hostile_text_is_stripped_of_escapes(server: Server) -> None:
    text = ask(endpoint(server, "hostile"), 1)[0].text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.endswith("The answer is 1.")


@pytest.mark.parametrize("model", ["thinks", "reasons"])
def test_thinking_is_cut_out_and_kept(server: Server, model: str) -> None:
    reply = ask(endpoint(server, model), 1)[0]
    assert (reply.text, reply.thinking) == ("The answer is 1.", "The answer is 99?")


def test_thinking_cut_by_the_limit_is_no_answer(server: Server) -> None:
    reply = ask(endpoint(server, "cut"), 1)[0]
    assert (reply.text, reply.finish, "99" in reply.thinking) == ("", "length", True)


def test_refusals_are_marked(server: Server) -> None:
    reply = ask(endpoint(server, "refuses"), 1)[0]
    assert (reply.refused, reply.text) == (True, "I cannot help with that.")


def test_rejected_parameters_are_dropped_once_and_named(server: Server) -> None:
    replies = ask(endpoint(server, "no-temperature"), 6)
    assert {reply.dropped for reply in replies} == {("temperature",)}
    assert server.counts["no-temperature"] == 7


def test_a_renamed_limit_is_used_and_not_called_dropped(server: Server) -> None:
    replies = ask(endpoint(server, "new-limit"), 4)
    assert {reply.dropped for reply in replies} == {()}
    assert server.seen[-1]["max_completion_tokens"] == 50


def test_a_server_without_system_turns_gets_one_user_turn(server: Server) -> None:
    assert len(ask(endpoint(server, "no-system"), 2)) == 2
    assert server.seen[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\nWhich?"}]


def test_system_option_and_prefill(server: Server) -> None:
    ask(endpoint(server, "normal", system="none"), 1, prefill="The answer is")
    assert server.seen[-1]["messages"] == [{"role": "user", "content": 'Which?\nBegin your reply with: "The answer is"'}]
    ask(endpoint(server, "normal", system="Hi"), 1)
    assert server.seen[-1]["messages"][0] == {"role": "system", "content": "Hi"}


def test_sampling_is_sent(server: Server) -> None:
    ask(endpoint(server, "normal"), 1, temperature=0.9)
    sent = server.seen[-1]
    assert (sent["temperature"], sent["top_p"], sent["seed"], sent["top_k"]) == (0.9, 0.9, 7, 60)


def test_requests_are_under_way_at_once(server: Server) -> None:
    server.gate = threading.Barrier(4)
    assert len(ask(endpoint(server, "normal", timeout=15), 9)) == 9  # one alone, then twice four together
    assert server.peak == 4


def test_stop_is_asked_before_each_job(server: Server) -> None:
    left = iter([False, False, True])
    found: list[int] = []
    endpoint(server, "normal", concurrency=1).generate(jobs(5), lambda place, _: found.append(place), lambda: next(left, True))
    assert found == [0, 1]


def test_an_error_of_the_caller_ends_the_run_and_loses_no_reply(server: Server) -> None:
    found: list[int] = []

    def done(place: int, replies: list[Reply]) -> None:
        found.append(place)
        if len(found) == 2:
            raise UsageError("disk full")

    with pytest.raises(UsageError, match="disk full"):
        endpoint(server, "normal", concurrency=2).generate(jobs(200), done, lambda: False)
    assert len(server.seen) < 50
    assert len(found) == len(server.seen)


def test_keys_and_secrets_stay_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Endpoint("m", "http://user:pass@127.0.0.1:1/v1?token=abc#x")
    told = f"{one.name} {one.identity()} {one.describe()} {one!r}"
    assert not any(secret in told for secret in ("pass", "abc", KEY))
    monkeypatch.delenv("OPENAI_API_KEY")
    assert ask(endpoint(server, "normal"), 1)[0].finish == "stop"  # a server on this machine needs no key
    with pytest.raises(MissingError, match="OPENAI_API_KEY is empty"):
        Endpoint("gpt-4o").generate(jobs(1), lambda *_: None, lambda: False)


def test_loopback_costs_nothing() -> None:
    assert not Endpoint("m", "http://localhost:8000/v1").spends
    assert Endpoint("m", "https://api.example.org/v1").spends
    assert Endpoint("m").spends


def test_a_bad_address_is_refused() -> None:
    with pytest.raises(UsageError, match="begins with http"):
        Endpoint("m", "localhost:8000")
