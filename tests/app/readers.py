"""A session of ours without a player, read segment by segment."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Segment
from shoal.balancer.report import SourceState

from .support import playlist_of, sources_of, until


class Reader:
    """One of ours, which reads segment by segment and keeps the hash of each."""

    def __init__(self, session: StreamSession, segments: tuple[Segment, ...]) -> None:
        self.session = session
        self.segments = segments
        self.hashes: list[str] = []

    async def read(self, count: int) -> None:
        for segment in self.segments[len(self.hashes) :][:count]:
            digest = hashlib.sha256()
            async for piece in self.session.read(segment.key):
                digest.update(piece.data)
            self.hashes.append(digest.hexdigest())

    async def follow(self, rendition: int) -> None:
        """Read the rest of what a live playlist has, and what comes to it, until its end."""
        while True:
            playlist = await self.session.playlist(rendition)
            newest = self.segments[-1].key.number
            self.segments += tuple(segment for segment in playlist.segments if segment.key.number > newest)
            await self.read(len(self.segments))
            if not playlist.is_live:
                return
            await asyncio.sleep(0.2)

    async def peers(self) -> list[SourceState]:
        return sources_of(await self.session.report(), "peer")

    async def met(self, held: int) -> None:
        """Wait until a peer has said that it holds so many segments."""

        async def holds() -> bool:
            return any(peer.held_count >= held for peer in await self.peers())

        await until(holds, f"no peer holds {held} segments", timeout_s=120.0)


@asynccontextmanager
async def reader(origin: Origin, stream: Stream, tracker: str, **config: Any) -> AsyncIterator[Reader]:
    options = SessionOptions(
        url=playlist_of(origin, stream), trackers=(tracker,), allow_private=True, config=BalancerConfig(**config)
    )
    async with open_session(options) as session:
        root = await session.playlist()
        yield Reader(session, (await session.playlist(root.best)).segments)
