"""A local HTTP server in front of one session, for any player.

What it gives out is what the playlists of the session name, and nothing else: a
path that no playlist produced is a 404, whatever it looks like.  It listens on
loopback only; `border.py` says who may ask.

    GET /stream.m3u8             the playlist that the session was opened with, rewritten
    GET /stream.mpd              the same, of a session that was opened with an MPD
    GET /playlist/...            a media playlist, rewritten; with _HLS_msn and _HLS_part, once it has that part;
                                 with _HLS_skip, as a delta update where its server gives them too
    GET /media|part|init|...     verified bytes, as they arrive; single ranges (key and data as well)
    GET /dash/...                the same, by the names that our MPD has for it
    GET /health                  at once: 200 while requests are taken, 503 when draining or when the session ended
    GET /ready                   200 once the playlist can be had
    GET /report.json             the session's story so far

`requests_max` are answered at once, bodies included, and 503 is said to the
next; the server below it limits connections, headers and the time for them.
`drain` ends it without cutting anybody short.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from functools import partial
from typing import Self

import msgspec

from shoal.balancer import paths
from shoal.balancer.actors.messages import Piece
from shoal.balancer.errors import BalancerError, DirectiveRefused, UnknownResource
from shoal.balancer.formats.dash.names import read_name
from shoal.balancer.formats.hls import NOTHING, Directives, update_of, wants_update
from shoal.balancer.model import ByteRange, ResourceKey
from shoal.runtime import ActorError
from shoal.transports.errors import TransportError
from shoal.transports.interface import Server, ServerRequest, ServerResponse
from shoal.transports.registry import resolve_server
from shoal.transports.sansio.hosts import Authority
from shoal.transports.sansio.ranges import content_range_header, exact_range, requested_span

from .border import Border
from .hints import sentence
from .session import StreamSession

__all__ = ["Proxy"]

log = logging.getLogger("shoal.proxy")

CONTENT_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
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
WRITE_BYTES = 1024 * 1024  # handed to the socket at once: what a client that does not read leaves in its buffer
STUCK_S = 0.25  # a player on this machine takes a piece in milliseconds
# Ten players with six connections each.  One costs a task and, at most, its segment, where that is given whole and the
# store lets it go meanwhile; else a piece of 64 KiB.
REQUESTS_MAX = 64


class Proxy:
    """`async with Proxy(session)` or start() and aclose(); `url` is what a player opens."""

    def __init__(
        self,
        session: StreamSession,
        *,
        allowed_origins: Iterable[str] = (),
        token: str | None = None,
        requests_max: int = REQUESTS_MAX,
    ) -> None:
        """`allowed_origins` are web origins besides loopback ones whose pages may read the stream.

        With a `token`, each request but a preflight and /health must carry it
        (`Authorization: Bearer ...`).  ConfigurationError for either that makes no sense.
        """
        self._session = session
        self._manifest = paths.MANIFEST if session.is_dash else paths.MULTIVARIANT
        self._border = Border(allowed_origins=allowed_origins, token=token)
        self._requests_max = requests_max
        self._under_way = 0
        self._bodies: set[_Body] = set()  # of those under way, as far as they have one in pieces
        self._is_draining = False
        self._quiet = asyncio.Event()  # it is draining, and nothing is under way
        self.refused_requests = 0  # because `requests_max` were under way
        self._server: Server | None = None
        self._address = ""

    @property
    def url(self) -> str:
        return f"http://{self._address}{self._manifest}"

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port.  ValueError for an address that is not loopback, ConnectFailed if it is taken."""
        if not _is_loopback(host):
            raise ValueError(f"the proxy listens on loopback only, and {host} is not; use 127.0.0.1 or ::1")
        server = resolve_server()()
        bound = await server.start(self.handle, host=host, port=port)
        self._server = server
        self._address = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        return bound

    async def drain(self, timeout_s: float) -> bool:
        """Take no new requests, and wait for those under way; whether they ended in time."""
        self._is_draining = True
        if self._under_way == 0:
            self._quiet.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Stop listening; what is still under way is cut after a second."""
        self._is_draining = True
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
        refusal = self._border.refusal(request)
        if refusal is not None:
            response = _text(refusal.status, refusal.line)
            response.headers |= refusal.headers
        elif request.path == "/health":
            response = self._health(request)
        elif self._is_draining or self._is_full():
            self.refused_requests += not self._is_draining
            why = "it is ending" if self._is_draining else f"{self._requests_max} requests are under way"
            response = _text(503, f"this proxy takes no request now: {why}")
            response.headers["retry-after"] = "1"
        else:
            response = await self._counted(request)
        response.headers["x-content-type-options"] = "nosniff"  # the types are ours, the bytes are not
        origin = request.headers.get("origin")
        if origin is not None and (refusal is None or refusal.status == 401):  # so that its page can read why
            response.headers |= {
                "access-control-allow-origin": origin,
                "access-control-allow-headers": "authorization, range",
                "access-control-expose-headers": "content-length, content-range, retry-after",
                "vary": "origin",
            }
        return response

    def _is_full(self) -> bool:
        """Whether as many are under way as may be, but for those whose clients take nothing.

        Those cost their connection, and the segment that they were given and have not taken: it stays in memory
        when the store has let it go.  The server has limits of its own of both.
        """
        if self._under_way < self._requests_max:
            return False
        now_s = asyncio.get_running_loop().time()
        return self._under_way - sum(body.is_stuck(now_s) for body in self._bodies) >= self._requests_max

    def _health(self, request: ServerRequest) -> ServerResponse:
        """Without asking anybody: a playlist that hangs says nothing of this process."""
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            return _text(405, f"{request.method} is not served here; use GET or HEAD")
        if self._is_draining:
            return _text(503, "ending")
        return _text(200, "ok") if self._session.is_running else _text(503, "the session has ended")

    async def _counted(self, request: ServerRequest) -> ServerResponse:
        """The answer; it is under way until its body has ended, or was given up."""
        self._under_way += 1
        is_over = True
        try:
            response = await self._respond(request)
            body = response.body
            if not isinstance(body, bytes):
                watched = body if isinstance(body, _Stored) else _Watched(body)
                watched.begin(self._body_ended)
                response.body = watched
                self._bodies.add(watched)
                is_over = False
            return response
        finally:
            if is_over:
                self._ended()

    def _body_ended(self, body: _Body) -> None:
        self._bodies.discard(body)
        self._ended()

    def _ended(self) -> None:
        self._under_way -= 1
        if self._is_draining and self._under_way == 0:
            self._quiet.set()

    async def _respond(self, request: ServerRequest) -> ServerResponse:
        if request.method == "OPTIONS":
            return ServerResponse(204, {"allow": "GET, HEAD, OPTIONS"})
        if request.method not in {"GET", "HEAD"}:
            return _text(405, f"{request.method} is not served here; use GET or HEAD")
        try:
            key = paths.key_of(request.path)
            return await (self._route(request) if key is None else self._resource(key, request))
        except UnknownResource as error:
            return _text(404, str(error))
        except DirectiveRefused as error:
            return _text(400, str(error))
        except (BalancerError, TransportError) as error:
            log.warning("%r: %s", request.path, error)
            return _text(502, sentence(error))
        except TimeoutError as error:
            return _text(504, f"nothing came in time: {error}")
        except ActorError as error:
            log.warning("%r: %s", request.path, error)
            return _text(503, f"the session does not answer: {error}")

    async def _route(self, request: ServerRequest) -> ServerResponse:
        """What is not a resource by its key."""
        path = request.path
        if path == self._manifest:
            return await self._playlist(None, request)
        if path == "/ready":
            await self._session.playlist()
            return _text(200, "ok")
        if path == "/report.json":
            body = msgspec.json.encode(await self._session.report())
            return ServerResponse(200, {"content-type": "application/json", **NO_STORE}, body)
        rendition = paths.rendition_of(path)
        if rendition is not None and not self._session.is_dash:
            return await self._playlist(rendition, request)
        named = paths.dash_of(path)
        if named is not None:
            return await self._of_mpd(*named, request)
        raise UnknownResource(f"{path[:200]!r} is nothing that a playlist of this session names")

    async def _playlist(self, rendition: int | None, request: ServerRequest) -> ServerResponse:
        wanted = NOTHING if self._session.is_dash else Directives.read(request.query)
        playlist = await self._session.playlist(rendition, wanted)
        content_type = CONTENT_TYPES["mpd" if playlist.is_dash else "m3u8"]
        text = playlist.text
        if playlist.skip_us is not None and wants_update(request.query):
            text = update_of(text, playlist.skip_us)
        return ServerResponse(200, {"content-type": content_type, **NO_STORE}, text.encode())

    async def _of_mpd(self, rendition: int, name: str, request: ServerRequest) -> ServerResponse:
        """A segment by its name, or a range of a file, which is a resource of its own."""
        is_file = read_name(name).what == "file"
        span = exact_range(request.headers.get("range")) if is_file else None
        part = None if span is None else ByteRange(span.first, span.length)
        return await self._resource(await self._session.find(rendition, name, part), request, part=part)

    async def _resource(
        self, key: ResourceKey, request: ServerRequest, *, part: ByteRange | None = None
    ) -> ServerResponse:
        """The first bytes are awaited before the headers go out, so that a failure is a status and not a short body.

        `part` is what the resource is of its file, where the player asked for that part of the file.
        """
        opened = await self._session.open(key)
        pieces = None if isinstance(opened, Piece) else opened
        try:
            first = opened if isinstance(opened, Piece) else await anext(opened)
        except BaseException:
            await _close(pieces)
            raise
        total = first.total_bytes
        headers = {
            "content-type": CONTENT_TYPES.get(request.path.rpartition(".")[2].lower(), "application/octet-stream")
        }
        headers |= NO_STORE
        begin, end, status = 0, total, 200
        if part is not None:
            status = 206
            headers["content-range"] = f"bytes {part.offset}-{part.offset + part.length - 1}/*"
            headers["content-length"] = str(part.length)
        elif total is not None:
            headers["accept-ranges"] = "bytes"
            asked = request.headers.get("range")
            if asked is not None:
                span = requested_span(asked, total)
                if span is None:
                    await _close(pieces)
                    return ServerResponse(416, {"content-range": content_range_header(None, total), **NO_STORE})
                if span.length < total:
                    status = 206
                    headers["content-range"] = content_range_header(span, total)
                begin, total = span.first, span.length
                end = begin + total
            headers["content-length"] = str(total)

        if request.method == "HEAD":
            await _close(pieces)
            return ServerResponse(status, headers)
        delivered = partial(self._session.delivered, key)
        if pieces is None:
            return ServerResponse(status, headers, _Stored(memoryview(first.data)[begin:end], delivered))
        return ServerResponse(status, headers, _in_pieces(first, pieces, begin, end, delivered))


async def _in_pieces(
    piece: Piece,
    more: AsyncGenerator[Piece, None],
    begin: int,
    end: int | None,
    delivered: Callable[[int], None],
) -> AsyncIterator[memoryview]:
    """What lies from `begin` to `end`, as it comes."""
    position = 0
    try:
        while True:
            data = memoryview(piece.data)[max(0, begin - position) : None if end is None else end - position]
            position += len(piece.data)
            for place in range(0, len(data), WRITE_BYTES):
                part = data[place : place + WRITE_BYTES]
                yield part
                delivered(len(part))
            if piece.is_last or (end is not None and position >= end):
                return
            piece = await anext(more)
    finally:
        await more.aclose()


async def _close(pieces: AsyncGenerator[Piece, None] | None) -> None:
    if pieces is not None:
        await pieces.aclose()


class _Body:
    """What goes to a client, part by part.  It tells its end once: by its last part, an error, or being closed."""

    def __init__(self) -> None:
        self._ended: Callable[[_Body], None] | None = None
        self._given_s: float | None = None  # when the client was given what it has not taken yet
        self._now = asyncio.get_running_loop().time

    def begin(self, ended: Callable[[_Body], None]) -> None:
        self._ended = ended

    def __aiter__(self) -> Self:
        return self

    def is_stuck(self, now_s: float) -> bool:
        return self._given_s is not None and now_s - self._given_s >= STUCK_S

    def _tell(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)


class _Watched(_Body):
    """A body that another makes."""

    def __init__(self, body: AsyncIterator[bytes | memoryview]) -> None:
        super().__init__()
        self._body = body

    async def __anext__(self) -> bytes | memoryview:
        self._given_s = None
        try:
            piece = await anext(self._body)
        except BaseException:
            self._tell()
            raise
        self._given_s = self._now()
        return piece

    async def aclose(self) -> None:
        try:
            close = getattr(self._body, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._tell()


class _Stored(_Body):
    """A body that lies in memory: what two generators in a row cost is a tenth of a request."""

    def __init__(self, data: memoryview, delivered: Callable[[int], None]) -> None:
        super().__init__()
        self._data = data
        self._place = 0  # up to which it was given
        self._taken = 0
        self._delivered = delivered

    def take(self) -> memoryview | None:
        """The next part, of what lies ready."""
        self._taken = self._place
        part = self._data[self._place : self._place + WRITE_BYTES]
        if not part:
            self._given_s = None
            self._tell()
            return None
        self._place += len(part)
        self._given_s = self._now()
        return part

    async def __anext__(self) -> memoryview:
        part = self.take()
        if part is None:
            raise StopAsyncIteration
        return part

    def close(self) -> None:
        if self._ended is not None:
            self._tell()

    async def aclose(self) -> None:
        self.close()

    def _tell(self) -> None:
        if self._ended is not None and self._taken:
            self._delivered(self._taken)  # once for all of it: the session has an actor to wake for each
        super()._tell()


def _text(status: int, line: str) -> ServerResponse:
    return ServerResponse(status, {"content-type": "text/plain; charset=utf-8", **NO_STORE}, f"{line}\n".encode())


def _is_loopback(name: str) -> bool:
    return Authority(name.lower()).is_loopback
