"""Low-latency origins in virtual time, and a player that follows them part by part."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from shoal.app.demo.broadcast import Broadcast, Film, Part
from shoal.app.session import StreamSession
from shoal.balancer.errors import BalancerError
from shoal.balancer.formats.hls import NOTHING, Directives, MediaPlaylist, edge_of, parse
from shoal.balancer.paths import key_of, rendition_of
from shoal.transports.errors import TransportError
from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.sansio.ranges import content_range_header, requested_span

from .origin import SIDECAR, Origin
from .world import World, read_whole

PART_S = 0.5
PARTS = 4  # of a segment
SEGMENTS = 24


def film(name: str, part_bytes: int = 40_000) -> Film:
    source = random.Random(name)
    return Film(
        source.randbytes(700),
        tuple(tuple(Part(source.randbytes(part_bytes), PART_S) for _ in range(PARTS)) for _ in range(SEGMENTS)),
    )


class OnAir:
    """What the origins of a world have on air, from now on."""

    def __init__(self, world: World, *, parts_in: str = "files") -> None:
        began = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self.broadcast = Broadcast({"hd": film("hd"), "sd": film("sd", 10_000)}, parts_in=parts_in, began=began)
        self.began_s = asyncio.get_running_loop().time()
        self.lag_s = dict.fromkeys(world.origins, 0.0)
        self.asked: list[tuple[str, str]] = []  # origin, name and query
        self.cannot_wait: set[str] = set()  # origins that answer at once, whatever is wanted
        self.hanging: set[str] = set()  # origins that do not answer at all
        self.control: str | None = None  # in place of EXT-X-SERVER-CONTROL's attributes
        for name, origin in world.origins.items():
            origin.documents.clear()
            origin.answers = self._answers(name, origin)

    def at_s(self, origin: str) -> float:
        return asyncio.get_running_loop().time() - self.began_s - self.lag_s[origin]

    def questions(self, name: str) -> list[str]:
        """The queries with which a playlist was asked for, at any origin."""
        return [path.partition("?")[2] for _, path in self.asked if path.startswith(name)]

    def _answers(self, name: str, origin: Origin) -> Any:
        async def answer(request: ServerRequest) -> ServerResponse:
            path = request.path.removeprefix("/v/")
            self.asked.append((name, f"{path}?{request.query}"))
            if name in self.hanging:
                await asyncio.sleep(3600)
            if path == "stream.m3u8":
                return ServerResponse(200, {}, origin._stream.multivariant().replace(b"media.m3u8", b"sd.m3u8"))
            if path == SIDECAR:
                return ServerResponse(200, {}, self.broadcast.sidecar(self.at_s(name)))
            if path.removesuffix(".m3u8") in self.broadcast.films:
                return ServerResponse(200, {}, await self._playlist(name, path.removesuffix(".m3u8"), request.query))
            return _file(self.broadcast.file(path, self.at_s(name)), request)

        return answer

    async def _playlist(self, origin: str, name: str, query: str) -> bytes:
        if origin not in self.cannot_wait:
            # A microsecond more, since the loop's clock is a float.
            await asyncio.sleep(self.broadcast.due_s(name, Directives.read(query)) - self.at_s(origin) + 1e-6)
        text = self.broadcast.playlist(name, self.at_s(origin))
        if self.control is not None:
            lines = text.splitlines()
            place = next(n for n, line in enumerate(lines) if "SERVER-CONTROL" in line)
            lines[place] = f"#EXT-X-SERVER-CONTROL:{self.control}"
            text = "\n".join([*lines, ""])
        return text.encode()


def _file(data: bytes | None, request: ServerRequest) -> ServerResponse:
    if data is None:
        return ServerResponse(404)
    span = requested_span(request.headers.get("range"), len(data))
    if span is None:
        return ServerResponse(416)
    body = data[span.first : span.first + span.length]
    headers = {"content-length": str(len(body)), "etag": '"one"'}
    if "range" not in request.headers:
        return ServerResponse(200, headers, body)
    return ServerResponse(206, headers | {"content-range": content_range_header(span, len(data))}, body)


@asynccontextmanager
async def on_air(*origins: str, parts_in: str = "files", **options: Any) -> AsyncIterator[tuple[World, OnAir]]:
    async with World(*(origins or ("one", "two")), **options) as world:
        yield world, OnAir(world, parts_in=parts_in)


class Follower:
    """A low-latency player: asks for the next part's playlist, and reads each part when it is listed."""

    def __init__(self, session: StreamSession, rendition: int, name: str, air: OnAir) -> None:
        self._session = session
        self._rendition = rendition
        self._name = name
        self._air = air
        self.playlist: MediaPlaylist | None = None
        self.parts: dict[str, bytes] = {}  # path -> bytes
        self.late_s: list[float] = []  # between a part's end at the origin and its last byte here
        self.errors: list[Exception] = []

    async def reload(self, wanted: Directives) -> MediaPlaylist:
        text = (await self._session.playlist(self._rendition, wanted)).text
        found = parse(text.encode(), f"http://proxy/playlist/{self._rendition}/x.m3u8")
        assert isinstance(found, MediaPlaylist)
        self.playlist = found
        return found

    async def follow(self, seconds: float) -> None:
        """From the live edge on."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + seconds
        playlist = await self.reload(NOTHING)
        first = edge_of(playlist).segment
        while loop.time() < ends_s and not playlist.has_end:
            await self._read_new(playlist, first)
            edge = edge_of(playlist)
            try:
                # After the last part of a segment its whole comes, and with it perhaps the first of the next.
                is_full = edge.parts == PARTS
                playlist = await self.reload(
                    Directives(edge.segment + 1, 0) if is_full else Directives(edge.segment, edge.parts)
                )
            except (BalancerError, TransportError) as error:
                self.errors.append(error)
                await asyncio.sleep(0.2)

    async def _read_new(self, playlist: MediaPlaylist, first: int) -> None:
        listed = [(segment.sequence, segment.parts) for segment in playlist.segments]
        for sequence, parts in [*listed, (edge_of(playlist).segment, playlist.parts)]:
            for place, part in enumerate(parts):
                path = urlsplit(part.uri).path
                if sequence < first or path in self.parts:
                    continue
                key = key_of(path)
                assert key is not None
                try:
                    self.parts[path] = await read_whole(self._session, key)
                except (BalancerError, TransportError) as error:
                    self.errors.append(error)
                    continue
                film = self._air.broadcast.films[self._name]
                assert self.parts[path] == film.segments[sequence][place].data
                due_s = self._air.broadcast.due_s(self._name, Directives(sequence, place))
                self.late_s.append(asyncio.get_running_loop().time() - self._air.began_s - due_s)


def renditions_reported(playlist: MediaPlaylist) -> list[int | None]:
    return [rendition_of(urlsplit(report.uri).path) for report in playlist.rendition_reports]
