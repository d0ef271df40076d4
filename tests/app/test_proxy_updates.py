"""Delta updates that the proxy gives: a player that takes them knows as much as one that loads the whole each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shoal.app.proxy import Proxy
from shoal.balancer.formats.hls import Directives, MediaPlaylist, edge_of, parse
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest

from ..balancer.actors.on_air import PARTS, on_air
from ..balancer.actors.origin import Stream
from ..balancer.actors.test_delta_updates import publish
from ..balancer.actors.world import World

HD, ONLY = "/playlist/1/hd.m3u8", "/stream.m3u8"
SKIP = "#EXT-X-SKIP:SKIPPED-SEGMENTS="


async def asked(proxy: Proxy, query: str = "", *, path: str = HD) -> str:
    request = ServerRequest("GET", path, query, {"host": "127.0.0.1:8080"}, "127.0.0.1")
    response = await proxy.handle(request)
    assert response.status == 200, response.body
    assert isinstance(response.body, bytes)
    return response.body.decode()


def read(text: str, before: MediaPlaylist | None = None) -> MediaPlaylist:
    playlist = parse(text.encode(), f"http://127.0.0.1:8080{HD}", before=before)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def contents(playlist: MediaPlaylist) -> tuple[object, ...]:
    """All that a player reads from it, without the lines in which it stands."""
    segments = [
        (one.sequence, one.uri, one.duration_us, one.map, one.program_date_time_us, [part.uri for part in one.parts])
        for one in playlist.segments
    ]
    return segments, [part.uri for part in playlist.parts], playlist.preload_hints, playlist.rendition_reports


def next_of(playlist: MediaPlaylist) -> str:
    """The question for the part that comes next."""
    edge = edge_of(playlist)
    wanted = Directives(edge.segment + 1, 0) if edge.parts == PARTS else Directives(edge.segment, edge.parts)
    return wanted.url("").removeprefix("?")


def test_a_player_of_updates_knows_what_one_of_whole_playlists_does_at_each_part() -> None:
    async def main() -> int:
        async with on_air() as (world, _), world.viewer() as session:
            proxy = Proxy(session)
            await asked(proxy, path=ONLY)
            playlist, updates = read(await asked(proxy)), 0
            while not playlist.has_end:
                query = next_of(playlist)
                text = await asked(proxy, f"{query}&_HLS_skip=YES")
                updates += SKIP in text
                playlist = read(text, playlist)
                assert contents(playlist) == contents(read(await asked(proxy, query)))
            return updates

    assert run_virtual(main()) > 60


def test_only_who_asks_for_an_update_gets_one() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            proxy = Proxy(session)
            await asked(proxy, path=ONLY)
            await asked(proxy)
            await asyncio.sleep(10)  # the window is longer than the boundary then
            for query in ("", "_HLS_skip=NO", "_HLS_msn=3"):
                assert SKIP not in await asked(proxy, query)
            assert f"{SKIP}2\n" in await asked(proxy, "_HLS_skip=v2")

    run_virtual(main())


def live(story: Callable[[World, Proxy], Awaitable[None]], control: str) -> None:
    """A live stream of whole segments of 4 s, eight in its window, whose server says this of itself."""

    async def main() -> None:
        async with World(stream=Stream(segments=20)) as world:
            publish(world, 5, control=control)
            async with world.viewer() as session:
                await story(world, Proxy(session))

    run_virtual(main())


@pytest.mark.parametrize("control", ["", "#EXT-X-SERVER-CONTROL:HOLD-BACK=12\n"])
def test_where_the_server_gives_no_updates_the_proxy_gives_none(control: str) -> None:
    async def story(_: World, proxy: Proxy) -> None:
        assert SKIP not in await asked(proxy, "_HLS_skip=YES", path=ONLY)

    live(story, control)


def test_after_a_stream_began_anew_all_is_given_until_nobody_can_have_anything_from_before() -> None:
    control = "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n"

    async def story(world: World, proxy: Proxy) -> None:
        assert f"{SKIP}2\n" in await asked(proxy, "_HLS_skip=YES", path=ONLY)
        publish(world, 0, control=control)
        for _ in range(4):  # so long is the CDN that was asked first taken to lag
            await asyncio.sleep(4)
            text = await asked(proxy, "_HLS_skip=YES", path=ONLY)
        assert "#EXT-X-MEDIA-SEQUENCE:0\n" in text
        assert SKIP not in text
        publish(world, 1, control=control)
        await asyncio.sleep(4)
        assert SKIP not in await asked(proxy, "_HLS_skip=YES", path=ONLY)
        publish(world, 2, control=control)
        await asyncio.sleep(10)
        assert f"{SKIP}2\n" in await asked(proxy, "_HLS_skip=YES", path=ONLY)

    live(story, control)
