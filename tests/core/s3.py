"""A small S3 server in memory: put (also "only if it is not there"), get, head, delete, list. Enough for s3fs, and it can be full or read-only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

DATE = "Wed, 25 Nov 2026 00:00:00 GMT"


class Bucket(ThreadingHTTPServer):
    """Objects by path; `refuse`: the error code that every put gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.refuse = ""
        self.guard = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def _send(self, code: int, body: bytes = b"", length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Last-Modified", DATE)
        self.send_header("ETag", '"x"')
        self.end_headers()
        self.wfile.write(body)

    def _error(self, code: int, name: str) -> None:
        self._send(code, f"<Error><Code>{name}</Code><Message>{name}</Message></Error>".encode())

    def do_PUT(self) -> None:
        path = unquote(urlsplit(self.path).path)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.guard:
            if self.server.refuse:
                self._error(403 if self.server.refuse == "AccessDenied" else 400, self.server.refuse)
            elif self.headers.get("If-None-Match") == "*" and path in self.server.objects:
                self._error(412, "PreconditionFailed")
            else:
                self.server.objects[path] = content
                self._send(200)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query, path = parse_qs(address.query), unquote(address.path)
        if "list-type" in query:
            bucket, prefix = path.strip("/"), query.get("prefix", [""])[0]
            named = {key.removeprefix(f"/{bucket}/"): len(value) for key, value in self.server.objects.items()}
            rows = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><LastModified>2026-11-25T00:00:00Z</LastModified><ETag>x</ETag></Contents>"
                for key, size in sorted(named.items())
                if key.startswith(prefix)
            )
            self._send(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())
        elif path in self.server.objects:
            self._send(200, self.server.objects[path])
        else:
            self._error(404, "NoSuchKey")

    def do_HEAD(self) -> None:
        found = self.server.objects.get(unquote(urlsplit(self.path).path))
        self._send(404 if found is None else 200, length=0 if found is None else len(found))

    def do_DELETE(self) -> None:
        self.server.objects.pop(unquote(urlsplit(self.path).path), None)
        self._send(204)


@contextmanager
def serving() -> Iterator[Bucket]:
    """A running server."""
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
