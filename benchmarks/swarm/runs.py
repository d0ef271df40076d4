"""A swarm in a run of its own: an origin, a tracker, a stream, and peers of either kind that come one after the other.

Every peer plays in real time, keeps 30 s ahead of its playhead as hls.js does, and stays until all have
the whole stream.  What it got from whom is what it says itself; what is right is held against the files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shoal.app.demo.children import Children
from shoal.app.demo.origin import Fault, Origin
from shoal.app.demo.stream import Stream
from shoal.app.tracker import Tracker

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.p2pml.counterparts import Program, plain_stream, start_peer, write_window  # noqa: E402

VIEWER, GUEST = "benchmarks.swarm.viewer", "benchmarks.swarm.guest"
GRACE_S = 60.0  # beyond the length of the stream and the last arrival; a peer that is later than that is a failure


@dataclass
class Result:
    """What one peer got."""

    name: str
    http: int
    p2p: int
    stalled_s: float
    wrong: int  # segments whose hash is not the file's
    cpu_s: float
    segments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def offload(self) -> float:
        return self.p2p / max(1, self.http + self.p2p)


def offload(results: list[Result]) -> float:
    """Of all together: bytes from peers, of all bytes that were used."""
    return sum(result.p2p for result in results) / max(1, sum(result.p2p + result.http for result in results))


class Swarm:
    """Add peers, then `results()`."""

    def __init__(self, stream: Stream, origin: Origin, tracker: str, children: Children, length_s: float) -> None:
        self.stream = stream
        self.origin = origin
        self.tracker = tracker
        self._children = children
        self._length_s = length_s
        self._peers: dict[str, Program] = {}
        self._right = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(stream.folder.glob("s*.m4s"))]

    async def ours(self, name: str, *, origin: Origin | None = None, **options: Any) -> Program:
        url = f"{(origin or self.origin).url}/{self.stream.playlist}"
        told = json.dumps({"url": url, "trackers": [self.tracker], **options})
        events: list[dict[str, Any]] = []
        child = await self._children.start(name, VIEWER, told, hear=events.append)
        await child.ready()
        peer = self._peers[name] = Program(child, events)
        return peer

    async def theirs(
        self, name: str, *, origin: Origin | None = None, is_judged: bool = True, **options: Any
    ) -> Program:
        """`origin` is where it fetches from; the swarm is named after the playlist that all play."""
        manifest = f"{self.origin.url}/{self.stream.playlist}"
        from_where = (origin or self.origin).url
        peer = await start_peer(self._children, name, from_where, self.tracker, manifest=manifest, **options)
        if is_judged:
            self._peers[name] = peer
        return peer

    async def adversary(self) -> Program:
        """Quiet until it is told to be loud: `guest.py`."""
        told = json.dumps({"url": f"{self.origin.url}/{self.stream.playlist}", "tracker": self.tracker})
        events: list[dict[str, Any]] = []
        child = await self._children.start("adversary", GUEST, told, hear=events.append)
        await child.ready()
        return Program(child, events)

    async def holds(self, name: str) -> None:
        """Wait until this peer has the whole stream."""
        await self._complete(name, time.monotonic() + self._length_s + GRACE_S)

    async def results(self) -> list[Result]:
        deadline_s = time.monotonic() + self._length_s + GRACE_S
        return [self._judged(name, await self._complete(name, deadline_s)) for name in self._peers]

    async def _complete(self, name: str, deadline_s: float) -> dict[str, Any]:
        peer = self._peers[name]
        while (told := peer.told("complete")) is None:
            if peer.child.exit_code is not None or time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"{name} did not get the stream: {peer.events[-1:]}, exit code {peer.child.exit_code}"
                )
            await asyncio.sleep(0.1)
        return told

    def _judged(self, name: str, told: dict[str, Any]) -> Result:
        found = {segment["number"]: segment["sha256"] for segment in told["segments"]}
        first = min(found, default=0)  # who came to a live stream later has not its beginning; the rest it must have
        wrong = sum(found.get(number) != right for number, right in enumerate(self._right) if number >= first)
        http, p2p = told["http"], told["p2p"]
        if any("source" in segment for segment in told["segments"]):  # theirs counts bytes that it threw away too
            by = {
                kind: sum(segment["bytes"] for segment in told["segments"] if segment.get("source") == kind)
                for kind in ("http", "p2p")
            }
            http, p2p = by["http"], by["p2p"]
        return Result(name, http, p2p, told["stalled_s"], wrong, told["cpu_s"], told["segments"])


@asynccontextmanager
async def swarm(count: int, segment_s: float, segment_bytes: int, logs: Path) -> AsyncIterator[Swarm]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-bench-")))
        stream = plain_stream(folder, count, segment_s=segment_s, segment_bytes=segment_bytes)
        origin = Origin(folder, name="cdn")
        await origin.start()
        stack.push_async_callback(origin.aclose)
        tracker = Tracker()
        port = await tracker.start()
        stack.push_async_callback(tracker.aclose)
        children = await stack.enter_async_context(Children(logs))
        yield Swarm(stream, origin, f"ws://127.0.0.1:{port}", children, count * segment_s)


@asynccontextmanager
async def live(stream: Stream, window: int, segment_s: float) -> AsyncIterator[None]:
    """The stream as if it were being made now: a window of segments that moves on, and an end."""
    count = len(list(stream.folder.glob("s*.m4s")))

    async def go_on() -> None:
        for end in range(window + 1, count + 1):
            await asyncio.sleep(segment_s)
            write_window(stream.folder, range(end - window, end), segment_s=segment_s, is_last=end == count)

    write_window(stream.folder, range(window), segment_s=segment_s, is_last=False)
    going = asyncio.create_task(go_on())
    try:
        yield
    finally:
        going.cancel()


@asynccontextmanager
async def corrupting(stream: Stream) -> AsyncIterator[Origin]:
    """An origin that changes one byte of every segment: who fetches from it passes wrong bytes on."""
    origin = Origin(stream.folder, name="corrupting", schedule=[Fault("corrupt", 0.0, "s*.m4s")])
    await origin.start()
    try:
        yield origin
    finally:
        await origin.aclose()
