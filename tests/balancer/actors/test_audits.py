"""A stream without hashes: peers are used, what they send is held against a CDN, and nothing else is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.model import ResourceKey
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from .origin import Fault, Stream
from .world import World, cdns_used_bytes, peers_used_bytes, play, read_whole, source

Tamper = Callable[[ResourceKey, bytes], bytes]


def all_wrong(key: ResourceKey, data: bytes) -> bytes:
    return bytes(byte ^ 0x55 for byte in data)


def a_third_wrong(key: ResourceKey, data: bytes) -> bytes:
    """The last third: leading bytes, and the length, tell nothing."""
    at = 2 * len(data) // 3
    return data[:at] + all_wrong(key, data[at:])


def cut_short(key: ResourceKey, data: bytes) -> bytes:
    return data[:-1000]


async def holder(stack: AsyncExitStack, world: World, name: str, tamper: Tamper | None = None) -> StreamSession:
    """A peer that holds the stream and offers it, though no hash vouches for it."""
    session = await stack.enter_async_context(world.viewer(name, in_swarm=True, tamper=tamper, announce_unaudited=True))
    await session.playlist()
    for number in range(len(world.stream.segments)):
        await read_whole(session, number)
    return session


def unhashed(*origins: str, segments: int = 8) -> World:
    return World(*origins, hashes="none", stream=Stream(segments=segments))


def audit_bytes(report: SessionReport) -> int:
    return sum(state.audit_bytes for state in report.sources)


def states(report: SessionReport) -> list[str]:
    return sorted(state.state for state in report.sources if state.name.startswith("peer:"))


def test_what_peers_sent_is_audited_for_a_fiftieth_of_its_bytes() -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            for name in ("one", "two", "three"):
                await holder(stack, world, f"peer-{name}")
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert peers_used_bytes(report) > 0.5 * world.stream.byte_count
            assert peers_used_bytes(report) + cdns_used_bytes(report) == world.stream.byte_count
            assert 0 < audit_bytes(report) <= 0.02 * peers_used_bytes(report)
            for story in report.segments:
                is_of_peers = any(part.source.startswith("peer:") for part in story.parts)
                assert story.verified == ("audited" if is_of_peers else "unverified")

    run_virtual(main())


@pytest.mark.parametrize("tamper", [all_wrong, cut_short])
def test_a_polluter_is_caught_at_its_first_segment_cut_and_banned(tamper: Tamper) -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            await holder(stack, world, "liar", tamper)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert states(report) == ["banned"]
            (polluted,) = [story for story in report.segments if story.polluted]
            assert polluted.verified == "unverified"  # it was had from a CDN instead
            assert polluted.parts[-1].source.startswith("cdn:")
            assert peers_used_bytes(report) == 0
            assert any("is banned: wrong bytes" in line for line in report.log)

    run_virtual(main())


def test_a_polluter_of_a_third_of_each_segment_is_caught_within_some_segments_and_the_honest_one_stays() -> None:
    async def main() -> None:
        async with unhashed(segments=24) as world, AsyncExitStack() as stack:
            await holder(stack, world, "liar", a_third_wrong)
            await holder(stack, world, "honest")
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream)
                report = await session.report()
            # A segment of the liar's passes with (2/3)^4 = 0.2, and seven in a row with 1e-5.
            assert states(report) == ["banned", "healthy"]
            served = [s for s in report.segments if any(part.outcome == "wrong" for part in s.parts)]
            assert len(served) == 1

    run_virtual(main())


@pytest.mark.parametrize("announces", [False, True])
def test_what_was_audited_is_offered_only_where_the_operator_says_so(announces: bool) -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            await holder(stack, world, "peer")
            auditing = await stack.enter_async_context(
                world.viewer("auditing", in_swarm=True, announce_audited=announces)
            )
            assert (await play(auditing, world.stream)).is_perfect
            before = await auditing.report()
            audited = sum(story.verified == "audited" for story in before.segments)
            assert 0 < audited < len(world.stream.segments)  # the rest came from CDNs, and nobody audited that
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream, numbers=range(2))
                await asyncio.sleep(20)
                report = await session.report()
            held = sorted(s.held_count or 0 for s in report.sources if s.name.startswith("peer:"))
            assert held == ([audited, 8] if announces else [0, 8])

    run_virtual(main())


@pytest.mark.parametrize("announces", ["announce_audited", "announce_unaudited"])
def test_what_came_from_cdns_alone_is_offered_by_seeds_alone(announces: str) -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            first = await stack.enter_async_context(world.viewer("first", in_swarm=True, **{announces: True}))
            assert (await play(first, world.stream)).is_perfect
            assert {story.verified for story in (await first.report()).segments} == {"unverified"}
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream)
                report = await session.report()
            (peer,) = [s for s in report.sources if s.name.startswith("peer:")]
            is_seed = announces == "announce_unaudited"
            assert (peer.held_count or 0) == (len(world.stream.segments) if is_seed else 0)
            assert (peers_used_bytes(report) > 0) == is_seed

    run_virtual(main())


def test_what_was_had_from_a_seed_and_audited_goes_on_when_the_seed_has_left() -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            second = await stack.enter_async_context(world.viewer("second", in_swarm=True, announce_audited=True))
            async with AsyncExitStack() as leaving:
                await holder(leaving, world, "seed")
                assert (await play(second, world.stream)).is_perfect
            async with world.viewer("newcomer", in_swarm=True) as session:
                assert (await play(session, world.stream)).is_perfect
                report = await session.report()
            assert peers_used_bytes(report) > 0

    run_virtual(main())


@pytest.mark.parametrize("kind", ["rangeless", "503", "reset", "cut", "stop"])
def test_where_no_cdn_audits_nothing_of_peers_is_used_and_nobody_is_blamed(kind: str) -> None:
    reason = {"rangeless": "rangeless", "503": "status", "stop": "timeout"}.get(kind, "truncated")

    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            await holder(stack, world, "peer")
            for origin in world.origins.values():
                origin.fault = Fault(kind, at=0, only_audits=True)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_right
            assert not shown.errors
            assert peers_used_bytes(report) == 0
            assert report.dropped[f"audit_{reason}"] >= 2
            assert "banned" not in states(report)
            if kind == "rangeless":  # both were asked once, and then peers were no source any more
                assert report.dropped["audit_rangeless"] == 2
                assert sum(s.transfer_count for s in report.sources if s.name.startswith("peer:")) <= 3

    run_virtual(main())


@pytest.mark.parametrize("kind", ["503", "stop", "rangeless"])
def test_a_cdn_that_does_not_audit_is_stood_in_for_by_another(kind: str) -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            await holder(stack, world, "peer")
            world.origins["one"].fault = Fault(kind, at=0, only_audits=True)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_right
            assert not shown.errors
            assert peers_used_bytes(report) > 0
            assert source(report, "two").audit_bytes > 0

    run_virtual(main())


def test_segments_too_small_to_be_audited_come_from_cdns_and_nobody_is_blamed() -> None:
    async def main() -> None:
        async with World(hashes="none", stream=Stream(segment_bytes=15_000)) as world, AsyncExitStack() as stack:
            await holder(stack, world, "peer")
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert peers_used_bytes(report) == audit_bytes(report) == 0
            (peer,) = [s for s in report.sources if s.name.startswith("peer:")]
            assert peer.state in {"new", "healthy"}
            assert peer.transfer_count <= 3  # those that were asked for before the first was refused

    run_virtual(main())


def test_with_hashes_nothing_is_audited() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await holder(stack, world, "peer")
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream)
                report = await session.report()
            assert peers_used_bytes(report) > 0
            assert audit_bytes(report) == 0
            assert {story.verified for story in report.segments} == {"blocks"}

    run_virtual(main())


def test_a_session_closed_in_the_middle_of_an_audit_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with unhashed() as world, AsyncExitStack() as stack:
            await holder(stack, world, "peer")
            for origin in world.origins.values():
                origin.fault = Fault("hang", only_audits=True)
            before = asyncio.all_tasks()
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream, numbers=range(1))
                while not any(origin.audits_spoiled for origin in world.origins.values()):
                    assert asyncio.get_running_loop().time() < 60
                    await asyncio.sleep(0.1)
                report = await session.report()
            assert not any(reason.startswith("audit_") for reason in report.dropped)  # it was still under way
            assert peers_used_bytes(report) == audit_bytes(report) == 0
            await asyncio.sleep(1)  # the tracker and the peer notice that it has gone
            assert asyncio.all_tasks() - before == set()
            assert world.tracker.core.statistics().peers == 1

    run_virtual(main())
