"""A local HTTP server in front of one session, for any player.

What it gives out is what the playlists of the session name, and nothing else: a
path that no playlist produced is a 404, whatever it looks like.  It listens on
loopback only, and refuses a Host that is not a loopback name, so that a web page
elsewhere cannot reach it under a name of its own (DNS rebinding).

    GET /stream.m3u8             the playlist that the session was opened with, rewritten
    GET /playlist/...            a media playlist, rewritten
    GET /media|init|key|data/... verified bytes, as they arrive; single ranges
    GET /health                  200 once the playlist can be had
    GET /report.json             the session's story so far
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit

import msgspec

from shoal.balancer import paths
from shoal.balancer.errors import BalancerError, UnknownResource
from shoal.balancer.model import ResourceKey
from shoal.runtime import ActorError
from shoal.transports.errors import TransportError
from shoal.transports.interface import Server, ServerRequest, ServerResponse
from shoal.transports.registry import resolve_server
from shoal.transports.sansio.ranges import content_range_header, requested_span

from .hints import sentence
from .session import StreamSession

__all__ = ["Proxy"]

log = logging.getLogger("shoal.proxy")

CONTENT_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mp4": "video/mp4",
    "m4s": "video/iso.segment",
    "m4v": "video/mp4",
    "m4a": "audio/mp4",
    "cmfv": "video/mp4",
    "cmfa": "audio/mp4",
    "ts": "video/mp2t",
    "aac": "audio/aac",
    "mp3": "audio/mpeg",
    "vtt": "text/vtt",
    "webvtt": "text/vtt",
}
NO_STORE = {"cache-control": "no-store"}


class Proxy:
    """`async with Proxy(session)` or start() and aclose(); `url` is what a player opens."""

    def __init__(self, session: StreamSession, *, allowed_origins: frozenset[str] = frozenset()) -> None:
        """`allowed_origins` are web origins besides loopback ones whose pages may read the stream."""
        self._session = session
        self._allowed_origins = allowed_origins
        self._server: Server | None = None
        self._address = ""

    @property
    def url(self) -> str:
        return f"http://{self._address}{paths.MULTIVARIANT}"

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port.  ValueError for an address that is not loopback, ConnectFailed if it is taken."""
        if not _is_loopback(host):
            raise ValueError(f"the proxy listens on loopback only, and {host} is not; use 127.0.0.1 or ::1")
        server = resolve_server()()
        bound = await server.start(self.handle, host=host, port=port)
        self._server = server
        self._address = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        return bound

    async def aclose(self) -> None:
        if self._server is not None:
            await self._server.aclose()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def handle(self, request: ServerRequest) -> ServerResponse:
        """One request in, one response out; errors become statuses with one line of text."""
        if not _is_loopback(_host_name(request.headers.get("host", ""))):
            return _text(421, "this proxy answers to 127.0.0.1 and localhost only")
        origin = request.headers.get("origin")
        if origin is not None and not self._may_read(origin):
            return _text(403, f"pages of {origin} may not read this stream; see --allow-origin")
        response = await self._respond(request)
        if origin is not None:
            response.headers |= {
                "access-control-allow-origin": origin,
                "access-control-allow-headers": "range",
                "access-control-expose-headers": "content-length, content-range",
                "vary": "origin",
            }
        return response

    async def _respond(self, request: ServerRequest) -> ServerResponse:
        if request.method == "OPTIONS":
            return ServerResponse(204, {"allow": "GET, HEAD, OPTIONS"})
        if request.method not in {"GET", "HEAD"}:
            return _text(405, f"{request.method} is not served here; use GET or HEAD")
        try:
            return await self._route(request)
        except UnknownResource as error:
            return _text(404, str(error))
        except (BalancerError, TransportError) as error:
            log.warning("%r: %s", request.path, error)
            return _text(502, sentence(error))
        except TimeoutError as error:
            return _text(504, f"nothing came in time: {error}")
        except ActorError as error:
            log.warning("%r: %s", request.path, error)
            return _text(503, f"the session does not answer: {error}")

    async def _route(self, request: ServerRequest) -> ServerResponse:
        path = request.path
        if path == paths.MULTIVARIANT:
            return await self._playlist(None)
        if path == "/health":
            await self._session.playlist()
            return _text(200, "ok")
        if path == "/report.json":
            body = msgspec.json.encode(await self._session.report())
            return ServerResponse(200, {"content-type": "application/json", **NO_STORE}, body)
        rendition = paths.rendition_of(path)
        if rendition is not None:
            return await self._playlist(rendition)
        key = paths.key_of(path)
        if key is None:
            raise UnknownResource(f"{path} is nothing that a playlist of this session names")
        return await self._resource(key, request)

    async def _playlist(self, rendition: int | None) -> ServerResponse:
        playlist = await self._session.playlist(rendition)
        return ServerResponse(200, {"content-type": CONTENT_TYPES["m3u8"], **NO_STORE}, playlist.text.encode())

    async def _resource(self, key: ResourceKey, request: ServerRequest) -> ServerResponse:
        """The first bytes are awaited before the headers go out, so that a failure is a status and not a short body."""
        pieces = self._session.read(key)
        try:
            first = await anext(pieces)
        except BaseException:
            await pieces.aclose()
            raise
        total = first.total_bytes
        headers = {
            "content-type": CONTENT_TYPES.get(request.path.rpartition(".")[2].lower(), "application/octet-stream")
        }
        headers |= NO_STORE
        begin, end, status = 0, total, 200
        if total is not None:
            headers["accept-ranges"] = "bytes"
            span = requested_span(request.headers.get("range"), total)
            if span is None:
                await pieces.aclose()
                return ServerResponse(416, {"content-range": content_range_header(None, total), **NO_STORE})
            if span.length < total:
                status = 206
                headers["content-range"] = content_range_header(span, total)
            begin, end = span.first, span.first + span.length
            headers["content-length"] = str(span.length)

        async def body() -> AsyncIterator[bytes]:
            position = 0
            piece = first
            try:
                while True:
                    data = piece.data[max(0, begin - position) : None if end is None else max(0, end - position)]
                    position += len(piece.data)
                    if data:
                        yield data
                        self._session.delivered(key, len(data))
                    if piece.is_last or (end is not None and position >= end):
                        return
                    piece = await anext(pieces)
            finally:
                await pieces.aclose()

        if request.method == "HEAD":
            await pieces.aclose()
            return ServerResponse(status, headers)
        return ServerResponse(status, headers, body())

    def _may_read(self, origin: str) -> bool:
        if origin in self._allowed_origins:
            return True
        try:
            return _is_loopback(urlsplit(origin).hostname or "")
        except ValueError:
            return False


def _text(status: int, line: str) -> ServerResponse:
    return ServerResponse(status, {"content-type": "text/plain; charset=utf-8", **NO_STORE}, f"{line}\n".encode())


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; the brackets of IPv6 go as well."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
