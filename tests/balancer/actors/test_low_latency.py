"""Low-latency HLS through a session: parts as they come, playlists that wait, and CDNs that do badly."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

import pytest

from shoal.balancer.actors.hinted import PARTS_KEPT
from shoal.balancer.errors import DirectiveRefused, UnknownResource
from shoal.balancer.formats.hls import NOTHING, Directives, edge_of
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.paths import key_of
from shoal.runtime.testing import run_virtual

from .on_air import PART_S, PARTS, SEGMENTS, Follower, on_air, renditions_reported
from .world import read_whole, source

SD, HD = 0, 1  # as the multivariant playlist has them
WAY_S = 0.15  # to an origin and back for a playlist, the same for a part, and its bytes


@pytest.mark.parametrize("parts_in", ["files", "ranges"])
def test_a_player_has_each_part_as_soon_as_it_is_there(parts_in: str) -> None:
    async def main() -> None:
        async with on_air(parts_in=parts_in) as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            await player.follow(10)
            assert player.errors == []
            assert len(player.parts) >= 19
            assert max(player.late_s[1:]) < WAY_S
            report = await session.report()
            # Nothing came whole as well, or twice.
            assert {segment.kind for segment in report.segments} == {"part"}
            assert sum(segment.byte_count or 0 for segment in report.segments) == sum(map(len, player.parts.values()))
            assert all(len(segment.parts) == 1 for segment in report.segments)

    run_virtual(main())


def test_each_playlist_is_asked_for_before_it_is_there_and_once() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            players = [Follower(session, HD, "hd", air) for _ in range(3)]
            await asyncio.gather(*(player.follow(6) for player in players))
            questions = [question for question in air.questions("hd.m3u8") if question]
            assert len(questions) == len(set(questions))
            assert all(question.startswith("_HLS_msn=") for question in questions)
            assert len(questions) >= 11
            assert len({frozenset(player.parts) for player in players}) == 1

    run_virtual(main())


def test_what_a_question_says_of_itself_stands_before_its_directives() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer(cmcd="query") as session:
            await Follower(session, HD, "hd", air).follow(6)
            questions = [question for question in air.questions("hd.m3u8") if "_HLS_" in question]
            assert len(questions) >= 5
            right = re.compile(r"CMCD=[^&]+&_HLS_msn=\d+&_HLS_part=\d+(&_HLS_skip=YES)?")
            assert all(map(right.fullmatch, questions))

    run_virtual(main())


def test_what_is_there_already_is_answered_at_once_without_a_question() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            edge = edge_of(await Follower(session, HD, "hd", air).reload(NOTHING))
            asked, began_s = len(air.asked), asyncio.get_running_loop().time()
            await session.playlist(HD, Directives(edge.segment - 1, PARTS - 1))
            assert (len(air.asked), asyncio.get_running_loop().time()) == (asked, began_s)

    run_virtual(main())


def test_a_player_that_asks_for_no_part_does_not_wait_for_one() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            await player.reload(NOTHING)
            await asyncio.sleep(3)
            began_s = asyncio.get_running_loop().time()
            await player.reload(NOTHING)
            assert asyncio.get_running_loop().time() - began_s < 0.1

    run_virtual(main())


def test_a_hinted_part_is_waited_for_and_given_when_it_is_there() -> None:
    async def main() -> None:
        for parts_in in ("files", "ranges"):
            async with on_air(parts_in=parts_in) as (world, air), world.viewer() as session:
                player = Follower(session, HD, "hd", air)
                playlist = await player.reload(NOTHING)
                edge = edge_of(playlist)
                key = key_of(urlsplit(playlist.preload_hints[0].uri).path)
                assert key is not None
                reading = asyncio.ensure_future(read_whole(session, key))
                await asyncio.sleep(PART_S / 2)
                assert not reading.done()
                await player.reload(Directives(edge.segment, edge.parts))
                film = air.broadcast.films["hd"]
                assert await reading == film.segments[edge.segment][edge.parts].data

    run_virtual(main())


def test_a_hinted_part_that_does_not_come_is_refused() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            key = key_of(urlsplit((await player.reload(NOTHING)).preload_hints[0].uri).path)
            assert key is not None
            reading = asyncio.ensure_future(read_whole(session, key))
            await asyncio.sleep(20)  # longer than it is listed
            await player.reload(NOTHING)
            with pytest.raises(UnknownResource, match="did not come"):
                await reading
            with pytest.raises(UnknownResource, match="in no playlist"):
                await read_whole(session, ResourceKey(HD, Kind.PART, 999))

    run_virtual(main())


def test_questions_that_are_far_ahead_are_refused() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            edge = edge_of(await Follower(session, HD, "hd", air).reload(NOTHING))
            for wanted in (Directives(edge.segment + 2), Directives(edge.segment, edge.parts + 6)):
                with pytest.raises(DirectiveRefused, match="far ahead"):
                    await session.playlist(HD, wanted)

    run_virtual(main())


def test_a_stream_whose_server_cannot_wait_is_served_as_before() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            air.control = "HOLD-BACK=6"
            edge = edge_of(await Follower(session, HD, "hd", air).reload(NOTHING))
            await session.playlist(HD, Directives(edge.segment + 5, 3))
            assert air.questions("hd.m3u8") == [""]

    run_virtual(main())


def test_a_server_that_answers_too_early_is_asked_again_once_for_a_part() -> None:
    async def main() -> None:
        async with on_air("one") as (world, air), world.viewer() as session:
            air.cannot_wait.add("one")
            player = Follower(session, HD, "hd", air)
            await player.follow(8)
            assert player.errors == []
            assert len(player.parts) >= 12
            # Each part after a question and a pause; a playlist may have two new ones then.
            assert max(player.late_s[1:]) < 2 * PART_S + 2 * WAY_S
            assert len(air.questions("hd.m3u8")) <= 8 / PART_S * 2

    run_virtual(main())


def test_a_server_that_never_has_it_is_asked_for_three_target_durations_at_most() -> None:
    async def main() -> None:
        async with on_air("one") as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            edge = edge_of(await player.reload(NOTHING))
            air.cannot_wait.add("one")
            air.lag_s["one"] = 1000.0  # it has stopped
            began_s = asyncio.get_running_loop().time()
            before = (await session.playlist(HD)).text
            after = await session.playlist(HD, Directives(edge.segment, edge.parts))
            assert after.text == before
            assert 6 <= asyncio.get_running_loop().time() - began_s < 9

    run_virtual(main())


def test_a_cdn_that_hangs_costs_its_time_out_and_the_other_goes_on() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            following = asyncio.ensure_future(player.follow(12))
            await asyncio.sleep(3.3)
            air.hanging.add("one")
            await following
            assert player.errors == []
            # Two seconds for a document, and three parts that it may be waited for; a second for a part.
            late = [late for late in player.late_s if late > 2 * WAY_S]
            assert late
            assert max(late) < 2 + 3 * PART_S + 1 + PART_S
            assert player.late_s[-1] < WAY_S
            assert source(await session.report(), "two").used_bytes > 0

    run_virtual(main())


def test_a_cdn_that_lags_is_not_listened_to_while_another_is_ahead() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            air.lag_s["two"] = 1.2
            player = Follower(session, HD, "hd", air)
            await player.follow(10)
            assert player.errors == []
            edges = [edge_of(player.playlist).place] if player.playlist else []
            assert edges >= [(8, 0)]
            assert max(player.late_s[1:]) < 1.2 + 2 * WAY_S

    run_virtual(main())


def test_reports_lead_to_our_renditions() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            await session.playlist()
            assert renditions_reported(await Follower(session, HD, "hd", air).reload(NOTHING)) == [SD]
            assert renditions_reported(await Follower(session, SD, "sd", air).reload(NOTHING)) == [HD]

    run_virtual(main())


def test_a_player_that_switches_asks_the_other_rendition_for_what_comes_next() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            await player.follow(3)
            other = Follower(session, SD, "sd", air)
            assert player.playlist is not None
            report = player.playlist.rendition_reports[0]
            playlist = await other.reload(Directives(report.last_sequence, report.last_part))
            assert edge_of(playlist).place >= (report.last_sequence, (report.last_part or 0) + 1)
            await other.follow(3)
            assert other.errors == []
            assert max(other.late_s[1:]) < WAY_S

    run_virtual(main())


def test_a_player_that_comes_back_to_a_rendition_after_a_while_is_answered() -> None:
    """What was known of it then says nothing of what is far ahead now."""

    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            first, other = Follower(session, HD, "hd", air), Follower(session, SD, "sd", air)
            await first.follow(2)
            await other.follow(15)
            assert other.playlist is not None
            report = other.playlist.rendition_reports[0]
            wanted = Directives(report.last_sequence, report.last_part)
            assert edge_of(await first.reload(wanted)).has(wanted)
            with pytest.raises(DirectiveRefused, match="far ahead"):
                await session.playlist(HD, Directives((report.last_sequence or 0) + 5))
            await asyncio.sleep(8)
            with pytest.raises(DirectiveRefused, match="far ahead"):
                await session.playlist(HD, Directives((report.last_sequence or 0) + 50))
            await first.follow(3)
            assert first.errors == []

    run_virtual(main())


def test_parts_leave_the_store_soon_after_the_playlist_that_named_them() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            await player.follow(35)
            report = await session.report()
            assert len(player.parts) >= 69
            assert report.store.resource_count <= 4 * PARTS + PARTS_KEPT
            # Some seconds late is not too late; a whole window is.
            for path in (*player.parts,)[-20:]:
                key = key_of(path)
                assert key is not None
                assert await read_whole(session, key) == player.parts[path]
            gone = key_of(next(iter(player.parts)))
            assert gone is not None
            with pytest.raises(UnknownResource):
                await read_whole(session, gone)
            assert report.store.evicted_count == 0

    run_virtual(main())


def test_hashes_that_grow_with_the_stream_hold_nobody_up_and_verify_whole_segments() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            await player.follow(10)
            assert max(player.late_s[1:]) < WAY_S
            assert player.playlist is not None
            await asyncio.sleep(0.2)  # it has just come, and its hash is on its way
            newest = player.playlist.segments[-1]
            film = air.broadcast.films["hd"]
            key = ResourceKey(HD, Kind.MEDIA, newest.sequence)
            assert await read_whole(session, key) == b"".join(p.data for p in film.segments[newest.sequence])
            report = await session.report()
            story = next(one for one in report.segments if one.kind == "media" and one.number == newest.sequence)
            assert story.verified == "blocks"
            asked = sum(path.startswith("shoal-hashes") for _, path in air.asked)
            assert 5 <= asked <= 9  # one for each segment, and not for each part

    run_virtual(main())


def test_the_end_of_a_stream_is_told_to_who_waits_for_more() -> None:
    async def main() -> None:
        async with on_air() as (world, air), world.viewer() as session:
            player = Follower(session, HD, "hd", air)
            await player.follow(60)
            assert player.playlist is not None
            assert player.playlist.has_end
            assert player.errors == []
            assert edge_of(player.playlist).segment == SEGMENTS

    run_virtual(main())
