"""What a paced adversary costs the others: bytes that a holder sends them for each second of its CPU, with and without.

    make bench-adversary                                     six rounds, 1 minute
    make bench-adversary ARGS="--rounds 2 --seconds 2"       a look

A viewer of ours that holds a stream, in a process of its own, serves two peers as fast as it can over real WebRTC.
A third stays within most limits, so that it is not cut: it announces 16 segments 50 times a second and asks 50 times
a second for what is not there.  It is loud in every second slice of time of one run; a figure is the median of the
ratios of neighbours.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import statistics
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from harness import Claim, conclude
from swarm.runs import Swarm, swarm
from tests.p2pml.counterparts import BANDWIDTH, CODECS

from shoal.app.peering import PeerOptions, make_connector
from shoal.balancer import identity, wire
from shoal.balancer.actors.messages import ChannelOpened
from shoal.balancer.actors.swarm import Swarm as SwarmActor
from shoal.balancer.config import BalancerConfig
from shoal.balancer.peer import Announced, DataReceived, PeerProtocol
from shoal.runtime import Actor, ActorSystem
from shoal.transports import registry
from shoal.transports.errors import ChannelClosed
from shoal.transports.interface import Channel, Connector, Signaling

LOGS = Path("out") / "bench-adversary"
SEGMENTS, SEGMENT_S, SEGMENT_BYTES = 30, 0.5, 500_000
PER_SECOND = 50  # of announcements and of requests: half and a quarter of what is taken without a pause
SETTLE_S = 0.5  # after a change, before it counts
NOWHERE = 10_000_000  # a segment that nobody has


class Guest(Actor[Any]):
    """A peer that takes one segment after another from the holder; with `loud`, the adversary."""

    def __init__(
        self, here: Swarm, connector: Connector, signaling: Signaling, name: str, loud: asyncio.Event | None = None
    ) -> None:
        self._here = here
        self._connector = connector
        self._signaling = signaling
        self._source = random.Random(name)
        self._loud = loud

    def on_start(self) -> None:
        scheme = identity.Scheme23()
        manifest = identity.swarm_id_of_manifest(f"{self._here.origin.url}/{self._here.stream.playlist}")
        stream_index = scheme.stream_index(identity.Stream(bandwidth=BANDWIDTH, codecs=CODECS))
        self.spawn(
            SwarmActor,
            self.ref,
            self._connector,
            self._signaling,
            BalancerConfig(),
            name="swarm",
            rendition=0,
            tracker=self._here.tracker,
            info_hash=scheme.info_hash(scheme.stream_swarm_id(manifest, identity.StreamType.MAIN, stream_index)),
            peer_id=scheme.peer_id(self._source),
            random_bytes=self._source.randbytes,
        )

    def receive(self, message: Any) -> None:
        if isinstance(message, ChannelOpened):
            self.start_task(self._serve(message.channel), name="channel")

    async def _serve(self, channel: Channel) -> None:
        protocol = PeerProtocol()
        with suppress(ChannelClosed):
            await self._send(channel, protocol.announce((0,), ()))  # who holds something is no free rider
            while True:
                events = protocol.receive(await channel.receive(), self.now_us)
                if any(isinstance(event, Announced) and len(event.held) == SEGMENTS for event in events):
                    break  # this is the holder, not another guest
            CONNECTED.append(channel)
            await (self._take(channel, protocol) if self._loud is None else self._annoy(channel, self._loud))

    async def _take(self, channel: Channel, protocol: PeerProtocol) -> None:
        for place in itertools.count():
            await self._send(channel, protocol.request(place % SEGMENTS, 0, place, self.now_us))
            while protocol.is_downloading:
                for event in protocol.receive(await channel.receive(), self.now_us):
                    if isinstance(event, DataReceived):
                        GOT[0] += len(event.data)

    async def _annoy(self, channel: Channel, loud: asyncio.Event) -> None:
        reading = asyncio.ensure_future(self._drain(channel))
        try:
            for place in itertools.count():
                await loud.wait()
                await self._send(channel, wire.encode(wire.Announcement(tuple(range(16 - place % 2)))))
                await self._send(channel, wire.encode(wire.Request(NOWHERE, place % 1000)))
                await asyncio.sleep(1 / PER_SECOND)
        finally:
            reading.cancel()

    async def _drain(self, channel: Channel) -> None:
        with suppress(ChannelClosed):
            while True:
                await channel.receive()

    async def _send(self, channel: Channel, messages: list[bytes]) -> None:
        for message in messages:
            await channel.send(message)


GOT = [0]  # bytes, by both takers
CONNECTED: list[Channel] = []  # to the holder


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def slice_of(pid: int, seconds: float) -> tuple[float, float]:
    """Bytes to the takers for each second of the holder's CPU, and for each second."""
    await asyncio.sleep(SETTLE_S)
    bytes_before, cpu_before_s, began_s = GOT[0], cpu_s(pid), time.monotonic()
    await asyncio.sleep(seconds)
    sent = GOT[0] - bytes_before
    return sent / max(0.01, cpu_s(pid) - cpu_before_s), sent / (time.monotonic() - began_s)


async def run(rounds: int, seconds: float) -> list[float]:
    """The ratio of each round; which of both comes first changes from round to round."""
    ratios = []
    async with swarm(SEGMENTS, SEGMENT_S, SEGMENT_BYTES, LOGS) as here, AsyncExitStack() as stack:
        holder = await here.ours("holder", lead=1e6)
        await here.holds("holder")
        loud = asyncio.Event()
        system = await stack.enter_async_context(ActorSystem())
        for number, event in enumerate((None, None, loud)):
            connector, signaling = make_connector(PeerOptions()), registry.resolve_signaling()()
            stack.push_async_callback(connector.aclose)
            stack.push_async_callback(signaling.aclose)
            system.spawn(Guest, here, connector, signaling, f"guest {number}", event)
        for _ in range(60):
            if len(CONNECTED) == 3:
                break
            await asyncio.sleep(1.0)
        else:
            raise RuntimeError(f"after a minute {len(CONNECTED)} guests of 3 are connected to the holder")
        await asyncio.sleep(2.0)  # until the window has grown
        for number in range(rounds):
            found = {}
            for is_loud in (False, True) if number % 2 else (True, False):
                (loud.set if is_loud else loud.clear)()
                found[is_loud] = await slice_of(holder.child.pid, seconds)
            ratios.append(found[True][0] / found[False][0])
            print(
                f"adversary, round {number}: {found[True][0] / 1e6:.2f} MB per CPU-second with it"
                f" ({found[True][1] / 1e6:.2f} MB/s), {found[False][0] / 1e6:.2f} without"
                f" ({found[False][1] / 1e6:.2f} MB/s)",
                flush=True,
            )
    return ratios


async def measured(rounds: int = 6, seconds: float = 4.0) -> list[Claim]:
    ratios = await run(rounds, seconds)
    return [
        Claim(
            "under a paced adversary: others' throughput per CPU-second, of that without",
            statistics.median(ratios),
            0.9,
            at_least=True,
        )
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each half of a round")
    options = parser.parse_args()
    return conclude("adversary", asyncio.run(measured(options.rounds, options.seconds)))


if __name__ == "__main__":
    raise SystemExit(main())
