"""hls.js, Shaka and dash.js play what the proxy gives: to the end and live, with seeks, switches, subtitles.

All players of a test run in one page at the same time, each through its own session; what docs/players.md says is
tested here, in test_players.py and in test_libav.py.  `tools/install-test-tools` installs what is needed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from shoal.app.demo.low_latency import LowLatencyOrigin, OnAir
from shoal.app.demo.origin import Fault, File, Origin
from shoal.app.demo.stream import make_stream
from shoal.balancer.report import SessionReport

from .manifests import SUBTITLES, copy_of, file_of, live_mpd, with_clock, with_list, with_subtitles
from .player_page import add, all_are, player_page
from .support import LIGHT, ON_AIR, RUN_TIMEOUT_S, STREAMS, running_origins, sources_of, until
from .tapped import Tapped, assert_right, proxied

pytestmark = pytest.mark.real

# Whole segments of 2 s are held back for 6 s: who is nearer than that took parts.
NEAR_S = 4.5


class WithClock(Origin):
    """It also says what time it is."""

    def _find(self, path: str) -> File | None:
        if path != "time":
            return super()._find(path)
        text = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        return File(text.encode(), f'"{text}"')


async def report_of(proxy: Tapped) -> SessionReport:
    return await proxy._session.report()


def test_players_play_to_the_end_with_seek_switch_and_subtitles_while_a_cdn_hangs(tmp_path: Path) -> None:
    stream = copy_of(LIGHT, tmp_path / "stream")
    with_subtitles(stream)
    (stream.folder / "list.mpd").write_bytes(with_list(stream, LIGHT))

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            good, bad = await stack.enter_async_context(running_origins(stream, "good", "bad"))
            bad.schedule = [Fault("hang-body", 0.0, "??_00[0-9].m4s")]

            async def proxy_of(manifest: str) -> Tapped:
                cdns = {origin.name: f"{origin.url}/" for origin in (good, bad)}
                return await proxied(stack, f"{good.url}/{manifest}", cdns=cdns, weights={"bad": 3.0})

            playing = {
                "hls.js": ("hls", await proxy_of("index.m3u8")),
                "shaka hls": ("shaka", await proxy_of("index.m3u8")),
                "shaka dash": ("shaka", await proxy_of("list.mpd")),
                "dash.js": ("dash", await proxy_of("list.mpd")),
            }
            page = await stack.enter_async_context(player_page(tmp_path / "profile"))
            for name, (kind, proxy) in playing.items():
                await add(page, name, kind, proxy.url, plan="vod")
            seen = await all_are(page, "one.ended")
            reports = {name: await report_of(proxy) for name, (_, proxy) in playing.items()}
        for name, (_, proxy) in playing.items():
            one = seen[name]
            assert one["errors"] == [], name
            assert one["ended"], name
            assert one["steps"] == 2, name
            assert one["position"] == pytest.approx(stream.seconds, abs=0.3), name
            assert set(one["cues"]) == set(SUBTITLES), name
            assert one["widths"][-2:] == [160, 320], name  # both renditions were shown
            assert_right(proxy, lambda path: file_of(stream, LIGHT, path), name)
            assert any("stalled" in source.errors for source in sources_of(reports[name], "cdn")), name

    asyncio.run(run())


def test_players_follow_what_is_live_and_switch(tmp_path: Path) -> None:
    stream = copy_of(ON_AIR, tmp_path / "stream")
    on_air = OnAir(stream.folder, parts_in="none")

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            origins = [LowLatencyOrigin(on_air), WithClock(stream.folder)]
            for origin in origins:
                await origin.start()
                stack.push_async_callback(origin.aclose)
            hls, dash = (origin.url for origin in origins)
            playing = {
                "hls.js": ("hls", await proxied(stack, f"{hls}/index.m3u8")),
                "shaka hls": ("shaka", await proxied(stack, f"{hls}/index.m3u8")),
                "dash.js": ("dash", await proxied(stack, f"{dash}/live.mpd")),
                "shaka dash": ("shaka", await proxied(stack, f"{dash}/live.mpd")),
            }
            page = await stack.enter_async_context(player_page(tmp_path / "profile"))
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            # Written as late as this, since from then on it goes on without waiting for anybody.
            mpd = with_clock(live_mpd(stream, ON_AIR, before_s=8), "http-iso", "time")
            (stream.folder / "live.mpd").write_bytes(mpd)
            for name, (kind, proxy) in playing.items():
                await add(page, name, kind, proxy.url, plan="live")
            seen = await all_are(page, "one.steps === 2 && one.widths.at(-1) === 320")
            reports = {name: await report_of(proxy) for name, (_, proxy) in playing.items()}
        # The clock of the MPD, which is another's and none of ours, and no other one.
        assert f"{dash}/time" in asked
        assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}
        for name, (_, proxy) in playing.items():
            assert seen[name]["errors"] == [], name
            assert reports[name].is_live, name
            if "/stream.mpd" in proxy.url:
                assert_right(proxy, lambda path: file_of(stream, ON_AIR, path, first=0), name)
            else:
                assert_right(proxy, lambda path: on_air.broadcast.file(path.rpartition("/")[2], 1e9), name)

    asyncio.run(run())


def test_players_of_parts_are_nearer_than_one_without(tmp_path: Path) -> None:
    """Of the same stream at the same time, so that they are as busy as each other."""
    on_air = OnAir(make_stream(ON_AIR, STREAMS).folder)

    async def run() -> dict[str, dict[str, Any]]:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            origin = LowLatencyOrigin(on_air)
            await origin.start()
            stack.push_async_callback(origin.aclose)
            playing = {name: await proxied(stack, f"{origin.url}/index.m3u8") for name in ("hls.js", "shaka", "far")}
            page = await stack.enter_async_context(player_page(tmp_path / "profile"))
            # Both catch up with where they want to be, should this machine have held them up.
            near = {"lowLatencyMode": True, "maxLiveSyncPlaybackRate": 1.5}
            live_sync = {"enabled": True, "targetLatency": 2, "maxPlaybackRate": 1.5}
            shaka = {"streaming": {"lowLatencyMode": True, "liveSync": live_sync}}
            await add(page, "hls.js", "hls", playing["hls.js"].url, plan="live", config=near)
            await add(page, "shaka", "shaka", playing["shaka"].url, plan="live", config=shaka)
            await add(page, "far", "hls", playing["far"].url, plan="live", config={"lowLatencyMode": False})
            await all_are(page, "one.steps === 2 && one.widths.at(-1) === 320")
            seen = await all_are(page, f"(one === seen.far || one.least < {NEAR_S})")
            near_ones = (playing["hls.js"], playing["shaka"])
            await until(lambda: all(proxy.updates for proxy in near_ones), "no player asked for a delta update")
            for name, proxy in playing.items():
                assert seen[name]["errors"] == [], name
                assert_right(proxy, lambda path: on_air.broadcast.file(path.rpartition("/")[2], 1e9), name)
                took_parts = any(path.startswith("/part/") for path in proxy.given)
                assert took_parts == (name != "far"), name
            return seen

    seen = asyncio.run(run())
    assert max(seen["hls.js"]["least"], seen["shaka"]["least"]) < NEAR_S < seen["far"]["least"], seen
