"""hls.js in Chromium is steered by `shoal steer`: it begins on one pathway and goes on with the one it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Stream
from shoal.app.steering import SteeringServer

from .chromium import page_in_chromium, page_server, skip_without_chromium
from .support import running_origins, short_stream
from .test_players import HLS_JS, PAGE, RUN_TIMEOUT_S

pytestmark = pytest.mark.real


def with_pathways(stream: Stream, steering: str, a: Origin, b: Origin) -> str:
    """The stream's multivariant playlist with each variant on two pathways."""
    lines = [f'#EXT-X-CONTENT-STEERING:SERVER-URI="{steering}",PATHWAY-ID="a"']
    rows = (stream.folder / stream.playlist).read_text().splitlines()
    for place, row in enumerate(rows):
        if row.startswith("#EXT-X-STREAM-INF"):
            folder = stream.playlist.rpartition("/")[0]
            for pathway, origin in (("a", a), ("b", b)):
                lines += [f'{row},PATHWAY-ID="{pathway}"', f"{origin.url}/{folder}{rows[place + 1]}"]
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:7", *lines, ""])


def test_hls_js_goes_to_the_pathway_that_comes_first(tmp_path: Path) -> None:
    skip_without_chromium()
    if not HLS_JS.exists():
        pytest.skip(f"no hls.js in {HLS_JS}; run: tools/install-test-tools")
    stream = short_stream()
    config = tmp_path / "steering.toml"
    config.write_text('priority = ["b", "a"]\nttl_s = 1\n')

    async def run() -> None:
        server = SteeringServer(config)
        async with asyncio.timeout(RUN_TIMEOUT_S), running_origins(stream, "a", "b") as (a, b):
            try:
                steering = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/steering.json"
                playlist = tmp_path / "steered.m3u8"
                playlist.write_text(with_pathways(stream, steering, a, b))
                async with (
                    page_server(PAGE, {"hls.js": HLS_JS, "steered.m3u8": playlist}) as site,
                    page_in_chromium(f"{site}?url=/steered.m3u8", tmp_path / "profile") as page,
                ):
                    await page.wait_for_function("seen.position > 3 || seen.fatal.length", timeout=40_000)
                    seen = dict(await page.evaluate("seen"))
            finally:
                await server.aclose()
        assert seen["fatal"] == []
        segments = {origin.name: [row for row in origin.requests if row.path.endswith(".m4s")] for origin in (a, b)}
        assert len(segments["b"]) > len(segments["a"]), "it was told to go to b"
        assert server.steering.answered >= 2, "it asks again after the time to live of 1 s"

    asyncio.run(run())
