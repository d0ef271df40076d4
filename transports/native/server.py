"""Server on aiohttp: what a local player talks to.

Promises, beyond the Protocol:

    streaming   pieces are written as they come and the next is asked for once the socket took the last (back-pressure)
    endings     a body that raises, or ends short of its Content-Length, aborts the connection: never a clean end
    errors      a handler that raises is a 500 with one plain line; the error goes to `on_error`, not to the client
    limits      connections, header sizes, and time for a request's headers; a drip is cut as an idle client is
    crowds      where all connections are taken, one that sends or takes nothing makes room (crowds.py), so that a
                thousand of them keep nobody out, and where too much is kept for those that take nothing
    rebinding   a Host that is neither an IP address nor a known name gets 421, so that a web page cannot reach
                a loopback server under a name of its own; none, or two, get 400 (RFC 9112, 3.2)

Meant for loopback and for trusted networks: no TLS, no request bodies (they are refused with 413).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from aiohttp import web
from aiohttp.http import StreamWriter

from shoal.transports.errors import ConnectFailed
from shoal.transports.interface import Handler, ServerRequest, ServerResponse
from shoal.transports.sansio.hosts import parse_authority

from .crowds import LimitedServer, plain

__all__ = ["HttpServer"]

_HEADER_BYTES_MAX = 8190
_HEADERS_MAX = 64  # players send a dozen
_FIRST_BYTES = 16 * 1024  # what goes out with the head, where that copies it
_SHUTDOWN_S = 0.5  # for responses under way, and again for their handlers to end once cancelled
# aiohttp logs each malformed request with a traceback; here that is the client's affair, so its log ends nowhere.
_QUIET = logging.Logger("shoal.quiet", level=logging.CRITICAL + 1)  # noqa: LOG001 - unattached on purpose


class _Streamed(web.StreamResponse):
    """Its head goes out with the first bytes, in one packet: a client on the same machine is woken once for both."""

    _send_headers_immediately = False


class _Writer(StreamWriter):
    """Head and piece in one call to the kernel, which copies nothing before: half the time of a stored segment.

    aiohttp joins them on Python 3.11, since asyncio's transports do no better there, and up to 3.12.8 do not pause.
    """

    def _writelines(self, chunks: Iterable[Any]) -> None:
        transport = self.transport
        if transport is None or transport.is_closing() or not _takes_lines(transport):
            super()._writelines(chunks)
            return
        size = sum(map(len, chunks))
        self.buffer_size += size
        self.output_size += size
        transport.writelines(chunks)


def _takes_lines(transport: object) -> bool:
    """Whether several pieces cost one call, and are counted against what may wait: uvloop's transports."""
    return transport is not None and not isinstance(transport, asyncio.Transport)


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
        self._host: str | None = None  # one that is known
        self._handler: Handler | None = None
        self._runner: web.ServerRunner | None = None
        self._server: LimitedServer | None = None

    @property
    def refused_connections(self) -> int:
        """How many were turned away because `connections_max` were open, each with a request that goes on."""
        return self._server.refused if self._server is not None else 0

    @property
    def evicted_connections(self) -> int:
        """How many that sent or took nothing were cut to make room for others."""
        return self._server.evicted if self._server is not None else 0

    async def start(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> int:
        """As Server.start; a server starts once."""
        if self._runner is not None:
            raise RuntimeError("this server was started already; make another")
        self._handler = handler
        self._server = LimitedServer(
            self._handle,
            connections_max=self._connections_max,
            unread_bytes_max=self._unread_bytes_max,
            handler_cancellation=True,  # a client that went away cancels its handler
            request_factory=_request,
            keepalive_timeout=self._header_timeout_us / 1_000_000,  # aiohttp runs it until the headers are complete
            lingering_time=0,  # never read a refused body to its end
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
            max_headers=_HEADERS_MAX,
            logger=_QUIET,
            access_log=None,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=self._connections_max)
        try:
            await site.start()
        except OSError as error:
            await self.aclose()
            if error.errno == errno.EADDRINUSE:
                raise ConnectFailed(
                    f"port {port} of {host} is taken; stop its owner, or use port 0 for a free one"
                ) from error
            raise ConnectFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def aclose(self) -> None:
        """Stop listening, give responses under way a second, then cancel them.  Does nothing the second time."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, message: web.BaseRequest) -> web.StreamResponse:
        server = self._server
        assert server is not None
        server.busy(message)
        try:
            return await self._answer(message)
        finally:
            server.idle(message)

    async def _answer(self, message: web.BaseRequest) -> web.StreamResponse:
        if len(message.headers.getall("Host", ())) != 1:
            return plain(400, "a request has exactly one Host")
        if not self._knows_host(message.host):
            return plain(421, "this server is not known by that name; use its IP address")
        if message.body_exists:
            return plain(413, "request bodies are not taken here")
        request = ServerRequest(
            method=message.method,
            path=message.path if message.path.startswith("/") else "/",
            query=message.rel_url.raw_query_string,
            headers={name.lower(): value for name, value in message.headers.items()},
            remote=message.remote or "",
        )
        assert self._handler is not None
        try:
            response = await self._handler(request)
        except Exception as error:  # a handler's mistake is answered and told, and must not take the server down
            self._report(request, error)
            return plain(500, "this request failed; the server's log says why")
        return await self._respond(message, request, response)

    async def _respond(
        self, message: web.BaseRequest, request: ServerRequest, response: ServerResponse
    ) -> web.StreamResponse:
        headers = {"server": "shoal", **response.headers}
        if isinstance(response.body, bytes) and message.method != "HEAD":
            return web.Response(status=response.status, body=response.body, headers=headers)
        streamed = _Streamed(status=response.status, headers=headers)
        try:
            if isinstance(response.body, bytes):
                if "content-length" not in streamed.headers:
                    streamed.content_length = len(response.body)
                await streamed.prepare(message)
            else:
                await streamed.prepare(message)
                is_whole = message.method == "HEAD" or await self._stream(message, streamed, request, response.body)
                if not is_whole and message.transport is not None:
                    message.transport.abort()
        finally:
            await _close_iterator(response.body)
        return streamed

    async def _stream(
        self,
        message: web.BaseRequest,
        streamed: web.StreamResponse,
        request: ServerRequest,
        body: AsyncIterator[bytes | memoryview],
    ) -> bool:
        """Whether the body came whole."""
        server, announced = self._server, streamed.content_length
        assert server is not None
        sent = 0
        try:
            async for piece in body:
                sent += len(piece)
                if announced is not None and sent > announced:
                    break
                server.handed(message, piece)
                if sent == len(piece) > _FIRST_BYTES and not _takes_lines(message.transport):
                    await streamed.write(piece[:_FIRST_BYTES])
                    await streamed.write(memoryview(piece)[_FIRST_BYTES:])
                else:
                    await streamed.write(piece)
                server.took(message)
        except ConnectionError:
            return False  # the client went away between two pieces
        except Exception as error:  # whatever the body's source raised: the client learns it by the missing rest
            self._report(request, error)
            return False
        if announced is not None and sent != announced:
            how = "longer" if sent > announced else "shorter"
            self._report(request, ValueError(f"the body is {how} than its Content-Length of {announced}"))
            return False
        return True

    def _knows_host(self, host: str) -> bool:
        if host == self._host:  # of the last request, which is nearly always that of the next
            return True
        known = self._knows_new_host(host)
        if known:
            self._host = host
        return known

    def _knows_new_host(self, host: str) -> bool:
        authority = parse_authority(host)
        return authority is not None and (authority.name in self._host_names or authority.is_address)

    def _report(self, request: ServerRequest, error: Exception) -> None:
        if self._on_error is not None:
            self._on_error(request, error)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """As aiohttp makes it, but for what it is answered with."""
    loop = writer.loop
    return web.BaseRequest(message, payload, protocol, _Writer(protocol, loop), task, loop)


async def _close_iterator(body: bytes | AsyncIterator[bytes | memoryview]) -> None:
    close = getattr(body, "aclose", None)  # every asynchronous generator has one; a plain iterator need not
    if close is not None:
        with contextlib.suppress(Exception):  # the response is over; there is nobody left to tell
            await close()
