"""What three free riders in ten cost the others, with all of shoal but the sockets: make bench-riders

    --seeds N    swarms of either kind (8: three minutes)
    --offers N   of each viewer to its tracker at once, and so whom a newcomer meets (5, as ever)

The slots, lines and stream of `peers.py`'s line of that name, with the real actors in virtual time: what other programs
take of this machine changes nothing, the same code gives the same figures, and the mean of many swarms says what three
runs on sockets leave to chance.  One swarm is far from the next: a viewer that comes early and leaves its only peer for
slow has most of the stream from a CDN.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import Claim, conclude
from peers import ARRIVAL_S, RIDDEN_BYTES_PER_S, RIDDEN_SLOTS, SEGMENT_BYTES, SEGMENT_S

from shoal.runtime.testing import run_virtual
from shoal.transports.memory import Conditions

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.balancer.actors.origin import Stream  # noqa: E402
from tests.balancer.actors.world import World, cdns_used_bytes, peers_used_bytes, play  # noqa: E402

SEGMENTS = 30
LEAD_US = 30_000_000  # as the viewers on sockets
LINE_BYTES_PER_S = 50_000_000  # but for the cap: hardly a limit
TRACKER_INTERVAL_S = 120
TO_TRACKER_US = 150_000  # one way; a channel then opens after a second or so, as with ICE and DTLS


class Swarm:
    """Who came, and what each who gives had of whom."""

    def __init__(self, slots: str, seed: int, offers: int) -> None:
        self._slots = slots
        self._offers = offers
        self._seed = seed
        self._here = len(slots.replace(".", ""))
        self._is_over = asyncio.Event()
        self.peers_bytes = self.cdns_bytes = 0
        self.stalls = self.wrong = 0

    async def run(self) -> None:
        stream = Stream(seed=self._seed, segments=SEGMENTS, segment_bytes=SEGMENT_BYTES, segment_s=int(SEGMENT_S))
        stream.segments = [data[:SEGMENT_BYTES] for data in stream.segments]
        async with (
            World(
                "cdn",
                seed=self._seed,
                stream=stream,
                hashes="segments",
                bytes_per_s=LINE_BYTES_PER_S,
                tracker_interval_s=TRACKER_INTERVAL_S,
            ) as world,
            asyncio.TaskGroup() as viewers,
        ):
            for slot, kind in enumerate(self._slots):
                if kind != ".":
                    viewers.create_task(self._watch(world, slot, is_rider=kind == "r"))

    async def _watch(self, world: World, slot: int, *, is_rider: bool) -> None:
        await asyncio.sleep(slot * ARRIVAL_S)
        name = f"viewer-{slot}"
        far = Conditions(latency_us=TO_TRACKER_US, bytes_per_s=LINE_BYTES_PER_S)
        world.network.set_conditions(name, "tracker", far)
        viewer = world.viewer(
            name,
            in_swarm=True,
            url="http://cdn/v/stream.m3u8",
            hashes="none" if is_rider else "auto",  # vouched for by nothing, so that it says that it has none
            upload_bytes_per_s=RIDDEN_BYTES_PER_S,
            offers_open_max=self._offers,
        )
        async with viewer as session:
            shown = await play(session, world.stream, buffer_us=LEAD_US)
            if not is_rider:
                report = await session.report()
                self.peers_bytes += peers_used_bytes(report)
                self.cdns_bytes += cdns_used_bytes(report)
                self.stalls += shown.stall_us > 0.25e6
                self.wrong += shown.bodies != shown.wanted
            self._here -= 1
            if not self._here:
                self._is_over.set()
            await self._is_over.wait()  # it gives on until all have the stream

    @property
    def offload(self) -> float:
        return self.peers_bytes / (self.peers_bytes + self.cdns_bytes)


def played(slots: str, seed: int, offers: int) -> Swarm:
    async def main() -> Swarm:
        swarm = Swarm(slots, seed, offers)
        await swarm.run()
        return swarm

    return run_virtual(main())


def mean(swarms: Sequence[Swarm]) -> float:
    return statistics.fmean(swarm.offload for swarm in swarms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="swarms of either kind (8)")
    parser.add_argument("--offers", type=int, default=5, help="of each viewer to its tracker at once (5)")
    options = parser.parse_args()
    alone, beside = [], []
    for seed in range(1, options.seeds + 1):
        alone.append(played(RIDDEN_SLOTS.replace("r", "."), seed, options.offers))
        beside.append(played(RIDDEN_SLOTS, seed, options.offers))
        print(
            f"seed {seed}: offload of 7 {alone[-1].offload:.3f}, beside 3 that only take {beside[-1].offload:.3f}",
            flush=True,
        )
    print(f"mean: {mean(alone):.3f} and {mean(beside):.3f}")
    return conclude(
        "riders",
        [
            Claim(
                f"3 of 10 ride free, {options.seeds} swarms in virtual time: offload of the others, of that without",
                mean(beside) / mean(alone),
                0.9,
                at_least=True,
            ),
            Claim("the same: of the others, who stalled", sum(s.stalls for s in alone + beside), 0, at_least=False),
            Claim("the same: of the others, who got wrong bytes", sum(s.wrong for s in beside), 0, at_least=False),
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main())
