"""Low-latency DASH through a session: each piece of a segment is passed on as it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from shoal.app.session import StreamSession
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest, ServerResponse

from .test_manifest import HEAD, URL
from .world import World, source

SEGMENT_S, PIECES = 4, 8
PIECE_S = SEGMENT_S / PIECES
WAY_S = 0.15  # to an origin and back, and the bytes


def mpd(world: World) -> bytes:
    early = f'availabilityTimeOffset="{SEGMENT_S - PIECE_S}" availabilityTimeComplete="false"'
    return (
        f'{HEAD} type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" minimumUpdatePeriod="PT4S" '
        f'publishTime="1970-01-01T00:00:00Z"><Period start="PT0S"><AdaptationSet mimeType="video/mp4">'
        f'<SegmentTemplate media="s$Number$.m4s" startNumber="0" duration="{SEGMENT_S}" {early}/>'
        '<Representation id="s" bandwidth="1"/></AdaptationSet></Period></MPD>'
    ).encode()


def pieces_of(data: bytes) -> list[bytes]:
    length = -(-len(data) // PIECES)
    return [data[place : place + length] for place in range(0, len(data), length)]


def now_s() -> float:
    return asyncio.get_running_loop().time()


def encoder(world: World, hangs: Callable[[int, int], bool]) -> Callable[[ServerRequest], object]:
    """Answers a request for a segment with all that there is of it, and the rest as it is made."""

    async def answer(request: ServerRequest) -> ServerResponse | None:
        name = request.path.rpartition("/")[2]
        if name not in world.stream.names:
            return None
        number = world.stream.names.index(name)
        if now_s() < number * SEGMENT_S + PIECE_S:
            return ServerResponse(404)

        async def body() -> AsyncIterator[bytes]:
            for place, piece in enumerate(pieces_of(world.stream.segments[number])):
                await asyncio.sleep(max(0.0, number * SEGMENT_S + (place + 1) * PIECE_S - now_s()))
                if hangs(number, place):
                    await asyncio.sleep(3600)
                yield piece

        return ServerResponse(200, {}, body())

    return answer


async def played(world: World, session: StreamSession) -> list[float]:
    """Read each segment as soon as its first piece is made; how late the latest piece was, of each."""
    late = []
    await session.playlist()
    for number, right in enumerate(world.stream.segments):
        await asyncio.sleep(max(0.0, number * SEGMENT_S + PIECE_S + 0.01 - now_s()))
        key = await session.find(0, f"n{number}.m4s")
        ends, came, worst_s = [0], 0, 0.0
        for piece in pieces_of(right):
            ends.append(ends[-1] + len(piece))
        body = b""
        async for piece in session.read(key):
            body += piece.data
            while came < PIECES and len(body) >= ends[came + 1]:
                came += 1
                worst_s = max(worst_s, now_s() - (number * SEGMENT_S + came * PIECE_S))
        assert body == right
        late.append(worst_s)
    return late


def watched(hangs: Callable[[str, int, int], bool], *, hashes: str = "none") -> tuple[list[float], World, object]:
    async def main() -> tuple[list[float], World, object]:
        async with World(hashes=hashes) as world:
            world.document("main.mpd", mpd(world))
            for name, origin in world.origins.items():
                origin.answers = encoder(world, lambda number, place, name=name: hangs(name, number, place))
            async with world.viewer(url=URL, first="one") as session:
                late = await played(world, session)
                return late, world, await session.report()

    return run_virtual(main())


def test_each_piece_is_given_as_soon_as_it_is_made_and_from_one_cdn() -> None:
    late, world, report = watched(lambda *_: False)
    assert max(late) < WAY_S
    assert world.origins["two"].segments_asked() == []
    assert sum(source(report, "one").errors.values()) == 0
    assert all(len(story.parts) == 1 for story in report.segments if story.kind == "media")


@pytest.mark.parametrize("place", [1, 4, 7])
def test_a_cdn_that_stops_in_the_middle_is_left_a_piece_later_than_one_that_should_send(place: int) -> None:
    late, _, report = watched(lambda name, number, at: (name, number, at) == ("one", 3, place))
    # The one behind it begins late, since it is asked for when the one before is there.
    assert {number for number, late_s in enumerate(late) if late_s > WAY_S} <= {3, 4}
    assert WAY_S < late[3] < PIECE_S + 0.7 + PIECE_S + WAY_S
    assert source(report, "one").errors == {"stalled": 1}
    assert source(report, "two").used_bytes > 0
