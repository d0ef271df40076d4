"""Peers that are no viewers: each says that it holds everything, and then behaves as its kind does.

They meet viewers at the tracker as any peer does, through the balancer's own
Swarm actor, and speak the protocol as far as their kind wants to.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.balancer import identity
from shoal.balancer.actors.messages import ChannelOpened
from shoal.balancer.actors.swarm import Swarm
from shoal.balancer.config import BalancerConfig
from shoal.balancer.peer import PeerLimits, PeerProtocol, UploadRequested
from shoal.runtime import Actor, ActorSystem
from shoal.transports.errors import ChannelClosed
from shoal.transports.interface import Channel
from shoal.transports.memory import MemoryConnector, MemorySignaling

from .world import TRACKER, URL, World, check_accounts

# silent   never answers a request
# absent   says each time that it has not got it
# slow     2 KiB at a time, once a second
# leaves   goes away in the middle of an upload
# noise    sends what is no message of the protocol
# flood    announces without end, as fast as it can
# chatter  the same, 250 times a second
# short    promises fewer bytes than the segment has
# empty    holds nothing, and asks for segments
KINDS = ("silent", "absent", "slow", "leaves", "noise", "flood", "chatter", "short")


class Impostor(Actor[Any]):
    """`asked` and `channels` are shared with the test."""

    def __init__(self, world: World, kind: str, name: str, asked: list[int], channels: list[Channel]) -> None:
        self._world = world
        self._kind = kind
        self._name = name
        self._asked = asked
        self._channels = channels

    def on_start(self) -> None:
        host = self._world.network.host(self._name)
        source = random.Random(f"{self._world.seed} {self._name}")
        scheme = identity.Scheme23()
        stream_swarm = scheme.stream_swarm_id(
            identity.swarm_id_of_manifest(URL), identity.StreamType.MAIN, scheme.stream_index(identity.Stream())
        )
        self.spawn(
            Swarm,
            self.ref,
            MemoryConnector(host),
            MemorySignaling(host),
            BalancerConfig(),
            name="swarm",
            rendition=0,
            tracker=TRACKER,
            info_hash=scheme.info_hash(stream_swarm),
            peer_id=scheme.peer_id(source),
            random_bytes=source.randbytes,
        )

    def receive(self, message: Any) -> None:
        if isinstance(message, ChannelOpened):
            self._channels.append(message.channel)
            self.start_task(self._behave(message.channel))

    async def _behave(self, channel: Channel) -> None:
        protocol = PeerProtocol(PeerLimits(), piece_bytes_max=channel.max_message_bytes)
        held = () if self._kind == "empty" else range(len(self._world.stream.segments))
        try:
            for message in protocol.announce(held, ()):
                await channel.send(message)
            if self._kind == "noise":
                await channel.send(bytes(range(40)) * 100)
            for place in itertools.count() if self._kind in {"flood", "chatter"} else ():
                for message in protocol.announce(held, (place % 2,)):  # what has not changed is not sent again
                    await channel.send(message)
                if self._kind == "chatter":
                    await asyncio.sleep(0.004)
            while True:
                for event in protocol.receive(await channel.receive(), self.now_us):
                    if isinstance(event, UploadRequested):
                        self._asked.append(event.number)
                        await self._upload(protocol, event, channel)
        except ChannelClosed:
            pass

    async def _upload(self, protocol: PeerProtocol, event: UploadRequested, channel: Channel) -> None:
        body = self._world.stream.segments[event.number][event.first_byte :]
        match self._kind:
            case "absent" | "empty":
                messages = protocol.refuse_upload(event)
            case "slow" | "leaves":
                messages = protocol.begin_upload(event, len(body))
            case "short":
                messages = protocol.begin_upload(event, len(body) - 10)
            case _:
                return
        for message in messages:
            await channel.send(message)
        if self._kind == "slow":
            for start in range(0, len(body), 2048):
                for piece in protocol.upload_pieces(event, body[start : start + 2048]):
                    await channel.send(piece)
                await asyncio.sleep(1)
        if self._kind == "leaves":
            for piece in protocol.upload_pieces(event, body[: len(body) // 2]):
                await channel.send(piece)
            await channel.close("enough")


class Seen:
    """What an impostor met."""

    def __init__(self) -> None:
        self.asked: list[int] = []  # numbers of segments
        self.channels: list[Channel] = []


@asynccontextmanager
async def impostor(world: World, kind: str, name: str = "impostor") -> AsyncIterator[Seen]:
    seen = Seen()
    async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
        system.spawn(Impostor, world, kind, name, seen.asked, seen.channels)
        yield seen
        for channel in seen.channels:
            await channel.close("the impostor stops")
    check_accounts(system)
