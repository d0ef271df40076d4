"""A player that knows the truth: it reads a stream of `material.py` with a few seconds in its buffer.

It begins to play with its first segment, which on demand is the first, and live the first of the window.  From then on
a segment that is not there when it is due makes it stand still, and that time counts.
"""

from __future__ import annotations

import asyncio

from shoal.app.session import StreamSession
from shoal.balancer.errors import BalancerError
from shoal.balancer.model import Kind, ResourceKey
from shoal.transports.errors import TransportError

from ..balancer.actors.world import Shown, read_whole
from .catalogue import Cell
from .material import KEY, SEGMENT_S, stream_of

__all__ = ["watch"]

_BUFFER_US = 3_000_000  # live, what the window is longer than what plays
# Under these numbers, which no segment has, what is asked for beside the segments.
_INIT, _KEY = -1, -2


async def watch(session: StreamSession, cell: Cell, into: Shown | None = None) -> Shown:
    """All of the stream, its header and its key; `into` shows what has come meanwhile."""
    stream = stream_of(cell.stream)
    shown = into or Shown({})
    shown.wanted |= {_INIT: stream.init, _KEY: KEY}
    playlist = await session.playlist(0)
    if cell.resource != "media":  # else the good origin is measured first, and asked from then on
        await _read_others(session, shown)
    first = playlist.segments[0].key.number
    shown.wanted |= dict(enumerate(stream.segments[first:], first))
    loop, segment_us, is_live = asyncio.get_running_loop(), SEGMENT_S * 1_000_000, cell.stream != "vod"
    began_us: int | None = None
    for place, number in enumerate(range(first, len(stream.segments))):
        if not is_live and began_us is not None:
            await asyncio.sleep(max(0, began_us + place * segment_us - _BUFFER_US - loop.time() * 1e6) / 1e6)
        while all(segment.key.number != number for segment in playlist.segments):
            await asyncio.sleep(segment_us / 2e6)
            playlist = await session.playlist(0)
        await _read(session, shown, ResourceKey(0, Kind.MEDIA, number), number)
        now_us = int(loop.time() * 1e6)
        began_us = now_us if began_us is None else began_us
        late_us = max(0, now_us - (began_us + place * segment_us))
        shown.stall_us += late_us
        began_us += late_us
    await _read_others(session, shown)
    return shown


async def _read_others(session: StreamSession, shown: Shown) -> None:
    await _read(session, shown, ResourceKey(0, Kind.INIT, 0), _INIT)
    await _read(session, shown, ResourceKey(0, Kind.KEY, 0), _KEY)


async def _read(session: StreamSession, shown: Shown, key: ResourceKey, number: int) -> None:
    try:
        shown.bodies[number] = await read_whole(session, key)
    except (BalancerError, TransportError) as error:
        shown.errors.setdefault(number, []).append(error)
