"""The short real run: two origins, a tracker, two peers in processes of their own, and an independent player.

One run, played in real time over sockets and WebRTC; each test says one thing about it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app.demo.children import Children
from shoal.app.demo.judge import Judgement
from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions
from shoal.balancer.config import BalancerConfig
from shoal.balancer.report import SessionReport

from .support import (
    Process,
    assert_played_to_the_end,
    assert_right_bytes,
    judged,
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
    start_player,
    until,
    used_bytes,
    viewer,
)

pytestmark = pytest.mark.real

PEERS = 2
RUN_TIMEOUT_S = 240.0  # about 20 s on an idle machine


@dataclass
class Outcome:
    stream: Stream
    player: Process
    peers: list[Process]
    judgement: Judgement
    report: SessionReport


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    stream = short_stream()
    folder = tmp_path_factory.mktemp("run")

    async def run() -> Outcome:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            return await _run(stream, folder)

    with marked_run(str(folder)):
        result = asyncio.run(run())
    assert left_running(str(folder)) == []
    return result


async def _run(stream: Stream, folder: Path) -> Outcome:
    async with (
        running_origins(stream, "a", "b") as origins,
        running_tracker() as tracker,
        Children(folder) as children,
    ):
        urls = {origin.name: playlist_of(origin, stream) for origin in origins}
        cdns = [word for name, url in urls.items() for word in ("--cdn", f"{name}={url}")]
        common = [urls["a"], *cdns, "--tracker", tracker, "--allow-private", "--json"]
        peers = [await start(children, f"peer-{n}", "shoal.app.cli", "peer", *common) for n in range(PEERS)]
        for peer in peers:
            await peer.child.ready()
            await until(lambda peer=peer: peer.told("complete"), "a peer does not hold the stream")
        options = SessionOptions(
            url=urls["a"],
            cdns=urls,
            trackers=(tracker,),
            allow_private=True,
            # What would be fetched ahead comes from CDNs while the peers are not met yet.
            config=BalancerConfig(prefetch_us=2_000_000),
        )
        async with viewer(options, stream) as (session, _, tap, url):
            await _meet(session)
            player = await start_player(children, url)
            await player.child.wait()
            report = await session.report()
            judgement = await judged(tap)
        for peer in peers:
            await peer.child.end()
        return Outcome(stream, player, peers, judgement, report)


async def _meet(session) -> None:
    """Read the first segment, which joins the swarm, and wait for the peers there."""
    root = await session.playlist()
    playlist = await session.playlist(root.best)
    async for _ in session.read(playlist.segments[0].key):
        pass

    async def peers_are_met() -> bool:
        report = await session.report()
        return sum(bool(source.held_count) for source in sources_of(report, "peer")) == PEERS

    if own_addresses():
        await until(peers_are_met, "the viewer has not met its peers")


def test_the_player_shows_every_picture_and_never_waits_for_bytes(outcome: Outcome):
    assert_played_to_the_end(outcome.player, outcome.stream)


def test_every_byte_the_player_received_is_right(outcome: Outcome):
    assert_right_bytes(outcome.judgement, outcome.stream)


def test_peers_gave_some_of_the_bytes(outcome: Outcome):
    skip_without_an_address()
    peers = sources_of(outcome.report, "peer")
    assert len(peers) == PEERS
    assert used_bytes(peers) > 0
    assert sum(peer.told("ended")["sent_bytes"] for peer in outcome.peers) >= used_bytes(peers)


def test_every_segment_is_verified_block_by_block(outcome: Outcome):
    assert outcome.report.hashes == "blocks"
    delivered = [segment for segment in media_of(outcome.report) if segment.delivered_bytes]
    assert {segment.number for segment in delivered} == {segment.number for segment in media_of(outcome.report)}
    assert {segment.verified for segment in delivered} == {"blocks"}
    # What was fetched ahead may be on its way still as the player ends; nobody got anything of that.
    assert {segment.verified for segment in media_of(outcome.report)} <= {"blocks", "pending"}
    assert not any(segment.polluted for segment in outcome.report.segments)


def test_the_peers_end_when_told_to_and_say_so(outcome: Outcome):
    assert [peer.child.exit_code for peer in outcome.peers] == [0] * PEERS
    assert [peer.events[-1]["event"] for peer in outcome.peers] == ["ended"] * PEERS
