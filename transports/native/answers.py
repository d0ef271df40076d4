"""What a server writes for each request: the handler's response, or why there is none."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable

from aiohttp.http import HttpVersion11, RawRequestMessage

from shoal.transports.interface import Handler, ServerRequest, ServerResponse
from shoal.transports.sansio.hosts import parse_authority

from .connection import Asked, Connection
from .crowds import Crowd
from .heads import head_of, plain

__all__ = ["Answers"]

log = logging.getLogger("shoal.http")

# A path that says what it means, as most do: nothing of it is to be decoded, and there is no query.
_IS_PLAIN = re.compile(r"/[A-Za-z0-9/._-]*").fullmatch
_BODILESS = frozenset({204, 304})  # whatever was asked for (RFC 9110, 6.4.1)


class Answers:
    """`answer` is what connections ask."""

    def __init__(
        self,
        handler: Handler,
        crowd: Crowd[Connection],
        *,
        host_names: frozenset[str],
        on_error: Callable[[ServerRequest, Exception], None] | None,
    ) -> None:
        self._handler = handler
        self._crowd = crowd
        self._host_names = host_names
        self._on_error = on_error
        self._host: str | None = None  # of the last request that had a known one: nearly always that of the next

    async def answer(self, connection: Connection, asked: Asked) -> bool:
        """Write the response; whether the connection is kept.  ConnectionError where the client has gone."""
        message = asked.message
        if message is None:
            return await _refuse(connection, 400, "this is no request that can be answered here")
        hosts = message.headers.getall("Host", ())
        if len(hosts) != 1:
            return await _refuse(connection, 400, "a request has exactly one Host")
        url = message.url
        is_known = hosts[0] == self._host or self._knows_host(hosts[0])
        if not is_known or (url.absolute and not self._knows_host(url.host or "")):
            return await _refuse(connection, 421, "this server is not known by that name; use its IP address")
        if asked.has_body:
            return await _refuse(connection, 413, "request bodies are not taken here")
        path, query = message.path, ""
        if not _IS_PLAIN(path):
            path, query = url.path, url.raw_query_string
        request = ServerRequest(
            method=message.method,
            path=path if path.startswith("/") else "/",
            query=query,
            headers={name.lower(): value for name, value in message.headers.items()},
            remote=connection.remote,
        )
        try:
            response = await self._handler(request)
        except Exception as error:  # a handler's mistake is answered and told, and must not take the server down
            self._report(request, error)
            return await _refuse(connection, 500, "this request failed; the server's log says why")
        body = response.body
        try:
            return await self._respond(connection, message, request, response)
        finally:
            if hasattr(body, "take"):
                body.close()  # type: ignore[union-attr]  # a ReadyBody's
            elif not isinstance(body, bytes):
                await _close(body)

    async def _respond(
        self, connection: Connection, message: RawRequestMessage, request: ServerRequest, response: ServerResponse
    ) -> bool:
        body, is_1_0, is_kept = response.body, message.version < HttpVersion11, not message.should_close
        headers = {name.lower(): value for name, value in response.headers.items()}
        is_bodiless = message.method == "HEAD" or response.status in _BODILESS
        if isinstance(body, bytes) and response.status not in _BODILESS:
            headers.setdefault("content-length", str(len(body)))
        length = headers.get("content-length")
        is_chunked = length is None and not is_bodiless and not is_1_0
        if is_chunked:
            headers["transfer-encoding"] = "chunked"
        elif length is None and not is_bodiless:
            is_kept = False  # its end is that of the connection
        if length != "0" and not is_bodiless:
            headers.setdefault("content-type", "application/octet-stream")
        if is_kept is is_1_0:  # else it goes without saying
            headers["connection"] = "keep-alive" if is_kept else "close"
        try:
            head = head_of(response.status, headers, is_1_0=is_1_0)
            announced = None if length is None else int(length)
        except ValueError as error:
            self._report(request, error)
            return await _refuse(connection, 500, "this request failed; the server's log says why")
        if is_bodiless:
            await connection.write(head)
            return is_kept
        pieces = _one(body) if isinstance(body, bytes) else body
        if await self._stream(connection, request, head, pieces, announced, is_chunked=is_chunked):
            return is_kept
        connection.abort()
        return False

    async def _stream(
        self,
        connection: Connection,
        request: ServerRequest,
        head: bytes,
        pieces: AsyncIterator[bytes | memoryview],
        announced: int | None,
        *,
        is_chunked: bool,
    ) -> bool:
        """Whether the body came whole.  The head goes with the first piece: a client is woken once for both."""
        crowd, sent = self._crowd, 0
        take: Callable[[], bytes | memoryview | None] | None = getattr(pieces, "take", None)  # a ReadyBody's
        try:
            while True:
                try:
                    piece = await anext(pieces) if take is None else take()
                except StopAsyncIteration:
                    break
                if piece is None:
                    break
                sent += len(piece)
                if announced is not None and sent > announced:
                    break
                if not piece:
                    continue  # as a chunk it would be the end
                if is_chunked:
                    is_taken = connection.put(b"%s%x\r\n" % (head, len(piece)), piece, b"\r\n")
                else:
                    is_taken = connection.put(head, piece)
                head = b""
                if not is_taken:  # else it is the kernel's, and nothing is kept for the client
                    crowd.handed(connection, piece)
                    await connection.drain()
                    crowd.took(connection)
        except ConnectionError:
            return False  # the client went away between two pieces
        except Exception as error:  # whatever the body's source raised: the client learns it by the missing rest
            self._report(request, error)
            return False
        if announced is not None and sent != announced:
            how = "longer" if sent > announced else "shorter"
            self._report(request, ValueError(f"the body is {how} than its Content-Length of {announced}"))
            return False
        if head or is_chunked:
            await connection.write(head + b"0\r\n\r\n" if is_chunked else head)
        return True

    def _knows_host(self, host: str) -> bool:
        authority = parse_authority(host)
        is_known = authority is not None and (authority.name in self._host_names or authority.is_address)
        if is_known:
            self._host = host
        return is_known

    def _report(self, request: ServerRequest, error: Exception) -> None:
        if self._on_error is None:
            log.error("%s %s was not answered as it should be", request.method, request.path[:200], exc_info=error)
        else:
            self._on_error(request, error)


async def _refuse(connection: Connection, status: int, line: str) -> bool:
    await connection.write(plain(status, line))
    return False


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _close(body: AsyncIterator[bytes | memoryview]) -> None:
    close = getattr(body, "aclose", None)  # every asynchronous generator has one; a plain iterator need not
    if close is not None:
        with contextlib.suppress(Exception):  # the response is over; there is nobody left to tell
            await close()
