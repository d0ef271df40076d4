"""Every kind of bad peer, beside an honest one and a CDN, in virtual time: what it costs, and what is said of it.

In each cell every segment is delivered true to the byte and in time, what is held for the bad one and uploaded
to it stays within the limits, the report names it with the reason, no actor fails, and nothing is left open.
What each kind does is told in `impostor.py`.
"""

from __future__ import annotations

import tracemalloc
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

import msgspec
import pytest

from shoal.balancer.choking import Choking
from shoal.balancer.peer import PeerLimits
from shoal.balancer.report import SessionReport, SourceState
from shoal.runtime.testing import run_virtual

from .impostor import KINDS, Seen, impostor
from .origin import Stream
from .test_swarm import hold, holders
from .world import Shown, World, peers_used_bytes, play

UPLOAD_CAP = 131_072  # bytes a second
PIECE_BYTES = 65_536
VIEWER = "192.0.2.7"
# What one peer may make us hold: 4,096 unread messages, some 100 bytes each beside what they say.  What it holds itself
# is counted too, since it lives in the same process.
MEMORY_BYTES_MAX = 2 * 1024 * 1024


class Named(msgspec.Struct, frozen=True):
    """What the report has to say of it: its state, its errors, and words of the log."""

    state: str
    error: str | None = None
    log: str = ""


LEFT = "left"
TABLE = {
    # Scored: asked later and later, and left where it is.
    "silent": Named("suspect", "stalled", "after peer:{peer} (stalled)"),
    "slow": Named("suspect", None, "after peer:{peer} (slow)"),
    "absent": Named("suspect", "absent", "after peer:{peer} (absent)"),
    "unended": Named("suspect", "stalled", "after peer:{peer} (stalled)"),
    # Listened to less often, and scored as the silent one that it is.
    "chatter": Named("suspect", "stalled", "{peer} says more than the limits allow"),
    "asking": Named("suspect", "stalled", "{peer} says more than the limits allow"),
    "beyond": Named("suspect", "stalled", "{peer} says more than the limits allow"),
    "fickle": Named("suspect", "stalled", "{peer} says more than the limits allow"),
    # Cut.
    "leaves": Named(LEFT, "closed", "{peer} left: closed by the peer"),
    "boasting": Named(LEFT, "closed", "{peer} left: protocol: size: "),
    "flood": Named(LEFT, "closed", "{peer} left: the peer flooded: "),
    "greedy": Named(LEFT, "closed", "{peer} left: the peer flooded: "),
    "endless": Named(LEFT, "closed", "{peer} left: protocol: wire_command_too_large"),
    "oversized": Named(LEFT, "closed", "{peer} left: protocol: wire_message_too_large"),
    "noise": Named(LEFT, "closed", "{peer} left: protocol: unexpected_data"),
    "handshake": Named(LEFT, "closed", "{peer} left: protocol: unexpected_data"),
    "text": Named(LEFT, "closed", "{peer} left: protocol: unexpected_data"),
    # Banned.
    "wrong": Named("banned", "hash", "{peer} is banned: wrong bytes"),
    "short": Named("banned", "changed", "peer:{peer} is to blame (length) at media 0/"),
    "long": Named("banned", "changed", "{peer} is banned: wrong bytes"),
    # All its bytes are right, and they are all: nothing is missed.
    "unclosed": Named("healthy"),
}
NOBODY = "nobody"


class Cell(msgspec.Struct):
    shown: Shown
    report: SessionReport
    seen: Seen
    played_s: float
    most_bytes: int  # that were allocated at once
    pending: int  # descriptions that somebody might still answer, when all had left


@cache
def cell(kind: str) -> Cell:
    """A viewer that plays a video beside the honest one and the bad one; leaving the world checks what is left."""
    found: list[Cell] = []

    async def main() -> None:
        async with World("one", stream=Stream(segments=8, segment_s=2)) as world:
            async with AsyncExitStack() as stack:
                seen = Seen()
                if kind != NOBODY:
                    seen = await stack.enter_async_context(impostor(world, kind, victim=VIEWER))
                await holders(stack, world, 1)
                viewer = world.viewer(
                    "newcomer", in_swarm=True, address=VIEWER, upload_bytes_per_s=UPLOAD_CAP, log_viewers=True
                )
                session = await stack.enter_async_context(viewer)
                began_us = world.now_us()
                tracemalloc.start()
                try:
                    shown = await play(session, world.stream)
                    _, most_bytes = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                report = await session.report()
                played_s = (world.now_us() - began_us) / 1e6
            found.append(Cell(shown, report, seen, played_s, most_bytes, len(world.network.pending)))

    run_virtual(main())
    return found[0]


def bad_one(kind: str) -> SourceState:
    """It and the honest one are all the peers there are."""
    peers = [state for state in cell(kind).report.sources if state.name.startswith("peer:")]
    assert len(peers) == 2
    (found,) = [state for state in peers if state.name == f"peer:{cell(kind).seen.peer_id}"]
    return found


def test_every_kind_has_a_row() -> None:
    assert set(TABLE) == set(KINDS)


@pytest.mark.parametrize("kind", TABLE)
def test_beside_a_bad_peer_all_is_right_and_in_time_and_the_honest_one_is_used(kind: str) -> None:
    at_best = peers_used_bytes(cell(NOBODY).report)
    shown, report = cell(kind).shown, cell(kind).report
    assert shown.is_perfect, (shown.errors, shown.stall_us)
    assert {segment.verified for segment in report.segments} == {"blocks"}
    assert shown.startup_us <= 1.1 * cell(NOBODY).shown.startup_us
    assert peers_used_bytes(report) > 0.9 * at_best
    assert cell(kind).seen.channels
    assert not cell(kind).pending


@pytest.mark.parametrize("kind", TABLE)
def test_the_report_names_a_bad_peer_and_says_why(kind: str) -> None:
    named, state = TABLE[kind], bad_one(kind)
    assert state.state == named.state
    assert named.error is None or state.errors.get(named.error)
    log = cell(kind).report.log
    assert any(named.log.format(peer=cell(kind).seen.peer_id) in line for line in log), log


@pytest.mark.parametrize("kind", TABLE)
def test_a_bad_peer_costs_no_more_than_the_limits_allow(kind: str) -> None:
    here, state = cell(kind), bad_one(kind)
    assert here.most_bytes - cell(NOBODY).most_bytes < MEMORY_BYTES_MAX
    assert state.sent_bytes <= UPLOAD_CAP * here.played_s + 3 * PIECE_BYTES
    limit = PeerLimits().requests_per_second_max
    assert here.seen.answers <= limit * (here.played_s + 2)


@pytest.mark.parametrize("kind", ["asking", "beyond", "fickle"])
def test_who_asks_in_vain_is_answered_some_times_a_second(kind: str) -> None:
    here = cell(kind)
    limits, in_earnest = PeerLimits(), bad_one(kind).sent_bytes / (16 * 1024)
    vain = limits.vain_requests_per_second_max * here.played_s + limits.vain_requests_at_once_max
    assert here.seen.answers <= vain + in_earnest + 2, (here.seen.answers, vain, in_earnest)


def test_who_announces_everything_and_answers_nothing_is_taken_for_a_free_rider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused: list[str] = []

    class Noted:
        """Choking, which is compiled and cannot be changed, with an ear."""

        def __init__(self) -> None:
            self._choking = Choking()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._choking, name)

        def refused(self, peer: str) -> None:
            refused.append(peer)
            self._choking.refused(peer)

    monkeypatch.setattr("shoal.balancer.uploads.Choking", Noted)

    async def main() -> None:
        async with World("one") as world, impostor(world, "silent") as seen, world.viewer(in_swarm=True) as session:
            assert (await play(session, world.stream)).is_perfect
            assert refused
            assert set(refused) == {seen.peer_id}

    run_virtual(main())


@pytest.mark.parametrize("kind", ["noise", "short", "flood"])
def test_who_is_cut_for_breaking_the_protocol_and_comes_back_at_once_is_let_in_less_and_less_often(kind: str) -> None:
    async def main() -> None:
        async with World("one", stream=Stream(segments=60, segment_s=2)) as world, AsyncExitStack() as stack:
            bad = await stack.enter_async_context(impostor(world, kind, victim=VIEWER, returns=True))
            await holders(stack, world, 1)
            session = await stack.enter_async_context(world.viewer("newcomer", in_swarm=True, address=VIEWER))
            shown = await play(session, world.stream)
            report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert peers_used_bytes(report) > 0.8 * world.stream.byte_count
            assert len(bad.channels) <= 4

    run_virtual(main())


def test_who_asks_and_cancels_without_end_keeps_nobody_from_being_served() -> None:
    """A holder with an upload cap, and two that want something of it."""
    got: list[int] = []

    async def main() -> None:
        for kinds in ((), ("asking",)):
            async with World("one", stream=Stream(segments=12, segment_s=2)) as world, AsyncExitStack() as stack:
                holder = world.viewer("holder", in_swarm=True, address=VIEWER, upload_bytes_per_s=4 * UPLOAD_CAP)
                await hold(await stack.enter_async_context(holder), world)
                for kind in kinds:
                    await stack.enter_async_context(impostor(world, kind, victim=VIEWER))
                async with world.viewer("newcomer", in_swarm=True) as session:
                    shown = await play(session, world.stream)
                    got.append(peers_used_bytes(await session.report()))
                assert shown.is_perfect, (shown.errors, shown.stall_us)

    run_virtual(main())
    alone, beside = got
    assert beside > 0.4 * alone > 0, got
