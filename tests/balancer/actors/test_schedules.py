"""Random faults at random moments: with one healthy CDN, what is delivered is right, and all of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from ...effort import EFFORT
from .origin import FAULTS, Fault, Stream
from .test_swarm import hold, polluting
from .world import Shown, World, play

SEGMENTS = 5
KINDS = [None, *(kind for kind in FAULTS if kind != "refused"), "rangeless"]

# (seconds to wait, place of the origin among the two that may be bad, fault, at which byte)
CHANGES = st.lists(
    st.tuples(st.floats(0, 4), st.sampled_from(["one", "two"]), st.sampled_from(KINDS), st.integers(0, 250_000)),
    max_size=8,
)


async def misbehave(world: World, changes: list[tuple[float, str, str | None, int]]) -> None:
    for wait_s, name, kind, at in changes:
        await asyncio.sleep(wait_s)
        world.origins[name].fault = None if kind is None else Fault(kind, at=at)


async def scene(
    seed: int, hashes: str, changes: list[tuple[float, str, str | None, int]], *, with_peers: bool
) -> tuple[Shown, SessionReport]:
    stream = Stream(seed=seed, segments=SEGMENTS)
    async with (
        World("one", "two", "three", seed=seed, stream=stream, hashes=hashes) as world,
        AsyncExitStack() as stack,
    ):
        if with_peers:
            for name, tamper in (("honest", None), ("liar", polluting)):
                peer = await stack.enter_async_context(world.viewer(name, in_swarm=True, tamper=tamper))
                await hold(peer, world)
        async with world.viewer("viewer", in_swarm=with_peers) as session:
            trouble = asyncio.ensure_future(misbehave(world, changes))
            shown = await play(session, stream, tries=4)
            report = await session.report()
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
        return shown, report


@settings(max_examples=25 * EFFORT, deadline=None)
@given(st.integers(0, 2**16), CHANGES, st.booleans())
def test_with_block_hashes_and_one_healthy_cdn_every_byte_is_right(
    seed: int, changes: list[tuple[float, str, str | None, int]], with_peers: bool
) -> None:
    shown, report = run_virtual(scene(seed, "blocks", changes, with_peers=with_peers))
    assert shown.bodies == shown.wanted
    assert not shown.errors
    assert all(one.verified == "blocks" for one in report.segments if one.completed_us is not None)


@settings(max_examples=15 * EFFORT, deadline=None)
@given(st.integers(0, 2**16), CHANGES, st.booleans())
def test_with_segment_hashes_and_one_healthy_cdn_every_segment_is_right_in_the_end(
    seed: int, changes: list[tuple[float, str, str | None, int]], with_peers: bool
) -> None:
    shown, _ = run_virtual(scene(seed, "segments", changes, with_peers=with_peers))
    assert shown.bodies == shown.wanted


def test_the_same_seed_gives_the_same_story() -> None:
    changes = [(1.0, "one", "corrupt", 100_000), (2.0, "two", "reset", 50_000), (3.0, "one", "hang", 0)]

    def story() -> bytes:
        _, report = run_virtual(scene(7, "blocks", changes, with_peers=True))
        return msgspec.json.encode(report)

    assert story() == story()


def test_another_seed_gives_another_story() -> None:
    def story(seed: int) -> bytes:
        _, report = run_virtual(scene(seed, "blocks", [], with_peers=True))
        return msgspec.json.encode(report)

    assert story(1) != story(2)
