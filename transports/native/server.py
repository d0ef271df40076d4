"""Server on aiohttp's parser: what a local player talks to.

Promises, beyond the Protocol:

    streaming   pieces are written as they come and the next is asked for once the socket took the last (back-pressure)
    endings     a body that raises, or ends short of its Content-Length, aborts the connection: never a clean end
    errors      a handler that raises is a 500 with one plain line; `on_error` or the log gets the error, not the client
    limits      connections, header sizes, and time for a request's headers; a drip is cut as an idle client is
    crowds      where all connections are taken, one that sends or takes nothing makes room (crowds.py), so that a
                thousand of them keep nobody out, and where too much is kept for those that take nothing
    rebinding   a Host that is neither an IP address nor a known name gets 421, so that a web page cannot reach
                a loopback server under a name of its own; none, or two, get 400 (RFC 9112, 3.2)

Meant for loopback and for trusted networks: no TLS, no request bodies (they are refused with 413).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from shoal.transports.errors import ConnectFailed
from shoal.transports.interface import Handler, ServerRequest

from .answers import Answers
from .connection import Connection
from .crowds import Crowd

__all__ = ["HttpServer"]

_SHUTDOWN_S = 0.5  # for responses under way, and again for their handlers to end once cancelled


class HttpServer:
    """A Server on one address."""

    def __init__(
        self,
        *,
        connections_max: int = 128,
        unread_bytes_max: int = 128 * 1024 * 1024,
        header_timeout_us: int = 10_000_000,
        host_names: frozenset[str] = frozenset({"localhost"}),
        on_error: Callable[[ServerRequest, Exception], None] | None = None,
    ) -> None:
        """`header_timeout_us` bounds both the idle time before a request and the time its headers may take.

        `host_names` are accepted in Host beside IP addresses.  A player opens at most six
        connections, so that `connections_max` serves about twenty of them.  `unread_bytes_max` are
        kept for clients that do not take them: a few paused players with a segment on each connection.
        """
        self._connections_max = connections_max
        self._unread_bytes_max = unread_bytes_max
        self._header_timeout_us = header_timeout_us
        self._host_names = frozenset(name.lower() for name in host_names)
        self._on_error = on_error
        self._crowd: Crowd[Connection] | None = None
        self._listening: asyncio.Server | None = None

    @property
    def refused_connections(self) -> int:
        """How many were turned away because `connections_max` were open, each with a request that goes on."""
        return self._crowd.refused if self._crowd is not None else 0

    @property
    def evicted_connections(self) -> int:
        """How many that sent or took nothing were cut to make room for others."""
        return self._crowd.evicted if self._crowd is not None else 0

    async def start(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> int:
        """As Server.start; a server starts once."""
        if self._crowd is not None:
            raise RuntimeError("this server was started already; make another")
        loop = asyncio.get_running_loop()
        crowd = Crowd[Connection](connections_max=self._connections_max, unread_bytes_max=self._unread_bytes_max)
        answers = Answers(handler, crowd, host_names=self._host_names, on_error=self._on_error)
        timeout_s = self._header_timeout_us / 1_000_000
        try:
            self._listening = await loop.create_server(
                lambda: Connection(crowd, answers.answer, loop=loop, timeout_s=timeout_s),
                host,
                port,
                backlog=self._connections_max,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConnectFailed(
                    f"port {port} of {host} is taken; stop its owner, or use port 0 for a free one"
                ) from error
            raise ConnectFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        for listening in self._listening.sockets:  # and so of each that is accepted, without a call for it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._crowd = crowd
        bound: int = self._listening.sockets[0].getsockname()[1]
        return bound

    async def aclose(self) -> None:
        """Stop listening, give responses under way a second, then cancel them.  Does nothing the second time."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        listening.close()
        assert self._crowd is not None
        await asyncio.sleep(0)  # what was accepted is connected
        for connection in list(self._crowd.connections):
            connection.end()
        await self._wait_for_tasks()
        for connection in list(self._crowd.connections):
            if connection.task is not None:
                connection.task.cancel()
                connection.abort()
        await self._wait_for_tasks()

    async def _wait_for_tasks(self) -> None:
        assert self._crowd is not None
        tasks = [connection.task for connection in self._crowd.connections if connection.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_SHUTDOWN_S)
