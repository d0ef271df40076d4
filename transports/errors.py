"""What can go wrong between here and another machine, or a disk.

    TransportError
    ├── TransportMissing     a package or a platform feature is not there; says what to install
    ├── AddressRefused       our own policy refuses the host or address; nothing was sent
    ├── ConnectFailed        name, route, TCP, TLS or ICE; another source may do better
    │   ├── CrossOriginRefused  the server is there, and does not let this web page read it (CORS)
    │   └── NoAddress        we have no address that others may be told; no other peer does better
    ├── TimedOut             which phase, and after how long
    ├── StatusError          the server answered, with a status that is not what was asked for
    │   └── TrackerRefused   a tracker lets us in only with a token that counts; carries its own words
    ├── BodyError
    │   ├── BodyTruncated    fewer bytes than announced
    │   ├── BodyTooLarge     more bytes than announced or allowed
    │   └── BodyChanged      another representation (length or ETag) than the one being resumed
    ├── ChannelClosed        the other side, or we, closed the channel; carries the reason
    ├── MessageTooLarge      our own mistake: split it first
    ├── BadMessage           a message is not of a type that was registered, or holds what cannot cross a bridge
    ├── NotRegistered        the other side of a bridge exposes no such actor, or not for such messages
    ├── Overloaded           more is open at once than a limit allows; wait for some of it
    └── ShelfError           the disk under a store; the session goes on from memory
        ├── ShelfFull        no room on the disk, or none for so large a body
        ├── ShelfBusy        other processes hold it for too long
        ├── ShelfDamaged     what was read was not what had been written; it is removed
        └── ShelfUnusable    no folder that we can write to, or an index that cannot be read

Each platform maps its own exceptions into these at its border; nothing else
leaves `transports/`.  Each message says what happened, with the value, and what
to do.  `reason` is the stable short word under which reports and counters file
the error.
"""

from __future__ import annotations

from typing import Self

__all__ = [
    "AddressRefused",
    "BadMessage",
    "BodyChanged",
    "BodyError",
    "BodyTooLarge",
    "BodyTruncated",
    "ChannelClosed",
    "ConnectFailed",
    "CrossOriginRefused",
    "MessageTooLarge",
    "NoAddress",
    "NotRegistered",
    "Overloaded",
    "ShelfBusy",
    "ShelfDamaged",
    "ShelfError",
    "ShelfFull",
    "ShelfUnusable",
    "StatusError",
    "TimedOut",
    "TrackerRefused",
    "TransportError",
    "TransportMissing",
]


class TransportError(Exception):
    """Something went wrong between here and another machine."""

    reason = "transport"


class TransportMissing(TransportError):
    """A package or a platform feature is not there; the message says what to install."""

    reason = "missing"


class AddressRefused(TransportError):
    """Our own policy refuses this URL, host or address; nothing was sent."""

    reason = "refused"


class ConnectFailed(TransportError):
    """No connection: name, route, TCP, TLS or ICE."""

    reason = "connect"


class CrossOriginRefused(ConnectFailed):
    """The server answers, and its answers are not for pages of this origin (Fetch standard, CORS protocol)."""

    reason = "refused"  # as AddressRefused: asking again changes nothing


class NoAddress(ConnectFailed):
    """This machine has no address that the other side may be told, so nobody could ever connect."""

    reason = "no_address"


class TimedOut(TransportError):
    """A phase took longer than its limit."""

    reason = "timeout"

    def __init__(self, message: str, *, phase: str, timeout_us: int) -> None:
        """`phase` is one of connect, first_byte, stall."""
        super().__init__(message)
        self.phase = phase
        self.timeout_us = timeout_us

    @classmethod
    def in_body(cls, url: str, byte_count: int, stall_timeout_us: int) -> Self:
        """Nothing more came of a response's body after `byte_count` bytes of it."""
        return cls(
            f"{url} sent nothing for {stall_timeout_us / 1e6:g} s after {byte_count} bytes; try another server",
            phase="stall",
            timeout_us=stall_timeout_us,
        )


class StatusError(TransportError):
    """The server answered with a status other than the one asked for."""

    reason = "status"

    def __init__(self, message: str, *, status: int, retry_after_us: int | None = None) -> None:
        """`retry_after_us` is the Retry-After header (RFC 9110, 10.2.3) as a delay, if it was sent."""
        super().__init__(message)
        self.status = status
        self.retry_after_us = retry_after_us


class TrackerRefused(StatusError):
    """A tracker lets nobody in without what we did not show, a token as a rule; trying again does not help."""

    reason = "tracker_refused"


class BodyError(TransportError):
    """A response body is not what its headers said."""

    reason = "body"


class BodyTruncated(BodyError):
    """The body ended before its announced length."""

    reason = "truncated"


class BodyTooLarge(BodyError):
    """The body is longer than announced, or than the limit of the request."""

    reason = "too_large"


class BodyChanged(BodyError):
    """The bytes offered are of another representation than the one being resumed."""

    reason = "changed"


class ChannelClosed(TransportError):
    """The channel is closed; `detail` says by whom and why.

    `is_fault`: we closed it, since the other side sent what no peer may: a flood, text, or a message beyond all limits.
    """

    reason = "closed"

    def __init__(self, message: str, *, detail: str, is_fault: bool = False) -> None:
        super().__init__(message)
        self.detail = detail
        self.is_fault = is_fault

    @classmethod
    def to_peer(cls, label: str, detail: str, *, is_fault: bool = False) -> Self:
        """A channel to a peer, on whatever platform."""
        message = f"channel {label!r} is closed ({detail}); connect again or use another"
        return cls(message, detail=detail, is_fault=is_fault)

    @classmethod
    def to_tracker(cls, detail: str) -> Self:
        return cls(f"the tracker's socket is closed ({detail}); connect again", detail=detail)


class MessageTooLarge(TransportError):
    """A message is longer than `max_message_bytes`; split it first."""

    reason = "message_too_large"


class ShelfError(TransportError):
    """Something went wrong between here and the disk under a store."""

    reason = "shelf"


class ShelfFull(ShelfError):
    """No room on the disk; nothing was kept, and what is there stays."""

    reason = "full"


class ShelfBusy(ShelfError):
    """Other processes hold the store for longer than any of ours would."""

    reason = "busy"


class ShelfDamaged(ShelfError):
    """A body was not what had been written; none of it was given out, and it is removed."""

    reason = "damaged"


class ShelfUnusable(ShelfError):
    """The folder cannot be made, read or written, or its index cannot be read."""

    reason = "unusable"


class BadMessage(TransportError):
    """A message is not of a registered type, or holds what the other side could not read."""

    reason = "bad_message"


class NotRegistered(TransportError):
    """The other side of a bridge exposes no such actor, or not for such messages."""

    reason = "not_registered"


class Overloaded(TransportError):
    """More is open at once than a limit allows."""

    reason = "overloaded"
