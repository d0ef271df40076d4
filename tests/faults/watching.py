"""Players that know the truth, with little in their buffers: some seconds of segments, or at low latency four parts.

They begin to play with what they read first: on demand the first segment, live the first of
the window, at low latency the part that is as far behind the newest as the server says.  From
then on, what is not there when it is due makes them stand still, and that time counts.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from shoal.app.session import StreamSession
from shoal.balancer.errors import BalancerError, UnknownResource
from shoal.balancer.formats.hls import NOTHING, Directives, MediaPlaylist, edge_of, parse
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.paths import key_of
from shoal.transports.errors import TransportError

from ..balancer.actors.world import Shown, read_whole
from .catalogue import Cell, is_dash, is_on_demand
from .material import HOLD_BACK, KEY, PARTS, SEGMENT_S, SEGMENTS, files_of, part_name, stream_of

__all__ = ["number_of", "watch"]

_BUFFER_US = 3_000_000  # on demand; live it is what the window is longer than what plays
# Under these numbers, which no segment has, stands what is asked for beside the segments.
_INIT, _KEY = -1, -2
_PARTS_FROM = 1_000  # and under these, parts
_SEGMENT = re.compile(r"/s(\d+)\.m4s")


def number_of(segment: int, part: int) -> int:
    """Under which number a part is shown."""
    return _PARTS_FROM + segment * PARTS + part


async def watch(session: StreamSession, cell: Cell, into: Shown | None = None) -> Shown:
    """All of the stream, its header and its key; `into` shows what has come meanwhile."""
    player = _Player(session, cell, into or Shown({}))
    await player.begin()
    if cell.resource != "media":  # else the good origin is measured first, and asked from then on
        await player.read_others()
    await (player.follow_parts() if cell.stream == "low-latency" else player.follow_segments())
    await player.read_others()
    return player.shown


class _Player:
    def __init__(self, session: StreamSession, cell: Cell, shown: Shown) -> None:
        self.shown = shown
        self._session = session
        self._cell = cell
        self._began_us: int | None = None
        shown.wanted[_INIT] = stream_of(cell.stream).init
        if not is_dash(cell.stream):
            shown.wanted[_KEY] = KEY

    async def begin(self) -> None:
        await self._segments()

    async def read_others(self) -> None:
        await self._read(ResourceKey(0, Kind.INIT, 0), _INIT)
        if _KEY in self.shown.wanted:
            await self._read(ResourceKey(0, Kind.KEY, 0), _KEY)

    async def follow_segments(self) -> None:
        keys = await self._segments()
        first = min(keys)
        segments = stream_of(self._cell.stream).segments
        self.shown.wanted |= dict(enumerate(segments[first:], first))
        for place, number in enumerate(range(first, SEGMENTS)):
            if is_on_demand(self._cell.stream):
                await self._wait_until(place * SEGMENT_S * 1_000_000 - _BUFFER_US)
            while number not in keys:
                await asyncio.sleep(SEGMENT_S / 2)
                keys |= await self._segments()
            await self._read(keys[number], number)
            self._played(place * SEGMENT_S * 1_000_000)

    async def _segments(self) -> dict[int, ResourceKey]:
        """What is listed now, by the numbers in the names."""
        if is_dash(self._cell.stream):
            await self._session.playlist()  # the MPD, which a player loads; its segments are those of the rendition
        playlist = await self._session.playlist(0)
        names = [(_SEGMENT.search(each.uri), each.key) for each in playlist.segments]
        return {int(name[1]): key for name, key in names if name is not None}

    async def follow_parts(self) -> None:
        paths = await self._paths_of_parts(NOTHING)
        first = max(paths) - HOLD_BACK + 1
        wanted = [(number // PARTS, number % PARTS) for number in range(first, SEGMENTS * PARTS)]
        files = files_of(self._cell.stream)
        self.shown.wanted |= {number_of(*part): files[part_name(*part)] for part in wanted}
        for place, (segment, part) in enumerate(wanted):
            while max(paths) < segment * PARTS + part:
                paths |= await self._paths_of_parts(Directives(segment, part))
            path = paths.get(segment * PARTS + part)
            key = None if path is None else key_of(path)
            if key is None:
                error = UnknownResource(f"part {segment}/{part} is listed no more: the player came too late for it")
                self.shown.errors[number_of(segment, part)] = [error]
            else:
                await self._read(key, number_of(segment, part))
            self._played(place * SEGMENT_S * 1_000_000 // PARTS)

    async def _paths_of_parts(self, wanted: Directives) -> dict[int, str]:
        """Of the parts that the playlist lists, by their numbers counted from the stream's first."""
        text = (await self._session.playlist(0, wanted)).text
        playlist = parse(text.encode(), "http://proxy/playlist/0/x.m3u8")
        assert isinstance(playlist, MediaPlaylist)
        rows = [(segment.sequence, segment.parts) for segment in playlist.segments]
        return {
            segment * PARTS + place: urlsplit(part.uri).path
            for segment, parts in [*rows, (edge_of(playlist).segment, playlist.parts)]
            for place, part in enumerate(parts)
        }

    async def _read(self, key: ResourceKey, number: int) -> None:
        try:
            self.shown.bodies[number] = await read_whole(self._session, key)
        except (BalancerError, TransportError) as error:
            self.shown.errors.setdefault(number, []).append(error)

    async def _wait_until(self, media_us: int) -> None:
        """Until so much plays; at once while nothing does."""
        if self._began_us is not None:
            await asyncio.sleep(max(0, self._began_us + media_us - _now_us()) / 1e6)

    def _played(self, media_us: int) -> None:
        """What is due when so much has played is there now."""
        now_us = _now_us()
        if self._began_us is None:
            self._began_us = now_us - media_us
        late_us = max(0, now_us - (self._began_us + media_us))
        self.shown.stall_us += late_us
        self._began_us += late_us


def _now_us() -> int:
    return int(asyncio.get_running_loop().time() * 1e6)
