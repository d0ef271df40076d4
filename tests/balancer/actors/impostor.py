"""Peers that are no viewers: each says that it holds everything, and then behaves as its kind does.

    async with World() as world, impostor(world, "silent") as seen:
        ...

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

from shoal.balancer import identity, wire
from shoal.balancer.actors.messages import ChannelOpened, PeerGone
from shoal.balancer.actors.swarm import Swarm
from shoal.balancer.config import BalancerConfig
from shoal.balancer.peer import PeerLimits, PeerProtocol, UploadRequested
from shoal.runtime import Actor, ActorSystem
from shoal.transports.errors import ChannelClosed
from shoal.transports.interface import Channel
from shoal.transports.memory import MemoryConnector, MemorySignaling
from shoal.transports.sansio.limits import ChannelLimits

from .world import TRACKER, URL, World, check_accounts

# silent     never answers a request
# absent     says each time that it has not got it
# slow       2 KiB at a time, once a second
# leaves     goes away in the middle of an upload
# short      promises fewer bytes than the segment has
# long       promises a byte more
# boasting   promises more bytes than any segment has
# unended    sends all bytes but the last
# unclosed   sends all bytes, and never says that they were all
# wrong      sends other bytes
# noise      sends what is no message of the protocol
# handshake  speaks another protocol
# text       sends what a person could read
# oversized  sends a message that is larger than any may be
# endless    begins a command that never ends
# flood      announces without end, as fast as it can
# chatter    the same, 250 times a second
# greedy     asks for one segment after another without end, as fast as it can
# asking     the same, 250 times a second
# beyond     asks for what is behind the end of segments, 250 times a second
# fickle     asks for segments, 250 times a second, and cancels at once
# empty      holds nothing, and asks for segments
ASKING = {"greedy", "asking", "beyond", "fickle"}
LOUD = {"noise", "flood", "chatter", "endless", "oversized", "handshake", "text", *ASKING}  # unasked
KINDS = (
    *("silent", "absent", "slow", "leaves", "short", "long", "boasting", "unended", "unclosed", "wrong"),
    *sorted(LOUD),
)

HANDSHAKE = b"\x13BitTorrent protocol" + bytes(8) + b"h" * 20 + b"p" * 20
TEXT = b'{"command": "announce", "segments": ["all of them"]}\r\n'
LARGE = 1024 * 1024  # a message; four times what is taken


class Impostor(Actor[Any]):
    """`seen` is shared with the test.  With `victim`, an address, everybody else is left in peace.

    One that `returns` is ready to meet whoever has cut it as soon as it was.
    """

    def __init__(self, world: World, kind: str, name: str, victim: str | None, seen: Seen, *, returns: bool) -> None:
        self._world = world
        self._kind = kind
        self._name = name
        self._victim = victim
        self._seen = seen
        self._returns = returns

    def on_start(self) -> None:
        host = self._world.network.host(self._name)
        source = random.Random(f"{self._world.seed} {self._name}")
        scheme = identity.Scheme23()
        stream_swarm = scheme.stream_swarm_id(
            identity.swarm_id_of_manifest(URL), identity.StreamType.MAIN, scheme.stream_index(identity.Stream())
        )
        self._seen.peer_id = scheme.peer_id(source)
        self._swarm = self.spawn(
            Swarm,
            self.ref,
            MemoryConnector(host, limits=ChannelLimits(message_bytes_max=LARGE)),  # it keeps to none of ours
            MemorySignaling(host),
            BalancerConfig(),
            name="swarm",
            rendition=0,
            tracker=TRACKER,
            info_hash=scheme.info_hash(stream_swarm),
            peer_id=self._seen.peer_id,
            random_bytes=source.randbytes,
        )

    def receive(self, message: Any) -> None:
        if isinstance(message, ChannelOpened):
            if self._victim not in {None, message.channel.remote_address}:
                self.start_task(self._listen(message.channel))
                return
            self._seen.channels.append(message.channel)
            self.start_task(self._meet(message))

    async def _meet(self, opened: ChannelOpened) -> None:
        await self._behave(opened.channel)
        if self._returns:
            await opened.channel.close("and again")
            self._swarm.tell(PeerGone(opened.peer_id))

    async def _behave(self, channel: Channel) -> None:
        protocol = PeerProtocol(PeerLimits(), piece_bytes_max=wire.PIECE_BYTES_MAX)
        held = () if self._kind == "empty" else range(len(self._world.stream.segments))
        try:
            for message in protocol.announce(held, ()):
                await channel.send(message)
            if self._kind in LOUD:
                listening = self.start_task(self._listen(channel))
                async for message in self._noise(protocol):
                    await channel.send(message)
                await listening
            while True:
                for event in protocol.receive(await channel.receive(), self.now_us):
                    if isinstance(event, UploadRequested):
                        self._seen.asked.append(event.number)
                        await self._upload(protocol, event, channel)
        except ChannelClosed:
            pass

    async def _listen(self, channel: Channel) -> None:
        """Read what comes and take nothing of it in, so that nothing is held up."""
        decoder = wire.Decoder()
        try:
            while True:
                message = await channel.receive()
                self._seen.answers += isinstance(decoder.receive(message), wire.Absent | wire.DataFollows)
        except ChannelClosed:
            pass

    async def _noise(self, protocol: PeerProtocol) -> AsyncIterator[bytes]:
        """What is sent unasked."""
        count = len(self._world.stream.segments)
        match self._kind:
            case "noise":
                yield bytes(range(40)) * 100
            case "handshake":
                yield HANDSHAKE
            case "text":
                yield TEXT
            case "oversized":
                yield bytes(LARGE)
            case "endless":
                yield b"cstr" + bytes(20_000) + b"dend"
                while True:
                    yield b"dstr" + bytes(20_000) + b"dend"
        for place in itertools.count() if self._kind in {"flood", "chatter"} | ASKING else ():
            if self._kind in {"flood", "chatter"}:
                for message in protocol.announce(range(count), (place % 2,)):  # what has not changed is not sent again
                    yield message
            else:
                first_byte = 1 << 40 if self._kind == "beyond" else 0
                for message in wire.encode(wire.Request(place % count, place % 1000, first_byte)):
                    yield message
            if self._kind == "fickle":
                for message in wire.encode(wire.Cancel(place % count, place % 1000)):
                    yield message
            if self._kind not in {"flood", "greedy"}:
                await asyncio.sleep(0.004)

    async def _upload(self, protocol: PeerProtocol, event: UploadRequested, channel: Channel) -> None:
        body = self._world.stream.segments[event.number][event.first_byte :]
        match self._kind:
            case "absent" | "empty":
                messages = protocol.refuse_upload(event)
            case "slow" | "leaves" | "unended" | "unclosed" | "wrong":
                messages = protocol.begin_upload(event, len(body))
            case "boasting":
                messages = protocol.begin_upload(event, 1 << 40)
            case "short":
                messages = protocol.begin_upload(event, len(body) - 10)
            case "long":
                messages = protocol.begin_upload(event, len(body) + 1)
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
        if self._kind in {"unended", "unclosed", "wrong"}:
            if self._kind == "wrong":
                body = bytes(byte ^ 1 for byte in body)
            for piece in protocol.upload_pieces(event, body[:-1] if self._kind == "unended" else body):
                await channel.send(piece)
        if self._kind == "wrong":
            for message in protocol.end_upload(event):
                await channel.send(message)


class Seen:
    """What an impostor met."""

    def __init__(self) -> None:
        self.asked: list[int] = []  # numbers of segments
        self.channels: list[Channel] = []
        self.peer_id = ""  # its own
        self.answers = 0  # to what it asked for


@asynccontextmanager
async def impostor(
    world: World, kind: str, name: str = "impostor", *, victim: str | None = None, returns: bool = False
) -> AsyncIterator[Seen]:
    seen = Seen()
    async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
        system.spawn(Impostor, world, kind, name, victim, seen, returns=returns)
        yield seen
        for channel in seen.channels:
            await channel.close("the impostor stops")
    check_accounts(system)
