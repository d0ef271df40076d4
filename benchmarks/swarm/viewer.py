"""A viewer of ours, as tests/p2pml/peer.mjs is one of theirs: the same playhead, the same lead, the same last words.

    python viewer.py '{"url": ..., "trackers": [...], "speed": 1, "lead": 30, "hashes": "auto", "waits": false,
                       "config": {}}'

One that waits is ready at once, and comes to the stream at SIGUSR2; `config` are settings of the balancer.
Tells JSON lines: ready; arrived {at_s}, in seconds since 1970, where it has waited; complete {segments: [{number,
bytes, sha256}], http, p2p, unneeded, stalled_s, cpu_s, caught, banned, cut} once the last segment was read; then it
serves until SIGTERM.  `caught` are the numbers of the segments of which wrong bytes came and were replaced, `banned` is
how many peers were cut for it, and `cut` how many were for breaking the protocol.  Who went by itself is in neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.balancer.config import load
from shoal.balancer.model import Segment
from shoal.transports import registry

TICK_S = 0.1
RELOAD_S = 1.0  # as theirs


def tell(event: str, **about: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **about}) + "\n")
    sys.stdout.flush()


class Playhead:
    """Moves with the clock, up to what was read; the time it would have moved on is a stall."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._before_s: float | None = None
        self.position_s = self.buffered_s = self.stalled_s = 0.0

    def move(self) -> None:
        now_s = time.monotonic()
        if self._before_s is not None:  # waiting for the first picture is no stall
            wanted_s = self.position_s + (now_s - self._before_s) * self._speed
            self.position_s = min(wanted_s, self.buffered_s)
            self.stalled_s += (wanted_s - self.position_s) / self._speed
        self._before_s = now_s

    def give(self, until_s: float) -> None:
        self.move()
        self.buffered_s = until_s


async def segments_of(session: StreamSession, rendition: int | None) -> AsyncIterator[Segment]:
    """All that the playlist names, and of a live one what comes, until its end."""
    newest = -1
    while True:
        playlist = await session.playlist(rendition)
        for segment in playlist.segments:
            if segment.key.number > newest:
                newest = segment.key.number
                yield segment
        if not playlist.is_live:
            return
        await asyncio.sleep(RELOAD_S)


async def play(session: StreamSession, speed: float, lead_s: float) -> tuple[list[dict[str, Any]], float]:
    root = await session.playlist()
    head, read = Playhead(speed), []
    async for segment in segments_of(session, root.best if root.renditions else None):
        while head.buffered_s - head.position_s >= lead_s:
            await asyncio.sleep(TICK_S)
            head.move()
        digest, size = hashlib.sha256(), 0
        async for piece in session.read(segment.key):
            digest.update(piece.data)
            size += len(piece.data)
            session.delivered(segment.key, len(piece.data))
        read.append({"number": segment.key.number, "bytes": size, "sha256": digest.hexdigest()})
        head.give((segment.start_us + segment.duration_us) / 1e6)
    return read, head.stalled_s


async def arrive() -> None:
    """Wait to be told that it is time to come."""
    registry.resolve_connector(), registry.resolve_signaling(), registry.resolve_fetcher()  # to load takes a second
    begun = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, begun.set)
    tell("ready")
    await begun.wait()
    tell("arrived", at_s=time.time())


async def main() -> None:
    options = json.loads(sys.argv[1])
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    if options.get("waits"):
        await arrive()
    given = SessionOptions(
        url=options["url"],
        trackers=tuple(options["trackers"]),
        hashes=options.get("hashes", "auto"),
        allow_private=True,
        config=load(options.get("config", {})),
    )
    async with open_session(given) as session:
        tell("ready")
        read, stalled_s = await play(session, options.get("speed", 1.0), options.get("lead", 30.0))
        report = await session.report()
        sources = report.sources
        used = {
            kind: sum(source.used_bytes for source in sources if source.name.startswith(f"{kind}:"))
            for kind in ("cdn", "peer")
        }
        tell(
            "complete",
            segments=read,
            http=used["cdn"],
            p2p=used["peer"],
            unneeded=sum(source.wasted_bytes for source in sources),
            stalled_s=stalled_s,
            cpu_s=time.process_time(),
            caught=[segment.number for segment in report.segments if segment.polluted],
            banned=sum(source.state == "banned" for source in sources),
            cut=sum(" left: protocol: " in line for line in report.log),
        )
        await stopped.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
