"""Connector of the in-memory network.

A description is a line of text that names its connection; whoever has it can
answer it once.  Beside that, channels behave as the native ones: whole messages
in order, back-pressure by what is still at the sender, a limit on what the
other side has not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

from shoal.transports.errors import ChannelClosed, ConnectFailed, MessageTooLarge, TimedOut
from shoal.transports.interface import Channel, IncomingChannel, OutgoingOffer
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.statistics import ConnectorStatistics

from .network import Host
from .pipe import Pipe, PipeEnded

__all__ = ["MemoryConnector"]

_SECOND_US = 1_000_000
_WINDOW_BYTES = 256 * 1024  # under way at most: 5 MB/s at 50 ms, about what SCTP in Python reaches
_FLOODED = "the peer flooded: "
_ROUND_TRIPS = 3  # ICE check, DTLS and SCTP, of which some overlap


class MemoryConnector:
    """A Connector on one host."""

    def __init__(
        self, host: Host, *, connect_timeout_us: int = 10_000_000, limits: ChannelLimits | None = None
    ) -> None:
        self._host = host
        self._connect_timeout_us = connect_timeout_us
        self._limits = limits or ChannelLimits()
        self._links: set[_Link] = set()
        self._closed = False

    async def offer(self, label: str) -> OutgoingOffer:
        link = self._new_link("offer", label)
        return _Offer(link, self._connect_timeout_us)

    async def answer(self, offer: str) -> IncomingChannel:
        theirs = self._host.network.pending.get(offer)
        if not isinstance(theirs, _Link) or theirs.kind != "offer" or theirs.partner is not None:
            raise ConnectFailed(f"{offer[:80]!r} is not an offer that can be answered; it may be used or withdrawn")
        link = self._new_link("answer", theirs.label)
        link.partner = theirs
        return _Answer(link, self._connect_timeout_us)

    def statistics(self) -> ConnectorStatistics:
        channels = [link.channel for link in self._links if link.channel is not None]
        return ConnectorStatistics(
            connections=len(self._links),
            buffered_bytes=sum(channel.buffered_bytes for channel in channels),
            unread_bytes=sum(channel.unread_bytes for channel in channels),
        )

    async def aclose(self) -> None:
        self._closed = True
        await asyncio.gather(*(link.close("the connector was closed") for link in list(self._links)))

    def _new_link(self, kind: str, label: str) -> _Link:
        if self._closed:
            raise ConnectFailed("this connector is closed; make another")
        link = _Link(self._host, kind, label, self._limits, self._links)
        self._links.add(link)
        self._host.network.pending[link.description] = link
        return link


class _Link:
    """One side of a connection, from its description to its channel."""

    def __init__(self, host: Host, kind: str, label: str, limits: ChannelLimits, siblings: set[_Link]) -> None:
        self.host = host
        self.kind = kind
        self.label = label
        self.limits = limits
        self.description = f"memory {kind} {host.network.new_id()} of {host.name}"
        self.partner: _Link | None = None
        self.opened: asyncio.Future[_Channel] = asyncio.get_running_loop().create_future()
        self._siblings = siblings

    def open(self, outgoing: Pipe[bytes], incoming: Pipe[bytes], other: _Link) -> _Channel:
        channel = _Channel(self, outgoing, incoming, other.host)
        self.forget_description()
        self.opened.set_result(channel)
        return channel

    @property
    def channel(self) -> _Channel | None:
        """None until it is open."""
        is_open = self.opened.done() and not self.opened.cancelled() and self.opened.exception() is None
        return self.opened.result() if is_open else None

    def forget_description(self) -> None:
        self.host.network.pending.pop(self.description, None)

    async def close(self, detail: str) -> None:
        self.forget_description()
        if not self.opened.done():
            self.opened.set_exception(ConnectFailed(f"not connected: {detail}; try another peer"))
            self.opened.exception()  # nobody may be waiting
        elif self.channel is not None:
            await self.channel.close(detail)
        self._siblings.discard(self)

    def gone(self) -> None:
        self._siblings.discard(self)


class _Offer:
    """An OutgoingOffer."""

    def __init__(self, link: _Link, timeout_us: int) -> None:
        self.description = link.description
        self._link = link
        self._timeout_us = timeout_us

    async def accept(self, answer: str) -> Channel:
        link = self._link
        theirs = link.host.network.pending.get(answer)
        if not isinstance(theirs, _Link) or theirs.kind != "answer" or theirs.partner is not link:
            await link.close("its answer could not be used")
            raise ConnectFailed(f"{answer[:80]!r} is not an answer to this offer")
        link.partner = theirs
        try:
            async with asyncio.timeout(self._timeout_us / _SECOND_US):
                return await self._connect(theirs)
        except TimeoutError as error:
            await link.close("it took too long to connect")
            raise _timed_out(self._timeout_us) from error
        except BaseException:
            await link.close("connecting was given up")
            raise

    async def _connect(self, theirs: _Link) -> Channel:
        there, back = self._link.host.to(theirs.host), theirs.host.to(self._link.host)
        for _ in range(_ROUND_TRIPS):
            await there.passing()
            await back.passing()
            await asyncio.sleep(there.latency_s() + back.latency_s())
        if there.refuses() or theirs.opened.done():
            raise ConnectFailed("no path to the peer is left; try another peer")
        outgoing: Pipe[bytes] = Pipe(there)
        incoming: Pipe[bytes] = Pipe(back)
        theirs.open(incoming, outgoing, self._link)
        return self._link.open(outgoing, incoming, theirs)

    async def close(self) -> None:
        await self._link.close("the offer was withdrawn")


class _Answer:
    """An IncomingChannel."""

    def __init__(self, link: _Link, timeout_us: int) -> None:
        self.description = link.description
        self._link = link
        self._timeout_us = timeout_us

    async def channel(self) -> Channel:
        try:
            async with asyncio.timeout(self._timeout_us / _SECOND_US):
                return await asyncio.shield(self._link.opened)
        except TimeoutError as error:
            await self._link.close("it took too long to connect")
            raise _timed_out(self._timeout_us) from error
        except BaseException:
            await self._link.close("connecting was given up")
            raise

    async def close(self) -> None:
        await self._link.close("the answer was withdrawn")


class _Channel:
    """A Channel."""

    def __init__(self, link: _Link, outgoing: Pipe[bytes], incoming: Pipe[bytes], other: Host) -> None:
        self.label = link.label
        self.fingerprint: str | None = "sha-256 " + hashlib.sha256(other.name.encode()).hexdigest().upper()
        self.remote_address: str | None = other.address
        self.is_relayed = False
        self.max_message_bytes = link.limits.message_bytes_max
        self._link = link
        self._limits = link.limits
        self._outgoing = outgoing
        self._incoming = incoming
        self._detail: str | None = None

    @property
    def buffered_bytes(self) -> int:
        return self._outgoing.buffered_bytes()

    @property
    def unread_bytes(self) -> int:
        """What is on its way is among it."""
        return self._incoming.held_bytes

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        data = bytes(message)
        if len(data) > self.max_message_bytes:
            raise MessageTooLarge(f"{len(data)} bytes in one message; split at {self.max_message_bytes}")
        self._check_open()
        try:
            await self._outgoing.wait_in_flight(_WINDOW_BYTES)
            self._check_open()
            messages, size = self._outgoing.held_messages, self._outgoing.held_bytes
            if size + len(data) > self._limits.unread_bytes_max or messages >= self._limits.unread_messages_max:
                flood = f"{_FLOODED}{size} bytes in {messages} messages were unread"
                self._incoming.break_off(flood)
                self._outgoing.close(flood)
            self._outgoing.send(data, len(data))
        except PipeEnded as error:
            raise self._ended(error) from error

    async def receive(self) -> bytes:
        try:
            return await self._incoming.receive()
        except PipeEnded as error:
            raise self._ended(error) from error

    async def close(self, detail: str = "done") -> None:
        if self._detail is not None:
            return
        self._detail = f"closed here: {detail}"
        self._outgoing.close("closed by the peer")
        with contextlib.suppress(TimeoutError, PipeEnded):
            async with asyncio.timeout(self._limits.close_timeout_us / _SECOND_US):
                await self._outgoing.wait_read()
        self._incoming.close("closed here")
        self._link.gone()

    def _check_open(self) -> None:
        if self._detail is not None:
            raise self._closed_error(self._detail)

    def _ended(self, error: PipeEnded) -> ChannelClosed:
        if self._detail is None:
            self._detail = error.detail
            self._outgoing.close("closed by the peer")
            self._link.gone()
        return self._closed_error(self._detail)

    def _closed_error(self, detail: str) -> ChannelClosed:
        return ChannelClosed.to_peer(self.label, detail, is_fault=detail.startswith(_FLOODED))


def _timed_out(timeout_us: int) -> TimedOut:
    return TimedOut(
        f"no data channel within {timeout_us / _SECOND_US:g} s; the peer may be gone or behind a firewall",
        phase="connect",
        timeout_us=timeout_us,
    )
