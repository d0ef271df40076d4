"""Connector on the page's RTCPeerConnection: descriptions in and out, channels when both sides have them.

Promises what the native one does: limits on connections, on the time to
connect, on descriptions and candidates, on what a peer may send that is not read
yet; nothing lost before the first read; nothing left once a connection fails or
its channel ends; a peer that never answers is given up after 10 s, and one that
vanished after 5 s where the browser counts what comes (`watch.py`), else after 6.
In a worker, which has no RTCPeerConnection, it uses those that
its page lends it (javascript/connections.js), and is the same.

The browser hides our addresses from peers behind names (`....local`) unless the
page may use a camera; such names work on one local network.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from typing import Any, Literal

from shoal.transports.errors import ConnectFailed, NoAddress, TimedOut, TransportMissing
from shoal.transports.interface import Channel, IncomingChannel, OutgoingOffer, TurnServer
from shoal.transports.pending import PendingAnswer, PendingOffer
from shoal.transports.sansio.addresses import ip_literal
from shoal.transports.sansio.descriptions import bounded_description
from shoal.transports.sansio.limits import CONNECT_TIMEOUT_US, ChannelLimits
from shoal.transports.sansio.statistics import ConnectorStatistics

from .datachannel import DataChannel
from .page import JsException, Listeners, from_js_bytes, in_words, js, js_object
from .watch import Watch

__all__ = ["BrowserConnector"]

_SECOND_US = 1_000_000
_DISCONNECTED_S = 1.0  # it may come back; a browser says so after five seconds without an answer
_GATHER_TIMEOUT_S = 5.0  # a STUN server that does not answer costs this much, and what was found until then is used


class BrowserConnector:
    """A Connector; every connection it makes belongs to it until closed."""

    def __init__(
        self,
        *,
        stun_servers: tuple[str, ...] = (),
        connect_timeout_us: int = CONNECT_TIMEOUT_US,
        connections_max: int = 128,
        limits: ChannelLimits | None = None,
        candidates: Literal["all", "relay"] = "all",
        turn_servers: tuple[TurnServer, ...] = (),
    ) -> None:
        """`stun_servers` as `stun:host:port`.  `connect_timeout_us` runs in `accept` and in `channel`.

        With `candidates` as "relay" the browser neither names nor uses any address of its own; private ones it hides
        by itself unless the page may use the camera (RFC 8828).
        Chromium refuses more than 500 connections a page, pending offers included.
        """
        if not hasattr(js, "RTCPeerConnection"):
            raise TransportMissing(
                "there is no RTCPeerConnection here; workers have none, borrow the page's as connections.js says"
            )
        if candidates not in ("all", "relay"):
            raise TransportMissing(
                f"a page cannot keep to {candidates} candidates; its browser hides private addresses by itself, so use "
                "all, or relay"
            )
        self._connect_timeout_us = connect_timeout_us
        self._connections_max = connections_max
        self._limits = limits or ChannelLimits()
        self._ice = js_object(
            iceServers=[{"urls": url} for url in stun_servers]
            + [{"urls": one.url, "username": one.name, "credential": one.password} for one in turn_servers],
            iceTransportPolicy=candidates,
        )
        self._links: set[_Link] = set()
        self._closed = False

    async def offer(self, label: str) -> OutgoingOffer:
        """As Connector.offer.  ConnectFailed when `connections_max` are open, ValueError for a label beyond ASCII."""
        if not label.isascii():
            raise ValueError(f"label {label!r} is not ASCII; native peers would cut it")
        link = self._new_link()
        try:
            link.attach(link.connection.createDataChannel(label))
            await link.connection.setLocalDescription(await link.connection.createOffer())
            return PendingOffer(link, await link.local_description(), self._connect_timeout_us)
        except BaseException:
            await link.close("the offer was not finished")
            raise

    async def answer(self, offer: str) -> IncomingChannel:
        """As Connector.answer."""
        description = bounded_description(offer)
        link = self._new_link()
        try:
            await link.set_remote(description, "offer", self._connect_timeout_us)
            await link.connection.setLocalDescription(await link.connection.createAnswer())
            return PendingAnswer(link, await link.local_description(), self._connect_timeout_us)
        except BaseException:
            await link.close("the answer was not finished")
            raise

    def statistics(self) -> ConnectorStatistics:
        channels = [link.channel for link in self._links if link.channel is not None]
        return ConnectorStatistics(
            connections=len(self._links),
            buffered_bytes=sum(channel.buffered_bytes for channel in channels),
            unread_bytes=sum(channel.unread_bytes for channel in channels),
        )

    async def aclose(self) -> None:
        """As Connector.aclose, all at once: about a second when peers do not answer."""
        self._closed = True
        await asyncio.gather(*(link.close("the connector was closed") for link in list(self._links)))

    def _new_link(self) -> _Link:
        if self._closed:
            raise ConnectFailed("this connector is closed; make another")
        if len(self._links) >= self._connections_max:
            raise ConnectFailed(f"{self._connections_max} connections are open; close one or raise connections_max")
        link = _Link(js.RTCPeerConnection.new(self._ice), self._limits, self._links.discard)
        self._links.add(link)
        return link


class _Link:
    """One RTCPeerConnection with at most one channel, from the first step to the last."""

    def __init__(self, connection: Any, limits: ChannelLimits, forget: Callable[[_Link], None]) -> None:
        self.connection = connection
        self.listeners = Listeners(connection)
        self._limits = limits
        self._forget = forget
        self.channel: DataChannel | None = None
        self._channel_listeners: Listeners | None = None
        self._opened: asyncio.Future[DataChannel] = asyncio.get_running_loop().create_future()
        self._gathered = asyncio.Event()
        self._watch: Watch | None = None  # while the channel is open
        self._disconnected: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self.listeners.on("connectionstatechange", self._on_state)
        self.listeners.on("icegatheringstatechange", self._on_gathering)
        self.listeners.on("datachannel", lambda event: self.attach(event.channel))  # on both sides

    def attach(self, raw: Any) -> None:
        """Take the link's channel; called inside the browser's event, so it neither waits nor raises."""
        if self.channel is not None:  # one was agreed on; more are a peer's way to our memory
            self.channel.abandon("the peer opened a second channel")
            return
        if self._closing is not None:
            return  # with the connection
        self.channel = DataChannel(raw, self._limits, self._start_closing)
        self._channel_listeners = Listeners(raw)
        self._channel_listeners.on("open", self._on_open)
        if raw.readyState == "open":
            self._on_open(None)

    def _on_open(self, _event: Any) -> None:
        if self.channel is not None and not self._opened.done():
            self.channel.fingerprint = _peer_fingerprint(self.connection)
            self.channel.remote_address, self.channel.is_relayed = _remote_end(self.connection)
            self._watch = Watch(self.connection, self._limits, self.channel.silent)
            self.channel.opened(self.connection, self._watch)
            self._opened.set_result(self.channel)

    def _on_state(self, _event: Any) -> None:
        state = self.connection.connectionState
        if self._disconnected is not None:
            self._disconnected.cancel()
            self._disconnected = None
        if state == "disconnected" and self.channel is not None:
            loop = asyncio.get_running_loop()
            self._disconnected = loop.call_later(_DISCONNECTED_S, self.channel.silent)
        if state in {"failed", "closed"}:
            self._start_closing("no path to the peer is left" if state == "failed" else "the peer closed")

    def _on_gathering(self, _event: Any) -> None:
        if self.connection.iceGatheringState == "complete":
            self._gathered.set()

    async def set_remote(self, description: str, kind: str, timeout_us: int) -> None:
        """ConnectFailed, also where the browser takes longer over it than connecting may."""
        try:
            async with asyncio.timeout(timeout_us / _SECOND_US):
                await self.connection.setRemoteDescription(js_object(type=kind, sdp=description))
        except (JsException, TimeoutError) as error:
            raise ConnectFailed(f"the {kind} is not a description we can use: {in_words(error)}") from error

    async def local_description(self) -> str:
        """With all candidates.  NoAddress when it names no address: nobody could ever connect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_TIMEOUT_S):
                await self._gathered.wait()
        description: str = self.connection.localDescription.sdp
        if "a=candidate:" not in description:
            raise NoAddress("this machine has no address but loopback, which WebRTC leaves out; add an interface")
        return description

    async def opened(self, timeout_us: int, since_s: float) -> Channel:
        """As Link.opened."""
        try:
            async with asyncio.timeout_at(since_s + timeout_us / _SECOND_US):
                return await asyncio.shield(self._opened)
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
        await asyncio.shield(self._start_closing(detail, ours=True))

    def _start_closing(self, detail: str, *, ours: bool = False) -> asyncio.Task[None]:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(detail, ours=ours))
        return self._closing

    async def _close(self, detail: str, *, ours: bool) -> None:
        if self._watch is not None:
            self._watch.release()
        try:
            if not self._opened.done():
                self._opened.set_exception(ConnectFailed(f"not connected: {detail}; try another peer"))
                self._opened.exception()  # nobody may be waiting
            if self.channel is not None:
                await self.channel.finish(detail, ours=ours)
        finally:
            self.listeners.release()
            if self._disconnected is not None:
                self._disconnected.cancel()
            if self._channel_listeners is not None:
                self._channel_listeners.release()
            self.connection.close()
            self._forget(self)


def _peer_fingerprint(connection: Any) -> str | None:
    """SHA-256 of the peer's certificate, as RFC 8122 writes it; of what DTLS saw, not of what its description says."""
    certificates = connection.sctp.transport.getRemoteCertificates()
    if not len(certificates):
        return None
    return "sha-256 " + hashlib.sha256(from_js_bytes(certificates[0])).digest().hex(":").upper()


def _remote_end(connection: Any) -> tuple[str | None, bool]:
    """Address of the selected pair, None where the browser hides it, and whether it is a relay's."""
    pair = connection.sctp.transport.iceTransport.getSelectedCandidatePair()
    if not pair:
        return None, False
    said = pair.remote.address  # JavaScript's null may be an object of its own here
    return ip_literal(str(said) if said else None), getattr(pair.remote, "type", None) == "relay"
