"""Streams of which some segments have a hash and others have none, or none yet: each is trusted as far as it can be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shoal.app.session import StreamSession
from shoal.balancer.actors import messages as m
from shoal.balancer.actors.trust import Trust
from shoal.balancer.audited_assembly import AuditedAssembly
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import WrongBytes
from shoal.balancer.integrity import Sidecar
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual
from shoal.transports.memory import MemoryShelf

from ...effort import EFFORT
from .origin import SIDECAR, Stream
from .test_audits import all_wrong, audit_bytes, holder, states
from .test_live import WINDOW, on_air, watch
from .world import World, peers_used_bytes, play, read_pieces, read_whole

FOLDER = "http://one/v/"


def peertube(stream: Stream, numbers: Iterable[int]) -> bytes:
    """The hashes of these segments, as a live PeerTube publishes them."""
    hashes = {stream.names[number]: hashlib.sha256(stream.segments[number]).hexdigest() for number in numbers}
    return json.dumps(hashes).encode()


def verified(report: SessionReport) -> dict[int, str]:
    return {story.number: story.verified for story in report.segments if story.kind == "media"}


# --- what vouches, segment by segment ---------------------------------------

NAMES = [f"s{number}.m4s" for number in range(6)]
KINDS = {"ours": 0, "peertube": 1}


def document(names: Iterable[str], kind: str) -> bytes:
    sha256 = "ab" * 32
    if kind == "peertube":
        return json.dumps(dict.fromkeys(names, sha256)).encode()
    files = {name: {"bytes": 3, "sha256": sha256} for name in names}
    return json.dumps({"version": 1, "block_bytes": 65536, "files": files}).encode()


def trust_of(config: BalancerConfig) -> Trust:
    parts: Any = SimpleNamespace(config=config, random_bytes=random.Random(1).randbytes)
    return Trust(parts, SimpleNamespace(tell=lambda _: None))  # type: ignore[arg-type]


@settings(max_examples=60 * EFFORT, deadline=None)
@given(
    sidecars=st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sampled_from(sorted(KINDS))), max_size=4),
    is_answered=st.booleans(),
    audit=st.booleans(),
    announces=st.sampled_from([(), ("announce_audited",), ("announce_unaudited",)]),
    begun=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(NAMES)), max_size=4),
)
@example([({NAMES[0]}, "peertube"), ({NAMES[0], NAMES[1]}, "peertube")], True, True, (), [(0, NAMES[1]), (1, NAMES[1])])
def test_each_segment_has_its_hash_else_an_audit_else_cdns_alone(
    sidecars: list[tuple[set[str], str]],
    is_answered: bool,
    audit: bool,
    announces: tuple[str, ...],
    begun: list[tuple[int, str]],
) -> None:
    """`begun` says after how many sidecars the assembly of which segment begins."""
    trust = trust_of(BalancerConfig(audit=audit, **dict.fromkeys(announces, True)))
    under_way: dict[str, Any] = {}
    known: set[str] = set()
    is_settled = False
    for step in range(len(sidecars) + 1):
        if step:
            known, kind = sidecars[step - 1]
            trust.know(m.HashesKnown(Sidecar.parse(document(known, kind), FOLDER + SIDECAR)))
            is_settled = True
        elif is_answered:
            trust.know(m.HashesAbsent())
            is_settled = True
        for number, name in enumerate(NAMES):
            segment = Segment(key=ResourceKey(0, Kind.MEDIA, number), uri=FOLDER + name)
            fresh = trust.assembly(segment)
            expected = "segment" if name in known else "audited" if audit and is_settled else "unverified"
            as_begun = {"segment": (True, False), "audited": (False, True), "unverified": (False, False)}
            listed = trust.listed(segment)
            assert (listed.is_hashed, listed.is_audited) == as_begun[expected]
            assert (fresh.verified == "segment") == (expected == "segment")
            assert isinstance(fresh, AuditedAssembly) == (expected == "audited")
            # Nobody's bytes are taken that nothing can tell from wrong ones.
            assert fresh._may_take("peer:p") == (expected != "unverified")
            if (step, name) in begun and name not in under_way:
                under_way[name] = (fresh, as_begun[expected])
            if name in under_way:  # the policy goes on knowing it as it began
                assembly, flags = under_way[name]
                listed = trust.listed(segment, assembly)
                assert (listed.is_hashed, listed.is_audited) == flags
            assert trust.is_shareable(segment.key, "segment")
            assert trust.is_shareable(segment.key, "unverified") == (
                audit and is_settled and announces == ("announce_unaudited",)
            )
            assert trust.is_shareable(segment.key, "audited") == (audit and is_settled and bool(announces))
        assert trust.allows_peers == (bool(step) or (audit and is_settled))


# --- a sidecar that has some ------------------------------------------------


@pytest.mark.parametrize("audit", [True, False])
def test_where_a_sidecar_has_some_segments_those_are_verified_and_the_others_audited(audit: bool) -> None:
    hashed = {0, 1, 4, 6}

    async def main() -> None:
        async with World(stream=Stream(segments=12)) as world, AsyncExitStack() as stack:
            world.document(SIDECAR, peertube(world.stream, hashed))
            await holder(stack, world, "peer-one")
            await holder(stack, world, "peer-two")
            async with world.viewer("newcomer", in_swarm=True, audit=audit) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            of_peers = {
                story.number
                for story in report.segments
                if any(part.source.startswith("peer:") for part in story.parts)
            }
            assert of_peers & hashed
            for number, how in verified(report).items():
                without = "audited" if number in of_peers else "unverified"
                assert how == ("segment" if number in hashed else without), number
            if audit:
                assert of_peers - hashed
                assert 0 < audit_bytes(report) <= 0.02 * peers_used_bytes(report)
            else:
                assert of_peers <= hashed
                assert audit_bytes(report) == 0

    run_virtual(main())


@pytest.mark.parametrize("hashed", [range(12), range(0)])
def test_a_liar_is_caught_by_a_hash_or_by_an_audit_whichever_its_first_segment_has(hashed: range) -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=12)) as world, AsyncExitStack() as stack:
            world.document(SIDECAR, peertube(world.stream, hashed))
            await holder(stack, world, "liar", all_wrong)
            await holder(stack, world, "honest")
            async with world.viewer("newcomer", in_swarm=True) as session:
                shown = await play(session, world.stream)
                report = await session.report()
            assert shown.is_perfect, (shown.errors, shown.stall_us)
            assert states(report) == ["banned", "healthy"]
            (liar,) = [state for state in report.sources if state.state == "banned"]
            assert liar.errors.keys() == {"hash" if hashed else "audit"}
            assert peers_used_bytes(report) > 0

    run_virtual(main())


def test_only_what_a_hash_vouches_for_is_announced() -> None:
    hashed = {0, 1, 4, 6}

    async def main() -> None:
        async with World(stream=Stream(segments=12)) as world, AsyncExitStack() as stack:
            world.document(SIDECAR, peertube(world.stream, hashed))
            await holder(stack, world, "seed")
            middle = await stack.enter_async_context(world.viewer("middle", in_swarm=True))
            assert (await play(middle, world.stream)).is_perfect
            assert "audited" in verified(await middle.report()).values()
            async with world.viewer("newcomer", in_swarm=True) as session:
                await play(session, world.stream, numbers=range(2))
                await asyncio.sleep(20)
                report = await session.report()
            held = sorted(s.held_count or 0 for s in report.sources if s.name.startswith("peer:"))
            assert held == [len(hashed), 12]

    run_virtual(main())


# --- a sidecar that grows ---------------------------------------------------


NEVER_S = 1e9


@settings(max_examples=6 * EFFORT, deadline=None)
@given(lags_s=st.lists(st.sampled_from([0.0, 1.0, 5.0, 13.0, NEVER_S]), min_size=14, max_size=14))
@example(lags_s=[0.0, 5.0] * 7)
@example(lags_s=[NEVER_S] * 7 + [0.0] * 7)
def test_while_hashes_come_one_by_one_nothing_wrong_is_used_and_nothing_unverified_announced(
    lags_s: list[float],
) -> None:
    """A live stream whose hashes follow their segments sooner, later or never, and of whose peers one lies."""
    count = len(lags_s)

    async def main() -> None:
        async with on_air(segments=count) as (world, broadcast), AsyncExitStack() as stack:
            publishing = asyncio.ensure_future(publish(world, broadcast, lags_s))
            stack.callback(publishing.cancel)
            sessions = {
                name: await stack.enter_async_context(
                    world.viewer(
                        name,
                        in_swarm=True,
                        tamper=all_wrong if name == "liar" else None,
                        announce_unaudited=name != "newcomer",
                    )
                )
                for name in ("liar", "honest", "newcomer")
            }
            for one in await asyncio.gather(*(watch(session, until=count - 3) for session in sessions.values())):
                assert one.bodies == {number: world.stream.segments[number] for number in one.bodies}
                assert max(one.bodies) >= count - 3
            async with world.viewer("observer", in_swarm=True) as observer:
                newest = (await observer.playlist(0)).segments[-1].key
                await read_whole(observer, newest)
                await asyncio.sleep(20)
                seen = await observer.report()
                reports = {name: await session.report() for name, session in sessions.items()}
            for report in reports.values():
                for number, how in verified(report).items():
                    if lags_s[number] == NEVER_S:
                        assert how in {"audited", "unverified"}
                    elif number >= WINDOW and lags_s[number] == 0.0:
                        assert how == "segment", number
            # Who was not told to offer what no hash vouches for offers what one does, and that alone.
            held = sorted(state.held_count or 0 for state in seen.sources if state.name.startswith("peer:"))
            offered = [len(verified(reports[name])) for name in ("liar", "honest")]
            assert held == sorted([*offered, list(verified(reports["newcomer"]).values()).count("segment")])
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    run_virtual(main())


async def publish(world: World, broadcast: Any, lags_s: list[float]) -> None:
    """Each hash so long after its segment is listed; those of what has left the window are taken away."""
    loop, step_s = asyncio.get_running_loop(), world.stream.segment_s
    began_s, count = loop.time(), len(lags_s)
    while True:
        due_s = [max(0, number - WINDOW + 1) * step_s + lag_s for number, lag_s in enumerate(lags_s)]
        out = [number for number in range(broadcast.first, count) if due_s[number] <= loop.time() - began_s]
        world.document(SIDECAR, peertube(world.stream, out))
        await asyncio.sleep(0.25)


def test_hashes_that_follow_their_segments_are_used_as_they_come_and_peers_besides() -> None:
    """PeerTube has the hash of a segment when the next one begins; its file is empty at first."""

    async def main() -> None:
        async with on_air(segments=16) as (world, broadcast), AsyncExitStack() as stack:
            world.document(SIDECAR, b"{}")
            before = type(broadcast).publish

            def publish_all_but_the_newest() -> None:
                before(broadcast)
                world.document(SIDECAR, peertube(world.stream, range(broadcast.first, broadcast.first + WINDOW - 1)))

            broadcast.publish = publish_all_but_the_newest
            names = ("one", "other", "third")
            sessions = [await stack.enter_async_context(world.viewer(name, in_swarm=True)) for name in names]
            for seen in await asyncio.gather(*(watch(session, until=12) for session in sessions)):
                assert seen.bodies == {number: world.stream.segments[number] for number in seen.bodies}
                assert set(seen.bodies) >= set(range(13))
            reports = [await session.report() for session in sessions]
            for report in reports:
                assert "\n".join(report.log).count("newer hashes did not come; of segments without one peers are") == 1
            hows = {how for report in reports for how in verified(report).values()}
            assert "segment" in hows
            assert "unverified" in hows  # who is first at the newest has no hash of it yet

    run_virtual(main())


def test_a_segment_that_begins_when_its_hash_is_there_is_verified_by_it() -> None:
    async def main() -> None:
        async with World(stream=Stream(segments=4)) as world, AsyncExitStack() as stack:
            world.document(SIDECAR, peertube(world.stream, range(1)))
            session = await stack.enter_async_context(world.viewer())
            await session.playlist()
            for number in range(2):
                assert await read_whole(session, number) == world.stream.segments[number]
            assert verified(await session.report()) == {0: "segment", 1: "unverified"}

    run_virtual(main())


# --- hashes that come after what they speak of ------------------------------


@asynccontextmanager
async def unhashed_yet(*names: str) -> AsyncIterator[World]:
    """A live stream that stands still, and whose hashes are to come; of `names` the CDNs have wrong bytes."""
    async with World("one", stream=Stream(segments=6)) as world:
        world.document("stream.m3u8", world.stream.media_playlist(ended=False))
        world.document(SIDECAR, b"{}")
        for name in names:
            world.origins["one"].files[name] = bytes(len(world.origins["one"].files[name]))
        yield world


async def hashes_come(world: World, session: StreamSession, numbers: Iterable[int]) -> None:
    world.document(SIDECAR, peertube(world.stream, numbers))
    for _ in range(2):  # hashes are loaded beside the playlist, as players ask for it
        await asyncio.sleep(world.stream.segment_s)
        await session.playlist(0)
    await asyncio.sleep(1)


@pytest.mark.parametrize("has_disk", [False, True])
def test_what_was_taken_before_its_hash_came_is_offered_once_it_is_there(has_disk: bool) -> None:
    async def main() -> None:
        async with unhashed_yet() as world, AsyncExitStack() as stack:
            shelf = MemoryShelf() if has_disk else None
            small = {"store_bytes_max": 500_000} if has_disk else {}
            first = await stack.enter_async_context(world.viewer("first", in_swarm=True, shelf=shelf, **small))
            await first.playlist(0)
            for number in range(5):
                await read_whole(first, number)
            assert verified(await first.report()) == dict.fromkeys(range(5), "unverified")
            await hashes_come(world, first, range(4))
            report = await first.report()
            assert verified(report) == {**dict.fromkeys(range(4), "segment"), 4: "unverified"}
            assert "held_wrong" not in report.dropped
            async with world.viewer("second", in_swarm=True) as second:
                await second.playlist(0)
                await read_whole(second, 5)
                await asyncio.sleep(20)
                for number in range(4):
                    assert await read_whole(second, number) == world.stream.segments[number]
                seen = await second.report()
            assert [state.held_count for state in seen.sources if state.name.startswith("peer:")] == [4]
            assert peers_used_bytes(seen) > 0

    run_virtual(main())


@pytest.mark.parametrize("has_disk", [False, True])
def test_what_turns_out_wrong_when_its_hash_comes_is_dropped_counted_and_had_anew(has_disk: bool) -> None:
    async def main() -> None:
        async with unhashed_yet("s1.m4s") as world:
            shelf = MemoryShelf() if has_disk else None
            async with world.viewer("first", in_swarm=True, shelf=shelf) as session:
                await session.playlist(0)
                for number in range(3):
                    await read_whole(session, number)
                world.origins["one"].files["s1.m4s"] = world.stream.segments[1]
                await hashes_come(world, session, range(6))
                report = await session.report()
                assert report.dropped["held_wrong"] == 1
                assert [verified(report)[number] for number in range(3)] == ["segment", "unverified", "segment"]
                assert sum("media 0/1 was held, and is not what its hash says" in line for line in report.log) == 1
                assert await read_whole(session, 1) == world.stream.segments[1]
                assert verified(await session.report())[1] == "segment"

    run_virtual(main())


def test_who_reads_what_turns_out_wrong_breaks_off_and_gets_no_mixture() -> None:
    async def main() -> None:
        async with unhashed_yet("s1.m4s") as world, world.viewer("first") as session:
            await session.playlist(0)
            pieces = read_pieces(session, 1)
            assert await anext(pieces)
            await asyncio.sleep(1)  # all of it has come, and is held
            world.origins["one"].files["s1.m4s"] = world.stream.segments[1]
            await hashes_come(world, session, range(6))
            with pytest.raises(WrongBytes):
                await anext(pieces)
            assert await read_whole(session, 1) == world.stream.segments[1]

    run_virtual(main())
