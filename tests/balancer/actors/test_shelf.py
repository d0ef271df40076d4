"""A session with a store on disk, in virtual time: what lies there is served again, and a bad disk costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.actors import on_shelf
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.report import DiskState
from shoal.runtime.testing import run_virtual
from shoal.transports.errors import ShelfBusy, ShelfError, ShelfFull, ShelfUnusable
from shoal.transports.memory import MemoryShelf

from .origin import Stream
from .world import World, peers_used_bytes, play, read_whole, story

SMALL = 500_000  # memory for two segments of eight


async def disk_of(session: StreamSession) -> DiskState:
    disk = (await session.report()).store.disk
    assert disk is not None
    return disk


def asked(world: World) -> int:
    return sum(len(origin.segments_asked()) for origin in world.origins.values())


def test_what_memory_lets_go_is_served_from_the_disk() -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf()
            async with world.viewer(shelf=shelf, store_bytes_max=SMALL) as session:
                assert (await play(session, world.stream)).is_perfect
                before = asked(world)
                for number, segment in enumerate(world.stream.segments):
                    assert await read_whole(session, number) == segment
                assert asked(world) == before
                report = await session.report()
                assert report.store.byte_count <= report.store.bytes_max == SMALL
                assert report.store.evicted_count > 0
                disk = await disk_of(session)
                assert disk.written_bytes >= world.stream.byte_count
                assert disk.read_bytes > 0
                assert disk.errors == {}

    run_virtual(main())


def test_a_reader_that_gives_up_while_what_lies_on_the_disk_is_opened_pins_nothing() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(shelf=MemoryShelf(), store_bytes_max=SMALL) as session:
            assert (await play(session, world.stream)).is_perfect
            for steps in range(8):  # the session, the storage, the session again: at each of them
                for number in range(len(world.stream.segments)):
                    reading = asyncio.ensure_future(read_whole(session, number))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
            for number, segment in enumerate(world.stream.segments):
                assert await read_whole(session, number) == segment
            assert (await session.report()).store.refused_count == 0

    run_virtual(main())


def test_a_second_session_is_served_what_the_first_left_there() -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf()
            async with world.viewer("first", shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                await asyncio.sleep(0.01)  # the last of it is written
            before = asked(world)
            async with world.viewer("second", shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                assert asked(world) == before
                assert (await disk_of(session)).found_count >= len(world.stream.segments)
                told = story(await session.report(), 3)
                assert (told.was_stored, told.verified, told.parts) == (True, "segment", [])
                assert told.byte_count == told.delivered_bytes == len(world.stream.segments[3])

    run_virtual(main())


def test_what_no_hash_names_is_not_taken_from_another_session() -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            shelf = MemoryShelf()
            async with world.viewer("first", shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                await asyncio.sleep(0.01)  # the last of it is written
            before = asked(world)
            async with world.viewer("second", shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                assert asked(world) == 2 * before
                assert (await disk_of(session)).found_count == 0

    run_virtual(main())


def test_what_decrypts_a_stream_is_not_left_on_the_disk() -> None:
    async def main() -> None:
        async with World() as world:
            key = bytes(range(16))
            for origin in world.origins.values():
                origin.files["key.bin"] = key
            listed = world.stream.media_playlist()
            world.document(
                "stream.m3u8",
                listed.replace(b"#EXT-X-MAP", b'#EXT-X-KEY:METHOD=AES-128,URI="key.bin"\n#EXT-X-MAP'),
            )
            shelf = MemoryShelf()
            async with world.viewer(shelf=shelf) as session:
                await session.playlist(0)
                assert await read_whole(session, ResourceKey(0, Kind.KEY, 0)) == key
                assert (await play(session, world.stream)).is_perfect
                await disk_of(session)
            assert key not in shelf.bodies.values()

    run_virtual(main())


# -- a disk that is bad


@pytest.mark.parametrize(
    ("fault", "state"),
    [(ShelfFull("no room"), "full"), (ShelfBusy("held"), "failing"), (ShelfUnusable("read-only"), "failing")],
)
def test_a_disk_that_takes_nothing_is_told_and_counted_and_the_session_goes_on(fault: ShelfError, state: str) -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf()
            shelf.fault = fault
            async with world.viewer(shelf=shelf, store_bytes_max=SMALL) as session:
                assert (await play(session, world.stream, numbers=range(4))).is_perfect
                report = await session.report()
                disk = report.store.disk
                assert disk is not None
                assert disk.state == state
                assert disk.errors[fault.reason] >= 1
                assert sum(disk.errors.values()) + disk.skipped_count >= 4
                assert any(str(fault) in line for line in report.log)
                shelf.fault = None
                await asyncio.sleep(10)
                assert (await play(session, world.stream)).is_perfect
                disk = await disk_of(session)
                assert (disk.state, disk.error) == ("ok", "")
                assert disk.written_bytes > 0

    run_virtual(main())


def test_a_full_disk_is_not_asked_for_each_segment() -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=30, segment_s=1)) as world:
            shelf = MemoryShelf()
            shelf.fault = ShelfFull("no room")
            async with world.viewer(shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                disk = await disk_of(session)
                assert 1 <= disk.errors["full"] <= 6
                assert disk.skipped_count >= 20

    run_virtual(main())


def damaged(shelf: MemoryShelf) -> None:
    for digest in list(shelf.bodies):
        shelf.damage(digest)


def emptied(shelf: MemoryShelf) -> None:
    shelf.bodies.clear()
    shelf.worths.clear()


@pytest.mark.parametrize("spoil", [damaged, emptied])
def test_what_was_there_and_is_not_right_or_not_there_any_more_comes_from_a_source(
    spoil: Callable[[MemoryShelf], None],
) -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf()
            async with world.viewer("first", shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                await asyncio.sleep(0.01)  # the last of it is written
            async with world.viewer("second", shelf=shelf) as session:
                await session.playlist(0)
                await asyncio.sleep(0.01)  # the answer is there
                assert (await disk_of(session)).found_count >= len(world.stream.segments)
                spoil(shelf)
                assert (await play(session, world.stream)).is_perfect
                assert asked(world) >= 2 * len(world.stream.segments)
                disk = await disk_of(session)
                assert disk.errors.get("damaged", 0) == (len(world.stream.segments) if spoil is damaged else 0)

    run_virtual(main())


@pytest.mark.parametrize("delay_s", [0.5, 30.0])
def test_a_slow_disk_holds_up_nobody(delay_s: float) -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf(delay_s=delay_s)
            async with world.viewer(shelf=shelf, store_bytes_max=SMALL) as session:
                assert (await play(session, world.stream)).is_perfect
                for number in (7, 0, 7):
                    async with asyncio.timeout(5):
                        assert await read_whole(session, number) == world.stream.segments[number]

    run_virtual(main())


def test_a_disk_that_hangs_when_it_is_read_is_left_for_a_source() -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf()
            async with world.viewer("first", shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                await asyncio.sleep(0.01)  # the last of it is written
            async with world.viewer("second", shelf=shelf) as session:
                await session.playlist(0)
                await asyncio.sleep(0.01)  # the answer is there
                shelf.delay_s = 3600.0
                async with asyncio.timeout(5):
                    assert await read_whole(session, 2) == world.stream.segments[2]
                assert (await disk_of(session)).errors == {"slow": 1}

    run_virtual(main())


class BlindShelf(MemoryShelf):
    """Reads and writes, and hangs when it is asked what is there."""

    async def sizes(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        await asyncio.sleep(36_000)
        return await super().sizes(digests)


def test_a_disk_that_hangs_when_it_is_looked_at_does_not_keep_what_is_read_waiting() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(shelf=BlindShelf(), store_bytes_max=SMALL) as session:
            assert (await play(session, world.stream)).is_perfect
            before = asked(world)
            for number, segment in enumerate(world.stream.segments):
                assert await read_whole(session, number) == segment
            assert asked(world) == before
            disk = await disk_of(session)
            assert disk.errors.keys() == {"slow"}
            assert disk.read_bytes > 0

    run_virtual(main())


def test_bodies_that_a_disk_does_not_take_in_are_not_kept_waiting_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_shelf, "PENDING_MAX", 3)

    async def main() -> None:
        async with World(stream=Stream(segment_bytes=1000)) as world:
            shelf = MemoryShelf(delay_s=36_000.0)
            async with world.viewer(shelf=shelf) as session:
                assert (await play(session, world.stream)).is_perfect
                a_look = 1
                assert (await disk_of(session)).errors == {"slow": len(world.stream.segments) - 3 + a_look}

    run_virtual(main())


def test_a_disk_that_is_too_small_for_the_stream_tells_what_went() -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf(bytes_max=2 * SMALL)
            async with world.viewer(shelf=shelf, store_bytes_max=SMALL) as session:
                assert (await play(session, world.stream)).is_perfect
                assert (await disk_of(session)).gone_count > 0
                for number, segment in enumerate(world.stream.segments):
                    assert await read_whole(session, number) == segment

    run_virtual(main())


def test_peers_are_served_from_the_disk() -> None:
    async def main() -> None:
        async with World() as world:
            shelf = MemoryShelf()
            async with world.viewer("seed", in_swarm=True, shelf=shelf, store_bytes_max=SMALL) as seed:
                assert (await play(seed, world.stream)).is_perfect
                before = (await disk_of(seed)).read_bytes
                async with world.viewer("late", in_swarm=True) as late:
                    assert (await play(late, world.stream)).is_perfect
                    assert peers_used_bytes(await late.report()) > world.stream.byte_count // 2
                assert (await disk_of(seed)).read_bytes > before

    run_virtual(main())
