"""Connector whose connections live in processes of their own, so that peers cost the application's loop no time.

    application's loop                        another core
    ApartConnector -- frames over a socket -- apart_process.py: a PeerConnector on a loop of its own
        ApartChannel (apart_channel.py)           DataChannel

WebRTC in Python is most of what a peer costs, and threads share one interpreter: another process is what an idle core
can be used with.  A message costs the application's loop two copies instead of its packets.  With several processes,
each new connection goes to the one that has the fewest, and each process gets its share of an upload cap.

What a Connector promises holds (`connector.py`), and besides: a process that ends, however that came about, ends its
channels with that reason, and the next offer or answer starts another; processes end with the application.  It needs
POSIX, since a socket is handed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import Counter
from typing import Any, TypeVar, cast

import msgspec

from shoal.transports.errors import ConnectFailed, NoAddress, TimedOut, TransportError, TransportMissing
from shoal.transports.interface import Channel, IncomingChannel, OutgoingOffer
from shoal.transports.sansio.apart_frames import (
    Accept,
    Answer,
    Close,
    Closed,
    Described,
    Failed,
    FrameReader,
    FromPeers,
    Message,
    Offer,
    Open,
    Opened,
    Options,
    Sent,
    Setup,
    ToPeers,
    encode,
)
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.upload_cap import BYTES_PER_SECOND_MIN

from .apart_channel import ApartChannel
from .apart_process import make_peer_connector
from .connector import ConnectorStatistics

__all__ = ["ApartConnector"]

ResultT = TypeVar("ResultT")

_END_TIMEOUT_S = 8.0  # closing all channels takes a process a second, or five where a library hangs


class ApartConnector:
    """A Connector; its processes belong to it until closed."""

    def __init__(self, *, engine: str = "aiortc", processes: int = 1, **options: Any) -> None:
        """`engine`: aiortc or wrtc.  The options are a PeerConnector's, with its errors for those that make no sense.

        `connections_max` is for all processes together, and an upload cap too, of which each process has its share:
        ValueError where that is less than a cap may be.  TypeError for an option that there is not.
        """
        if processes < 1:
            raise ValueError(f"peers in {processes} processes; at least 1")
        self._options = Options(**options)
        make_peer_connector(engine, self._options)  # it says what is wrong with them, here and not in the process
        cap = self._options.upload_bytes_per_second
        self._share = None if cap is None else cap // processes
        if self._share is not None and self._share < BYTES_PER_SECOND_MIN:
            raise ValueError(
                f"an upload cap of {cap} bytes/s is {self._share} for each of {processes} processes; at least "
                f"{BYTES_PER_SECOND_MIN} for each, so raise it, or take fewer processes"
            )
        self._engine = engine
        self._processes_max = processes
        self._processes: list[_Process] = []
        self._starting = asyncio.Lock()
        self._ended: Counter[str] = Counter()
        self._closed = False
        self._numbers = 0

    async def offer(self, label: str) -> OutgoingOffer:
        """As Connector.offer; ConnectFailed too when the process cannot be started."""
        link = await self._new_link()
        return _Pending(link, await link.described(Offer(link.number, label)))

    async def answer(self, offer: str) -> IncomingChannel:
        """As Connector.answer."""
        link = await self._new_link()
        return _Pending(link, await link.described(Answer(link.number, offer)))

    def statistics(self) -> ConnectorStatistics:
        channels = [link.channel for link in self._links() if link.channel is not None]
        ended = sum((process.ended for process in self._processes), self._ended)
        return ConnectorStatistics(
            connections=len(self._links()),
            buffered_bytes=sum(channel.buffered_bytes for channel in channels),
            unread_bytes=sum(channel.unread_bytes for channel in channels),
            ended=dict(ended),
        )

    async def aclose(self) -> None:
        """As Connector.aclose; the processes are gone afterwards."""
        self._closed = True
        async with self._starting:
            await asyncio.gather(*(process.aclose() for process in self._processes))

    def _links(self) -> list[_Link]:
        return [link for process in self._processes for link in process.links.values()]

    async def _new_link(self) -> _Link:
        async with self._starting:
            if self._closed:
                raise ConnectFailed("this connector is closed; make another")
            if len(self._links()) >= self._options.connections_max:
                raise ConnectFailed(
                    f"{self._options.connections_max} connections are open; close one or raise connections_max"
                )
            for process in [process for process in self._processes if process.is_lost]:
                self._ended += process.ended
                self._processes.remove(process)
            fewest = min(self._processes, key=lambda process: len(process.links), default=None)
            if fewest is None or (fewest.links and len(self._processes) < self._processes_max):
                fewest = await self._start()
            self._numbers += 1
            return fewest.new_link(self._numbers, self._options.limits)

    async def _start(self) -> _Process:
        process = _Process()
        options = msgspec.structs.replace(
            self._options, upload_bytes_per_second=self._share, limits=_of_process(self._options.limits)
        )
        await process.start(Setup(self._engine, options))
        self._processes.append(process)
        return process


def _of_process(limits: ChannelLimits) -> ChannelLimits:
    """Less of a window, for what waits between here and there, or a peer would have more than 4 MiB of ours."""
    here = 3 * limits.buffered_bytes_high  # of all that was handed over twice the mark, and a message beyond it
    window_bytes_max = max(limits.window_bytes_min, limits.window_bytes_max - here)
    return msgspec.structs.replace(limits, window_bytes_max=window_bytes_max)


class _Process(asyncio.Protocol):
    """One process, and the links that live in it."""

    def __init__(self) -> None:
        self.links: dict[int, _Link] = {}
        self.is_lost = False
        self._ended_there: Counter[str] = Counter()
        self._ended_here: Counter[str] = Counter()
        self._reader: FrameReader[FromPeers] = FrameReader(FromPeers)
        self._transport: asyncio.WriteTransport | None = None
        self._process: Any = None  # an asyncio.subprocess.Process

    async def start(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._spawn(theirs)
            await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        except OSError as error:
            ours.close()
            raise ConnectFailed(f"no process for peers could be started: {error}; is there memory for one?") from error
        self.write(setup)

    async def _spawn(self, theirs: socket.socket) -> Any:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"{__package__}.apart_process", str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is the application's to handle
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is of no such class

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            link = self.links.get(frame.link)
            if isinstance(frame, Closed):
                self._ended_there = Counter(frame.ended)
            if link is not None:
                link.handle(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.is_lost = True
        for link in list(self.links.values()):
            link.lost()

    @property
    def ended(self) -> Counter[str]:
        return self._ended_there + self._ended_here

    def count(self, reason: str) -> None:
        self._ended_here[reason] += 1

    def write(self, frame: ToPeers) -> None:
        if self._transport is not None:
            self._transport.write(encode(frame))

    def new_link(self, number: int, limits: ChannelLimits) -> _Link:
        link = self.links[number] = _Link(number, self, limits)
        return link

    async def aclose(self) -> None:
        if self._process is None:
            return
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await asyncio.gather(*(link.close("the connector was closed") for link in list(self.links.values())))
                if self._transport is not None:
                    self._transport.close()
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class _Link:
    """One connection, from here."""

    def __init__(self, number: int, process: _Process, limits: ChannelLimits) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.channel: ApartChannel | None = None
        self._limits = limits
        self._process = process
        self._described: asyncio.Future[str] = loop.create_future()
        self._opened: asyncio.Future[ApartChannel] = loop.create_future()
        self._gone = asyncio.Event()

    async def described(self, ask: Offer | Answer) -> str:
        self._process.write(ask)
        return await self._until(self._described)

    async def opened(self, ask: Accept | Open) -> Channel:
        self._process.write(ask)
        return await self._until(self._opened)

    async def _until(self, future: asyncio.Future[ResultT]) -> ResultT:
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await self.close("connecting was given up")
            raise

    async def close(self, detail: str) -> None:
        """Returns when the connection is gone, also for the second caller."""
        if not self._gone.is_set():
            self._process.write(Close(self.number, detail))
            await self._gone.wait()

    def handle(self, frame: FromPeers) -> None:
        match frame:
            case Described(description=description):
                self._described.set_result(description)
            case Opened():
                self.channel = ApartChannel(frame, self._limits, self._process.write, self._process.count, self.close)
                self._opened.set_result(self.channel)
            case Failed():
                self._forget(_error(frame))
            case Closed(detail=detail, is_fault=is_fault):
                if self.channel is not None:
                    self.channel.ended(detail, is_fault=is_fault)
                self._forget(ConnectFailed(f"not connected: {detail}; try another peer"))
            case Message(data=data):
                if self.channel is not None:
                    self.channel.arrived(data)
            case Sent():
                if self.channel is not None:
                    self.channel.was_sent(frame)

    def lost(self, detail: str = "the process that had the connection ended") -> None:
        self.handle(Closed(self.number, detail, {}))

    def _forget(self, error: Exception) -> None:
        for future in (self._described, self._opened):
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting
        self._process.links.pop(self.number, None)
        self._gone.set()


def _error(failed: Failed) -> Exception:
    if failed.kind == "TimedOut":
        return TimedOut(failed.words, phase=failed.phase, timeout_us=failed.timeout_us)
    known: dict[str, type[Exception]] = {
        "ConnectFailed": ConnectFailed,
        "NoAddress": NoAddress,
        "TransportMissing": TransportMissing,
        "ValueError": ValueError,
    }
    return known.get(failed.kind, TransportError)(failed.words)


class _Pending:
    """An OutgoingOffer, and an IncomingChannel."""

    def __init__(self, link: _Link, description: str) -> None:
        self.description = description
        self._link = link

    async def accept(self, answer: str) -> Channel:
        """As OutgoingOffer.accept."""
        return await self._link.opened(Accept(self._link.number, answer))

    async def channel(self) -> Channel:
        """As IncomingChannel.channel."""
        return await self._link.opened(Open(self._link.number))

    async def close(self) -> None:
        await self._link.close("it was withdrawn")
