"""Sessions that were opened with an MPD: every name in it leads to its bytes, from whichever CDN has them."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.errors import NotAPlaylist, PlaylistUnsupported, UnknownResource
from shoal.balancer.formats import dash
from shoal.balancer.formats.dash.values import date_us
from shoal.balancer.integrity import sidecar
from shoal.balancer.model import ByteRange, Kind
from shoal.runtime.testing import run_virtual
from shoal.transports.errors import TransportError
from shoal.transports.interface import ServerRequest, ServerResponse

from .origin import SIDECAR
from .test_steering import STEER, SteeringHost, order
from .world import World, peers_used_bytes, read_whole

URL = "http://one/v/main.mpd"
S = 1_000_000
HEAD = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"'


def vod(world: World, inner: str) -> bytes:
    seconds = len(world.stream.segments) * world.stream.segment_s
    return (
        f'{HEAD} mediaPresentationDuration="PT{seconds}S"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="s" bandwidth="400000">{inner}</Representation></AdaptationSet></Period></MPD>'
    ).encode()


def template(world: World) -> bytes:
    return vod(
        world,
        f'<SegmentTemplate media="s$Number$.m4s" initialization="init.mp4" startNumber="0" '
        f'duration="{world.stream.segment_s}"/>',
    )


def live(world: World, *, window: str = "", published: int = 0) -> bytes:
    """Counted segments since the world began, which is 1970; so many seconds of them are kept."""
    return (
        f'{HEAD} type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" minimumUpdatePeriod="PT4S" '
        f'publishTime="1970-01-01T00:00:{published:02}Z" {window}><Period start="PT0S">'
        f'<AdaptationSet mimeType="video/mp4"><SegmentTemplate media="s$Number$.m4s" startNumber="0" '
        f'duration="{world.stream.segment_s}"/><Representation id="s" bandwidth="1"/></AdaptationSet></Period></MPD>'
    ).encode()


def film(world: World) -> tuple[bytes, int, int]:
    """One file of all segments, with its index; and where the index is."""
    rows = b"".join(struct.pack(">III", len(each), world.stream.segment_s, 1 << 31) for each in world.stream.segments)
    body = struct.pack(">B3xIIIIHH", 0, 1, 1, 0, 0, 0, len(world.stream.segments)) + rows
    index = struct.pack(">I4s", len(body) + 8, b"sidx") + body
    first = len(world.stream.init)
    return world.stream.init + index + b"".join(world.stream.segments), first, len(index)


def watched(
    play: Callable[[World, StreamSession], Coroutine[Any, Any, None]],
    manifest: Callable[[World], bytes] = template,
    **options: Any,
) -> None:
    """`play` over a session with the MPD that `manifest` gives; both CDNs have it."""

    async def main() -> None:
        async with World(**options) as world:
            world.document("main.mpd", manifest(world))
            async with world.viewer(url=URL) as session:
                await play(world, session)

    run_virtual(main())


async def body(session: StreamSession, name: str, part: ByteRange | None = None, rendition: int = 0) -> bytes:
    return await read_whole(session, await session.find(rendition, name, part))


def test_every_name_in_the_mpd_leads_to_its_bytes() -> None:
    async def play(world: World, session: StreamSession) -> None:
        answer = await session.playlist()
        assert answer.is_dash
        assert not answer.is_live
        seen = dash.parse(answer.text.encode(), "http://127.0.0.1/stream.mpd")
        (representation,) = seen.periods[0].adaptation_sets[0].representations
        names = [segment.uri for segment in dash.segments_of(seen, seen.periods[0], representation, 0)]
        assert names == [f"http://127.0.0.1/dash/0/n{place}.m4s" for place in range(len(world.stream.segments))]
        for place, right in enumerate(world.stream.segments):
            assert await body(session, f"n{place}.m4s") == right
        assert await body(session, "init.mp4") == world.stream.init
        report = await session.report()
        assert {story.verified for story in report.segments if story.kind == "media"} == {"blocks"}

    watched(play)


def test_a_segment_moves_to_another_cdn_in_the_middle_of_its_body() -> None:
    async def play(world: World, session: StreamSession) -> None:
        await world.spoil("one", "stop")
        for place, right in enumerate(world.stream.segments):
            assert await body(session, f"n{place}.m4s") == right

    watched(play)


@pytest.mark.parametrize("how", ["503", "refused", "html", "xlink"])
def test_an_mpd_that_the_first_cdn_does_not_give_comes_from_the_second(how: str) -> None:
    async def play(world: World, session: StreamSession) -> None:
        origin = world.origins["one"]
        match how:
            case "503":
                origin.document_status = 503
            case "refused":
                await origin.stop()
            case "html":
                origin.documents["main.mpd"] = b"<html/>"
            case _:
                origin.documents["main.mpd"] = b'<MPD xmlns:x="http://www.w3.org/1999/xlink"><Period x:href="u"/></MPD>'
        assert await body(session, "n0.m4s") == world.stream.segments[0]

    watched(play)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"#EXTM3U\n", NotAPlaylist),
        (b"<!DOCTYPE a><MPD/>", PlaylistUnsupported),
    ],
)
def test_an_mpd_that_no_cdn_has_right_is_an_error_with_its_reason(data: bytes, kind: type[Exception]) -> None:
    async def play(_: World, session: StreamSession) -> None:
        for ask in (session.playlist(), session.find(0, "n0.m4s")):
            with pytest.raises(kind):
                await ask

    watched(play, lambda _: data)


def test_what_the_mpd_does_not_name_is_not_there() -> None:
    async def play(world: World, session: StreamSession) -> None:
        for rendition, name in ((0, "n99.m4s"), (0, "film.mp4"), (0, "t1.m4s"), (7, "n0.m4s"), (0, "index")):
            with pytest.raises(UnknownResource):
                await session.find(rendition, name)
        with pytest.raises(UnknownResource):
            await session.playlist(7)
        with pytest.raises(UnknownResource):
            await session.find(0, "n0.m4s", None) and await session.find(0, "/../x")
        assert [asked.name for origin in world.origins.values() for asked in origin.segments_asked()] == []

    watched(play)


def one_file(world: World) -> bytes:
    _, first, length = film(world)
    return vod(
        world,
        f'<BaseURL>film.mp4</BaseURL><SegmentBase indexRange="{first}-{first + length - 1}">'
        f'<Initialization range="0-{first - 1}"/></SegmentBase>',
    )


def test_an_index_that_did_not_come_is_asked_for_again_by_the_next_who_needs_it() -> None:
    async def play(world: World, session: StreamSession) -> None:
        data, first, length = film(world)
        part = ByteRange(first + length, len(world.stream.segments[0]))
        with pytest.raises(TransportError):
            await session.find(0, "film.mp4", part)
        for origin in world.origins.values():
            origin.files["film.mp4"] = data
        assert await read_whole(session, await session.find(0, "film.mp4", part)) == world.stream.segments[0]

    watched(play, one_file, hashes="none")


def test_segments_of_a_file_are_found_by_its_index_and_fetched_ahead() -> None:
    def manifest(world: World) -> bytes:
        data, _, _ = film(world)
        for origin in world.origins.values():
            origin.files["film.mp4"] = data
        return one_file(world)

    async def play(world: World, session: StreamSession) -> None:
        data, first, length = film(world)
        assert "/dash/0/film.mp4</BaseURL>" in (await session.playlist()).text
        assert await body(session, "film.mp4", ByteRange(0, first)) == world.stream.init
        assert await body(session, "film.mp4", ByteRange(first, length)) == data[first : first + length]
        position = first + length
        for right in world.stream.segments:
            part = ByteRange(position, len(right))
            key = await session.find(0, "film.mp4", part)
            assert key.kind is Kind.MEDIA
            assert await read_whole(session, key) == right
            position += len(right)
        media = (await session.playlist(0)).segments
        assert [segment.duration_us for segment in media] == [4 * S] * len(world.stream.segments)

    watched(play, manifest, hashes="none")


def test_a_file_whose_index_is_none_is_served_by_ranges_all_the_same() -> None:
    def manifest(world: World) -> bytes:
        return vod(world, '<BaseURL>s0.m4s</BaseURL><SegmentBase indexRange="0-99"/>')

    async def play(world: World, session: StreamSession) -> None:
        assert await body(session, "s0.m4s", ByteRange(500, 700)) == world.stream.segments[0][500:1200]
        assert any("index of rendition 0" in line for line in (await session.report()).log)

    watched(play, manifest, hashes="none")


def test_a_live_segment_is_found_once_it_is_there() -> None:
    async def play(world: World, session: StreamSession) -> None:
        answer = await session.playlist()
        assert answer.is_live
        for place in range(4):
            await asyncio.sleep(max(0, ((place + 1) * 4 * S + S - world.now_us()) / S))
            assert await body(session, f"n{place}.m4s") == world.stream.segments[place]
        with pytest.raises(UnknownResource):
            await session.find(0, "n9.m4s")

    watched(play, live)


def test_a_live_segment_that_has_left_the_window_is_not_there() -> None:
    async def play(world: World, session: StreamSession) -> None:
        await asyncio.sleep(60)
        with pytest.raises(UnknownResource):
            await session.find(0, "n0.m4s")
        assert await session.find(0, "n12.m4s")

    watched(play, lambda world: live(world, window='timeShiftBufferDepth="PT8S"'))


def test_a_live_mpd_is_loaded_again_when_it_has_aged_and_not_before() -> None:
    async def play(world: World, session: StreamSession) -> None:
        def loads() -> int:
            return sum(asked.name == "main.mpd" for origin in world.origins.values() for asked in origin.asked)

        for _ in range(10):
            await session.playlist()
        assert loads() == 1
        await asyncio.sleep(4)
        await asyncio.gather(*(session.playlist() for _ in range(10)))
        assert loads() == 2

    watched(play, live)


def test_an_older_mpd_does_not_turn_time_back() -> None:
    async def play(world: World, session: StreamSession) -> None:
        world.document("main.mpd", live(world, published=9))
        assert "00:00:09Z" in (await session.playlist()).text
        world.document("main.mpd", live(world, published=5))
        await asyncio.sleep(4)
        assert "00:00:09Z" in (await session.playlist()).text
        assert "an MPD was older than the one before" in " ".join((await session.report()).log)
        await asyncio.sleep(20)  # an encoder that began anew, and not a CDN that lags
        assert "00:00:05Z" in (await session.playlist()).text

    watched(play, live)


def test_a_live_mpd_that_does_not_come_again_is_served_as_it_was() -> None:
    async def play(world: World, session: StreamSession) -> None:
        before = (await session.playlist()).text
        for origin in world.origins.values():
            origin.document_status = 503
        await asyncio.sleep(30)
        assert (await session.playlist()).text == before
        assert await body(session, "n2.m4s") == world.stream.segments[2]

    watched(play, live)


def test_an_mpd_that_no_cdn_answers_for_is_a_transport_error() -> None:
    async def play(world: World, session: StreamSession) -> None:
        for origin in world.origins.values():
            await origin.stop()
        with pytest.raises(TransportError):
            await session.playlist()

    watched(play)


def test_hashes_beside_an_mpd_are_used() -> None:
    async def play(world: World, session: StreamSession) -> None:
        await world.spoil("one", "corrupt")
        for place, right in enumerate(world.stream.segments):
            assert await body(session, f"n{place}.m4s") == right
        asked = {asked.name for origin in world.origins.values() for asked in origin.asked}
        assert SIDECAR in asked

    watched(play)


def test_viewers_of_an_mpd_give_one_another_their_segments() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("main.mpd", template(world))
            async with (
                world.viewer("holder", url=URL, in_swarm=True) as holder,
                world.viewer("newcomer", url=URL, in_swarm=True) as newcomer,
            ):
                for place in range(len(world.stream.segments)):
                    await body(holder, f"n{place}.m4s")
                for place, right in enumerate(world.stream.segments):
                    assert await body(newcomer, f"n{place}.m4s") == right
                    await asyncio.sleep(world.stream.segment_s)
                report = await newcomer.report()
            assert peers_used_bytes(report) > 0.5 * world.stream.byte_count

    run_virtual(main())


# -- service locations


def at_two(world: World, *, steering: str = "") -> bytes:
    """The same segments at both origins; the session knows of the second by the MPD alone."""
    bases = '<BaseURL serviceLocation="a">http://one/v/</BaseURL><BaseURL serviceLocation="b">http://two/v/</BaseURL>'
    return template(world).replace(b"<Period>", f"{bases}{steering}<Period>".encode())


def segments_asked(world: World, name: str) -> set[str]:
    return {asked.name for asked in world.origins[name].segments_asked()}


def test_a_service_location_that_fails_is_left_for_another() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("main.mpd", at_two(world))
            async with world.viewer(url=URL, cdns=("one",)) as session:
                assert await body(session, "n0.m4s") == world.stream.segments[0]
                assert segments_asked(world, "two") == set()
                await world.spoil("one", "stop")
                for place, right in enumerate(world.stream.segments):
                    assert await body(session, f"n{place}.m4s") == right
                assert segments_asked(world, "two")

    run_virtual(main())


def test_a_steering_server_is_asked_in_the_words_of_dash_and_followed() -> None:
    async def main() -> None:
        async with World() as world, SteeringHost(world, lambda _: order("b", "a")) as host:
            steering = f'<ContentSteering defaultServiceLocation="a">{STEER}</ContentSteering>'
            world.document("main.mpd", at_two(world, steering=steering))
            async with world.viewer(url=URL, cdns=("one",)) as session:
                await session.playlist()
                await asyncio.sleep(1)
                for place, right in enumerate(world.stream.segments):
                    assert await body(session, f"n{place}.m4s") == right
            assert host.asked[0][1].query == "_DASH_pathway=%22a%22"
            assert segments_asked(world, "one") == set()

    run_virtual(main())


def with_clock(world: World) -> bytes:
    clock = '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="time"/></MPD>'
    return live(world).replace(b"</MPD>", clock.encode())


@pytest.mark.parametrize("off_s", [-60, 60])
def test_where_this_machines_clock_is_off_that_of_the_mpd_counts(off_s: int) -> None:
    async def main() -> None:
        async with World() as world:
            await asyncio.sleep(30)
            world.document("main.mpd", with_clock(world))
            world.document("time", b"1970-01-01T00:00:30Z")
            async with world.viewer(url=URL, clock_off_us=off_s * S) as session:
                assert await body(session, "n3.m4s") == world.stream.segments[3]
                log = " ".join((await session.report()).log)
                how = "behind" if off_s < 0 else "ahead of"
                assert re.search(rf"this machine's clock is (59|60)\.\d s {how} the MPD's, which counts", log)

    run_virtual(main())


@pytest.mark.parametrize("said", [b"soon", None])
def test_a_clock_that_tells_no_time_is_told_of_and_ours_counts(said: bytes | None) -> None:
    async def main() -> None:
        async with World() as world:
            await asyncio.sleep(30)
            world.document("main.mpd", with_clock(world))
            world.document("time", said)
            async with world.viewer(url=URL) as session:
                assert await body(session, "n3.m4s") == world.stream.segments[3]
                assert "the MPD's clock did not tell the time" in " ".join((await session.report()).log)

    run_virtual(main())


def telling(world: World, second: int) -> bytes:
    """Which tells the time itself."""
    clock = f'<UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="1970-01-01T00:00:{second:02}Z"/></MPD>'
    return live(world).replace(b"</MPD>", clock.encode())


async def told_late_us(world: World, session: StreamSession) -> int:
    found = re.search(r'direct:2014" value="([^"]*)"', (await session.playlist()).text)
    assert found
    told_us = date_us(found[1])
    assert told_us is not None
    return world.now_us() - told_us


def test_a_player_is_told_the_time_that_it_is_and_not_that_of_the_load() -> None:
    async def main() -> None:
        async with World() as world:
            await asyncio.sleep(30)
            world.document("main.mpd", telling(world, 30))
            async with world.viewer(url=URL) as session:
                # Loaded, from memory, and loaded again where nothing has changed.
                for wait_s in (0, 1.5, 10):
                    await asyncio.sleep(wait_s)
                    assert 0 <= await told_late_us(world, session) < S // 2
                world.document("main.mpd", telling(world, 40))  # by then it is a second or two later
                await asyncio.sleep(4)
                assert S < await told_late_us(world, session) < 8 * S
                assert "clock" not in " ".join((await session.report()).log)

    run_virtual(main())


def test_hashes_that_were_waited_for_do_not_make_this_machines_clock_wrong() -> None:
    async def main() -> None:
        async with World() as world:
            await asyncio.sleep(30)
            world.document("main.mpd", telling(world, 30))
            for origin in world.origins.values():

                async def answer(request: ServerRequest) -> None:
                    if request.path.endswith(SIDECAR):
                        await asyncio.sleep(1.5)

                origin.answers = answer
            async with world.viewer(url=URL) as session:
                await session.playlist()
                assert world.now_us() > 31 * S
                assert "clock" not in " ".join((await session.report()).log)
                assert 0 <= await told_late_us(world, session) < S // 2

    run_virtual(main())


def listed(world: World, count: int, attributes: str = "") -> bytes:
    """Live, the first `count` segments in a timeline."""
    rows = f'<S t="0" d="{world.stream.segment_s}" r="{count - 1}"/>'
    return (
        f'{HEAD} type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" minimumUpdatePeriod="PT4S" {attributes}>'
        '<Period start="PT0S"><AdaptationSet mimeType="video/mp4"><SegmentTemplate media="s$Number$.m4s" '
        f'startNumber="0"><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>'
        '<Representation id="s" bandwidth="1"/></AdaptationSet></Period></MPD>'
    ).encode()


@pytest.mark.parametrize("attributes", ["", 'publishTime="1970-01-01T00:00:00Z"'], ids=["without a date", "with one"])
def test_an_mpd_that_stands_still_is_taken_from_a_cdn_where_it_goes_on_and_not_turned_back(attributes: str) -> None:
    async def main() -> None:
        async with World() as world:
            world.document("main.mpd", listed(world, 2, attributes))
            async with world.viewer(url=URL) as session:
                assert await body(session, "n1.m4s") == world.stream.segments[1]
                world.origins["two"].documents["main.mpd"] = listed(world, 3, attributes)
                await asyncio.sleep(5)
                assert len((await session.playlist(0)).segments) == 2, "it may be as it is for so long"
                await asyncio.sleep(5)
                assert await body(session, "n2.m4s") == world.stream.segments[2]
                await world.origins["two"].stop()
                await asyncio.sleep(5)
                assert len((await session.playlist(0)).segments) == 3
                log = " ".join((await session.report()).log)
                assert "a document came from cdn-two, since that of cdn-one stands still" in log
                assert "an MPD was older than the one before" in log

    run_virtual(main())


def test_hashes_of_a_live_mpd_that_stand_still_are_taken_from_a_cdn_where_they_go_on() -> None:
    async def main() -> None:
        async with World() as world:
            known = dict(zip(world.stream.names, world.stream.segments, strict=True))

            def publish(name: str, count: int, hashes: int) -> None:
                world.origins[name].documents |= {
                    "main.mpd": listed(world, count),
                    SIDECAR: sidecar([(each, known[each]) for each in world.stream.names[:hashes]]),
                }

            for name in ("one", "two"):
                publish(name, 2, 2)
            async with world.viewer(url=URL) as session:
                await body(session, "n1.m4s")
                publish("one", 4, 2)
                publish("two", 4, 4)
                await asyncio.sleep(5)
                await session.playlist()
                await body(session, "n3.m4s")
                came = [story for story in (await session.report()).segments if story.delivered_bytes]
                assert [story.verified for story in came] == ["blocks", "blocks"]

    run_virtual(main())


# -- Location


def at_location(data: bytes, location: str) -> bytes:
    return data.replace(b"<Period", f"<Location>{location}</Location><Period".encode(), 1)


def loads_of(world: World) -> list[str]:
    requests = [each for origin in world.origins.values() for each in origin.requests if ".mpd" in each.path]
    return [f"{each.path}?{each.query}".removesuffix("?") for each in requests]


def test_a_live_mpd_is_loaded_again_from_its_location() -> None:
    async def play(world: World, session: StreamSession) -> None:
        mine = at_location(live(world, published=5), "../mine.mpd?viewer=8").replace(b'media="s', b'media="v/s')
        for origin in world.origins.values():
            origin.answers = answers({"/mine.mpd": mine})
        assert "00:00:00Z" in (await session.playlist()).text
        await asyncio.sleep(5)
        text = (await session.playlist()).text
        assert "00:00:05Z" in text
        assert "Location" not in text
        assert await body(session, "n0.m4s") == world.stream.segments[0]
        await asyncio.sleep(5)
        await session.playlist()
        assert loads_of(world) == ["/v/main.mpd", "/mine.mpd?viewer=7", "/mine.mpd?viewer=8"]

    watched(play, lambda world: at_location(live(world), "/mine.mpd?viewer=7"), hashes="none")


def answers(documents: dict[str, bytes]) -> Callable[[ServerRequest], Awaitable[ServerResponse | None]]:
    async def answer(request: ServerRequest) -> ServerResponse | None:
        return ServerResponse(200, {}, documents[request.path]) if request.path in documents else None

    return answer


@pytest.mark.parametrize("location", ["gone.mpd", "http://127.0.0.1/v/main.mpd", "http://nowhere/main.mpd"])
def test_where_a_location_fails_the_mpd_is_loaded_as_at_first(location: str) -> None:
    async def play(world: World, session: StreamSession) -> None:
        await session.playlist()
        world.document("main.mpd", at_location(live(world, published=5), location))
        await asyncio.sleep(5)
        assert "00:00:05Z" in (await session.playlist()).text
        assert "cannot be had from its Location" in " ".join((await session.report()).log)

    watched(play, lambda world: at_location(live(world), location))


def test_where_the_mpd_stands_still_at_its_location_it_is_looked_for_as_at_first() -> None:
    async def play(world: World, session: StreamSession) -> None:
        world.document("still.mpd", at_location(listed(world, 2), "still.mpd"))
        await session.playlist()
        world.document("main.mpd", at_location(listed(world, 4), "still.mpd"))
        await asyncio.sleep(20)
        assert await body(session, "n3.m4s") == world.stream.segments[3]

    watched(play, lambda world: at_location(listed(world, 2), "still.mpd"))


def test_a_live_stream_goes_on_when_a_period_is_announced() -> None:
    early = b'<Period id="next"><AdaptationSet/></Period></MPD>'

    async def play(world: World, session: StreamSession) -> None:
        await session.playlist()
        world.document("main.mpd", live(world, published=5).replace(b"</MPD>", early))
        await asyncio.sleep(5)
        text = (await session.playlist()).text
        assert "00:00:05Z" in text
        assert "next" not in text
        assert await body(session, "n0.m4s") == world.stream.segments[0]

    watched(play, live)


def test_what_a_player_does_not_see_is_told_once_and_what_is_followed_is_not() -> None:
    async def play(world: World, session: StreamSession) -> None:
        for _ in range(3):
            await session.playlist()
            await asyncio.sleep(5)
        told = [line for line in (await session.report()).log if "does not see" in line]
        assert [line.partition("the player")[2] for line in told] == [
            " does not see bitstreamSwitching, which this proxy does not serve"
        ]

    def manifest(world: World) -> bytes:
        return at_location(live(world), "main.mpd").replace(
            b"<SegmentTemplate", b'<SegmentTemplate bitstreamSwitching="b"'
        )

    watched(play, manifest)
