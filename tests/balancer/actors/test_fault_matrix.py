"""Every fault of an origin, in everything that it serves, on demand and live, beside a healthy one, in virtual time.

The bad origin is preferred, and bad from the beginning.  In each cell every byte
that the player gets is right, it waits for 0.5 s at most once it has begun, and
the report names the fault.  Cells that mean nothing are listed, each with its reason.
"""

from __future__ import annotations

import asyncio
from itertools import accumulate

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.integrity import sidecar
from shoal.balancer.model import Kind, ResourceKey
from shoal.runtime.testing import run_virtual

from .origin import BLOCK_BYTES, FAULTS, SIDECAR, Stream
from .test_live import WINDOW, watch
from .world import World, play, read_whole

KEY = bytes(range(16))
PLAYLIST = "stream.m3u8"
RESOURCES = {"playlist": PLAYLIST, "init": "init.mp4", "media": "s0.m4s", "key": "key.bin", "sidecar": SIDECAR}
STALL_S_MAX = 0.5
SEGMENTS = 8

NOTHING = {
    **{
        ("refused", resource): "who does not listen refuses everything; it is in the row of media"
        for resource in RESOURCES
        if resource != "media"
    },
    ("cut", "playlist"): "a list that ends early and announced no length is a shorter list: nothing tells them apart",
    ("corrupt", "playlist"): "a list has no hash, and a name with one wrong letter is a name like any other",
    ("corrupt", "sidecar"): "hashes are what others are judged by; one wrong digit is a hash like any other",
}
CELLS = [(fault, resource) for fault in FAULTS for resource in RESOURCES if (fault, resource) not in NOTHING]


def test_every_cell_is_run_or_has_a_reason() -> None:
    assert len(CELLS) + len(NOTHING) == len(FAULTS) * len(RESOURCES)
    assert NOTHING.keys() <= {(fault, resource) for fault in FAULTS for resource in RESOURCES}


def with_key(playlist: bytes) -> bytes:
    return playlist.replace(b"#EXT-X-MAP", b'#EXT-X-KEY:METHOD=AES-128,URI="key.bin"\n#EXT-X-MAP')


def publish(world: World, first: int, *, live: bool) -> None:
    listed = world.stream.media_playlist(first, WINDOW, ended=False) if live else world.stream.media_playlist()
    world.document(PLAYLIST, with_key(listed))


async def spoiled(fault: str, resource: str, world: World) -> None:
    """What `fault` does, it does in the middle of the resource."""
    name = RESOURCES[resource]
    for origin in world.origins.values():
        origin.files["key.bin"] = KEY
    files = {**world.stream.files(), "key.bin": KEY}
    world.document(SIDECAR, sidecar(files.items(), block_bytes=BLOCK_BYTES))
    origin = world.origins["one"]
    size = len(origin.documents.get(name) or origin.files[name])
    # Of media, all: of one segment alone nobody knows which origin is asked for it.
    names = frozenset(world.stream.names if resource == "media" else {name})
    await world.spoil("one", fault, at=size // 2, names=names)


async def assert_header_and_key(session: StreamSession, world: World) -> None:
    assert await read_whole(session, ResourceKey(0, Kind.INIT, 0)) == world.stream.init
    assert await read_whole(session, ResourceKey(0, Kind.KEY, 0)) == KEY


async def assert_named(session: StreamSession, resource: str) -> None:
    report = await session.report()
    if resource in {"playlist", "sidecar"}:
        assert any("since cdn-one" in line for line in report.log), report.log
    else:
        assert next(source for source in report.sources if source.name == "cdn:one").errors


@pytest.mark.parametrize(("fault", "resource"), CELLS)
def test_on_demand(fault: str, resource: str) -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=SEGMENTS, segment_bytes=70_000)) as world:
            publish(world, 0, live=False)
            await spoiled(fault, resource, world)
            async with world.viewer(first="one") as session:
                await session.playlist(0)
                if resource != "media":  # else the good origin is measured first, and asked from then on
                    await assert_header_and_key(session, world)
                shown = await play(session, world.stream)
                await assert_header_and_key(session, world)
                assert shown.bodies == dict(enumerate(world.stream.segments)), shown.errors
                assert shown.stall_us <= STALL_S_MAX * 1e6
                await assert_named(session, resource)

    run_virtual(main())


@pytest.mark.parametrize(("fault", "resource"), CELLS)
def test_live(fault: str, resource: str) -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=SEGMENTS, segment_bytes=70_000)) as world:
            publish(world, 0, live=True)
            await spoiled(fault, resource, world)

            async def slide() -> None:
                for first in range(1, SEGMENTS - WINDOW + 1):
                    await asyncio.sleep(world.stream.segment_s)
                    publish(world, first, live=True)

            sliding = asyncio.ensure_future(slide())
            try:
                async with world.viewer(first="one") as session:
                    await session.playlist(0)
                    if resource != "media":
                        await assert_header_and_key(session, world)
                    seen = await watch(session, until=SEGMENTS - 1)
                    await assert_header_and_key(session, world)
                    await assert_named(session, resource)
            finally:
                sliding.cancel()
                await asyncio.gather(sliding, return_exceptions=True)
            first = min(seen.bodies)
            assert seen.bodies == {number: world.stream.segments[number] for number in range(first, SEGMENTS)}
            arrivals = list(accumulate(seen.gaps_s))
            late_s = [at - arrivals[0] - place * world.stream.segment_s for place, at in enumerate(arrivals)]
            assert max(late_s) <= STALL_S_MAX

    run_virtual(main())
