"""One CDN is bad in every way there is, the other is well: the player notices nothing."""

from __future__ import annotations

import asyncio

import pytest

from shoal.balancer.errors import NoSource, WrongBytes
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from ...faults.hostile import Hostile
from .origin import BLOCK_BYTES, FAULTS, PIECE_BYTES
from .world import Shown, World, play, read_pieces, read_until_failure, read_whole, source, story, wasted_bytes

# How each fault is named in the report, and what of it may be thrown away per segment.
NAMED = {
    "503": "status 503",
    "404": "status 404",
    "refused": "connect",
    "hang": "stalled",
    "reset": "truncated",
    "cut": "truncated",
    "stop": "stalled",
    "drip": "stalled",
    "corrupt": "hash",
    "short": "changed",
    "long": "changed",
    "other": "hash",
}
AT = 100_000


def played(kind: str, *, hashes: str = "blocks", first: str | None = None) -> tuple[Shown, SessionReport, World]:
    """The whole stream, with `kind` at the first CDN and a healthy second one."""

    async def main() -> tuple[Shown, SessionReport, World]:
        async with World(hashes=hashes) as world:
            await world.spoil("one", kind)
            async with world.viewer(first=first) as session:
                shown = await play(session, world.stream)
                return shown, await session.report(), world

    return run_virtual(main())


@pytest.mark.parametrize("kind", FAULTS)
def test_a_bad_cdn_beside_a_healthy_one_costs_no_byte_and_no_stall(kind: str) -> None:
    shown, report, _ = played(kind)
    assert shown.is_perfect, (shown.errors, shown.stall_us)
    assert [segment.verified for segment in report.segments if segment.kind == "media"] == ["blocks"] * 8


@pytest.mark.parametrize("kind", FAULTS)
def test_a_bad_cdn_asked_first_delays_the_start_by_its_limit_at_most(kind: str) -> None:
    shown, _, _ = played(kind, first="one")
    assert shown.is_perfect, (shown.errors, shown.stall_us)
    assert shown.startup_us < 1_500_000  # first_byte_limit_us, and a healthy transfer


@pytest.mark.parametrize("kind", FAULTS)
def test_the_fault_is_named_with_its_source(kind: str) -> None:
    _, report, _ = played(kind, first="one")
    assert NAMED[kind] in source(report, "one").errors
    assert source(report, "one").state in {"suspect", "open"}
    assert not source(report, "two").errors
    first = story(report, 0)
    assert first.failed_over
    assert first.parts[0].source == "cdn:one"
    assert first.parts[0].reason
    assert first.parts[-1].source == "cdn:two"
    assert first.parts[-1].outcome == "ended"


@pytest.mark.parametrize("kind", ["reset", "cut", "stop", "drip"])
def test_a_body_that_breaks_goes_on_elsewhere_at_the_byte_reached(kind: str) -> None:
    _, report, world = played(kind, first="one")
    reached = story(report, 0).parts[0].byte_count
    assert AT <= reached <= AT + 2
    assert [asked.first_byte for asked in world.origins["two"].asked if asked.name == "s0.m4s"] == [reached]
    assert wasted_bytes(report) == 0


@pytest.mark.parametrize(("kind", "goes_on_at"), [("corrupt", BLOCK_BYTES), ("other", 0)])
def test_a_wrong_block_goes_on_elsewhere_at_its_first_byte(kind: str, goes_on_at: int) -> None:
    _, report, world = played(kind, first="one")
    assert [asked.first_byte for asked in world.origins["two"].asked if asked.name == "s0.m4s"] == [goes_on_at]
    assert story(report, 0).polluted
    assert source(report, "one").state == "open"


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_thrown_away_is_bounded(kind: str) -> None:
    _, report, _ = played(kind, first="one")
    # A wrong block, and what came behind it until it was noticed: here, one socket's window.
    bound = BLOCK_BYTES + 2 * PIECE_BYTES if NAMED[kind] == "hash" else 0
    assert source(report, "one").wasted_bytes <= bound
    assert source(report, "two").wasted_bytes == 0


OPEN = tuple(kind for kind in FAULTS if NAMED[kind] != "hash")
HIDDEN = {"cut", "short", "long"}  # without hashes nothing tells such a body from a right one


@pytest.mark.parametrize(
    ("kind", "hashes"),
    [(kind, "segments") for kind in OPEN] + [(kind, "none") for kind in OPEN if kind not in HIDDEN],
)
def test_without_block_hashes_an_open_fault_costs_no_byte_and_no_stall_either(kind: str, hashes: str) -> None:
    shown, _, _ = played(kind, hashes=hashes, first="one")
    assert shown.is_perfect, (shown.errors, shown.stall_us)


def test_a_body_that_does_not_end_is_read_to_its_known_end_and_its_sender_left() -> None:
    async def main() -> None:
        async with World() as world:
            endless = Hostile("endless", world.stream.names)
            world.origins["one"].front = endless.handle
            async with world.viewer(first="one") as session:
                assert (await play(session, world.stream)).is_perfect
                report = await session.report()
                assert endless.met.total() <= 2  # both under way before the first had its end
                assert endless.longest_bytes < 3 * len(world.stream.segments[-1])
                assert source(report, "one").state == "open"
                assert any("sent more than its" in line for line in report.log)

    run_virtual(main())


def test_a_cdn_that_ignores_ranges_is_read_past_what_is_held() -> None:
    async def main() -> None:
        async with World() as world:
            await world.spoil("one", "reset")
            await world.spoil("two", "rangeless")
            async with world.viewer(first="one") as session:
                shown = await play(session, world.stream)
                assert shown.is_perfect
                assert story(await session.report(), 0).failed_over_in_body

    run_virtual(main())


def test_a_cdn_that_falls_ill_and_recovers_is_used_again() -> None:
    async def main() -> None:
        async with World() as world:
            await world.spoil("one", "503")
            async with world.viewer() as session:
                assert (await play(session, world.stream, numbers=range(4))).is_perfect
                world.origins["one"].fault = None
                await world.spoil("two", "503")
                assert (await play(session, world.stream, numbers=range(4, 8))).is_perfect

    run_virtual(main())


def test_with_every_cdn_broken_the_reader_gets_an_error_that_names_each_fault() -> None:
    async def main() -> None:
        async with World() as world:
            await world.spoil("one", "404")
            await world.spoil("two", "corrupt")
            async with world.viewer() as session:
                await session.playlist()
                with pytest.raises(NoSource, match=r"404.*hash|hash.*404"):
                    await read_whole(session, 0)
                assert story(await session.report(), 0).error

    run_virtual(main())


# -- without any hash


def test_a_resume_asks_for_the_same_etag() -> None:
    _, _, world = played("reset", hashes="none", first="one")
    (asked,) = [asked for asked in world.origins["two"].asked if asked.name == "s0.m4s"]
    assert asked.first_byte == AT
    assert asked.if_range is not None


@pytest.mark.parametrize(
    ("kind", "has_etags"),  # the same length and no ETag: nothing would tell them apart
    [("other", True), ("short", True), ("short", False), ("long", True), ("long", False)],
)
def test_without_hashes_bytes_of_another_version_are_never_mixed_in(kind: str, has_etags: bool) -> None:

    async def main() -> None:
        async with World(hashes="none") as world:
            await world.spoil("one", "reset")
            await world.spoil("two", kind)
            for origin in world.origins.values():
                origin.has_etags = has_etags
            async with world.viewer(first="one") as session:
                await session.playlist()
                came, error = await read_until_failure(session, 0)
                assert isinstance(error, NoSource)
                assert "changed" in str(error)
                assert came == world.stream.segments[0][:AT]

    run_virtual(main())


def test_without_hashes_the_report_says_unverified() -> None:
    _, report, _ = played("503", hashes="none")
    assert report.hashes == "none"
    assert {segment.verified for segment in report.segments} == {"unverified"}


# -- with the hashes of whole segments only


@pytest.mark.parametrize("kind", ["corrupt", "other"])
def test_with_segment_hashes_a_wrong_segment_never_completes(kind: str) -> None:
    async def main() -> None:
        async with World(hashes="segments") as world:
            await world.spoil("one", kind)
            async with world.viewer(first="one") as session:
                await session.playlist()
                came, error = await read_until_failure(session, 0)
                assert isinstance(error, WrongBytes)
                assert 0 < len(came) <= len(world.stream.segments[0]) - BLOCK_BYTES
                assert await read_whole(session, 0) == world.stream.segments[0]
                report = await session.report()
                assert source(report, "one").errors == {"hash": 1}
                assert story(report, 0).polluted

    run_virtual(main())


def test_with_segment_hashes_a_player_that_asks_again_sees_every_segment() -> None:
    async def main() -> None:
        async with World(hashes="segments") as world:
            await world.spoil("one", "corrupt")
            async with world.viewer(first="one") as session:
                shown = await play(session, world.stream, tries=2)
                assert shown.bodies == shown.wanted
                assert len(shown.errors) == 1
                assert shown.stall_us == 0

    run_virtual(main())


def test_with_segment_hashes_a_slow_reader_of_wrong_bytes_is_not_given_the_right_end() -> None:
    """It asks for more only after the segment was replaced by a right one."""

    async def main() -> None:
        async with World(hashes="segments") as world:
            await world.spoil("one", "other")
            async with world.viewer(first="one") as session:
                await session.playlist()
                slow = read_pieces(session, 0)
                assert await anext(slow) != b""
                await asyncio.sleep(10)
                assert await read_whole(session, 0) == world.stream.segments[0]
                with pytest.raises(WrongBytes):
                    await anext(slow)

    run_virtual(main())


def test_with_segment_hashes_one_cdn_streams_and_holds_the_end_back() -> None:
    async def main() -> None:
        async with World("one", hashes="segments") as world:
            await world.spoil("one", "stop", at=150_000)
            async with world.viewer() as session:
                await session.playlist()
                came, error = await read_until_failure(session, 0)
                assert isinstance(error, NoSource)
                assert len(came) == len(world.stream.segments[0]) - BLOCK_BYTES

    run_virtual(main())


def test_with_segment_hashes_bytes_of_a_second_source_wait_for_the_whole() -> None:
    async def main() -> None:
        async with World("one", "two", "three", hashes="segments") as world:
            await world.spoil("one", "reset", at=50_000)
            await world.spoil("two", "reset", at=120_000)
            await world.spoil("three", "stop", at=190_000)
            async with world.viewer(first="one") as session:
                await session.playlist()
                came, error = await read_until_failure(session, 0)
                assert isinstance(error, NoSource)
                assert len(came) <= 120_000  # of whichever source came first
                assert len(came) in {50_000, 120_000, len(world.stream.segments[0]) - BLOCK_BYTES}

    run_virtual(main())
