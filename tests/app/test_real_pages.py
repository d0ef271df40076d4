"""A web page with hls.js and p2p-media-loader 2.3.1, in Chromium, and a peer of ours: each fetches from the other.

The page computes its swarm's name itself, of what hls.js reads in the playlist; ours has to come to the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.balancer.report import SourceState

from ..p2pml.counterparts import bundled_page, missing
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


def right_hashes(stream: Stream) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stream.folder.glob("*.m4s")}


async def play_all(page: Any, count: int, ours: Reader) -> None:
    """Until the page has been given all of it; how both sides stood, if that never comes."""
    try:
        await page.wait_for_function(f"seen.fatal.length || seen.given.length >= {count}", timeout=PLAY_TIMEOUT_MS)
    except async_api.TimeoutError:
        report = await ours.session.report()
        pytest.fail(f"the page stood still: {await page.evaluate('seen')}; ours: {report}")


async def fetch_from_each_other(stream: Stream, profile: Path) -> tuple[dict[str, Any], Reader, list[SourceState]]:
    """The page comes when one of ours has some; another of ours comes when only the page is left, and has all."""
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
            "rate": 2,
            # Else hls.js asks for the whole stream before a peer was met, and what it asks for comes from the CDN.
            "hls": json.dumps({"maxBufferLength": 4, "maxMaxBufferLength": 4}),
            "core": json.dumps({"highDemandTimeWindow": 3}),
        }
        async with reader(origin, stream, tracker) as first:
            await first.read(stream.segment_count - 4)
            page = await stack.enter_async_context(page_in_chromium(f"{site}?{urlencode(query)}", profile))
            await play_all(page, stream.segment_count, first)
        async with reader(origin, stream, tracker, cdn_prefetch_deadline_us=1_000) as second:
            await second.read(1)
            await second.met(stream.segment_count)
            await second.read(stream.segment_count - 1)
            peers = await second.peers()
        return dict(await page.evaluate("seen")), second, peers


def test_a_page_and_a_peer_of_ours_fetch_from_each_other(tmp_path: Path):
    skip_without_an_address()
    skip_without_chromium()
    if what := missing():
        pytest.skip(what)
    stream = make_stream(OPTIONS, STREAMS)
    seen, ours, peers = asyncio.run(fetch_from_each_other(stream, tmp_path / "profile"))
    right = right_hashes(stream)
    assert seen["fatal"] == []
    given = {segment["url"].rpartition("/")[2]: segment["sha256"] for segment in seen["given"]}
    assert {name: given.get(name) for name in right} == right
    assert ours.hashes == [right[segment.uri.rpartition("/")[2]] for segment in ours.segments]
    bytes_from_ours = sum(segment["bytes"] for segment in seen["loaded"] if segment["source"] == "p2p")
    whole = sum(path.stat().st_size for path in stream.folder.glob("*.m4s"))
    assert bytes_from_ours > 0.25 * whole
    assert used_bytes(peers) > 0.6 * whole
    assert seen["sent"] >= used_bytes(peers)
