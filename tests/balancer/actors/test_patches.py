"""A live MPD that is brought up to date by patches, and loaded whole where they do badly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shoal.app.session import StreamSession
from shoal.runtime.testing import run_virtual

from .test_manifest import HEAD, S, body
from .world import World

URL = "http://one/v/main.mpd"
WINDOW = 4
LINE = "/MPD/Period/AdaptationSet/SegmentTemplate/SegmentTimeline"


def at(seconds: int) -> str:
    return f"1970-01-01T00:00:{seconds:02}Z"


def whole(first: int) -> bytes:
    """Published at `first` seconds, and so on every four."""
    rows = "".join(f'<S t="{4 * number}" d="4"/>' for number in range(first, first + WINDOW))
    return (
        f'{HEAD} id="show" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" minimumUpdatePeriod="PT2S" '
        f'publishTime="{at(4 * first)}"><PatchLocation ttl="20">main.mpp?t={4 * first}</PatchLocation>'
        '<Period start="PT0S"><AdaptationSet mimeType="video/mp4"><SegmentTemplate media="s$Number$.m4s" '
        f'startNumber="{first}"><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>'
        '<Representation id="s" bandwidth="1"/></AdaptationSet></Period></MPD>'
    ).encode()


def patch(first: int) -> bytes:
    """From the MPD published before this one to this one."""
    return (
        f'<Patch xmlns="urn:mpeg:dash:schema:mpd-patch:2020" mpdId="show" originalPublishTime="{at(4 * first - 4)}" '
        f'publishTime="{at(4 * first)}"><replace sel="/MPD/@publishTime">{at(4 * first)}</replace>'
        f'<replace sel="/MPD/PatchLocation"><PatchLocation ttl="20">main.mpp?t={4 * first}</PatchLocation></replace>'
        f'<replace sel="/MPD/Period/AdaptationSet/SegmentTemplate/@startNumber">{first}</replace>'
        f'<remove sel="{LINE}/S[1]"/>'
        f'<add sel="{LINE}"><S t="{4 * (first + WINDOW - 1)}" d="4"/></add></Patch>'
    ).encode()


def publish(world: World, first: int) -> None:
    world.document("main.mpd", whole(first))
    world.document("main.mpp", patch(first))


def asked(world: World) -> list[str]:
    return [one.name for origin in world.origins.values() for one in origin.asked if one.name.startswith("main")]


def on_air(story: Callable[[World, StreamSession], Awaitable[None]]) -> None:
    async def main() -> None:
        async with World() as world:
            publish(world, 0)
            async with world.viewer(url=URL) as session:
                await session.playlist()
                await story(world, session)

    run_virtual(main())


def test_what_changed_is_asked_for_and_the_player_has_the_whole() -> None:
    async def story(world: World, session: StreamSession) -> None:
        for first in (1, 2, 3):
            publish(world, first)
            await asyncio.sleep(4)
            text = (await session.playlist()).text
            assert f'publishTime="{at(4 * first)}"' in text
            assert "PatchLocation" not in text
            number = first + WINDOW - 1
            assert world.now_us() < 4 * (number + 1) * S or await body(session, f"n{number}.m4s")
        assert asked(world) == ["main.mpd", "main.mpp", "main.mpp", "main.mpp"]

    on_air(story)


def test_segments_that_a_patch_brings_are_played() -> None:
    async def story(world: World, session: StreamSession) -> None:
        await asyncio.sleep(14)
        publish(world, 1)
        await session.playlist()
        await asyncio.sleep(7)
        assert await body(session, "n4.m4s") == world.stream.segments[4]

    on_air(story)


@pytest.mark.parametrize(
    "bad",
    [None, b"", b"<html>", patch(3), patch(1).replace(b'"show"', b'"other"'), patch(1).replace(b"/S[1]", b"/S[9]")],
    ids=["missing", "empty", "no xml", "of another time", "of another stream", "that does not fit"],
)
def test_where_a_patch_cannot_be_used_the_whole_is_loaded_and_it_is_said(bad: bytes | None) -> None:
    async def story(world: World, session: StreamSession) -> None:
        publish(world, 1)
        world.document("main.mpp", bad)
        await asyncio.sleep(4)
        assert f'publishTime="{at(4)}"' in (await session.playlist()).text
        assert asked(world).count("main.mpd") == 2
        assert any("loaded whole, since its patch" in line for line in (await session.report()).log)

    on_air(story)


def test_a_patch_whose_time_is_over_is_not_asked_for() -> None:
    async def story(world: World, session: StreamSession) -> None:
        publish(world, 1)
        await asyncio.sleep(25)
        await session.playlist()
        assert asked(world) == ["main.mpd", "main.mpd"]

    on_air(story)
