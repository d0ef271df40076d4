"""Fetches a stream as it goes on, for a peer that has no player."""

from __future__ import annotations

import asyncio

from shoal.balancer.errors import BalancerError
from shoal.balancer.model import Segment
from shoal.transports.errors import TransportError

from .console import Console
from .session import StreamSession

__all__ = ["follow"]

FETCHES_AT_ONCE = 2  # more would take from the viewers' share of the CDNs what nobody waits for
RELOAD_S = 1.0  # between two looks at a live playlist; the session loads it at most twice per target duration


async def follow(session: StreamSession, console: Console, *, every: bool, lead_s: float | None = None) -> None:
    """Read every segment of the best rendition, or of all; returns when a stream that ends is held.

    With `lead_s`, at a viewer's pace: a segment is read when it begins at most so
    long after what somebody who started now would be watching.  Without, as fast
    as the sources give it.  A segment that cannot be had is told and passed over.
    """
    root = await session.playlist()
    renditions = range(root.renditions) if every and root.renditions else [root.best]
    async with asyncio.TaskGroup() as group:
        for rendition in renditions:
            group.create_task(_follow_one(session, console, rendition, lead_s))


async def _follow_one(session: StreamSession, console: Console, rendition: int, lead_s: float | None) -> None:
    began_us = session.system.now_us
    first_us: int | None = None  # where the timeline began for us
    room = asyncio.Semaphore(FETCHES_AT_ONCE)
    done = -1  # the highest number that was begun: a live playlist goes on from there
    while True:
        try:
            playlist = await session.playlist(rendition)
        except (BalancerError, TransportError, TimeoutError) as error:
            console.event("playlist_failed", f"the playlist of rendition {rendition} failed: {error}", error=str(error))
            await asyncio.sleep(RELOAD_S)
            continue
        if playlist.segments and playlist.segments[-1].key.number < done:
            done = -1  # the stream began anew
        fresh = [segment for segment in playlist.segments if segment.key.number > done]
        async with asyncio.TaskGroup() as group:
            for segment in fresh:
                first_us = segment.start_us if first_us is None else first_us
                if lead_s is not None:
                    due_us = began_us + segment.start_us - first_us - int(lead_s * 1e6)
                    await asyncio.sleep(max(0, due_us - session.system.now_us) / 1e6)
                await room.acquire()
                task = group.create_task(_read(session, console, segment))
                task.add_done_callback(lambda _: room.release())
                done = segment.key.number
        if not playlist.is_live:
            console.event("complete", f"rendition {rendition} is held", rendition=rendition, segments=done + 1)
            return
        await asyncio.sleep(RELOAD_S)


async def _read(session: StreamSession, console: Console, segment: Segment) -> None:
    try:
        async for _ in session.read(segment.key):
            pass
    except (BalancerError, TransportError, TimeoutError) as error:
        console.event(
            "segment_failed", f"{segment.uri} was passed over: {error}", number=segment.key.number, error=str(error)
        )
