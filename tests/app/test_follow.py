"""A peer without a player fetches everything, goes along with a live stream, and passes over what cannot be had."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.app.console import Console
from shoal.app.follow import follow
from shoal.app.session import StreamSession
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from ..balancer.actors.origin import Stream
from ..balancer.actors.world import World, wasted_bytes


class Heard(Console):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, event: str, text: str, /, **fields: Any) -> None:
        self.events.append((event, fields))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


def held(report: SessionReport, rendition: int = 0) -> set[int]:
    return {
        one.number
        for one in report.segments
        if one.kind == "media" and one.rendition == rendition and one.completed_us is not None
    }


async def until(session: StreamSession, numbers: set[int], *, seconds: int = 120) -> bool:
    for _ in range(seconds):
        if numbers <= held(await session.report()):
            return True
        await asyncio.sleep(1)
    return False


def test_a_stream_that_ends_is_fetched_whole_and_once() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            console = Heard()
            await follow(session, console, every=False)
            report = await session.report()
            assert held(report) == set(range(8))
            assert wasted_bytes(report) == 0
            assert console.events == [("complete", {"rendition": 0, "segments": 8})]

    run_virtual(main())


@pytest.mark.parametrize(("every", "renditions"), [(False, {1}), (True, {0, 1})])
def test_the_best_rendition_is_fetched_or_every_one(every: bool, renditions: set[int]) -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", world.stream.multivariant())
            world.document("media.m3u8", world.stream.media_playlist())
            world.document("hd.m3u8", world.stream.media_playlist())
            async with world.viewer() as session:
                await follow(session, Heard(), every=every)
                report = await session.report()
                assert {rendition for rendition in (0, 1) if held(report, rendition) == set(range(8))} == renditions

    run_virtual(main())


def test_with_a_lead_it_goes_at_a_viewers_pace() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(prefetch_segments=0) as session:
            began_us = world.now_us()
            await follow(session, Heard(), every=False, lead_s=6)
            took_s = (world.now_us() - began_us) / 1e6
            assert 7 * 4 - 6 <= took_s < 7 * 4 - 6 + 2

    run_virtual(main())


def test_a_segment_that_cannot_be_had_is_told_and_passed_over() -> None:
    async def main() -> None:
        async with World() as world:
            for name in world.origins:
                await world.spoil(name, "404", names=frozenset({"s3.m4s"}))
            async with world.viewer() as session:
                console = Heard()
                await follow(session, console, every=False)
                assert console.names() == ["segment_failed", "complete"]
                assert console.events[0][1]["number"] == 3
                assert held(await session.report()) == {0, 1, 2, 4, 5, 6, 7}

    run_virtual(main())


def test_a_live_stream_is_followed_through_failures_and_a_new_beginning() -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=12), hashes="none") as world:
            world.document("stream.m3u8", world.stream.media_playlist(4, 4, ended=False))
            async with world.viewer() as session:
                console = Heard()
                following = asyncio.ensure_future(follow(session, console, every=False))
                assert await until(session, {4, 5, 6, 7})
                world.document("stream.m3u8", world.stream.media_playlist(5, 4, ended=False))
                assert await until(session, {8})
                world.document("stream.m3u8", b"<html>")
                await asyncio.sleep(10)
                world.document("stream.m3u8", world.stream.media_playlist(0, 3, ended=False))
                assert await until(session, {0, 1, 2})
                world.document("stream.m3u8", world.stream.media_playlist(0, 4, ended=True))
                await asyncio.wait_for(following, 30)
                assert console.names() == ["complete"]

    run_virtual(main())


def test_a_playlist_that_fails_later_is_told_and_asked_for_again() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", world.stream.multivariant())
            async with world.viewer() as session:
                console = Heard()
                following = asyncio.ensure_future(follow(session, console, every=False))
                await asyncio.sleep(5)
                assert "playlist_failed" in console.names()
                world.document("hd.m3u8", world.stream.media_playlist())
                await asyncio.wait_for(following, 30)
                assert console.names()[-1] == "complete"

    run_virtual(main())
