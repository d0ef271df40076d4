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
_EARLY_S = 0.002  # by which a loop's clock may call too early


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
        self._loop = asyncio.get_running_loop()
        self._is_stalled = False
        self._is_waiting = False  # for a piece, and not for whoever reads
        self._waiting_since_s = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        """Close the connection unless the body was read to its end; a task that is reading gets BodyTruncated."""
        self._response.close()
        with contextlib.suppress(RuntimeError):  # another task is inside; closing the connection ends its wait
            await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        counter, url = self._counter, self.url
        try:
            while piece := await self._next_piece():
                fitting = counter.take(piece)
                if fitting:
                    yield fitting
                counter.check_piece(url, piece, fitting)
            counter.check_end(url)
        except BaseException:
            self._response.close()
            raise
        finally:
            if self._watch is not None:
                self._watch.cancel()
        self._response.release()

    async def _next_piece(self) -> bytes:
        self._is_waiting, self._waiting_since_s = True, self._loop.time()
        if self._watch is None:
            self._look_in(self._stall_timeout_us / _SECOND_US)
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            received = self._counter.received
            if self._is_stalled:
                raise TimedOut.in_body(self.url, received, self._stall_timeout_us) from error
            raise BodyTruncated(
                f"{self.url} broke off after {received} bytes: {in_words(error)}; ask for the rest"
            ) from error
        finally:
            self._is_waiting = False

    # A timer of its own for each piece would cost a tenth of a fast download: this one looks, when it is due, whether
    # anybody is waiting and since when, and waits for the rest of that time.

    def _look_in(self, delay_s: float) -> None:
        self._watch = self._loop.call_later(delay_s, self._look)

    def _look(self) -> None:
        limit_s = self._stall_timeout_us / _SECOND_US
        waited_s = self._loop.time() - self._waiting_since_s if self._is_waiting else 0.0
        if waited_s < limit_s - _EARLY_S:
            self._look_in(limit_s - waited_s)
        else:
            self._is_stalled = True
            self._response.close()  # ends the wait for the next piece
