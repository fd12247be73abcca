"""OpenAI-compatible endpoints: `openai:MODEL[@BASE_URL]`, through the openai SDK in a thread of its own. Never imports torch.

The SDK does retries with back-off (429, 5xx, time-outs, broken connections) and honours Retry-After. Everything else a server can do wrong makes a
failed reply that is counted, or, where it concerns every request (a wrong key, an unknown model), one clear error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from genscope.core.errors import EndpointError, MissingError, UsageError, missing_extra
from genscope.core.reply import GenerateJob, Message, OnReplies, Reply, Request, Sampling
from genscope.core.text import shorten, without_keys
from genscope.models.background import Background
from genscope.models.completion import read_completion
from genscope.models.model import Description, Model
from genscope.models.turns import merged_system, with_system

ENDPOINT_VERSION = 1
FATAL = {301, 302, 303, 307, 308, 401, 402, 403, 404, 405}
"""Answers that concern every request, not one."""
_ADAPTATIONS = 8
_PARAMETERS = ("temperature", "top_p", "seed", "stop", "top_k", "repetition_penalty")


class Endpoint(Model):
    """A chat model behind an OpenAI-compatible server.

    timeout: seconds for one attempt, however slowly the server drips; retries: attempts after the first; concurrency: requests under way
    at once; key_env: environment variable that holds the key (servers on this machine need none); system: as for local models.
    """

    abilities = frozenset({"generate", "sample", "chat"})
    block = 1

    def __init__(
        self, model: str, base_url: str | None = None, *, key_env: str = "OPENAI_API_KEY", concurrency: int = 8, timeout: float = 120.0, retries: int = 5,
        system: str | None = None,
    ) -> None:  # fmt: skip
        if concurrency < 1:
            raise UsageError(f"--concurrency must be at least 1, got {concurrency}")
        if timeout <= 0:
            raise UsageError(f"timeout must be above 0 seconds, got {timeout}")
        self.model, self.base_url, self.key_env = model, _checked(base_url), key_env
        self.concurrency, self.timeout, self.retries, self.system = concurrency, timeout, retries, system
        self.name = f"openai:{model}" + (f"@{_without_secrets(self.base_url)}" if self.base_url else "")
        self.spends = not (self.base_url and _is_loopback(self.base_url))

    def identity(self) -> dict[str, Any]:
        url = _without_secrets(self.base_url) if self.base_url else None
        return {"kind": "endpoint", "version": ENDPOINT_VERSION, "model": self.model, "base_url": url, "system": self.system}

    def describe(self) -> Description:
        where = _without_secrets(self.base_url) if self.base_url else "api.openai.com"
        facts = {"server": where} | ({"system": self.system} if self.system is not None else {})
        return Description(name=self.name, sentence=f"{self.model} behind an OpenAI-compatible endpoint", facts=facts)

    def generate(self, jobs: Sequence[GenerateJob], done: OnReplies, stop: Callable[[], bool]) -> None:
        _Run(self, jobs, stop, self._key()).deliver(done, "Check the server, the model's name and --concurrency")

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "")
        if key:
            return key
        if self.base_url and _is_loopback(self.base_url):
            return "none"
        raise MissingError(
            f"{self.name} needs a key, and the environment variable {self.key_env} is empty. Set it, or name another one with --key-env"
        )


class _Run(Background):
    """One call of `generate`, and what it has learned about the server: parameters that it does not accept, under which name it takes the limit."""

    def __init__(self, endpoint: Endpoint, jobs: Sequence[GenerateJob], stop: Callable[[], bool], key: str) -> None:
        super().__init__(endpoint.name, jobs, stop, endpoint.concurrency)
        self.endpoint, self.key = endpoint, key
        self.dropped: dict[str, None] = {}
        self.renamed = False
        self.merged = False
        self.client: Any = None

    async def all(self) -> None:
        self.client = self._client()
        waiting = iter(enumerate(self.jobs))
        try:
            await self.worker(waiting, most=1)  # alone: it finds out which parameters the server accepts
            await self.workers(waiting)
        finally:
            await self.client.close()

    async def answer(self, job: GenerateJob) -> list[Reply]:
        return [await self._reply(self.client, request, job) for request in job.requests]

    def _client(self) -> Any:
        try:
            import httpx2
            from openai import AsyncOpenAI
        except ImportError as error:
            raise missing_extra(f"{self.endpoint.name} is asked through the openai SDK", "llm") from error
        from genscope.models.transport import capped_transport

        http = httpx2.AsyncClient(
            transport=capped_transport(self.endpoint.timeout), follow_redirects=False, timeout=self.endpoint.timeout, trust_env=True
        )
        return AsyncOpenAI(
            api_key=self.key,
            base_url=self.endpoint.base_url,
            max_retries=self.endpoint.retries,
            timeout=self.endpoint.timeout,
            http_client=http,
        )

    async def _reply(self, client: Any, request: Request, job: GenerateJob) -> Reply:
        import openai

        for _ in range(_ADAPTATIONS):
            try:
                raw = await client.chat.completions.with_raw_response.create(**self._asked(request, job.sampling))
                return read_completion(raw.http_response.text, tuple(self.dropped))
            except openai.APIStatusError as error:
                if error.status_code == 400 and self._adapt(str(error.message), self._asked(request, job.sampling)):
                    continue
                words = self._words(str(error.message))
                if error.status_code in FATAL:
                    raise EndpointError(
                        f"{self.endpoint.name}: the server answered {error.status_code}: {words}. {_advice(error.status_code, self.endpoint)}"
                    ) from None
                return _failed(f"HTTP {error.status_code}: {words}", self.dropped)
            except openai.APITimeoutError:
                return _failed(f"no answer within {self.endpoint.timeout:g} s, {self.endpoint.retries + 1} times", self.dropped)
            except (openai.APIConnectionError, openai.APIResponseValidationError) as error:
                cause = error.__cause__ or error
                return _failed(f"{type(cause).__name__}: {self._words(str(cause))}", self.dropped)
            except (ValueError, UnicodeError) as error:
                return _failed(f"unreadable answer: {self._words(str(error))}", self.dropped)
        return _failed("the server rejected every form of the request", self.dropped)

    def _asked(self, request: Request, sampling: Sampling) -> dict[str, Any]:
        messages = with_system(request.messages, self.endpoint.system)
        messages = merged_system(messages) if self.merged else messages
        if request.prefill:
            last = messages[-1]
            messages = [*messages[:-1], Message(last.role, f'{last.content}\nBegin your reply with: "{request.prefill}"')]
        limit = "max_completion_tokens" if self.renamed else "max_tokens"
        asked: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            limit: sampling.max_tokens,
        }
        asked["temperature"] = sampling.temperature
        if sampling.temperature > 0:
            asked |= {"top_p": sampling.top_p, "seed": sampling.seed}
        if sampling.stop:
            asked["stop"] = list(sampling.stop)
        extra = {}
        if sampling.temperature > 0 and sampling.top_k:
            extra["top_k"] = sampling.top_k
        if sampling.repetition_penalty != 1.0:
            extra["repetition_penalty"] = sampling.repetition_penalty
        for name in self.dropped:
            asked.pop(name, None)
            extra.pop(name, None)
        return {**asked, "extra_body": extra} if extra else asked

    def _adapt(self, said: str, asked: dict[str, Any]) -> bool:
        """Change what a 400 complains of, once each; False when it complains of something else."""
        low = said.lower()
        if "max_completion_tokens" in low and not self.renamed:
            self.renamed = True
            return True
        present = {*asked, *asked.get("extra_body", {})}
        for name in _PARAMETERS:
            if name in low and name in present and name not in self.dropped:
                self.dropped[name] = None
                return True
        if "system" in low and not self.merged and any(message["role"] == "system" for message in asked["messages"]):
            self.merged = True
            return True
        return False

    def _words(self, text: str) -> str:
        return shorten(without_keys(re.sub(r"^Error code: \d+ - ", "", text), self.key if self.key != "none" else ""), 240)


def _failed(error: str, dropped: dict[str, None]) -> Reply:
    return Reply(text="", finish="failed", error=error, dropped=tuple(dropped))


def _advice(status: int, endpoint: Endpoint) -> str:
    if status in (401, 402, 403):
        return f"Check the key in {endpoint.key_env}"
    if 300 <= status < 400:
        return "Name the address that it redirects to; a key is never sent on"
    return "Check the model's name and the address (it usually ends with /v1)"


def _checked(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"the address of an endpoint begins with http:// or https://, got {shorten(url, 80)!r}. Write openai:MODEL@http://HOST:PORT/v1"
        )
    return url


def _without_secrets(url: str) -> str:
    """The address without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, host + (f":{parts.port}" if parts.port else ""), parts.path, "", ""))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
