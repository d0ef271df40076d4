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
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.app.tracker import Tracker
from shoal.balancer import identity
from shoal.balancer.formats.hls.parser import parse
from shoal.balancer.formats.hls.playlist import Multivariant
from shoal.balancer.streams import streams_of

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.p2pml.counterparts import Program, plain_stream, start_peer  # noqa: E402

from .pages import Pages, pages  # noqa: E402

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
    caught: list[int] = field(default_factory=list)  # segments of which wrong bytes came, and nobody saw them
    banned: int = 0  # peers

    @property
    def offload(self) -> float:
        return self.p2p / max(1, self.http + self.p2p)


def offload(results: list[Result]) -> float:
    """Of all together: bytes from peers, of all bytes that were used."""
    return sum(result.p2p for result in results) / max(1, sum(result.p2p + result.http for result in results))


class Swarm:
    """Add peers, then `results()`."""

    def __init__(
        self,
        stream: Stream,
        origin: Origin,
        tracker: str,
        children: Children,
        length_s: float,
        *,
        opened: Pages | None = None,
    ) -> None:
        """`opened` is the browser, where pages are to come."""
        self.stream = stream
        self._opened = opened
        self.origin = origin
        self.tracker = tracker
        self._children = children
        self._length_s = length_s
        self._peers: dict[str, Program] = {}
        files = sorted(stream.folder.glob("*.m4s"))
        self._right = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        self._numbers = {path.name: number for number, path in enumerate(files)}

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
        if self._opened is not None:  # a film, which is called otherwise
            options = {**_as_theirs_knows(self.stream, from_where), **options}
        peer = await start_peer(self._children, name, from_where, self.tracker, manifest=manifest, **options)
        if is_judged:
            self._peers[name] = peer
        return peer

    async def page(self, name: str) -> None:
        """A page that plays the stream in a browser."""
        assert self._opened is not None, "a film_swarm has pages"
        await self._opened.add(name, f"{self.origin.url}/{self.stream.playlist}", self.tracker)

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
        found = [self._judged(name, await self._complete(name, deadline_s)) for name in self._peers]
        if self._opened is not None:
            for name in self._opened.names:
                seen = await self._opened.seen(name, len(self._right), deadline_s)
                found += [self._judged_page(name, seen)]
        return found

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
        more = told.get("caught", []), told.get("banned", 0)
        return Result(name, http, p2p, told["stalled_s"], wrong, told["cpu_s"], told["segments"], *more)

    def _judged_page(self, name: str, seen: dict[str, Any]) -> Result:
        """Of a page neither stalls nor CPU time are known; they are the browser's."""
        given = {segment["url"].rpartition("/")[2]: segment["sha256"] for segment in seen["given"]}
        wrong = sum(given.get(file) != self._right[number] for file, number in self._numbers.items())
        by = {
            kind: sum(segment["bytes"] for segment in seen["loaded"] if segment["source"] == kind)
            for kind in ("http", "p2p")
        }
        return Result(name, by["http"], by["p2p"], 0.0, wrong, 0.0, seen["loaded"])


def _as_theirs_knows(stream: Stream, origin: str) -> dict[str, str]:
    """The media playlist of a film of one variant, and the name that the package's players give it."""
    url = f"{origin}/{stream.playlist}"
    read = parse((stream.folder / stream.playlist).read_bytes(), url)
    assert isinstance(read, Multivariant)
    ((media_url, named, _),) = streams_of(read)
    return {"url": media_url, "index": identity.Scheme23().stream_index(named)}


@asynccontextmanager
async def film_swarm(logs: Path) -> AsyncIterator[Swarm]:
    """A minute of H.264 and AAC in 30 segments: what a browser plays, and so what pages can be in the swarm for."""
    options = StreamOptions(seconds=60, segment_seconds=2, renditions=(Rendition("film", 160, 90, 330_000, 64_000),))
    stream = await asyncio.to_thread(make_stream, options, ROOT / "build" / "streams")
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(pages())
        origin, tracker, children = await _around(stack, stream.folder, logs)
        yield Swarm(stream, origin, tracker, children, stream.seconds, opened=opened)


@asynccontextmanager
async def swarm(count: int, segment_s: float, segment_bytes: int, logs: Path) -> AsyncIterator[Swarm]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-bench-")))
        stream = plain_stream(folder, count, segment_s=segment_s, segment_bytes=segment_bytes)
        origin, tracker, children = await _around(stack, folder, logs)
        yield Swarm(stream, origin, tracker, children, count * segment_s)


async def _around(stack: AsyncExitStack, folder: Path, logs: Path) -> tuple[Origin, str, Children]:
    origin = Origin(folder, name="cdn")
    await origin.start()
    stack.push_async_callback(origin.aclose)
    tracker = Tracker()
    port = await tracker.start()
    stack.push_async_callback(tracker.aclose)
    return origin, f"ws://127.0.0.1:{port}", await stack.enter_async_context(Children(logs))


@asynccontextmanager
async def replacing(stream: Stream) -> AsyncIterator[Origin]:
    """An origin with other segments of the same lengths: another film under the same names."""
    with tempfile.TemporaryDirectory(prefix="shoal-bench-other-") as name:
        folder = Path(name)
        for path in stream.folder.iterdir():
            data = path.read_bytes()
            (folder / path.name).write_bytes(bytes(byte ^ 0x55 for byte in data) if path.suffix == ".m4s" else data)
        origin = Origin(folder, name="replacing")
        await origin.start()
        try:
            yield origin
        finally:
            await origin.aclose()


@asynccontextmanager
async def corrupting(stream: Stream) -> AsyncIterator[Origin]:
    """An origin that changes one byte of every segment: who fetches from it passes wrong bytes on."""
    origin = Origin(stream.folder, name="corrupting", schedule=[Fault("corrupt", 0.0, "s*.m4s")])
    await origin.start()
    try:
        yield origin
    finally:
        await origin.aclose()
