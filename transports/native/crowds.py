"""How many connections a server keeps, and which of them makes room when there is one too many.

In this order, so that a thousand clients which send nothing, drip their headers, or
take nothing of what they asked for, keep nobody out:

    1. one without a request for `IDLE_S`, the longest so     a player opens another when it needs one
    2. one that took nothing of its body for `STUCK_S`,       a player that paused goes on by Range
       the longest so
    3. one without a request, the longest so
    4. the new one: all others are being served

A player on the same machine takes what it asked for in milliseconds.

What was handed to a client that does not take it stays in memory: not the piece alone, but all of
which it is a part, as a segment that the store has let go of meanwhile.  Where more than
`unread_bytes_max` are kept so, the same ones leave that take nothing, the longest so first.
"""

from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

__all__ = ["LimitedServer", "plain"]

# In the kernel, for each of a crowd (more than half of the connections allowed): left to itself, Linux takes megabytes
# for a client that does not read, and with a hundred of those each send takes milliseconds.  A few are served faster
# without, since a segment is then taken in one call.
SEND_BUFFER_BYTES = 256 * 1024
IDLE_S = 1.0  # between a connection and its request, a client that means it takes a millisecond
STUCK_S = 0.25  # with 128 connections, 500 attackers a second find no more than they leave


class _Handed(NamedTuple):
    transport: asyncio.Transport
    since_s: float
    whole: object  # what its piece is a part of, and keeps in memory
    byte_count: int  # of that


class LimitedServer(web.Server):
    """Keeps to its number of connections, before one too many costs a parser's buffer."""

    def __init__(self, *args: object, connections_max: int, unread_bytes_max: int, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        ours = {"handler_cancellation", "request_factory"}  # the others are those of a connection
        self._options = {name: value for name, value in kwargs.items() if name not in ours}
        self._connections_max = connections_max
        # Each with the moment since when; the longest so first.
        self._idle: dict[RequestHandler, tuple[asyncio.Transport, float]] = {}  # without a request
        self._stuck: dict[RequestHandler, _Handed] = {}  # it was given bytes, and is to take them
        self._unread_bytes_max = unread_bytes_max
        self._unread_bytes = 0  # kept for them; what several are given counts once
        self._sharers: dict[int, int] = {}  # how many were given the same: by its id, which holds while they have it
        self._trimming: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self.refused = 0
        self.evicted = 0

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._options)  # type: ignore[arg-type]

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self._connections_max:
            leaving = self._leaving()
            if leaving is None:
                self.refused += 1
                transport.abort()
                return
            self.evicted += 1
            leaving.abort()
        if len(self.connections) > self._connections_max // 2:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._idle[handler] = (transport, self._now())

    def _leaving(self) -> asyncio.Transport | None:
        """Whose place is free."""
        return self._leaving_idle(IDLE_S) or self._leaving_stuck() or self._leaving_idle(0.0)

    def _leaving_idle(self, limit_s: float) -> asyncio.Transport | None:
        for handler, (transport, since_s) in self._idle.items():
            if self._now() - since_s < limit_s:
                break
            del self._idle[handler]
            return transport
        return None

    def _leaving_stuck(self) -> asyncio.Transport | None:
        for handler, handed in self._stuck.items():
            if self._now() - handed.since_s < STUCK_S:
                break
            self._let_go(handler)
            return handed.transport
        return None

    def _trim(self) -> None:
        """Let those leave for whom too much is kept; who may yet take it is looked at again."""
        self._trimming = None
        while self._unread_bytes > self._unread_bytes_max:
            leaving = self._leaving_stuck()
            if leaving is None:
                self._trimming = self._loop.call_later(STUCK_S, self._trim)
                return
            self.evicted += 1
            leaving.abort()

    def _let_go(self, handler: RequestHandler) -> None:
        handed = self._stuck.pop(handler, None)
        if handed is None:
            return
        mark = id(handed.whole)
        self._sharers[mark] -= 1
        if not self._sharers[mark]:
            del self._sharers[mark]
            self._unread_bytes -= handed.byte_count

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        self._idle.pop(handler, None)
        self._let_go(handler)
        super().connection_lost(handler, exc)

    def busy(self, message: web.BaseRequest) -> None:
        """It has a request."""
        self._idle.pop(message.protocol, None)

    def idle(self, message: web.BaseRequest) -> None:
        """Its request is answered."""
        self._let_go(message.protocol)
        if message.transport is not None:  # else it has gone
            self._idle[message.protocol] = (message.transport, self._now())

    def handed(self, message: web.BaseRequest, piece: bytes | memoryview) -> None:
        """It is being given bytes."""
        self._let_go(message.protocol)
        if message.transport is None:
            return  # it has gone
        whole = piece.obj if isinstance(piece, memoryview) else piece
        handed = _Handed(message.transport, self._now(), whole, memoryview(whole).nbytes)
        self._stuck[message.protocol] = handed
        sharers = self._sharers.get(id(whole), 0)
        self._sharers[id(whole)] = sharers + 1
        if not sharers:
            self._unread_bytes += handed.byte_count
        if self._unread_bytes > self._unread_bytes_max and self._trimming is None:
            self._trim()

    def took(self, message: web.BaseRequest) -> None:
        """It took them."""
        self._let_go(message.protocol)


class _Connection(RequestHandler):
    """Answers what is not HTTP as we answer everything else; aiohttp would name itself, and quote the request."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # raises if a part of an answer was sent
        return plain(status, "this is no request that can be answered here")


def plain(status: int, text: str) -> web.Response:
    """One line, and the end of the connection."""
    response = web.Response(status=status, text=text + "\n", headers={"server": "shoal"})
    response.force_close()
    return response
