"""One client's connection: requests are read off it, and answered one after another.

aiohttp's parser (llhttp) reads them, with its limits.  What aiohttp has above it, a request, a response, a writer and
a second task for each, took as long as the kernel takes for a segment of 1 MiB.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast

from aiohttp import EMPTY_PAYLOAD
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage

from .crowds import Crowd

__all__ = ["Asked", "Connection"]

_HEADER_BYTES_MAX = 8190
_HEADERS_MAX = 64  # players send a dozen
_BODY_BYTES_MAX = 64 * 1024  # of a request, that is read by the way: none is taken
_PIPELINED_MAX = 16  # requests that wait behind another; players send none.  The connection ends after them
_JOINED_BYTES_MAX = 16 * 1024  # what is copied to go out with the head


class Asked(NamedTuple):
    """A request as it was read; None for what is no HTTP."""

    message: RawRequestMessage | None
    has_body: bool


class Connection(BaseProtocol):
    """Requests in, `answer` for each in turn; cut where none came whole in `timeout_s`.

    `answer` writes the response, and says whether the connection is kept; ConnectionError where the client has gone.
    """

    __slots__ = (
        *("_answer", "_crowd", "_due_s", "_is_last", "_remote", "_takes_lines", "_timeout_s", "_timer", "_waiting"),
        "task",
    )

    def __init__(
        self,
        crowd: Crowd[Connection],
        answer: Callable[[Connection, Asked], Awaitable[bool]],
        *,
        loop: asyncio.AbstractEventLoop,
        timeout_s: float,
    ) -> None:
        parser = HttpRequestParser(
            self,
            loop,
            _BODY_BYTES_MAX,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
            max_headers=_HEADERS_MAX,
            auto_decompress=False,
        )
        super().__init__(loop, parser)
        self.task: asyncio.Task[None] | None = None  # that answers, while there is something to answer
        self._crowd = crowd
        self._answer = answer
        self._timeout_s = timeout_s
        self._due_s = 0.0  # until when a request is waited for
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[Asked] = deque()
        self._is_last = False  # nothing more is read, and it ends once what waits is answered
        self._takes_lines = False
        self._remote: str | None = None

    @property
    def remote(self) -> str:
        """The client's address."""
        if self._remote is None:
            name = self.transport.get_extra_info("peername") if self.transport is not None else None
            self._remote = str(name[0]) if name else ""
        return self._remote

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by aiohttp's, which sets TCP_NODELAY again: asyncio and uvloop have, and a socket object is made for it.
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        # Several pieces cost one call, and count against what may wait: uvloop's.  asyncio's are joined on Python 3.11,
        # and up to 3.12.8 never say that too much waits.
        self._takes_lines = not isinstance(transport, asyncio.Transport)
        self._due_s = self._loop.time() + self._timeout_s
        self._timer = self._loop.call_at(self._due_s, self._look)
        self._crowd.connected(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        if self.task is not None:
            self.task.cancel()
        self._crowd.gone(self)

    def eof_received(self) -> None:
        """A client that ends its side has gone: no player half-closes."""

    def data_received(self, data: bytes) -> None:
        if self._is_last:
            return
        assert self._parser is not None
        try:
            messages, self._is_last, _ = self._parser.feed_data(data)  # the last where another protocol follows
        except HttpProcessingError:
            messages, self._is_last = [], True
            self._waiting.append(Asked(None, has_body=False))
        for message, payload in messages:
            self._waiting.append(Asked(message, has_body=payload is not EMPTY_PAYLOAD))
            if len(self._waiting) == _PIPELINED_MAX:
                self._is_last = True
                break
        if self._waiting and self.task is None:
            self.task = self._loop.create_task(self._answer_all())

    async def _answer_all(self) -> None:
        self._crowd.busy(self)
        try:
            while self._waiting:
                if not await self._answer(self, self._waiting.popleft()):
                    self._is_last = True
                    self._waiting.clear()
        except ConnectionError:
            self._is_last = True  # the client has gone
        except BaseException:
            self.abort()
            raise
        finally:
            self.task = None
            if self.transport is not None:
                self._crowd.idle(self)
                self._due_s = self._loop.time() + self._timeout_s
                if self._is_last:
                    self.transport.close()

    async def write(self, head: bytes, *pieces: bytes | memoryview) -> None:
        """Hand over; returns once the client took so much that more may be.  ConnectionError where it has gone."""
        if not self.put(head, *pieces):
            await self.drain()

    async def drain(self) -> None:
        """Wait until the client took so much that more may be handed over.  ConnectionError where it has gone."""
        await self._drain_helper()

    def put(self, head: bytes, *pieces: bytes | memoryview) -> bool:
        """Hand over; whether more may be at once, and not after `drain` alone.  ConnectionError where it has gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        if sum(map(len, pieces)) <= _JOINED_BYTES_MAX:
            transport.write(b"".join((head, *pieces)))
        elif self._takes_lines:
            transport.writelines((head, *pieces) if head else pieces)
        else:
            first, *rest = pieces
            transport.write(head + first[:_JOINED_BYTES_MAX])  # in one packet: a client is woken once for both
            for piece in (memoryview(first)[_JOINED_BYTES_MAX:], *rest):
                transport.write(piece)
        return not self._paused

    def end(self) -> None:
        """No more requests; what is under way is answered."""
        self._is_last = True
        if self.task is None and self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Cut it: what was not sent is lost, and the client sees no clean end."""
        if self.transport is not None:
            self.transport.abort()

    def _look(self) -> None:
        """Whether a request has not come for too long; one that came is the handler's affair."""
        if self.transport is None:
            return
        now_s = self._loop.time()
        if self.task is not None:
            self._due_s = now_s + self._timeout_s
        elif now_s >= self._due_s:
            if self.transport.is_closing():  # it does not take the end of its last response
                self.transport.abort()
                return
            self._is_last = True
            self.transport.close()
            self._due_s = now_s + self._timeout_s
        self._timer = self._loop.call_at(self._due_s, self._look)
