"""Connector on aiortc: WebRTC in Python, the default.

What is aiortc's alone is here and in `aiortc_private/`; the connector itself is `connector.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import (
    InvalidStateError,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)

from shoal.transports.errors import TransportMissing
from shoal.transports.sansio.reports import Reports

from . import aiortc_private
from .connector import CandidatePolicy, ChannelLimits, ConnectorStatistics, PeerConnector
from .stack import TurnServer

__all__ = ["CandidatePolicy", "ChannelLimits", "ConnectorStatistics", "TurnServer", "WebRtcConnector"]


class _Aiortc:
    """The Stack that aiortc is."""

    closed_error: type[Exception] = InvalidStateError
    reports = Reports(wanted=False, given=True, grouped=True)

    def check_servers(self, stun: tuple[str, ...], turn: tuple[TurnServer, ...]) -> None:
        urls = [*stun, *(one.url for one in turn)]
        for url in urls:
            if "[" in url:
                raise TransportMissing(f"aiortc takes no IPv6 address for a server, as in {url!r}; give its name")
            if url.startswith("stuns:"):
                raise TransportMissing(f"aiortc asks no STUN server over TLS, as {url!r} is; give a stun: URL")
            if url.startswith("turns:") and url.endswith("?transport=udp"):
                raise TransportMissing(
                    f"aiortc speaks to a relay over TLS, not DTLS, as {url!r} asks; use transport=tcp"
                )
        for kind, count in (("STUN", len(stun)), ("TURN", len(turn))):
            if count > 1:
                raise TransportMissing(f"aiortc uses one {kind} server, the first; {count} are given, so give the best")

    def connection(self, stun: tuple[str, ...], turn: tuple[TurnServer, ...], *, only_relay: bool) -> RTCPeerConnection:
        aiortc_private.renew_names()
        # An empty list, since None would mean Google's server and five seconds of waiting where it cannot be reached.
        servers = [RTCIceServer(urls=url) for url in stun]
        servers += [RTCIceServer(urls=one.url, username=one.name, credential=one.password) for one in turn]
        policy = RTCIceTransportPolicy.RELAY if only_relay else RTCIceTransportPolicy.ALL
        return RTCPeerConnection(RTCConfiguration(iceServers=servers, iceTransportPolicy=policy))

    def description(self, text: str, kind: str) -> RTCSessionDescription:
        return RTCSessionDescription(sdp=text, type=kind)

    def watch(self, connection: Any, on_state: Callable[[], None]) -> None:
        connection.on("connectionstatechange", on_state)

    def state(self, connection: Any) -> str:
        return str(connection.connectionState)

    def limit_gathering(self, connection: Any, limit_s: float) -> None:
        aiortc_private.limit_gathering(connection, limit_s)

    def bound(self, connection: Any, on_excess: Callable[[str], None]) -> None:
        aiortc_private.bound_what_comes(connection, on_excess)

    def gathered(self, connection: Any) -> None:
        aiortc_private.enlarge_receive_buffers(connection)
        aiortc_private.end_consent_when_closed(connection)

    def fingerprint(self, connection: Any) -> str | None:
        return aiortc_private.peer_fingerprint(connection)

    def remote_end(self, connection: Any) -> tuple[str, bool] | None:
        return aiortc_private.selected_remote_end(connection)

    def association(
        self,
        channel: Any,
        *,
        on_progress: Callable[[], None],
        on_round_trip: Callable[[float], None],
        on_unreadable: Callable[[str], None],
        on_heard: Callable[[], None],
    ) -> aiortc_private.Association:
        return aiortc_private.Association(
            channel.transport, on_progress=on_progress, on_round_trip=on_round_trip, on_unreadable=on_unreadable
        )


class WebRtcConnector(PeerConnector):
    """A Connector on aiortc; every connection it makes belongs to it until closed.  A connection costs 150 KiB."""

    stack = _Aiortc()
