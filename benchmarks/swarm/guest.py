"""A peer that only takes, as fast as it can; and one that is a nuisance, as a process that signals start and stop.

    python guest.py '{"url": ..., "tracker": ...}'

It tells ready, and connected once it is at a peer that holds more than one segment.  It is loud from SIGUSR1 to
SIGUSR2.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.app.peering import PeerOptions, make_connector
from shoal.balancer import identity, wire
from shoal.balancer.actors.messages import ChannelOpened
from shoal.balancer.actors.swarm import Swarm
from shoal.balancer.config import BalancerConfig
from shoal.balancer.peer import Announced, DataReceived, PeerProtocol
from shoal.runtime import Actor, ActorSystem
from shoal.transports import registry
from shoal.transports.errors import ChannelClosed
from shoal.transports.interface import Channel, Connector, Signaling

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.p2pml.counterparts import BANDWIDTH, CODECS  # noqa: E402

HELD = 30  # segments of the holder
# What is taken for ever without a pause: four fifths of the rates in balancer/peer.py, and of what a request weighs
# there once a peer asks for one thing after the other that is not held.
ANNOUNCEMENTS_PER_SECOND, REQUESTS_PER_SECOND = 20, 8
NOWHERE = 10_000_000  # a segment that nobody has


@dataclass
class Met:
    """What guests found, together."""

    holders: int = 0  # channels to it
    got_bytes: int = 0  # of media


class Guest(Actor[Any]):
    """A peer that takes one segment after another from the holder; with `loud`, the adversary."""

    def __init__(
        self,
        url: str,
        tracker: str,
        connector: Connector,
        signaling: Signaling,
        *,
        seed: str,
        met: Met,
        loud: asyncio.Event | None = None,
    ) -> None:
        self._url = url
        self._tracker = tracker
        self._met = met
        self._connector = connector
        self._signaling = signaling
        self._source = random.Random(seed)
        self._loud = loud

    def on_start(self) -> None:
        scheme = identity.Scheme23()
        manifest = identity.swarm_id_of_manifest(self._url)
        stream_index = scheme.stream_index(identity.Stream(bandwidth=BANDWIDTH, codecs=CODECS))
        self.spawn(
            Swarm,
            self.ref,
            self._connector,
            self._signaling,
            BalancerConfig(),
            name="swarm",
            rendition=0,
            tracker=self._tracker,
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
                if any(isinstance(event, Announced) and len(event.held) > 1 for event in events):
                    break  # this is the holder, not another guest
            self._met.holders += 1
            await (self._take(channel, protocol) if self._loud is None else self._annoy(channel, self._loud))

    async def _take(self, channel: Channel, protocol: PeerProtocol) -> None:
        for place in itertools.count():
            await self._send(channel, protocol.request(place % HELD, 0, place, self.now_us))
            while protocol.is_downloading:
                for event in protocol.receive(await channel.receive(), self.now_us):
                    if isinstance(event, DataReceived):
                        self._met.got_bytes += len(event.data)

    async def _annoy(self, channel: Channel, loud: asyncio.Event) -> None:
        reading = asyncio.ensure_future(self._drain(channel))
        try:
            due = 0.0  # requests
            for place in itertools.count():
                await loud.wait()
                await self._send(channel, wire.encode(wire.Announcement(tuple(range(16 - place % 2)))))
                due += REQUESTS_PER_SECOND / ANNOUNCEMENTS_PER_SECOND
                if due >= 1:
                    due -= 1
                    await self._send(channel, wire.encode(wire.Request(NOWHERE, place % 1000)))
                await asyncio.sleep(1 / ANNOUNCEMENTS_PER_SECOND)
        finally:
            reading.cancel()

    async def _drain(self, channel: Channel) -> None:
        with suppress(ChannelClosed):
            while True:
                await channel.receive()

    async def _send(self, channel: Channel, messages: list[bytes]) -> None:
        for message in messages:
            await channel.send(message)


@asynccontextmanager
async def guests(url: str, tracker: str, *names: str, loud: asyncio.Event | None = None) -> AsyncIterator[Met]:
    met = Met()
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(ActorSystem())
        for name in names:
            connector, signaling = make_connector(PeerOptions(), (tracker,)), registry.resolve_signaling()()
            stack.push_async_callback(connector.aclose)
            stack.push_async_callback(signaling.aclose)
            system.spawn(Guest, url, tracker, connector, signaling, seed=name, met=met, loud=loud)
        yield met


def tell(event: str) -> None:
    sys.stdout.write(json.dumps({"event": event}) + "\n")
    sys.stdout.flush()


async def main() -> None:
    options = json.loads(sys.argv[1])
    loop, stopped, loud = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number, act in ((signal.SIGTERM, stopped.set), (signal.SIGUSR1, loud.set), (signal.SIGUSR2, loud.clear)):
        loop.add_signal_handler(number, act)
    async with guests(options["url"], options["tracker"], "adversary", loud=loud) as met:
        tell("ready")
        while not met.holders and not stopped.is_set():  # noqa: ASYNC110, a figure that others raise
            await asyncio.sleep(0.1)
        tell("connected")
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
