"""Connector on a WebRTC library: descriptions in and out, channels when both sides have them.

Promises, beyond the Protocol:

    quiet       no STUN server is asked unless one is given; without any, gathering takes milliseconds, and with one
                that is dead two seconds once, and then a quarter (`sansio/gathering.py`)
    limits      on connections, on the time to connect, on what a peer may send that is not read yet
                (a flood closes the channel), on the size of a description and on its candidates
    nothing lost  handlers are attached before anything can arrive, and run synchronously into one queue
    nothing left  a connection that fails, or whose channel ends, is closed; `aclose` waits for all of it, and for
                addresses that are being gathered, while whoever waits for the connection is told at once

    soon known    a peer that never answers is given up after 10 s, one that vanished after 5 s at most
    counted       what ended channels, by reason; and what is open, unsent and unread (`statistics`)
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from shoal.transports.errors import ConnectFailed, NoAddress, TimedOut
from shoal.transports.interface import Channel, IncomingChannel, OutgoingOffer
from shoal.transports.pending import PendingAnswer, PendingOffer
from shoal.transports.sansio.addresses import ip_literal
from shoal.transports.sansio.descriptions import CandidatePolicy, bounded_description, filtered_description
from shoal.transports.sansio.gathering import Gathering
from shoal.transports.sansio.limits import CONNECT_TIMEOUT_US, ChannelLimits
from shoal.transports.sansio.reports import Reports, reports_of, with_reports
from shoal.transports.sansio.statistics import ConnectorStatistics
from shoal.transports.sansio.upload_cap import UploadCap

from .datachannel import DataChannel
from .stack import Stack, TurnServer

__all__ = ["CandidatePolicy", "ChannelLimits", "ConnectorStatistics", "PeerConnector"]

_SECOND_US = 1_000_000
_ADDRESS_LOOKS = 10  # without an address a ban by address finds nobody; nothing else needs it
_ADDRESS_LOOK_S = 0.02
_DISCONNECTED_S = 1.0  # libraries say so after two to three seconds without an answer; 5 s is the limit
_NO_ADDRESS: dict[CandidatePolicy, str] = {
    "all": "this machine has no address but loopback, which WebRTC leaves out; add an interface",
    "public": "this machine has no public address, and no STUN or TURN server named one; give a server, or allow "
    "private addresses where the swarm is on a local network",
    "relay": "no TURN server gave us an address; check its URL, name and password",
}
_RELAY_PATIENCE = {"patience_us": 5_000_000, "distrust_patience_us": 2_000_000}  # it has TLS and two answers to give
_CLOSE_TIMEOUT_S = 5.0  # aiortc's close waits for sockets and tasks of its own; a bug there must not hold us up


class PeerConnector:
    """A Connector; what has a `stack` can make connections, and each belongs to it until closed."""

    stack: Stack

    def __init__(
        self,
        *,
        stun_servers: tuple[str, ...] = (),
        connect_timeout_us: int = CONNECT_TIMEOUT_US,
        connections_max: int = 128,
        limits: ChannelLimits | None = None,
        candidates: CandidatePolicy = "all",
        turn_servers: tuple[TurnServer, ...] = (),
        upload_bytes_per_second: int | None = None,
    ) -> None:
        """`stun_servers` as `stun:host:port`.  `connect_timeout_us` runs in `accept` and in `channel`.

        `candidates`: which of our addresses descriptions name; "relay" needs a TURN server, and neither listens nor
        sends anywhere else.  `upload_bytes_per_second` caps what all channels together put on the line.
        A pending offer is a connection too, with its sockets.  TransportMissing for a server that the library cannot
        use, which it would pass over in silence.
        """
        self.stack.check_servers(stun_servers, turn_servers)
        self._stun_servers = stun_servers
        self._connect_timeout_us = connect_timeout_us
        self._connections_max = connections_max
        self._limits = limits or ChannelLimits()
        self._candidates: CandidatePolicy = candidates
        self._turn = turn_servers
        self._cap = None if upload_bytes_per_second is None else UploadCap(upload_bytes_per_second)
        only_relay = candidates == "relay"  # without its address there is nothing to tell anybody
        self._gathering = Gathering(**_RELAY_PATIENCE) if only_relay else Gathering()
        self._links: set[_Link] = set()
        self._ended: Counter[str] = Counter()
        self._closed = False

    async def offer(self, label: str) -> OutgoingOffer:
        """As Connector.offer.  ConnectFailed when `connections_max` are open, ValueError for a label beyond ASCII."""
        if not label.isascii():
            raise ValueError(f"label {label!r} is not ASCII; aiortc would cut it, counting characters for bytes")
        link = self._new_link()
        try:
            link.attach(link.connection.createDataChannel(label))
            await link.step(self._describe(link, link.connection.createOffer))
            return PendingOffer(link, link.local_description(), self._connect_timeout_us)
        except BaseException:
            await link.close("the offer was not finished")
            raise

    async def answer(self, offer: str) -> IncomingChannel:
        """As Connector.answer."""
        description = bounded_description(offer)
        link = self._new_link()
        try:
            await link.set_remote(description, "offer", self._connect_timeout_us)
            await link.step(self._describe(link, link.connection.createAnswer))
            return PendingAnswer(link, link.local_description(), self._connect_timeout_us)
        except BaseException:
            await link.close("the answer was not finished")
            raise

    async def _describe(self, link: _Link, create: Callable[[], Awaitable[Any]]) -> None:
        """Gather what addresses there are within a limit, and take them into the local description."""
        connection, loop = link.connection, asyncio.get_running_loop()
        self.stack.bound(connection, link.unreadable)
        description = await create()
        began_us = int(loop.time() * _SECOND_US)
        self.stack.limit_gathering(connection, self._gathering.limit_us(began_us) / _SECOND_US)
        await connection.setLocalDescription(description)
        now_us = int(loop.time() * _SECOND_US)
        self._gathering.took(now_us - began_us, now_us)
        self.stack.gathered(connection)

    def statistics(self) -> ConnectorStatistics:
        channels = [link.channel for link in self._links if link.channel is not None]
        return ConnectorStatistics(
            connections=len(self._links),
            buffered_bytes=sum(channel.buffered_bytes for channel in channels),
            unread_bytes=sum(channel.unread_bytes for channel in channels),
            ended=dict(self._ended),
        )

    async def aclose(self) -> None:
        """As Connector.aclose, all at once: a second when peers do not answer, two when a STUN server does not."""
        self._closed = True
        await asyncio.gather(*(link.close("the connector was closed") for link in list(self._links)))

    def _new_link(self) -> _Link:
        if self._closed:
            raise ConnectFailed("this connector is closed; make another")
        if len(self._links) >= self._connections_max:
            raise ConnectFailed(f"{self._connections_max} connections are open; close one or raise connections_max")
        connection = self.stack.connection(self._stun_servers, self._turn, only_relay=self._candidates == "relay")
        link = _Link(connection, self)
        self._links.add(link)
        return link

    def new_channel(self, raw: Any, start_closing: Callable[..., asyncio.Task[None]]) -> DataChannel:
        """For a link: a channel that counts here, and shares the cap."""
        return DataChannel(raw, self.stack, self._limits, start_closing, count=self.count, cap=self._cap)

    def shown(self, description: str) -> str:
        """For a link: its description as others may see it.  NoAddress when it names no address then."""
        shown = filtered_description(description, self._candidates)
        if "a=candidate:" not in shown:
            raise NoAddress(_NO_ADDRESS[self._candidates])
        return with_reports(shown, self.stack.reports)

    def forget(self, link: _Link) -> None:
        self._links.discard(link)

    def count(self, reason: str) -> None:
        """For a link: its channel, or itself, ended for that."""
        self._ended[reason] += 1


class _Link:
    """One RTCPeerConnection with at most one channel, from the first step to the last."""

    def __init__(self, connection: Any, connector: PeerConnector) -> None:
        self.connection = connection
        self._connector = connector
        self.channel: DataChannel | None = None
        self._peer_reports = Reports(wanted=False, given=False)
        self._is_path_known = False
        self._disconnected: asyncio.TimerHandle | None = None
        self._detail = ""  # why it is closed
        self._opened: asyncio.Future[DataChannel] = asyncio.get_running_loop().create_future()
        self._step: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._left: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # set when closing begins
        connector.stack.watch(connection, self._on_state)
        connection.on("datachannel", self.attach)  # on both sides, or the library keeps whatever the peer opens

    def attach(self, raw: Any) -> None:
        """Take the link's channel; called by aiortc inside its event, so it neither waits nor raises."""
        if self.channel is not None:  # one was agreed on; more are a peer's way to our memory
            self.channel.abandon("second", "the peer opened a second channel")
            return
        if self._closing is not None:
            return  # with the connection
        self.channel = self._connector.new_channel(raw, self._start_closing)
        raw.on("open", self._on_open)
        if raw.readyState == "open":
            self._on_open()

    def _on_open(self) -> None:
        if self.channel is not None and not self._opened.done():
            self.channel.fingerprint = self._connector.stack.fingerprint(self.connection)
            self._is_path_known = self._look_for_remote_end(self.channel)
            self.channel.opened(self._peer_reports)
            self._opened.set_result(self.channel)

    def _look_for_remote_end(self, channel: DataChannel) -> bool:
        """Whether it is known now by which path we talk; the address may be hidden then."""
        end = self._connector.stack.remote_end(self.connection)
        if end is not None:
            channel.remote_address, channel.is_relayed = ip_literal(end[0]), end[1]
        return end is not None

    def _on_state(self) -> None:
        state = self._connector.stack.state(self.connection)
        if self._disconnected is not None:
            self._disconnected.cancel()
            self._disconnected = None
        if state == "disconnected":  # a path that brings nothing; it may come back
            loop = asyncio.get_running_loop()
            self._disconnected = loop.call_later(_DISCONNECTED_S, self._on_silence)
        if state in {"failed", "closed"}:
            self._start_closing("no path to the peer is left" if state == "failed" else "the peer closed")

    def _on_silence(self) -> None:
        if self.channel is not None:
            self.channel.silent()

    def unreadable(self, detail: str) -> None:
        """Give up a peer that sent what is no SCTP, or more than anybody needs to; it neither waits nor raises."""
        if self.channel is not None:
            self.channel.unreadable(detail)  # which counts it, once
        elif self._closing is None:
            self._connector.count("unreadable")
            self._start_closing(f"the peer sent what is no SCTP: {detail}")

    async def step(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do one thing with the connection.  ConnectFailed, at once, when the link is closed before or meanwhile.

        It goes on then, and when the caller is cancelled, and closing waits for it: a library that is stopped while it
        opens sockets, or that opens more on a connection that it has closed, never closes them.
        """
        if self._closing is not None:
            doing.close()
            raise self._not_connected()
        step = self._step = asyncio.ensure_future(doing)
        step.add_done_callback(_look_at)
        await asyncio.wait({step, self._left}, return_when=asyncio.FIRST_COMPLETED)
        if self._closing is not None:
            raise self._not_connected()
        step.result()

    async def set_remote(self, description: str, kind: str, timeout_us: int) -> None:
        """ConnectFailed.  Names of browsers (`.local`) are asked for on the local network, a second or so."""
        self._peer_reports = reports_of(description)
        await self.step(self._set_remote(description, kind, timeout_us))

    async def _set_remote(self, description: str, kind: str, timeout_us: int) -> None:
        try:
            async with asyncio.timeout(timeout_us / _SECOND_US):
                await self.connection.setRemoteDescription(self._connector.stack.description(description, kind))
        except Exception as error:  # a library's parser raises whatever a stranger's text makes it raise
            raise ConnectFailed(f"the {kind} is not a description we can use: {error!r}") from error

    def local_description(self) -> str:
        """NoAddress when it names no address that others may know: nobody could ever connect."""
        return self._connector.shown(self.connection.localDescription.sdp)

    async def opened(self, timeout_us: int, since_s: float) -> Channel:
        """As Link.opened."""
        try:
            async with asyncio.timeout_at(since_s + timeout_us / _SECOND_US):
                channel = await asyncio.shield(self._opened)
                for _ in range(_ADDRESS_LOOKS):  # a native engine may say which path it took only after it is open
                    if self._is_path_known or self._closing is not None:
                        break
                    await asyncio.sleep(_ADDRESS_LOOK_S)
                    self._is_path_known = self._look_for_remote_end(channel)
                return channel
        except TimeoutError as error:
            await self.close("it took too long to connect")
            raise TimedOut(
                f"no data channel within {timeout_us / _SECOND_US:g} s; the peer may be gone or behind a firewall",
                phase="connect",
                timeout_us=timeout_us,
            ) from error
        except BaseException:
            await self.close("connecting was given up")
            raise

    async def close(self, detail: str) -> None:
        """Close channel and connection; returns when both are gone, also for the second caller."""
        self._start_closing(detail, ours=True)
        assert self._closing is not None
        await asyncio.shield(self._closing)

    def _start_closing(self, detail: str, *, ours: bool = False) -> asyncio.Task[None]:
        if self._closing is None:
            self._detail = detail
            self._left.set_result(None)
            self._closing = asyncio.ensure_future(self._close(detail, ours=ours))
        return self._closing

    def _not_connected(self) -> ConnectFailed:
        return ConnectFailed(f"not connected: {self._detail}; try another peer")

    async def _close(self, detail: str, *, ours: bool) -> None:
        if self._disconnected is not None:
            self._disconnected.cancel()
        try:
            if not self._opened.done():
                self._opened.set_exception(self._not_connected())
                self._opened.exception()  # nobody may be waiting
            if self._step is not None:
                await asyncio.wait({self._step}, timeout=_CLOSE_TIMEOUT_S)
            if self.channel is not None:
                await self.channel.finish(detail, ours=ours)
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self.connection.close()
        except TimeoutError:
            pass  # the sockets are aiortc's; there is nothing more to do about them from here
        finally:
            self._connector.forget(self)


def _look_at(step: asyncio.Task[None]) -> None:
    """Nobody may be waiting any more for what it raised."""
    if not step.cancelled():
        step.exception()
