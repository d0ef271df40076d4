"""How many connections a server keeps, and which of them makes room when there is one too many.

In this order, so that a thousand clients which send nothing, drip their headers, or
take nothing of what they asked for, keep nobody out:

    1. one without a request for `IDLE_S`, the longest so     a player opens another when it needs one
    2. one that took nothing of its body for `STUCK_S`,       a player that paused goes on by Range
       the longest so
    3. one without a request, the longest so
    4. the new one: all others are being served

A player on the same machine takes what it asked for in milliseconds.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

__all__ = ["LimitedServer", "plain"]

# In the kernel, for each of a crowd (more than half of the connections allowed): left to itself, Linux takes megabytes
# for a client that does not read, and with a hundred of those each send takes milliseconds.  A few are served faster
# without, since a segment is then taken in one call.
SEND_BUFFER_BYTES = 256 * 1024
IDLE_S = 1.0  # between a connection and its request, a client that means it takes a millisecond
STUCK_S = 0.25  # with 128 connections, 500 attackers a second find no more than they leave


class LimitedServer(web.Server):
    """Keeps to its number of connections, before one too many costs a parser's buffer."""

    def __init__(self, *args: object, connections_max: int, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._options = kwargs
        self._connections_max = connections_max
        # Each with the moment since when; the longest so first.
        self._idle: dict[RequestHandler, tuple[asyncio.Transport, float]] = {}  # without a request
        self._stuck: dict[
            RequestHandler, tuple[asyncio.Transport, float]
        ] = {}  # it was given bytes, and is to take them
        self._now = asyncio.get_running_loop().time
        self.refused = 0
        self.evicted = 0

    def __call__(self) -> RequestHandler:
        options = {name: value for name, value in self._options.items() if name != "handler_cancellation"}
        return _Connection(self, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]

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
        now_s = self._now()
        for waiting, limit_s in ((self._idle, IDLE_S), (self._stuck, STUCK_S), (self._idle, 0.0)):
            if waiting:
                handler, (transport, since_s) = next(iter(waiting.items()))
                if now_s - since_s >= limit_s:
                    del waiting[handler]
                    return transport
        return None

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        self._idle.pop(handler, None)
        self._stuck.pop(handler, None)
        super().connection_lost(handler, exc)

    def busy(self, message: web.BaseRequest) -> None:
        """It has a request."""
        self._idle.pop(message.protocol, None)

    def idle(self, message: web.BaseRequest) -> None:
        """Its request is answered."""
        self._stuck.pop(message.protocol, None)
        if message.transport is not None:  # else it has gone
            self._idle[message.protocol] = (message.transport, self._now())

    def handed(self, message: web.BaseRequest) -> None:
        """It is being given bytes."""
        if message.transport is not None:
            self._stuck[message.protocol] = (message.transport, self._now())

    def took(self, message: web.BaseRequest) -> None:
        """It took them."""
        self._stuck.pop(message.protocol, None)


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
