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


async def follow(session: StreamSession, console: Console, *, every: bool) -> None:
    """Read every segment of the best rendition, or of all; returns when a stream that ends is held.

    A segment that cannot be had is told and passed over.
    """
    root = await session.playlist()
    renditions = range(root.renditions) if every and root.renditions else [root.best]
    async with asyncio.TaskGroup() as group:
        for rendition in renditions:
            group.create_task(_follow_one(session, console, rendition))


async def _follow_one(session: StreamSession, console: Console, rendition: int) -> None:
    room = asyncio.Semaphore(FETCHES_AT_ONCE)
    done = -1  # the highest number that was begun: a live playlist goes on from there
    while True:
        try:
            playlist = await session.playlist(rendition)
        except (BalancerError, TransportError) as error:
            console.event("playlist_failed", f"the playlist of rendition {rendition} failed: {error}", error=str(error))
            await asyncio.sleep(RELOAD_S)
            continue
        fresh = [segment for segment in playlist.segments if segment.key.number > done]
        async with asyncio.TaskGroup() as group:
            for segment in fresh:
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
    except (BalancerError, TransportError) as error:
        console.event(
            "segment_failed", f"{segment.uri} was passed over: {error}", number=segment.key.number, error=str(error)
        )
