"""hls.js in Chromium is steered by `shoal steer`: it begins on one pathway and goes on with the one it is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from shoal.app.steering import SteeringServer

from .chromium import page_in_chromium, page_server, skip_without_chromium
from .support import running_origins, short_stream, until
from .test_players import HLS_JS, PAGE, RUN_TIMEOUT_S
from .test_real_steering import media_asked_of, with_pathways

pytestmark = pytest.mark.real


def test_hls_js_goes_to_the_pathway_that_comes_first(tmp_path: Path) -> None:
    skip_without_chromium()
    if not HLS_JS.exists():
        pytest.skip(f"no hls.js in {HLS_JS}; run: tools/install-test-tools")
    stream = short_stream()
    config = tmp_path / "steering.toml"
    config.write_text('priority = ["b", "a"]\nttl_s = 1\n')
    # A short buffer: else all may have come from a before hls.js has heard where to go.
    query = {"url": "/steered.m3u8", "hls": json.dumps({"maxBufferLength": 2, "maxMaxBufferLength": 2})}

    async def run() -> None:
        server = SteeringServer(config)
        async with asyncio.timeout(RUN_TIMEOUT_S), running_origins(stream, "a", "b") as (a, b):
            try:
                steering = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/steering.json"
                playlist = tmp_path / "steered.m3u8"
                playlist.write_text(with_pathways(stream, steering, a, b))
                async with (
                    page_server(PAGE, {"hls.js": HLS_JS, "steered.m3u8": playlist}) as site,
                    page_in_chromium(f"{site}?{urlencode(query)}", tmp_path / "profile") as page,
                ):
                    await page.wait_for_function("seen.position > 3 || seen.fatal.length")
                    await until(lambda: server.steering.answered >= 2, "it does not ask again after 1 s")
                    await until(lambda: len(media_asked_of(b)) > len(media_asked_of(a)), "it does not go to b")
                    seen = dict(await page.evaluate("seen"))
            finally:
                await server.aclose()
        assert seen["fatal"] == []

    asyncio.run(run())
