"""hls.js and dash.js in Chromium are steered by `shoal steer`: they begin on one pathway and go on with another.

Peers, of which they know nothing, come first in its order: a pathway that their manifest does not have is passed over.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from shoal.app.demo.origin import Origin
from shoal.app.steering import SteeringServer

from .chromium import page_in_chromium, page_server, skip_without_chromium
from .manifests import copy_of, with_list
from .player_page import add, player_page
from .support import LIGHT, running_origins, short_stream, until
from .test_players import HLS_JS, PAGE, RUN_TIMEOUT_S
from .test_real_steering import media_asked_of, with_pathways

pytestmark = pytest.mark.real


def test_hls_js_goes_to_the_pathway_that_comes_first(tmp_path: Path) -> None:
    skip_without_chromium()
    if not HLS_JS.exists():
        pytest.skip(f"no hls.js in {HLS_JS}; run: tools/install-test-tools")
    stream = short_stream()
    config = tmp_path / "steering.toml"
    config.write_text('priority = ["PEERS", "b", "a"]\nttl_s = 1\n')
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
        assert seen["errors"] == []

    asyncio.run(run())


def steered_mpd(mpd: bytes, steering: str, *origins: Origin) -> bytes:
    """`mpd` with each origin as a service location, and the server that says which comes first (ETSI TS 103 998)."""
    urls = "".join(f'<BaseURL serviceLocation="{each.name}">{each.url}/</BaseURL>' for each in origins)
    server = f'<ContentSteering defaultServiceLocation="{origins[0].name}">{steering}</ContentSteering>'
    return mpd.replace(b"<Period", f"{urls}{server}<Period".encode(), 1)


def test_dash_js_goes_to_the_service_location_that_comes_first(tmp_path: Path) -> None:
    stream = copy_of(LIGHT, tmp_path / "stream")
    config = tmp_path / "steering.toml"
    config.write_text('priority = ["PEERS", "b", "a"]\nttl_s = 1\n')
    # A short buffer, as above.
    buffer = {"bufferTimeDefault": 2, "bufferTimeAtTopQuality": 2, "bufferTimeAtTopQualityLongForm": 2}

    async def run() -> None:
        server = SteeringServer(config)
        async with asyncio.timeout(RUN_TIMEOUT_S), running_origins(stream, "a", "b") as (a, b):
            try:
                steering = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/steering.json"
                mpd = steered_mpd(with_list(stream, LIGHT), steering, a, b)
                (stream.folder / "steered.mpd").write_bytes(mpd)
                async with player_page(tmp_path / "profile") as page:
                    config_of = {"streaming": {"buffer": buffer, "utcSynchronization": {"enabled": False}}}
                    await add(page, "dash.js", "dash", f"{a.url}/steered.mpd", config=config_of)
                    await page.wait_for_function("seen['dash.js'].position > 3 || seen['dash.js'].errors.length")
                    await until(lambda: server.steering.answered >= 2, "it does not ask again after 1 s")
                    await until(lambda: len(media_asked_of(b)) > len(media_asked_of(a)), "it does not go to b")
                    seen = (await page.evaluate("seen"))["dash.js"]
            finally:
                await server.aclose()
        assert seen["errors"] == []

    asyncio.run(run())
