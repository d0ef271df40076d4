"""Low-latency DASH: dash.js plays segments that the proxy passes on while they are being made."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shoal.app.demo.low_latency import OnAir
from shoal.app.demo.stream import make_stream

from .growing import MPD, TARGET_S, GrowingOrigin
from .player_page import add, all_are, player_page
from .support import ON_AIR, RUN_TIMEOUT_S, STREAMS, until
from .tapped import Tapped, assert_right, proxied

pytestmark = pytest.mark.real

NAMES = [each.name for each in ON_AIR.renditions]


def test_dash_js_plays_segments_that_are_passed_on_before_they_are_whole(tmp_path: Path) -> None:
    """The origin keeps the last piece of each until dash.js was given the first: who waits for it waits for ever."""
    on_air = OnAir(make_stream(ON_AIR, STREAMS).folder)
    playing: list[Tapped] = []

    def has_begun(name: str, number: int) -> bool:
        return any(f"/dash/{NAMES.index(name)}/n{number}.m4s" in proxy.begun for proxy in playing)

    def right(path: str) -> bytes | None:
        _, _, rendition, file = path.split("/")
        name = NAMES[int(rendition)]
        number = file.removeprefix("n").partition(".")[0]
        return on_air.broadcast.file(f"{name}_init.mp4" if number == "init" else f"{name}_{int(number):03}.m4s", 1e9)

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            origin = GrowingOrigin(on_air, ON_AIR, has_begun)
            await origin.start()
            stack.push_async_callback(origin.aclose)
            playing.append(await proxied(stack, f"{origin.url}/{MPD}"))
            page = await stack.enter_async_context(player_page(tmp_path / "profile"))
            await add(page, "dash.js", "dash", playing[0].url)
            await all_are(page, "one.position > one.began + 6")
            await until(lambda: len(origin.grown) >= 3, "segments were asked for when they were whole")
            seen = (await all_are(page, "true"))["dash.js"]
            assert seen["errors"] == []
            assert await page.evaluate('players["dash.js"].target()') == pytest.approx(TARGET_S, abs=0.01)
        assert_right(playing[0], right, "dash.js")

    asyncio.run(run())
