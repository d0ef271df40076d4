"""A body on its way: FetchResponse over aiohttp's, every piece counted, every wait limited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import aiohttp

from shoal.transports.errors import BodyTruncated, TimedOut
from shoal.transports.interface import FetchRequest
from shoal.transports.sansio.bodies import BodyCounter, BodyPlan

from .words import in_words

__all__ = ["HttpResponse"]

_SECOND_US = 1_000_000


class HttpResponse:
    """A FetchResponse.  Its connection goes back to the pool at a good end, else is closed."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        headers: Mapping[str, str],
        request: FetchRequest,
        plan: BodyPlan,
    ) -> None:
        self.url = str(response.url)
        self.status = response.status
        self.headers = headers
        self.first_byte = plan.first_byte
        self.total_bytes = plan.total_bytes
        self.etag = plan.etag
        self._response = response
        self._stall_timeout_us = request.stall_timeout_us
        self._counter = BodyCounter(plan, request)
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        """Close the connection unless the body was read to its end; a task that is reading gets BodyTruncated."""
        self._response.close()
        with contextlib.suppress(RuntimeError):  # another task is inside; closing the connection ends its wait
            await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            while piece := await self._next_piece():
                fitting = self._counter.take(piece)
                if fitting:
                    yield fitting
                self._counter.check_piece(self.url, piece, fitting)
            self._counter.check_end(self.url)
        except BaseException:
            self._response.close()
            raise
        self._response.release()

    async def _next_piece(self) -> bytes:
        received = self._counter.received
        try:
            async with asyncio.timeout(self._stall_timeout_us / _SECOND_US):
                return await self._response.content.readany()
        except TimeoutError as error:
            stall_s = self._stall_timeout_us / _SECOND_US
            raise TimedOut(
                f"{self.url} sent nothing for {stall_s:g} s after {received} bytes; try another server",
                phase="stall",
                timeout_us=self._stall_timeout_us,
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise BodyTruncated(
                f"{self.url} broke off after {received} bytes: {in_words(error)}; ask for the rest"
            ) from error
