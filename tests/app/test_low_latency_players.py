"""hls.js in Chromium plays low-latency HLS through the proxy, nearer to what happens now than without parts.

Two players in one page, of the same stream through the same proxy; only one of them takes parts.
`tools/install-test-tools` installs what is needed.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from urllib.parse import urlencode

import pytest

from shoal.app.demo.low_latency import LowLatencyOrigin, OnAir
from shoal.app.demo.stream import Rendition, StreamOptions, make_stream
from shoal.app.session import SessionOptions, open_session

from .chromium import page_in_chromium, page_server, skip_without_chromium
from .support import FRAMES_PER_S, STREAMS
from .tapped import Tapped
from .test_players import HLS_JS, RUN_TIMEOUT_S

pytestmark = pytest.mark.real

# On air for as long as a busy machine may need to begin, to play some of it and to switch.
ON_AIR = StreamOptions(
    seconds=90,
    segment_seconds=2,
    frames_per_s=FRAMES_PER_S,
    renditions=(Rendition("hi", 160, 90, 200_000, 32_000), Rendition("lo", 160, 90, 100_000, 32_000)),
)
# Whole segments of 2 s are held back for 6 s: who is nearer than that took parts.
NEAR_S = 4.5

PAGE = """<!doctype html><meta charset="utf-8"><title>Low latency</title>
<video id="near" muted></video><video id="far" muted></video><script src="hls.js"></script>
<script>
const query = new URLSearchParams(location.search);
const seen = {};
function play(name, config) {
  const video = document.getElementById(name);
  const found = seen[name] = {fatal: [], errors: [], played: 0, latency: null, least: Infinity, parts: 0, levels: []};
  const hls = new Hls({...config, startLevel: 0});
  let began = null;
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal) found.fatal.push(data.details);
    else found.errors.push(data.details);
  });
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
  hls.on(Hls.Events.FRAG_BUFFERED, (_, data) => { found.parts += Boolean(data.part); });
  hls.on(Hls.Events.FRAG_CHANGED, (_, data) => {
    if (found.levels.at(-1) !== data.frag.level) found.levels.push(data.frag.level);
  });
  video.addEventListener("timeupdate", () => {
    if (video.seeking || !hls.playingDate) return;
    began ??= video.currentTime;
    found.played = video.currentTime - began;
    // What it shows was made so long ago: the playlist says when.
    found.latency = (Date.now() - hls.playingDate.getTime()) / 1000;
    if (found.played > 0) found.least = Math.min(found.least, found.latency);
  });
  hls.loadSource(query.get("url"));
  hls.attachMedia(video);
  return hls;
}
const near = play("near", {lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5});
const far = play("far", {lowLatencyMode: false});
</script>"""


def test_hls_js_plays_parts_and_is_nearer_than_without_them(tmp_path: Path) -> None:
    skip_without_chromium()
    if not HLS_JS.exists():
        pytest.skip(f"no hls.js in {HLS_JS}; run: tools/install-test-tools")
    on_air = OnAir(make_stream(ON_AIR, STREAMS).folder)

    async def run() -> None:
        origin = LowLatencyOrigin(on_air)
        async with asyncio.timeout(RUN_TIMEOUT_S):
            await origin.start()
            try:
                options = SessionOptions(url=f"{origin.url}/index.m3u8", allow_private=True)
                async with (
                    open_session(options) as session,
                    Tapped(session, kept=("/part/", "/media/", "/init/")) as proxy,
                    page_server(PAGE, {"hls.js": HLS_JS}) as site,
                    page_in_chromium(f"{site}?{urlencode({'url': proxy.url})}", tmp_path / "profile") as page,
                ):

                    async def until(condition: str) -> None:
                        await page.wait_for_function(f"seen.near.fatal.length || seen.far.fatal.length || {condition}")

                    await until(f"(seen.near.least < {NEAR_S} && seen.near.played > 2 && seen.far.played > 2)")
                    await page.evaluate("near.nextLevel = 1")
                    await until("seen.near.levels.at(-1) === 1")
                    seen = dict(await page.evaluate("seen"))
                    report = await session.report()
            finally:
                await origin.aclose()
        assert seen["near"]["fatal"] == seen["far"]["fatal"] == []
        assert seen["near"]["parts"] > 0
        assert seen["far"]["parts"] == 0
        assert seen["near"]["levels"] == [0, 1]
        assert seen["near"]["least"] < NEAR_S < seen["far"]["least"], seen
        assert_right(proxy, on_air)
        assert any(path.startswith("/part/") for path in proxy.given)
        assert any(path.startswith("/media/") for path in proxy.given)
        assert report.is_live

    asyncio.run(run())


def assert_right(proxy: Tapped, on_air: OnAir) -> None:
    """Every body that was given whole is the file of its name."""
    assert proxy.refused == []
    for path, data in proxy.given.items():
        assert data == on_air.broadcast.file(path.rpartition("/")[2], math.inf), path
