"""A live window of which servers send only what is new; and what becomes of it when they do that badly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.errors import UnknownResource
from shoal.runtime.testing import run_virtual

from .origin import Stream
from .world import World, read_whole

WINDOW, SKIPPED = 8, 5
CONTROL = "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n"
SKIPPING = "stream.m3u8?_HLS_skip=YES"


def whole(stream: Stream, first: int, control: str = CONTROL) -> bytes:
    text = stream.media_playlist(first, WINDOW, ended=False).decode()
    return text.replace("#EXT-X-MEDIA-SEQUENCE", f"{control}#EXT-X-MEDIA-SEQUENCE").encode()


def update(stream: Stream, first: int) -> bytes:
    """As a server makes it: the tags of the whole playlist, what is left out, and the rest."""
    lines = whole(stream, first).decode().splitlines()
    head = lines[: lines.index('#EXT-X-MAP:URI="init.mp4"')]
    tail = lines[len(lines) - 2 * (WINDOW - SKIPPED) :]
    return "\n".join([*head, f"#EXT-X-SKIP:SKIPPED-SEGMENTS={SKIPPED}", *tail, ""]).encode()


def publish(world: World, first: int, *, control: str = CONTROL) -> None:
    for origin in world.origins.values():
        origin.documents["stream.m3u8"] = whole(world.stream, first, control)
        origin.updates["stream.m3u8"] = update(world.stream, first)


def asked(world: World) -> list[str]:
    return [each.name for origin in world.origins.values() for each in origin.asked if "m3u8" in each.name]


def on_air(story: Callable[[World, StreamSession], Awaitable[None]]) -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=20)) as world:
            publish(world, 0)
            async with world.viewer(live_reload_share=0.5) as session:
                await session.playlist(0)
                await story(world, session)

    run_virtual(main())


def test_what_is_left_out_is_played_with_the_header_that_went_with_it() -> None:
    async def story(world: World, session: StreamSession) -> None:
        for first in range(1, 6):
            publish(world, first)
            await asyncio.sleep(4)
            playlist = await session.playlist(0)
            assert [segment.key.number for segment in playlist.segments] == list(range(first, first + WINDOW))
            assert playlist.text.count("/init/0/0/init.mp4") == 1
            assert "EXT-X-SKIP" not in playlist.text
            for number in (first, first + WINDOW - 1):
                assert await read_whole(session, number) == world.stream.segments[number]
        assert asked(world) == ["stream.m3u8", *[SKIPPING] * 5]

    on_air(story)


def test_a_player_that_was_away_for_longer_than_half_the_boundary_gets_all_of_it() -> None:
    async def story(world: World, session: StreamSession) -> None:
        publish(world, 1)
        await asyncio.sleep(13)
        await session.playlist(0)
        assert asked(world) == ["stream.m3u8"] * 2

    on_air(story)


def test_an_update_that_does_not_join_is_followed_by_the_whole_and_the_next_one_is_asked_for_again() -> None:
    async def story(world: World, session: StreamSession) -> None:
        publish(world, 6)  # leaves out segments 6 to 10, and 0 to 7 are known
        await asyncio.sleep(4)
        playlist = await session.playlist(0)
        assert playlist.segments[0].key.number == 6
        publish(world, 7)
        await asyncio.sleep(4)
        assert (await session.playlist(0)).segments[0].key.number == 7
        assert asked(world)[-1] == SKIPPING

    on_air(story)


@pytest.mark.parametrize("broken", [b"", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SKIP:X=1\n", b"<html>"])
def test_a_server_whose_updates_are_broken_is_asked_for_the_whole_from_then_on_and_it_is_said(broken: bytes) -> None:
    async def story(world: World, session: StreamSession) -> None:
        for first in (1, 2, 3):
            publish(world, first)
            for origin in world.origins.values():
                origin.updates["stream.m3u8"] = broken
            await asyncio.sleep(4)
            assert (await session.playlist(0)).segments[0].key.number == first
        assert asked(world).count(SKIPPING) == len(world.origins)
        log = (await session.report()).log
        assert sum("delta updates are not asked for any more" in line for line in log) == 1

    on_air(story)


def test_renditions_beyond_the_limit_have_a_name_that_leads_nowhere_and_are_counted() -> None:
    async def main() -> None:
        async with World() as world:
            lines = [f"#EXT-X-STREAM-INF:BANDWIDTH=1{number:04}\nv{number}.m3u8\n" for number in range(1000)]
            audio = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{0}",URI="a{0}.m3u8"\n'
            lines += [audio.format(number) for number in range(3)]
            world.document("stream.m3u8", ("#EXTM3U\n" + "".join(lines)).encode())
            async with world.viewer() as session:
                root = await session.playlist()
                assert root.renditions == 1000
                assert "/playlist/1002/a2.m3u8" in root.text
                assert "http" not in root.text
                with pytest.raises(UnknownResource, match="no rendition 1002"):
                    await session.playlist(1002)
                log = (await session.report()).log
                assert any("3 renditions are not served" in line for line in log)

    run_virtual(main())
