"""What is on air at a time, and that playlists, questions and files agree about it."""

from __future__ import annotations

import asyncio
import datetime as dt
import io

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.demo.broadcast import HEAD_START, Broadcast, Film, Part, films_of
from shoal.app.demo.low_latency import LowLatencyOrigin, OnAir
from shoal.balancer.formats.hls import Directives, Edge, MediaPlaylist, edge_of, parse
from shoal.balancer.integrity import Sidecar

from ..support import FRAMES_PER_S, SHORT, short_stream

PARTS, SEGMENTS, PART_S = 4, 12, 0.5
FILM = Film(b"init", tuple(tuple(Part(b"%d.%d" % (n, m), PART_S) for m in range(PARTS)) for n in range(SEGMENTS)))
ENDS_S = (SEGMENTS - HEAD_START) * PARTS * PART_S


def broadcast(parts_in: str = "files") -> Broadcast:
    return Broadcast({"hd": FILM, "sd": FILM}, parts_in=parts_in, began=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def read(text: str) -> MediaPlaylist:
    found = parse(text.encode(), "http://one/v/hd.m3u8")
    assert isinstance(found, MediaPlaylist)
    return found


moments = st.floats(0, ENDS_S + 5)
wishes = st.builds(Directives, st.integers(0, SEGMENTS), st.integers(0, PARTS + 1))


@given(at_s=moments, parts_in=st.sampled_from(["files", "ranges"]))
def test_a_playlist_names_what_is_there_and_nothing_else(at_s: float, parts_in: str) -> None:
    air = broadcast(parts_in)
    playlist = read(air.playlist("hd", at_s))
    edge = edge_of(playlist)
    assert (edge.segment, edge.parts) == air.edge("hd", at_s)
    assert playlist.has_end == (at_s >= ENDS_S)
    for segment in playlist.segments:
        assert air.file(segment.uri.rpartition("/")[2], at_s) == b"".join(
            p.data for p in FILM.segments[segment.sequence]
        )
    listed = [(one.sequence, one.parts) for one in playlist.segments] + [(edge.segment, playlist.parts)]
    for sequence, parts in listed:
        for place, part in enumerate(parts):
            data = air.file(part.uri.rpartition("/")[2], at_s)
            assert data is not None
            if part.byte_range is not None:
                data = data[part.byte_range.offset :][: part.byte_range.length]
            assert data == FILM.segments[sequence][place].data
    for hint in playlist.preload_hints:
        assert parts_in == "ranges" or air.file(hint.uri.rpartition("/")[2], at_s) is None


@given(wanted=wishes)
def test_a_playlist_is_due_when_it_has_what_is_wanted_and_not_before(wanted: Directives) -> None:
    air = broadcast()
    due_s = air.due_s("hd", wanted)
    assert edge_of(read(air.playlist("hd", due_s))).has(wanted) or due_s == ENDS_S
    if due_s > 0:
        assert not edge_of(read(air.playlist("hd", due_s - 0.001))).has(wanted)


def test_reports_say_how_far_the_other_rendition_is() -> None:
    air = broadcast()
    for at_s, last in ((0.0, (3, 3)), (0.5, (4, 0)), (1.9, (4, 2)), (2.0, (4, 3))):
        (report,) = read(air.playlist("hd", at_s)).rendition_reports
        assert (report.uri, report.last_sequence, report.last_part) == ("http://one/v/sd.m3u8", *last)


def test_hashes_are_of_the_segments_that_are_whole() -> None:
    sidecar = Sidecar.parse(broadcast().sidecar(0.0), "http://one/v/shoal-hashes.json")
    known = [sidecar.digests(f"http://one/v/hd_{number:03}.m4s", None) is not None for number in range(SEGMENTS)]
    assert known == [number < HEAD_START for number in range(SEGMENTS)]


def test_libav_reads_the_parts_of_a_stream_as_the_stream() -> None:
    av = pytest.importorskip("av")
    film = films_of(short_stream().folder, 0.25)["sd"]
    assert [round(sum(part.seconds for part in row), 6) for row in film.segments] == [1.0] * SHORT.seconds
    assert {len(row) for row in film.segments} <= {4, 5}
    assert all(part.data[4:8] == b"moof" for row in film.segments for part in row)
    whole = film.init + b"".join(part.data for row in film.segments for part in row)
    with av.open(io.BytesIO(whole)) as source:
        pictures = [packet for packet in source.demux(source.streams.video[0]) if packet.dts is not None]
    assert len(pictures) == SHORT.seconds * FRAMES_PER_S
    # A segment begins with a key frame, and nothing else does.
    keys = [place for place, packet in enumerate(pictures) if packet.is_keyframe]
    assert keys == [*range(0, len(pictures), FRAMES_PER_S)]


@pytest.mark.real
def test_the_origin_waits_for_what_is_asked_for_and_refuses_what_is_far_ahead() -> None:
    async def run() -> None:
        origin = LowLatencyOrigin(OnAir(short_stream().folder, part_s=0.2))
        await origin.start()
        try:
            async with aiohttp.ClientSession(origin.url) as client:

                async def get(path: str) -> tuple[int, bytes]:
                    async with client.get(path) as response:
                        return response.status, await response.read()

                async def playlist(query: str = "") -> MediaPlaylist:
                    status, body = await get(f"/hd.m3u8{query}")
                    assert status == 200
                    return read(body.decode())

                edge = edge_of(await playlist())
                following = await playlist(f"?_HLS_msn={edge.segment}&_HLS_part={edge.parts}")
                assert edge_of(following).has(Directives(edge.segment, edge.parts))
                hint = following.preload_hints[0].uri.rpartition("/")[2]
                status, body = await get(f"/{hint}")
                assert (status, body[4:8]) == (200, b"moof")
                assert (await get(f"/hd.m3u8?_HLS_msn={edge.segment + 9}"))[0] == 400
                assert (await get("/hd.m3u8?_HLS_part=1"))[0] == 400
                assert (await get("/hd_099.0.m4s"))[0] == 404
                assert (await get("/index.m3u8"))[0] == 200
        finally:
            await origin.aclose()

    assert Edge(*Broadcast(films_of(short_stream().folder, 0.2)).edge("hd", 0)) == Edge(HEAD_START, 0)
    asyncio.run(asyncio.wait_for(run(), 60))
