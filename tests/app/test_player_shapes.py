"""hls.js, dash.js and Shaka play what packagers emit (shapes.py) to the end, through the proxy and not around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shoal.app.demo.origin import Origin

from .player_page import add, all_are, player_page
from .shapes import Shaped, dash_periods, dash_ranges, dash_timeline, one_file, sound_apart, transport_stream
from .support import RUN_TIMEOUT_S
from .tapped import Tapped, proxied

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("shaped", "kinds"),
    [
        (sound_apart, ("hls", "shaka")),
        (transport_stream, ("hls", "shaka")),
        (one_file, ("hls", "shaka")),
        (dash_timeline, ("dash", "shaka")),
        (dash_ranges, ("dash", "shaka")),
        (dash_periods, ("dash", "shaka")),
    ],
)
def test_players_play_to_the_end_by_way_of_the_proxy(
    tmp_path: Path, shaped: Callable[[Path], Shaped], kinds: tuple[str, ...]
) -> None:
    stream = shaped(tmp_path / "stream")

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            origin = Origin(stream.folder)
            await origin.start()
            stack.push_async_callback(origin.aclose)
            proxies = {kind: await proxied(stack, f"{origin.url}/{stream.manifest}") for kind in kinds}
            page = await stack.enter_async_context(player_page(tmp_path / "profile"))
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            for kind, proxy in proxies.items():
                await add(page, kind, kind, proxy.url)
            seen = await all_are(page, "one.ended")
        for kind, proxy in proxies.items():
            assert seen[kind]["errors"] == [], kind
            assert seen[kind]["ended"], kind
            assert seen[kind]["position"] == pytest.approx(stream.seconds, abs=0.3), kind
            assert seen[kind]["widths"], kind
            assert stream.widths in {(), tuple(seen[kind]["widths"])}, kind
            assert_every_piece_was_given(proxy, stream, kind)
        # The origin lets any page read it: who went there was not stopped, and is seen here.
        assert asked
        assert [url for url in asked if url.startswith(origin.url)] == []

    asyncio.run(run())


def assert_every_piece_was_given(proxy: Tapped, stream: Shaped, player: str) -> None:
    """Of each kind every number, in one rendition or another, with what that cannot do without; and nothing else."""
    assert proxy.refused == [], player
    names = {data: name for name, data in stream.pieces.items()}
    assert len(names) == len(stream.pieces)
    assert [path for path, data in proxy.given.items() if data not in names] == [], player
    given = {tuple(names[data].split()) for data in proxy.given.values()}
    wanted = {tuple(name.split()) for name in stream.pieces}
    assert {(kind, number) for kind, _, number in given} == {(kind, number) for kind, _, number in wanted}, player
    played = {rendition for _, rendition, number in given if number.isdecimal()}
    needed = {name for name in wanted if name[1] in played and not name[2].isdecimal()}
    assert needed <= given, player
