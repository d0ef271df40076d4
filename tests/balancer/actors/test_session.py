"""Readers, the store, and the end of a session."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest

from shoal.balancer.actors.messages import NotWhole, Read
from shoal.balancer.errors import NoSource, UnknownResource
from shoal.balancer.model import Kind, ResourceKey
from shoal.runtime import ActorStopped, AskError
from shoal.runtime.testing import run_virtual
from shoal.transports.memory import InlineHasher

from .impostor import impostor
from .origin import BLOCK_BYTES, PIECE_BYTES
from .world import World, play, read_pieces, read_until_failure, read_whole, source, story, wasted_bytes

# -- readers


def test_the_first_block_is_read_while_the_rest_is_on_its_way() -> None:
    async def main() -> None:
        async with World("one", bytes_per_s=50_000) as world, world.viewer() as session:
            await session.playlist()
            began_us = world.now_us()
            first = await anext(read_pieces(session, 0))
            assert len(first) == BLOCK_BYTES
            assert world.now_us() - began_us < 2_000_000  # the whole takes four seconds

    run_virtual(main())


def test_two_readers_of_one_segment_share_its_transfer() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            await session.playlist()
            bodies = await asyncio.gather(*(read_whole(session, 0) for _ in range(5)))
            assert set(bodies) == {world.stream.segments[0]}
            asked = [a for origin in world.origins.values() for a in origin.asked if a.name == "s0.m4s"]
            assert len(asked) == 1

    run_virtual(main())


def test_a_reader_that_comes_in_the_middle_reads_from_the_beginning() -> None:
    async def main() -> None:
        async with World("one", bytes_per_s=100_000) as world, world.viewer() as session:
            await session.playlist()
            first = asyncio.ensure_future(read_whole(session, 0))
            await asyncio.sleep(1.2)
            assert await read_whole(session, 0) == await first == world.stream.segments[0]

    run_virtual(main())


def test_a_reader_that_goes_away_does_not_end_the_other_ones_reading() -> None:
    async def main() -> None:
        async with World("one", bytes_per_s=100_000) as world, world.viewer() as session:
            await session.playlist()
            stays = asyncio.ensure_future(read_whole(session, 0))
            goes = asyncio.ensure_future(read_whole(session, 0))
            await asyncio.sleep(0.8)
            goes.cancel()
            await asyncio.gather(goes, return_exceptions=True)
            assert await stays == world.stream.segments[0]

    run_virtual(main())


def test_what_nobody_reads_any_more_is_cancelled_and_can_be_read_again() -> None:
    async def main() -> None:
        async with World("one", bytes_per_s=100_000) as world, world.viewer(prefetch_segments=0) as session:
            await session.playlist()
            goes = asyncio.ensure_future(read_whole(session, 0))
            await asyncio.sleep(0.8)
            goes.cancel()
            await asyncio.gather(goes, return_exceptions=True)
            await asyncio.sleep(10)
            part = story(await session.report(), 0).parts[0]
            assert part.reason == "released"
            assert part.byte_count < len(world.stream.segments[0])
            assert await read_whole(session, 0) == world.stream.segments[0]

    run_virtual(main())


def test_a_reader_that_gave_up_while_it_opened_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(prefetch_segments=0) as session:
            await session.playlist()
            reading = asyncio.ensure_future(read_whole(session, 0))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await asyncio.sleep(5)
            report = await session.report()
            assert all(part.outcome != "ended" for one in report.segments for part in one.parts)

    run_virtual(main())


def test_nothing_is_read_without_having_been_opened() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            await session.playlist()
            ref = session.system.find("session")
            assert ref is not None
            with pytest.raises(UnknownResource, match="without having been opened"):
                await ref.ask(Read(ResourceKey(0, Kind.MEDIA, 0), 77, 0))

    run_virtual(main())


@pytest.mark.parametrize(
    "key", [ResourceKey(0, Kind.MEDIA, 99), ResourceKey(5, Kind.MEDIA, 0), ResourceKey(0, Kind.KEY, 0)]
)
def test_what_no_playlist_named_is_unknown(key: ResourceKey) -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            await session.playlist()
            with pytest.raises(UnknownResource):
                await read_whole(session, key)

    run_virtual(main())


def test_what_left_its_playlist_while_the_store_looked_for_it_is_unknown() -> None:
    failures: list[Exception] = []
    reply: Any = SimpleNamespace(is_waiting=True, fail=failures.append)

    async def main() -> None:
        async with World() as world, world.viewer() as session:
            await session.playlist()
            ref = session.system.find("session")
            assert ref is not None
            ref.tell(NotWhole(ResourceKey(0, Kind.MEDIA, 99), 1, reply))
            await session.report()

    run_virtual(main())
    assert [type(failure) for failure in failures] == [UnknownResource]


def test_an_empty_segment_is_read_as_empty() -> None:
    async def main() -> None:
        for hashes in ("blocks", "segments", "none"):
            async with World(hashes=hashes) as world:
                world.stream.segments[1] = b""
                for origin in world.origins.values():
                    origin.files["s1.m4s"] = b""
                    if hashes != "none":
                        origin.documents["shoal-hashes.json"] = world.stream.sidecar(has_blocks=hashes == "blocks")
                async with world.viewer() as session:
                    shown = await play(session, world.stream, numbers=range(4))
                    assert shown.is_perfect, (hashes, shown.errors)

    run_virtual(main())


def test_a_segment_above_the_limit_is_refused_whatever_was_announced() -> None:
    async def main() -> None:
        for kind in ("", "cut"):
            async with World(hashes="none") as world:
                for name in world.origins if kind else ():
                    await world.spoil(name, kind, at=10**9)
                async with world.viewer(segment_bytes_max=50_000) as session:
                    await session.playlist()
                    came, error = await read_until_failure(session, 0)
                    assert isinstance(error, NoSource)
                    assert "too_large" in str(error)
                    assert len(came) <= 50_000

    run_virtual(main())


# -- hashing


class SlowHasher(InlineHasher):
    """Three seconds a block, as in a browser tab in the background."""

    async def sha256(self, data: bytes) -> bytes:
        await asyncio.sleep(3)
        return await super().sha256(data)


def test_a_slow_hasher_delays_and_changes_nothing() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(hasher=SlowHasher(), prefetch_segments=0) as session:
            await session.playlist()
            assert await read_whole(session, 0) == world.stream.segments[0]

    run_virtual(main())


def test_the_digest_of_bytes_thrown_away_is_not_taken_for_one_of_those_that_came_since() -> None:
    async def main() -> None:
        async with World("one") as world, world.viewer(hasher=SlowHasher(), prefetch_segments=0) as session:
            await session.playlist()
            await world.spoil("one", "stop", at=70_000)
            gone = asyncio.ensure_future(read_whole(session, 0))
            await asyncio.sleep(0.3)  # the first block is right, and being hashed
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await world.spoil("one", "other")
            came, error = await read_until_failure(session, 0)
            assert isinstance(error, NoSource)
            assert came == b""

    run_virtual(main())


# -- the store


@pytest.mark.parametrize("hashes", ["blocks", "segments", "none"])
@pytest.mark.parametrize("store_bytes_max", [1, 250_000, 650_000])
def test_a_store_too_small_for_the_stream_harms_no_reader(hashes: str, store_bytes_max: int) -> None:
    async def main() -> None:
        async with World(hashes=hashes) as world, world.viewer(store_bytes_max=store_bytes_max) as session:
            shown = await play(session, world.stream)
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            again = await play(session, world.stream)
            assert again.is_perfect, (again.errors, again.stall_us)

    run_virtual(main())


@pytest.mark.parametrize("hashes", ["blocks", "none"])
def test_what_is_being_read_stays_when_the_store_is_full(hashes: str) -> None:
    async def main() -> None:
        async with World(hashes=hashes) as world:
            options = {"store_bytes_max": 450_000, "piece_bytes_max": 10_000}
            async with world.viewer(**options) as session:
                await session.playlist()
                await read_whole(session, 0)
                for opened_when_stored in (True, False):
                    number = 0 if opened_when_stored else 1
                    slow = read_pieces(session, number)
                    came = await anext(slow)
                    for other in range(2, 8):
                        assert await read_whole(session, other) == world.stream.segments[other]
                    async for piece in slow:
                        came += piece
                    assert came == world.stream.segments[number]

    run_virtual(main())


@pytest.mark.parametrize("hashes", ["blocks", "none"])
def test_a_slow_reader_of_what_the_store_has_no_room_for_reads_it_to_the_end(hashes: str) -> None:
    async def main() -> None:
        options = {"store_bytes_max": 1, "piece_bytes_max": 10_000}
        async with World(hashes=hashes) as world, world.viewer(**options) as session:
            await session.playlist()
            came = b""
            async for piece in read_pieces(session, 0):
                came += piece
                await asyncio.sleep(1)
            assert came == world.stream.segments[0]
            asked = [a for origin in world.origins.values() for a in origin.asked if a.name == "s0.m4s"]
            assert len(asked) == 1

    run_virtual(main())


def test_without_hashes_a_reader_whose_segment_was_given_up_is_not_gone_on_with_another_version() -> None:
    async def main() -> None:
        async with World(hashes="none") as world, world.viewer(prefetch_segments=0) as session:
            await session.playlist()
            for name in world.origins:
                await world.spoil(name, "reset", at=50_000)
            slow = read_pieces(session, 0)
            assert world.stream.segments[0].startswith(await anext(slow))
            await asyncio.sleep(300)
            assert "cannot be had" in str((await read_until_failure(session, 0))[1])
            for name in world.origins:
                await world.spoil(name, "other")
            assert await read_whole(session, 0) != world.stream.segments[0]
            for origin in world.origins.values():
                await origin.stop()
            with pytest.raises(UnknownResource, match="went while it was read"):
                await anext(slow)

    run_virtual(main())


def test_memory_for_segments_is_bounded_by_the_store() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(store_bytes_max=450_000, prefetch_segments=1) as session:
            assert (await play(session, world.stream)).is_perfect
            await asyncio.sleep(60)
            gc.collect()
            held = [
                o
                for o in gc.get_objects()
                if type(o).__name__ == "Assembly" and type(o).__module__.endswith("assembly")
            ]
            assert not held  # what is complete and read is in the store alone

    run_virtual(main())


# -- the end


@pytest.mark.parametrize("kind", ["", "hang", "stop", "drip", "503"])
def test_a_session_closed_in_the_middle_of_a_transfer_leaves_nothing_behind(kind: str) -> None:
    async def main() -> None:
        async with World(bytes_per_s=100_000) as world:
            for name in world.origins if kind else ():
                await world.spoil(name, kind, at=10_000)
            async with world.viewer() as session:
                await session.playlist()
                reading = asyncio.ensure_future(read_whole(session, 0))
                await asyncio.sleep(0.7)
            with pytest.raises((ActorStopped, AskError, NoSource)):
                await reading

    run_virtual(main())  # and the world looks for tasks and messages that were left


def test_a_session_closed_while_its_playlist_loads_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with World() as world:
            for origin in world.origins.values():
                origin.document_delay_s = 1
            async with world.viewer() as session:
                loading = asyncio.ensure_future(session.playlist())
                await asyncio.sleep(0.5)
            with pytest.raises((ActorStopped, AskError)):
                await loading

    run_virtual(main())


def test_a_session_closed_in_the_middle_of_a_peers_transfer_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with World() as world, impostor(world, "slow") as seen, world.viewer(in_swarm=True) as session:
            playing = asyncio.ensure_future(play(session, world.stream))
            await asyncio.sleep(5)
            assert seen.asked
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    run_virtual(main())


def test_bytes_of_a_wrong_segment_that_nobody_asks_for_again_are_wasted() -> None:
    async def main() -> None:
        async with World(hashes="segments") as world:
            await world.spoil("one", "corrupt")
            async with world.viewer(first="one", prefetch_segments=0) as session:
                await session.playlist()
                await read_until_failure(session, 0)
                await asyncio.sleep(1)
                assert source(await session.report(), "one").wasted_bytes == len(world.stream.segments[0])

    run_virtual(main())


def test_every_byte_that_came_is_used_or_wasted() -> None:
    async def main() -> None:
        async with World() as world:
            await world.spoil("one", "corrupt")
            async with world.viewer(first="one") as session:
                shown = await play(session, world.stream)
                report = await session.report()
                assert shown.is_perfect
                came = sum(part.byte_count for one in report.segments for part in one.parts)
                assert sum(state.used_bytes for state in report.sources) == world.stream.byte_count
                assert wasted_bytes(report) == came - world.stream.byte_count
                assert 0 < source(report, "one").wasted_bytes <= BLOCK_BYTES + 2 * PIECE_BYTES
                assert story(report, 0).delivered_bytes == len(world.stream.segments[0])

    run_virtual(main())
