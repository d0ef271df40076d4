"""The player's page in headless Chromium: hls.js plays, the balancer in Pyodide delivers, every hash is right."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.app.page_stream import PageOptions
from shoal.app.player_site import PlayerSite
from shoal.balancer.errors import ConfigurationError

from .chromium import page_in_chromium, skip_without_chromium
from .readers import Reader, reader
from .support import STREAMS, playlist_of, running_origins, running_tracker, skip_without_an_address, used_bytes

pytestmark = pytest.mark.real

BUILD = Path(__file__).resolve().parents[2] / "build"
RUN_TIMEOUT_S = 240.0
OPTIONS = StreamOptions(seconds=10, segment_seconds=1, renditions=(Rendition("page", 160, 90, 400_000, 64_000),))


async def play(stream: Stream, profile: Path, picture: Path) -> tuple[dict[str, Any], int, Reader, int]:
    """A native peer has all, then the page plays; another native one comes when only the page is left.

    What the page saw, what the first peer sent it, the second peer, and what that one had of the page.
    """
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "a", "b") as (a, b),
        running_tracker() as tracker,
        AsyncExitStack() as stack,
    ):
        options = PageOptions(
            url=playlist_of(a, stream), cdns={"b": playlist_of(b, stream)}, trackers=(tracker,), allow_private=True
        )
        site = await stack.enter_async_context(PlayerSite(options, BUILD))
        async with reader(a, stream, tracker) as first:
            await first.read(stream.segment_count)
            page = await stack.enter_async_context(page_in_chromium(f"{site.url}?start=hand&buffer=2", profile))
            held = f"one.held_count >= {stream.segment_count}"
            met = f"seen.error || seen.report?.sources.some((one) => one.name.startsWith('peer:') && {held})"
            await page.wait_for_function(met, timeout=RUN_TIMEOUT_S * 1000)
            await page.evaluate("document.querySelector('video').play()")
            is_over = "seen.error || seen.fatal.length || (seen.ended && seen.segments.every((one) => one.sha256))"
            await page.wait_for_function(is_over, timeout=RUN_TIMEOUT_S * 1000)
            await page.screenshot(path=picture)
            sent = sum(source.sent_bytes for source in await first.peers())
        async with reader(a, stream, tracker, cdn_prefetch_deadline_us=1_000) as second:
            await second.read(1)
            await second.met(stream.segment_count)
            await second.read(stream.segment_count - 1)
            return dict(await page.evaluate("seen")), sent, second, used_bytes(await second.peers())


def test_the_page_plays_to_the_end_and_native_peers_and_it_fetch_from_each_other(tmp_path: Path):
    skip_without_an_address()
    skip_without_chromium()
    try:
        PlayerSite(PageOptions(url="http://127.0.0.1/"), BUILD)
    except ConfigurationError as error:
        pytest.skip(str(error))
    stream = make_stream(OPTIONS, STREAMS)
    seen, sent, second, had = asyncio.run(play(stream, tmp_path / "profile", tmp_path / "page.png"))
    right = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stream.folder.glob("*.m4s")}
    assert seen["error"] is None
    assert seen["fatal"] == []
    given = {one["url"].rpartition("/")[2]: one for one in seen["segments"] if one["number"] != "initSegment"}
    assert {name: one["sha256"] for name, one in given.items()} == right
    assert {one["by"] for one in given.values()} == {"balancer"}
    assert second.hashes == [right[segment.uri.rpartition("/")[2]] for segment in second.segments]
    assert sent > 0
    assert had > 0
