"""An origin whose stream is on air: low-latency HLS, with blocking reload, delta updates and parts that are waited for.

It can do everything wrong that `Origin` can.  Several origins of one `OnAir` have the
same parts at the same time, as CDNs in front of one packager have.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import hashlib
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from shoal.balancer.errors import DirectiveRefused
from shoal.balancer.formats.hls import Directives, Edge, update_of, wants_update

from .broadcast import Broadcast, Film, films_of
from .origin import File, Origin
from .stream import PLAYLIST, SIDECAR

__all__ = ["LowLatencyOrigin", "OnAir"]

PART_S = 0.4


class OnAir:
    """A stream of `make_stream` that begins when somebody first asks for a part of it."""

    def __init__(self, folder: Path, *, parts_in: str = "files", part_s: float = PART_S) -> None:
        self.folder = folder
        self._parts_in = parts_in
        self._part_s = part_s
        self._films: dict[str, Film] = {}
        self._began_s: float | None = None

    async def prepare(self) -> None:
        if not self._films:
            self._films = await asyncio.to_thread(films_of, self.folder, self._part_s)

    def at_s(self) -> float:
        """How long it has been on air."""
        if self._began_s is None:
            self._began_s = time.monotonic()
        return time.monotonic() - self._began_s

    @functools.cached_property
    def broadcast(self) -> Broadcast:
        assert self._films, "it is prepared"
        began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self.at_s())
        return Broadcast(self._films, parts_in=self._parts_in, began=began)

    async def until(self, due_s: float) -> None:
        left_s = due_s - self.at_s()
        if left_s > 0:
            # A little more, since the loop's clock is a coarser one than ours.
            await asyncio.sleep(left_s + 0.001)


class LowLatencyOrigin(Origin):
    def __init__(self, on_air: OnAir, **settings: Any) -> None:
        super().__init__(on_air.folder, **settings)
        self.on_air = on_air

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> int:
        await self.on_air.prepare()
        return await super().start(host=host, port=port)

    async def _found(self, path: str, request: web.Request) -> File | None:
        if path == PLAYLIST:
            return self._find(path)
        on_air, broadcast = self.on_air, self.on_air.broadcast
        if path == SIDECAR:
            return _file(broadcast.sidecar(on_air.at_s()))
        name = path.removesuffix(".m3u8")
        if name in broadcast.films and name != path:
            return await self._playlist(name, request)
        due_s = broadcast.part_due_s(path)
        if due_s is not None and due_s - on_air.at_s() <= broadcast.part_target_s:  # what is hinted at
            await on_air.until(due_s)
        data = broadcast.file(path, on_air.at_s())
        # A segment of ranges grows, and is the same file all the time.
        return None if data is None else File(data, f'"{hashlib.sha256(path.encode()).hexdigest()[:32]}"')

    async def _playlist(self, name: str, request: web.Request) -> File:
        on_air, broadcast = self.on_air, self.on_air.broadcast
        try:
            wanted = Directives.read(request.query_string)
        except DirectiveRefused as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        if Edge(*broadcast.edge(name, on_air.at_s())).is_too_far(wanted, round(broadcast.part_target_s * 1e6)):
            raise web.HTTPBadRequest(text=f"{wanted} is far ahead of the stream\n")
        await on_air.until(broadcast.due_s(name, wanted))
        text = broadcast.playlist(name, on_air.at_s())
        if wants_update(request.query_string):
            text = update_of(text, broadcast.skip_s * 1_000_000)
        return _file(text.encode())


def _file(data: bytes) -> File:
    return File(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
