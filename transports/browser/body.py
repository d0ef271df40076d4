"""A body on its way: FetchResponse over a ReadableStream, every piece counted, every wait limited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

from shoal.transports.errors import BodyTruncated, TimedOut
from shoal.transports.interface import FetchRequest
from shoal.transports.sansio.bodies import BodyCounter, BodyPlan

from .page import JsException, from_js_bytes, in_words

__all__ = ["BrowserResponse"]

_SECOND_US = 1_000_000


class BrowserResponse:
    """A FetchResponse.  The browser reads ahead of its reader, and then stops the server: Chromium after 64 MiB."""

    def __init__(
        self, raw: Any, headers: Mapping[str, str], request: FetchRequest, plan: BodyPlan, end: Callable[[], None]
    ) -> None:
        """`end` aborts the fetch and forgets it."""
        self.url: str = raw.url
        self.status: int = raw.status
        self.headers = headers
        self.first_byte = plan.first_byte
        self.total_bytes = plan.total_bytes
        self.etag = plan.etag
        self._reader: Any = raw.body.getReader() if raw.body else None
        self._end = end
        self._stall_timeout_us = request.stall_timeout_us
        self._counter = BodyCounter(plan, request)
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        """Abort the fetch unless the body was read to its end; a task that is reading gets BodyTruncated."""
        self._end()
        with contextlib.suppress(RuntimeError):  # another task is inside; the abort ends its wait
            await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            while (piece := await self._next_piece()) is not None:
                fitting = self._counter.take(piece)
                if fitting:
                    yield fitting
                self._counter.check_piece(self.url, piece, fitting)
            self._counter.check_end(self.url)
        finally:
            self._end()  # after a good end there is nothing left to abort

    async def _next_piece(self) -> bytes | None:
        if self._reader is None:
            return None
        received = self._counter.received
        try:
            async with asyncio.timeout(self._stall_timeout_us / _SECOND_US):
                step = await self._reader.read()
        except TimeoutError as error:
            raise TimedOut.in_body(self.url, received, self._stall_timeout_us) from error
        except JsException as error:
            raise BodyTruncated(
                f"{self.url} broke off after {received} bytes: {in_words(error)}; ask for the rest"
            ) from error
        return None if step.done else from_js_bytes(step.value)
