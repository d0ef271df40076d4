"""What a connector asks of a library that speaks WebRTC; `webrtc.py` and `webrtc_native.py` say how each does it.

Connections and channels are the library's own, with the names of W3C's API in the form that aiortc gave them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from shoal.transports.interface import TurnServer
from shoal.transports.sansio.reports import Reports

__all__ = ["Association", "OpaqueAssociation", "Stack", "TurnServer"]


class Association(Protocol):
    """What the channel may know and decide of the SCTP below it."""

    is_hooked: bool  # False: of the rest only what is said to be for all is to be used

    @property
    def tells_silence(self) -> bool:
        """Whether it says what came, by `heard` or by `on_heard`.  For all."""
        ...

    @property
    def heard(self) -> bool:
        """Something came; whoever reads it clears it."""
        ...

    @heard.setter
    def heard(self, value: bool) -> None: ...

    @property
    def window_bytes(self) -> int | None:
        """What may be under way; None: as much as the library lets."""
        ...

    @window_bytes.setter
    def window_bytes(self, value: int | None) -> None: ...

    @property
    def in_flight_bytes(self) -> int: ...
    @property
    def is_empty(self) -> bool: ...
    @property
    def held_bytes(self) -> int:
        """What it may take until it is known to have come, sent or not, of all that it was given.  For all."""
        ...

    def unacknowledged_bytes(self) -> int: ...
    def acknowledge_in_groups(self) -> None: ...
    def send_heartbeat(self) -> None:
        """Ask the other side for an answer.  For all."""

    def look(self, if_nothing_came: Callable[[], None] | None = None) -> None:
        """Find out whether something came since the last look, and call that if nothing did.  For all."""

    def release(self) -> None:
        """For all."""


class OpaqueAssociation:
    """Of a library that does not show its SCTP, and paces itself."""

    def __init__(self) -> None:
        self.is_hooked = False
        self.tells_silence = False
        self.heard = False
        self.window_bytes: int | None = None
        self.in_flight_bytes = 0
        self.is_empty = True
        self.held_bytes = 0  # it does not say

    def unacknowledged_bytes(self) -> int:
        return 0

    def acknowledge_in_groups(self) -> None: ...

    def send_heartbeat(self) -> None: ...

    def look(self, if_nothing_came: Callable[[], None] | None = None) -> None:
        if if_nothing_came is not None:
            if_nothing_came()

    def release(self) -> None: ...


class Stack(Protocol):
    """One library."""

    closed_error: type[Exception]  # of a send on a channel that is not open
    reports: Reports  # wanted by a library that does not show its SCTP

    def check_servers(self, stun: tuple[str, ...], turn: tuple[TurnServer, ...]) -> None:
        """TransportMissing names a server that the library would pass over without a word."""

    def connection(self, stun: tuple[str, ...], turn: tuple[TurnServer, ...], *, only_relay: bool) -> Any:
        """A new connection that asks no servers but these; TransportMissing if it cannot do what is asked."""

    def description(self, text: str, kind: str) -> Any:
        """An SDP as the library takes it; `kind` is offer or answer."""

    def watch(self, connection: Any, on_state: Callable[[], None]) -> None:
        """Call `on_state` at each change of `state`."""

    def state(self, connection: Any) -> str:
        """As RTCPeerConnection.connectionState: connected, disconnected, failed, closed ..."""
        ...

    def limit_gathering(self, connection: Any, limit_s: float) -> None:
        """Its next local description waits for servers no longer than that, and names the addresses that are there."""

    def bound(self, connection: Any, on_excess: Callable[[str], None]) -> None:
        """Have the connection, before it gathers, hold no more of what comes than a bound; `on_excess` is told why."""

    def gathered(self, connection: Any) -> None:
        """The connection has its sockets now."""

    def fingerprint(self, connection: Any) -> str | None:
        """`sha-256 AB:...` of the certificate that the handshake verified."""

    def remote_end(self, connection: Any) -> tuple[str, bool] | None:
        """The other end of the path in use, as the library names it, and whether it is a relay's.

        None while the library does not say which path that is.
        """
        ...

    def association(
        self,
        channel: Any,
        *,
        on_progress: Callable[[], None],
        on_round_trip: Callable[[float], None],
        on_unreadable: Callable[[str], None],
        on_heard: Callable[[], None],
    ) -> Association:
        """The SCTP below one channel; `on_heard` is called where something came and `heard` does not say so."""
        ...
