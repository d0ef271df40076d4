"""Viewers that change from one rendition to another, or play two, find peers for each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from .origin import Stream
from .world import World, play, read_whole

MAIN = "http://one/v/main.m3u8"


def offer_two_renditions(world: World) -> None:
    world.document("main.m3u8", world.stream.multivariant())
    for name in ("media.m3u8", "hd.m3u8"):
        world.document(name, world.stream.media_playlist())


async def holder(stack: AsyncExitStack, world: World, name: str, rendition: int) -> StreamSession:
    session = await stack.enter_async_context(world.viewer(name, in_swarm=True, url=MAIN))
    await session.playlist()
    await session.playlist(rendition)
    for number in range(len(world.stream.segments)):
        await read_whole(session, ResourceKey(rendition, Kind.MEDIA, number))
    return session


def from_peers(report: SessionReport, rendition: int) -> int:
    """How many segments of it came from peers, at least in part."""
    stories = [story for story in report.segments if story.kind == "media" and story.rendition == rendition]
    return sum(any(part.source.startswith("peer:") and part.byte_count for part in story.parts) for story in stories)


def memberships(world: World) -> int:
    return world.tracker.core.statistics().peers


@pytest.mark.parametrize("places", [2, 3])
def test_peers_of_a_rendition_that_is_watched_next_find_places_though_all_were_taken(places: int) -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=12)) as world, AsyncExitStack() as stack:
            offer_two_renditions(world)
            for number in range(4):
                await holder(stack, world, f"low{number}", 0)
            for number in range(2):
                await holder(stack, world, f"high{number}", 1)
            async with world.viewer("newcomer", in_swarm=True, url=MAIN, peers_max=places) as session:
                assert (await play(session, world.stream, numbers=range(4))).is_perfect
                before = await session.report()
                assert from_peers(before, 0)
                assert (await play(session, world.stream, rendition=1)).is_perfect
                report = await session.report()
            assert from_peers(report, 1) >= 6
            assert report.dropped["peer_gave_way"] >= 1

    run_virtual(main())


def test_a_swarm_is_left_while_another_rendition_is_watched_and_joined_again_when_it_is_asked_for() -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=12)) as world, AsyncExitStack() as stack:
            offer_two_renditions(world)
            await holder(stack, world, "low", 0)
            async with world.viewer("newcomer", in_swarm=True, url=MAIN, swarm_idle_us=10_000_000) as session:
                await play(session, world.stream, numbers=range(3))
                assert from_peers(await session.report(), 0)
                assert memberships(world) == 2
                await asyncio.sleep(600)  # paused
                assert memberships(world) == 2
                await play(session, world.stream, rendition=1)
                report = await session.report()
                assert memberships(world) == 2, "the holder's, and ours of the other rendition"
                assert len(world.tracker.core.swarms()) == 2
                assert any("the swarm of rendition 0 is left" in line for line in report.log)
                await play(session, world.stream, numbers=range(3, 12))
                await asyncio.sleep(1)
                assert from_peers(await session.report(), 0) > 3
                assert len(world.tracker.core.swarms()) == 1, "the other one is left now"

    run_virtual(main())
