"""Peers of ours among themselves: ranges from several at once, refusals with a reason, other versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from shoal.app.session import StreamSession
from shoal.balancer.model import ResourceKey
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from .origin import SIDECAR, Stream
from .test_swarm import hold, peers_of
from .world import World, peers_used_bytes, play

# A segment of 4 s has 400 kB, and each holder sends 25 kB/s: alone it needs 16 s, four of them 4.
STREAM = Stream(segments=12, segment_bytes=400_000)
CAP = 25_000
SHORT = {"prefetch_us": 4_000_000, "prefetch_segments": 1}  # as near the edge of a live stream


async def slow_holders(
    stack: AsyncExitStack, world: World, tampers: list[Callable[[ResourceKey, bytes], bytes] | None]
) -> list[StreamSession]:
    found = []
    for number, tamper in enumerate(tampers):
        one = world.viewer(f"holder{number}", in_swarm=True, upload_bytes_per_s=CAP, tamper=tamper)
        found.append(await hold(await stack.enter_async_context(one), world))
    return found


def shared(report: SessionReport) -> list[int]:
    """Segments that came from more than one peer."""
    return [
        segment.number
        for segment in report.segments
        if len({part.source for part in segment.parts if part.source.startswith("peer:") and part.byte_count}) > 1
    ]


def test_a_segment_that_no_peer_alone_brings_in_time_comes_from_several() -> None:
    reports: list[SessionReport] = []

    async def main() -> None:
        async with World(stream=STREAM) as world, AsyncExitStack() as stack:
            await slow_holders(stack, world, [None] * 4)
            async with world.viewer("newcomer", in_swarm=True, **SHORT) as session:
                shown = await play(session, world.stream)
                reports.append(await session.report())
            assert shown.is_perfect, (shown.errors, shown.stall_us)

    run_virtual(main())
    assert shared(reports[0])
    assert peers_used_bytes(reports[0]) > 0.5 * STREAM.byte_count
    assert {segment.verified for segment in reports[0].segments} == {"blocks"}
    assert sum(state.wasted_bytes for state in reports[0].sources) < 0.02 * STREAM.byte_count


def test_polluters_among_several_are_named_by_their_blocks_and_the_others_go_on() -> None:
    reports: list[SessionReport] = []

    def wrong(key: ResourceKey, data: bytes) -> bytes:
        return bytes(byte ^ 1 for byte in data)

    async def main() -> None:
        async with World(stream=STREAM) as world, AsyncExitStack() as stack:
            await slow_holders(stack, world, [wrong, None, None, wrong])
            async with world.viewer("newcomer", in_swarm=True, **SHORT) as session:
                shown = await play(session, world.stream)
                reports.append(await session.report())
            assert shown.is_perfect, (shown.errors, shown.stall_us)

    run_virtual(main())
    states = [state.state for state in peers_of(reports[0]).values()]
    assert states.count("banned") == 2
    assert shared(reports[0])


def test_who_falls_silent_among_several_loses_its_range_to_another() -> None:
    reports: list[SessionReport] = []

    async def main() -> None:
        async with World(stream=STREAM) as world, AsyncExitStack() as stack:
            await slow_holders(stack, world, [None] * 3)
            async with world.viewer("newcomer", in_swarm=True, **SHORT) as session:
                playing = asyncio.create_task(play(session, world.stream))
                while not shared(await session.report()):
                    await asyncio.sleep(0.5)
                for name in ("holder0", "holder1"):  # one of two that send at once is among any two of three
                    world.network.clog(name, "newcomer")
                shown = await playing
                reports.append(await session.report())
            assert shown.is_perfect, (shown.errors, shown.stall_us)

    run_virtual(main())
    parts = [part for segment in reports[0].segments for part in segment.parts if part.source.startswith("peer:")]
    assert any(part.reason == "stalled" for part in parts)


def test_a_peer_that_has_another_version_says_so_and_is_not_asked_for_it() -> None:
    reports: list[SessionReport] = []

    async def main() -> None:
        async with World("one") as world, AsyncExitStack() as stack:
            await hold(await stack.enter_async_context(world.viewer("holder", in_swarm=True)), world)
            # The stream was made anew, under the same names.
            other = Stream(seed=2)
            world.document(SIDECAR, other.sidecar())
            world.origins["one"].files.update(other.files())
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, other)
                reports.append(await session.report())
            assert shown.is_perfect, (shown.errors, shown.stall_us)

    run_virtual(main())
    (peer,) = peers_of(reports[0]).values()
    assert (peer.state, peer.used_bytes, peer.wasted_bytes) == ("new", 0, 0)
    assert reports[0].dropped["peer_other_version"] == len(Stream(seed=2).segments)


def test_who_is_refused_for_now_takes_nobody_for_one_that_gives_nothing() -> None:
    """Four want of a holder that can help one at a time: three go elsewhere, and come again."""
    reports: list[SessionReport] = []

    async def main() -> None:
        async with World(stream=Stream(segments=10, segment_bytes=100_000)) as world, AsyncExitStack() as stack:
            capped = world.viewer("holder", in_swarm=True, upload_bytes_per_s=32_000)
            await hold(await stack.enter_async_context(capped), world)
            found = [
                await stack.enter_async_context(world.viewer(f"viewer{n}", in_swarm=True, upload=False))
                for n in range(6)
            ]
            shown = await asyncio.gather(*(play(viewer, world.stream) for viewer in found))
            assert all(one.is_perfect for one in shown), [(one.errors, one.stall_us) for one in shown]
            reports.extend([await viewer.report() for viewer in found])

    run_virtual(main())
    parts = [part for report in reports for segment in report.segments for part in segment.parts]
    assert any(part.reason == "busy" for part in parts)
    assert sum(peers_used_bytes(report) > 0 for report in reports) > 1
