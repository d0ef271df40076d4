"""A holder on a line that carries little up, and several who want the same of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual

from .origin import Stream
from .test_swarm import hold, peers_of, sent_bytes
from .world import World, peers_used_bytes, play

CAP = 128 * 1024


def stalls(report: SessionReport) -> int:
    """Requests to peers that were left because nothing came."""
    return sum(
        part.reason == "stalled"
        for segment in report.segments
        for part in segment.parts
        if part.source.startswith("peer:")
    )


@pytest.mark.parametrize("viewers", [1, 3, 6])
def test_a_cap_of_128_kib_per_second_is_used_and_nobody_is_left_in_silence(viewers: int) -> None:
    reports: list[SessionReport] = []

    async def main() -> None:
        async with World(stream=Stream(segments=10, segment_bytes=100_000)) as world, AsyncExitStack() as stack:
            capped = world.viewer("holder", in_swarm=True, upload_bytes_per_s=CAP)
            holder = await hold(await stack.enter_async_context(capped), world)
            before = await sent_bytes(holder)
            found = [
                # Who offers nothing has nothing but the holder and the CDN.
                await stack.enter_async_context(world.viewer(f"viewer{n}", in_swarm=True, upload=False))
                for n in range(viewers)
            ]
            shown = await asyncio.gather(*(play(viewer, world.stream) for viewer in found))
            assert all(one.is_perfect for one in shown), [(one.errors, one.stall_us) for one in shown]
            reports.extend([await viewer.report() for viewer in found])
            sent = await sent_bytes(holder) - before
            # What is sent is used, but for two packets on their way to who went on with a CDN: nobody lost patience.
            used = sum(map(peers_used_bytes, reports))
            assert used > 300_000
            assert 0 <= sent - used <= 2 * 1024

    run_virtual(main())
    assert sum(map(stalls, reports)) == 0
    assert all(not state.errors for report in reports for state in peers_of(report).values())
