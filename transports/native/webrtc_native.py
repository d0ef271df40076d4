"""Connector on `wrtc`, Chromium's own WebRTC with Python around it: optional, and off unless it is asked for.

    pip install "shoal[webrtc-native]"        resolve_connector("webrtc-native")

It takes a third of aiortc's CPU per megabyte; docs/design/webrtc-native.md has the figures, what else was tried, and
why this is not the default yet: the package calls itself a beta.  It does not show what came, so the credit window
goes by what peers of ours report (`sansio/reports.py`); to others it paces itself.

It says `disconnected` of a path that brings nothing after five seconds, which is too late to fetch a segment from
somebody else.  But it asks the other side by itself, every 2.5 s and then more often, and its statistics count what
came: so a look there (`native_counts.py`) is in the place of a question of ours.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import Any

from webrtc import aiortc as wrtc
from webrtc.utils.loops import call_native_batched

from shoal.transports.errors import TransportMissing
from shoal.transports.sansio.reports import Reports

from .connector import PeerConnector
from .native_counts import CountedAssociation, counts_in
from .stack import TurnServer

__all__ = ["NativeWebRtcConnector"]

_RELAY = "relay"  # of RTCIceTransportPolicy
_NO_RELAY_POLICY = (
    "this version of wrtc cannot be told to use a relay alone, and would send from this machine's address; "
    "use the native connector for that"
)


class _Wrtc:
    """The Stack that wrtc is, through its face that resembles aiortc."""

    closed_error: type[Exception] = wrtc.InvalidStateError
    reports = Reports(wanted=True, given=True)

    def check_servers(self, stun: tuple[str, ...], turn: tuple[TurnServer, ...]) -> None:
        pass  # it uses them all

    def connection(self, stun: tuple[str, ...], turn: tuple[TurnServer, ...], *, only_relay: bool) -> Any:
        servers = [wrtc.RTCIceServer(urls=url) for url in stun]
        servers += [wrtc.RTCIceServer(urls=one.url, username=one.name, credential=one.password) for one in turn]
        connection = wrtc.RTCPeerConnection(wrtc.RTCConfiguration(iceServers=servers))
        if only_relay:
            _use_relays_alone(connection)
        return connection

    def description(self, text: str, kind: str) -> Any:
        return wrtc.RTCSessionDescription(sdp=text, type=kind)

    def watch(self, connection: Any, on_state: Callable[[], None]) -> None:
        # The face of aiortc leaves `disconnected` out, which would make half a minute of five seconds.
        connection.on("connectionstatechange", on_state)
        connection._native.on("connectionstatechange", lambda _: on_state())  # noqa: SLF001 - not in that face

    def state(self, connection: Any) -> str:
        shown = str(connection.connectionState)
        return str(connection._native.connection_state.value) if shown == "connected" else shown  # noqa: SLF001

    def limit_gathering(self, connection: Any, limit_s: float) -> None:
        gathering_complete = connection._gathering_complete  # noqa: SLF001 - not in its face, as what follows

        def end() -> None:  # as its own limit of five seconds does it
            connection._gathering_timed_out = True  # noqa: SLF001
            connection._end_gathering_waits()  # noqa: SLF001

        async def wait() -> None:
            timer = asyncio.get_running_loop().call_later(limit_s, end)
            try:
                await gathering_complete()
            finally:
                timer.cancel()

        connection._gathering_complete = wait  # noqa: SLF001

    def bound(self, connection: Any, on_excess: Callable[[str], None]) -> None:
        pass  # its SCTP refuses what is beyond the window that it announces, and fragments without data

    def gathered(self, connection: Any) -> None:
        pass  # its sockets are read by a thread of its own, and do not overflow while Python is busy

    def fingerprint(self, connection: Any) -> str | None:
        certificates = connection.sctp.transport._native.get_remote_certificates()  # noqa: SLF001 - not in that face
        return f"sha-256 {hashlib.sha256(bytes(certificates[0])).digest().hex(':').upper()}" if certificates else None

    def remote_end(self, connection: Any) -> tuple[str, bool] | None:
        pair = connection.sctp.transport.transport._native.get_selected_candidate_pair()  # noqa: SLF001 - as above
        return None if pair is None else (str(pair.remote.address or ""), str(pair.remote.type) == "relay")

    def association(
        self,
        channel: Any,
        *,
        on_progress: Callable[[], None],
        on_round_trip: Callable[[float], None],
        on_unreadable: Callable[[str], None],
        on_heard: Callable[[], None],
    ) -> CountedAssociation:
        counts = functools.partial(_counts, channel._pc._native)  # noqa: SLF001 - not in that face
        return CountedAssociation(counts, on_heard=on_heard)


async def _counts(native: Any) -> dict[str, int]:
    """As its `get_stats`, which takes twice as long since it makes an object of everything in the report."""
    return await call_native_batched(native, native._native_obj.getStats, counts_in)  # noqa: SLF001 - as above


def _use_relays_alone(connection: Any) -> None:
    """Before anything is gathered or sent.  TransportMissing where it cannot be told, or does not take it.

    The face of aiortc has no such policy, while what is under it has: as browsers, it then asks for no other
    candidates, and sends checks from none.
    """
    try:
        native = connection._native  # noqa: SLF001 - not in that face
        native.set_configuration(dataclasses.replace(native.get_configuration(), ice_transport_policy=_RELAY))
        is_taken = native.get_configuration().ice_transport_policy == _RELAY
    except (AttributeError, TypeError) as error:
        raise TransportMissing(_NO_RELAY_POLICY) from error
    if not is_taken:
        raise TransportMissing(_NO_RELAY_POLICY)


class NativeWebRtcConnector(PeerConnector):
    """A Connector on wrtc; every connection it makes belongs to it until closed."""

    stack = _Wrtc()
