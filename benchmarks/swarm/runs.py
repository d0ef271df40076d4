"""A swarm in a run of its own: an origin, a tracker, a stream, and peers of either kind that come one after the other.

Every peer plays in real time, keeps 30 s ahead of its playhead as hls.js does, and stays until all have
the whole stream.  What it got from whom is what it says itself; what is right is held against the files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
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
POLLUTER = "shoal.app.demo.polluter"
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
    cut: int = 0  # peers, for breaking the protocol: who promises another length than the hashes is cut before it sends
    late_s: float | None = None  # how long after its slot it came; None where it had none

    @property
    def offload(self) -> float:
        return self.p2p / max(1, self.http + self.p2p)


def offload(results: list[Result]) -> float:
    """Of all together: bytes from peers, of all bytes that were used."""
    return sum(result.p2p for result in results) / max(1, sum(result.p2p + result.http for result in results))


def off_s(results: list[Result]) -> float | None:
    """How far from its slot a viewer came, at most; None where they had none."""
    return max((abs(result.late_s) for result in results if result.late_s is not None), default=None)


def arrivals(results: list[Result]) -> str:
    """How near to their slots the viewers came."""
    off = off_s(results)
    return "as their programs had started" if off is None else f"each within {off:.2f} s of its slot"


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
        self._slots = ""
        self._waiting: dict[int, Program] = {}  # by slot
        self._slots_s: dict[str, float] = {}  # when those that came in slots were to come, since 1970
        files = sorted(stream.folder.glob("*.m4s"))
        self._right = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        self._numbers = {path.name: number for number, path in enumerate(files)}

    async def load(self, slots: str, **options: dict[str, Any]) -> None:
        """Start who is to come: o ours, r ours that only takes, t theirs in Node, p theirs in a page, . nobody.

        All programs are there and loaded before the first of them comes, so that what a start takes, which differs
        between kinds, delays nobody.  `options` are those of a kind, by its letter.
        """
        self._slots = slots
        for number, kind in enumerate(slots):
            more = {"waits": True, **options.get(kind, {})}
            if kind in "or":
                self._waiting[number] = await self.ours(f"{'ours' if kind == 'o' else 'rider'}-{number}", **more)
            elif kind == "t":
                self._waiting[number] = await self.theirs(f"theirs-{number}", **more)
            elif kind == "p":
                assert self._opened is not None, "a film_swarm has pages"
                await self._opened.open(f"theirs-in-page-{number}")

    async def arrive(self, apart_s: float) -> None:
        """Let those that were loaded come, each in its slot."""
        began_s, since_1970_s = time.monotonic(), time.time()
        async with asyncio.TaskGroup() as going:
            for number, kind in enumerate(self._slots):
                await asyncio.sleep(max(0.0, began_s + number * apart_s - time.monotonic()))
                if kind == "p":
                    name = f"theirs-in-page-{number}"
                    going.create_task(self._go(name))
                elif number in self._waiting:
                    name = self._waiting[number].child.name
                    self._waiting[number].child.signal(signal.SIGUSR2)
                else:
                    continue
                self._slots_s[name] = since_1970_s + number * apart_s

    async def _go(self, name: str) -> None:
        assert self._opened is not None
        await self._opened.go(name, f"{self.origin.url}/{self.stream.playlist}", self.tracker)

    def _late_s(self, name: str, arrived_s: float | None) -> float | None:
        slot_s = self._slots_s.get(name)
        return None if slot_s is None or arrived_s is None else arrived_s - slot_s

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

    async def polluter(self, kind: str) -> Program:
        """A peer that holds the whole stream, and sends it wrong as `app/demo/pollution.py` says."""
        command = [f"{self.origin.url}/{self.stream.playlist}", "--tracker", self.tracker, "--allow-private", "--json"]
        # Whatever it was given, it says that it has it; and no hash of its own, which others could compare.
        more = ["--hashes", "none", "--announce-unaudited", "--kind", kind]
        events: list[dict[str, Any]] = []
        child = await self._children.start("polluter", POLLUTER, *command, *more, hear=events.append)
        await child.ready()
        made = Program(child, events)
        while made.told("complete") is None:
            if child.exit_code is not None:
                raise RuntimeError(f"the polluter ended with {child.exit_code}: {events[-1:]}")
            await asyncio.sleep(0.1)
        return made

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
        arrived = self._peers[name].told("arrived") or {}
        more = (
            told.get("caught", []),
            told.get("banned", 0),
            told.get("cut", 0),
            self._late_s(name, arrived.get("at_s")),
        )
        return Result(name, http, p2p, told["stalled_s"], wrong, told["cpu_s"], told["segments"], *more)

    def _judged_page(self, name: str, seen: dict[str, Any]) -> Result:
        """Of a page neither stalls nor CPU time are known; they are the browser's."""
        given = {segment["url"].rpartition("/")[2]: segment["sha256"] for segment in seen["given"]}
        wrong = sum(given.get(file) != self._right[number] for file, number in self._numbers.items())
        by = {
            kind: sum(segment["bytes"] for segment in seen["loaded"] if segment["source"] == kind)
            for kind in ("http", "p2p")
        }
        assert self._opened is not None
        late_s = self._late_s(name, self._opened.arrived_s.get(name))
        return Result(name, by["http"], by["p2p"], 0.0, wrong, 0.0, seen["loaded"], late_s=late_s)


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
