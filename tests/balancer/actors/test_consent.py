"""Peers only while the viewer agrees: before and after that no tracker hears of it, and no address is gathered."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from shoal.app.session import StreamSession
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from .test_swarm import holders
from .world import World, peers_used_bytes, play


def peers_here(report: SessionReport) -> int:
    return sum(s.name.startswith("peer:") and s.state not in {"left", "banned"} for s in report.sources)


async def sent_bytes(session: StreamSession) -> int:
    return sum(source.sent_bytes for source in (await session.report()).sources)


def test_before_the_viewer_agrees_no_tracker_is_asked_and_no_address_is_gathered() -> None:
    async def main() -> None:
        async with World() as world, world.viewer(in_swarm=True, are_peers_allowed=False) as session:
            assert (await play(session, world.stream)).is_perfect
            assert world.tracker.opened == 0
            assert not world.network.pending  # nobody made a description of a connection
            assert peers_here(await session.report()) == 0

    run_virtual(main())


def test_from_consent_on_peers_are_met_and_used() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await holders(stack, world, 2)
            async with world.viewer("newcomer", in_swarm=True, are_peers_allowed=False) as session:
                assert (await play(session, world.stream, numbers=range(2))).is_perfect
                assert peers_here(await session.report()) == 0
                await session.allow_peers(allowed=True)
                shown = await play(session, world.stream, numbers=range(2, 8))
                report = await session.report()
            assert shown.is_perfect
            assert peers_used_bytes(report) > 0

    run_virtual(main())


def test_when_the_viewer_withdraws_it_is_gone_from_tracker_and_peers_and_plays_on() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            (peer,) = await holders(stack, world, 1)
            async with world.viewer("newcomer", in_swarm=True) as session:
                assert (await play(session, world.stream, numbers=range(3))).is_perfect
                assert peers_here(await session.report()) == 1
                await session.allow_peers(allowed=False)
                used = peers_used_bytes(await session.report())
                assert peers_here(await session.report()) == 0
                shown = await play(session, world.stream, numbers=range(3, 8))
                await asyncio.sleep(30)  # three announces of whoever is left
                report = await session.report()
                assert peers_here(await peer.report()) == 0
                assert world.tracker.core.statistics().peers == 1
            assert shown.is_perfect
            assert peers_used_bytes(report) == used

    run_virtual(main())


def test_consent_withdrawn_in_the_middle_of_a_transfer_costs_no_byte_and_an_upload_ends() -> None:
    async def main() -> None:
        async with World(bytes_per_s=200_000) as world, AsyncExitStack() as stack:
            (peer,) = await holders(stack, world, 1)
            async with world.viewer("newcomer", in_swarm=True) as session:
                playing = asyncio.create_task(play(session, world.stream))
                before = await sent_bytes(peer)
                while not any(
                    part.outcome == "running" and part.source.startswith("peer:") and part.byte_count
                    for story in (await session.report()).segments
                    for part in story.parts
                ):
                    await asyncio.sleep(0.05)
                await peer.allow_peers(allowed=False)
                sent = await sent_bytes(peer)
                shown = await playing
                assert await sent_bytes(peer) == sent >= before
                assert world.tracker.core.statistics().peers == 1
            assert shown.is_right
            assert not shown.errors

    run_virtual(main())


def test_consent_may_be_given_and_withdrawn_again_and_again() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await holders(stack, world, 1)
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream, numbers=range(1))
                for allowed in (False, False, True, True, False, True):
                    await session.allow_peers(allowed=allowed)
                await asyncio.sleep(12)  # one announce, and the connection
                assert peers_here(await session.report()) == 1
                assert world.tracker.core.statistics().peers == 2
                assert (await play(session, world.stream, numbers=range(1, 8))).is_perfect

    run_virtual(main())
