"""Streams of other shapes, through a session: I-frame playlists, and MPDs of several periods."""

from __future__ import annotations

import asyncio

import pytest

from shoal.balancer.errors import UnknownResource
from shoal.balancer.formats import dash
from shoal.balancer.formats.hls import MediaPlaylist, Multivariant, parse
from shoal.balancer.model import ByteRange, Kind
from shoal.balancer.paths import key_of, rendition_of
from shoal.runtime.testing import run_virtual

from .test_manifest import HEAD, URL, body
from .world import World, play, read_whole

MASTER = b"""#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=400000
stream.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=80000,URI="iframes.m3u8"
"""
LOCAL = "http://127.0.0.1"
FRAME_BYTES = 5_000
FIRST, HALF = 700, 100_000  # where two frames of each segment begin


def i_frames(world: World) -> bytes:
    """Two frames of each segment, as byte ranges of it; the second begins where a player's seek lands."""
    rows = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4", "#EXT-X-I-FRAMES-ONLY"]
    rows.append('#EXT-X-MAP:URI="init.mp4"')
    for name in world.stream.names:
        for begin in (FIRST, HALF):
            rows += ["#EXTINF:2.0,", f"#EXT-X-BYTERANGE:{FRAME_BYTES}@{begin}", name]
    return "\n".join([*rows, "#EXT-X-ENDLIST", ""]).encode()


@pytest.mark.parametrize("spoilt", [None, "503", "stop"])
def test_an_i_frame_playlist_is_a_rendition_whose_frames_are_ranges_of_segments(spoilt: str | None) -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            world.document("main.m3u8", MASTER)
            world.document("iframes.m3u8", i_frames(world))
            if spoilt is not None:
                await world.spoil("one", spoilt)
            async with world.viewer(url="http://one/v/main.m3u8", hashes="none") as session:
                top = parse((await session.playlist()).text.encode(), f"{LOCAL}/stream.m3u8")
                assert isinstance(top, Multivariant)
                (stream,) = top.i_frame_streams
                rendition = rendition_of(stream.uri.removeprefix(LOCAL))
                assert rendition == 1
                answer = await session.playlist(rendition)
                shown = parse(answer.text.encode(), stream.uri)
                assert isinstance(shown, MediaPlaylist)
                assert shown.is_i_frames_only
                assert all(segment.byte_range is None for segment in shown.segments), "each is a resource of its own"
                frames = [key_of(segment.uri.removeprefix(LOCAL)) for segment in shown.segments]
                assert len({*frames}) == 2 * len(world.stream.segments)
                for place, key in enumerate(frames):  # as a player that winds fast: one after another
                    assert key is not None
                    whole, begin = world.stream.segments[place // 2], (FIRST, HALF)[place % 2]
                    assert await read_whole(session, key) == whole[begin : begin + FRAME_BYTES]

    run_virtual(main())


def test_frames_and_the_stream_itself_are_read_beside_one_another() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("main.m3u8", MASTER)
            world.document("iframes.m3u8", i_frames(world))
            async with world.viewer(url="http://one/v/main.m3u8") as session:
                wanted = (await session.playlist(1)).segments
                watching = asyncio.create_task(play(session, world.stream))
                for place, segment in enumerate(wanted):
                    begin = (FIRST, HALF)[place % 2]
                    right = world.stream.segments[place // 2][begin : begin + FRAME_BYTES]
                    assert await read_whole(session, segment.key) == right
                assert (await watching).is_perfect

    run_virtual(main())


PERIOD_S = 16  # four segments


def periods(world: World, *numbers: int, is_live: bool = False, published: int = 0) -> bytes:
    """Each of four segments, counted on over all of them; their ids are the numbers."""

    def period(number: int) -> str:
        is_open = is_live and number == numbers[-1]
        length = "" if is_open else f' duration="PT{PERIOD_S}S"'
        return (
            f'<Period id="{number}" start="PT{number * PERIOD_S}S"{length}>'
            '<AdaptationSet mimeType="video/mp4"><SegmentTemplate media="s$Number$.m4s" initialization="init.mp4" '
            f'startNumber="{4 * number}" duration="{world.stream.segment_s}"/>'
            '<Representation id="s" bandwidth="400000"/></AdaptationSet></Period>'
        )

    kind = (
        'type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" minimumUpdatePeriod="PT2S" '
        f'publishTime="1970-01-01T00:00:{published:02}Z"'
        if is_live
        else f'mediaPresentationDuration="PT{PERIOD_S * len(numbers)}S"'
    )
    return f"{HEAD} {kind}>{''.join(map(period, numbers))}</MPD>".encode()


def test_each_period_has_a_rendition_of_its_own_and_the_stream_goes_on_over_them() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("main.mpd", periods(world, 0, 1))
            async with world.viewer(url=URL) as session:
                answer = await session.playlist()
                seen = dash.parse(answer.text.encode(), f"{LOCAL}/stream.mpd")
                names = [
                    segment.uri.removeprefix(f"{LOCAL}/dash/")
                    for period in seen.periods
                    for one in period.adaptation_sets
                    for segment in dash.segments_of(seen, period, one.representations[0], 0)
                ]
                assert names == [f"{place // 4}/n{place}.m4s" for place in range(8)]
                for place, name in enumerate(names):
                    rendition, _, short = name.partition("/")
                    assert await body(session, short, rendition=int(rendition)) == world.stream.segments[place]
                assert await body(session, "init.mp4", rendition=1) == world.stream.init
                listed = [(await session.playlist(rendition)).segments for rendition in (0, 1)]
                assert [len(each) for each in listed] == [4, 4]
                assert listed[1][0].start_us == PERIOD_S * 1_000_000
                with pytest.raises(UnknownResource):
                    await session.find(0, "n4.m4s", None)  # it is of the other period
                report = await session.report()
                assert {story.verified for story in report.segments if story.kind == "media"} == {"blocks"}

    run_virtual(main())


def test_periods_that_come_and_go_leave_the_others_their_numbers() -> None:
    async def main() -> None:
        async with World() as world:
            await asyncio.sleep(20)
            world.document("main.mpd", periods(world, 0, 1, is_live=True, published=20))
            async with world.viewer(url=URL) as session:
                await session.playlist()
                assert await body(session, "n3.m4s", rendition=0) == world.stream.segments[3]
                assert await body(session, "n4.m4s", rendition=1) == world.stream.segments[4]
                await asyncio.sleep(12)  # the second period has four segments by now
                world.document("main.mpd", periods(world, 1, is_live=True, published=32))
                await session.playlist()
                assert await body(session, "n7.m4s", rendition=1) == world.stream.segments[7]
                with pytest.raises(UnknownResource, match="no rendition 0"):
                    await session.find(0, "n3.m4s", None)

    run_virtual(main())


def test_one_file_of_two_periods_is_read_by_its_ranges_in_each() -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            name = world.stream.names[0]
            shown = "".join(
                f'<Period duration="PT4S"><AdaptationSet mimeType="video/mp4"><Representation id="s" bandwidth="1">'
                f"<BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period>"
                for _ in range(2)
            )
            world.document("main.mpd", f"{HEAD}>{shown}</MPD>".encode())
            async with world.viewer(url=URL, hashes="none") as session:
                await session.playlist()
                part = ByteRange(100, 5_000)
                for rendition in (0, 1):
                    key = await session.find(rendition, "file.m4s", part)
                    assert key.rendition == rendition
                    assert key.kind is Kind.DATA
                    assert await read_whole(session, key) == world.stream.segments[0][100:5_100]

    run_virtual(main())
