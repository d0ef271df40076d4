"""Viewers help each other; what liars, silent ones and polluters do reaches nobody's player."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import Any

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.config import BalancerConfig
from shoal.balancer.integrity import sidecar
from shoal.balancer.model import ResourceKey
from shoal.balancer.report import SessionReport, SourceState
from shoal.runtime.testing import run_virtual
from shoal.transports.errors import NoAddress
from shoal.transports.memory import MemoryConnector, MemorySignaling

from .impostor import KINDS, LOUD, impostor
from .origin import SIDECAR, Stream
from .world import (
    World,
    cdns_used_bytes,
    peers_used_bytes,
    play,
    read_whole,
)


def polluting(key: ResourceKey, data: bytes) -> bytes:
    """One bit wrong in the second block of every segment."""
    return data[:70_000] + bytes([data[70_000] ^ 1]) + data[70_001:]


async def hold(session: StreamSession, world: World, numbers: range | None = None) -> StreamSession:
    """Make a viewer a peer that holds the stream."""
    await session.playlist()
    for number in numbers or range(len(world.stream.segments)):
        await read_whole(session, number)
    return session


async def holders(stack: AsyncExitStack, world: World, count: int) -> list[StreamSession]:
    found = [await stack.enter_async_context(world.viewer(f"peer{n}", in_swarm=True)) for n in range(count)]
    for session in found:
        await hold(session, world)
    return found


async def sent_bytes(session: StreamSession) -> int:
    return sum(state.sent_bytes for state in (await session.report()).sources)


def peers_of(report: SessionReport) -> dict[str, SourceState]:
    return {state.name: state for state in report.sources if state.name.startswith("peer:")}


def test_a_viewer_gets_most_bytes_from_three_peers_that_hold_the_stream() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await holders(stack, world, 3)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert peers_used_bytes(report) > 0.6 * world.stream.byte_count
            assert peers_used_bytes(report) + cdns_used_bytes(report) == world.stream.byte_count
            assert {segment.verified for segment in report.segments} == {"blocks"}

    run_virtual(main())


def test_what_peers_sent_is_counted_on_both_sides() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            found = await holders(stack, world, 2)
            before = [await sent_bytes(peer) for peer in found]
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream)
                received = peers_used_bytes(await session.report())
            assert sum([await sent_bytes(peer) for peer in found]) - sum(before) == received > 0

    run_virtual(main())


def test_with_segment_hashes_alone_peers_are_used_and_their_bytes_wait_for_the_whole() -> None:
    async def main() -> None:
        async with World(hashes="segments") as world, AsyncExitStack() as stack:
            await holders(stack, world, 3)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert peers_used_bytes(report) > 0.6 * world.stream.byte_count
            assert report.hashes == "segments"

    run_virtual(main())


def test_without_hashes_and_audits_nobody_joins_a_swarm_and_no_peer_is_asked() -> None:
    async def main() -> None:
        async with World(hashes="none") as world, AsyncExitStack() as stack:
            for name in ("peer0", "peer1"):
                await hold(await stack.enter_async_context(world.viewer(name, in_swarm=True, audit=False)), world)
            async with world.viewer("newcomer", in_swarm=True, audit=False) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect
            assert world.tracker.opened == 0
            assert not peers_of(report)
            assert any("no hashes were found" in line for line in report.log)

    run_virtual(main())


def test_hashes_that_come_late_bring_peers_in() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await holders(stack, world, 2)
            for origin in world.origins.values():
                origin.document_faults[SIDECAR] = "503"
            async with world.viewer("newcomer", in_swarm=True) as session:
                assert (await play(session, world.stream, numbers=range(1))).is_perfect
                assert not peers_of(await session.report())
                for origin in world.origins.values():
                    del origin.document_faults[SIDECAR]
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect
            assert peers_used_bytes(report) > 0

    run_virtual(main())


def test_a_segment_that_the_hashes_do_not_name_is_neither_announced_nor_asked_of_peers() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            names = ["init.mp4", *world.stream.names[:5]]
            files = world.stream.files()
            world.document(SIDECAR, sidecar((name, files[name]) for name in names))
            await holders(stack, world, 2)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect
            assert {peer.held_count for peer in peers_of(report).values()} == {5}
            for one in report.segments:
                assert one.verified == ("blocks" if one.number < 5 else "unverified")
                if one.number >= 5:
                    assert all(part.source.startswith("cdn:") for part in one.parts)

    run_virtual(main())


# -- polluters


def test_a_polluter_is_caught_and_banned_and_nothing_wrong_is_shown() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            liar = await stack.enter_async_context(world.viewer("liar", in_swarm=True, tamper=polluting))
            await hold(liar, world)
            await holders(stack, world, 1)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            states = sorted(state.state for state in peers_of(report).values())
            assert len(states) == 2
            assert states[0] == "banned"
            assert any("wrong bytes from peer-" in line for line in report.log)
            polluted = [one for one in report.segments if one.polluted]
            assert len(polluted) == 1  # caught at its first wrong block, it is asked no more
            assert all(one.verified == "blocks" for one in polluted)

    run_virtual(main())


def test_with_segment_hashes_a_polluter_is_caught_as_well() -> None:
    async def main() -> None:
        async with World(hashes="segments") as world, AsyncExitStack() as stack:
            liar = await stack.enter_async_context(world.viewer("liar", in_swarm=True, tamper=polluting))
            await hold(liar, world)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert [state.state for state in peers_of(report).values()] == ["banned"]

    run_virtual(main())


def test_the_honest_peer_behind_the_polluters_address_stays_and_is_used() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            liar = await stack.enter_async_context(
                world.viewer("liar", in_swarm=True, tamper=polluting, address="203.0.113.9")
            )
            await hold(liar, world)
            honest = await stack.enter_async_context(world.viewer("honest", in_swarm=True, address="203.0.113.9"))
            await hold(honest, world)
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect
            # At the address of a banned one it is on probation: one segment at a time.
            used = {state.state: state.used_bytes for state in peers_of(report).values()}
            assert used["probation"] > 0.4 * world.stream.byte_count

    run_virtual(main())


def test_a_polluter_that_comes_back_with_its_certificate_is_not_asked_again() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack, world.viewer("newcomer", in_swarm=True) as session:
            async with world.viewer("liar", in_swarm=True, tamper=polluting) as liar:
                await hold(liar, world)
                assert (await play(session, world.stream, numbers=range(4))).is_perfect
            banned = peers_of(await session.report())
            assert [state.state for state in banned.values()] == ["banned"]
            # Another peer id, on the same host: the same certificate.
            again = await stack.enter_async_context(world.viewer("LIAR", in_swarm=True, tamper=polluting))
            await hold(again, world)
            await asyncio.sleep(20)
            assert (await play(session, world.stream, numbers=range(4, 8))).is_perfect
            report = await session.report()
            assert sum(one.polluted for one in report.segments) == 1
            assert sum("is banned" in line for line in report.log) == 1
            assert report.dropped["banned_peer"] >= 1

    run_virtual(main())


def test_a_banned_peer_that_stays_in_the_swarm_is_not_connected_to_again() -> None:
    async def main() -> None:
        async with World() as world, world.viewer("newcomer", in_swarm=True) as session:
            async with world.viewer("liar", in_swarm=True, tamper=polluting) as liar:
                await hold(liar, world)
                assert (await play(session, world.stream)).is_perfect
                await asyncio.sleep(60)  # six announces of each, with offers to the other
                report = await session.report()
            assert [state.state for state in peers_of(report).values()] == ["banned"]
            assert "banned_peer" not in report.dropped
            assert report.dropped["tracker_banned"] >= 2

    run_virtual(main())


def test_a_polluter_that_comes_back_as_somebody_else_delivers_nothing_wrong() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack, world.viewer("newcomer", in_swarm=True) as session:
            for place, name in enumerate(("liar1", "liar2", "liar3")):
                async with world.viewer(name, in_swarm=True, tamper=polluting) as liar:
                    await hold(liar, world)
                    numbers = range(2 * place, 2 * place + 2)
                    assert (await play(session, world.stream, numbers=numbers)).is_perfect
                    await asyncio.sleep(12)
            await holders(stack, world, 1)
            assert (await play(session, world.stream, numbers=range(6, 8))).is_perfect
            report = await session.report()
            assert all(one.verified == "blocks" for one in report.segments)

    run_virtual(main())


def test_nothing_that_was_wrong_is_passed_on() -> None:
    """The middle one has only a polluter to get it from besides the CDN, and is the last one's only peer."""

    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack, world.viewer("middle", in_swarm=True) as middle:
            async with world.viewer("liar", in_swarm=True, tamper=polluting) as liar:
                await hold(liar, world)
                assert (await play(middle, world.stream)).is_perfect
                assert any(one.polluted for one in (await middle.report()).segments)
            last = await stack.enter_async_context(world.viewer("last", in_swarm=True))
            assert (await play(last, world.stream)).is_perfect
            report = await last.report()
            assert not any(one.polluted for one in report.segments)
            assert peers_used_bytes(report) > 0

    run_virtual(main())


def test_peers_that_met_at_one_tracker_do_not_connect_again_at_another() -> None:
    async def main() -> None:
        async with World(trackers=("tracker", "tracker-2")) as world, AsyncExitStack() as stack:
            _, second = world.trackers
            await second.stop()
            found = await holders(stack, world, 2)
            second.start()
            await asyncio.sleep(120)  # until they have tried it again, and some intervals more
            for session in found:
                report = await session.report()
                assert len(peers_of(report)) == 1
                assert report.dropped["tracker_duplicate"] > 0
                assert "peer_already_connected" not in report.dropped
            assert [tracker.core.statistics().peers for tracker in world.trackers] == [2, 2]

    run_virtual(main())


def test_that_nobody_can_connect_stands_in_the_log_once_however_often_it_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    async def nowhere(_: MemoryConnector, text: str) -> Any:
        tried.append(text)
        raise NoAddress("give a server")

    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            (first,) = await holders(stack, world, 1)
            monkeypatch.setattr(MemoryConnector, "offer", nowhere)
            monkeypatch.setattr(MemoryConnector, "answer", nowhere)
            await asyncio.sleep(600)  # announces come and go
            report = await first.report()
            assert len(tried) > 3
            (said,) = [line for line in report.log if "give a server" in line]
            assert said.endswith(" no peer can be met: give a server")

    run_virtual(main())


# -- peers that are of no use


@pytest.mark.parametrize("kind", sorted({*KINDS} - LOUD - {"unclosed"}))  # all that the last one sends is of use
def test_a_peer_of_no_use_costs_no_byte_and_no_stall(kind: str) -> None:
    async def main() -> None:
        async with World() as world, impostor(world, kind) as seen:
            async with world.viewer(in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert seen.channels
            assert seen.asked
            assert peers_used_bytes(report) < 0.5 * world.stream.byte_count

    run_virtual(main())


def test_a_peer_that_leaves_in_the_middle_is_gone_on_from_at_its_byte() -> None:
    async def main() -> None:
        async with World() as world, impostor(world, "leaves"), world.viewer(in_swarm=True) as session:
            shown = await play(session, world.stream)
            report = await session.report()
            assert shown.is_perfect
            broken = [
                (one, place)
                for one in report.segments
                for place, part in enumerate(one.parts)
                if part.source.startswith("peer:") and part.byte_count
            ]
            assert broken
            for one, place in broken:
                assert one.parts[place + 1].first_byte == one.parts[place].byte_count

    run_virtual(main())


# -- trackers


def test_a_tracker_that_is_down_costs_nothing_but_the_peers() -> None:
    async def main() -> None:
        async with World() as world:
            await world.tracker.stop()
            async with world.viewer(in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect
            assert any("tracker" in line and "nobody listens" in line for line in report.log)
            world.tracker.start()

    run_virtual(main())


def test_a_tracker_that_comes_back_brings_the_peers() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await world.tracker.stop()
            await holders(stack, world, 1)
            async with world.viewer("newcomer", in_swarm=True) as session:
                assert (await play(session, world.stream, numbers=range(2))).is_perfect
                assert not peers_of(await session.report())
                world.tracker.start()
                await asyncio.sleep(70)  # tracker_retry_us_max, and a moment
                assert (await play(session, world.stream, numbers=range(2, 8))).is_perfect
                assert peers_used_bytes(await session.report()) > 0

    run_virtual(main())


def test_a_tracker_that_is_down_is_tried_less_and_less_often_and_not_by_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried_s: dict[MemorySignaling, list[float]] = {}
    connect = MemorySignaling.connect

    async def noted(self: MemorySignaling, url: str) -> Any:
        tried_s.setdefault(self, []).append(asyncio.get_running_loop().time())
        return await connect(self, url)

    monkeypatch.setattr(MemorySignaling, "connect", noted)

    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await world.tracker.stop()
            for name in ("one", "other"):
                session = await stack.enter_async_context(world.viewer(name, in_swarm=True))
                await play(session, world.stream, numbers=range(1))
            await asyncio.sleep(300)

    run_virtual(main())
    config = BalancerConfig()
    first_s, most_s = config.tracker_retry_us / 1e6, config.tracker_retry_us_max / 1e6
    waits = [[after - before for before, after in itertools.pairwise(times)] for times in tried_s.values()]
    for viewer in waits:
        limit_s = first_s
        for wait_s in viewer:
            assert limit_s / 2 <= wait_s <= limit_s + 1  # what it takes to be refused
            limit_s = min(2 * limit_s, most_s)
        assert limit_s == most_s
    one, other = waits
    assert all(abs(a - b) > 1e-3 for a, b in zip(one, other, strict=False))


def test_a_tracker_that_refuses_is_noted_and_costs_nothing() -> None:
    async def main() -> None:
        async with World(tracker_refuses=True) as world, world.viewer(in_swarm=True) as session:
            assert (await play(session, world.stream)).is_perfect
            assert any("not here" in line for line in (await session.report()).log)

    run_virtual(main())


@pytest.mark.parametrize("after_s", [0.3, 2.0, 4.4, 7.0])
def test_peers_that_fall_silent_all_at_once_cost_no_stall(after_s: float) -> None:
    """No channel breaks: nothing passes any more, and nobody is told."""

    async def main() -> None:
        async with World(stream=Stream(segments=12)) as world, AsyncExitStack() as stack:
            await holders(stack, world, 3)
            async with world.viewer("newcomer", in_swarm=True) as session:
                playing = asyncio.ensure_future(play(session, world.stream))
                await asyncio.sleep(after_s)
                world.network.partition(["newcomer"], ["peer0", "peer1", "peer2"])
                shown = await playing
                errors = {reason for peer in peers_of(await session.report()).values() for reason in peer.errors}
                world.network.heal()
            assert shown.is_perfect, shown.stall_us
            assert "stalled" in errors

    run_virtual(main())


def test_a_session_ends_soon_though_tracker_and_peers_have_fallen_silent() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await holders(stack, world, 2)
            async with world.viewer("newcomer", in_swarm=True) as session:
                assert (await play(session, world.stream, numbers=range(2))).is_perfect
                world.network.partition(["newcomer"], ["tracker", "peer0", "peer1", "one", "two"])
                began_us = world.now_us()
            assert world.now_us() - began_us < 12_000_000
            world.network.heal()

    run_virtual(main())


def test_first_viewers_share_the_work_of_bringing_a_segment_in() -> None:
    """Three viewers begin together: the CDNs serve less than three times the stream."""

    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(world.viewer(f"viewer{n}", in_swarm=True)) for n in range(3)]
            shown = await asyncio.gather(*(play(session, world.stream) for session in sessions))
            assert all(one.is_perfect for one in shown)
            served = sum(origin.sent_bytes for origin in world.origins.values())
            assert served < 2.5 * world.stream.byte_count

    run_virtual(main())


@pytest.mark.parametrize(
    ("of_holders", "of_newcomer", "uses_peers"),
    [
        ({"upload": False}, {}, False),
        ({}, {"upload": False}, True),
        ({}, {"metered": True}, False),
        ({"metered": True}, {}, False),
        ({}, {"swarm_viewers_min": 10}, False),
        ({}, {"swarm_viewers_min": 3}, True),
    ],
)
def test_who_may_share_what_is_as_configured(
    of_holders: dict[str, Any], of_newcomer: dict[str, Any], *, uses_peers: bool
) -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            for number in range(3):
                holder = world.viewer(f"peer{number}", in_swarm=True, **of_holders)
                await hold(await stack.enter_async_context(holder), world)
            async with world.viewer("newcomer", in_swarm=True, **of_newcomer) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert (peers_used_bytes(report) > 0) is uses_peers

    run_virtual(main())


CAP = 131_072  # without it they are sent a tenth more


def test_an_upload_cap_holds_for_all_peers_together() -> None:
    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            holder = world.viewer("holder", in_swarm=True, upload_bytes_per_s=CAP)
            one = await hold(await stack.enter_async_context(holder), world)
            before, began_s = await sent_bytes(one), asyncio.get_running_loop().time()
            viewers = [
                await stack.enter_async_context(world.viewer(f"viewer{n}", in_swarm=True, upload=False))
                for n in range(3)
            ]
            await asyncio.gather(*(play(viewer, world.stream) for viewer in viewers))
            sent = await sent_bytes(one) - before
            assert 0 < sent <= CAP * (asyncio.get_running_loop().time() - began_s) + 3 * 65_536

    run_virtual(main())


def counted(world: World) -> tuple[int, int]:
    """How many peers hold everything, and how many do not, as the tracker counts the one swarm."""
    core = world.tracker.core
    (info_hash,) = core.swarms()
    shown = core.shown(info_hash, 0)
    assert shown is not None
    return shown.complete, shown.incomplete


def test_a_tracker_is_told_when_a_viewer_holds_the_whole_stream() -> None:
    async def main() -> None:
        async with World() as world, world.viewer("seed", in_swarm=True) as seed, world.viewer(in_swarm=True) as other:
            await hold(seed, world, range(1))
            await hold(other, world, range(1))
            await asyncio.sleep(5)
            assert counted(world) == (0, 2)
            announces = world.tracker.core.statistics().announces
            await hold(seed, world)
            await asyncio.sleep(1)
            assert counted(world) == (1, 1), "at once, and not with the next announce"
            assert world.tracker.core.statistics().announces <= announces + 3
            await asyncio.sleep(60)
            assert counted(world) == (1, 1), "each announce says it again"

    run_virtual(main())


def test_who_uploads_nothing_or_has_let_something_go_is_no_seed() -> None:
    async def main() -> None:
        async with World() as world:
            half = world.stream.byte_count // 2
            for settings in ({"upload": False}, {"store_bytes_max": half}):
                async with world.viewer(in_swarm=True, **settings) as viewer:
                    await hold(viewer, world)
                    await asyncio.sleep(20)
                    assert counted(world) == (0, 1), settings

    run_virtual(main())
