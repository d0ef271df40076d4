"""Players that know nothing of shoal play the proxy's URL: hls.js in Chromium, from a page of another origin.

(libav plays in test_real_run.py and test_real_faults.py.)  `tools/install-test-tools`
installs what is needed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shoal.app.demo.origin import Fault
from shoal.app.session import SessionOptions

from .chromium import page_in_chromium, page_server, skip_without_chromium
from .support import assert_right_bytes, judged, playlist_of, running_origins, short_stream, sources_of, viewer

pytestmark = pytest.mark.real

HLS_JS = Path(__file__).resolve().parents[2] / "build" / "npm" / "node_modules" / "hls.js" / "dist" / "hls.js"
RUN_TIMEOUT_S = 240.0  # 15 s on an idle machine

PAGE = """<!doctype html><meta charset="utf-8"><title>hls.js</title><video muted></video><script src="hls.js"></script>
<script>
const seen = {ended: false, fatal: [], errors: [], position: 0, levels: 0, stalls: 0};
const query = new URLSearchParams(location.search);
const video = document.querySelector("video");
video.addEventListener("ended", () => { seen.ended = true; });
video.addEventListener("timeupdate", () => { seen.position = video.currentTime; });
// What is in the buffer and not shown waits for this machine's decoder, and for nobody who delivers.
const isThere = (at) => [...Array(video.buffered.length).keys()].some(
  (i) => video.buffered.start(i) <= at && video.buffered.end(i) > at + 0.5);
video.addEventListener("waiting", () => {
  if (video.currentTime > 0.5 && !video.ended && !isThere(video.currentTime)) seen.stalls += 1;
});
const hls = new Hls(JSON.parse(query.get("hls") ?? "{}"));
hls.on(Hls.Events.ERROR, (_, data) => {
  if (data.fatal) seen.fatal.push(data.details);
  else if (data.details !== "bufferStalledError") seen.errors.push(data.details); // its word for what `stalls` counts
});
hls.on(Hls.Events.MANIFEST_PARSED, (_, data) => { seen.levels = data.levels.length; video.play(); });
hls.loadSource(query.get("url"));
hls.attachMedia(video);
</script>"""


async def play_in_chromium(url: str, profile: Path) -> dict[str, Any]:
    """What the page saw, once the video has ended or a fatal error came."""
    async with (
        page_server(PAGE, {"hls.js": HLS_JS}) as site,
        page_in_chromium(f"{site}?url={url}", profile) as page,
    ):
        await page.wait_for_function("seen.ended || seen.fatal.length", timeout=(RUN_TIMEOUT_S - 10) * 1000)
        return dict(await page.evaluate("seen"))


def test_hls_js_plays_to_the_end_while_a_cdn_hangs(tmp_path: Path):
    skip_without_chromium()
    if not HLS_JS.exists():
        pytest.skip(f"no hls.js in {HLS_JS}; run: tools/install-test-tools")
    stream = short_stream()

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), running_origins(stream, "good", "bad") as (good, bad):
            bad.schedule = [Fault("hang-body", 0.0, "??_00[4-9].m4s")]
            options = SessionOptions(
                url=playlist_of(good, stream),
                cdns={origin.name: playlist_of(origin, stream) for origin in (good, bad)},
                weights={"bad": 3.0},
                allow_private=True,
            )
            async with viewer(options, stream) as (session, _, tap, url):
                seen = await play_in_chromium(url, tmp_path / "profile")
                report = await session.report()
                judgement = await judged(tap)
        assert seen["fatal"] == []
        assert seen["errors"] == []
        assert seen["ended"]
        assert seen["levels"] == 2
        assert seen["stalls"] == 0
        assert seen["position"] == pytest.approx(stream.seconds, abs=0.2)
        assert_right_bytes(judgement, stream)
        assert any("stalled" in source.errors for source in sources_of(report, "cdn"))

    asyncio.run(run())
