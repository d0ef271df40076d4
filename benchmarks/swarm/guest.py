"""A peer that only takes, as fast as it can; and one that is a nuisance, as a process that signals start and stop.

    python guest.py '{"url": ..., "tracker": ...}'

It tells ready, and connected once it is at a peer that holds more than one segment.  It is loud from SIGUSR1 to
SIGUSR2, and tells at either `turned`: how many commands its channels have taken until then, how many of its requests
were to be refused and how many were, and how many channels are open.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
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
VAIN = 3  # ways to ask in vain, by turns; the last of them says one command more
COMMANDS_PER_SECOND = ANNOUNCEMENTS_PER_SECOND + REQUESTS_PER_SECOND * (1 + 1 / VAIN)
NOWHERE = 10_000_000  # a segment that nobody has
BEHIND = 1 << 40  # a byte that no segment has
SEGMENT_BYTES = 500_000  # of the adversary's holder


@dataclass
class Met:
    """What guests found, together."""

    holders: int = 0  # channels to it
    open: int = 0  # of them, now
    got_bytes: int = 0  # of media
    # Of the adversary: commands that a channel has taken; of them requests that are not cancelled, and their answers.
    said: int = 0
    asked: int = 0
    answered: int = 0


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
            self._met.open += 1
            try:
                await (self._take(channel, protocol) if self._loud is None else self._annoy(channel, self._loud))
            finally:
                self._met.open -= 1

    async def _take(self, channel: Channel, protocol: PeerProtocol) -> None:
        for place in itertools.count():
            await self._send(channel, protocol.request(place % HELD, 0, place, self.now_us))
            while protocol.is_downloading:
                for event in protocol.receive(await channel.receive(), self.now_us):
                    if isinstance(event, DataReceived):
                        self._met.got_bytes += len(event.data)

    async def _annoy(self, channel: Channel, loud: asyncio.Event) -> None:
        """Until the channel is closed, which is seen at once: it is quiet for half of the time."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._drain(channel))
                both.create_task(self._say(channel, loud))
        except* ChannelClosed:
            pass  # `open` says so

    async def _say(self, channel: Channel, loud: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due_s, due, asked = loop.time(), 0.0, 0  # the next announcement; requests; of them
        for place in itertools.count():
            await loud.wait()
            await self._command(channel, wire.Announcement(tuple(range(16 - place % 2))))
            due += REQUESTS_PER_SECOND / ANNOUNCEMENTS_PER_SECOND
            if due >= 1:
                due -= 1
                await self._ask_in_vain(channel, asked)
                asked += 1
            # What was missed longer ago than that is not made up for: it would be paced then.
            due_s = max(due_s + 1 / ANNOUNCEMENTS_PER_SECOND, loop.time() - 0.2)
            await asyncio.sleep(due_s - loop.time())

    async def _ask_in_vain(self, channel: Channel, place: int) -> None:
        held, request_id = place % HELD, place % 1000
        match place % VAIN:
            case 0:
                self._met.asked += 1
                await self._command(channel, wire.Request(NOWHERE, request_id))
            case 1:
                self._met.asked += 1
                await self._command(channel, wire.Request(held, request_id, BEHIND))
            case _:
                # The end of it, since the cancel may come too late: what is sent then would be missing in the figure.
                await self._command(channel, wire.Request(held, request_id, SEGMENT_BYTES - 1_000))
                await self._command(channel, wire.Cancel(held, request_id))

    async def _command(self, channel: Channel, command: wire.Command) -> None:
        await self._send(channel, wire.encode(command))
        self._met.said += 1

    async def _drain(self, channel: Channel) -> None:
        decoder = wire.Decoder()
        while True:
            self._met.answered += isinstance(decoder.receive(await channel.receive()), wire.Absent)

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


def tell(event: str, **about: int) -> None:
    sys.stdout.write(json.dumps({"event": event, **about}) + "\n")
    sys.stdout.flush()


async def main() -> None:
    options = json.loads(sys.argv[1])
    loop, stopped, loud = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with guests(options["url"], options["tracker"], "adversary", loud=loud) as met:

        def turn(act: Callable[[], None]) -> None:
            act()
            tell("turned", said=met.said, asked=met.asked, answered=met.answered, open=met.open)

        for number, act in ((signal.SIGUSR1, loud.set), (signal.SIGUSR2, loud.clear)):
            loop.add_signal_handler(number, turn, act)
        tell("ready")
        while not met.holders and not stopped.is_set():  # noqa: ASYNC110, a figure that others raise
            await asyncio.sleep(0.1)
        tell("connected")
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
