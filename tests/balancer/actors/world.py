"""A little world in virtual time: origins, a tracker, viewers, and a player that knows the truth.

    async with World() as world:
        world.origins["one"].fault = Fault("reset")
        async with world.viewer() as session:
            shown = await play(session, world.stream)
            assert shown.is_perfect

Leaving it checks what must hold whatever happened: no actor failed, every
message is accounted for, no response is open, and no task is left.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec

from shoal.app.session import SessionOptions, StreamSession, Transports, open_session
from shoal.app.tracker_core import TrackerCore, TrackerLimits
from shoal.balancer.config import load
from shoal.balancer.errors import BalancerError
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.recording import Recording
from shoal.balancer.report import SegmentStory, SessionReport, SourceState
from shoal.runtime import ActorSystem
from shoal.transports.errors import ChannelClosed, TransportError
from shoal.transports.interface import Fetcher, Hasher, Shelf, TextSocket
from shoal.transports.memory import (
    Conditions,
    InlineHasher,
    MemoryConnector,
    MemoryFetcher,
    MemorySignaling,
    Network,
    listen_text,
)

from .origin import SIDECAR, Fault, Origin, Stream

TRACKER = "ws://tracker/announce"
URL = "http://one/v/stream.m3u8"


class World:
    def __init__(
        self,
        *origins: str,
        seed: int = 1,
        stream: Stream | None = None,
        hashes: str = "blocks",  # blocks, segments, none
        bytes_per_s: int = 2_000_000,  # of each link
        tracker_refuses: bool = False,
        trackers: tuple[str, ...] = ("tracker",),  # their hosts
        tracker_interval_s: int = 10,
    ) -> None:
        self.seed = seed
        self.stream = stream or Stream(seed=seed)
        self._names = origins or ("one", "two")
        self._hashes = hashes
        self._bytes_per_s = bytes_per_s
        self._tracker_refuses = tracker_refuses
        self._tracker_hosts = trackers
        self._tracker_interval_s = tracker_interval_s

    async def __aenter__(self) -> Self:
        self._tasks_before = asyncio.all_tasks()
        self.network = Network(seed=self.seed, conditions=Conditions(latency_us=10_000, bytes_per_s=self._bytes_per_s))
        documents = {"stream.m3u8": self.stream.media_playlist()}
        if self._hashes != "none":
            documents[SIDECAR] = self.stream.sidecar(has_blocks=self._hashes == "blocks")
        self.origins = {name: Origin(self.network.host(name), self.stream, documents) for name in self._names}
        for origin in self.origins.values():
            await origin.start()
        self.trackers = [
            Tracker(
                self.network,
                host,
                seed=self.seed,
                refuses=self._tracker_refuses,
                interval_s=self._tracker_interval_s,
            )
            for host in self._tracker_hosts
        ]
        self.tracker = self.trackers[0]
        for tracker in self.trackers:
            tracker.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for tracker in self.trackers:
            await tracker.stop()
        for origin in self.origins.values():
            await origin.stop()
        if kind is None:
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - self._tasks_before
            assert not left, f"tasks are left: {left}"

    async def spoil(self, name: str, kind: str, **more: Any) -> None:
        """Put a fault on one origin; `refused` stops its server."""
        if kind == "refused":
            await self.origins[name].stop()
        else:
            self.origins[name].fault = Fault(kind, **more)

    def document(self, name: str, data: bytes | None) -> None:
        """Change or remove a document at every origin."""
        for origin in self.origins.values():
            if data is None:
                origin.documents.pop(name, None)
            else:
                origin.documents[name] = data

    def now_us(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e6)

    @asynccontextmanager
    async def viewer(
        self,
        name: str = "viewer",
        *,
        in_swarm: bool = False,
        hashes: str = "auto",
        hashes_key: str | None = None,
        tamper: Callable[[ResourceKey, bytes], bytes] | None = None,
        address: str | None = None,
        seed: int | None = None,
        cdns: tuple[str, ...] | None = None,
        url: str = URL,
        hasher: Hasher | None = None,
        first: str | None = None,  # the CDN that is asked first, since it is preferred a little
        record: str | None = None,
        cmcd: str | None = None,
        cmcd_report: str | None = None,
        shelf: Shelf | None = None,
        are_peers_allowed: bool = True,
        recording: Recording | None = None,
        through: Callable[[Fetcher], Fetcher] | None = None,  # what its requests pass first
        clock_off_us: int = 0,  # its time of day is that much later than the world's
        **config: Any,
    ) -> AsyncIterator[StreamSession]:
        """A session on a host of its own.  Everything it draws comes from the world's seed and its name."""
        host = self.network.host(name, address=address)
        source = random.Random(f"{self.seed} {name}")
        fetcher, hasher = MemoryFetcher(host), hasher or InlineHasher()
        connector, signaling = MemoryConnector(host), MemorySignaling(host)
        options = SessionOptions(
            url=url,
            cdns={cdn: f"http://{cdn}/v/" for cdn in (cdns or self._names)},
            weights={first: 1.2} if first is not None else {},
            trackers=tuple(f"ws://{host}/announce" for host in self._tracker_hosts) if in_swarm else (),
            hashes=hashes,
            hashes_key=hashes_key,
            config=load(config),
            seed=source.getrandbits(32) if seed is None else seed,
            record=record,
            are_peers_allowed=are_peers_allowed,
            cmcd=cmcd,
            cmcd_report=cmcd_report,
        )
        try:
            async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
                transports = Transports(
                    fetcher=fetcher if through is None else through(fetcher),
                    hasher=hasher,
                    connector=connector,
                    signaling=signaling,
                    shelf=shelf,
                )
                async with open_session(
                    options,
                    transports=transports,
                    system=system,
                    tamper=tamper,
                    random_bytes=source.randbytes,
                    utc_us=lambda: self.now_us() + clock_off_us,
                    recording=recording,
                ) as session:
                    yield session
            check_accounts(system)
            assert not fetcher._open, "responses are open that no actor waits for"
        finally:
            await signaling.aclose()
            await connector.aclose()
            await fetcher.aclose()
            await hasher.aclose()


def check_accounts(system: ActorSystem) -> None:
    """Of a stopped system: every message is in one place, and nothing failed."""
    counters = system.counters
    assert counters.failures == 0
    assert counters.restarts == 0
    assert counters.refused == 0
    assert counters.queued == counters.handling == 0
    assert counters.sent == counters.handled + counters.lost + sum(counters.dead_letters.values())


class Tracker:
    """TrackerCore behind a port of the in-memory network."""

    def __init__(self, network: Network, host: str, *, seed: int, refuses: bool, interval_s: int) -> None:
        self.core = TrackerCore(random.Random(seed), TrackerLimits(interval_s=interval_s))
        self.opened = 0
        self._host = network.host(host)
        self._refuses = refuses
        self._numbers = itertools.count(1)
        self._sockets: dict[int, TextSocket] = {}

    def start(self) -> None:
        self._listener = listen_text(self._host, self._serve, port=80)

    async def stop(self) -> None:
        await self._listener.aclose()

    async def _serve(self, socket: TextSocket) -> None:
        self.opened += 1
        number = next(self._numbers)
        assert self.core.opened(number, f"192.0.2.{number}") is None
        self._sockets[number] = socket
        try:
            while True:
                text = await socket.receive()
                if self._refuses:
                    await socket.send('{"action":"announce","failure reason":"not here"}')
                    continue
                now_us = int(asyncio.get_running_loop().time() * 1e6)
                for to, answer in self.core.receive(number, text, now_us):
                    try:
                        await self._sockets[to].send(answer)
                    except ChannelClosed:
                        pass  # it left, which its own task will notice
        finally:
            del self._sockets[number]
            self.core.closed(number)


class Shown(msgspec.Struct):
    """What a player got."""

    wanted: dict[int, bytes]
    bodies: dict[int, bytes] = {}
    errors: dict[int, list[Exception]] = {}
    stall_us: int = 0
    startup_us: int = 0

    @property
    def is_right(self) -> bool:
        """Whatever was delivered is true to the byte."""
        return all(body == self.wanted[number] for number, body in self.bodies.items())

    @property
    def is_perfect(self) -> bool:
        return self.bodies == self.wanted and not self.errors and not self.stall_us


async def play(
    session: StreamSession,
    stream: Stream,
    *,
    rendition: int = 0,
    buffer_us: int = 6_000_000,
    numbers: range | None = None,
    tries: int = 1,
) -> Shown:
    """Read segments as a player does: ahead by `buffer_us` at most, played at 1.0 from the first one on."""
    loop = asyncio.get_running_loop()
    segment_us = stream.segment_s * 1_000_000
    numbers = numbers or range(len(stream.segments))
    shown = Shown({number: stream.segments[number] for number in numbers})
    await session.playlist(None)
    await session.playlist(rendition)
    began_us: int | None = None  # when the first of them would have begun to play, stalls taken out
    for place, number in enumerate(numbers):
        now_us = int(loop.time() * 1e6)
        if began_us is not None:
            ask_us = began_us + place * segment_us - buffer_us
            await asyncio.sleep(max(0, ask_us - now_us) / 1e6)
        asked_us = int(loop.time() * 1e6)
        await _fetch(session, shown, ResourceKey(rendition, Kind.MEDIA, number), tries)
        now_us = int(loop.time() * 1e6)
        if began_us is None:
            began_us, shown.startup_us = now_us, now_us - asked_us
        late_us = now_us - (began_us + place * segment_us)
        if late_us > 0:
            shown.stall_us += late_us
            began_us += late_us
    return shown


async def _fetch(session: StreamSession, shown: Shown, key: ResourceKey, tries: int) -> None:
    for _ in range(tries):
        try:
            shown.bodies[key.number] = await read_whole(session, key)
            return
        except (BalancerError, TransportError) as error:
            shown.errors.setdefault(key.number, []).append(error)


async def read_whole(session: StreamSession, key: ResourceKey | int) -> bytes:
    """All bytes of one resource; of what a failed read gave, nobody hears."""
    return b"".join([piece async for piece in read_pieces(session, key)])


async def read_until_failure(session: StreamSession, key: ResourceKey | int) -> tuple[bytes, Exception | None]:
    """What came, and what ended it; None if it came to its end."""
    came = b""
    try:
        async for piece in read_pieces(session, key):
            came += piece
    except (BalancerError, TransportError) as error:
        return came, error
    return came, None


async def read_pieces(session: StreamSession, key: ResourceKey | int) -> AsyncIterator[bytes]:
    """Its bytes as they come; each is told as delivered."""
    if isinstance(key, int):
        key = ResourceKey(0, Kind.MEDIA, key)
    pieces = session.read(key)
    try:
        async for piece in pieces:
            session.delivered(key, len(piece.data))
            yield piece.data
    finally:
        await pieces.aclose()


# -- questions to a report


def source(report: SessionReport, name: str) -> SourceState:
    """The CDN or peer called `name`, with or without its kind."""
    found = [state for state in report.sources if state.name in {name, f"cdn:{name}", f"peer:{name}"}]
    assert len(found) == 1, f"{name} is not one of {[state.name for state in report.sources]}"
    return found[0]


def story(report: SessionReport, number: int) -> SegmentStory:
    return next(story for story in report.segments if story.kind == "media" and story.number == number)


def peers_used_bytes(report: SessionReport) -> int:
    return sum(state.used_bytes for state in report.sources if state.name.startswith("peer:"))


def cdns_used_bytes(report: SessionReport) -> int:
    return sum(state.used_bytes for state in report.sources if state.name.startswith("cdn:"))


def wasted_bytes(report: SessionReport) -> int:
    return sum(state.wasted_bytes for state in report.sources)
