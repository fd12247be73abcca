"""HTTP with two limits that clients lack: the size of an answer, and the whole time it may take, however slowly it drips."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

LARGEST_BODY = 8 << 20
"""Bytes of an answer that are read; a larger one is a failed reply."""


def capped_transport(seconds: float) -> Any:
    """A transport of httpx2 (which the openai SDK uses) whose answers end at 8 MiB or after `seconds`."""
    import httpx2

    class Capped(httpx2.AsyncByteStream):
        def __init__(self, inner: Any, deadline: float) -> None:
            self.inner, self.deadline = inner, deadline

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in self.inner:
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise httpx2.DecodingError(f"the answer is larger than {LARGEST_BODY:,} bytes")
                if time.monotonic() > self.deadline:
                    raise httpx2.ReadTimeout(f"the answer took longer than {seconds:g} s")
                yield chunk

        async def aclose(self) -> None:
            await self.inner.aclose()

    class Transport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: Any) -> Any:
            deadline = time.monotonic() + seconds
            response = await super().handle_async_request(request)
            response.stream = Capped(response.stream, deadline)
            return response

    return Transport(limits=httpx2.Limits(max_connections=None))
