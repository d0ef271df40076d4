"""A live window that slides: what the player sees of it when CDNs lag, fall silent or begin anew."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.errors import UnknownResource
from shoal.balancer.integrity import sidecar
from shoal.runtime.testing import run_virtual

from .origin import SIDECAR, Stream
from .world import World, read_pieces, read_until_failure, read_whole, story

WINDOW = 4


def listing(stream: Stream, first: int) -> bytes:
    return stream.media_playlist(first, WINDOW, ended=False)


class Broadcast:
    """A packager: every origin's window slides by one segment in each segment's time."""

    def __init__(self, world: World) -> None:
        self.first = 0
        self.lag = dict.fromkeys(world.origins, 0)  # segments that an origin is behind
        self._world = world
        self.publish()

    def publish(self) -> None:
        for name, origin in self._world.origins.items():
            origin.documents["stream.m3u8"] = listing(self._world.stream, max(0, self.first - self.lag[name]))

    async def run(self) -> None:
        while self.first + WINDOW < len(self._world.stream.segments):
            await asyncio.sleep(self._world.stream.segment_s)
            self.first += 1
            self.publish()


@asynccontextmanager
async def on_air(*origins: str, segments: int = 16, **options: object):
    async with World(*(origins or ("one", "two")), stream=Stream(segments=segments), **options) as world:
        broadcast = Broadcast(world)
        running = asyncio.ensure_future(broadcast.run())
        try:
            yield world, broadcast
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Watched:
    """What a live player saw: segments in order, and how often it had nothing new to play."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.firsts: list[int] = []  # of each playlist, its first number
        self.gaps_s: list[float] = []  # between the arrivals of two segments


async def watch(session: StreamSession, *, until: int, seconds: float = 120) -> Watched:
    """Poll the playlist twice in each segment's time, and read what is new, until a number is there."""
    seen, loop = Watched(), asyncio.get_running_loop()
    last_s, ends_s = loop.time(), loop.time() + seconds
    while until not in seen.bodies and loop.time() < ends_s:
        playlist = await session.playlist(0)
        assert playlist.is_live
        numbers = [segment.key.number for segment in playlist.segments]
        seen.firsts.append(numbers[0])
        for number in numbers:
            if number not in seen.bodies and number > max(seen.bodies, default=-1):
                seen.bodies[number] = await read_whole(session, number)
                seen.gaps_s.append(loop.time() - last_s)
                last_s = loop.time()
        await asyncio.sleep(2)
    return seen


def is_whole(seen: Watched, world: World, until: int) -> bool:
    return seen.bodies == dict(enumerate(world.stream.segments[: until + 1]))


def hashes_of_window(stream: Stream, first: int) -> bytes:
    names = {"init.mp4", *stream.names[first : first + WINDOW]}
    return sidecar((name, data) for name, data in stream.files().items() if name in names)


def test_segments_that_come_later_are_verified_by_the_hashes_that_come_with_them() -> None:
    async def main() -> None:
        async with on_air() as (world, broadcast), world.viewer() as session:

            def publish() -> None:
                Broadcast.publish(broadcast)
                world.document(SIDECAR, hashes_of_window(world.stream, broadcast.first))

            broadcast.publish = publish  # type: ignore[method-assign]
            publish()
            seen = await watch(session, until=12)
            assert is_whole(seen, world, 12)
            report = await session.report()
            verified = {segment.number: segment.verified for segment in report.segments if segment.kind == "media"}
            assert set(verified.values()) == {"blocks"}, str(verified)

    run_virtual(main())


def test_hashes_that_stop_coming_are_said_once_and_new_segments_are_not_verified() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            world.document(SIDECAR, hashes_of_window(world.stream, 0))
            await session.playlist(0)
            for origin in world.origins.values():
                del origin.documents[SIDECAR]
            seen = await watch(session, until=8)
            assert is_whole(seen, world, 8)
            report = await session.report()
            verified = {segment.number: segment.verified for segment in report.segments if segment.kind == "media"}
            assert (verified[0], verified[8]) == ("blocks", "unverified")
            assert sum("newer hashes did not come" in line for line in report.log) == 1

    run_virtual(main())


def sidecars_asked(world: World) -> dict[str, int]:
    return {name: sum(asked.name == SIDECAR for asked in origin.asked) for name, origin in world.origins.items()}


def test_hashes_that_stand_still_at_one_cdn_are_taken_from_another() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            world.origins["one"].documents[SIDECAR] = hashes_of_window(world.stream, 0)
            seen = await watch(session, until=12)
            assert is_whole(seen, world, 12)
            report = await session.report()
            verified = {segment.number: segment.verified for segment in report.segments if segment.kind == "media"}
            assert set(verified.values()) == {"blocks"}, str(verified)
            assert sum("since that of cdn-one stands still" in line for line in report.log) == 1

    run_virtual(main())


def test_hashes_that_stand_still_everywhere_are_asked_for_everywhere_once_and_then_of_one_cdn() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            world.document(SIDECAR, hashes_of_window(world.stream, 0))
            await watch(session, until=2)
            before = sidecars_asked(world)
            seen = await watch(session, until=12)
            assert len(seen.firsts) >= 10
            asked = {name: count - before[name] for name, count in sidecars_asked(world).items()}
            assert min(asked.values()) <= 1
            assert max(asked.values()) <= 2 * len(seen.firsts)
            report = await session.report()
            assert sum("newer hashes did not come" in line for line in report.log) == 1

    run_virtual(main())


def test_a_live_playlist_does_not_wait_for_hashes_that_hang() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            await session.playlist(0)
            for origin in world.origins.values():
                origin.document_faults[SIDECAR] = "hang"
            await asyncio.sleep(5)
            began_s = asyncio.get_running_loop().time()
            assert (await session.playlist(0)).segments[-1].key.number == WINDOW
            assert asyncio.get_running_loop().time() - began_s < 0.3

    run_virtual(main())


def test_hashes_that_come_later_than_their_playlist_count_for_what_begins_then() -> None:
    async def main() -> None:
        async with on_air() as (world, broadcast), world.viewer() as session:

            def publish() -> None:
                Broadcast.publish(broadcast)
                world.document(SIDECAR, hashes_of_window(world.stream, broadcast.first))

            broadcast.publish = publish  # type: ignore[method-assign]
            publish()
            await session.playlist(0)
            for origin in world.origins.values():
                origin.document_delay_s = 0.5  # of playlists as well, which are asked for together with it
            seen = await watch(session, until=8)
            assert is_whole(seen, world, 8)
            report = await session.report()
            verified = {segment.number: segment.verified for segment in report.segments if segment.kind == "media"}
            assert set(verified.values()) == {"blocks"}, str(verified)

    run_virtual(main())


def test_a_player_follows_the_window() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            seen = await watch(session, until=12)
            assert is_whole(seen, world, 12)
            assert max(seen.gaps_s) < 4 + 2 + 0.5  # a segment's time, a poll, a transfer
            assert (await session.report()).is_live

    run_virtual(main())


def test_the_playlist_is_loaded_when_a_player_asks_and_no_more_often_than_twice_a_segment() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            for _ in range(100):
                await session.playlist(0)
                await asyncio.sleep(0.2)
            asked = sum(a.name == "stream.m3u8" for origin in world.origins.values() for a in origin.asked)
            assert 9 <= asked <= 12

    run_virtual(main())


def test_a_cdn_that_lags_does_not_turn_time_back() -> None:
    async def main() -> None:
        async with on_air() as (world, broadcast), world.viewer() as session:
            broadcast.lag["two"] = 2
            broadcast.publish()
            watching = asyncio.ensure_future(watch(session, until=12))
            await asyncio.sleep(13)
            world.origins["one"].document_status = 503  # now only the one that lags is left
            await asyncio.sleep(8)
            world.origins["one"].document_status = None
            seen = await watching
            assert is_whole(seen, world, 12)
            assert seen.firsts == sorted(seen.firsts)
            assert any("older than the one before" in line for line in (await session.report()).log)

    run_virtual(main())


def test_a_cdn_whose_playlist_stands_still_is_left_for_one_that_goes_on() -> None:
    async def main() -> None:
        async with on_air() as (world, broadcast), world.viewer() as session:
            watching = asyncio.ensure_future(watch(session, until=12))
            await asyncio.sleep(9)
            still = world.origins["one"].documents["stream.m3u8"]
            publish = broadcast.publish

            def publish_but_one() -> None:
                publish()
                world.origins["one"].documents["stream.m3u8"] = still

            broadcast.publish = publish_but_one  # type: ignore[method-assign]
            seen = await watching
            assert is_whole(seen, world, 12)
            assert max(seen.gaps_s) < 10

    run_virtual(main())


@pytest.mark.parametrize("how", ["503", "garbage", "hang"])
def test_while_no_cdn_gives_a_playlist_the_last_one_is_served_and_that_is_noted(how: str) -> None:
    async def main() -> None:
        async with on_air() as (world, broadcast), world.viewer() as session:
            before = await session.playlist(0)
            publish = broadcast.publish
            broadcast.publish = lambda: None  # type: ignore[method-assign]
            for origin in world.origins.values():
                match how:
                    case "503":
                        origin.document_status = 503
                    case "garbage":
                        origin.documents["stream.m3u8"] = b"<html>sorry</html>"
                    case "hang":
                        origin.document_delay_s = 3600
            await asyncio.sleep(5)
            assert await session.playlist(0) == before
            assert any("could not be loaded again" in line for line in (await session.report()).log)
            for origin in world.origins.values():
                origin.document_status, origin.document_delay_s = None, 0
            broadcast.publish = publish  # type: ignore[method-assign]
            publish()
            await asyncio.sleep(5)
            assert (await session.playlist(0)).segments != before.segments

    run_virtual(main())


def test_what_has_left_the_window_is_unknown_unless_it_is_held_or_being_read() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer() as session:
            await session.playlist(0)
            slow = read_pieces(session, 1)
            came = await anext(slow)
            await read_whole(session, 2)
            await asyncio.sleep(30)
            await session.playlist(0)
            assert await read_whole(session, 2) == world.stream.segments[2]  # held
            with pytest.raises(UnknownResource):
                await read_whole(session, 0)
            async for piece in slow:
                came += piece
            assert came == world.stream.segments[1]

    run_virtual(main())


def test_what_left_the_window_and_the_store_is_forgotten() -> None:
    async def main() -> None:
        async with on_air() as (world, _), world.viewer(store_bytes_max=700_000) as session:
            seen = await watch(session, until=10)
            assert is_whole(seen, world, 10)
            with pytest.raises(UnknownResource):
                await read_whole(session, 1)

    run_virtual(main())


def restarted(world: World, broadcast: Broadcast, *, at: int) -> Stream:
    """The encoder begins again: other bytes, other names, numbers from `at` on."""
    broadcast.publish = lambda: None  # type: ignore[method-assign]
    again = Stream(seed=99, segments=16)
    again.names = [f"s{place}-again.m4s" for place in range(16)]
    for origin in world.origins.values():
        origin.files = again.files()
        origin.documents["stream.m3u8"] = listing(again, at)
        if SIDECAR in origin.documents:
            origin.documents[SIDECAR] = again.sidecar()
    return again


@pytest.mark.parametrize("hashes", ["blocks", "none"])
def test_when_numbers_mean_other_segments_what_is_held_of_the_old_ones_is_void(hashes: str) -> None:
    async def main() -> None:
        async with on_air(hashes=hashes) as (world, broadcast), world.viewer() as session:
            await session.playlist(0)
            assert await read_whole(session, 2) == world.stream.segments[2]
            again = restarted(world, broadcast, at=1)
            await asyncio.sleep(5)
            await session.playlist(0)
            assert await read_whole(session, 2) == again.segments[2]
            assert any("began anew" in line for line in (await session.report()).log)

    run_virtual(main())


def test_a_reader_in_the_middle_of_a_segment_that_began_anew_gets_an_error_and_no_mixture() -> None:
    async def main() -> None:
        async with on_air(hashes="none") as (world, broadcast), world.viewer() as session:
            await session.playlist(0)
            slow = read_pieces(session, 2)
            came = await anext(slow)
            again = restarted(world, broadcast, at=1)
            await asyncio.sleep(5)
            await session.playlist(0)
            assert await read_whole(session, 2) == again.segments[2]
            with pytest.raises(UnknownResource, match="began anew"):
                await anext(slow)
            assert world.stream.segments[2].startswith(came)

    run_virtual(main())


def test_a_transfer_under_way_when_the_stream_begins_anew_ends_with_an_error() -> None:
    async def main() -> None:
        async with on_air(hashes="none") as (world, broadcast), world.viewer() as session:
            await session.playlist(0)
            for name in world.origins:
                await world.spoil(name, "stop", at=50_000)
            reading = asyncio.ensure_future(read_until_failure(session, 2))
            await asyncio.sleep(2.5)
            again = restarted(world, broadcast, at=1)
            for origin in world.origins.values():
                origin.fault = None
            await session.playlist(0)
            came, error = await reading
            assert isinstance(error, UnknownResource)
            assert world.stream.segments[2].startswith(came)
            assert await read_whole(session, 2) == again.segments[2]
            assert story(await session.report(), 2).parts

    run_virtual(main())


def test_an_encoder_that_counts_from_nought_again_is_followed() -> None:
    async def main() -> None:
        async with on_air(hashes="none") as (world, broadcast), world.viewer() as session:
            await watch(session, until=9)
            again = restarted(world, broadcast, at=0)
            await asyncio.sleep(5)
            assert (await session.playlist(0)).segments[0].key.number > 0  # it may still be a CDN that lags
            await asyncio.sleep(10)
            assert (await session.playlist(0)).segments[0].key.number == 0
            assert await read_whole(session, 0) == again.segments[0]

    run_virtual(main())


def test_a_live_stream_that_ends_is_read_to_its_end() -> None:
    async def main() -> None:
        async with on_air() as (world, broadcast), world.viewer() as session:
            await watch(session, until=5)
            broadcast.publish = lambda: None  # type: ignore[method-assign]
            world.document("stream.m3u8", world.stream.media_playlist(4, 8, ended=True))
            await asyncio.sleep(5)
            playlist = await session.playlist(0)
            assert not playlist.is_live
            assert [segment.key.number for segment in playlist.segments] == list(range(4, 12))
            assert await read_whole(session, 11) == world.stream.segments[11]

    run_virtual(main())
