"""A page that plays a minute through the balancer in Pyodide: from CDNs, a native peer and a peer in another page.

The other page began `AHEAD_S` before, and the native peer holds all.  Judged is what the second
page's player got: each segment's hash, waits for data, and how much of it peers had sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from harness import Claim

from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, cache_folder, make_stream
from shoal.app.page_stream import PageOptions
from shoal.app.player_site import PlayerSite
from shoal.app.session import SessionOptions, open_session
from shoal.app.tracker import Tracker

from .pyodide import ROOT, chromium

__all__ = ["claims", "player_site"]

STREAM = StreamOptions(seconds=60, segment_seconds=2, renditions=(Rendition("page", 320, 180, 1_400_000),))
AHEAD_S = 8
PLAY_S_MAX = 240.0
OVER = "seen.error || seen.fatal.length || (seen.ended && seen.segments.every((one) => one.sha256))"


@asynccontextmanager
async def native_peer(options: PageOptions) -> AsyncIterator[None]:
    """A session of ours that has read the whole stream."""
    ours = SessionOptions(url=options.url, cdns=options.cdns, trackers=options.trackers, allow_private=True)
    async with open_session(ours) as session:
        root = await session.playlist()
        for segment in (await session.playlist(root.best)).segments:
            async for _ in session.read(segment.key):
                pass
        yield


@asynccontextmanager
async def player_site(stream: Stream) -> AsyncIterator[PlayerSite]:
    """The player's page for a stream of two CDNs, with a tracker, and a native peer that holds all of it."""
    async with AsyncExitStack() as stack:
        origins = [Origin(stream.folder, name=name) for name in ("a", "b")]
        for origin in origins:
            await origin.start()
            stack.push_async_callback(origin.aclose)
        tracker = Tracker()
        port = await tracker.start("127.0.0.1", 0)
        stack.push_async_callback(tracker.aclose)
        cdns = {origin.name: f"{origin.url}/{stream.playlist}" for origin in origins}
        options = PageOptions(url=cdns["a"], cdns=cdns, trackers=(f"ws://127.0.0.1:{port}",), allow_private=True)
        await stack.enter_async_context(native_peer(options))
        yield await stack.enter_async_context(PlayerSite(options, ROOT / "build"))


async def played(stream: Stream, picture: Path) -> dict[str, Any]:
    """What the second page saw."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(player_site(stream))
        pages = []
        for _ in range(2):  # a browser each: a page in the background would be slowed down
            browser = await stack.enter_async_context(chromium())
            page = await browser.new_page()
            await page.goto(f"{site.url}?start=balancer")
            await page.wait_for_function(f"seen.error || document.querySelector('video').currentTime > {AHEAD_S}")
            pages.append(page)
        await pages[1].wait_for_function(OVER, timeout=PLAY_S_MAX * 1000)
        await pages[1].screenshot(path=picture)
        return dict(await pages[1].evaluate("seen"))


async def claims() -> list[Claim]:
    stream = make_stream(STREAM, cache_folder())
    picture = ROOT / "out" / "bench-browser.png"
    picture.parent.mkdir(exist_ok=True)
    seen = await played(stream, picture)
    if seen["error"] or seen["fatal"]:
        raise RuntimeError(f"the page did not play: {seen['error'] or seen['fatal']}")
    right = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stream.folder.glob("*.m4s")}
    media = [one for one in seen["segments"] if one["number"] != "initSegment"]
    wrong = sum(one["bytes"] for one in media if right[one["url"].rpartition("/")[2]] != one["sha256"])
    sources = seen["report"]["sources"]
    peers = {one["name"]: one["used_bytes"] for one in sources if one["name"].startswith("peer:") and one["used_bytes"]}
    # What came to the page without the balancer is the CDN's as well.
    beside = sum(one["bytes"] for one in media if one["by"] != "balancer")
    everything = sum(one["used_bytes"] for one in sources) + beside
    balanced = len([one for one in media if one["by"] == "balancer"])
    print(f"  {balanced} segments of {stream.segment_count} by the balancer, peers gave {peers}; {picture}", flush=True)
    return [
        Claim("page: segments played through the balancer", balanced, stream.segment_count, at_least=True),
        Claim("page: peers that gave some, native and browser", len(peers), 2, at_least=True),
        Claim("page: stalls in a minute", seen["stalls"], 0, at_least=False),
        Claim("page: wrong bytes", wrong, 0, at_least=False, unit="bytes"),
        Claim("page: bytes from peers", sum(peers.values()) / max(1, everything), 0.5, at_least=True),
    ]
