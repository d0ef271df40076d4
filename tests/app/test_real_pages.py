"""A web page with hls.js and p2p-media-loader 2.3.1, in Chromium, and a peer of ours: each fetches from the other.

The page computes its swarm's name itself, of what hls.js reads in the playlist; ours has to come to the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.balancer.report import SourceState

from ..p2pml.counterparts import bundled_page, film_on_air, missing
from .chromium import async_api, page_in_chromium, page_server, skip_without_chromium
from .readers import Reader, reader
from .support import STREAMS, playlist_of, running_origins, running_tracker, skip_without_an_address, used_bytes

pytestmark = pytest.mark.real

RUN_TIMEOUT_S = 300.0  # 20 s on an idle machine
PLAY_TIMEOUT_MS = 180_000  # 10 s there
PAGE = (
    """<!doctype html><meta charset="utf-8"><title>peers</title><video muted></video><script src="page.mjs"></script>"""
)
OPTIONS = StreamOptions(seconds=20, segment_seconds=1, renditions=(Rendition("p2p", 160, 90, 400_000, 64_000),))
LONG = StreamOptions(
    seconds=300, segment_seconds=1, frames_per_s=10, renditions=(Rendition("long", 160, 90, 200_000, 32_000),)
)
LIVE = StreamOptions(
    seconds=44, segment_seconds=1, frames_per_s=10, renditions=(Rendition("live", 160, 90, 200_000, 32_000),)
)


def right_hashes(stream: Stream) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stream.folder.glob("*.m4s")}


async def play_all(page: Any, count: int, ours: Reader) -> None:
    """Until the page has been given all of it; how both sides stood, if that never comes."""
    try:
        # The init section is given too, and is no segment.
        given = "new Set(seen.given.map((one) => one.url).filter((url) => url.endsWith('.m4s'))).size"
        await page.wait_for_function(f"seen.fatal.length || {given} >= {count}", timeout=PLAY_TIMEOUT_MS)
    except async_api.TimeoutError:
        report = await ours.session.report()
        pytest.fail(f"the page stood still: {await page.evaluate('seen')}; ours: {report}")


async def fetch_from_each_other(
    stream: Stream, profile: Path, *, rate: int = 2
) -> tuple[dict[str, Any], Reader, list[SourceState]]:
    """The page comes when one of ours has some; another of ours comes when only the page is left, and has all."""
    async with meeting(stream, profile, rate=rate) as here:
        async with reader(here.origin, stream, here.tracker) as first:
            await first.read(stream.segment_count - 4)
            page = await here.open_page()
            await play_all(page, stream.segment_count, first)
        async with reader(here.origin, stream, here.tracker, cdn_prefetch_deadline_us=1_000) as second:
            await second.read(1)
            await second.met(stream.segment_count)
            await second.read(stream.segment_count - 1)
            peers = await second.peers()
        return dict(await page.evaluate("seen")), second, peers


class Meeting(NamedTuple):
    origin: Origin
    tracker: str
    open_page: Callable[[], Awaitable[Any]]


@asynccontextmanager
async def meeting(stream: Stream, profile: Path, *, rate: int) -> AsyncIterator[Meeting]:
    """Where a page and ours meet.  The page plays `rate` times as fast as it should, once it has met somebody."""
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "cdn") as (origin,),
        running_tracker() as tracker,
        page_server(PAGE, {"page.mjs": bundled_page()}) as site,
        AsyncExitStack() as stack,
    ):
        query = {
            "url": playlist_of(origin, stream),
            "tracker": tracker,
            "rate": rate,
            # Else hls.js asks for the whole stream before a peer was met, and what it asks for comes from the CDN.
            "hls": json.dumps({"maxBufferLength": 2 * rate, "maxMaxBufferLength": 2 * rate}),
            "core": json.dumps({"highDemandTimeWindow": 3}),
        }
        url = f"{site}?{urlencode(query)}"
        yield Meeting(origin, tracker, lambda: stack.enter_async_context(page_in_chromium(url, profile)))


@pytest.fixture(autouse=True)
def _counterparts() -> None:
    skip_without_an_address()
    skip_without_chromium()
    if what := missing():
        pytest.skip(what)


def given_of(seen: dict[str, Any]) -> dict[str, str]:
    """The hash of each segment that the page's player was given, by name."""
    named = {segment["url"].rpartition("/")[2]: segment["sha256"] for segment in seen["given"]}
    return {name: sha256 for name, sha256 in named.items() if name.endswith(".m4s")}


def read_of(ours: Reader) -> dict[str, str]:
    return {segment.uri.rpartition("/")[2]: sha256 for segment, sha256 in zip(ours.segments, ours.hashes, strict=True)}


def bytes_from_peers(seen: dict[str, Any]) -> int:
    return sum(segment["bytes"] for segment in seen["loaded"] if segment["source"] == "p2p")


def test_a_page_and_a_peer_of_ours_fetch_from_each_other(tmp_path: Path):
    stream = make_stream(OPTIONS, STREAMS)
    seen, ours, peers = asyncio.run(fetch_from_each_other(stream, tmp_path / "profile"))
    right = right_hashes(stream)
    assert seen["fatal"] == []
    assert given_of(seen) == read_of(ours) == right
    whole = sum(path.stat().st_size for path in stream.folder.glob("*.m4s"))
    assert bytes_from_peers(seen) > 0.25 * whole
    assert used_bytes(peers) > 0.6 * whole
    assert seen["sent"] >= used_bytes(peers)


def test_three_hundred_segments_pass_between_a_page_and_ours_both_ways(tmp_path: Path):
    """More than 256 ids: a full block of them is what 2.3.1 writes wrongly and cannot read itself."""
    stream = make_stream(LONG, STREAMS)
    assert stream.segment_count == 300
    seen, ours, peers = asyncio.run(fetch_from_each_other(stream, tmp_path / "profile", rate=12))
    right = right_hashes(stream)
    assert len(right) == 300
    assert seen["fatal"] == []
    assert given_of(seen) == read_of(ours) == right
    whole = sum(path.stat().st_size for path in stream.folder.glob("*.m4s"))
    assert bytes_from_peers(seen) > 0.25 * whole
    late = {segment["url"] for segment in seen["loaded"] if segment["source"] == "p2p"}
    assert any(url.endswith(f"_{number}.m4s") for url in late for number in range(256, 300))
    assert used_bytes(peers) > 0.6 * whole
    assert seen["sent"] >= used_bytes(peers)


def test_a_live_stream_passes_between_a_page_and_ours_both_ways(tmp_path: Path):
    """Of 44 segments, 14 are in the playlist at a time; nobody has the first of them, but for the first of ours."""
    film = make_stream(LIVE, STREAMS)
    right = right_hashes(film)

    async def run() -> tuple[dict[str, Any], list[Reader], list[SourceState]]:
        async with (
            film_on_air(film, tmp_path / "film", 14) as stream,
            meeting(stream, tmp_path / "profile", rate=1) as here,
        ):
            async with reader(here.origin, stream, here.tracker) as first:
                best = (await first.session.playlist()).best
                await first.read(14)
                following = asyncio.create_task(first.follow(best))
                page = await here.open_page()
                await page.wait_for_function(
                    "seen.fatal.length || seen.loaded.filter((one) => one.source === 'p2p').length >= 8",
                    timeout=PLAY_TIMEOUT_MS,
                )
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            async with reader(here.origin, stream, here.tracker, cdn_prefetch_deadline_us=1_000) as second:
                await second.read(1)
                await second.met(8)
                await second.follow(best)
                peers = await second.peers()
            last = f"_{len(right) - 1:03}.m4s"
            await page.wait_for_function(
                f"seen.fatal.length || seen.given.some((one) => one.url.endsWith('{last}'))", timeout=PLAY_TIMEOUT_MS
            )
            return dict(await page.evaluate("seen")), [first, second], peers

    seen, ours, peers = asyncio.run(run())
    assert seen["fatal"] == []
    given = given_of(seen)
    assert len(given) >= 14
    assert given.items() <= right.items()
    for one in ours:
        read = dict(zip([s.uri.rpartition("/")[2] for s in one.segments], one.hashes, strict=False))
        assert len(read) >= 14
        assert read.items() <= right.items()
    least = min(path.stat().st_size for path in film.folder.glob("*.m4s"))
    assert bytes_from_peers(seen) >= 8 * least
    assert used_bytes(peers) >= 2 * least
    assert seen["sent"] >= used_bytes(peers)
