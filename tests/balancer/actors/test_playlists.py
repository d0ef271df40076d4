"""Playlists and sidecars: from whichever CDN has a good one, and a typed error when none has."""

from __future__ import annotations

import asyncio

import pytest

from shoal.balancer.errors import (
    NotAPlaylist,
    PlaylistError,
    PlaylistTooLarge,
    PlaylistUnsupported,
    SidecarMalformed,
    UnknownResource,
)
from shoal.balancer.model import Kind, ResourceKey
from shoal.runtime.testing import run_virtual
from shoal.transports.errors import ConnectFailed, StatusError, TimedOut, TransportError

from .origin import SIDECAR
from .world import World, play, read_whole, story

GARBAGE = {
    "an error page": b"<html>504 Gateway Time-out</html>",
    "nothing": b"",
    "media": bytes(range(256)) * 40,
    "json": b'{"error": "not found"}',
    "half a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:",
    "a tag without sense": b"#EXTM3U\n#EXT-X-TARGETDURATION:nan\n#EXTINF:4,\ns0.m4s\n",
}
BAD = ["503", "404", "refused", "hang", *GARBAGE]


async def spoil_documents(world: World, name: str, how: str, document: str = "stream.m3u8") -> None:
    origin = world.origins[name]
    match how:
        case "503" | "404":
            origin.document_status = int(how)
        case "refused":
            await origin.stop()
        case "hang":
            origin.document_delay_s = 3600
        case _:
            origin.documents[document] = GARBAGE[how]


@pytest.mark.parametrize("how", BAD)
def test_a_playlist_that_the_first_cdn_does_not_give_comes_from_the_second(how: str) -> None:
    async def main() -> None:
        async with World() as world:
            await spoil_documents(world, "one", how)
            async with world.viewer() as session:
                assert (await play(session, world.stream)).is_perfect

    run_virtual(main())


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("503", StatusError),
        ("404", StatusError),
        ("refused", ConnectFailed),
        ("hang", TimedOut),
        ("an error page", NotAPlaylist),
        ("nothing", NotAPlaylist),
        ("media", NotAPlaylist),
        ("json", NotAPlaylist),
        ("half a playlist", PlaylistError),
        ("a tag without sense", PlaylistError),
    ],
)
def test_with_the_same_at_every_cdn_the_error_says_which(how: str, error: type[Exception]) -> None:
    async def main() -> None:
        async with World() as world:
            for name in world.origins:
                await spoil_documents(world, name, how)
            async with world.viewer() as session:
                with pytest.raises(error):
                    await session.playlist()
                with pytest.raises((PlaylistError, TransportError)):
                    await session.playlist(0)

    run_virtual(main())


def test_after_an_error_the_playlist_can_be_asked_for_again() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            for origin in world.origins.values():
                origin.document_status = 503
            with pytest.raises(StatusError):
                await session.playlist()
            for origin in world.origins.values():
                origin.document_status = None
            assert (await play(session, world.stream)).is_perfect

    run_virtual(main())


def test_a_playlist_above_the_limit_is_refused() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(playlist_bytes_max=200) as session:
            with pytest.raises((PlaylistTooLarge, TransportError)):
                await session.playlist()

    run_virtual(main())


def test_many_who_ask_at_once_share_one_load() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            texts = await asyncio.gather(*(session.playlist() for _ in range(20)), session.playlist(0))
            assert len({text.text for text in texts}) == 1
            asked = [a for origin in world.origins.values() for a in origin.asked if a.name == "stream.m3u8"]
            assert len(asked) == 1

    run_virtual(main())


def test_a_rendition_that_does_not_exist_is_unknown() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            await session.playlist()
            with pytest.raises(UnknownResource, match="there is no rendition 7"):
                await session.playlist(7)

    run_virtual(main())


# -- multivariant


def test_each_rendition_of_a_multivariant_playlist_is_played_under_its_number() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", world.stream.multivariant())
            world.document("media.m3u8", world.stream.media_playlist())
            world.document("hd.m3u8", world.stream.media_playlist())
            async with world.viewer() as session:
                root = await session.playlist()
                assert root.renditions == 2
                assert root.best == 1
                assert "/playlist/0/media.m3u8" in root.text
                assert "/playlist/1/hd.m3u8" in root.text
                assert (await play(session, world.stream, rendition=1)).is_perfect
                await session.playlist(0)
                assert await read_whole(session, ResourceKey(0, Kind.MEDIA, 3)) == world.stream.segments[3]

    run_virtual(main())


def test_a_multivariant_playlist_where_a_media_playlist_should_be_is_an_error() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", world.stream.multivariant())
            world.document("media.m3u8", world.stream.multivariant())
            async with world.viewer() as session:
                await session.playlist()
                with pytest.raises(PlaylistUnsupported):
                    await session.playlist(0)

    run_virtual(main())


def test_what_the_player_gets_names_no_origin() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            text = (await session.playlist()).text
            assert "http" not in text
            assert "/init/0/0/init.mp4" in text
            assert await read_whole(session, ResourceKey(0, Kind.INIT, 0)) == world.stream.init

    run_virtual(main())


def test_a_rendition_can_be_asked_for_before_it_is_known_which_there_are() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", world.stream.multivariant())
            world.document("hd.m3u8", world.stream.media_playlist())
            async with world.viewer() as session:
                assert len((await session.playlist(1)).segments) == 8

    run_virtual(main())


# -- sidecars


def test_a_sidecar_that_the_first_cdn_does_not_give_comes_from_the_second() -> None:
    async def main() -> None:
        async with World() as world:
            del world.origins["one"].documents[SIDECAR]
            async with world.viewer() as session:
                assert (await play(session, world.stream)).is_perfect
                assert (await session.report()).hashes == "blocks"

    run_virtual(main())


def test_a_missing_sidecar_is_noted_and_nothing_is_verified() -> None:
    async def main() -> None:
        async with World(hashes="none") as world, world.viewer() as session:
            assert (await play(session, world.stream)).is_perfect
            report = await session.report()
            assert report.hashes == "none"
            assert any("no hashes were found" in line for line in report.log)

    run_virtual(main())


def test_a_sidecar_that_cannot_be_read_is_noted_with_the_reason() -> None:
    async def main() -> None:
        async with World() as world:
            world.document(SIDECAR, b"{]")
            async with world.viewer() as session:
                assert (await play(session, world.stream)).is_perfect
                report = await session.report()
                assert report.hashes == "none"
                assert any("hashes cannot be used" in line for line in report.log)

    run_virtual(main())


@pytest.mark.parametrize(("data", "error"), [(None, StatusError), (b"{]", SidecarMalformed)])
def test_a_sidecar_that_was_asked_for_must_be_there(data: bytes | None, error: type[Exception]) -> None:
    async def main() -> None:
        async with World() as world:
            world.document(SIDECAR, data)
            async with world.viewer(hashes=SIDECAR) as session:
                with pytest.raises(error):
                    await session.playlist()
                world.document(SIDECAR, world.stream.sidecar())
                assert (await play(session, world.stream)).is_perfect
                assert (await session.report()).hashes == "blocks"

    run_virtual(main())


@pytest.mark.parametrize("how", ["503", "429", "hang", "drip"])
def test_hashes_that_did_not_come_at_first_are_asked_for_again_and_used_for_what_is_held_as_well(how: str) -> None:
    async def main() -> None:
        async with World() as world:
            for origin in world.origins.values():
                origin.document_faults[SIDECAR] = how
            async with world.viewer() as session:
                assert (await play(session, world.stream, numbers=range(3))).is_perfect
                assert (await session.report()).hashes == "none"
                for origin in world.origins.values():
                    del origin.document_faults[SIDECAR]
                await asyncio.sleep(60)
                assert (await play(session, world.stream, numbers=range(3, 8))).is_perfect
                report = await session.report()
            assert report.hashes == "blocks"
            assert story(report, 0).verified == "segment"
            assert story(report, 7).verified == "blocks"
            assert any("nothing is verified until they do" in line for line in report.log)
            assert sum("hashes came" in line for line in report.log) == 1

    run_virtual(main())


def test_hashes_are_asked_for_less_and_less_often() -> None:
    async def main() -> None:
        async with World() as world:
            for origin in world.origins.values():
                origin.document_faults[SIDECAR] = "503"
            async with world.viewer() as session:
                await session.playlist()
                await asyncio.sleep(600)
                report = await session.report()
            asked = [a for a in world.origins["one"].asked if a.name == SIDECAR]
            # At 0, 2, 6, 14, 30, 62 s, and then each minute.
            assert 13 <= len(asked) <= 16
            assert sum("hashes" in line for line in report.log) == 1

    run_virtual(main())


def test_hashes_that_are_not_there_are_asked_for_once() -> None:
    async def main() -> None:
        async with World(hashes="none") as world, world.viewer() as session:
            await session.playlist()
            await asyncio.sleep(600)
            assert len([a for a in world.origins["one"].asked if a.name == SIDECAR]) == 1

    run_virtual(main())


def test_a_cdn_that_hangs_costs_the_start_one_time_out_and_not_one_for_each_document() -> None:
    async def main() -> None:
        async with World() as world:
            await spoil_documents(world, "one", "hang")
            async with world.viewer(document_timeout_us=2_000_000) as session:
                began_us = world.now_us()
                await session.playlist()
                assert 2_000_000 <= world.now_us() - began_us < 3_000_000
                assert (await session.report()).hashes == "blocks"

    run_virtual(main())


def test_a_document_that_drips_is_let_go_when_it_is_too_late() -> None:
    async def main() -> None:
        async with World() as world:
            world.origins["one"].document_faults["stream.m3u8"] = "drip"
            async with world.viewer() as session:
                assert (await play(session, world.stream)).is_perfect
                assert not world.origins["one"].dripping

    run_virtual(main())


def test_with_hashes_none_no_sidecar_is_asked_for() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(hashes="none") as session:
            assert (await play(session, world.stream)).is_perfect
            assert not [a for origin in world.origins.values() for a in origin.asked if a.name == SIDECAR]

    run_virtual(main())


# -- byte ranges


def ranged(world: World) -> bytes:
    """One file; its segments are ranges of it."""
    whole = b"".join(world.stream.segments)
    for origin in world.origins.values():
        origin.files["s-all.m4s"] = whole
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4"]
    offset = 0
    for segment in world.stream.segments:
        lines += ["#EXTINF:4.0,", f"#EXT-X-BYTERANGE:{len(segment)}@{offset}", "s-all.m4s"]
        offset += len(segment)
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


@pytest.mark.parametrize("kind", ["", "rangeless", "reset"])
@pytest.mark.parametrize("has_etags", [True, False])
def test_byte_ranges_of_one_file_are_segments_of_their_own(kind: str, has_etags: bool) -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            world.document("stream.m3u8", ranged(world))
            if kind:
                await world.spoil("one", kind, at=300_000)
            for origin in world.origins.values():
                origin.has_etags = has_etags
            async with world.viewer(first="one") as session:
                shown = await play(session, world.stream)
                assert shown.is_perfect, (shown.errors, shown.stall_us)

    run_virtual(main())


def test_a_server_that_ignores_ranges_is_not_read_beyond_the_range() -> None:
    async def main() -> None:
        async with World("one", hashes="none") as world:
            world.document("stream.m3u8", ranged(world))
            await world.spoil("one", "rangeless")
            async with world.viewer() as session:
                await session.playlist()
                assert await read_whole(session, 1) == world.stream.segments[1]
                # The window of a socket runs ahead of the reader.
                reached = sum(map(len, world.stream.segments[:2]))
                story = next(one for one in (await session.report()).segments if one.number == 1)
                assert story.byte_count == len(world.stream.segments[1])
                assert world.origins["one"].sent_bytes < 3 * reached

    run_virtual(main())
