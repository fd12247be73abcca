"""A real HTTP server on this machine that speaks the chat completions protocol, and misbehaves as the model's name says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "I looked. The answer is 1."


class Server(ThreadingHTTPServer):
    """`seen` holds the bodies of all requests, `keys` their keys; `peak` is the most requests ever under way at once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.counts: Counter[str] = Counter()
        self.release = threading.Event()
        self.lock = threading.Lock()
        self.under_way = self.peak = 0
        self.gate: threading.Barrier | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the test."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    """One method for each way to misbehave."""

    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(body)
            self.server.keys.append(self.headers.get("Authorization", ""))
            self.server.counts[body["model"]] += 1
            number = self.server.counts[body["model"]]
            self.server.under_way += 1
            self.server.peak = max(self.server.peak, self.server.under_way)
        try:
            getattr(self, "do_" + body["model"].partition(":")[0].replace("-", "_"), self.do_normal)(body, number)
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def send(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def reply(self, content: Any = ANSWER, finish: str = "stop", **message: Any) -> None:
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        self.send(200, json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}).encode())

    def error(self, status: int, text: str, **headers: str) -> None:
        self.send(status, json.dumps({"error": {"message": text, "type": "invalid_request_error"}}).encode(), **headers)

    def do_normal(self, body: dict[str, Any], number: int) -> None:
        if self.server.gate is not None and number > 1:
            self.server.gate.wait(timeout=10)
        self.reply()

    def do_401(self, body: dict[str, Any], number: int) -> None:
        self.error(401, f"Incorrect API key provided: {self.headers['Authorization'].removeprefix('Bearer ')}")

    def do_404(self, body: dict[str, Any], number: int) -> None:
        self.error(404, "The model does not exist")

    def do_429(self, body: dict[str, Any], number: int) -> None:
        self.error(429, "slow down", Retry_After="0.05") if number <= 2 else self.reply()

    def do_500(self, body: dict[str, Any], number: int) -> None:
        self.error(500, "internal <b>error</b>")

    def do_sometimes(self, body: dict[str, Any], number: int) -> None:
        self.error(422, "bad question") if number % 3 == 0 else self.reply()

    def do_timeout(self, body: dict[str, Any], number: int) -> None:
        self.server.release.wait(timeout=20)

    def do_drip(self, body: dict[str, Any], number: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(400):
            self.wfile.write(b" ")
            self.wfile.flush()
            if self.server.release.wait(timeout=0.05):
                return

    def do_closes(self, body: dict[str, Any], number: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "500")
        self.end_headers()
        self.wfile.write(b'{"choices": [')

    def do_malformed(self, body: dict[str, Any], number: int) -> None:
        self.send(200, b'{"choices": [{"message": {"content": "The answer')

    def do_empty_body(self, body: dict[str, Any], number: int) -> None:
        self.send(200, b"")

    def do_html(self, body: dict[str, Any], number: int) -> None:
        self.send(200, b"<html><script>alert(1)</script>Bad gateway</html>", "text/html")

    def do_empty_reply(self, body: dict[str, Any], number: int) -> None:
        self.reply("")

    def do_null(self, body: dict[str, Any], number: int) -> None:
        self.reply(None)

    def do_parts(self, body: dict[str, Any], number: int) -> None:
        self.reply([{"type": "text", "text": "The answer "}, {"type": "text", "text": "is 1."}, {"type": "image"}, 7])

    def do_strange(self, body: dict[str, Any], number: int) -> None:
        self.send(200, b'{"choices": {"0": 1}, "usage": [1]}')

    def do_no_choices(self, body: dict[str, Any], number: int) -> None:
        self.send(200, b'{"choices": [], "error": {"message": "overloaded"}}')

    def do_5mb(self, body: dict[str, Any], number: int) -> None:
        self.reply("The answer is 1. " + "x" * 5_000_000)

    def do_9mb(self, body: dict[str, Any], number: int) -> None:
        self.reply("x" * 9_000_000)

    def do_hostile(self, body: dict[str, Any], number: int) -> None:
        self.reply("</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31mred\x1b]0;t\x07 \u202e The answer is 1.")

    def do_thinks(self, body: dict[str, Any], number: int) -> None:
        self.reply("<think>The answer is 99?</think>The answer is 1.")

    def do_reasons(self, body: dict[str, Any], number: int) -> None:
        self.reply("The answer is 1.", reasoning_content="The answer is 99?")

    def do_cut(self, body: dict[str, Any], number: int) -> None:
        self.reply("<think>The answer is 99? I go on", finish="length")

    def do_refuses(self, body: dict[str, Any], number: int) -> None:
        self.reply(None, refusal="I cannot help with that.")

    def do_no_temperature(self, body: dict[str, Any], number: int) -> None:
        self.error(400, "Unsupported value: 'temperature' does not support 0.0") if "temperature" in body else self.reply()

    def do_new_limit(self, body: dict[str, Any], number: int) -> None:
        text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        self.error(400, text) if "max_tokens" in body else self.reply()

    def do_no_system(self, body: dict[str, Any], number: int) -> None:
        has = any(message["role"] == "system" for message in body["messages"])
        self.error(400, "System role not supported") if has else self.reply()

    def do_redirects(self, body: dict[str, Any], number: int) -> None:
        self.send(307, b"", Location="http://127.0.0.2:9/v1/chat/completions")


@contextmanager
def serving() -> Iterator[Server]:
    """A running server; what still waits is let go at the end."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
