"""Peers over real WebRTC that lie, come back under another name, or die: the viewer takes no harm.

All are processes on this machine, so they share one address: what one of them does
must not be held against the others for good.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app.demo.children import Children
from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Segment
from shoal.balancer.report import SessionReport, SourceState

from .support import (
    Process,
    heavy_stream,
    left_running,
    marked_run,
    media_of,
    own_addresses,
    playlist_of,
    running_origins,
    running_tracker,
    short_stream,
    skip_without_an_address,
    sources_of,
    start,
    until,
)

pytestmark = pytest.mark.real

RUN_TIMEOUT_S = 240.0  # about 30 s on an idle machine
HONEST, LIAR = "shoal.app.cli", "shoal.app.demo.polluter"


class Swarm(NamedTuple):
    """A stream on one origin, a tracker, and peers that can be added."""

    stream: Stream
    origin: Origin
    tracker: str
    children: Children

    async def add(self, name: str, module: str, *more: str) -> Process:
        """A peer that holds the whole stream."""
        command = ["peer"] if module == HONEST else []
        url = playlist_of(self.origin, self.stream)
        peer = await start(
            self.children, name, module, *command, url, "--tracker", self.tracker, "--allow-private", "--json", *more
        )
        await peer.child.ready()
        await until(lambda: peer.told("complete"), f"{name} does not hold the stream")
        return peer


@asynccontextmanager
async def swarm(stream: Stream, folder: Path) -> AsyncIterator[Swarm]:
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "cdn") as (origin,),
        running_tracker() as tracker,
        Children(folder) as children,
    ):
        yield Swarm(stream, origin, tracker, children)


class Reader:
    """Reads segments one by one, and keeps those that are not what the origin has."""

    def __init__(self, session: StreamSession, stream: Stream, segments: tuple[Segment, ...]) -> None:
        self.session = session
        self.stream = stream
        self.left = list(segments)
        self.wrong: list[str] = []

    async def next(self) -> None:
        segment = self.left.pop(0)
        data = b"".join([piece.data async for piece in self.session.read(segment.key)])
        if data != (self.stream.folder / segment.uri.rpartition("/")[2]).read_bytes():
            self.wrong.append(segment.uri)

    async def peers(self) -> list[SourceState]:
        return sources_of(await self.session.report(), "peer")

    async def meets(self, count: int) -> list[SourceState]:
        """Wait until this many peers have said what they hold."""

        async def met() -> list[SourceState] | None:
            peers = await self.peers()
            return peers if sum(bool(peer.held_count) for peer in peers) >= count else None

        return await until(met, f"the viewer has not met {count} peers")


@asynccontextmanager
async def reader(swarm: Swarm, config: BalancerConfig, *, hashes: str = "auto") -> AsyncIterator[Reader]:
    options = SessionOptions(
        url=playlist_of(swarm.origin, swarm.stream),
        trackers=(swarm.tracker,),
        allow_private=True,
        config=config,
        hashes=hashes,
    )
    async with open_session(options) as session:
        root = await session.playlist()
        segments = (await session.playlist(root.best)).segments
        yield Reader(session, swarm.stream, segments)


# Whatever is not waited for comes from peers alone, so that each of them is put to the test.
PACE_S = 0.3  # between two segments: time for what is fetched ahead to come from peers
PEERS_FIRST = BalancerConfig(prefetch_us=3_000_000, cdn_prefetch_deadline_us=1_000, log_viewers=True)


class Met(NamedTuple):
    """The story of the liar that comes back: the viewer's reports along the way, and the peers with all they told."""

    at_the_ban: SessionReport
    honest_served_on: SessionReport
    at_the_end: SessionReport
    wrong: list[str]
    honest: Process
    liars: list[Process]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Met:
    skip_without_an_address()
    folder = tmp_path_factory.mktemp("liar")
    with marked_run(str(folder)):
        met = asyncio.run(_tell(folder))
    assert left_running(str(folder)) == []
    return met


async def _tell(folder: Path) -> Met:
    async with swarm(short_stream(), folder) as here:
        honest, liar = await here.add("honest", HONEST), await here.add("liar", LIAR)
        async with reader(here, PEERS_FIRST) as viewer:
            session = viewer.session
            await viewer.next()
            await viewer.meets(2)
            while not banned(at_the_ban := await session.report()):
                await viewer.next()
                await asyncio.sleep(PACE_S)
            await liar.child.end()
            for _ in range(3):  # what is asked for from now on is not of a transfer that was running
                await viewer.next()
                await asyncio.sleep(PACE_S)
            honest_served_on = await session.report()
            await honest.child.end()
            again = await here.add("liar-again", LIAR)
            await viewer.meets(3)
            while viewer.left:
                await viewer.next()
                await asyncio.sleep(PACE_S)
            at_the_end = await session.report()
        await again.child.end()
        return Met(at_the_ban, honest_served_on, at_the_end, viewer.wrong, honest, [liar, again])


def banned(report: SessionReport) -> list[SourceState]:
    return [peer for peer in sources_of(report, "peer") if peer.state == "banned"]


def test_wrong_bytes_of_a_peer_reach_nobody(story: Met):
    assert story.wrong == []
    assert story.at_the_end.dropped.get("wrong_bytes_read", 0) == 0
    assert {segment.verified for segment in media_of(story.at_the_end)} == {"blocks"}


def test_the_liar_is_caught_at_once_cut_and_banned(story: Met):
    (liar,) = banned(story.at_the_ban)
    assert liar.errors.keys() == {"hash"}
    log = "\n".join(story.at_the_end.log)
    name = liar.name.removeprefix("peer:")
    assert f"{name} is banned: wrong bytes" in log
    assert f"{name} left: wrong bytes" in log
    assert story.liars[0].told("ended")["sent_bytes"] > 0


def test_the_honest_peer_at_the_same_address_stays_and_serves(story: Met):
    (liar,) = banned(story.honest_served_on)
    (before,) = (peer for peer in sources_of(story.at_the_ban, "peer") if peer.name != liar.name)
    (after,) = (peer for peer in sources_of(story.honest_served_on, "peer") if peer.name != liar.name)
    assert after.errors == {}
    assert after.used_bytes > before.used_bytes
    assert after.used_bytes <= story.honest.told("ended")["sent_bytes"]


def test_under_another_name_and_certificate_it_is_caught_again(story: Met):
    first, second = banned(story.at_the_end)
    assert first.name != second.name
    assert first.errors.keys() == second.errors.keys() == {"hash"}
    polluted = [segment for segment in media_of(story.at_the_end) if segment.polluted]
    senders = {part.source for segment in polluted for part in segment.parts if part.outcome == "wrong"}
    assert senders == {first.name, second.name}


def test_a_liar_among_peers_is_no_reason_to_leave_a_program_running_or_failing(story: Met):
    assert [peer.child.exit_code for peer in (story.honest, *story.liars)] == [0, 0, 0]


class Audited(NamedTuple):
    """The story of a stream without hashes: a liar, and after its ban an honest peer."""

    at_the_ban: SessionReport
    at_the_end: SessionReport
    wrong: list[str]
    printed: str  # by the processes of the two peers


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    skip_without_an_address()
    folder = tmp_path_factory.mktemp("audited")
    with marked_run(str(folder)):
        told = asyncio.run(_tell_without_hashes(folder))
    assert left_running(str(folder)) == []
    return told


async def _tell_without_hashes(folder: Path) -> Audited:
    unhashed = ("--hashes", "none", "--announce-unaudited")
    async with swarm(short_stream(), folder) as here:
        liar = await here.add("liar", LIAR, *unhashed, "--changed", "1")
        config = msgspec.structs.replace(PEERS_FIRST, log_viewers=False)
        async with reader(here, config, hashes="none") as viewer:
            await viewer.next()
            await viewer.meets(1)
            while not banned(at_the_ban := await viewer.session.report()):
                await viewer.next()
                await asyncio.sleep(PACE_S)
            honest = await here.add("honest", HONEST, *unhashed)
            await viewer.meets(2)
            while viewer.left:
                await viewer.next()
                await asyncio.sleep(PACE_S)
            at_the_end = await viewer.session.report()
        await liar.child.end()
        await honest.child.end()
    files = [path.read_text("utf-8", "replace") for path in folder.glob("*.log")]
    printed = "\n".join([*files, str(liar.events), str(honest.events)])
    return Audited(at_the_ban, at_the_end, viewer.wrong, printed)


def test_by_audit_alone_a_liar_is_caught_at_its_first_segment_and_nothing_wrong_is_read(audited: Audited):
    assert audited.wrong == []
    served = [s for s in media_of(audited.at_the_ban) for part in s.parts if part.outcome == "wrong"]
    assert len(served) == 1  # by this one it was found
    (caught,) = [segment for segment in media_of(audited.at_the_end) if segment.polluted]
    assert caught.number == served[0].number
    assert caught.verified == "unverified"
    assert caught.parts[-1].source == "cdn:origin"
    (liar,) = banned(audited.at_the_end)
    assert liar.used_bytes == 0
    assert liar.errors.keys() == {"audit"}


def test_an_audit_costs_a_fiftieth_of_what_peers_sent_at_most(audited: Audited):
    sent = sum(part.byte_count for s in media_of(audited.at_the_end) for part in s.parts if "peer" in part.source)
    cost = sum(source.audit_bytes for source in audited.at_the_end.sources)
    assert 0 < cost <= 0.02 * sent


def test_neither_a_log_nor_what_peers_print_names_another_viewer(audited: Audited):
    peers = [peer.name.removeprefix("peer:") for peer in sources_of(audited.at_the_end, "peer")]
    assert len(peers) == 2
    for text in ("\n".join(audited.at_the_end.log), audited.printed):
        assert text
        assert [secret for secret in (*peers, *own_addresses()) if secret in text] == []


def test_a_peer_killed_in_the_middle_of_a_segment_is_left_for_the_cdn_at_the_byte_reached(tmp_path: Path):
    skip_without_an_address()

    async def run() -> None:
        async with swarm(heavy_stream(), tmp_path) as here:
            peer = await here.add("peer", HONEST)
            async with reader(here, PEERS_FIRST) as viewer:
                await viewer.next()
                await viewer.meets(1)
                reading = asyncio.create_task(viewer.next())
                await _kill_in_the_middle(peer, viewer.session)
                await reading
                while viewer.left:
                    await viewer.next()
                report = await viewer.session.report()
            assert viewer.wrong == []
            assert peer.child.exit_code == -signal.SIGKILL
            moved = [segment for segment in media_of(report) if segment.failed_over_in_body]
            assert moved
            for segment in moved:
                assert segment.parts[0].source.startswith("peer:")
                assert segment.parts[-1].source == "cdn:origin"
                assert segment.parts[-1].first_byte > 0
                assert segment.completed_us is not None

    with marked_run(str(tmp_path)):
        asyncio.run(run())
    assert left_running(str(tmp_path)) == []


async def _kill_in_the_middle(peer: Process, session: StreamSession) -> None:
    """SIGKILL when some of a segment has come from the peer, and most of it has not."""

    async def is_in_the_middle() -> bool:
        report = await session.report()
        return any(
            part.outcome == "running" and part.source.startswith("peer:") and 0 < part.byte_count < 400_000
            for segment in media_of(report)
            for part in segment.parts
        )

    await until(is_in_the_middle, "nothing is on its way from the peer", every_s=0.001)
    peer.child.signal(signal.SIGKILL)
