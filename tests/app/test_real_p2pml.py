"""A swarm of ours and of p2p-media-loader 2.3.1, the package that web players run, over real WebRTC.

Theirs runs unmodified in Node, and its peers meet ours at our tracker and at bittorrent-tracker.
Where every byte came from is what each side says of itself, and both are held against each other.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

import aiohttp

from shoal.app.demo.children import Children
from shoal.balancer.identity import Scheme23, StreamType, swarm_id_of_manifest
from shoal.balancer.report import SourceState

from ..p2pml.counterparts import INDEX, Program, missing, on_air, plain_stream, sha256_of, start_peer, start_tracker
from .readers import Reader, reader
from .support import (
    left_running,
    marked_run,
    playlist_of,
    running_origins,
    running_tracker,
    skip_without_an_address,
    until,
    used_bytes,
)

pytestmark = pytest.mark.real

RUN_TIMEOUT_S = 240.0  # 15 s on an idle machine
SEGMENT_BYTES = 20_000
PAGE_IDS = "peer:-PM0203-"  # how the package's peers name themselves


async def completed(peer: Program) -> dict[str, Any]:
    def told() -> dict[str, Any] | None:
        assert peer.child.exit_code is None, f"{peer.child.name} is gone; see its log"
        return peer.told("complete")

    return await until(told, "the peer does not hold the stream", timeout_s=120.0)


def bytes_from_peers(peer: dict[str, Any]) -> int:
    return sum(segment["bytes"] for segment in peer["segments"] if segment["source"] == "p2p")


@pytest.fixture(autouse=True)
def _counterparts(tmp_path: Path):
    skip_without_an_address()
    if what := missing():
        pytest.skip(what)
    with marked_run(str(tmp_path)):
        yield
    assert left_running(str(tmp_path)) == []


def test_ours_and_theirs_fetch_from_each_other_at_our_tracker(tmp_path: Path):
    stream = plain_stream(tmp_path, 30, segment_bytes=SEGMENT_BYTES)

    async def run() -> tuple[dict[str, Any], list[str], list[SourceState]]:
        async with (
            asyncio.timeout(RUN_TIMEOUT_S),
            running_origins(stream, "cdn") as (origin,),
            running_tracker() as tracker,
            Children(tmp_path / "logs") as children,
            reader(origin, stream, tracker, cdn_prefetch_deadline_us=1_000) as ours,
        ):
            await ours.read(15)
            # What plays soon it takes from the CDN; with its own 15 s that would be all that we have.
            theirs = await start_peer(
                children, "theirs", origin.url, tracker, speed=3, meet=1, core={"highDemandTimeWindow": 3}
            )
            complete = await completed(theirs)
            await ours.met(30)
            await ours.read(15)
            return complete, ours.hashes, await ours.peers()

    theirs, ours, peers = asyncio.run(run())
    right = sha256_of(stream)
    assert [segment["sha256"] for segment in theirs["segments"]] == right
    assert ours == right
    (peer,) = peers
    assert peer.name.startswith(PAGE_IDS)
    assert bytes_from_peers(theirs) >= 5 * SEGMENT_BYTES
    assert used_bytes(peers) >= 5 * SEGMENT_BYTES


def test_three_hundred_segments_pass_both_ways_at_bittorrent_tracker(tmp_path: Path):
    """More than 256 ids: 2.3.1 writes the length of a full block as 0, and cannot read that itself."""
    stream = plain_stream(tmp_path, 300, segment_bytes=SEGMENT_BYTES)

    async def run() -> tuple[dict[str, Any], list[str], list[SourceState]]:
        async with (
            asyncio.timeout(RUN_TIMEOUT_S),
            running_origins(stream, "cdn") as (origin,),
            Children(tmp_path / "logs") as children,
        ):
            _, tracker = await start_tracker(children)
            async with reader(origin, stream, tracker) as first:
                await first.read(300)
                theirs = await start_peer(children, "theirs", origin.url, tracker)
                complete = await completed(theirs)
            async with reader(origin, stream, tracker, cdn_prefetch_deadline_us=1_000) as second:
                await second.read(1)
                await second.met(300)
                await second.read(299)
                return complete, second.hashes, await second.peers()

    theirs, ours, peers = asyncio.run(run())
    right = sha256_of(stream)
    assert [segment["sha256"] for segment in theirs["segments"]] == right
    assert ours == right
    assert bytes_from_peers(theirs) >= 0.8 * 300 * SEGMENT_BYTES
    assert used_bytes(peers) >= 0.8 * 300 * SEGMENT_BYTES


async def scraped(tracker: str, info_hash: str) -> tuple[int, int]:
    """How many peers hold everything, and how many do not, as the tracker says."""
    async with aiohttp.ClientSession() as http, http.ws_connect(tracker) as socket:
        await socket.send_json({"action": "scrape", "info_hash": info_hash})
        (swarm,) = json.loads(await socket.receive_str())["files"].values()
        return swarm["complete"], swarm["incomplete"]


def test_both_trackers_know_who_of_ours_holds_the_whole_stream(tmp_path: Path):
    stream = plain_stream(tmp_path, 40, segment_bytes=SEGMENT_BYTES)

    async def run() -> None:
        async with (
            asyncio.timeout(RUN_TIMEOUT_S),
            running_origins(stream, "cdn") as (origin,),
            running_tracker() as ours,
            Children(tmp_path / "logs") as children,
        ):
            program, theirs = await start_tracker(children)
            scheme, swarm_id = Scheme23(), swarm_id_of_manifest(playlist_of(origin, stream))
            info_hash = scheme.info_hash(scheme.stream_swarm_id(swarm_id, StreamType.MAIN, INDEX))
            for tracker in (ours, theirs):

                async def counts(before: int, after: int, tracker: str = tracker) -> None:
                    async def they_are() -> bool:
                        return await scraped(tracker, info_hash) == (before, after)

                    await until(they_are, f"{tracker} does not count {before} and {after}")

                async with reader(origin, stream, tracker) as first:
                    await first.read(1)
                    await counts(0, 1)
                    await first.read(39)
                    await counts(1, 0)
                await counts(0, 0)
            assert not program.all_told("warned"), "their tracker understands all of it"

    asyncio.run(run())


def test_a_live_stream_is_right_at_ours_and_at_theirs_and_passes_between_them(tmp_path: Path):
    """Thirty segments, of which fifteen are in the playlist at a time; who comes later has not the first of them."""
    stream = plain_stream(tmp_path, 30, segment_bytes=SEGMENT_BYTES)
    right = sha256_of(stream)

    async def run() -> tuple[dict[str, Any], Reader, list[SourceState]]:
        async with (
            asyncio.timeout(RUN_TIMEOUT_S),
            running_origins(stream, "cdn") as (origin,),
            running_tracker() as tracker,
            Children(tmp_path / "logs") as children,
            on_air(stream, 15, 1.0),
            reader(origin, stream, tracker, cdn_prefetch_deadline_us=1_000) as ours,
        ):
            await ours.read(15)
            # Its own 15 s would be all of the window, and nothing would be left for it to ask peers for.
            theirs = await start_peer(children, "theirs", origin.url, tracker, core={"highDemandTimeWindow": 3})
            await ours.follow((await ours.session.playlist()).best)
            return await completed(theirs), ours, await ours.peers()

    theirs, ours, peers = asyncio.run(run())
    read = {segment.key.number: digest for segment, digest in zip(ours.segments, ours.hashes, strict=True)}
    assert read == dict(enumerate(right))
    assert {segment["number"]: segment["sha256"] for segment in theirs["segments"]}.items() <= read.items()
    assert len(theirs["segments"]) >= 15
    assert bytes_from_peers(theirs) + used_bytes(peers) >= 2 * SEGMENT_BYTES
